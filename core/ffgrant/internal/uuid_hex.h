// SPDX-License-Identifier: Apache-2.0
//
// Parses and writes canonical UUID text, 32 digits at once. The code uses compiler vectors, which
// become SSE2 on x86-64, NEON on AArch64 and scalar code elsewhere. Where FFGRANT_HAS_SSE2 is
// defined, parsing uses SSE2's instructions directly.

#ifndef FFGRANT_INTERNAL_UUID_HEX_H_
#define FFGRANT_INTERNAL_UUID_HEX_H_

#include <cstdint>
#include <cstring>

#include "ffgrant/internal/cpu.h"
#include "ffgrant/internal/load.h"
#include "ffgrant/uuid.h"

#ifdef FFGRANT_HAS_SSE2
#include <emmintrin.h>
#endif

namespace ffgrant::internal {

typedef std::uint8_t Bytes16 __attribute__((vector_size(16)));
typedef std::uint16_t Words8 __attribute__((vector_size(16)));
typedef std::uint64_t Longs2 __attribute__((vector_size(16)));
typedef std::uint8_t Bytes8 __attribute__((vector_size(8)));

// HexValues and JoinPairs serve machines without SSE2, and are tested on all machines.
// HexValues returns the values of 16 lowercase hex digits. `valid` keeps all its ones only if all
// 16 bytes are such digits.
inline Bytes16 HexValues(Bytes16 text, Bytes16& valid) noexcept {
  const Bytes16 digit = text - '0';
  const Bytes16 letter = text - 'a';
  const Bytes16 is_digit = reinterpret_cast<Bytes16>(digit <= 9);
  const Bytes16 is_letter = reinterpret_cast<Bytes16>(letter <= 5);
  valid &= is_digit | is_letter;
  return (digit & is_digit) | ((letter + 10) & is_letter);
}

// Joins pairs of values to bytes. The first value of a pair is the high half of its byte.
inline Bytes8 JoinPairs(Bytes16 values) noexcept {
  const Words8 pairs = reinterpret_cast<Words8>(values);
  return __builtin_convertvector((pairs << 4 | pairs >> 8) & 0xFF, Bytes8);
}

// Returns true if the 36 bytes at `text` are a canonical UUID.
inline bool ParseCanonicalUuidPortable(const char* text, Uuid& uuid) noexcept {
  const bool hyphens = (text[8] == '-') & (text[13] == '-') & (text[18] == '-') & (text[23] == '-');
  const Longs2 low = {Load64(text),
                      std::uint64_t{Load32(text + 9)} | std::uint64_t{Load32(text + 14)} << 32};
  const Longs2 high = {std::uint64_t{Load32(text + 19)} | std::uint64_t{Load32(text + 24)} << 32,
                       Load64(text + 28)};
  Bytes16 valid = ~Bytes16{};
  const Bytes8 first = JoinPairs(HexValues(reinterpret_cast<Bytes16>(low), valid));
  const Bytes8 second = JoinPairs(HexValues(reinterpret_cast<Bytes16>(high), valid));
  std::memcpy(uuid.bytes.data(), &first, 8);
  std::memcpy(uuid.bytes.data() + 8, &second, 8);
  const Longs2 all = reinterpret_cast<Longs2>(valid);
  return hyphens & ((all[0] & all[1]) == ~std::uint64_t{0});
}

#ifdef FFGRANT_HAS_SSE2

// Does what HexValues and JoinPairs do, in a way that compilers don't find by themselves:
// saturating steps turn decimal digits into 0..9, the letters a to f into 10..15 and all other
// bytes into more than 15, which sets a top bit in `above`.
inline __m128i HexValuesSse2(__m128i text, __m128i& above) noexcept {
  // '0'..'9' become 0xF0..0xF9; bytes above '9' wrap round and become less.
  const __m128i digit = _mm_subs_epu8(
      _mm_add_epi8(text, _mm_set1_epi8(static_cast<char>(0xFF - '9'))), _mm_set1_epi8(6));
  // 'a'..'f' become 10..15; bytes below 'a' become more.
  const __m128i letter = _mm_adds_epu8(_mm_sub_epi8(text, _mm_set1_epi8('a')), _mm_set1_epi8(10));
  const __m128i value =
      _mm_min_epu8(_mm_sub_epi8(digit, _mm_set1_epi8(static_cast<char>(0xF0))), letter);
  above = _mm_or_si128(above, _mm_adds_epu8(value, _mm_set1_epi8(127 - 15)));
  // The two values of a pair are the low and the high byte of a word. The low byte comes first in
  // the text, so it becomes the high half of the joined byte.
  return _mm_and_si128(_mm_or_si128(_mm_slli_epi16(value, 4), _mm_srli_epi16(value, 8)),
                       _mm_set1_epi16(0xFF));
}

inline __m128i Load32Sse2(const char* p) noexcept {
  return _mm_cvtsi32_si128(static_cast<int>(Load32(p)));
}

// Does the same as ParseCanonicalUuidPortable, with half the instructions.
inline bool ParseCanonicalUuid(const char* text, Uuid& uuid) noexcept {
  const __m128i middle = _mm_loadu_si128(reinterpret_cast<const __m128i*>(text + 8));
  const int hyphens = _mm_movemask_epi8(_mm_cmpeq_epi8(middle, _mm_set1_epi8('-')));
  const __m128i low =
      _mm_unpacklo_epi64(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(text)),
                         _mm_unpacklo_epi32(Load32Sse2(text + 9), Load32Sse2(text + 14)));
  const __m128i high =
      _mm_unpacklo_epi64(_mm_unpacklo_epi32(Load32Sse2(text + 19), Load32Sse2(text + 24)),
                         _mm_loadl_epi64(reinterpret_cast<const __m128i*>(text + 28)));
  __m128i above = _mm_setzero_si128();
  const __m128i first = HexValuesSse2(low, above);
  const __m128i second = HexValuesSse2(high, above);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(uuid.bytes.data()), _mm_packus_epi16(first, second));
  // Of the 16 bytes from offset 8 on, bytes 0, 5, 10 and 15 must be the four hyphens. A top bit is
  // set in `above` if one of the text's other 32 bytes is no digit.
  return ((hyphens & 0x8421) == 0x8421) & (_mm_movemask_epi8(above) == 0);
}

#else

inline bool ParseCanonicalUuid(const char* text, Uuid& uuid) noexcept {
  return ParseCanonicalUuidPortable(text, uuid);
}

#endif

// Writes the 36 bytes of the canonical text.
inline void WriteCanonicalUuid(const Uuid& uuid, char* out) noexcept {
  Bytes16 bytes;
  std::memcpy(&bytes, uuid.bytes.data(), 16);
  const Bytes16 high = bytes >> 4;
  const Bytes16 low = bytes & 15;
  Bytes16 text[2] = {
      __builtin_shufflevector(high, low, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23),
      __builtin_shufflevector(high, low, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15,
                              31)};
  for (Bytes16& half : text) {
    half += '0' + (reinterpret_cast<Bytes16>(half > 9) & ('a' - '0' - 10));
  }
  char digits[32];
  std::memcpy(digits, text, 32);
  std::memcpy(out, digits, 8);
  out[8] = '-';
  std::memcpy(out + 9, digits + 8, 4);
  out[13] = '-';
  std::memcpy(out + 14, digits + 12, 4);
  out[18] = '-';
  std::memcpy(out + 19, digits + 16, 4);
  out[23] = '-';
  std::memcpy(out + 24, digits + 20, 12);
}

}  // namespace ffgrant::internal

#endif  // FFGRANT_INTERNAL_UUID_HEX_H_
