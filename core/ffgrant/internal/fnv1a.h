// SPDX-License-Identifier: Apache-2.0

#ifndef FFGRANT_INTERNAL_FNV1A_H_
#define FFGRANT_INTERNAL_FNV1A_H_

#include <cstdint>
#include <string_view>

namespace ffgrant::internal {

// Returns the 64-bit FNV-1a hash of `bytes`.
constexpr std::uint64_t Fnv1a64(std::string_view bytes) noexcept {
  std::uint64_t hash = 0xCBF29CE484222325u;
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3u;
  return hash;
}

// Returns the partition at which the first scan for a worker instance begins, if `hash` is the hash
// of the instance's id and there are `count` partitions; 0 if `count` is 0.
constexpr std::uint16_t ScanStartOf(std::uint64_t hash, std::uint16_t count) noexcept {
  return count == 0 ? 0 : static_cast<std::uint16_t>((hash & 0xFFFF) % count);
}

}  // namespace ffgrant::internal

#endif  // FFGRANT_INTERNAL_FNV1A_H_
