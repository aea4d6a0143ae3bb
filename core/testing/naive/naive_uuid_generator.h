// SPDX-License-Identifier: Apache-2.0
//
// Test only: makes the stream of uuids that a seed gives (uuid_generator.h), written from the
// published descriptions of SplitMix64, xoshiro256++ and version 4 uuids.

#ifndef FFGRANT_TESTING_NAIVE_NAIVE_UUID_GENERATOR_H_
#define FFGRANT_TESTING_NAIVE_NAIVE_UUID_GENERATOR_H_

#include <cstddef>
#include <cstdint>

#include "ffgrant/uuid.h"

namespace ffgrant::testing {

class NaiveUuidGenerator {
 public:
  explicit NaiveUuidGenerator(std::uint64_t seed) {
    for (std::size_t i = 0; i < 4; ++i) {
      // The counter of SplitMix64 goes up in steps of 2^64 / the golden ratio.
      std::uint64_t z = seed + (i + 1) * 11400714819323198485u;
      z ^= z >> 30;
      z *= 13787848793156543929u;
      z ^= z >> 27;
      z *= 10723151780598845931u;
      z ^= z >> 31;
      s_[i] = z;
    }
  }

  Uuid Next() {
    Uuid uuid;
    for (std::size_t half = 0; half < 2; ++half) {
      const std::uint64_t word = NextWord();
      for (std::size_t i = 0; i < 8; ++i) {  // little-endian
        uuid.bytes[half * 8 + i] = static_cast<std::uint8_t>(word >> (8 * i) & 0xFF);
      }
    }
    uuid.bytes[6] = static_cast<std::uint8_t>(uuid.bytes[6] % 16 + 4 * 16);
    uuid.bytes[8] = static_cast<std::uint8_t>(uuid.bytes[8] % 64 + 128);
    return uuid;
  }

 private:
  static std::uint64_t Rotated(std::uint64_t x, int k) { return x << k | x >> (64 - k); }

  std::uint64_t NextWord() {
    const std::uint64_t s0 = s_[0], s1 = s_[1], s2 = s_[2], s3 = s_[3];
    // These are the four words after a step, each computed from the words before it.
    s_[0] = s0 ^ s3 ^ s1;
    s_[1] = s1 ^ s2 ^ s0;
    s_[2] = s2 ^ s0 ^ s1 << 17;
    s_[3] = Rotated(s3 ^ s1, 45);
    return Rotated(s0 + s3, 23) + s0;
  }

  std::uint64_t s_[4];
};

}  // namespace ffgrant::testing

#endif  // FFGRANT_TESTING_NAIVE_NAIVE_UUID_GENERATOR_H_
