// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/uuid.h"

#include "ffgrant/internal/any_case_uuid_avx2.h"
#include "ffgrant/internal/any_uuid.h"
#include "ffgrant/internal/cpu.h"
#include "ffgrant/internal/paths.h"
#include "ffgrant/internal/uuid_hex.h"

namespace ffgrant {
namespace {

constexpr std::string_view kUrnPrefix = "urn:uuid:";
constexpr std::size_t kSimpleSize = 32;
constexpr std::size_t kBracedSize = kUuidTextSize + 2;
constexpr std::size_t kUrnSize = kUrnPrefix.size() + kUuidTextSize;

UuidResult Fail(UuidError error, std::size_t offset) noexcept {
  return {.uuid = {}, .error = error, .offset = offset};
}

// Returns 0..15 for a hex digit, or 16 for any other byte.
unsigned HexValue(char c) noexcept {
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a' + 10);
  if (c >= 'A' && c <= 'F') return static_cast<unsigned>(c - 'A' + 10);
  return 16;
}

bool IsHyphenPlace(std::size_t i) noexcept { return i == 8 || i == 13 || i == 18 || i == 23; }

// Reads the digits of one form from `text[begin..]`, with or without hyphens. Offsets in the result
// are offsets in `text`. `uppercase` must be npos before the call; it becomes the offset of the
// first uppercase digit, if there is one.
UuidResult ParseDigitsByLoop(std::string_view text, std::size_t begin, std::size_t size,
                             bool hyphenated, std::size_t& uppercase) noexcept {
  internal::TakePath(internal::Path::kUuidLoop, text.size());
  UuidResult result;
  std::size_t digits = 0;
  for (std::size_t i = 0; i < size; ++i) {
    const char c = text[begin + i];
    if (hyphenated && IsHyphenPlace(i)) {
      if (c != '-') return Fail(UuidError::kInvalidCharacter, begin + i);
      continue;
    }
    const unsigned value = HexValue(c);
    if (value == 16) return Fail(UuidError::kInvalidCharacter, begin + i);
    if (c >= 'A' && c <= 'F' && uppercase == std::string_view::npos) uppercase = begin + i;
    std::uint8_t& byte = result.uuid.bytes[digits / 2];
    byte = static_cast<std::uint8_t>(byte << 4 | value);
    ++digits;
  }
  return result;
}

UuidResult ParseAnyByLoop(std::string_view text, std::size_t& uppercase) noexcept {
  uppercase = std::string_view::npos;
  switch (text.size()) {
    case kSimpleSize:
      return ParseDigitsByLoop(text, 0, kSimpleSize, false, uppercase);
    case kUuidTextSize:
      return ParseDigitsByLoop(text, 0, kUuidTextSize, true, uppercase);
    case kBracedSize: {
      if (text.front() != '{') return Fail(UuidError::kInvalidCharacter, 0);
      const UuidResult inner = ParseDigitsByLoop(text, 1, kUuidTextSize, true, uppercase);
      if (inner && text.back() != '}') return Fail(UuidError::kInvalidCharacter, text.size() - 1);
      return inner;
    }
    case kUrnSize:
      for (std::size_t i = 0; i < kUrnPrefix.size(); ++i) {
        if (text[i] != kUrnPrefix[i]) return Fail(UuidError::kInvalidCharacter, i);
      }
      return ParseDigitsByLoop(text, kUrnPrefix.size(), kUuidTextSize, true, uppercase);
    default:
      return Fail(UuidError::kInvalidLength, text.size());
  }
}

#ifdef FFGRANT_HAS_AVX2_PATHS
FFGRANT_AVX2 UuidResult ParseAnyAvx2(std::string_view text, std::size_t& uppercase) noexcept {
  const std::uint8_t form = internal::UuidFormOfSize(text.size());
  if (form == internal::kNoUuidForm) return Fail(UuidError::kInvalidLength, text.size());
  internal::TakePath(internal::Path::kUuidAvx2, text.size());
  UuidResult result;
  const std::size_t valid =
      internal::DecodeUuidForm(text, internal::kUuidForms[form], result.uuid, uppercase);
  return valid == text.size() ? result : Fail(UuidError::kInvalidCharacter, valid);
}
#endif

}  // namespace

// The function is not inlined, so that the path for canonical texts does not have to save registers
// for it.
[[gnu::noinline]] UuidResult internal::ParseAnyUuid(std::string_view text,
                                                    std::size_t& uppercase) noexcept {
#ifdef FFGRANT_HAS_AVX2_PATHS
  if (internal::HasAvx2()) [[likely]]
    return ParseAnyAvx2(text, uppercase);
#endif
  return ParseAnyByLoop(text, uppercase);
}

UuidResult ParseUuid(std::string_view text, ParseMode mode) noexcept {
  internal::TakePath(internal::Path::kCanonicalUuid, text.size());
  UuidResult canonical;
  if (text.size() == kUuidTextSize && internal::ParseCanonicalUuid(text.data(), canonical.uuid)) {
    return canonical;
  }
  std::size_t uppercase;
  const UuidResult result = internal::ParseAnyUuid(text, uppercase);
  if (!result || mode == ParseMode::kLenient) return result;
  if (text.size() != kUuidTextSize) return Fail(UuidError::kNonCanonicalForm, 0);
  // A hyphenated text that is not canonical has an uppercase digit.
  return Fail(UuidError::kUppercaseDigit, uppercase);
}

void FormatUuid(const Uuid& uuid, std::span<char, kUuidTextSize> out) noexcept {
  internal::WriteCanonicalUuid(uuid, out.data());
}

std::string_view ErrorName(UuidError error) noexcept {
  switch (error) {
    case UuidError::kNone:
      return "none";
    case UuidError::kInvalidLength:
      return "invalid_length";
    case UuidError::kInvalidCharacter:
      return "invalid_character";
    case UuidError::kNonCanonicalForm:
      return "non_canonical_form";
    case UuidError::kUppercaseDigit:
      return "uppercase_digit";
  }
  // Any number may be cast to an enumeration.
  return "unknown";
}

}  // namespace ffgrant
