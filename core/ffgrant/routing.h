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

// Each function returns the partition whose index is crc16 of the id's 16 bytes, modulo the count
// of the id's family. The result is empty if the count is 0, a configuration error on which the
// reference aborts (contract 1.4).
//
//   FlowPartition(flow, PartitionConfig{})->index
std::optional<Partition> FlowPartition(const FlowId& id, const PartitionConfig& config) noexcept;
std::optional<Partition> BudgetPartition(const BudgetId& id,
                                         const PartitionConfig& config) noexcept;
std::optional<Partition> QuotaPartition(const QuotaPolicyId& id,
                                        const PartitionConfig& config) noexcept;

// Maps a lane to a partition index for executions without a flow ("solo"). An implementation must
// be deterministic and thread-safe, and its result must be below `count`, which is never 0.
class LanePartitioner {
 public:
  virtual ~LanePartitioner() = default;
  virtual std::uint16_t PartitionOf(LaneIdView lane, std::uint16_t count) const noexcept = 0;
};

// Returns the default partitioner: crc16 of the lane's bytes, modulo `count`.
const LanePartitioner& Crc16LanePartitioner() noexcept;

// Returns the lane's partition among the flow partitions, with the family kExecution. The result is
// empty if the flow count is 0 or if the partitioner's answer is not below the count.
std::optional<Partition> LanePartition(
    LaneIdView lane, const PartitionConfig& config,
    const LanePartitioner& partitioner = Crc16LanePartitioner()) noexcept;

// Returns the execution's own partition: the index in the id's text with the family kExecution,
// whatever the configuration says.
constexpr Partition ExecutionPartition(const ExecutionIdView& id) noexcept {
  return id.partition();
}

// Mints a canonical id in the partition of a flow or of a lane. If the caller passes the uuid, the
// result is deterministic: the same arguments give the same text. For a lane the deterministic form
// always uses the default partitioner, as the reference does. The result is empty where
// FlowPartition or LanePartition would be empty.
std::optional<MintedExecutionId> MintExecutionId(const FlowId& flow,
                                                 const PartitionConfig& config) noexcept;
std::optional<MintedExecutionId> MintExecutionId(const FlowId& flow, const PartitionConfig& config,
                                                 const Uuid& uuid) noexcept;
std::optional<MintedExecutionId> MintExecutionId(
    LaneIdView lane, const PartitionConfig& config,
    const LanePartitioner& partitioner = Crc16LanePartitioner()) noexcept;
std::optional<MintedExecutionId> MintExecutionId(LaneIdView lane, const PartitionConfig& config,
                                                 const Uuid& uuid) noexcept;

// Returns the partition at which the first scan for this worker instance starts: the low 16 bits of
// the id's FNV-1a 64, modulo `count`; 0 if `count` is 0. The reference's scheduler adds a cursor
// that all workers share (contract 2).
std::uint16_t ScanStart(WorkerInstanceIdView instance, std::uint16_t count) noexcept;

}  // namespace ffgrant
FFGRANT_API_END

#endif  // FFGRANT_ROUTING_H_
