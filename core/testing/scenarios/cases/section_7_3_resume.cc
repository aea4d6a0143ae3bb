// SPDX-License-Identifier: Apache-2.0
//
// Tests how an execution whose attempt was interrupted is claimed (contract 7.3).

#include "testing/scenarios/run.h"
#include "testing/scenarios/scenario.h"

namespace ffgrant::claims_conformance {
namespace {

void KeepsTheAttempt(Run& run) {
  Execution& e = run.Interrupted();
  run.Issue(e, {.worker = kWorker2});
  run.ClaimResumed(e, {.worker = kWorker2});
  run.Complete(e);
}

void TtlComesFirst(Run& run) {
  run.ClaimResumed(run.New(), {.ttl_ms = kMaxTtlMs + 1},
                   {ClaimError::kInvalidInput, {"lease_ttl_ms is out of range"}});
}

void NeedsAnExecution(Run& run) { run.ClaimResumed(run.New(), {}, ClaimError::kExecutionNotFound); }

void NeedsItRunnable(Run& run) {
  const ExpectedAnswer not_leaseable = ClaimError::kExecutionNotLeaseable;
  run.ClaimResumed(run.Leased(), {}, not_leaseable);
  run.ClaimResumed(run.Expired(), {}, not_leaseable);  // interrupted, but active
  run.ClaimResumed(run.RevokedOne(), {}, not_leaseable);
  Execution& suspended = run.Leased();
  run.Suspend(suspended);
  run.ClaimResumed(suspended, {}, not_leaseable);
  Execution& done = run.Leased();
  run.Complete(done);
  run.ClaimResumed(done, {}, not_leaseable);
}

void NeedsItInterrupted(Run& run) {
  Execution& e = run.Create();
  run.ClaimResumed(e, {}, ClaimError::kNotAResumedExecution);  // before the check of the grant
  run.Issue(e);
  run.ClaimResumed(e, {}, ClaimError::kNotAResumedExecution);
  run.Claim(e);
}

void NeedsItsOwnGrant(Run& run) {
  Execution& e = run.Interrupted();
  run.ClaimResumed(e, {}, ClaimError::kInvalidClaimGrant);
  run.Issue(e);
  run.ClaimResumed(e, {.worker = kWorker2}, ClaimError::kInvalidClaimGrant);
  run.ClaimResumed(e, {.worker = kWorker1Other, .lane = run.Name("other-lane")});
}

void AnElapsedGrantIsGone(Run& run) {
  Execution& e = run.Interrupted();
  run.Issue(e, {.ttl_ms = kShort});
  run.Pass(kShort + 1);
  run.ClaimResumed(e, {}, ClaimError::kInvalidClaimGrant);
}

// This is the only case in which a failing call deletes a grant (7.7, 2).
void ARecordThatOutlivedItsTimeIsDeleted(Run& run) {
  Execution& e = run.Interrupted();
  run.Issue(e);
  const std::string key = e.expected.ExecutionKey("claim_grant");
  run.store().Persist(key);
  run.store().SetField(key, "grant_expires_at", std::to_string(run.engine().Now() - 1));
  const std::string before = run.store().Describe(key);
  e.expected.GrantGone();
  const Worker other = run.Named(kWorker2);
  const auto claim = [&](const Worker& worker) {
    ErrorDetails details;
    return std::string(ErrorName(run.ledger()
                                     .ClaimResumed({e.id(),
                                                    {{worker.id}, {worker.instance}},
                                                    LaneIdView::Unchecked(e.lane()),
                                                    {run.NextUuid()},
                                                    kLong},
                                                   &details)
                                     .error));
  };
  // A claim by another worker does not delete the grant: the check of the worker fails first,
  // before the check of the expiry.
  run.CheckEqual("claim by another", "invalid_claim_grant", claim(other));
  run.CheckEqual("the grant", before, run.store().Describe(key));
  run.CheckEqual("claim", "claim_grant_expired", claim(run.Named(kWorker1)));
  run.CheckStored(e);
}

void ResumedAgainAndAgain(Run& run) {
  Execution& e = run.Interrupted();
  for (int i = 0; i < 3; ++i) {
    run.Issue(e);
    run.ClaimResumed(e);
    run.Renew(e);
    run.Suspend(e);
    run.Resume(e, -i);  // a delay of 0 or less is no delay
  }
}

void DelayedResumption(Run& run) {
  Execution& e = run.Leased();
  run.Suspend(e);
  run.Resume(e, kLong);
  run.Claim(e, {}, ClaimError::kExecutionNotLeaseable);
  // Contract 7.3 has no eligibility check: what is missing here is the grant.
  run.ClaimResumed(e, {}, ClaimError::kInvalidClaimGrant);
}

void ResumeNeedsASuspension(Run& run) {
  run.Resume(run.New(), 0, ClaimError::kExecutionNotFound);
  run.Resume(run.Create(), 0, ClaimError::kExecutionNotSuspended);
  run.Resume(run.Leased(), 0, ClaimError::kExecutionNotSuspended);
  Execution& e = run.Interrupted();
  run.Resume(e, 0, ClaimError::kExecutionNotSuspended);
}

}  // namespace

void AddResumeScenarios(std::vector<Scenario>& to) {
  to.push_back({"7.3", "claim_resumed_keeps_the_attempt", KeepsTheAttempt});
  to.push_back({"7.3", "claim_resumed_checks_the_ttl_first", TtlComesFirst});
  to.push_back({"7.3", "claim_resumed_needs_an_execution", NeedsAnExecution});
  to.push_back({"7.3", "claim_resumed_needs_it_runnable", NeedsItRunnable});
  to.push_back({"7.3", "claim_resumed_needs_it_interrupted", NeedsItInterrupted});
  to.push_back({"7.3", "claim_resumed_needs_its_own_grant", NeedsItsOwnGrant});
  to.push_back({"7.3", "claim_resumed_after_the_grant_elapsed", AnElapsedGrantIsGone});
  to.push_back({"7.3", "claim_resumed_deletes_a_record_that_outlived_its_time",
                ARecordThatOutlivedItsTimeIsDeleted, kStoredKeys});
  to.push_back({"7.3", "claim_resumed_again_and_again", ResumedAgainAndAgain});
  to.push_back({"7.3", "claim_resumed_of_a_delayed_one", DelayedResumption});
  to.push_back({"7.3", "resume_needs_a_suspension", ResumeNeedsASuspension});
}

}  // namespace ffgrant::claims_conformance
