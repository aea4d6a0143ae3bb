// SPDX-License-Identifier: Apache-2.0
//
// Parses canonical execution ids with half the instructions that SSE2 needs: one vector checks and
// decodes the index, another one the 32 hex digits.

#ifndef FFGRANT_INTERNAL_CANONICAL_EXECUTION_ID_AVX2_H_
#define FFGRANT_INTERNAL_CANONICAL_EXECUTION_ID_AVX2_H_

#include "ffgrant/internal/cpu.h"

#ifdef FFGRANT_HAS_AVX2_PATHS

#include <immintrin.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "ffgrant/internal/canonical_execution_id.h"
#include "ffgrant/internal/index_text.h"
#include "ffgrant/internal/load.h"
#include "ffgrant/internal/paths.h"
#include "ffgrant/uuid.h"

namespace ffgrant::internal {

// The bytes that may follow `{fp:` in an id whose index has a given number of digits. A byte is
// right if it is `least` to `least` + `range`. The first digit must not be 0 unless it is the only
// one; the other digits are 0 to 9; then comes `}:`, and then any byte.
struct alignas(64) IndexRow {
  std::array<std::uint8_t, 16> least{};
  std::array<std::uint8_t, 16> range{};
  // The place value of a digit is its byte weight times its pair's weight.
  std::array<std::int8_t, 16> byte_weights{};
  std::array<std::int16_t, 8> pair_weights{};
};

// Never reached: computed at compile time.
constexpr IndexRow MakeIndexRow(std::size_t digits) noexcept {
  constexpr int kPowersOfTen[] = {1, 10, 100, 1000};
  IndexRow row;
  row.range.fill(255);
  for (std::size_t i = 0; i < digits; ++i) {
    row.least[i] = '0';
    row.range[i] = 9;
    // Digits are paired from the front; the last pair may have only one digit.
    const bool first_of_two = i % 2 == 0 && i + 1 < digits;
    row.byte_weights[i] = first_of_two ? 10 : 1;
    const std::size_t behind_pair = first_of_two ? digits - i - 2 : digits - i - 1;
    row.pair_weights[i / 2] = static_cast<std::int16_t>(kPowersOfTen[behind_pair]);
  }
  if (digits > 1) {
    row.least[0] = '1';
    row.range[0] = 8;
  }
  row.least[digits] = '}';
  row.least[digits + 1] = ':';
  row.range[digits] = row.range[digits + 1] = 0;
  return row;
}

// The index is the number of digits minus 1.
inline constexpr std::array<IndexRow, 5> kIndexRows = {
    MakeIndexRow(1), MakeIndexRow(2), MakeIndexRow(3), MakeIndexRow(4), MakeIndexRow(5)};

// These constants are kept in memory, where the compiler cannot see their values: g++ 12 would
// build constants with equal bytes from immediates, with three instructions instead of none.
struct alignas(32) HexConstants {
  using Bytes = std::array<std::uint8_t, 32>;
  Bytes places;  // the digits' places, counted from offset 2 of the text
  Bytes hyphen_places;
  Bytes hyphens;
  Bytes first_decimal;
  Bytes last_decimal;
  Bytes first_letter;
  Bytes case_bit;
  Bytes letter_offset;  // 9, which is also the greatest decimal digit
  Bytes lowercase;
  Bytes low_half;
  Bytes weights;  // the weights of the two digits of a byte
  Bytes one;
  Bytes five;
};
extern const HexConstants kHexConstants;

FFGRANT_AVX2 inline __m128i Load128(const void* p) noexcept {
  return _mm_loadu_si128(static_cast<const __m128i*>(p));
}

FFGRANT_AVX2 inline __m256i Load256(const void* p) noexcept {
  return _mm256_loadu_si256(static_cast<const __m256i*>(p));
}

// Decodes the 36 bytes at `text`. A bit of `wrong` is set if these bytes are no canonical UUID.
FFGRANT_AVX2 inline __m128i DecodeUuidAvx2(const char* text, __m256i& wrong) noexcept {
  // The text is loaded from offset 2 on. Each half of the vector then holds all the digits that it
  // needs except the two outermost ones. Those come from two more loads, of which one begins where
  // the text begins and the other ends where the text ends.
  const __m256i middle = Load256(text + 2);
  __m256i digits = _mm256_shuffle_epi8(middle, Load256(&kHexConstants.places));
  digits = _mm256_blend_epi32(digits, Load256(text), 0x01);
  digits = _mm256_blend_epi32(digits, Load256(text + 4), 0x80);
  const __m256i no_hyphen =
      _mm256_and_si256(_mm256_xor_si256(middle, Load256(&kHexConstants.hyphens)),
                       Load256(&kHexConstants.hyphen_places));
  // The value of a letter is its low half plus 9. The value is then turned back into its lowercase
  // digit. A byte that is no lowercase digit differs from this digit. For a byte from 0x80 on the
  // shuffle gives a zero, which differs too.
  const __m256i letter = _mm256_cmpgt_epi8(digits, Load256(&kHexConstants.last_decimal));
  const __m256i value =
      _mm256_add_epi8(digits, _mm256_and_si256(letter, Load256(&kHexConstants.letter_offset)));
  const __m256i digits_of_value = _mm256_shuffle_epi8(Load256(&kHexConstants.lowercase), value);
  wrong =
      _mm256_or_si256(wrong, _mm256_or_si256(no_hyphen, _mm256_xor_si256(digits_of_value, digits)));
  const __m256i bytes = _mm256_maddubs_epi16(
      _mm256_and_si256(value, Load256(&kHexConstants.low_half)), Load256(&kHexConstants.weights));
  return _mm_packus_epi16(_mm256_castsi256_si128(bytes), _mm256_extracti128_si256(bytes, 1));
}

// Decodes the id `{fp:` index `}:` uuid at `text`, whose index has 1 to 5 digits. Returns the
// number that the index's digits make, which may be larger than a u16. A bit of `wrong` is set if
// anything else after the first four bytes is not canonical.
FFGRANT_AVX2 inline std::uint32_t DecodeExecutionIdAvx2(const char* text, std::size_t digits,
                                                        Uuid& uuid, __m256i& wrong) noexcept {
  const IndexRow& row = kIndexRows[digits - 1];
  const __m128i tag = _mm_sub_epi8(Load128(text + kExecutionTagBeginSize), Load128(&row.least));
  const __m128i out_of_range = _mm_subs_epu8(tag, Load128(&row.range));
  wrong = _mm256_or_si256(wrong, _mm256_zextsi128_si256(out_of_range));
  const __m128i bytes = DecodeUuidAvx2(text + kExecutionTagBeginSize + digits + 2, wrong);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(uuid.bytes.data()), bytes);
  const __m128i pairs = _mm_maddubs_epi16(tag, Load128(&row.byte_weights));
  const auto sums = static_cast<std::uint64_t>(
      _mm_cvtsi128_si64(_mm_madd_epi16(pairs, Load128(&row.pair_weights))));
  // If there are several digits, the range check counted the first one from 1, so kLeastIndex adds
  // what is missing.
  return static_cast<std::uint32_t>(sums) + static_cast<std::uint32_t>(sums >> 32) +
         kLeastIndex[digits];
}

// Does what ParseCanonicalExecutionId does for a text that is shorter than `{fp:` or begins with
// it.
FFGRANT_AVX2 inline bool ParseCanonicalAfterBeginAvx2(std::string_view text, std::uint16_t& index,
                                                      Uuid& uuid) noexcept {
  if (!HasCanonicalIdSize(text)) return false;
  const std::size_t digits = text.size() - kAroundExecutionIndex;
  TakePath(Path::kCanonicalIdAvx2, text.size());
  __m256i wrong = _mm256_setzero_si256();
  const std::uint32_t number = DecodeExecutionIdAvx2(text.data(), digits, uuid, wrong);
  index = static_cast<std::uint16_t>(number);
  return _mm256_testz_si256(wrong, wrong) != 0 && number <= 65535;
}

// Does what ParseCanonicalExecutionId does.
FFGRANT_AVX2 inline bool ParseCanonicalExecutionIdAvx2(std::string_view text, std::uint16_t& index,
                                                       Uuid& uuid) noexcept {
  return text.size() >= kExecutionTagBeginSize && HasIdBegin(text.data()) &&
         ParseCanonicalAfterBeginAvx2(text, index, uuid);
}

}  // namespace ffgrant::internal

#endif  // FFGRANT_HAS_AVX2_PATHS

#endif  // FFGRANT_INTERNAL_CANONICAL_EXECUTION_ID_AVX2_H_
