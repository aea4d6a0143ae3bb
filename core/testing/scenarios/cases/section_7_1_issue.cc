// SPDX-License-Identifier: Apache-2.0
//
// Tests how a claim grant is issued (contract 7.1).

#include "testing/scenarios/run.h"
#include "testing/scenarios/scenario.h"

namespace ffgrant::claims_conformance {
namespace {

void WritesTheGrantAlone(Run& run) {
  Execution& e = run.Create();
  run.Issue(e, {.capability_hash = "hash 1",
                .route_snapshot_json = R"({"route":[1,"two"]})",
                .admission_summary = "admitted"});
  run.Issue(run.Create(), {.ttl_ms = kMaxTtlMs});
}

void TtlComesFirst(Run& run) {
  Execution& absent = run.New();
  run.Issue(absent, {.ttl_ms = kMaxTtlMs + 1},
            {ClaimError::kInvalidInput, {"grant_ttl_ms is out of range"}});
  run.Issue(absent, {.ttl_ms = -kMaxTtlMs - 1},
            {ClaimError::kInvalidInput, {"grant_ttl_ms is out of range"}});
}

void NeedsAnExecution(Run& run) { run.Issue(run.New(), {}, ClaimError::kExecutionNotFound); }

void NeedsARunnableEligibleExecution(Run& run) {
  const ExpectedAnswer not_eligible = ClaimError::kExecutionNotEligible;
  run.Issue(run.Create({.delay_until = TimestampMs{run.engine().Now() + kLong}}), {}, not_eligible);
  run.Issue(run.Leased(), {}, not_eligible);
  run.Issue(run.Expired(), {}, not_eligible);
  run.Issue(run.RevokedOne(), {}, not_eligible);
  Execution& suspended = run.Leased();
  run.Suspend(suspended);
  run.Issue(suspended, {}, not_eligible);
  run.Resume(suspended, kLong);
  run.Issue(suspended, {}, not_eligible);
  Execution& done = run.Leased();
  run.Complete(done);
  run.Issue(done, {}, not_eligible);
}

void OneGrantAtATime(Run& run) {
  Execution& e = run.Create();
  run.Issue(e);
  run.Issue(e, {}, ClaimError::kGrantAlreadyExists);
  run.Issue(e, {.worker = kWorker2}, ClaimError::kGrantAlreadyExists);
}

void LooksIntoTheCallersLane(Run& run) {
  Execution& e = run.Create();
  run.Issue(e, {.lane = run.Name("other-lane")}, ClaimError::kExecutionNotInEligibleSet);
}

void CapabilitiesMustBeMet(Run& run) {
  Execution& e = run.Create({.required = "arm,gpu,zz"});
  run.Issue(e, {.offered = "arm"}, {ClaimError::kCapabilityMismatch, {"gpu,zz"}});
  run.Issue(e, {}, {ClaimError::kCapabilityMismatch, {"arm,gpu,zz"}});
  run.Issue(e, {.offered = "gpu,gpu2,zz"}, {ClaimError::kCapabilityMismatch, {"arm"}});
  run.Issue(e, {.offered = "zz,arm,more,gpu"});
}

void CapabilitiesAreNotAskedForInVain(Run& run) {
  run.Issue(run.Create({.required = ""}), {.offered = "gpu"});
  run.Issue(run.Create(), {.offered = ""});
}

void ChecksInOrder(Run& run) {
  // Up to the grant, each call passes more checks than the call before it. Each of the last two
  // Issue() calls fails several checks, of which the first is reported.
  Execution& e = run.New();
  run.Issue(e, {.ttl_ms = kMaxTtlMs + 1, .lane = run.Name("other-lane")},
            {ClaimError::kInvalidInput, {"grant_ttl_ms is out of range"}});
  run.Issue(e, {.lane = run.Name("other-lane")}, ClaimError::kExecutionNotFound);
  Execution& created = run.Create({.required = "gpu"});
  run.Issue(created, {.lane = run.Name("other-lane")}, ClaimError::kExecutionNotInEligibleSet);
  run.Issue(created, {}, {ClaimError::kCapabilityMismatch, {"gpu"}});
  run.Issue(created, {.offered = "gpu"});
  run.Issue(created, {.lane = run.Name("other-lane")}, ClaimError::kGrantAlreadyExists);
  run.Claim(created);
  run.Issue(created, {.lane = run.Name("other-lane")}, ClaimError::kExecutionNotEligible);
}

void AnElapsedGrantMakesRoom(Run& run) {
  Execution& e = run.Create();
  run.Issue(e, {.ttl_ms = kShort});
  run.Pass(kShort + 1);
  run.Issue(e, {.worker = kWorker2});
  run.Claim(e, {}, ClaimError::kInvalidClaimGrant);
  run.Claim(e, {.worker = kWorker2});
}

void TheEdgeOfAGrant(Run& run) {
  Execution& e = run.Create();
  run.Issue(e, {.ttl_ms = 100});
  run.Pass(100);  // 7.7 (6): a grant is good in the millisecond of its expiry
  run.Issue(e, {.worker = kWorker2}, ClaimError::kGrantAlreadyExists);
  run.Pass(1);
  run.Issue(e, {.worker = kWorker2});
}

void BatchesAnswerAsSingleCallsDo(Run& run) {
  Execution& first = run.Create();
  Execution& second = run.Create();
  Execution& absent = run.New();
  const Worker worker = run.Named(kWorker1);
  const auto issue = [&](Execution& e, std::int64_t ttl_ms) {
    IssueGrantArgs args;
    args.execution_id = e.id();
    args.worker = {{worker.id}, {worker.instance}};
    args.lane = LaneIdView::Unchecked(e.lane());
    args.grant_ttl_ms = ttl_ms;
    return args;
  };
  const std::vector<IssueGrantArgs> issues = {issue(first, kLong), issue(absent, kLong),
                                              issue(first, kLong), issue(second, kMaxTtlMs + 1),
                                              issue(second, kLong)};
  std::vector<IssueOutcome> issued(issues.size());
  run.ledger().IssueClaimGrants(issues, issued);
  const ClaimError kIssued[] = {ClaimError::kNone, ClaimError::kExecutionNotFound,
                                ClaimError::kGrantAlreadyExists, ClaimError::kInvalidInput,
                                ClaimError::kNone};
  for (std::size_t i = 0; i < issued.size(); ++i) {
    run.CheckEqual("issue " + std::to_string(i), std::string(ErrorName(kIssued[i])),
                   std::string(ErrorName(issued[i].error)));
  }
  const auto claim = [&](Execution& e) {
    return ClaimArgs{e.id(),
                     {{worker.id}, {worker.instance}},
                     LaneIdView::Unchecked(e.lane()),
                     {run.NextUuid()},
                     kLong,
                     {run.NextUuid()}};
  };
  const std::vector<ClaimArgs> claims = {claim(second), claim(absent), claim(first), claim(first)};
  std::vector<ClaimOutcome> claimed(claims.size());
  run.ledger().ClaimBatch(claims, claimed);
  const ClaimError kClaimed[] = {ClaimError::kNone, ClaimError::kExecutionNotFound,
                                 ClaimError::kNone, ClaimError::kExecutionNotLeaseable};
  for (std::size_t i = 0; i < claimed.size(); ++i) {
    run.CheckEqual("claim " + std::to_string(i), std::string(ErrorName(kClaimed[i])),
                   std::string(ErrorName(claimed[i].error)));
    if (!claimed[i]) continue;
    run.Check("lease id", claimed[i].lease.fence.lease_id == claims[i].lease_id);
    run.Check("attempt id", claimed[i].lease.fence.attempt_id == claims[i].attempt_id);
  }
  run.ledger().IssueClaimGrants({}, {});
  run.ledger().ClaimBatch({}, {});
}

}  // namespace

void AddIssueScenarios(std::vector<Scenario>& to) {
  to.push_back({"7.1", "issue_writes_the_grant_alone", WritesTheGrantAlone});
  to.push_back({"7.1", "issue_checks_the_ttl_first", TtlComesFirst});
  to.push_back({"7.1", "issue_needs_an_execution", NeedsAnExecution});
  to.push_back({"7.1", "issue_needs_it_runnable_and_eligible", NeedsARunnableEligibleExecution});
  to.push_back({"7.1", "issue_gives_one_grant_at_a_time", OneGrantAtATime});
  to.push_back({"7.1", "issue_looks_into_the_callers_lane", LooksIntoTheCallersLane});
  to.push_back({"7.1", "issue_wants_the_capabilities", CapabilitiesMustBeMet});
  to.push_back({"7.1", "issue_without_requirements", CapabilitiesAreNotAskedForInVain});
  to.push_back({"7.1", "issue_checks_in_order", ChecksInOrder});
  to.push_back({"7.1", "issue_again_after_a_grant_elapsed", AnElapsedGrantMakesRoom});
  to.push_back({"7.1", "issue_at_the_edge_of_a_grant", TheEdgeOfAGrant, kExactTime});
  to.push_back({"7.1", "batches_answer_as_single_calls", BatchesAnswerAsSingleCallsDo});
}

}  // namespace ffgrant::claims_conformance
