// SPDX-License-Identifier: Apache-2.0
//
// Test only: parses uuids as contract 1.5 says. Each form is a pattern that is compared character
// by character. This parser is the oracle of tests and fuzz targets.

#ifndef FFGRANT_TESTING_NAIVE_NAIVE_UUID_H_
#define FFGRANT_TESTING_NAIVE_NAIVE_UUID_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "ffgrant/parse_mode.h"
#include "ffgrant/uuid.h"

namespace ffgrant::testing {

// Returns the pattern that a text of this length must have: `x` stands for a hex digit in either
// case, any other character for itself. The pattern is empty for a length that no form has.
inline std::string_view NaiveUuidPattern(std::size_t length) {
  constexpr std::string_view kPatterns[] = {
      "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
      "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx",
      "{xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx}",
      "urn:uuid:xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx",
  };
  for (const std::string_view pattern : kPatterns) {
    if (pattern.size() == length) return pattern;
  }
  return {};
}

inline int NaiveHexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// On failure the uuid in the result is nil.
inline UuidResult NaiveParseUuid(std::string_view text, ParseMode mode) {
  const std::string_view pattern = NaiveUuidPattern(text.size());
  if (pattern.empty()) {
    return {Uuid{}, UuidError::kInvalidLength, text.size()};
  }
  Uuid uuid;
  std::size_t digits = 0;
  std::size_t first_uppercase = text.size();
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (pattern[i] != 'x') {
      if (text[i] != pattern[i]) return {Uuid{}, UuidError::kInvalidCharacter, i};
      continue;
    }
    const int digit = NaiveHexDigit(text[i]);
    if (digit < 0) return {Uuid{}, UuidError::kInvalidCharacter, i};
    if (text[i] >= 'A' && text[i] <= 'F' && i < first_uppercase) first_uppercase = i;
    std::uint8_t& byte = uuid.bytes[digits / 2];
    byte = static_cast<std::uint8_t>(byte * 16 + digit);
    ++digits;
  }
  if (mode == ParseMode::kStrict && text.size() != 36) {
    return {Uuid{}, UuidError::kNonCanonicalForm, 0};
  }
  if (mode == ParseMode::kStrict && first_uppercase != text.size()) {
    return {Uuid{}, UuidError::kUppercaseDigit, first_uppercase};
  }
  return {uuid, UuidError::kNone, 0};
}

inline std::string NaiveUuidText(const Uuid& uuid) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (std::size_t i = 0; i < uuid.bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += kDigits[uuid.bytes[i] / 16];
    text += kDigits[uuid.bytes[i] % 16];
  }
  return text;
}

}  // namespace ffgrant::testing

#endif  // FFGRANT_TESTING_NAIVE_NAIVE_UUID_H_
