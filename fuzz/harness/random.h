// SPDX-License-Identifier: Apache-2.0
//
// Gives a mutator its random numbers. An engine gives each call of a mutator another seed, so
// constructing a generator must cost nothing (constructing a Mersenne twister takes 2 us).

#ifndef FFGRANT_FUZZ_HARNESS_RANDOM_H_
#define FFGRANT_FUZZ_HARNESS_RANDOM_H_

#include <cstddef>
#include <cstdint>

namespace ffgrant::fuzz {

// The generator is SplitMix64.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  std::uint64_t Next() {
    std::uint64_t z = state_ += 0x9E3779B97F4A7C15;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9;
    z = (z ^ z >> 27) * 0x94D049BB133111EB;
    return z ^ z >> 31;
  }
  // Returns a number below `bound`. `bound` must not be 0. The bias of a remainder does not matter
  // here.
  std::size_t Below(std::size_t bound) { return static_cast<std::size_t>(Next() % bound); }
  bool OneIn(std::size_t n) { return Below(n) == 0; }

 private:
  std::uint64_t state_;
};

}  // namespace ffgrant::fuzz

#endif  // FFGRANT_FUZZ_HARNESS_RANDOM_H_
