// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/hash_slot.h"

#include <cstddef>

#include "ffgrant/crc16.h"

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
  return HashSlot(PartitionTag(partition).view());
}

}  // namespace ffgrant
