// SPDX-License-Identifier: Apache-2.0
//
// Makes the tag of a partition as two words, without a loop or a branch on its size: such a branch
// would be mispredicted where keys of many partitions are written.

#ifndef FFGRANT_INTERNAL_PARTITION_TAG_TEXT_H_
#define FFGRANT_INTERNAL_PARTITION_TAG_TEXT_H_

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "ffgrant/internal/decimal_digits.h"
#include "ffgrant/internal/load.h"
#include "ffgrant/partition.h"

namespace ffgrant::internal {

struct PartitionTagText {
  std::uint64_t low;   // the first eight bytes, the first one in the lowest place
  std::uint64_t high;  // the remaining bytes, then zeros
  std::size_t size;    // 5 to 10

  // Returns the eight bytes that start at `begin`, which must be 1 to 7.
  std::uint64_t From(std::size_t begin) const noexcept {
    return low >> (8 * begin) | high << (64 - 8 * begin);
  }

  // Writes 16 bytes, of which the first `size` are the tag.
  void WriteWhole(char* to) const noexcept {
    std::memcpy(to, &low, sizeof low);
    std::memcpy(to + 8, &high, sizeof high);
  }

  // Writes `size` bytes: the first four, the last four, and four in the middle.
  void Write(char* to) const noexcept {
    const std::size_t last = size - 4;
    const std::size_t middle = last / 2;
    const auto first_word = static_cast<std::uint32_t>(low);
    const auto middle_word = static_cast<std::uint32_t>(low >> (8 * middle));
    const auto last_word = static_cast<std::uint32_t>(From(last));
    std::memcpy(to, &first_word, 4);
    std::memcpy(to + middle, &middle_word, 4);
    std::memcpy(to + last, &last_word, 4);
  }
};

inline PartitionTagText TagText(Partition partition) noexcept {
  struct Head {
    std::uint32_t text;
    std::uint32_t size;
  };
  // The index is the family's enumerator.
  static constexpr Head kHeads[4] = {{Word32('{', 'f', 'p', ':'), 4},
                                     {Word32('{', 'f', 'p', ':'), 4},
                                     {Word32('{', 'b', ':', '\0'), 3},
                                     {Word32('{', 'q', ':', '\0'), 3}};
  const Head head = kHeads[static_cast<std::size_t>(partition.family) & 3];
  unsigned digits;
  const std::uint64_t index = DigitsOfIndex(partition.index, digits);
  const std::uint64_t rest = index | std::uint64_t{'}'} << (8 * digits);
  return {head.text | rest << (8 * head.size), rest >> (64 - 8 * head.size),
          head.size + digits + 1};
}

}  // namespace ffgrant::internal

#endif  // FFGRANT_INTERNAL_PARTITION_TAG_TEXT_H_
