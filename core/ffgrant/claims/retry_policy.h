// SPDX-License-Identifier: Apache-2.0
//
// A retry policy says whether and when an execution that failed is tried again
// (core/contract/live-observed.md, 2).

#ifndef FFGRANT_CLAIMS_RETRY_POLICY_H_
#define FFGRANT_CLAIMS_RETRY_POLICY_H_

#include <cstdint>
#include <optional>

#include "ffgrant/config.h"

FFGRANT_API_BEGIN
namespace ffgrant {

// FlowFabric's policy with its defaults: up to three retries, the first one a second after the
// first failure, the next one two seconds after the next failure. A failure is retried whatever its
// category is; nothing is random.
//
//   RetryPolicy{.max_retries = 5, .backoff = RetryPolicy::Backoff::kFixed, .delay_ms = 500}
struct RetryPolicy {
  enum class Backoff : std::uint8_t { kExponential, kFixed };

  std::uint32_t max_retries = 3;  // the first attempt and reclaims do not count
  Backoff backoff = Backoff::kExponential;
  std::int64_t delay_ms = 1000;       // kFixed: before each retry; kExponential: before the first
  std::int64_t max_delay_ms = 60000;  // kExponential only
  double multiplier = 2;              // kExponential only: the factor from one delay to the next
  friend bool operator==(const RetryPolicy&, const RetryPolicy&) = default;
};

// Returns whether `policy` can be followed and stored: both delays are within 0..kMaxTtlMs, and the
// multiplier is finite and not negative. Callable from any thread; does not allocate.
bool IsValid(const RetryPolicy& policy) noexcept;

// Returns how many milliseconds an execution has to wait if it fails after `retries` retries; empty
// if it is not tried again. `policy` must be valid. A part of a millisecond counts as a whole one.
// Callable from any thread; does not allocate.
//
//   RetryDelayMs(RetryPolicy(), 2) == 4000; RetryDelayMs(RetryPolicy(), 3) is empty
std::optional<std::int64_t> RetryDelayMs(const RetryPolicy& policy, std::uint32_t retries) noexcept;

}  // namespace ffgrant
FFGRANT_API_END

#endif  // FFGRANT_CLAIMS_RETRY_POLICY_H_
