// SPDX-License-Identifier: Apache-2.0
//
// Parses the text of a partition's index: a u16 in the form that Rust parses (contract 1.1).

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
  std::size_t offset;   // of the first wrong byte, or of the end, if kInvalid; else 0
};

// Parses any bytes of any length, one byte at a time.
IndexText ParseIndexText(std::string_view text) noexcept;

// The least number with a given number of digits: a smaller number has leading zeros. Where no
// index has so many digits, the entry is above 65535.
inline constexpr std::uint32_t kLeastIndex[8] = {65536, 0, 10, 100, 1000, 10000, 65536, 65536};

// Returns true if the lowest `count` bytes of `text` are the canonical text of a u16. `count` must
// be 0 to 7; higher bytes are ignored. All digits are processed in one step, because a loop over
// them is mispredicted when their number varies.
inline bool ParseCanonicalIndex(std::uint64_t text, unsigned count, std::uint16_t& value) noexcept {
  // Each byte becomes its digit's value, the last digit topmost, with zeros before the first.
  const std::uint64_t digits = (text ^ 0x3030303030303030u) << 8 << (56 - 8 * count);
  const std::uint64_t not_a_digit = (digits + 0x7676767676767676u) | digits;
  // The last four digits become two pairs, then one number.
  const auto low = static_cast<std::uint32_t>(digits >> 32);
  const std::uint32_t pairs = (low * 10 + (low >> 8)) & 0x00FF00FFu;
  const std::uint32_t number =
      static_cast<std::uint32_t>(digits >> 24 & 0xFF) * 10000 + (pairs * (100 << 16 | 1) >> 16);
  value = static_cast<std::uint16_t>(number);
  const bool in_range = (number >= kLeastIndex[count]) & (number <= 65535);
  return ((not_a_digit & 0x8080808080808080u) == 0) & in_range;
}

}  // namespace ffgrant::internal

#endif  // FFGRANT_INTERNAL_INDEX_TEXT_H_
