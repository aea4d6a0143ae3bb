// SPDX-License-Identifier: Apache-2.0
//
// Tests how a lease is lost (contract 7.5).

#include "testing/scenarios/cases/fences.h"
#include "testing/scenarios/run.h"
#include "testing/scenarios/scenario.h"

namespace ffgrant::claims_conformance {
namespace {

void MarkingSaysWhyNot(Run& run) {
  run.MarkExpired(run.New(), AlreadySatisfied::kExecutionNotFound);
  run.MarkExpired(run.Create(), AlreadySatisfied::kNotActive);
  Execution& done = run.Leased();
  run.MarkExpired(done, AlreadySatisfied::kNotYetExpired);
  run.Complete(done);
  run.MarkExpired(done, AlreadySatisfied::kNotActive);
  Execution& suspended = run.Leased(kSoon);
  run.Suspend(suspended);
  run.Pass(kSoon + 1);
  run.MarkExpired(suspended, AlreadySatisfied::kNotActive);
  Execution& revoked = run.Leased(kShort);
  run.Revoke(revoked);
  run.Pass(kShort + 1);
  run.MarkExpired(revoked, AlreadySatisfied::kAlreadyRevoked);
}

void MarkingOnce(Run& run) {
  Execution& e = run.Leased(kShort);
  run.Pass(kShort + 1);
  run.MarkExpired(e);
  run.MarkExpired(e, AlreadySatisfied::kAlreadyExpired);
  run.Revoke(e, {}, {}, AlreadySatisfied::kAlreadyExpired);
}

void MarkingAtTheEdge(Run& run) {
  Execution& e = run.Leased(100);
  run.Pass(99);
  run.MarkExpired(e, AlreadySatisfied::kNotYetExpired);
  run.Pass(1);
  run.MarkExpired(e);
}

// The execution is active and has no owner. Only an edit of the stored keys makes such an
// execution.
void MarkingOfAnUnownedOne(Run& run) {
  Execution& e = run.Leased(kShort);
  run.Pass(kShort + 1);
  run.store().SetField(e.expected.ExecutionKey("core"), "ownership_state", "unowned");
  e.expected.core.insert_or_assign("ownership_state", "unowned");
  e.expected.sorted_sets.erase(e.expected.IndexKey("lease_expiry"));  // the call removes it
  run.MarkExpired(e, AlreadySatisfied::kUnowned);
}

void TheLateOwnerMarksIt(Run& run) {
  for (const FencedCall call : {RenewWith, SuspendWith, CompleteWith}) {
    Execution& e = run.Leased(kShort);
    run.Pass(kShort + 1);
    // A reclaim is possible only once the lease is marked as expired.
    run.IssueReclaim(e, {.worker = kWorker2}, ClaimError::kExecutionNotReclaimable);
    run.Reclaim(e, {.worker = kWorker2}, ClaimError::kExecutionNotReclaimable);
    call(run, e, {}, ClaimError::kLeaseExpired);
    run.MarkExpired(e, AlreadySatisfied::kAlreadyExpired);
    run.IssueReclaim(e);
  }
}

void Revoking(Run& run) {
  Execution& e = run.Leased();
  const std::string current = e.expected.Field("current_lease_id");
  const std::string text = "00000000-0000-4000-8000-000000000063";
  const LeaseId other = {ParseUuid(text, ParseMode::kStrict).uuid};
  run.Revoke(e, other,
             {ClaimError::kStaleLease, {"expected " + text + " but current is " + current}});
  run.Revoke(e, e.fence.lease_id);
  // Once the lease is revoked, any expected lease gets the same answer.
  run.Revoke(e, other, {}, AlreadySatisfied::kAlreadyRevoked);
  run.Revoke(e, {}, {}, AlreadySatisfied::kAlreadyRevoked);
}

void RevokingNeedsALease(Run& run) {
  run.Revoke(run.New(), {}, ClaimError::kExecutionNotFound);
  Execution& created = run.Create();
  run.Revoke(created, {}, NotActive(created));
  Execution& done = run.Leased();
  run.Complete(done);
  run.Revoke(done, {}, NotActive(done));
  Execution& suspended = run.Leased();
  run.Suspend(suspended);
  run.Revoke(suspended, LeaseId{run.NextUuid()}, NotActive(suspended));
}

// Only an edit of the stored keys makes an active execution that has no owner.
void RevokingOfAnUnownedOne(Run& run) {
  Execution& e = run.Leased();
  run.store().SetField(e.expected.ExecutionKey("core"), "ownership_state", "unowned");
  e.expected.core.insert_or_assign("ownership_state", "unowned");
  run.Revoke(e, {}, ClaimError::kNoActiveLease);
  run.Revoke(e, LeaseId{run.NextUuid()}, ClaimError::kNoActiveLease);
}

// A lease whose time has ended, and which nobody has marked as expired, can still be revoked.
void RevokingAfterTheExpiry(Run& run) {
  Execution& e = run.Leased(kShort);
  run.Pass(kShort + 1);
  run.Revoke(e);
}

}  // namespace

void AddExpiryScenarios(std::vector<Scenario>& to) {
  to.push_back({"7.5", "mark_expired_says_why_not", MarkingSaysWhyNot});
  to.push_back({"7.5", "mark_expired_once", MarkingOnce});
  to.push_back({"7.5", "mark_expired_at_the_edge", MarkingAtTheEdge, kExactTime});
  to.push_back({"7.5", "mark_expired_of_an_unowned_one", MarkingOfAnUnownedOne, kStoredKeys});
  to.push_back({"7.5", "late_owner_marks_the_lease", TheLateOwnerMarksIt});
  to.push_back({"7.5", "revoke", Revoking});
  to.push_back({"7.5", "revoke_needs_a_lease", RevokingNeedsALease});
  to.push_back({"7.5", "revoke_of_an_unowned_one", RevokingOfAnUnownedOne, kStoredKeys});
  to.push_back({"7.5", "revoke_after_the_expiry", RevokingAfterTheExpiry});
}

}  // namespace ffgrant::claims_conformance
