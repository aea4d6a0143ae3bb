// SPDX-License-Identifier: Apache-2.0
//
// Test only: computes CRC16-XMODEM bit by bit, hash tags and slots, and FNV-1a. All of it is
// written from contract 2.

#ifndef FFGRANT_TESTING_NAIVE_NAIVE_HASH_H_
#define FFGRANT_TESTING_NAIVE_NAIVE_HASH_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ffgrant::testing {

inline std::uint16_t NaiveCrc16(std::string_view bytes) {
  std::uint32_t crc = 0;
  for (const char c : bytes) {
    for (int bit = 7; bit >= 0; --bit) {
      const std::uint32_t in = (static_cast<std::uint8_t>(c) >> bit) & 1u;
      const std::uint32_t out = (crc >> 15) & 1u;
      crc = (crc << 1) & 0xFFFFu;
      if (in != out) crc ^= 0x1021u;
    }
  }
  return static_cast<std::uint16_t>(crc);
}

inline std::string_view NaiveHashTag(std::string_view key) {
  std::size_t open = 0;
  while (open < key.size() && key[open] != '{') ++open;
  if (open == key.size()) return key;
  std::size_t close = open + 1;
  while (close < key.size() && key[close] != '}') ++close;
  if (close == key.size() || close == open + 1) return key;
  return key.substr(open + 1, close - open - 1);
}

inline std::uint16_t NaiveHashSlot(std::string_view key) {
  return static_cast<std::uint16_t>(NaiveCrc16(NaiveHashTag(key)) % 16384);
}

inline std::uint64_t NaiveFnv1a64(std::string_view bytes) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : bytes) {
    hash ^= static_cast<std::uint8_t>(c);
    hash *= 0x100000001b3u;
  }
  return hash;
}

}  // namespace ffgrant::testing

#endif  // FFGRANT_TESTING_NAIVE_NAIVE_HASH_H_
