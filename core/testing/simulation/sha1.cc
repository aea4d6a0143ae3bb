// SPDX-License-Identifier: Apache-2.0

#include "testing/simulation/sha1.h"

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace ffgrant::valkey::testing {
namespace {

using State = std::array<std::uint32_t, 5>;

void Digest(State& state, const unsigned char* block) {
  std::uint32_t w[80];
  for (int i = 0; i < 16; ++i) {
    w[i] = std::uint32_t{block[4 * i]} << 24 | std::uint32_t{block[4 * i + 1]} << 16 |
           std::uint32_t{block[4 * i + 2]} << 8 | block[4 * i + 3];
  }
  for (int i = 16; i < 80; ++i) w[i] = std::rotl(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
  auto [a, b, c, d, e] = state;
  for (int i = 0; i < 80; ++i) {
    const std::uint32_t f = i < 20   ? (b & c) | (~b & d)
                            : i < 40 ? b ^ c ^ d
                            : i < 60 ? (b & c) | (b & d) | (c & d)
                                     : b ^ c ^ d;
    static constexpr std::uint32_t kRound[] = {0x5A827999, 0x6ED9EBA1, 0x8F1BBCDC, 0xCA62C1D6};
    const std::uint32_t next = std::rotl(a, 5) + f + e + kRound[i / 20] + w[i];
    e = d;
    d = c;
    c = std::rotl(b, 30);
    b = a;
    a = next;
  }
  state = {state[0] + a, state[1] + b, state[2] + c, state[3] + d, state[4] + e};
}

}  // namespace

std::array<char, 40> Sha1Hex(std::string_view text) {
  State state = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
  const std::uint64_t bits = 8 * std::uint64_t{text.size()};
  unsigned char block[64];
  for (; text.size() >= sizeof block; text.remove_prefix(sizeof block)) {
    std::memcpy(block, text.data(), sizeof block);
    Digest(state, block);
  }
  std::memset(block, 0, sizeof block);
  if (!text.empty()) std::memcpy(block, text.data(), text.size());
  block[text.size()] = 0x80;
  if (text.size() >= 56) {
    Digest(state, block);
    std::memset(block, 0, sizeof block);
  }
  for (std::size_t i = 0; i < 8; ++i)
    block[56 + i] = static_cast<unsigned char>(bits >> (56 - 8 * i));
  Digest(state, block);
  std::array<char, 40> hex;
  for (std::size_t i = 0; i < hex.size(); ++i) {
    hex[i] = "0123456789abcdef"[state[i / 8] >> (28 - 4 * (i % 8)) & 15];
  }
  return hex;
}

}  // namespace ffgrant::valkey::testing
