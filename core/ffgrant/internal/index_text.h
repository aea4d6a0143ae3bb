// SPDX-License-Identifier: Apache-2.0
//
// The index of a partition as text: a u16 as Rust parses it (contract 1.1).

#ifndef FFGRANT_INTERNAL_INDEX_TEXT_H_
#define FFGRANT_INTERNAL_INDEX_TEXT_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ffgrant::internal {

enum class IndexSpelling : std::uint8_t { kCanonical, kPlusSign, kLeadingZero, kInvalid };

struct IndexText {
  IndexSpelling spelling;
  std::uint16_t value;  // 0 if kInvalid
  std::size_t offset;   // kInvalid: of the first byte that breaks the rule
};

// Plain and complete: any bytes, any length.
IndexText ParseIndexText(std::string_view text) noexcept;

// `digits` holds 1 to 5 digits in its most significant bytes, the last digit
// topmost, and `count` says how many; what lies below them is ignored. True if
// they are the canonical text of a u16. The digits are worked on all at once,
// because a loop over them is mispredicted when their number varies.
inline bool ParseCanonicalIndex(std::uint64_t digits, unsigned count,
                                std::uint16_t& value) noexcept {
  const unsigned unused_bits = (64 - 8 * count) & 63;
  const std::uint64_t first = (digits >> unused_bits) & 0xFF;
  // Subtract '0' from each digit; the leading places become 0.
  const std::uint64_t d = ((digits ^ 0x3030303030303030u) >> unused_bits) << unused_bits;
  const std::uint64_t not_a_digit = ((d + 0x7676767676767676u) | d) & 0x8080808080808080u;
  // Three steps from eight digits to pairs, to fours, to the number.
  const std::uint64_t pairs = d * 10 + (d >> 8);
  const std::uint64_t number = ((pairs & 0x000000FF000000FFu) * 0x000F424000000064u +
                                ((pairs >> 16) & 0x000000FF000000FFu) * 0x0000271000000001u) >>
                               32;
  value = static_cast<std::uint16_t>(number);
  const bool leading_zero = (count > 1) & (first == '0');
  return (not_a_digit == 0) & (number <= 65535) & !leading_zero;
}

}  // namespace ffgrant::internal

#endif  // FFGRANT_INTERNAL_INDEX_TEXT_H_
