// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/internal/string_scan.h"

#include "ffgrant/internal/paths.h"

#ifdef FFGRANT_HAS_AVX2_PATHS
#include <immintrin.h>
#endif

namespace ffgrant::internal {
namespace {

#ifdef FFGRANT_HAS_AVX2_PATHS

// The kinds of bytes that a search stops at. Each kind marks the places of its bytes among 32
// bytes.
template <NonAscii kNonAscii>
struct AtSpecial {
  FFGRANT_AVX2 static __m256i Places(__m256i bytes) noexcept {
    const __m256i quote = _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8('"'));
    const __m256i backslash = _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8('\\'));
    const __m256i range =
        kNonAscii == NonAscii::kSpecial
            ? _mm256_cmpgt_epi8(_mm256_set1_epi8(0x20), bytes)
            : _mm256_cmpeq_epi8(_mm256_min_epu8(bytes, _mm256_set1_epi8(0x1F)), bytes);
    return _mm256_or_si256(range, _mm256_or_si256(quote, backslash));
  }
};

struct AtInk {
  FFGRANT_AVX2 static __m256i Places(__m256i bytes) noexcept {
    // The index is the low half of a byte; the entry is the blank that has this low half. For bytes
    // from 0x80 on the shuffle gives 0.
    const __m256i blanks = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(' ', -1, -1, -1, -1, -1, -1, -1, -1, '\t', '\n', -1, -1, '\r', -1, -1));
    return _mm256_xor_si256(_mm256_cmpeq_epi8(_mm256_shuffle_epi8(blanks, bytes), bytes),
                            _mm256_set1_epi8(-1));
  }
};

// Searches blocks of 64 bytes. If the blocks hold nothing to stop at, the function returns where
// the last block ends, and the caller searches the rest.
template <class Stop>
FFGRANT_AVX2 const char* FindIn64s(const char* p, const char* end, bool& found) noexcept {
  for (; end - p >= 64; p += 64) {
    const auto load = reinterpret_cast<const __m256i*>(p);
    const __m256i low = Stop::Places(_mm256_loadu_si256(load));
    const __m256i high = Stop::Places(_mm256_loadu_si256(load + 1));
    const __m256i any = _mm256_or_si256(low, high);
    if (_mm256_testz_si256(any, any) != 0) continue;
    const std::uint64_t mask = static_cast<std::uint32_t>(_mm256_movemask_epi8(low)) |
                               std::uint64_t{static_cast<std::uint32_t>(_mm256_movemask_epi8(high))}
                                   << 32;
    found = true;
    return p + std::countr_zero(mask);
  }
  return p;
}

#endif

template <NonAscii kNonAscii>
const char* FindFar(const char* p, const char* end) noexcept {
#ifdef FFGRANT_HAS_AVX2_PATHS
  if (HasAvx2()) {
    bool found = false;
    TakePath(Path::kFindFar64, static_cast<std::size_t>(end - p));
    p = FindIn64s<AtSpecial<kNonAscii>>(p, end, found);
    if (found) return p;
  }
#endif
#ifdef FFGRANT_HAS_SSE2
  for (; end - p >= 16; p += 16) {
    TakePath(Path::kFindFar16, static_cast<std::size_t>(end - p));
    const unsigned mask = SpecialMask16<kNonAscii>(p);
    if (mask != 0) return p + std::countr_zero(mask);
  }
#endif
  return FindSpecialPortable<kNonAscii>(p, end);
}

}  // namespace

const char* FindSpecialFar(const char* p, const char* end) noexcept {
  return FindFar<NonAscii::kSpecial>(p, end);
}

const char* FindSpecialFarPlain(const char* p, const char* end) noexcept {
  return FindFar<NonAscii::kPlain>(p, end);
}

const char* SkipBlanksFar(const char* p, const char* end) noexcept {
#ifdef FFGRANT_HAS_SSE2
  // Indentation is usually short, so the first 16 bytes are tried before longer blocks.
  if (end - p >= 16) {
    TakePath(Path::kSkipFirst16, static_cast<std::size_t>(end - p));
    const unsigned mask = InkMask16(p);
    if (mask != 0) return p + std::countr_zero(mask);
    p += 16;
  }
#endif
#ifdef FFGRANT_HAS_AVX2_PATHS
  if (HasAvx2()) {
    bool found = false;
    TakePath(Path::kSkipFar64, static_cast<std::size_t>(end - p));
    p = FindIn64s<AtInk>(p, end, found);
    if (found) return p;
  }
#endif
#ifdef FFGRANT_HAS_SSE2
  for (; end - p >= 16; p += 16) {
    TakePath(Path::kSkipFar16, static_cast<std::size_t>(end - p));
    const unsigned mask = InkMask16(p);
    if (mask != 0) return p + std::countr_zero(mask);
  }
#endif
  return SkipBlanksPortable(p, end);
}

}  // namespace ffgrant::internal
