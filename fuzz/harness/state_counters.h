// SPDX-License-Identifier: Apache-2.0
//
// Counts the states that an input reached, besides the code that it reached. libFuzzer treats these
// counters like its own counters of edges, and clears them before each input. Other engines ignore
// them.

#ifndef FFGRANT_FUZZ_HARNESS_STATE_COUNTERS_H_
#define FFGRANT_FUZZ_HARNESS_STATE_COUNTERS_H_

#include <cstddef>
#include <cstdint>

namespace ffgrant::fuzz {

inline constexpr std::size_t kStateCounters = 1 << 13;

// The counters are volatile, since nobody here reads them.
__attribute__((section(
    "__libfuzzer_extra_counters"))) inline volatile std::uint8_t state_counters[kStateCounters];

// `state` may be any number that stands for the state that was reached.
inline void CountState(std::uint64_t state) {
  state = (state ^ state >> 31) * 0x9E3779B97F4A7C15;
  state_counters[state >> 51] = 1;
}
static_assert(std::size_t{1} << (64 - 51) == kStateCounters);

}  // namespace ffgrant::fuzz

#endif  // FFGRANT_FUZZ_HARNESS_STATE_COUNTERS_H_
