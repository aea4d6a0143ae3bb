// SPDX-License-Identifier: Apache-2.0
//
// What can be wrong with a document (contract 4).

#ifndef FFGRANT_JSON_JSON_ERROR_H_
#define FFGRANT_JSON_JSON_ERROR_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ffgrant {

enum class JsonError : std::uint8_t {
  kNone,
  // Class kSyntax: HTTP 400.
  kUnexpectedEnd,
  kUnexpectedByte,
  kInvalidNumber,     // 01, +1, 1., .5, 1e, NaN
  kNumberOutOfRange,  // 1e400
  kInvalidEscape,     // \x41, \u12
  kLoneSurrogate,     // \uD83D
  kControlCharacter,  // a raw byte below 0x20 in a string
  kInvalidUtf8,
  kTrailingBytes,    // anything but white space behind the document
  kTooDeep,          // nesting that the tagged response does not buffer
  kTooManyElements,  // a positional array with more elements than members
  // Class kData: HTTP 422.
  kWrongType,
  kNotAnInteger,  // 1.0, 1e3, -0
  kIntegerOutOfRange,
  kMissingField,
  kDuplicateField,
  kUnknownVariant,
  kTooFewElements,
  kSurplusElement,  // kTooManyElements, in the positional tagged response
  kInvalidUuid,
  kInvalidExecutionId,
  // Class kCaller: the caller's doing, not the document's.
  kDocumentTooLarge,  // larger than the scratch was made for
};

enum class JsonErrorClass : std::uint8_t { kNone, kSyntax, kData, kCaller };

// "syntax", "data", "caller"; "none".
std::string_view ErrorClassName(JsonErrorClass error_class) noexcept;
JsonErrorClass ErrorClass(JsonError error) noexcept;
std::string_view ErrorName(JsonError error) noexcept;

struct [[nodiscard]] JsonResult {
  JsonError error = JsonError::kNone;
  // Of the offence in the document; 0 on success.
  std::size_t offset = 0;
  // The DTO's member concerned, a literal; empty where none is.
  std::string_view member;

  constexpr explicit operator bool() const noexcept { return error == JsonError::kNone; }
  constexpr JsonErrorClass error_class() const noexcept {
    return error == JsonError::kNone              ? JsonErrorClass::kNone
           : error <= JsonError::kTooManyElements ? JsonErrorClass::kSyntax
           : error < JsonError::kDocumentTooLarge ? JsonErrorClass::kData
                                                  : JsonErrorClass::kCaller;
  }
  friend constexpr bool operator==(const JsonResult&, const JsonResult&) = default;
};

}  // namespace ffgrant

#endif  // FFGRANT_JSON_JSON_ERROR_H_
