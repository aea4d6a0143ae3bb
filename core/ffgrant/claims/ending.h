// SPDX-License-Identifier: Apache-2.0
//
// How a worker ends what it has claimed: it completes, or it fails and a retry policy says
// what comes next (core/contract/live-observed.md, 1 to 3).
//
//   const Outcome ended = CompleteOnce(ledger, {.execution_id = id, .fence = lease.fence}, bytes);
//
// A call whose answer was lost may have happened. It can be made again with the same fence:
// the second one is then refused with kExecutionNotActive, and the details say whether it
// was the first one that ended the execution.

#ifndef FFGRANT_CLAIMS_ENDING_H_
#define FFGRANT_CLAIMS_ENDING_H_

#include <optional>
#include <string_view>

#include "ffgrant/claims/claim_ledger.h"
#include "ffgrant/config.h"

FFGRANT_API_BEGIN
namespace ffgrant {

// Whether `error` and `details`, the answer to a Complete() with `fence`, say that an
// earlier one with the same fence has completed the execution.
bool HasCompleted(const OptionalFence& fence, ClaimError error,
                  const ErrorDetails& details) noexcept;
// Whether they say, as the answer to a Fail(), that an earlier one has ended the attempt; if
// so, the outcome of the earlier one.
std::optional<FailOutcome> HasFailed(const OptionalFence& fence, ClaimError error,
                                     const ErrorDetails& details) noexcept;

// How often a call is made that ends an execution.
inline constexpr int kEndingTries = 3;

// Complete() with a result, made again after kUnknownOutcome or kUnavailable, kEndingTries
// times in all, and success if an earlier one has happened, as in FlowFabric's SDK. Takes up
// to so many times the ledger's own limit; the errors are Complete()'s. Keep renewing the
// lease meanwhile. For a ledger that takes a result (valkey::ValkeyLedger). Thread-safe as
// the ledger is.
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

// Fail() in the same way, on any ledger; the errors are its own. For a retry that an earlier
// call has scheduled, `delay_until` is 0.
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
