// SPDX-License-Identifier: Apache-2.0
//
// Parses canonical partition keys. The parser is inline, since a call and a result in memory would
// cost as much as a third of the parse.

#ifndef FFGRANT_INTERNAL_CANONICAL_PARTITION_KEY_H_
#define FFGRANT_INTERNAL_CANONICAL_PARTITION_KEY_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "ffgrant/internal/index_text.h"
#include "ffgrant/internal/load.h"
#include "ffgrant/partition.h"

namespace ffgrant::internal {

// The first bytes of the keys of a family.
struct PartitionKeyHead {
  std::uint32_t text;
  std::uint32_t mask;  // selects the bytes that are compared
  std::uint32_t size;
  PartitionFamily family;
};

// A head's place in this table is bits 1 and 2 of the family's first letter. No family has place 2.
inline constexpr PartitionKeyHead kPartitionKeyHeads[4] = {
    {Word32('{', 'q', ':', '\0'), 0xFFFFFF, 3, PartitionFamily::kQuota},
    {Word32('{', 'b', ':', '\0'), 0xFFFFFF, 3, PartitionFamily::kBudget},
    {1, 0, 3, PartitionFamily::kFlow},
    {Word32('{', 'f', 'p', ':'), 0xFFFFFFFF, 4, PartitionFamily::kFlow},
};

// Masks for the last six bytes of a key, the very last one topmost. kIndexAndBrace[n] keeps the
// brace and the n digits of the index.
inline constexpr std::uint64_t kIndexAndBrace[8] = {0xFF'00'00'00'00'00,
                                                    0xFF'FF'00'00'00'00,
                                                    0xFF'FF'FF'00'00'00,
                                                    0xFF'FF'FF'FF'00'00,
                                                    0xFF'FF'FF'FF'FF'00,
                                                    0xFF'FF'FF'FF'FF'FF,
                                                    0,
                                                    0};

// Returns true if `text` is canonical. There is no loop, and no branch depends on the family or on
// the number of digits: with keys of many families and lengths such a branch would be mispredicted.
inline bool ParseCanonicalPartitionKey(std::string_view text, Partition& partition) noexcept {
  // The shortest key is `{b:0}`, the longest `{fp:65535}`.
  const std::size_t size = text.size();
  if (size - 5 > kMaxPartitionTagSize - 5) return false;
  const char* const p = text.data();
  const std::uint32_t head = Load32(p);
  const PartitionKeyHead& expected = kPartitionKeyHeads[head >> 9 & 3];
  // A key of five bytes has one digit. The bytes before its last four then do not matter, but they
  // must be readable.
  const std::size_t before_last_four = size - 6 + (size < 6 ? 1 : 0);
  const std::uint64_t tail =
      std::uint64_t{Load32(p + size - 4)} << 16 | Load16(p + before_last_four);
  const std::size_t digits = size - 1 - expected.size;
  // Each digit's byte becomes its value. The brace, and the bytes before the first digit, become
  // zeros.
  const std::uint64_t values = (tail ^ 0x7D'30'30'30'30'30) & kIndexAndBrace[digits];
  const std::uint64_t not_a_digit = ((values + 0x7F'76'76'76'76'76) | values) & 0x808080808080;
  // The last four digits become two pairs, then one number.
  const auto low = static_cast<std::uint32_t>(values >> 8);
  const std::uint32_t pairs = (low * 10 + (low >> 8)) & 0x00FF00FFu;
  const std::uint32_t number =
      static_cast<std::uint32_t>(values & 0xFF) * 10000 + (pairs * (100 << 16 | 1) >> 16);
  partition.family = expected.family;
  partition.index = static_cast<std::uint16_t>(number);
  return (((head & expected.mask) ^ expected.text) | not_a_digit) == 0 &&
         number >= kLeastIndex[digits] && number <= 65535;
}

}  // namespace ffgrant::internal

#endif  // FFGRANT_INTERNAL_CANONICAL_PARTITION_KEY_H_
