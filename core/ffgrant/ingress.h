// SPDX-License-Identifier: Apache-2.0
//
// Checks grants at the place where they enter a system (contract 1.8). A ledger does not repeat the
// check: the consuming side of the reference routes by the execution id alone and ignores the
// partition key and the grant key.

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
  kNonCanonicalExecutionId,   // another spelling is another record, and may be in another slot
  kInvalidPartitionKey,       // lenient mode rejects the key too
  kNonCanonicalPartitionKey,  // only strict mode rejects the key
  kPartitionOutOfRange,       // no scanner or scheduler visits the key's partition
  kTagMismatch,               // the tags of the partition key and of the execution id differ
  kGrantKeyMismatch,          // the grant key begins with `ff:exec:`, but is not this grant's key
};

// Returns "none", "non_canonical_execution_id", "invalid_partition_key",
// "non_canonical_partition_key", "partition_out_of_range", "tag_mismatch" or "grant_key_mismatch".
std::string_view ErrorName(IngressError error) noexcept;

// Checks `grant` against the deployment's partition counts. A grant key without the prefix
// `ff:exec:` does not come from Valkey, and is not checked. Allocates nothing; any thread may call
// the function.
[[nodiscard]] IngressError CheckIngress(const ClaimGrantView& grant,
                                        const PartitionConfig& config) noexcept;

}  // namespace ffgrant
FFGRANT_API_END

#endif  // FFGRANT_INGRESS_H_
