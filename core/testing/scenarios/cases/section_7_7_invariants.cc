// SPDX-License-Identifier: Apache-2.0
//
// Tests what holds over the whole life of an execution (contract 7.7), and that another spelling of
// an id is not found (1.8). The scenarios of earlier sections check the rules of 7.7 for single
// calls; this file has the long histories.

#include "testing/scenarios/run.h"
#include "testing/scenarios/scenario.h"

namespace ffgrant::claims_conformance {
namespace {

// Items 3 and 4: how epoch, attempt index and counters change at each turn.
void ALifeWithEveryTurn(Run& run) {
  Execution& e = run.Create({.priority = 7, .required = "gpu"});
  run.Issue(e, {.offered = "gpu"});
  run.Claim(e);
  run.Renew(e);
  run.Suspend(e);
  run.Resume(e);
  run.Issue(e, {.worker = kWorker2, .offered = "gpu"});
  run.ClaimResumed(e, {.worker = kWorker2, .ttl_ms = kShort});
  run.Pass(kShort + 1);
  run.MarkExpired(e);
  run.IssueReclaim(e, {.worker = kWorker1, .offered = "gpu"});
  run.Reclaim(e, {.worker = kWorker1});
  run.Renew(e);
  run.Revoke(e);
  run.IssueReclaim(e, {.worker = kWorker1Other, .offered = "gpu"});
  run.Reclaim(e, {.worker = kWorker1Other});
  run.Suspend(e);
  run.Resume(e);
  run.Issue(e, {.offered = "gpu"});
  run.ClaimResumed(e);
  run.Complete(e);
  run.CheckEqual("epoch", "5", e.expected.Field("current_lease_epoch"));
  run.CheckEqual("attempts", "3", e.expected.Field("total_attempt_count"));
  run.CheckEqual("reclaims", "2", e.expected.Field("lease_reclaim_count"));
}

// Items 1 and 2: whichever of these calls fails, the grant stays as it was.
void AGrantSurvivesEveryFailure(Run& run) {
  Execution& e = run.Create();
  run.Issue(e);
  run.Claim(e, {.worker = kWorker2}, ClaimError::kInvalidClaimGrant);
  run.ClaimResumed(e, {}, ClaimError::kNotAResumedExecution);
  run.Reclaim(e, {.worker = kWorker1}, ClaimError::kExecutionNotReclaimable);
  run.IssueReclaim(e, {}, ClaimError::kExecutionNotReclaimable);
  run.Issue(e, {.worker = kWorker2}, ClaimError::kGrantAlreadyExists);
  run.Claim(e);
  run.Claim(e, {}, ClaimError::kExecutionNotLeaseable);  // the grant is consumed
}

// The execution is lost twice in a row. First its own worker reclaims it, and then another worker.
void LostTwiceInARow(Run& run) {
  Execution& e = run.Expired();
  run.IssueReclaim(e, {.worker = kWorker1});
  run.Reclaim(e, {.worker = kWorker1});
  run.Revoke(e);
  run.IssueReclaim(e, {.worker = kWorker2});
  run.Renew(e, {}, ClaimError::kLeaseRevoked);
  run.Reclaim(e, {.worker = kWorker2});
}

// Two executions of one lane and partition don't affect each other.
void Neighbours(Run& run) {
  Execution& first = run.Create();
  Execution& second = run.Create({}, &first);
  run.Issue(first);
  run.Issue(second, {.worker = kWorker2});
  run.Claim(first, {.worker = kWorker2}, ClaimError::kInvalidClaimGrant);
  run.Claim(second, {.worker = kWorker2});
  run.CheckStored(first);
  run.Claim(first);
  run.Complete(second);
  run.CheckStored(first);
  run.Complete(first);
  run.CheckStored(second);
}

// Another spelling of an id must name neither the execution itself nor a second one (1.8).
void OtherSpellings(Run& run) {
  Execution& e = run.Leased();
  ClaimLedger& ledger = run.ledger();
  const std::string text = "{fp:+" + e.expected.id.substr(4);
  const ExecutionIdView alias = ParseExecutionId(text, ParseMode::kLenient).id;
  const Worker worker = run.Named(kWorker1);
  const WorkerIdentity identity = {{worker.id}, {worker.instance}};
  const LaneIdView lane = LaneIdView::Unchecked(e.lane());
  const auto is_absent = [&](const char* call, ClaimError error) {
    run.CheckEqual(call, "execution_not_found", std::string(ErrorName(error)));
  };
  run.Check("inspected", !ledger.Inspect(alias) && !ledger.Inspect(ExecutionIdView()));
  is_absent("issue", ledger.IssueClaimGrant({alias, identity, lane, kLong}).error);
  is_absent("claim", ledger.Claim({alias, identity, lane, {}, kLong, {}}).error);
  is_absent("renew", ledger.Renew({alias, e.attempt_index, e.fence, kLong}).error);
  is_absent("revoke", ledger.Revoke({alias, {}}).error);
  is_absent("complete", ledger.Complete({alias, e.fence}).error);
  run.Check("marked",
            ledger.MarkLeaseExpiredIfDue(alias).already == AlreadySatisfied::kExecutionNotFound);
  run.CheckStored(e);
}

}  // namespace

void AddInvariantScenarios(std::vector<Scenario>& to) {
  to.push_back({"7.7", "life_with_every_turn", ALifeWithEveryTurn});
  to.push_back({"7.7", "grant_survives_every_failure", AGrantSurvivesEveryFailure});
  to.push_back({"7.7", "reclaim_after_reclaim", LostTwiceInARow});
  to.push_back({"7.7", "neighbours", Neighbours});
  to.push_back({"1.8", "other_spellings_are_not_found", OtherSpellings});
}

}  // namespace ffgrant::claims_conformance
