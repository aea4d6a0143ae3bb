// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/ingress.h"

#include <array>

#include "ffgrant/key_names.h"

namespace ffgrant {

IngressError CheckIngress(const ClaimGrantView& grant, const PartitionConfig& config) noexcept {
  if (!grant.execution_id.is_canonical()) return IngressError::kNonCanonicalExecutionId;
  const PartitionKeyResult key = grant.partition(ParseMode::kStrict);
  if (key.error >= PartitionKeyError::kPlusSign) return IngressError::kNonCanonicalPartitionKey;
  if (!key) return IngressError::kInvalidPartitionKey;
  if (key.partition.index >= config.CountFor(key.partition.family)) {
    return IngressError::kPartitionOutOfRange;
  }
  // Both texts are canonical here. So the tags are equal exactly if the partitions are, once
  // kExecution has become kFlow.
  if (key.partition != CollapseAlias(grant.execution_id.partition())) {
    return IngressError::kTagMismatch;
  }
  if (!grant.grant_key.starts_with("ff:exec:")) return IngressError::kNone;
  std::array<char, kMaxExecutionKeySize> derived;
  const WriteResult written = FormatKey(ExecutionKey::kClaimGrant, grant.execution_id, derived);
  if (grant.grant_key != std::string_view(derived.data(), written.size)) {
    return IngressError::kGrantKeyMismatch;
  }
  return IngressError::kNone;
}

std::string_view ErrorName(IngressError error) noexcept {
  switch (error) {
    case IngressError::kNone:
      return "none";
    case IngressError::kNonCanonicalExecutionId:
      return "non_canonical_execution_id";
    case IngressError::kInvalidPartitionKey:
      return "invalid_partition_key";
    case IngressError::kNonCanonicalPartitionKey:
      return "non_canonical_partition_key";
    case IngressError::kPartitionOutOfRange:
      return "partition_out_of_range";
    case IngressError::kTagMismatch:
      return "tag_mismatch";
    case IngressError::kGrantKeyMismatch:
      return "grant_key_mismatch";
  }
  // Any number may be cast to an enumeration.
  return "unknown";
}

}  // namespace ffgrant
