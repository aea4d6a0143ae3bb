// SPDX-License-Identifier: Apache-2.0
//
// Computes which of a Valkey Cluster's 16384 slots a key lives in (contract 2).

#ifndef FFGRANT_HASH_SLOT_H_
#define FFGRANT_HASH_SLOT_H_

#include <cstdint>
#include <string_view>

#include "ffgrant/config.h"
#include "ffgrant/partition.h"

FFGRANT_API_BEGIN
namespace ffgrant {

inline constexpr std::uint16_t kHashSlotCount = 16384;

// Returns the part of `key` that is hashed: the text between the first `{` and the next `}`, if
// that text has at least one byte; else the whole key.
//
//   HashTag("{user1000}.following") == "user1000"
//   HashTag("foo{}{bar}") == "foo{}{bar}"
std::string_view HashTag(std::string_view key) noexcept;

// Returns Crc16Xmodem(HashTag(key)) & 0x3FFF, a number from 0 to 16383. `key` may be any bytes of
// any length.
//
//   HashSlot("{fp:7}") == 2729
std::uint16_t HashSlot(std::string_view key) noexcept;

// Returns the slot of a partition's tag, and therefore of every key of that partition.
std::uint16_t HashSlot(Partition partition) noexcept;

}  // namespace ffgrant
FFGRANT_API_END

#endif  // FFGRANT_HASH_SLOT_H_
