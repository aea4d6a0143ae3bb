// SPDX-License-Identifier: Apache-2.0
//
// Tests how a claim grant is consumed (contract 7.2).

#include "testing/scenarios/run.h"
#include "testing/scenarios/scenario.h"

namespace ffgrant::claims_conformance {
namespace {

void ConsumesTheGrantAndLeases(Run& run) {
  Execution& e = run.Create({.priority = 5});
  run.Issue(e);
  run.Claim(e);
}

void TtlComesFirst(Run& run) {
  Execution& absent = run.New();
  run.Claim(absent, {.ttl_ms = kMaxTtlMs + 1},
            {ClaimError::kInvalidInput, {"lease_ttl_ms is out of range"}});
  Execution& e = run.Create();
  run.Issue(e);
  run.Claim(e, {.ttl_ms = -kMaxTtlMs - 1},
            {ClaimError::kInvalidInput, {"lease_ttl_ms is out of range"}});
  run.Claim(e);
}

void NeedsAnExecution(Run& run) { run.Claim(run.New(), {}, ClaimError::kExecutionNotFound); }

void NeedsARunnableEligibleExecution(Run& run) {
  const ExpectedAnswer not_leaseable = ClaimError::kExecutionNotLeaseable;
  run.Claim(run.Create({.delay_until = TimestampMs{run.engine().Now() + kLong}}), {},
            not_leaseable);
  run.Claim(run.Leased(), {}, not_leaseable);
  run.Claim(run.Expired(), {}, not_leaseable);
  run.Claim(run.RevokedOne(), {}, not_leaseable);
  Execution& suspended = run.Leased();
  run.Suspend(suspended);
  run.Claim(suspended, {}, not_leaseable);
  run.Resume(suspended, kLong);
  run.Claim(suspended, {}, not_leaseable);
  Execution& done = run.Leased();
  run.Complete(done);
  run.Claim(done, {}, not_leaseable);
}

void AnInterruptedAttemptIsResumed(Run& run) {
  Execution& e = run.Interrupted();
  run.Claim(e, {}, ClaimError::kUseClaimResumedExecution);  // before the check of the grant
  run.Issue(e);
  run.Claim(e, {}, ClaimError::kUseClaimResumedExecution);
  run.Claim(e, {.worker = kWorker2}, ClaimError::kUseClaimResumedExecution);
  run.ClaimResumed(e);
}

void NeedsItsOwnGrant(Run& run) {
  Execution& e = run.Create();
  run.Claim(e, {}, ClaimError::kInvalidClaimGrant);
  run.Issue(e);
  run.Claim(e, {.worker = kWorker2}, ClaimError::kInvalidClaimGrant);
  run.Claim(e);
}

void TheWorkerIdAloneBinds(Run& run) {
  Execution& e = run.Create();
  run.Issue(e);
  run.Claim(e, {.worker = kWorker1Other});
  Execution& other_lane = run.Create();
  run.Issue(other_lane);
  run.Claim(other_lane, {.worker = kWorker1Other, .lane = run.Name("other-lane")});
}

void AnElapsedGrantIsGone(Run& run) {
  Execution& e = run.Create();
  run.Issue(e, {.ttl_ms = kShort});
  run.Pass(kShort + 1);
  run.Claim(e, {}, ClaimError::kInvalidClaimGrant);
}

void TheEdgeOfAGrant(Run& run) {
  Execution& good = run.Create();
  run.Issue(good, {.ttl_ms = 100});
  Execution& late = run.Create();
  run.Issue(late, {.ttl_ms = 99});
  run.Pass(100);
  run.Claim(late, {}, ClaimError::kInvalidClaimGrant);
  run.Claim(good);
}

// The record of the grant has outlived its own time. Only an edit of the stored keys makes such a
// record.
void ARecordThatOutlivedItsTime(Run& run) {
  Execution& e = run.Create();
  run.Issue(e);
  const std::string key = e.expected.ExecutionKey("claim_grant");
  run.store().Persist(key);
  run.store().SetField(key, "grant_expires_at", std::to_string(run.engine().Now() - 1));
  const std::string before = run.store().Describe(key);
  ErrorDetails details;
  const Worker worker = run.Named(kWorker1);
  const ClaimArgs args = {e.id(),
                          {{worker.id}, {worker.instance}},
                          LaneIdView::Unchecked(e.lane()),
                          {run.NextUuid()},
                          kLong,
                          {run.NextUuid()}};
  run.CheckEqual("claim", "claim_grant_expired",
                 std::string(ErrorName(run.ledger().Claim(args, &details).error)));
  run.CheckEqual("the grant", before, run.store().Describe(key));
  // For a claim by another worker, the check of the worker fails first, before the check of the
  // expiry.
  const Worker other = run.Named(kWorker2);
  ClaimArgs of_other = args;
  of_other.worker = {{other.id}, {other.instance}};
  run.CheckEqual("claim by another", "invalid_claim_grant",
                 std::string(ErrorName(run.ledger().Claim(of_other, &details).error)));
  run.CheckEqual("the grant", before, run.store().Describe(key));
}

void FirstLeaseOfAFewTtls(Run& run) {
  // A renewal deadline is two thirds of the ttl away, rounded down to a whole millisecond.
  for (const std::int64_t ttl : {kLong, kLong + 1, kLong + 2}) run.Leased(ttl);
}

}  // namespace

void AddClaimScenarios(std::vector<Scenario>& to) {
  to.push_back({"7.2", "claim_consumes_the_grant_and_leases", ConsumesTheGrantAndLeases});
  to.push_back({"7.2", "claim_checks_the_ttl_first", TtlComesFirst});
  to.push_back({"7.2", "claim_needs_an_execution", NeedsAnExecution});
  to.push_back({"7.2", "claim_needs_it_runnable_and_eligible", NeedsARunnableEligibleExecution});
  to.push_back({"7.2", "claim_sends_the_interrupted_to_resume", AnInterruptedAttemptIsResumed});
  to.push_back({"7.2", "claim_needs_its_own_grant", NeedsItsOwnGrant});
  to.push_back({"7.2", "claim_is_bound_by_the_worker_id_alone", TheWorkerIdAloneBinds});
  to.push_back({"7.2", "claim_after_the_grant_elapsed", AnElapsedGrantIsGone});
  to.push_back({"7.2", "claim_at_the_edge_of_a_grant", TheEdgeOfAGrant, kExactTime});
  to.push_back(
      {"7.2", "claim_of_a_record_that_outlived_its_time", ARecordThatOutlivedItsTime, kStoredKeys});
  to.push_back({"7.2", "claim_computes_the_renewal_deadline", FirstLeaseOfAFewTtls});
}

}  // namespace ffgrant::claims_conformance
