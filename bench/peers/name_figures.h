// SPDX-License-Identifier: Apache-2.0
//
// Defines the figures of CRC16, cluster slots and key names.

#ifndef FFGRANT_BENCH_PEERS_NAME_FIGURES_H_
#define FFGRANT_BENCH_PEERS_NAME_FIGURES_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "bench/inputs.h"
#include "bench/plain_baselines.h"
#include "ffgrant/execution_id.h"
#include "ffgrant/partition.h"

namespace ffgrant::bench::peers {

struct Crc16 {
  static constexpr std::string_view kOp = "Crc16";
  static constexpr std::array<std::string_view, 3> kCases = {"uuid", "grant_key", "lane"};
  using Value = std::uint16_t;

  static const TextSet& Inputs(std::size_t case_index);  // "uuid": 16 raw bytes each
  static std::string Describe(std::string_view bytes) { return std::string(bytes); }
  static std::string_view Limit(std::size_t case_index, std::size_t i) {
    return Inputs(case_index)[i];
  }
};

struct KeySlot {
  static constexpr std::string_view kOp = "HashSlot";
  static constexpr std::array<std::string_view, 1> kCases = {"grant_key"};
  using Value = std::uint16_t;

  static const TextSet& Inputs(std::size_t) { return GrantKeys(); }
  static std::string Describe(std::string_view key) { return std::string(key); }
  static std::string_view Limit(std::size_t, std::size_t i) { return GrantKeys()[i]; }
};

// The limit reads the partition's tag.
struct PartitionSlot {
  static constexpr std::string_view kOp = "HashSlotOfPartition";
  static constexpr std::array<std::string_view, 1> kCases = {"random"};
  using Value = std::uint16_t;

  static const std::vector<Partition>& Inputs(std::size_t) { return Partitions(); }
  static std::string Describe(Partition partition) {
    return plain::FormatPartitionKeyString(partition);
  }
  static std::string_view Limit(std::size_t, std::size_t i);
};

// Writes the key ff:exec:T:E:claim_grant, where T is the tag and E the execution id.
struct FormatGrantKey {
  static constexpr std::string_view kOp = "FormatGrantKey";
  static constexpr bool kFormats = true;
  static constexpr std::array<std::string_view, 1> kCases = {"random"};
  using Value = std::string_view;

  static const std::vector<ExecutionIdView>& Inputs(std::size_t);
  static std::string Describe(const ExecutionIdView& id) { return std::string(id.text()); }
  static std::string_view Limit(std::size_t, std::size_t i);
};

// Writes the key ff:idx:{fp:42}:lane:<lane>:eligible.
struct FormatEligibleKey {
  static constexpr std::string_view kOp = "FormatEligibleKey";
  static constexpr bool kFormats = true;
  static constexpr std::array<std::string_view, 1> kCases = {"random"};
  static constexpr Partition kPartition = {PartitionFamily::kFlow, 42};
  using Value = std::string_view;

  static const TextSet& Inputs(std::size_t) { return Lanes(); }
  static std::string Describe(std::string_view lane) { return std::string(lane); }
  static std::string_view Limit(std::size_t, std::size_t i);
};

}  // namespace ffgrant::bench::peers

#endif  // FFGRANT_BENCH_PEERS_NAME_FIGURES_H_
