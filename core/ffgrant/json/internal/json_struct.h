// SPDX-License-Identifier: Apache-2.0
//
// Describes DTOs as tables of members, and decodes them by these tables (contract 4 and 5).

#ifndef FFGRANT_JSON_INTERNAL_JSON_STRUCT_H_
#define FFGRANT_JSON_INTERNAL_JSON_STRUCT_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "ffgrant/json/internal/json_memory.h"
#include "ffgrant/json/internal/json_reader.h"
#include "ffgrant/json/json_error.h"
#include "ffgrant/json/json_scratch.h"
#include "ffgrant/json/string_list.h"

namespace ffgrant::internal {

enum class MemberKind : std::uint8_t {
  kText,
  kOptionalText,  // null and absent mean the same
  kTextList,      // packed strings (packed_string.h)
  kOptionalBool,  // null and absent mean the same
  kUint64,
  kUint32,
  kUint16,
  kInt64,
  kUuid,         // a text in one of the four forms of a uuid
  kExecutionId,  // a text that parses as an execution id
  kBytes,        // an array of numbers 0..255
  kVariant,      // one of `variants`, which have no bodies
  kStruct,       // `nested`
};

struct StructSpec;

// One alternative of an externally tagged type. In JSON an alternative without a body is `"name"`
// or `{"name":null}`, and one with a body is `{"name":body}`.
struct VariantSpec {
  std::string_view name;
  const StructSpec* body = nullptr;
};

struct MemberSpec {
  std::string_view name;
  MemberKind kind = MemberKind::kText;
  bool required = true;
  std::span<const VariantSpec> variants = {};
  const StructSpec* nested = nullptr;
  std::size_t nested_values = 0;  // the index of the first value of `nested`
};

struct StructSpec {
  std::span<const MemberSpec> members;  // in declaration order
};

// The state of a member while a struct is read.
struct MemberState {
  bool seen = false;         // the member's name was read
  bool present = false;      // the member's value was read and is not null
  std::string_view text;     // a text, bytes, or a list's first packed string
  std::uint64_t number = 0;  // a number, how many texts or bytes, a variant's index, or a bool

  std::optional<std::string_view> optional_text() const noexcept {
    return present ? std::optional(text) : std::nullopt;
  }
  StringList list() const noexcept {
    return StringList::Packed(text.data(), static_cast<std::size_t>(number));
  }
};

// The state of a member before anything is read. This state is kept in memory, where the compiler
// cannot see its bytes: g++ would fill an array of zeros with `rep stos`, which takes 10 ns for the
// four members of a claim response, a fifth of the time for the whole document.
extern const MemberState kNothingRead;

// The value that was read for a member; values are in the order of the members.
struct MemberValue : MemberState {
  MemberValue() noexcept : MemberState(kNothingRead) {}
};

// Decodes a struct, written as an object or as a positional array.
bool DecodeStruct(JsonReader& reader, const StructSpec& spec, MemberValue* values) noexcept;

// The next three functions are the steps of a struct's decoders. When DecodeMember() is called, the
// reader must stand on the value of member `i`, or on blanks before it.
bool DecodeMember(JsonReader& reader, const StructSpec& spec, MemberValue* values,
                  std::size_t i) noexcept;
// Decodes one member by its name. The reader must stand on the quote of the name. The value of an
// unknown member is skimmed.
bool DecodeNamedMember(JsonReader& reader, const StructSpec& spec, MemberValue* values) noexcept;
// Checks that no required member is missing, else fails with `error`. The reader must stand on the
// bracket that closes the struct.
bool CheckRequired(JsonReader& reader, const StructSpec& spec, const MemberValue* values,
                   JsonError error) noexcept;

// Decodes an externally tagged type. `which` becomes the index of the variant; `values` gets the
// variant's body.
bool DecodeVariant(JsonReader& reader, std::span<const VariantSpec> variants, MemberValue* values,
                   std::size_t& which) noexcept;

// Decodes an internally tagged type: the member `tag` tells which variant the other members belong
// to. The value must be the whole document, and is read to its end to find the tag before the other
// members are judged. So all values are checked in full, and a syntax error is reported before a
// fault in the data of the other members.
bool DecodeTagged(JsonReader& reader, std::string_view tag, std::span<const VariantSpec> variants,
                  MemberValue* values, std::size_t& which) noexcept;

// Calls `decode`, which takes a reader, for a whole document. Returns false after a failure;
// `result` then holds the error.
template <class Decode>
bool DecodeDocument(std::string_view json, JsonScratch& scratch, const Decode& decode,
                    JsonResult& result) noexcept {
  if (json.size() > scratch.max_document_size()) {
    result = {JsonError::kDocumentTooLarge, scratch.max_document_size(), {}};
    return false;
  }
  const JsonMemory memory = JsonMemory::Of(scratch);
  if (memory.text == nullptr) [[unlikely]] {
    result = {JsonError::kOutOfMemory, 0, {}};
    return false;
  }
  JsonReader reader(json, memory);
  if (decode(reader) && reader.ReadEnd()) return true;
  result = reader.result();
  return false;
}

template <class Decode>
JsonResult DecodeDocument(std::string_view json, JsonScratch& scratch,
                          const Decode& decode) noexcept {
  JsonResult result;
  static_cast<void>(DecodeDocument(json, scratch, decode, result));
  return result;
}

}  // namespace ffgrant::internal

#endif  // FFGRANT_JSON_INTERNAL_JSON_STRUCT_H_
