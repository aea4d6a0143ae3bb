// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/json/json_error.h"

namespace ffgrant {

std::string_view ErrorClassName(JsonErrorClass error_class) noexcept {
  switch (error_class) {
    case JsonErrorClass::kNone:
      return "none";
    case JsonErrorClass::kSyntax:
      return "syntax";
    case JsonErrorClass::kData:
      return "data";
    case JsonErrorClass::kCaller:
      return "caller";
  }
  // Any number may be cast to an enumeration.
  return "unknown";
}

JsonErrorClass ErrorClass(JsonError error) noexcept {
  return JsonResult{error, 0, {}}.error_class();
}

std::string_view ErrorName(JsonError error) noexcept {
  switch (error) {
    case JsonError::kNone:
      return "none";
    case JsonError::kUnexpectedEnd:
      return "unexpected_end";
    case JsonError::kUnexpectedByte:
      return "unexpected_byte";
    case JsonError::kInvalidNumber:
      return "invalid_number";
    case JsonError::kNumberOutOfRange:
      return "number_out_of_range";
    case JsonError::kInvalidEscape:
      return "invalid_escape";
    case JsonError::kLoneSurrogate:
      return "lone_surrogate";
    case JsonError::kControlCharacter:
      return "control_character";
    case JsonError::kInvalidUtf8:
      return "invalid_utf8";
    case JsonError::kTrailingBytes:
      return "trailing_bytes";
    case JsonError::kTooDeep:
      return "too_deep";
    case JsonError::kTooManyElements:
      return "too_many_elements";
    case JsonError::kWrongType:
      return "wrong_type";
    case JsonError::kNotAnInteger:
      return "not_an_integer";
    case JsonError::kIntegerOutOfRange:
      return "integer_out_of_range";
    case JsonError::kMissingField:
      return "missing_field";
    case JsonError::kDuplicateField:
      return "duplicate_field";
    case JsonError::kUnknownVariant:
      return "unknown_variant";
    case JsonError::kTooFewElements:
      return "too_few_elements";
    case JsonError::kSurplusElement:
      return "surplus_element";
    case JsonError::kInvalidUuid:
      return "invalid_uuid";
    case JsonError::kInvalidExecutionId:
      return "invalid_execution_id";
    case JsonError::kDocumentTooLarge:
      return "document_too_large";
    case JsonError::kOutOfMemory:
      return "out_of_memory";
  }
  // Any number may be cast to an enumeration.
  return "unknown";
}

}  // namespace ffgrant
