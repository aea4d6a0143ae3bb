// SPDX-License-Identifier: Apache-2.0

#ifndef FFGRANT_CRC16_H_
#define FFGRANT_CRC16_H_

#include <cstdint>
#include <string_view>

#include "ffgrant/config.h"

FFGRANT_API_BEGIN
namespace ffgrant {

// Returns the CRC16-XMODEM of `bytes`: polynomial 0x1021, initial value 0, no reflection, no final
// xor (contract 2). `bytes` may be any bytes of any length. Takes time linear in the input and
// allocates nothing.
//
//   Crc16Xmodem("123456789") == 0x31C3
std::uint16_t Crc16Xmodem(std::string_view bytes) noexcept;

}  // namespace ffgrant
FFGRANT_API_END

#endif  // FFGRANT_CRC16_H_
