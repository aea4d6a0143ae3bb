// SPDX-License-Identifier: Apache-2.0
//
// Finds the partition that an entity belongs to, and mints execution ids in it (contract 1.6
// "Minting", 2).

#ifndef FFGRANT_ROUTING_H_
#define FFGRANT_ROUTING_H_

#include <cstdint>
#include <optional>

#include "ffgrant/config.h"
#include "ffgrant/execution_id.h"
#include "ffgrant/ids.h"
#include "ffgrant/lane_id.h"
#include "ffgrant/partition.h"

FFGRANT_API_BEGIN
namespace ffgrant {

// crc16 of the id's 16 bytes mod the family's count. Empty if that count is 0,
// a configuration error on which the reference aborts (contract 1.4).
//
//   FlowPartition(flow, PartitionConfig{})->index
std::optional<Partition> FlowPartition(const FlowId& id, const PartitionConfig& config) noexcept;
std::optional<Partition> BudgetPartition(const BudgetId& id,
                                         const PartitionConfig& config) noexcept;
std::optional<Partition> QuotaPartition(const QuotaPolicyId& id,
                                        const PartitionConfig& config) noexcept;

// Maps a lane to a partition index for executions without a flow ("solo").
// Must be deterministic, thread-safe and below `count`, which is never 0.
class LanePartitioner {
 public:
  virtual ~LanePartitioner() = default;
  virtual std::uint16_t PartitionOf(LaneIdView lane, std::uint16_t count) const noexcept = 0;
};

// The default: crc16 of the lane's bytes mod count.
const LanePartitioner& Crc16LanePartitioner() noexcept;

// The lane's partition, family kExecution, of the flow count. Empty if that
// count is 0 or the partitioner answers outside of it.
std::optional<Partition> LanePartition(
    LaneIdView lane, const PartitionConfig& config,
    const LanePartitioner& partitioner = Crc16LanePartitioner()) noexcept;

// The execution's own partition: the index in its text, family kExecution,
// whatever the configuration.
constexpr Partition ExecutionPartition(const ExecutionIdView& id) noexcept {
  return id.partition();
}

// Mints a canonical id in the partition of a flow, or of a lane. With a uuid
// from the caller it is deterministic: the same arguments give the same text.
// For a lane the deterministic form always uses the default partitioner, as the reference does. The
// result is empty where FlowPartition or LanePartition is.
std::optional<MintedExecutionId> MintExecutionId(const FlowId& flow,
                                                 const PartitionConfig& config) noexcept;
std::optional<MintedExecutionId> MintExecutionId(const FlowId& flow, const PartitionConfig& config,
                                                 const Uuid& uuid) noexcept;
std::optional<MintedExecutionId> MintExecutionId(
    LaneIdView lane, const PartitionConfig& config,
    const LanePartitioner& partitioner = Crc16LanePartitioner()) noexcept;
std::optional<MintedExecutionId> MintExecutionId(LaneIdView lane, const PartitionConfig& config,
                                                 const Uuid& uuid) noexcept;

// The partition at which a scheduler starts its round for this worker instance: the low 16 bits of
// the id's FNV-1a 64, mod count; 0 if count is 0.
std::uint16_t ScanStart(WorkerInstanceIdView instance, std::uint16_t count) noexcept;

}  // namespace ffgrant
FFGRANT_API_END

#endif  // FFGRANT_ROUTING_H_
