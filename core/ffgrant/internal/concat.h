// SPDX-License-Identifier: Apache-2.0

#ifndef FFGRANT_INTERNAL_CONCAT_H_
#define FFGRANT_INTERNAL_CONCAT_H_

#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <span>
#include <string_view>

#include "ffgrant/write_result.h"

namespace ffgrant::internal {

// A number as text, held by value.
class Decimal {
 public:
  explicit Decimal(std::uint64_t value) noexcept {
    size_ = static_cast<std::size_t>(
        std::to_chars(bytes_.data(), bytes_.data() + bytes_.size(), value).ptr - bytes_.data());
  }
  std::string_view view() const noexcept { return {bytes_.data(), size_}; }

 private:
  std::array<char, 20> bytes_;  // 18446744073709551615
  std::size_t size_;
};

// Writes the parts one after the other, or nothing if they don't fit.
inline WriteResult Concat(std::span<char> out,
                          std::initializer_list<std::string_view> parts) noexcept {
  std::size_t size = 0;
  for (std::string_view part : parts) size += part.size();
  if (size > out.size()) return {size, WriteError::kBufferTooSmall};
  char* to = out.data();
  for (std::string_view part : parts) {
    // An empty view may hold a null pointer, which memcpy must not get.
    if (part.empty()) continue;
    std::memcpy(to, part.data(), part.size());
    to += part.size();
  }
  return {size, WriteError::kNone};
}

}  // namespace ffgrant::internal

#endif  // FFGRANT_INTERNAL_CONCAT_H_
