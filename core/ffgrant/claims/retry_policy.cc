// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/claims/retry_policy.h"

#include <algorithm>
#include <cmath>

#include "ffgrant/claims/claim_ledger.h"

namespace ffgrant {

bool IsValid(const RetryPolicy& policy) noexcept {
  const auto is_delay = [](std::int64_t ms) { return ms >= 0 && ms <= kMaxTtlMs; };
  return is_delay(policy.delay_ms) && is_delay(policy.max_delay_ms) &&
         std::isfinite(policy.multiplier) && policy.multiplier >= 0;
}

std::optional<std::int64_t> RetryDelayMs(const RetryPolicy& policy,
                                         std::uint32_t retries) noexcept {
  if (retries >= policy.max_retries) return std::nullopt;
  if (policy.backoff == RetryPolicy::Backoff::kFixed) return policy.delay_ms;
  // The product of 0 and infinity would not be a number.
  if (policy.delay_ms == 0) return 0;
  const double delay = static_cast<double>(policy.delay_ms) * std::pow(policy.multiplier, retries);
  return static_cast<std::int64_t>(
      std::ceil(std::min(delay, static_cast<double>(policy.max_delay_ms))));
}

}  // namespace ffgrant
