// SPDX-License-Identifier: Apache-2.0

#ifndef FFGRANT_JSON_INTERNAL_JSON_DIGITS_H_
#define FFGRANT_JSON_INTERNAL_JSON_DIGITS_H_

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "ffgrant/internal/cpu.h"
#include "ffgrant/internal/decimal_digits.h"
#include "ffgrant/internal/load.h"
#include "ffgrant/internal/paths.h"

#ifdef FFGRANT_HAS_AVX2_PATHS
#include <immintrin.h>
#endif

namespace ffgrant::internal {

// Reads a number of up to 15 digits at `p` that has no leading zero, fraction or exponent. Returns
// the end of the digits, or null if anything else is at `p`. `p` must not be `end`, and at least
// eight bytes before `end` must be readable.
inline const char* TakeDigits(const char* p, const char* end, std::uint64_t& value) noexcept {
  const auto left = static_cast<std::size_t>(end - p);
  const auto digit_count = [](std::uint64_t word) {
    const std::uint64_t digits = word ^ 0x3030303030303030u;
    const std::uint64_t others = ((digits + 0x7676767676767676u) | digits) & 0x8080808080808080u;
    return static_cast<unsigned>(std::countr_zero(others)) / 8;
  };
  // Bytes past the end are read as zero bytes, which are no digits.
  const std::uint64_t low = left >= 8 ? Load64(p) : Load64(end - 8) >> (64 - 8 * left);
  const unsigned low_digits = digit_count(low);
  bool ok = true;
  unsigned digits = low_digits;
  if (low_digits < 8) {
    value = ParseUpTo8Digits(low << 8 << (56 - 8 * low_digits), low_digits, ok);
  } else {
    const std::uint64_t high = left >= 16  ? Load64(p + 8)
                               : left == 8 ? 0
                                           : Load64(end - 8) >> (8 * (16 - left));
    const unsigned high_digits = digit_count(high);
    if (high_digits == 8) return nullptr;
    value = ParseUpTo8Digits(low, 8, ok) * kPowersOfTen[high_digits] +
            ParseUpTo8Digits(high << 8 << (56 - 8 * high_digits), high_digits, ok);
    digits += high_digits;
  }
  TakePath(Path::kTakeDigits, digits);
  TakePath(Path::kTakeDigitsLeft, left);
  p += digits;
  if (digits == 0 || (p[-static_cast<std::ptrdiff_t>(digits)] == '0' && digits > 1)) return nullptr;
  if (p != end && (*p == '.' || (*p | 0x20) == 'e')) return nullptr;
  return p;
}

#ifdef FFGRANT_HAS_AVX2_PATHS
// The 16 bytes from index n on are a mask that keeps the last n of 16 digits.
inline constexpr std::array<std::uint8_t, 32> kKeepLast = [] {
  std::array<std::uint8_t, 32> masks{};
  for (std::size_t i = 16; i < masks.size(); ++i) masks[i] = 0xFF;
  return masks;
}();

// Does the same as TakeDigits, in vectors. At least 16 bytes before `p` must be readable.
FFGRANT_AVX2 inline const char* TakeDigitsAvx2(const char* p, const char* end,
                                               std::uint64_t& value) noexcept {
  const auto load = [](const void* at) __attribute__((target("avx2"))) {
    return _mm_loadu_si128(static_cast<const __m128i*>(at));
  };
  // Loads the 16 bytes at `p`, or the last 16 bytes of the document.
  const std::ptrdiff_t shift = end - p >= 16 ? 0 : 16 - (end - p);
  const __m128i ahead = _mm_sub_epi8(load(p - shift), _mm_set1_epi8('0'));
  const __m128i is_digit = _mm_cmpeq_epi8(_mm_min_epu8(ahead, _mm_set1_epi8(9)), ahead);
  const unsigned others = ~static_cast<unsigned>(_mm_movemask_epi8(is_digit)) | 0x10000u;
  const auto digits = static_cast<std::size_t>(std::countr_zero(others >> shift));
  TakePath(Path::kTakeDigitsAvx2, digits);
  TakePath(Path::kTakeDigitsAvx2Left, static_cast<std::size_t>(end - p));
  if (digits - 1 >= 15 || (*p == '0' && digits > 1)) return nullptr;
  const char* const behind = p + digits;
  if (behind != end && (*behind == '.' || (*behind | 0x20) == 'e')) return nullptr;
  const __m128i text = _mm_and_si128(_mm_sub_epi8(load(behind - 16), _mm_set1_epi8('0')),
                                     load(kKeepLast.data() + digits));
  const __m128i pairs = _mm_maddubs_epi16(text, _mm_set1_epi16(0x010A));
  const __m128i fours = _mm_madd_epi16(pairs, _mm_set1_epi32(0x00010064));
  const __m128i eights = _mm_madd_epi16(_mm_packus_epi32(fours, fours), _mm_set1_epi32(0x00012710));
  const auto both = static_cast<std::uint64_t>(_mm_cvtsi128_si64(eights));
  value = (both & 0xFFFFFFFF) * 100'000'000 + (both >> 32);
  return behind;
}
#endif

}  // namespace ffgrant::internal

#endif  // FFGRANT_JSON_INTERNAL_JSON_DIGITS_H_
