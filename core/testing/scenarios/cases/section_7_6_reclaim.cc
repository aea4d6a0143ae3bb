// SPDX-License-Identifier: Apache-2.0
//
// Tests how an execution that its owner has lost is reclaimed (contract 7.6).

#include "testing/scenarios/cases/fences.h"
#include "testing/scenarios/run.h"
#include "testing/scenarios/scenario.h"

namespace ffgrant::claims_conformance {
namespace {

void OfAnExpiredOne(Run& run) {
  Execution& e = run.Expired();
  run.IssueReclaim(e, {.worker = kWorker2,
                       .capability_hash = "h",
                       .route_snapshot_json = "{}",
                       .admission_summary = "a"});
  run.Reclaim(e);
  run.Complete(e);
}

void OfARevokedOne(Run& run) {
  Execution& e = run.RevokedOne();
  run.IssueReclaim(e);
  run.Reclaim(e);
  run.Complete(e);
}

// A renewal gives the lease's key an expiry. The next lease's key has none before its own renewal.
void OfARenewedOne(Run& run) {
  Execution& expired = run.Leased(kLong);
  run.Renew(expired, {.ttl_ms = kShort});
  run.Pass(kShort + 1);
  run.MarkExpired(expired);
  Execution& revoked = run.Leased(kLong);
  run.Renew(revoked);
  run.Revoke(revoked);
  for (Execution* const e : {&expired, &revoked}) {
    run.IssueReclaim(*e);
    run.Reclaim(*e);
    run.Renew(*e);
    run.Complete(*e);
  }
}

void ByTheSameWorkerAndInstance(Run& run) {
  Execution& e = run.Expired();
  run.IssueReclaim(e, {.worker = kWorker1});
  run.Reclaim(e, {.worker = kWorker1});
}

void IssueChecksInOrder(Run& run) {
  Execution& absent = run.New();
  run.IssueReclaim(absent, {.ttl_ms = kMaxTtlMs + 1},
                   {ClaimError::kInvalidInput, {"grant_ttl_ms is out of range"}});
  run.IssueReclaim(absent, {}, ClaimError::kExecutionNotFound);
  const ExpectedAnswer not_reclaimable = ClaimError::kExecutionNotReclaimable;
  run.IssueReclaim(run.Create({.required = "gpu"}), {}, not_reclaimable);
  Execution& suspended = run.Leased();
  run.IssueReclaim(suspended, {}, not_reclaimable);
  run.Suspend(suspended);
  run.IssueReclaim(suspended, {}, not_reclaimable);
  Execution& done = run.Leased();
  run.Complete(done);
  run.IssueReclaim(done, {}, not_reclaimable);

  Execution& e = run.Create({.required = "arm,gpu"});
  run.Issue(e, {.offered = "arm,gpu"});
  run.Claim(e);
  run.Revoke(e);
  run.IssueReclaim(e, {.offered = "arm"}, {ClaimError::kCapabilityMismatch, {"gpu"}});
  run.IssueReclaim(e, {.worker = kWorker2, .offered = "arm,gpu"});
  run.IssueReclaim(e, {.offered = "arm"}, ClaimError::kGrantAlreadyExists);
  run.IssueReclaim(e, {.worker = kWorker2, .offered = "arm,gpu"}, ClaimError::kGrantAlreadyExists);
}

void ReclaimChecksInOrder(Run& run) {
  run.Reclaim(run.New(), {.ttl_ms = -kMaxTtlMs - 1},
              {ClaimError::kInvalidInput, {"lease_ttl_ms is out of range"}});
  run.Reclaim(run.New(), {}, ClaimError::kExecutionNotFound);
  const ExpectedAnswer not_reclaimable = ClaimError::kExecutionNotReclaimable;
  run.Reclaim(run.Create(), {.cap = 0}, not_reclaimable);
  Execution& leased = run.Leased();
  run.Reclaim(leased, {.cap = 0}, not_reclaimable);
  run.Suspend(leased);
  run.Reclaim(leased, {}, not_reclaimable);
  Execution& done = run.Leased();
  run.Complete(done);
  run.Reclaim(done, {}, not_reclaimable);

  Execution& e = run.RevokedOne();
  run.Reclaim(e, {.worker = kWorker2}, ClaimError::kInvalidClaimGrant);
  run.IssueReclaim(e);
  run.Reclaim(e, {.worker = kWorker1}, ClaimError::kInvalidClaimGrant);
  run.Reclaim(e, {.worker = {"w2", kWorker1Other.instance}, .lane = run.Name("other-lane")});
}

void AnElapsedGrantIsGone(Run& run) {
  Execution& e = run.Expired();
  run.IssueReclaim(e, {.worker = kWorker2, .ttl_ms = kShort});
  run.Pass(kShort + 1);
  run.Reclaim(e, {.worker = kWorker2}, ClaimError::kInvalidClaimGrant);
  run.IssueReclaim(e, {.worker = kWorker1});
  run.Reclaim(e, {.worker = kWorker1});
}

// A reclaim does not compare the expiry in the record: the grant ends only when its key expires.
void ARecordThatOutlivedItsTimeIsTaken(Run& run) {
  Execution& e = run.RevokedOne();
  run.IssueReclaim(e);
  const std::string key = e.expected.ExecutionKey("claim_grant");
  run.store().Persist(key);
  run.store().SetField(key, "grant_expires_at", std::to_string(run.engine().Now() - 1));
  run.Reclaim(e);
}

void TheCapComesBeforeTheGrant(Run& run) {
  Execution& without = run.RevokedOne();
  run.Reclaim(without, {.worker = kWorker2, .cap = 0}, {ClaimError::kMaxRetriesExhausted, {"0"}});
  run.Reclaim(without, {.worker = kWorker2}, ClaimError::kExecutionNotReclaimable);
  run.Complete(without, {}, NotActive(without));

  // The execution fails for good, and the grant of another worker stays.
  Execution& with = run.Expired();
  run.IssueReclaim(with);
  run.Reclaim(with, {.worker = kWorker1, .cap = 0}, {ClaimError::kMaxRetriesExhausted, {"0"}});
}

// The instance that lost the execution keeps it in its set of leases until the execution is
// reclaimed or fails for good, whoever asks for the reclaim.
void TheFormerInstanceLosesItWhoeverAsks(Run& run) {
  for (const Worker& worker : {kWorker1, kWorker1Other, kWorker2}) {
    Execution& reclaimed = run.Expired();
    run.IssueReclaim(reclaimed, {.worker = worker});
    run.Reclaim(reclaimed, {.worker = worker});
    Execution& failed = run.Expired();
    run.Reclaim(failed, {.worker = worker, .cap = 0}, {ClaimError::kMaxRetriesExhausted, {"0"}});
  }
}

// The last lease may have had another lane (contract 7.7, 5).
void FailsForGoodInItsOwnLane(Run& run) {
  Execution& e = run.RevokedOne(1);
  run.IssueReclaim(e);
  run.Reclaim(e, {.worker = kWorker2, .lane = run.Name("other-lane")});
  run.Revoke(e);
  run.IssueReclaim(e);
  run.Reclaim(e, {.worker = kWorker2, .lane = run.Name("other-lane")},
              {ClaimError::kMaxRetriesExhausted, {"1"}});
}

void CapsOfExecutionAndCall(Run& run) {
  // The execution's own cap wins over the call's cap.
  Execution& own = run.RevokedOne(1);
  run.IssueReclaim(own);
  run.Reclaim(own, {.worker = kWorker2, .cap = 0});
  run.Revoke(own);
  run.IssueReclaim(own);
  run.Reclaim(own, {.worker = kWorker2, .cap = 50}, {ClaimError::kMaxRetriesExhausted, {"1"}});
  // The call's cap is compared with the number of earlier reclaims.
  Execution& call = run.RevokedOne();
  run.IssueReclaim(call);
  run.Reclaim(call, {.worker = kWorker2, .cap = 1});
  run.Revoke(call);
  run.IssueReclaim(call);
  run.Reclaim(call, {.worker = kWorker2, .cap = 1}, {ClaimError::kMaxRetriesExhausted, {"1"}});
  Execution& zero = run.RevokedOne(0);
  run.Reclaim(zero, {}, {ClaimError::kMaxRetriesExhausted, {"0"}});
}

// Reclaims a revoked execution without naming a cap until it has failed for good. Returns a text
// with the number of reclaims and the cap, or with what went wrong. Does not compare the stored
// state with the expected one, because there are so many calls.
std::string ReclaimsWithoutACap(Run& run, const Execution& e, const CapabilitySet* offered) {
  const Worker worker = run.Named(kWorker2);
  const WorkerIdentity identity = {{worker.id}, {worker.instance}};
  const LaneIdView lane = LaneIdView::Unchecked(e.lane());
  for (int reclaims = 0; reclaims < 2000; ++reclaims) {
    IssueGrantArgs grant;
    grant.execution_id = e.id();
    grant.worker = identity;
    grant.lane = lane;
    grant.grant_ttl_ms = kLong;
    grant.offered = offered;
    const IssueOutcome issued = run.ledger().IssueReclaimGrant(grant);
    if (!issued) return "grant: " + std::string(ErrorName(issued.error));
    ErrorDetails details;
    const ClaimOutcome claimed = run.ledger().Reclaim(
        {e.id(), identity, lane, {run.NextUuid()}, kLong, {run.NextUuid()}}, &details);
    if (claimed.error == ClaimError::kMaxRetriesExhausted && details.size() == 1) {
      return std::to_string(reclaims) + " reclaims, cap " + std::string(details[0]);
    }
    if (!claimed) return std::string(ErrorName(claimed.error));
    if (!run.ledger().Revoke({e.id()})) return "not revoked";
  }
  return "no cap";
}

// If neither the execution nor the call names a cap, the cap is 1000, the number that FlowFabric's
// typed call sends by default.
void TheCapByDefault(Run& run) {
  run.CheckEqual("without a policy", "1000 reclaims, cap 1000",
                 ReclaimsWithoutACap(run, run.RevokedOne(), nullptr));
}

// Requirements are stored in a policy, and FlowFabric's policies always have a cap.
void TheCapOfAPolicy(Run& run) {
  Execution& e = run.Create({.required = "gpu"});
  run.Issue(e, {.offered = "gpu"});
  run.Claim(e);
  run.Revoke(e);
  CapabilitySet offered;
  run.Check("capabilities", offered.AssignOfferedCsv("gpu") == CapabilityError::kNone);
  run.CheckEqual("with requirements", "100 reclaims, cap 100",
                 ReclaimsWithoutACap(run, e, &offered));
  // A cap that is given is stored in the policy too.
  Execution& capped = run.Create({.required = "gpu", .cap = 1});
  run.Issue(capped, {.offered = "gpu"});
  run.Claim(capped);
  run.Revoke(capped);
  run.CheckEqual("with requirements and a cap", "1 reclaims, cap 1",
                 ReclaimsWithoutACap(run, capped, &offered));
}

void OfAResumedOne(Run& run) {
  Execution& e = run.Interrupted();
  run.Issue(e);
  run.ClaimResumed(e, {.ttl_ms = kShort});
  run.Pass(kShort + 1);
  run.MarkExpired(e);
  run.IssueReclaim(e);
  run.Reclaim(e);
}

}  // namespace

void AddReclaimScenarios(std::vector<Scenario>& to) {
  to.push_back({"7.6", "reclaim_of_an_expired_one", OfAnExpiredOne});
  to.push_back({"7.6", "reclaim_of_a_revoked_one", OfARevokedOne});
  to.push_back({"7.6", "reclaim_of_a_renewed_one", OfARenewedOne});
  to.push_back({"7.6", "reclaim_by_the_same_instance", ByTheSameWorkerAndInstance});
  to.push_back({"7.6", "reclaim_of_a_resumed_one", OfAResumedOne});
  to.push_back({"7.6", "issue_reclaim_checks_in_order", IssueChecksInOrder});
  to.push_back({"7.6", "reclaim_checks_in_order", ReclaimChecksInOrder});
  to.push_back({"7.6", "reclaim_after_the_grant_elapsed", AnElapsedGrantIsGone});
  to.push_back({"7.6", "reclaim_with_a_record_that_outlived_its_time",
                ARecordThatOutlivedItsTimeIsTaken, kStoredKeys});
  to.push_back({"7.6", "reclaim_cap_comes_before_the_grant", TheCapComesBeforeTheGrant});
  to.push_back(
      {"7.6", "reclaim_takes_it_from_the_former_instance", TheFormerInstanceLosesItWhoeverAsks});
  to.push_back({"7.6", "reclaim_fails_for_good_in_its_own_lane", FailsForGoodInItsOwnLane});
  to.push_back({"7.6", "reclaim_caps_of_execution_and_call", CapsOfExecutionAndCall});
  to.push_back({"7.6", "reclaim_cap_by_default", TheCapByDefault});
  to.push_back({"7.6", "reclaim_cap_of_a_policy", TheCapOfAPolicy});
}

}  // namespace ffgrant::claims_conformance
