// SPDX-License-Identifier: Apache-2.0
//
// Tests what renewal, suspension, completion and failure have in common: the checks of the caller's
// fence and of the lease (contract 7.4, valkey-functions 4).

#ifndef FFGRANT_TESTING_SCENARIOS_CASES_FENCES_H_
#define FFGRANT_TESTING_SCENARIOS_CASES_FENCES_H_

#include <optional>
#include <string>
#include <vector>

#include "testing/scenarios/run.h"

namespace ffgrant::claims_conformance {

// The ttl, in ms, of a lease that a call must still find alive on a busy machine. The scenario then
// waits for the end of this lease.
inline constexpr std::int64_t kSoon = 1500;

// A call that takes a fence. If none is given, it presents the last lease's fence.
using FencedCall = void (*)(Run&, Execution&, std::optional<OptionalFence>, const ExpectedAnswer&);

inline void RenewWith(Run& run, Execution& e, std::optional<OptionalFence> fence,
                      const ExpectedAnswer& answer) {
  run.Renew(e, {.fence = fence}, answer);
}
inline void SuspendWith(Run& run, Execution& e, std::optional<OptionalFence> fence,
                        const ExpectedAnswer& answer) {
  run.Suspend(e, fence, answer);
}
inline void CompleteWith(Run& run, Execution& e, std::optional<OptionalFence> fence,
                         const ExpectedAnswer& answer) {
  run.Complete(e, fence, answer);
}

inline void FailWith(Run& run, Execution& e, std::optional<OptionalFence> fence,
                     const ExpectedAnswer& answer) {
  run.Fail(e, {.fence = fence}, answer);
}

// Returns the six fences that have some parts of a whole fence and lack others.
inline std::vector<OptionalFence> PartsOf(const OptionalFence& whole) {
  std::vector<OptionalFence> parts;
  for (unsigned present = 1; present < 7; ++present) {
    OptionalFence part = whole;
    if ((present & 1u) == 0) part.lease_id.reset();
    if ((present & 2u) == 0) part.lease_epoch.reset();
    if ((present & 4u) == 0) part.attempt_id.reset();
    parts.push_back(part);
  }
  return parts;
}

// Returns whole fences in which one part, or every part, belongs to another lease.
inline std::vector<OptionalFence> WrongOnes(Run& run, const OptionalFence& right) {
  std::vector<OptionalFence> wrong(5, right);
  wrong[0].lease_id = LeaseId{run.NextUuid()};
  wrong[1].lease_epoch = LeaseEpoch{right.lease_epoch->value + 1};
  wrong[2].lease_epoch = LeaseEpoch{0};
  wrong[3].attempt_id = AttemptId{run.NextUuid()};
  wrong[4] = LeaseFence{{run.NextUuid()}, {7}, {run.NextUuid()}};
  return wrong;
}

// Returns execution_not_active with its details.
inline ExpectedAnswer NotActive(const Execution& e) {
  return {ClaimError::kExecutionNotActive,
          {e.expected.Field("terminal_outcome"), e.expected.Field("current_lease_epoch"),
           e.expected.Field("lifecycle_phase"), e.expected.Field("current_attempt_id")}};
}

// Tries every check that `call` shares with the other fenced calls, also where a later check would
// fail as well.
inline void FencedChecksInOrder(Run& run, FencedCall call) {
  const OptionalFence none;
  const OptionalFence unknown = LeaseFence{{run.NextUuid()}, {1}, {run.NextUuid()}};

  Execution& absent = run.New();
  for (const OptionalFence& fence : PartsOf(unknown)) {
    call(run, absent, fence, ClaimError::kExecutionNotFound);
  }
  call(run, absent, none, ClaimError::kExecutionNotFound);
  call(run, absent, unknown, ClaimError::kExecutionNotFound);

  // The shape of the fence is checked before the phase.
  Execution& runnable = run.Create();
  call(run, runnable, none, ClaimError::kFenceRequired);
  for (const OptionalFence& fence : PartsOf(unknown)) {
    call(run, runnable, fence, ClaimError::kPartialFenceTriple);
  }
  call(run, runnable, unknown, NotActive(runnable));

  Execution& done = run.Leased();
  run.Complete(done);
  call(run, done, none, ClaimError::kFenceRequired);
  call(run, done, {}, NotActive(done));
  Execution& suspended = run.Leased();
  run.Suspend(suspended);
  call(run, suspended, {}, NotActive(suspended));

  // The check for revoked comes before that for expired, and the check for expired before that for
  // stale.
  Execution& revoked = run.Leased(kShort);
  run.Revoke(revoked);
  run.Pass(kShort + 1);
  call(run, revoked, none, ClaimError::kFenceRequired);
  call(run, revoked, {}, ClaimError::kLeaseRevoked);
  call(run, revoked, unknown, ClaimError::kLeaseRevoked);
  Execution& due = run.Leased(kShort);
  run.Pass(kShort + 1);
  for (const OptionalFence& fence : PartsOf(due.fence)) {
    call(run, due, fence, ClaimError::kPartialFenceTriple);
  }
  call(run, due, unknown, ClaimError::kLeaseExpired);  // this call marks the lease
  call(run, due, {}, ClaimError::kLeaseExpired);
  Execution& due_too = run.Leased(kShort);
  run.Pass(kShort + 1);
  call(run, due_too, {}, ClaimError::kLeaseExpired);

  Execution& leased = run.Leased();
  call(run, leased, none, ClaimError::kFenceRequired);
  for (const OptionalFence& fence : PartsOf(leased.fence)) {
    call(run, leased, fence, ClaimError::kPartialFenceTriple);
  }
  for (const OptionalFence& fence : WrongOnes(run, leased.fence)) {
    call(run, leased, fence, ClaimError::kStaleLease);
  }
  call(run, leased, {}, {});
}

// 7.7 (7): after a reclaim the old fence is stale.
inline void OldFenceIsStale(Run& run, FencedCall call) {
  Execution& e = run.Expired();
  const OptionalFence old = e.fence;
  run.IssueReclaim(e);
  call(run, e, {}, ClaimError::kLeaseExpired);  // before the reclaim the lease is expired
  run.Reclaim(e);
  call(run, e, old, ClaimError::kStaleLease);
  call(run, e, {}, {});
}

}  // namespace ffgrant::claims_conformance

#endif  // FFGRANT_TESTING_SCENARIOS_CASES_FENCES_H_
