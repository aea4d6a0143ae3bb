// SPDX-License-Identifier: Apache-2.0
//
// The check for the place where grants enter a system (contract 1.8). Nothing behind that place
// repeats it: the consuming side of the reference routes by the execution id alone and ignores
// partition key and grant key.

#ifndef FFGRANT_INGRESS_H_
#define FFGRANT_INGRESS_H_

#include <cstdint>
#include <string_view>

#include "ffgrant/config.h"
#include "ffgrant/grant.h"
#include "ffgrant/partition.h"

FFGRANT_API_BEGIN
namespace ffgrant {

// The checks run in this order, and the first that fails is reported.
enum class IngressError : std::uint8_t {
  kNone,
  kNonCanonicalExecutionId,   // another spelling is another record and slot
  kInvalidPartitionKey,       // lenient mode rejects it too
  kNonCanonicalPartitionKey,  // only strict mode rejects it
  kPartitionOutOfRange,       // no scanner or scheduler visits the key's partition
  kTagMismatch,               // tag of key != tag of id
  kGrantKeyMismatch,          // begins with `ff:exec:`, but is another grant's key
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
FFGRANT_API_END

#endif  // FFGRANT_INGRESS_H_
