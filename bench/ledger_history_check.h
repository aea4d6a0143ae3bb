// SPDX-License-Identifier: Apache-2.0
//
// Plays one long random history against core's ledger and another ledger, and compares each answer.

#ifndef FFGRANT_BENCH_LEDGER_HISTORY_CHECK_H_
#define FFGRANT_BENCH_LEDGER_HISTORY_CHECK_H_

#include <cstddef>
#include <string_view>

#include "ffgrant/claims/clock.h"
#include "testing/calls/driver.h"

namespace ffgrant::bench {

namespace history {

inline constexpr std::size_t kSteps = 40'000;
// This many executions are in use at a time. The window moves on by one execution every
// kStepsPerMove steps, since an execution whose lease ran out can't be completed any more.
inline constexpr std::size_t kWindow = 200;
inline constexpr std::size_t kStepsPerMove = 20;
inline constexpr std::size_t kExecutions = kWindow + kSteps / kStepsPerMove;

// `Ledger` has the signatures of StoreLedger (map_ledger.h).
template <class Ledger>
testing::Answer Make(Ledger& ledger, const testing::Call& call) {
  namespace calls = testing::calls;
  using testing::AnswerOf;
  if (const auto* c = call.As<calls::Create>()) return AnswerOf(ledger.CreateExecution(c->args));
  if (const auto* c = call.As<calls::Issue>()) return AnswerOf(ledger.IssueClaimGrant(c->args));
  if (const auto* c = call.As<calls::Claim>()) return AnswerOf(ledger.Claim(c->args));
  if (const auto* c = call.As<calls::Complete>()) {
    const OptionalFence& fence = c->args.fence;
    return AnswerOf(ledger.Complete(c->args.execution_id,
                                    {*fence.lease_id, *fence.lease_epoch, *fence.attempt_id}));
  }
  return AnswerOf(ledger.Forget(call.As<calls::Forget>()->args));
}

// Ends the process at the first difference. `other` makes a call on the other ledger. Both ledgers
// have their time from `clock`.
void CheckAgainstCore(std::string_view name, ManualClock& clock, testing::Driver::Maker other);

}  // namespace history

// Compares core's ledger with a new `Ledger`, which has the signatures of StoreLedger and its
// constructor.
template <class Ledger>
void CheckLedgerAgainstCore(std::string_view name) {
  ManualClock clock(TimestampMs{1'700'000'000'000});
  Ledger ledger(history::kExecutions, clock);
  history::CheckAgainstCore(
      name, clock, [&ledger](const testing::Call& call) { return history::Make(ledger, call); });
}

}  // namespace ffgrant::bench

#endif  // FFGRANT_BENCH_LEDGER_HISTORY_CHECK_H_
