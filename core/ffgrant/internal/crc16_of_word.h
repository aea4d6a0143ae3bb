// SPDX-License-Identifier: Apache-2.0

#ifndef FFGRANT_INTERNAL_CRC16_OF_WORD_H_
#define FFGRANT_INTERNAL_CRC16_OF_WORD_H_

#include <cstdint>

namespace ffgrant::internal {

// Returns Crc16Xmodem of the word's eight bytes, lowest byte first. Leading zeros don't change a
// CRC. A text of up to eight bytes that stands in the topmost bytes, with zeros below, therefore
// has this same CRC.
std::uint16_t Crc16OfWord(std::uint64_t word) noexcept;

}  // namespace ffgrant::internal

#endif  // FFGRANT_INTERNAL_CRC16_OF_WORD_H_
