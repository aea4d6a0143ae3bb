// SPDX-License-Identifier: Apache-2.0
//
// Loads unaligned words. The first byte in memory becomes the least significant byte of the word.

#ifndef FFGRANT_INTERNAL_LOAD_H_
#define FFGRANT_INTERNAL_LOAD_H_

#include <cstdint>
#include <cstring>

#include "ffgrant/config.h"  // checks that the processor is little-endian

namespace ffgrant::internal {

inline std::uint16_t Load16(const char* p) noexcept {
  std::uint16_t word;
  std::memcpy(&word, p, sizeof word);
  return word;
}

inline std::uint32_t Load32(const char* p) noexcept {
  std::uint32_t word;
  std::memcpy(&word, p, sizeof word);
  return word;
}

inline std::uint64_t Load64(const char* p) noexcept {
  std::uint64_t word;
  std::memcpy(&word, p, sizeof word);
  return word;
}

// Returns the word that Load32 gives for these four characters.
constexpr std::uint32_t Word32(char a, char b, char c, char d) noexcept {
  return static_cast<std::uint32_t>(static_cast<unsigned char>(a)) |
         static_cast<std::uint32_t>(static_cast<unsigned char>(b)) << 8 |
         static_cast<std::uint32_t>(static_cast<unsigned char>(c)) << 16 |
         static_cast<std::uint32_t>(static_cast<unsigned char>(d)) << 24;
}

}  // namespace ffgrant::internal

#endif  // FFGRANT_INTERNAL_LOAD_H_
