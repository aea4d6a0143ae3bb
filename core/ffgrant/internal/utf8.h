// SPDX-License-Identifier: Apache-2.0

#ifndef FFGRANT_INTERNAL_UTF8_H_
#define FFGRANT_INTERNAL_UTF8_H_

#include <cstddef>
#include <cstdint>

namespace ffgrant::internal {

// Returns the size of the UTF-8 sequence that begins at `p`, 1 to 4 bytes, or 0 if no valid
// sequence begins there. Overlong forms, surrogates, values above U+10FFFF, stray continuation
// bytes and sequences cut off by `end` are not valid. `p` must be less than `end`.
inline std::size_t Utf8SequenceSize(const char* p, const char* end) noexcept {
  const auto byte = [p](std::size_t i) { return static_cast<std::uint8_t>(p[i]); };
  const auto is_continuation = [&byte](std::size_t i) { return (byte(i) & 0xC0) == 0x80; };
  const auto left = static_cast<std::size_t>(end - p);
  const std::uint8_t lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead < 0xC2) return 0;
  if (left < 2 || !is_continuation(1)) return 0;
  if (lead < 0xE0) return 2;
  if (lead < 0xF0) {
    if (lead == 0xE0 && byte(1) < 0xA0) return 0;
    if (lead == 0xED && byte(1) >= 0xA0) return 0;
    return left >= 3 && is_continuation(2) ? 3 : 0;
  }
  if (lead > 0xF4) return 0;
  if (lead == 0xF0 && byte(1) < 0x90) return 0;
  if (lead == 0xF4 && byte(1) >= 0x90) return 0;
  return left >= 4 && is_continuation(2) && is_continuation(3) ? 4 : 0;
}

}  // namespace ffgrant::internal

#endif  // FFGRANT_INTERNAL_UTF8_H_
