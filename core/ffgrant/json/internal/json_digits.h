// SPDX-License-Identifier: Apache-2.0

#ifndef FFGRANT_JSON_INTERNAL_JSON_DIGITS_H_
#define FFGRANT_JSON_INTERNAL_JSON_DIGITS_H_

#include <bit>
#include <cstddef>
#include <cstdint>

#include "ffgrant/internal/decimal_digits.h"
#include "ffgrant/internal/load.h"

namespace ffgrant::internal {

// The digits at `p`, up to 15, none of them a leading zero, and behind them
// nothing that goes on with the number. Returns their end, or null for any other
// number. Eight bytes before `end` can be read.
inline const char* TakeDigits(const char* p, const char* end, std::uint64_t& value) noexcept {
  const auto left = static_cast<std::size_t>(end - p);
  const auto digit_count = [](std::uint64_t word) {
    const std::uint64_t digits = word ^ 0x3030303030303030u;
    const std::uint64_t others = ((digits + 0x7676767676767676u) | digits) & 0x8080808080808080u;
    return static_cast<unsigned>(std::countr_zero(others)) / 8;
  };
  // The bytes behind the end are zeros, which are no digits.
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
  p += digits;
  if (digits == 0 || (p[-static_cast<std::ptrdiff_t>(digits)] == '0' && digits > 1)) return nullptr;
  if (p != end && (*p == '.' || (*p | 0x20) == 'e')) return nullptr;
  return p;
}

}  // namespace ffgrant::internal

#endif  // FFGRANT_JSON_INTERNAL_JSON_DIGITS_H_
