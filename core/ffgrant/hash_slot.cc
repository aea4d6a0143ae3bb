// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/hash_slot.h"

#include <cstddef>

#include "ffgrant/crc16.h"
#include "ffgrant/internal/crc16_of_word.h"
#include "ffgrant/internal/partition_tag_text.h"

namespace ffgrant {

std::string_view HashTag(std::string_view key) noexcept {
  const std::size_t open = key.find('{');
  if (open == std::string_view::npos) return key;
  const std::size_t close = key.find('}', open + 1);
  if (close == std::string_view::npos || close == open + 1) return key;
  return key.substr(open + 1, close - open - 1);
}

std::uint16_t HashSlot(std::string_view key) noexcept {
  return Crc16Xmodem(HashTag(key)) & (kHashSlotCount - 1);
}

std::uint16_t HashSlot(Partition partition) noexcept {
  // What stands between the braces: three to eight bytes.
  const internal::PartitionTagText tag = internal::TagText(partition);
  const std::size_t size = tag.size - 2;
  return internal::Crc16OfWord(tag.From(1) << (64 - 8 * size)) & (kHashSlotCount - 1);
}

}  // namespace ffgrant
