// SPDX-License-Identifier: Apache-2.0
//
// Combines what a target saw into one number. Results that go into this number can't be optimised
// away. The replay main compares the numbers of two runs of an input, which finds hidden state and
// chance.

#ifndef FFGRANT_FUZZ_HARNESS_OBSERVATIONS_H_
#define FFGRANT_FUZZ_HARNESS_OBSERVATIONS_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace ffgrant::fuzz {

// What this thread has observed since the last StartObserving().
inline thread_local std::uint64_t observations = 0;

inline void StartObserving() { observations = 0; }

inline void Observe(std::uint64_t value) {
  constexpr std::uint64_t kOdd = 0x9E3779B97F4A7C15;
  observations = (observations ^ value) * kOdd;
  observations ^= observations >> 29;
}

inline void Observe(std::string_view bytes) {
  Observe(bytes.size());
  while (!bytes.empty()) {
    std::uint64_t word = 0;
    const std::size_t size = bytes.size() < sizeof word ? bytes.size() : sizeof word;
    std::memcpy(&word, bytes.data(), size);
    Observe(word);
    bytes.remove_prefix(size);
  }
}

// Returns true for about one input in `n`; the observations so far decide which. This function is
// for checks that cost more than all others together.
inline bool ObservedOneIn(std::uint64_t n) { return (observations >> 20) % n == 0; }

}  // namespace ffgrant::fuzz

#endif  // FFGRANT_FUZZ_HARNESS_OBSERVATIONS_H_
