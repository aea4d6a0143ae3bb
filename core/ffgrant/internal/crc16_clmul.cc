// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/internal/crc16_clmul.h"

#ifdef FFGRANT_HAS_AVX2_PATHS

#include <immintrin.h>

namespace ffgrant::internal {
namespace {

constexpr unsigned kPolynomial = 0x11021;  // x^16 + x^12 + x^5 + 1

// Returns x^exponent modulo the polynomial.
constexpr std::int64_t PowerOfX(unsigned exponent) noexcept {
  unsigned value = 1;
  for (unsigned i = 0; i < exponent; ++i) {
    value <<= 1;
    if ((value & 0x10000) != 0) value ^= kPolynomial;
  }
  return value;
}

// Returns the quotient of x^64 and the polynomial. The quotient has 49 bits.
constexpr std::int64_t QuotientOfX64() noexcept {
  std::uint64_t quotient = 0;
  unsigned remainder = 0;
  for (int i = 64; i >= 0; --i) {
    remainder = remainder << 1 | (i == 64 ? 1 : 0);
    if ((remainder & 0x10000) == 0) continue;
    remainder ^= kPolynomial;
    quotient |= std::uint64_t{1} << i;
  }
  return static_cast<std::int64_t>(quotient);
}

// The shuffle that starts at place 16 - n reverses the first n bytes and puts zeros above them.
struct alignas(16) ReverseTable {
  std::uint8_t places[32] = {15,   14,   13,   12,   11,   10,   9,    8,    7,    6,    5,
                             4,    3,    2,    1,    0,    0x80, 0x80, 0x80, 0x80, 0x80, 0x80,
                             0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80};
};
constexpr ReverseTable kReverse;

FFGRANT_CLMUL inline __m128i Load(const void* p) noexcept {
  return _mm_loadu_si128(static_cast<const __m128i*>(p));
}

}  // namespace

FFGRANT_CLMUL std::uint16_t Crc16Clmul(const char* bytes, std::size_t size) noexcept {
  const char* const end = bytes + size;
  // The first block has 1 to 16 bytes, so that only whole blocks follow.
  const std::size_t head = (size - 1) % 16 + 1;
  __m128i x = _mm_shuffle_epi8(Load(bytes), Load(kReverse.places + 16 - head));
  const __m128i reverse = Load(kReverse.places);
  const __m128i fold = _mm_set_epi64x(PowerOfX(192), PowerOfX(128));
  for (const char* p = bytes + head; p != end; p += 16) {
    const __m128i folded =
        _mm_xor_si128(_mm_clmulepi64_si128(x, fold, 0x00), _mm_clmulepi64_si128(x, fold, 0x11));
    x = _mm_xor_si128(_mm_shuffle_epi8(Load(p), reverse), folded);
  }
  // Multiplying by x^16 leaves 80 bits; the bits above 64 are multiplied once more.
  const __m128i shift = _mm_set_epi64x(PowerOfX(80), PowerOfX(16));
  const __m128i product =
      _mm_xor_si128(_mm_clmulepi64_si128(x, shift, 0x00), _mm_clmulepi64_si128(x, shift, 0x11));
  const __m128i top = _mm_clmulepi64_si128(product, _mm_set_epi64x(0, PowerOfX(64)), 0x01);
  const __m128i rest = _mm_xor_si128(product, top);
  const auto value = static_cast<std::uint64_t>(_mm_cvtsi128_si64(rest));
  // The remainder is what is left once the quotient times the polynomial is subtracted.
  const __m128i barrett = _mm_set_epi64x(kPolynomial, QuotientOfX64());
  const __m128i estimate = _mm_clmulepi64_si128(
      _mm_cvtsi64_si128(static_cast<std::int64_t>(value >> 16)), barrett, 0x00);
  const __m128i quotient = _mm_srli_si128(estimate, 6);
  const __m128i multiple = _mm_clmulepi64_si128(quotient, barrett, 0x10);
  return static_cast<std::uint16_t>(value ^
                                    static_cast<std::uint64_t>(_mm_cvtsi128_si64(multiple)));
}

}  // namespace ffgrant::internal

#endif  // FFGRANT_HAS_AVX2_PATHS
