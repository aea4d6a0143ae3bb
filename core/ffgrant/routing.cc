// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/routing.h"

#include <optional>
#include <utility>

#include "ffgrant/crc16.h"
#include "ffgrant/internal/fnv1a.h"
#include "ffgrant/uuid_generator.h"

namespace ffgrant {
namespace {

std::optional<Partition> UuidPartition(PartitionFamily family, const Uuid& uuid,
                                       const PartitionConfig& config) noexcept {
  const std::uint16_t count = config.CountFor(family);
  if (count == 0) return std::nullopt;
  const std::string_view bytes(reinterpret_cast<const char*>(uuid.bytes.data()), uuid.bytes.size());
  return Partition{family, static_cast<std::uint16_t>(Crc16Xmodem(bytes) % count)};
}

class Crc16Partitioner final : public LanePartitioner {
 public:
  std::uint16_t PartitionOf(LaneIdView lane, std::uint16_t count) const noexcept override {
    return static_cast<std::uint16_t>(Crc16Xmodem(lane.text()) % count);
  }
};

std::optional<MintedExecutionId> Mint(const std::optional<Partition>& partition,
                                      const Uuid& uuid) noexcept {
  if (!partition) return std::nullopt;
  // Constructs the id in place: a copy's wide loads would wait for the narrow stores before them.
  return std::optional<MintedExecutionId>(std::in_place, partition->index, uuid);
}

}  // namespace

std::optional<Partition> FlowPartition(const FlowId& id, const PartitionConfig& config) noexcept {
  return UuidPartition(PartitionFamily::kFlow, id.uuid, config);
}

std::optional<Partition> BudgetPartition(const BudgetId& id,
                                         const PartitionConfig& config) noexcept {
  return UuidPartition(PartitionFamily::kBudget, id.uuid, config);
}

std::optional<Partition> QuotaPartition(const QuotaPolicyId& id,
                                        const PartitionConfig& config) noexcept {
  return UuidPartition(PartitionFamily::kQuota, id.uuid, config);
}

const LanePartitioner& Crc16LanePartitioner() noexcept {
  static const Crc16Partitioner partitioner;
  return partitioner;
}

std::optional<Partition> LanePartition(LaneIdView lane, const PartitionConfig& config,
                                       const LanePartitioner& partitioner) noexcept {
  const std::uint16_t count = config.num_flow_partitions;
  if (count == 0) return std::nullopt;
  const std::uint16_t index = partitioner.PartitionOf(lane, count);
  if (index >= count) return std::nullopt;
  return Partition{PartitionFamily::kExecution, index};
}

std::optional<MintedExecutionId> MintExecutionId(const FlowId& flow,
                                                 const PartitionConfig& config) noexcept {
  return Mint(FlowPartition(flow, config), RandomUuid());
}

std::optional<MintedExecutionId> MintExecutionId(const FlowId& flow, const PartitionConfig& config,
                                                 const Uuid& uuid) noexcept {
  return Mint(FlowPartition(flow, config), uuid);
}

std::optional<MintedExecutionId> MintExecutionId(LaneIdView lane, const PartitionConfig& config,
                                                 const LanePartitioner& partitioner) noexcept {
  return Mint(LanePartition(lane, config, partitioner), RandomUuid());
}

std::optional<MintedExecutionId> MintExecutionId(LaneIdView lane, const PartitionConfig& config,
                                                 const Uuid& uuid) noexcept {
  return Mint(LanePartition(lane, config), uuid);
}

std::uint16_t ScanStart(WorkerInstanceIdView instance, std::uint16_t count) noexcept {
  return internal::ScanStartOf(internal::Fnv1a64(instance.text), count);
}

}  // namespace ffgrant
