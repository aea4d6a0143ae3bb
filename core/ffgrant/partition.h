// SPDX-License-Identifier: Apache-2.0
//
// Defines partition families, partitions, their counts, and the text of their tags (contract 1.2
// and 1.4).

#ifndef FFGRANT_PARTITION_H_
#define FFGRANT_PARTITION_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "ffgrant/config.h"
#include "ffgrant/write_result.h"

FFGRANT_API_BEGIN
namespace ffgrant {

// kFlow and kExecution share the tag prefix `fp` and the flow count. So a flow partition and the
// execution partition of the same index share every key and route, but they are still different
// partitions (contract 1.2).
enum class PartitionFamily : std::uint8_t { kFlow, kExecution, kBudget, kQuota };

// Returns "flow", "execution", "budget" or "quota".
std::string_view FamilyName(PartitionFamily family) noexcept;

// Returns "fp", "fp", "b" or "q", in the order of the families.
std::string_view FamilyTagPrefix(PartitionFamily family) noexcept;

struct Partition {
  PartitionFamily family = PartitionFamily::kFlow;
  std::uint16_t index = 0;

  // (kExecution, 7) != (kFlow, 7), although the tag of both is {fp:7}.
  friend constexpr bool operator==(const Partition&, const Partition&) = default;
};

// Returns the partition as the receiver of its key sees it: kExecution becomes kFlow, every other
// family stays (contract 1.2). Tag, count and route do not change.
constexpr Partition CollapseAlias(Partition partition) noexcept {
  if (partition.family == PartitionFamily::kExecution) {
    partition.family = PartitionFamily::kFlow;
  }
  return partition;
}

// The numbers of partitions that a deployment has. These numbers are fixed for the deployment's
// lifetime. A count of 0 is a configuration error (contract 1.4), for which FlowPartition() and its
// like return an empty result (routing.h).
struct PartitionConfig {
  std::uint16_t num_flow_partitions = 256;
  std::uint16_t num_budget_partitions = 32;
  std::uint16_t num_quota_partitions = 32;

  constexpr std::uint16_t CountFor(PartitionFamily family) const noexcept {
    switch (family) {
      case PartitionFamily::kFlow:
      case PartitionFamily::kExecution:
        return num_flow_partitions;
      case PartitionFamily::kBudget:
        return num_budget_partitions;
      case PartitionFamily::kQuota:
        return num_quota_partitions;
    }
    // Never reached: every enumerator has a case.
    return 0;
  }

  // True if no count is 0.
  constexpr bool IsValid() const noexcept {
    return num_flow_partitions != 0 && num_budget_partitions != 0 && num_quota_partitions != 0;
  }

  friend constexpr bool operator==(const PartitionConfig&, const PartitionConfig&) = default;
};

// The size of `{fp:65535}`: two braces, the longest prefix, a colon, five digits.
inline constexpr std::size_t kMaxPartitionTagSize = 10;

// A tag held by value: `{` prefix `:` index `}`, with the index in plain decimal.
//
//   PartitionTag(Partition{PartitionFamily::kBudget, 31}).view() == "{b:31}"
class PartitionTag {
 public:
  explicit PartitionTag(Partition partition) noexcept;

  // Valid while this object lives.
  constexpr std::string_view view() const noexcept { return {bytes_.data(), size_}; }

 private:
  // The tag is written as two 8-byte words.
  static constexpr std::size_t kRoom = 16;
  static_assert(kRoom >= kMaxPartitionTagSize);

  std::array<char, kRoom> bytes_;
  std::uint8_t size_;
};

// Writes the tag text of `partition`: at most kMaxPartitionTagSize bytes.
WriteResult FormatPartitionTag(Partition partition, std::span<char> out) noexcept;

}  // namespace ffgrant
FFGRANT_API_END

template <>
struct std::hash<ffgrant::Partition> {
  std::size_t operator()(const ffgrant::Partition& partition) const noexcept {
    return std::hash<std::uint32_t>()(static_cast<std::uint32_t>(partition.family) << 16 |
                                      partition.index);
  }
};

#endif  // FFGRANT_PARTITION_H_
