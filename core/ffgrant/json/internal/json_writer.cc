// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/json/internal/json_writer.h"

#include <cstring>

#include "ffgrant/internal/utf8.h"

namespace ffgrant::internal {
namespace {

// Returns the letter of a byte's short escape; 0 if the byte has none.
constexpr char ShortEscape(char c) noexcept {
  switch (c) {
    case '"':
    case '\\':
      return c;
    case '\b':
      return 'b';
    case '\f':
      return 'f';
    case '\n':
      return 'n';
    case '\r':
      return 'r';
    case '\t':
      return 't';
    default:
      return '\0';
  }
}

}  // namespace

bool EscapedSize(std::string_view text, std::size_t& size) noexcept {
  const char* p = text.data();
  const char* const end = p + text.size();
  size = text.size();
  for (;;) {
    p = FindSpecial<NonAscii::kSpecial>(p, end);
    if (p == end) return true;
    if (static_cast<unsigned char>(*p) >= 0x80) {
      const std::size_t sequence = Utf8SequenceSize(p, end);
      if (sequence == 0) return false;
      p += sequence;
    } else {
      size += ShortEscape(*p) != '\0' ? 1 : 5;
      ++p;
    }
  }
}

char* WriteEscaped(char* to, std::string_view text) noexcept {
  constexpr std::string_view kHexDigits = "0123456789abcdef";
  const char* p = text.data();
  const char* const end = p + text.size();
  for (;;) {
    const char* const special = FindSpecial<NonAscii::kPlain>(p, end);
    to = CopyText(to, {p, static_cast<std::size_t>(special - p)});
    if (special == end) return to;
    *to++ = '\\';
    if (const char letter = ShortEscape(*special); letter != '\0') {
      *to++ = letter;
    } else {
      const auto byte = static_cast<unsigned char>(*special);
      std::memcpy(to, "u00", 3);
      to[3] = kHexDigits[byte >> 4];
      to[4] = kHexDigits[byte & 15];
      to += 5;
    }
    p = special + 1;
  }
}

}  // namespace ffgrant::internal
