// SPDX-License-Identifier: Apache-2.0
//
// Canonical partition keys. Inline, since a call and a result in memory cost as
// much as a third of the parse.

#ifndef FFGRANT_INTERNAL_CANONICAL_PARTITION_KEY_H_
#define FFGRANT_INTERNAL_CANONICAL_PARTITION_KEY_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "ffgrant/internal/index_text.h"
#include "ffgrant/internal/load.h"
#include "ffgrant/partition.h"

namespace ffgrant::internal {

// How a key of a family begins.
struct PartitionKeyHead {
  std::uint32_t text;
  std::uint32_t mask;  // of the bytes that count
  std::uint32_t size;
  PartitionFamily family;
};

// By two bits of the family's first letter; no family has the third place.
inline constexpr PartitionKeyHead kPartitionKeyHeads[4] = {
    {Word32('{', 'q', ':', '\0'), 0xFFFFFF, 3, PartitionFamily::kQuota},
    {Word32('{', 'b', ':', '\0'), 0xFFFFFF, 3, PartitionFamily::kBudget},
    {1, 0, 3, PartitionFamily::kFlow},
    {Word32('{', 'f', 'p', ':'), 0xFFFFFFFF, 4, PartitionFamily::kFlow},
};

// True if `text` is canonical. No loop and one branch on the outcome, since
// with keys of many families and lengths each further branch is mispredicted.
inline bool ParseCanonicalPartitionKey(std::string_view text, Partition& partition) noexcept {
  // `{b:0}` to `{fp:65535}`.
  if (text.size() - 5 > kMaxPartitionTagSize - 5) return false;
  const char* const end = text.data() + text.size();
  const std::uint32_t head = Load32(text.data());
  const PartitionKeyHead& expected = kPartitionKeyHeads[head >> 9 & 3];
  // The last bytes of the key, at most 8, the very last one topmost. Two loads
  // that overlap when the key is shorter than 8 bytes stay inside of it.
  const std::size_t back = text.size() < 8 ? text.size() : 8;
  const std::uint64_t tail =
      std::uint64_t{Load32(end - 4)} << 32 | std::uint64_t{Load32(end - back)} << (64 - 8 * back);
  const unsigned digits = static_cast<unsigned>(text.size()) - 1 - expected.size;
  const bool index_ok = ParseCanonicalIndex(tail >> (56 - 8 * digits), digits, partition.index);
  partition.family = expected.family;
  const std::uint64_t wrong = ((head & expected.mask) ^ expected.text) | (tail >> 56 ^ '}');
  return index_ok & (wrong == 0);
}

}  // namespace ffgrant::internal

#endif  // FFGRANT_INTERNAL_CANONICAL_PARTITION_KEY_H_
