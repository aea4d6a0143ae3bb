// SPDX-License-Identifier: Apache-2.0
//
// Defines UUIDs and their text (contract 1.5).
//
//   simple      32 hex digits
//   hyphenated  8-4-4-4-12 hex digits, 36 bytes
//   braced      "{" hyphenated "}", 38 bytes
//   urn         "urn:uuid:" hyphenated, 45 bytes
//
// The length decides the form. Hex digits may be in either case; version and variant bits are not
// checked. Output is in the canonical form: hyphenated, in lower case.

#ifndef FFGRANT_UUID_H_
#define FFGRANT_UUID_H_

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "ffgrant/config.h"
#include "ffgrant/parse_mode.h"

FFGRANT_API_BEGIN
namespace ffgrant {

inline constexpr std::size_t kUuidTextSize = 36;

// The bytes in the order of the text: the first two hex digits are bytes[0].
struct Uuid {
  std::array<std::uint8_t, 16> bytes{};

  friend constexpr bool operator==(const Uuid&, const Uuid&) = default;
  // This operator is written by hand, since arrays have no <=> in libc++ 16.
  friend constexpr std::strong_ordering operator<=>(const Uuid& a, const Uuid& b) noexcept {
    for (std::size_t i = 0; i < a.bytes.size(); ++i) {
      if (a.bytes[i] != b.bytes[i]) return a.bytes[i] <=> b.bytes[i];
    }
    return std::strong_ordering::equal;
  }
};

enum class UuidError : std::uint8_t {
  kNone,
  kInvalidLength,
  kInvalidCharacter,  // a wrong digit or hyphen, or a wrong byte of the brace or urn form
  // Only strict mode reports the errors from here on.
  kNonCanonicalForm,  // simple, braced or urn
  kUppercaseDigit,
};

// Returns "none", "invalid_length", "invalid_character", "non_canonical_form" or "uppercase_digit".
std::string_view ErrorName(UuidError error) noexcept;

struct [[nodiscard]] UuidResult {
  Uuid uuid;
  UuidError error = UuidError::kNone;
  // The offset of the first byte that breaks the rule; the text's size for kInvalidLength; 0 for
  // kNonCanonicalForm and on success.
  std::size_t offset = 0;

  constexpr explicit operator bool() const noexcept { return error == UuidError::kNone; }
  friend constexpr bool operator==(const UuidResult&, const UuidResult&) = default;
};

// Parses `text`, which may be any bytes of any length. Allocates nothing. A text that lenient mode
// rejects has the same error in strict mode.
//
//   ParseUuid("550e8400-e29b-41d4-a716-446655440000", ParseMode::kStrict)
UuidResult ParseUuid(std::string_view text, ParseMode mode) noexcept;

// Writes the canonical form.
void FormatUuid(const Uuid& uuid, std::span<char, kUuidTextSize> out) noexcept;

}  // namespace ffgrant
FFGRANT_API_END

// All bytes of the uuid enter the hash. Like the standard library's hash of a text, this hash does
// not withstand ids that somebody has chosen to collide.
template <>
struct std::hash<ffgrant::Uuid> {
  std::size_t operator()(const ffgrant::Uuid& uuid) const noexcept {
    return std::hash<std::string_view>()(
        {reinterpret_cast<const char*>(uuid.bytes.data()), uuid.bytes.size()});
  }
};

#endif  // FFGRANT_UUID_H_
