// SPDX-License-Identifier: Apache-2.0

#ifndef FFGRANT_CLAIMS_INTERNAL_MIX_H_
#define FFGRANT_CLAIMS_INTERNAL_MIX_H_

#include <cstdint>
#include <string_view>

#include "ffgrant/internal/load.h"

namespace ffgrant::internal {

// Both halves of the product, folded: every bit of a and b reaches every bit.
inline std::uint64_t Mix(std::uint64_t a, std::uint64_t b) noexcept {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

inline constexpr std::uint64_t kMixA = 0x9E3779B97F4A7C15u;
inline constexpr std::uint64_t kMixB = 0xD1B54A32D192ED03u;

// For tables in memory only; not a format.
inline std::uint64_t HashText(std::string_view text, std::uint64_t seed) noexcept {
  std::uint64_t hash = seed ^ text.size() * kMixA;
  const char* p = text.data();
  std::size_t left = text.size();
  for (; left >= 8; left -= 8, p += 8) hash = Mix(hash ^ Load64(p), kMixB);
  std::uint64_t rest = 0;
  for (std::size_t i = 0; i < left; ++i) {
    rest |= std::uint64_t{static_cast<unsigned char>(p[i])} << (8 * i);
  }
  return Mix(hash ^ rest, kMixA);
}

}  // namespace ffgrant::internal

#endif  // FFGRANT_CLAIMS_INTERNAL_MIX_H_
