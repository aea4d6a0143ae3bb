// SPDX-License-Identifier: Apache-2.0
//
// Turns numbers into digits and back, for JSON, partition keys and tags, and execution ids.

#ifndef FFGRANT_INTERNAL_DECIMAL_DIGITS_H_
#define FFGRANT_INTERNAL_DECIMAL_DIGITS_H_

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "ffgrant/internal/load.h"

namespace ffgrant::internal {

inline constexpr std::array<std::uint64_t, 20> kPowersOfTen = [] {
  std::array<std::uint64_t, 20> powers{};
  std::uint64_t power = 1;
  for (std::uint64_t& p : powers) {
    p = power;
    power *= 10;
  }
  return powers;
}();

inline constexpr std::array<char, 200> kDigitPairs = [] {
  std::array<char, 200> pairs{};
  for (std::size_t i = 0; i < 100; ++i) {
    pairs[2 * i] = static_cast<char>('0' + i / 10);
    pairs[2 * i + 1] = static_cast<char>('0' + i % 10);
  }
  return pairs;
}();

// Returns the number of decimal digits of `value`, 1 to 20.
constexpr unsigned DigitCount(std::uint64_t value) noexcept {
  // 1233/4096 is just below log10(2), so the guess is right or one too small.
  const auto guess = static_cast<unsigned>(std::bit_width(value | 1)) * 1233 >> 12;
  return guess + (guess == 0 || value >= kPowersOfTen[guess] ? 1 : 0);
}

// The index is the place of a u16's topmost bit. The upper half of an entry is the number of digits
// of the least u16 with this topmost bit. If larger u16s with the same topmost bit have one digit
// more, the lower half is 65536 minus the least of these, so that adding one of them carries into
// the upper half. If there are none, the lower half is 0.
inline constexpr std::array<std::uint32_t, 16> kIndexDigitCounts = [] {
  std::array<std::uint32_t, 16> counts{};
  for (unsigned bit = 0; bit < counts.size(); ++bit) {
    const unsigned digits = DigitCount(std::uint64_t{1} << bit);
    const std::uint64_t power = kPowersOfTen[digits];
    const bool between = power < std::uint64_t{2} << bit && power <= 65535;
    counts[bit] =
        between ? (digits + 1) * 65536 - static_cast<std::uint32_t>(power) : digits * 65536;
  }
  return counts;
}();

// Returns the digits of a u16, the first digit in the lowest byte, with zeros above the last digit.
// `count` becomes the number of digits. There is no branch on this number, since the branch would
// be mispredicted when the number varies.
inline std::uint64_t DigitsOfIndex(std::uint16_t value, unsigned& count) noexcept {
  const auto pair = [](std::uint64_t number) {
    return std::uint64_t{Load16(kDigitPairs.data() + 2 * number)};
  };
  // `first` is a fixed-point number with 32 fraction bits, just above value / 10000. Its whole part
  // is the first of five digits. Its fraction, times 100, has the next two digits as whole part.
  constexpr std::uint64_t kFraction = 0xFFFFFFFF;
  const std::uint64_t first = value * std::uint64_t{429497};
  const std::uint64_t second = (first & kFraction) * 100;
  const std::uint64_t third = (second & kFraction) * 100;
  const std::uint64_t all_five =
      ('0' + (first >> 32)) | pair(second >> 32) << 8 | pair(third >> 32) << 24;
  const auto topmost = static_cast<unsigned>(std::bit_width(value | 1u)) - 1;
  count = (kIndexDigitCounts[topmost] + value) >> 16;
  return all_five >> (8 * (5 - count));
}

// Writes `value`, which must have `digits` digits; returns the end.
inline char* WriteDigits(char* to, std::uint64_t value, unsigned digits) noexcept {
  const auto put_pair = [](char* at, std::uint32_t pair) {
    std::memcpy(at, kDigitPairs.data() + 2 * pair, 2);
  };
  char* const end = to + digits;
  char* at = end;
  while (at - to > 8) {
    const auto low = static_cast<std::uint32_t>(value % 100'000'000);
    value /= 100'000'000;
    at -= 8;
    put_pair(at, low / 1'000'000);
    put_pair(at + 2, low / 10'000 % 100);
    put_pair(at + 4, low / 100 % 100);
    put_pair(at + 6, low % 100);
  }
  auto rest = static_cast<std::uint32_t>(value);
  while (at - to >= 2) {
    at -= 2;
    put_pair(at, rest % 100);
    rest /= 100;
  }
  if (at != to) *to = static_cast<char>('0' + rest);
  return end;
}

// Parses the `count` digits (0 to 8) in the topmost bytes of `word`. The topmost byte holds the
// last digit. `ok` becomes false if one of the `count` bytes isn't a digit. The bytes below the
// digits are ignored.
constexpr std::uint64_t ParseUpTo8Digits(std::uint64_t word, unsigned count, bool& ok) noexcept {
  const std::uint64_t keep = count == 0 ? 0 : ~std::uint64_t{0} << (64 - 8 * count);
  const std::uint64_t d = (word ^ 0x3030303030303030u) & keep;
  ok &= (((d + 0x7676767676767676u) | d) & 0x8080808080808080u) == 0;
  // Eight digits become four pairs. Two multiplications then give each pair its weight and add the
  // pairs up.
  const std::uint64_t pairs = d * 10 + (d >> 8);
  return ((pairs & 0x000000FF000000FFu) * 0x000F424000000064u +
          ((pairs >> 16) & 0x000000FF000000FFu) * 0x0000271000000001u) >>
         32;
}

}  // namespace ffgrant::internal

#endif  // FFGRANT_INTERNAL_DECIMAL_DIGITS_H_
