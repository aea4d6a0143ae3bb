// SPDX-License-Identifier: Apache-2.0
//
// A worker ends its attempt at an execution in one of two ways: the execution completes, or the
// attempt fails and a retry policy says what comes next (core/contract/live-observed.md, 1 to 3).
//
//   const Outcome ended = CompleteOnce(ledger, {.execution_id = id, .fence = lease.fence}, bytes);
//
// A call whose answer was lost may have happened. It can be made again with the same fence. If the
// first call has happened and nobody has claimed a retry since, the second one is refused with
// kExecutionNotActive, and the details say whether it was the first call that ended the execution
// or its attempt.

#ifndef FFGRANT_CLAIMS_ENDING_H_
#define FFGRANT_CLAIMS_ENDING_H_

#include <optional>
#include <string_view>

#include "ffgrant/claims/claim_ledger.h"
#include "ffgrant/config.h"

FFGRANT_API_BEGIN
namespace ffgrant {

// `error` and `details` are the answer to a Complete() with `fence`. Returns whether they say that
// an earlier Complete() with the same fence has completed the execution.
bool HasCompleted(const OptionalFence& fence, ClaimError error,
                  const ErrorDetails& details) noexcept;
// `error` and `details` are the answer to a Fail() with `fence`. If they say that an earlier Fail()
// has ended the attempt, returns the outcome of that earlier call, with a `delay_until` of 0; if
// they do not, returns nothing. The end of an execution that was reclaimed too often looks the same
// to the worker that has lost the last lease.
std::optional<FailOutcome> HasFailed(const OptionalFence& fence, ClaimError error,
                                     const ErrorDetails& details) noexcept;

// How often CompleteOnce() and FailOnce() make their call at most.
inline constexpr int kEndingTries = 3;

// Calls Complete() with a result. Repeats the call after kUnknownOutcome or kUnavailable, up to
// kEndingTries calls in all, and returns success if an earlier call with the same fence has
// happened, as FlowFabric's SDK does. Takes up to kEndingTries times the ledger's own time limit.
// Returns the errors that Complete() returns. Keep renewing the lease meanwhile. The ledger's
// Complete() must take a result as its second argument, like Complete() of valkey::ValkeyLedger.
// Thread-safe if the ledger is.
template <class Ledger>
Outcome CompleteOnce(Ledger& ledger, const CompleteArgs& args, std::string_view result,
                     ErrorDetails* details = nullptr) noexcept {
  ErrorDetails own;
  ErrorDetails& why = details == nullptr ? own : *details;
  Outcome outcome;
  for (int i = 0; i < kEndingTries; ++i) {
    outcome = ledger.Complete(args, result, &why);
    if (HasCompleted(args.fence, outcome.error, why)) return {};
    if (outcome.error != ClaimError::kUnknownOutcome && outcome.error != ClaimError::kUnavailable) {
      break;
    }
  }
  return outcome;
}

// Calls Fail() on any ledger, and repeats the call as CompleteOnce() repeats Complete(). Returns
// the errors that Fail() returns. If an earlier call has scheduled the retry, `delay_until` is 0.
template <class Ledger>
FailOutcome FailOnce(Ledger& ledger, const FailArgs& args,
                     ErrorDetails* details = nullptr) noexcept {
  ErrorDetails own;
  ErrorDetails& why = details == nullptr ? own : *details;
  FailOutcome outcome;
  for (int i = 0; i < kEndingTries; ++i) {
    outcome = ledger.Fail(args, &why);
    if (const auto earlier = HasFailed(args.fence, outcome.error, why)) return *earlier;
    if (outcome.error != ClaimError::kUnknownOutcome && outcome.error != ClaimError::kUnavailable) {
      break;
    }
  }
  return outcome;
}

}  // namespace ffgrant
FFGRANT_API_END

#endif  // FFGRANT_CLAIMS_ENDING_H_
