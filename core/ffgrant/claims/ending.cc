// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/claims/ending.h"

#include <array>

#include "ffgrant/internal/concat.h"

namespace ffgrant {
namespace {

// Returns whether `error` is kExecutionNotActive and the epoch in `details` is the epoch of
// `fence`. The details of this error are [outcome, epoch, phase, attempt id].
bool IsOfEpoch(const OptionalFence& fence, ClaimError error, const ErrorDetails& details) noexcept {
  return error == ClaimError::kExecutionNotActive && details.size() == 4 && fence.lease_epoch &&
         details[1] == internal::Decimal(fence.lease_epoch->value).view();
}

bool IsOfAttempt(const OptionalFence& fence, const ErrorDetails& details) noexcept {
  if (!fence.attempt_id) return false;
  std::array<char, kUuidTextSize> text;
  FormatUuid(fence.attempt_id->uuid, text);
  return details[3] == std::string_view(text.data(), text.size());
}

}  // namespace

bool HasCompleted(const OptionalFence& fence, ClaimError error,
                  const ErrorDetails& details) noexcept {
  return IsOfEpoch(fence, error, details) && details[0] == "success" && IsOfAttempt(fence, details);
}

std::optional<FailOutcome> HasFailed(const OptionalFence& fence, ClaimError error,
                                     const ErrorDetails& details) noexcept {
  if (!IsOfEpoch(fence, error, details)) return std::nullopt;
  FailOutcome outcome;
  if (details[2] == "terminal" && details[0] == "failed" && IsOfAttempt(fence, details)) {
    return outcome;
  }
  // A retry that waits has no attempt. An execution that was suspended and resumed still has its
  // attempt.
  if (details[2] == "runnable" && details[3].empty()) {
    outcome.retried = true;
    return outcome;
  }
  return std::nullopt;
}

}  // namespace ffgrant
