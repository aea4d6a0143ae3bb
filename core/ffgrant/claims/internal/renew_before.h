// SPDX-License-Identifier: Apache-2.0

#ifndef FFGRANT_CLAIMS_INTERNAL_RENEW_BEFORE_H_
#define FFGRANT_CLAIMS_INTERNAL_RENEW_BEFORE_H_

#include <cstdint>

namespace ffgrant::internal {

// Returns floor(ttl * 2 / 3), also for a negative ttl: the time after which a lease should be
// renewed (contract 7.2, 7.4). The embedded ledger computes this time, and so does a client, which
// sends the time with a claim.
constexpr std::int64_t RenewBefore(std::int64_t ttl_ms) noexcept {
  const std::int64_t twice = ttl_ms * 2;
  return twice >= 0 ? twice / 3 : -((-twice + 2) / 3);
}

}  // namespace ffgrant::internal

#endif  // FFGRANT_CLAIMS_INTERNAL_RENEW_BEFORE_H_
