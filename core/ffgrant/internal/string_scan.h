// SPDX-License-Identifier: Apache-2.0
//
// Searches the bytes of JSON many at a time. A byte is plain if it is ASCII and stands for itself
// in a string: 0x20..0x7F except `"` and `\`. All other bytes are special. No function here reads
// outside the range that it gets.

#ifndef FFGRANT_INTERNAL_STRING_SCAN_H_
#define FFGRANT_INTERNAL_STRING_SCAN_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "ffgrant/internal/cpu.h"
#include "ffgrant/internal/load.h"
#include "ffgrant/internal/paths.h"

#if defined(FFGRANT_HAS_AVX2_PATHS)
#include <immintrin.h>
#elif defined(FFGRANT_HAS_SSE2)
#include <emmintrin.h>
#endif

namespace ffgrant::internal {

// Whether bytes from 0x80 on count as plain or as special.
enum class NonAscii : bool { kPlain, kSpecial };

template <NonAscii kNonAscii>
constexpr bool IsSpecial(char c) noexcept {
  const auto byte = static_cast<unsigned char>(c);
  return byte < 0x20 || byte == '"' || byte == '\\' ||
         (kNonAscii == NonAscii::kSpecial && byte >= 0x80);
}

// The high bit of each special byte of `word` is set in the result. Only the lowest set bit is
// certain to be right, since borrows run upwards.
template <NonAscii kNonAscii>
constexpr std::uint64_t SpecialBits(std::uint64_t word) noexcept {
  constexpr std::uint64_t kOnes = 0x0101010101010101u;
  constexpr std::uint64_t kHigh = 0x8080808080808080u;
  const std::uint64_t quote = word ^ kOnes * '"';
  const std::uint64_t backslash = word ^ kOnes * '\\';
  // A byte that underflows has its high bit set afterwards; a byte whose high bit was set before
  // may still have it set.
  const std::uint64_t under = (word - kOnes * 0x20) | (quote - kOnes) | (backslash - kOnes);
  const std::uint64_t special = under & ~word & kHigh;
  return kNonAscii == NonAscii::kSpecial ? special | (word & kHigh) : special;
}

#ifdef FFGRANT_HAS_SSE2
// Bit i of the result is set if p[i] is special, for i < 16.
template <NonAscii kNonAscii>
inline unsigned SpecialMask16(const char* p) noexcept {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  const __m128i quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('"'));
  const __m128i backslash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'));
  __m128i range;
  if constexpr (kNonAscii == NonAscii::kSpecial) {
    // In a signed comparison bytes from 0x80 on are negative.
    range = _mm_cmplt_epi8(bytes, _mm_set1_epi8(0x20));
  } else {
    range = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1F)), bytes);
  }
  return static_cast<unsigned>(
      _mm_movemask_epi8(_mm_or_si128(range, _mm_or_si128(quote, backslash))));
}

// Returns the same as SpecialMask16, for i < 32.
template <NonAscii kNonAscii>
inline std::uint32_t SpecialMask32(const char* p) noexcept {
  return SpecialMask16<kNonAscii>(p) | SpecialMask16<kNonAscii>(p + 16) << 16;
}
#endif

// These functions do what FindSpecial and SkipBlanks do. They are right for ranges of any size, and
// quick for long ones.
const char* FindSpecialFar(const char* p, const char* end) noexcept;       // kSpecial
const char* FindSpecialFarPlain(const char* p, const char* end) noexcept;  // kPlain
const char* SkipBlanksFar(const char* p, const char* end) noexcept;

// Returns the first special byte of [p, end), or `end`. Uses no SIMD.
template <NonAscii kNonAscii>
inline const char* FindSpecialPortable(const char* p, const char* end) noexcept {
  for (; end - p >= 8; p += 8) {
    TakePath(Path::kFindWord, static_cast<std::size_t>(end - p));
    const std::uint64_t bits = SpecialBits<kNonAscii>(Load64(p));
    if (bits != 0) return p + std::countr_zero(bits) / 8;
  }
  TakePath(Path::kFindByte, static_cast<std::size_t>(end - p));
  while (p != end && !IsSpecial<kNonAscii>(*p)) ++p;
  return p;
}

// Returns the first special byte of [p, end), or `end`.
template <NonAscii kNonAscii>
inline const char* FindSpecial(const char* p, const char* end) noexcept {
#ifdef FFGRANT_HAS_SSE2
  // Names are short, so 16 bytes are tried first.
  if (end - p >= 16) {
    TakePath(Path::kFindFirst16, static_cast<std::size_t>(end - p));
    const unsigned mask = SpecialMask16<kNonAscii>(p);
    if (mask != 0) return p + std::countr_zero(mask);
    p += 16;
  }
  const char* const begin = p;
  for (; end - p >= 32; p += 32) {
    TakePath(Path::kFind32, static_cast<std::size_t>(end - p));
    const std::uint32_t mask = SpecialMask32<kNonAscii>(p);
    if (mask != 0) return p + std::countr_zero(mask);
    if (p - begin == 96) {
      return kNonAscii == NonAscii::kSpecial ? FindSpecialFar(p + 32, end)
                                             : FindSpecialFarPlain(p + 32, end);
    }
  }
  if (end - p >= 16) {
    TakePath(Path::kFindLast16, static_cast<std::size_t>(end - p));
    const unsigned mask = SpecialMask16<kNonAscii>(p);
    if (mask != 0) return p + std::countr_zero(mask);
    p += 16;
  }
#endif
  return FindSpecialPortable<kNonAscii>(p, end);
}

// JSON's white space.
constexpr bool IsBlank(char c) noexcept {
  constexpr std::uint64_t kBlanks = std::uint64_t{1} << ' ' | 1u << '\n' | 1u << '\r' | 1u << '\t';
  return static_cast<unsigned char>(c) <= ' ' && (kBlanks >> c & 1) != 0;
}

inline const char* SkipBlanksPortable(const char* p, const char* end) noexcept {
  TakePath(Path::kSkipByte, static_cast<std::size_t>(end - p));
  while (p != end && IsBlank(*p)) ++p;
  return p;
}

// Returns the first byte of [p, end) that isn't white space, or `end`.
inline const char* SkipBlanks(const char* p, const char* end) noexcept {
  if (p == end || static_cast<unsigned char>(*p) > ' ') [[likely]]
    return p;
  // After a colon or a comma there is often exactly one blank.
  if (end - p >= 2 && *p == ' ' && static_cast<unsigned char>(p[1]) > ' ') {
    TakePath(Path::kSkipOneBlank, static_cast<std::size_t>(end - p));
    return p + 1;
  }
  return SkipBlanksFar(p, end);
}

#ifdef FFGRANT_HAS_SSE2
// Bit i of the result is set if p[i] is no blank, for i < 16.
inline unsigned InkMask16(const char* p) noexcept {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  const __m128i spaces = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(' '));
  const __m128i tabs = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\t'));
  const __m128i feeds = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\n'));
  const __m128i returns = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\r'));
  const __m128i blanks = _mm_or_si128(_mm_or_si128(spaces, tabs), _mm_or_si128(feeds, returns));
  return static_cast<unsigned>(_mm_movemask_epi8(blanks)) ^ 0xFFFF;
}
#endif

// Does what SkipBlanks does, for places where `count` blanks are expected, as before the members of
// an indented object. If the guess is right, the branch is predicted, and the code that follows
// doesn't wait for the search.
inline const char* SkipSameBlanks(const char* p, const char* end,
                                  [[maybe_unused]] std::size_t count) noexcept {
#ifdef FFGRANT_HAS_SSE2
  if (p == end || static_cast<unsigned char>(*p) > ' ') return p;
  if (count < 16 && end - p >= 16) {
    const unsigned ink = InkMask16(p);
    if ((ink & ((2u << count) - 1)) == 1u << count) {
      TakePath(Path::kSameBlanks, count);
      return p + count;
    }
  }
#endif
  return SkipBlanks(p, end);
}

// FindSpecial's search as a type, for templates that are compiled for more than one processor.
struct BaselineScan {
  static const char* FindSpecial(const char* p, const char* end) noexcept {
    return internal::FindSpecial<NonAscii::kSpecial>(p, end);
  }
};

#ifdef FFGRANT_HAS_AVX2_PATHS
// Bit i of the result is set if p[i] is special, for i < 32.
FFGRANT_AVX2 inline std::uint32_t SpecialMask32Avx2(const char* p) noexcept {
  const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  const __m256i quote = _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8('"'));
  const __m256i backslash = _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8('\\'));
  const __m256i range = _mm256_cmpgt_epi8(_mm256_set1_epi8(0x20), bytes);
  return static_cast<std::uint32_t>(
      _mm256_movemask_epi8(_mm256_or_si256(range, _mm256_or_si256(quote, backslash))));
}

struct Avx2Scan {
  FFGRANT_AVX2 static const char* FindSpecial(const char* p, const char* end) noexcept {
    const char* const begin = p;
    for (; end - p >= 32; p += 32) {
      TakePath(Path::kFindAvx2Block, static_cast<std::size_t>(end - p));
      const std::uint32_t mask = SpecialMask32Avx2(p);
      if (mask != 0) return p + std::countr_zero(mask);
      if (p - begin == 160) return FindSpecialFar(p + 32, end);
    }
    if (p != begin) {
      // The last 32 bytes begin with bytes that are already known to be plain.
      TakePath(Path::kFindAvx2Last, static_cast<std::size_t>(end - p));
      const std::uint32_t mask = SpecialMask32Avx2(end - 32);
      return mask == 0 ? end : end - 32 + std::countr_zero(mask);
    }
    TakePath(Path::kFindAvx2Short, static_cast<std::size_t>(end - p));
    return internal::FindSpecial<NonAscii::kSpecial>(p, end);
  }
};
#endif

// Returns the number of plain bytes at `p` before the first special byte, at most 16. All 16 bytes
// must be readable.
inline std::size_t PlainPrefix16(const char* p) noexcept {
#ifdef FFGRANT_HAS_SSE2
  return static_cast<std::size_t>(
      std::countr_zero(SpecialMask16<NonAscii::kSpecial>(p) | 0x10000u));
#else
  return static_cast<std::size_t>(FindSpecial<NonAscii::kSpecial>(p, p + 16) - p);
#endif
}

// Returns true if all bytes are plain.
inline bool IsPlainText(std::string_view text) noexcept {
  constexpr NonAscii kNonAscii = NonAscii::kSpecial;
  const char* const p = text.data();
  const std::size_t size = text.size();
#ifdef FFGRANT_HAS_SSE2
  if (size >= 256) return FindSpecialFar(p, p + size) == p + size;
  if (size >= 16) {
    TakePath(Path::kPlainIn16s, size);
    unsigned mask = SpecialMask16<kNonAscii>(p + size - 16);
    for (std::size_t i = 0; i + 16 < size; i += 16) mask |= SpecialMask16<kNonAscii>(p + i);
    return mask == 0;
  }
#endif
  if (size > 12) {
    TakePath(Path::kPlainIn8s, size);
    std::uint64_t bits = SpecialBits<kNonAscii>(Load64(p + size - 8));
    for (std::size_t i = 0; i + 8 < size; i += 8) bits |= SpecialBits<kNonAscii>(Load64(p + i));
    return bits == 0;
  }
  if (size >= 4) {
    TakePath(Path::kPlainIn4s, size);
    // All sizes that a canonical partition key can have take this one path: the sizes vary, so a
    // branch between them would be mispredicted.
    const std::uint64_t ends = Load32(p) | std::uint64_t{Load32(p + size - 4)} << 32;
    const std::uint64_t middle = Load32(p + (size < 8 ? size - 4 : 4)) * 0x100000001u;
    return (SpecialBits<kNonAscii>(ends) | SpecialBits<kNonAscii>(middle)) == 0;
  }
  TakePath(Path::kPlainBytes, size);
  bool plain = true;
  for (std::size_t i = 0; i < size; ++i) plain &= !IsSpecial<kNonAscii>(p[i]);
  return plain;
}

// Does what memcpy does, inlined, for texts of tens of bytes. A text of four bytes or more is
// copied in blocks; the last block may overlap the block before it. Returns the end of the copy.
inline char* CopyText(char* to, std::string_view text) noexcept {
  const char* const from = text.data();
  const std::size_t size = text.size();
  if (size >= 16) {
    TakePath(Path::kCopyIn16s, size);
    for (std::size_t i = 0; i + 16 < size; i += 16) std::memcpy(to + i, from + i, 16);
    std::memcpy(to + size - 16, from + size - 16, 16);
  } else if (size > 12) {
    TakePath(Path::kCopyIn8s, size);
    std::memcpy(to, from, 8);
    std::memcpy(to + size - 8, from + size - 8, 8);
  } else if (size >= 4) {
    TakePath(Path::kCopyIn4s, size);
    const std::size_t middle = size < 8 ? size - 4 : 4;
    std::memcpy(to, from, 4);
    std::memcpy(to + middle, from + middle, 4);
    std::memcpy(to + size - 4, from + size - 4, 4);
  } else {
    TakePath(Path::kCopyBytes, size);
    for (std::size_t i = 0; i < size; ++i) to[i] = from[i];
  }
  return to + size;
}

}  // namespace ffgrant::internal

#endif  // FFGRANT_INTERNAL_STRING_SCAN_H_
