// SPDX-License-Identifier: Apache-2.0
//
// Decodes UUIDs whose digits may be of either case, all digits at once, and finds the first invalid
// byte.

#ifndef FFGRANT_INTERNAL_ANY_CASE_UUID_AVX2_H_
#define FFGRANT_INTERNAL_ANY_CASE_UUID_AVX2_H_

#include "ffgrant/internal/cpu.h"

#ifdef FFGRANT_HAS_AVX2_PATHS

#include <immintrin.h>

#include <bit>
#include <cstddef>
#include <cstdint>

#include "ffgrant/internal/canonical_execution_id_avx2.h"
#include "ffgrant/uuid.h"

namespace ffgrant::internal {

// Offsets within the text that holds the digits. An offset is the text's size if there is no such
// byte.
struct DigitPlaces {
  std::size_t invalid;    // a byte that is neither a digit nor a hyphen in its place
  std::size_t uppercase;  // an uppercase digit
};

// Marks which of 32 bytes are hex digits, and which of these digits are uppercase letters.
struct DigitMasks {
  std::uint32_t digits;
  std::uint32_t uppercase;
};

FFGRANT_AVX2 inline DigitMasks ClassifyDigits(__m256i text) noexcept {
  const __m256i decimal = _mm256_sub_epi8(text, _mm256_set1_epi8('0'));
  const __m256i is_decimal =
      _mm256_cmpeq_epi8(_mm256_min_epu8(decimal, _mm256_set1_epi8(9)), decimal);
  const __m256i letter =
      _mm256_sub_epi8(_mm256_or_si256(text, _mm256_set1_epi8(0x20)), _mm256_set1_epi8('a'));
  const __m256i is_letter = _mm256_cmpeq_epi8(_mm256_min_epu8(letter, _mm256_set1_epi8(5)), letter);
  const auto letters = static_cast<std::uint32_t>(_mm256_movemask_epi8(is_letter));
  // Bit 5 of each byte is shifted to the top.
  const auto lowercase =
      static_cast<std::uint32_t>(_mm256_movemask_epi8(_mm256_slli_epi16(text, 2)));
  return {static_cast<std::uint32_t>(_mm256_movemask_epi8(is_decimal)) | letters,
          letters & ~lowercase};
}

// Stores the bytes that 32 hex digits stand for, in the order of the text.
FFGRANT_AVX2 inline void StoreDigits(__m256i digits, Uuid& uuid) noexcept {
  // Bit 6 is set in letters. The value of a letter is its low half plus 9.
  const __m256i is_letter = _mm256_and_si256(_mm256_srli_epi16(digits, 6), _mm256_set1_epi8(1));
  const __m256i nine = _mm256_add_epi8(_mm256_slli_epi16(is_letter, 3), is_letter);
  const __m256i value = _mm256_add_epi8(_mm256_and_si256(digits, _mm256_set1_epi8(15)), nine);
  const __m256i bytes = _mm256_maddubs_epi16(value, Load256(&kHexConstants.weights));
  _mm_storeu_si128(
      reinterpret_cast<__m128i*>(uuid.bytes.data()),
      _mm_packus_epi16(_mm256_castsi256_si128(bytes), _mm256_extracti128_si256(bytes, 1)));
}

// Decodes the 36 bytes at `text`.
FFGRANT_AVX2 inline DigitPlaces DecodeHyphenated(const char* text, Uuid& uuid) noexcept {
  constexpr std::uint64_t kAll = (std::uint64_t{1} << kUuidTextSize) - 1;
  constexpr std::uint64_t kHyphens = 1u << 8 | 1u << 13 | 1u << 18 | 1u << 23;
  const __m256i first = Load256(text);
  const __m256i last = Load256(text + 4);
  const DigitMasks a = ClassifyDigits(first);
  const DigitMasks b = ClassifyDigits(last);
  const std::uint64_t digits = a.digits | std::uint64_t{b.digits} << 4;
  const auto hyphens = static_cast<std::uint32_t>(
      _mm256_movemask_epi8(_mm256_cmpeq_epi8(first, Load256(&kHexConstants.hyphens))));
  const std::uint64_t invalid = kAll & ~((digits & ~kHyphens) | (hyphens & kHyphens));
  const std::uint64_t uppercase = a.uppercase | std::uint64_t{b.uppercase} << 4;
  // These are the same steps as in DecodeUuidAvx2.
  __m256i in_order = _mm256_shuffle_epi8(Load256(text + 2), Load256(&kHexConstants.places));
  in_order = _mm256_blend_epi32(in_order, first, 0x01);
  in_order = _mm256_blend_epi32(in_order, last, 0x80);
  StoreDigits(in_order, uuid);
  constexpr std::uint64_t kEnd = std::uint64_t{1} << kUuidTextSize;
  return {static_cast<std::size_t>(std::countr_zero(invalid | kEnd)),
          static_cast<std::size_t>(std::countr_zero(uppercase | kEnd))};
}

// Decodes the 32 bytes at `text`.
FFGRANT_AVX2 inline DigitPlaces DecodeSimple(const char* text, Uuid& uuid) noexcept {
  const __m256i digits = Load256(text);
  const DigitMasks masks = ClassifyDigits(digits);
  StoreDigits(digits, uuid);
  return {static_cast<std::size_t>(std::countr_one(masks.digits)),
          static_cast<std::size_t>(std::countr_zero(masks.uppercase))};
}

}  // namespace ffgrant::internal

#endif  // FFGRANT_HAS_AVX2_PATHS

#endif  // FFGRANT_INTERNAL_ANY_CASE_UUID_AVX2_H_
