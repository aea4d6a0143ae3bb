// SPDX-License-Identifier: Apache-2.0

#ifndef FFGRANT_INTERNAL_CRC16_OF_WORD_H_
#define FFGRANT_INTERNAL_CRC16_OF_WORD_H_

#include <cstdint>

namespace ffgrant::internal {

// Crc16Xmodem of the word's eight bytes, the lowest one first. Zeros before a
// text don't change its CRC, so that this is also the CRC of up to eight bytes
// that stand in the topmost places.
std::uint16_t Crc16OfWord(std::uint64_t word) noexcept;

}  // namespace ffgrant::internal

#endif  // FFGRANT_INTERNAL_CRC16_OF_WORD_H_
