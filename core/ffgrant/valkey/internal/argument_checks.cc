// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/valkey/internal/argument_checks.h"

#include <array>

namespace ffgrant::valkey::internal {
namespace {

ClaimError Invalid(std::string_view detail, ErrorDetails* details) noexcept {
  if (details != nullptr) details->Add(detail);
  return ClaimError::kInvalidInput;
}

}  // namespace

ClaimError CheckId(const ExecutionIdView& id, const PartitionConfig& partitions) noexcept {
  return id.is_canonical() && id.partition().index < partitions.num_flow_partitions
             ? ClaimError::kNone
             : ClaimError::kExecutionNotFound;
}

ClaimError CheckTtlAndId(std::int64_t ttl_ms, std::string_view detail, const ExecutionIdView& id,
                         const PartitionConfig& partitions, ErrorDetails* details) noexcept {
  if (details != nullptr) details->clear();
  if (ttl_ms < -kMaxTtlMs || ttl_ms > kMaxTtlMs) return Invalid(detail, details);
  return CheckId(id, partitions);
}

ClaimError CheckCreate(const CreateExecutionArgs& args, const PartitionConfig& partitions,
                       ErrorDetails* details) noexcept {
  if (details != nullptr) details->clear();
  if (!args.execution_id.is_canonical()) return Invalid("execution_id is not canonical", details);
  if (args.execution_id.partition().index >= partitions.num_flow_partitions) {
    return Invalid("partition index is out of range", details);
  }
  if (const LaneIdResult lane = ParseLaneId(args.lane.text()); !lane) {
    std::array<char, 96> text;
    const WriteResult written = FormatLaneIdError(lane, text);
    return Invalid({text.data(), written.size}, details);
  }
  if (args.retry && !IsValid(*args.retry)) {
    return Invalid("the retry policy is out of range", details);
  }
  return ClaimError::kNone;
}

}  // namespace ffgrant::valkey::internal
