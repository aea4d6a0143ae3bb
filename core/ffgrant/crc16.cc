// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/crc16.h"

#include <array>
#include <cstddef>

#include "ffgrant/internal/crc16_clmul.h"
#include "ffgrant/internal/crc16_of_word.h"
#include "ffgrant/internal/paths.h"

namespace ffgrant {
namespace {

constexpr unsigned kPolynomial = 0x1021;

using Table = std::array<std::uint16_t, 256>;

// tables[k][b] is the CRC of byte b followed by k zero bytes, so that one step can take in eight
// bytes.
// Never reached: computed at compile time.
constexpr std::array<Table, 8> MakeTables() {
  std::array<Table, 8> tables{};
  for (unsigned b = 0; b < 256; ++b) {
    unsigned crc = b << 8;
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 0x8000) ? (crc << 1) ^ kPolynomial : crc << 1;
    tables[0][b] = static_cast<std::uint16_t>(crc);
  }
  for (std::size_t k = 1; k < tables.size(); ++k) {
    for (unsigned b = 0; b < 256; ++b) {
      const unsigned previous = tables[k - 1][b];
      tables[k][b] = static_cast<std::uint16_t>(previous << 8 ^ tables[0][previous >> 8]);
    }
  }
  return tables;
}

constexpr std::array<Table, 8> kTables = MakeTables();

}  // namespace

std::uint16_t internal::Crc16OfWord(std::uint64_t word) noexcept {
  // The eight parts are written out, since compilers would not unroll a loop.
  const auto part = [word](unsigned byte) -> unsigned {
    return kTables[7 - byte][word >> (8 * byte) & 0xFF];
  };
  return static_cast<std::uint16_t>(part(0) ^ part(1) ^ part(2) ^ part(3) ^ part(4) ^ part(5) ^
                                    part(6) ^ part(7));
}

std::uint16_t Crc16Xmodem(std::string_view bytes) noexcept {
#ifdef FFGRANT_HAS_AVX2_PATHS
  // For texts of fewer bytes than kLeast the tables are faster.
  constexpr std::size_t kLeast = 24;
  static_assert(kLeast >= internal::kMinClmulSize);
  if (bytes.size() >= kLeast && internal::HasClmul()) {
    internal::TakePath(internal::Path::kCrcClmul, bytes.size());
    return internal::Crc16Clmul(bytes.data(), bytes.size());
  }
#endif
  internal::TakePath(internal::Path::kCrcTable, bytes.size());
  unsigned crc = 0;
  const auto* p = reinterpret_cast<const unsigned char*>(bytes.data());
  std::size_t left = bytes.size();
  for (; left >= 8; left -= 8, p += 8) {
    crc = kTables[7][p[0] ^ crc >> 8] ^ kTables[6][p[1] ^ (crc & 0xFF)] ^ kTables[5][p[2]] ^
          kTables[4][p[3]] ^ kTables[3][p[4]] ^ kTables[2][p[5]] ^ kTables[1][p[6]] ^
          kTables[0][p[7]];
  }
  for (; left != 0; --left, ++p) crc = (crc << 8 & 0xFFFF) ^ kTables[0][crc >> 8 ^ *p];
  return static_cast<std::uint16_t>(crc);
}

}  // namespace ffgrant
