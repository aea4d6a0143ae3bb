// SPDX-License-Identifier: Apache-2.0
//
// Test only: the executions and leases that both tests of the lease keeper use.

#ifndef FFGRANT_TESTING_CALLS_LEASES_TO_KEEP_H_
#define FFGRANT_TESTING_CALLS_LEASES_TO_KEEP_H_

#include <cstdint>
#include <string>

#include "ffgrant/claims/claim_ledger.h"
#include "ffgrant/execution_id.h"

namespace ffgrant::testing {

inline constexpr std::int64_t kTtl = 3000;  // of each lease, in ms

// Returns one of two execution ids, which end with '1' and '2'.
inline ExecutionIdView Id(char last = '1') {
  static const std::string texts[] = {"{fp:7}:11111111-1111-4111-8111-111111111111",
                                      "{fp:8}:11111111-1111-4111-8111-111111111112"};
  return ParseExecutionId(texts[last == '1' ? 0 : 1], ParseMode::kStrict).id;
}

inline Lease LeaseOf(std::uint64_t epoch = 1) {
  Lease lease;
  lease.fence.lease_epoch = {epoch};
  lease.attempt_index = {2};
  return lease;
}

}  // namespace ffgrant::testing

#endif  // FFGRANT_TESTING_CALLS_LEASES_TO_KEEP_H_
