// SPDX-License-Identifier: Apache-2.0
//
// Defines the errors that a parse can report (contract 4), and gives the rules that all parsers and
// writers of the DTOs in json/ follow.
//
// The error at the first offending position is reported, so {"execution_id":1,,, is kWrongType. A
// scalar is read to its end before its type, range or grammar is judged. A missing member counts as
// a fault of the closing bracket; if several members are missing, the one declared first is named.
// Only the tagged reclaim response differs: syntax errors up to its closing bracket, and all errors
// of its tag, are reported before data errors of its other members.
//
// Cost: Parse* and Serialize* take time linear in the size of the document. Of the parses with one
// scratch, only the first that needs the scratch allocates (json_scratch.h). A parse into a
// std::string may also allocate this string.
// Threads: these functions may be called from any thread; each thread that parses needs a scratch
// of its own.

#ifndef FFGRANT_JSON_JSON_ERROR_H_
#define FFGRANT_JSON_JSON_ERROR_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "ffgrant/config.h"

FFGRANT_API_BEGIN
namespace ffgrant {

enum class JsonError : std::uint8_t {
  kNone,
  // These errors are of class kSyntax: HTTP 400.
  kUnexpectedEnd,
  kUnexpectedByte,    // also for +1, .5, NaN
  kInvalidNumber,     // 01, 1., 1e, -x
  kNumberOutOfRange,  // 1e400
  kInvalidEscape,     // \x41, \u12
  kLoneSurrogate,     // \uD83D
  kControlCharacter,  // a raw byte below 0x20 in a string
  kInvalidUtf8,
  kTrailingBytes,    // after the document there is more than white space
  kTooDeep,          // a value in the tagged response is nested too deeply
  kTooManyElements,  // a positional array with more elements than members
  // These errors are of class kData: HTTP 422.
  kWrongType,
  kNotAnInteger,  // 1.0, 1e3, -0
  kIntegerOutOfRange,
  kMissingField,
  kDuplicateField,
  kUnknownVariant,
  kTooFewElements,
  kSurplusElement,  // like kTooManyElements, for the tagged response written as an array
  kInvalidUuid,
  kInvalidExecutionId,
  // These errors are of class kCaller: the fault is the caller's, not the document's.
  kDocumentTooLarge,  // larger than the scratch's limit
  kOutOfMemory,       // the scratch could not be allocated
};

enum class JsonErrorClass : std::uint8_t { kNone, kSyntax, kData, kCaller };

// Returns "syntax", "data" or "caller"; "none" for success.
std::string_view ErrorClassName(JsonErrorClass error_class) noexcept;
JsonErrorClass ErrorClass(JsonError error) noexcept;

// Returns the error's name. The names are the library's own, not the contract's. In the order of
// the enumerators they are "none", "unexpected_end", "unexpected_byte", "invalid_number",
// "number_out_of_range", "invalid_escape", "lone_surrogate", "control_character", "invalid_utf8",
// "trailing_bytes", "too_deep", "too_many_elements", "wrong_type", "not_an_integer",
// "integer_out_of_range", "missing_field", "duplicate_field", "unknown_variant",
// "too_few_elements", "surplus_element", "invalid_uuid", "invalid_execution_id",
// "document_too_large", "out_of_memory".
std::string_view ErrorName(JsonError error) noexcept;

struct [[nodiscard]] JsonResult {
  JsonError error = JsonError::kNone;
  // The offset of the fault in the document; the scratch's max_document_size if the error is
  // kDocumentTooLarge; 0 on success and for kOutOfMemory.
  std::size_t offset = 0;
  // The name of the DTO's member that is at fault, as a literal; empty if no member is at fault.
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
FFGRANT_API_END

#endif  // FFGRANT_JSON_JSON_ERROR_H_
