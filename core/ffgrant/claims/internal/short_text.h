// SPDX-License-Identifier: Apache-2.0
//
// Compares and hashes names. Names of up to 16 bytes, such as most worker ids and lanes, take
// neither a call to memcmp nor a loop over bytes.

#ifndef FFGRANT_CLAIMS_INTERNAL_SHORT_TEXT_H_
#define FFGRANT_CLAIMS_INTERNAL_SHORT_TEXT_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "ffgrant/internal/load.h"

namespace ffgrant::internal {

// Returns the exclusive or of the two halves of the product: every bit of a and b can affect every
// bit of the result.
inline std::uint64_t Mix(std::uint64_t a, std::uint64_t b) noexcept {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

inline constexpr std::uint64_t kMixA = 0x9E3779B97F4A7C15u;
inline constexpr std::uint64_t kMixB = 0xD1B54A32D192ED03u;

// Returns up to 7 bytes as a number. Texts of the same size have the same number only if they are
// equal.
inline std::uint64_t LoadShort(const char* p, std::size_t size) noexcept {
  if (size >= 4) {
    return std::uint64_t{Load32(p)} | std::uint64_t{Load32(p + size - 4)} << 32;
  }
  if (size == 0) return 0;
  const auto byte = [p](std::size_t i) { return std::uint64_t{static_cast<unsigned char>(p[i])}; };
  return byte(0) | byte(size / 2) << 8 | byte(size - 1) << 16;
}

inline bool TextEqual(std::string_view a, std::string_view b) noexcept {
  const std::size_t size = a.size();
  if (size != b.size()) return false;
  const char* const p = a.data();
  const char* const q = b.data();
  if (size < 8) return LoadShort(p, size) == LoadShort(q, size);
  if (size > 16) [[unlikely]]
    return std::memcmp(p, q, size) == 0;
  return ((Load64(p) ^ Load64(q)) | (Load64(p + size - 8) ^ Load64(q + size - 8))) == 0;
}

// Returns a hash for tables in memory only, which must not be stored. Texts of up to 16 bytes take
// one multiplication. Both factors of each product depend on a secret. So only somebody who knows
// `seed` and `secret` can choose texts with equal hashes, or texts that make a factor 0.
inline std::uint64_t HashText(std::string_view text, std::uint64_t seed,
                              std::uint64_t secret) noexcept {
  const std::size_t size = text.size();
  const char* const p = text.data();
  std::uint64_t hash = seed ^ size;
  if (size < 8) return Mix(hash ^ LoadShort(p, size), secret);
  for (std::size_t at = 8; at + 8 < size; at += 8) hash = Mix(hash ^ Load64(p + at), secret);
  return Mix(hash ^ Load64(p), secret ^ Load64(p + size - 8));
}

}  // namespace ffgrant::internal

#endif  // FFGRANT_CLAIMS_INTERNAL_SHORT_TEXT_H_
