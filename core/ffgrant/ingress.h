// SPDX-License-Identifier: Apache-2.0
//
// What to check once, where grants enter a system, because nothing behind it
// will (contract 1.8): the consuming side of the reference routes by the
// execution id alone and ignores partition and grant key.

#ifndef FFGRANT_INGRESS_H_
#define FFGRANT_INGRESS_H_

#include <cstdint>
#include <string_view>

#include "ffgrant/grant.h"
#include "ffgrant/partition.h"

namespace ffgrant {

// In the order in which they are checked.
enum class IngressError : std::uint8_t {
  kNone,
  kNonCanonicalExecutionId,   // another spelling is another record and slot
  kInvalidPartitionKey,       // lenient mode rejects it too
  kNonCanonicalPartitionKey,  // only strict mode rejects it
  kPartitionOutOfRange,       // of the key; no scanner or scheduler visits it
  kTagMismatch,               // tag of key != tag of id
  kGrantKeyMismatch,          // begins as Valkey's do, but isn't this grant's
};

// "none", "non_canonical_execution_id", "invalid_partition_key",
// "non_canonical_partition_key", "partition_out_of_range", "tag_mismatch",
// "grant_key_mismatch".
std::string_view ErrorName(IngressError error) noexcept;

// Checks `grant` against the deployment's counts. A grant key without the
// prefix `ff:exec:` belongs to another ledger and is not looked at. No
// allocation, any thread.
[[nodiscard]] IngressError CheckIngress(const ClaimGrantView& grant,
                                        const PartitionConfig& config) noexcept;

}  // namespace ffgrant

#endif  // FFGRANT_INGRESS_H_
