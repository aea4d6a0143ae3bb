// SPDX-License-Identifier: Apache-2.0
//
// Computes CRC-16/XMODEM by carry-less multiplication. The message is a polynomial. Each 16 bytes
// of the message are folded into the next 16, and the last 128 bits are reduced, at the end by
// Barrett's method (Gopal et al., "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ
// Instruction").

#ifndef FFGRANT_INTERNAL_CRC16_CLMUL_H_
#define FFGRANT_INTERNAL_CRC16_CLMUL_H_

#include "ffgrant/internal/cpu.h"

#ifdef FFGRANT_HAS_AVX2_PATHS

#include <cstddef>
#include <cstdint>

namespace ffgrant::internal {

// The smallest size that Crc16Clmul accepts.
inline constexpr std::size_t kMinClmulSize = 16;

// Computes Crc16Xmodem of at least kMinClmulSize bytes.
FFGRANT_CLMUL std::uint16_t Crc16Clmul(const char* bytes, std::size_t size) noexcept;

}  // namespace ffgrant::internal

#endif  // FFGRANT_HAS_AVX2_PATHS

#endif  // FFGRANT_INTERNAL_CRC16_CLMUL_H_
