// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/internal/canonical_execution_id_avx2.h"

#ifdef FFGRANT_HAS_AVX2_PATHS

namespace ffgrant::internal {
namespace {

// Never reached: computed at compile time.
constexpr HexConstants::Bytes Repeat(std::string_view pattern) noexcept {
  HexConstants::Bytes bytes{};
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<std::uint8_t>(pattern[i % pattern.size()]);
  }
  return bytes;
}

// Places are counted from offset 2 of a UUID's text.
// Never reached: computed at compile time.
constexpr HexConstants::Bytes HyphenPlaces() noexcept {
  HexConstants::Bytes places{};
  for (const std::size_t i : {8, 13, 18, 23}) places[i - 2] = 0xFF;
  return places;
}

}  // namespace

const HexConstants kHexConstants = {
    .places = {0x80, 0x80, 0, 1, 2, 3, 4, 5, 7,  8,  9,  10, 12, 13, 14,   15,  //
               1,    2,    3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0x80, 0x80},
    .hyphen_places = HyphenPlaces(),
    .hyphens = Repeat("-"),
    .first_decimal = Repeat("0"),
    .last_decimal = Repeat("9"),
    .first_letter = Repeat("a"),
    .case_bit = Repeat(" "),
    .letter_offset = Repeat("\x09"),
    .lowercase = Repeat("0123456789abcdef"),
    .low_half = Repeat("\x0F"),
    .weights = Repeat("\x10\x01"),
    .one = Repeat("\x01"),
    .five = Repeat("\x05"),
};

}  // namespace ffgrant::internal

#endif  // FFGRANT_HAS_AVX2_PATHS
