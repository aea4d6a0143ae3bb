// SPDX-License-Identifier: Apache-2.0
//
// Tests how an owner gives up its lease: valkey-functions.md sections 2 to 4, contract 7.5.

#include "testing/scenarios/cases/fences.h"
#include "testing/scenarios/run.h"
#include "testing/scenarios/scenario.h"

namespace ffgrant::claims_conformance {
namespace {

void CompletionEndsIt(Run& run) {
  Execution& e = run.Leased();
  run.Complete(e);
  run.Complete(e, {}, NotActive(e));
  run.Complete(e, OptionalFence(), NotActive(e), true);
}

void CompletionChecksInOrder(Run& run) { FencedChecksInOrder(run, CompleteWith); }
void CompletionWithAnOldFence(Run& run) { OldFenceIsStale(run, CompleteWith); }
void SuspensionChecksInOrder(Run& run) { FencedChecksInOrder(run, SuspendWith); }
void SuspensionWithAnOldFence(Run& run) { OldFenceIsStale(run, SuspendWith); }

// The override lets an absent fence pass, and nothing else.
void OperatorOverride(Run& run) {
  run.Complete(run.New(), OptionalFence(), ClaimError::kExecutionNotFound, true);
  Execution& created = run.Create();
  run.Complete(created, OptionalFence(), NotActive(created), true);
  Execution& revoked = run.RevokedOne();
  run.Complete(revoked, OptionalFence(), ClaimError::kLeaseRevoked, true);
  Execution& due = run.Leased(kShort);
  run.Pass(kShort + 1);
  run.Complete(due, OptionalFence(), ClaimError::kLeaseExpired, true);
  Execution& leased = run.Leased();
  for (const OptionalFence& fence : PartsOf(leased.fence)) {
    run.Complete(leased, fence, ClaimError::kPartialFenceTriple, true);
  }
  for (const OptionalFence& fence : WrongOnes(run, leased.fence)) {
    run.Complete(leased, fence, ClaimError::kStaleLease, true);
  }
  run.Complete(leased, OptionalFence(), {}, true);
}

void SuspensionReleasesTheLease(Run& run) {
  Execution& e = run.Leased();
  run.Suspend(e);
  run.Resume(e);
  Execution& delayed = run.Leased();
  run.Suspend(delayed);
  run.Resume(delayed, kLong);
  run.Resume(run.New(), kMaxTtlMs + 1, {ClaimError::kInvalidInput, {"delay_ms is out of range"}});
}

void CompletionAtTheEdge(Run& run) {
  Execution& good = run.Leased(100);
  run.Pass(99);
  run.Complete(good);
  Execution& late = run.Leased(100);
  run.Pass(100);
  run.Complete(late, {}, ClaimError::kLeaseExpired);
}

}  // namespace

void AddCompleteScenarios(std::vector<Scenario>& to) {
  to.push_back({"F2", "complete_ends_it", CompletionEndsIt});
  to.push_back({"F4", "complete_checks_in_order", CompletionChecksInOrder});
  to.push_back({"F4", "complete_by_an_operator", OperatorOverride});
  to.push_back({"7.7", "complete_at_the_edge", CompletionAtTheEdge, kExactTime});
  to.push_back({"7.7", "complete_with_the_fence_of_before_a_reclaim", CompletionWithAnOldFence});
  to.push_back({"7.5", "suspend_releases_the_lease", SuspensionReleasesTheLease});
  to.push_back({"7.5", "suspend_checks_in_order", SuspensionChecksInOrder});
  to.push_back({"7.7", "suspend_with_the_fence_of_before_a_reclaim", SuspensionWithAnOldFence});
}

}  // namespace ffgrant::claims_conformance
