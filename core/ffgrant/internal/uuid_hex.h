// SPDX-License-Identifier: Apache-2.0
//
// Canonical UUID text, 32 digits at once. GCC and clang vectors: SSE2 on
// x86-64, NEON on AArch64, plain code elsewhere.

#ifndef FFGRANT_INTERNAL_UUID_HEX_H_
#define FFGRANT_INTERNAL_UUID_HEX_H_

#include <cstdint>
#include <cstring>

#include "ffgrant/internal/load.h"
#include "ffgrant/uuid.h"

namespace ffgrant::internal {

typedef std::uint8_t Bytes16 __attribute__((vector_size(16)));
typedef std::uint16_t Words8 __attribute__((vector_size(16)));
typedef std::uint64_t Longs2 __attribute__((vector_size(16)));
typedef std::uint8_t Bytes8 __attribute__((vector_size(8)));

// The values of 16 lowercase hex digits; `valid` keeps its ones only if all of
// them are.
inline Bytes16 HexValues(Bytes16 text, Bytes16& valid) noexcept {
  const Bytes16 digit = text - '0';
  const Bytes16 letter = text - 'a';
  const Bytes16 is_digit = reinterpret_cast<Bytes16>(digit <= 9);
  const Bytes16 is_letter = reinterpret_cast<Bytes16>(letter <= 5);
  valid &= is_digit | is_letter;
  return (digit & is_digit) | ((letter + 10) & is_letter);
}

// The first digit of a pair is the high half of its byte.
inline Bytes8 JoinPairs(Bytes16 values) noexcept {
  const Words8 pairs = reinterpret_cast<Words8>(values);
  return __builtin_convertvector((pairs << 4 | pairs >> 8) & 0xFF, Bytes8);
}

// True if the 36 bytes at `text` are a canonical UUID.
inline bool ParseCanonicalUuid(const char* text, Uuid& uuid) noexcept {
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

// Writes 36 bytes.
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
