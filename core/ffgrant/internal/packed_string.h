// SPDX-License-Identifier: Apache-2.0
//
// Packs strings: each string follows its length. A length is written with seven bits a byte, low
// bits first; the high bit is set in all but the last byte. A length below 2^21 takes at most three
// bytes, which is what the string's quotes and comma took in the document.

#ifndef FFGRANT_INTERNAL_PACKED_STRING_H_
#define FFGRANT_INTERNAL_PACKED_STRING_H_

#include <cstddef>
#include <cstring>
#include <string_view>

namespace ffgrant::internal {

// Returns how many bytes suffice for the strings of a document of this size.
constexpr std::size_t PackedCapacity(std::size_t document_size) noexcept {
  return document_size + 7 * (document_size >> 21) + 8;
}

// Writes `text`, which may overlap `to`; returns the end.
inline char* PackString(char* to, std::string_view text) noexcept {
  std::size_t length_size = 1;
  for (std::size_t rest = text.size() >> 7; rest != 0; rest >>= 7) ++length_size;
  if (!text.empty()) std::memmove(to + length_size, text.data(), text.size());
  std::size_t rest = text.size();
  for (std::size_t i = 0; i + 1 < length_size; ++i, rest >>= 7) {
    *to++ = static_cast<char>(rest | 0x80);
  }
  *to++ = static_cast<char>(rest);
  return to + text.size();
}

inline std::string_view UnpackString(const char* from) noexcept {
  std::size_t size = 0;
  unsigned shift = 0;
  for (;; shift += 7) {
    const auto byte = static_cast<unsigned char>(*from++);
    size |= static_cast<std::size_t>(byte & 0x7F) << shift;
    if (byte < 0x80) return {from, size};
  }
}

}  // namespace ffgrant::internal

#endif  // FFGRANT_INTERNAL_PACKED_STRING_H_
