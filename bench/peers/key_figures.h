// SPDX-License-Identifier: Apache-2.0
//
// Defines the figures of partition keys.

#ifndef FFGRANT_BENCH_PEERS_KEY_FIGURES_H_
#define FFGRANT_BENCH_PEERS_KEY_FIGURES_H_

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bench/inputs.h"
#include "bench/plain_baselines.h"
#include "ffgrant/partition.h"

namespace ffgrant::bench::peers {

struct ParsePartitionKeyLenient {
  static constexpr std::string_view kOp = "ParsePartitionKeyLenient";
  static constexpr std::array<std::string_view, 4> kCases = {"random", "early_reject",
                                                             "late_reject", "spellings"};
  using Value = std::optional<Partition>;

  static const TextSet& Inputs(std::size_t case_index) {
    constexpr std::array kSets = {KeyCase::kRandom, KeyCase::kEarlyReject, KeyCase::kLateReject,
                                  KeyCase::kSpellings};
    return PartitionKeys(kSets[case_index]);
  }
  static std::string Describe(std::string_view text) { return std::string(text); }
  static std::string_view Limit(std::size_t case_index, std::size_t i) {
    return Inputs(case_index)[i];
  }
};

struct ParsePartitionKeyStrict : ParsePartitionKeyLenient {
  static constexpr std::string_view kOp = "ParsePartitionKeyStrict";
};

struct FormatPartitionKey {
  static constexpr std::string_view kOp = "FormatPartitionKey";
  static constexpr bool kFormats = true;
  static constexpr std::array<std::string_view, 1> kCases = {"random"};
  using Value = std::string_view;

  static const std::vector<Partition>& Inputs(std::size_t) { return Partitions(); }
  static std::string Describe(Partition partition) {
    return plain::FormatPartitionKeyString(partition);
  }
  static std::string_view Limit(std::size_t, std::size_t i);
};

}  // namespace ffgrant::bench::peers

#endif  // FFGRANT_BENCH_PEERS_KEY_FIGURES_H_
