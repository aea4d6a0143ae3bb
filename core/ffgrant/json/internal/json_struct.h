// SPDX-License-Identifier: Apache-2.0
//
// DTOs as tables of members, and the one decoder that walks them (contract 4
// and 5).

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
  kOptionalText,  // null and absent are one
  kTextList,      // packed strings (packed_string.h)
  kOptionalBool,  // null and absent are one
  kUint64,
  kUint32,
  kUint16,
  kInt64,
  kUuid,         // text in one of the four forms
  kExecutionId,  // text that parses
  kBytes,        // array of numbers 0..255
  kVariant,      // one of `variants`, none of which has a body
  kStruct,       // `nested`
};

struct StructSpec;

// One alternative of an externally tagged type: `"name"` without a body,
// `{"name":body}` with one.
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
  std::size_t nested_values = 0;  // index of nested's first value
};

struct StructSpec {
  std::span<const MemberSpec> members;  // in declaration order
};

// The value that was read for a member; values are in the order of the members.
struct MemberValue {
  bool seen = false;         // its name was
  bool present = false;      // and its value was not null
  std::string_view text;     // texts, bytes; a list's first packed string
  std::uint64_t number = 0;  // numbers; a list's size; a variant's index; a bool

  std::optional<std::string_view> optional_text() const noexcept {
    return present ? std::optional(text) : std::nullopt;
  }
  StringList list() const noexcept {
    return StringList::Packed(text.data(), static_cast<std::size_t>(number));
  }
};

// A struct as object or as positional array.
bool DecodeStruct(JsonReader& reader, const StructSpec& spec, MemberValue* values) noexcept;

// The steps of a struct's decoders. For this one the reader stands on the first byte of member
// `i`'s value.
bool DecodeMember(JsonReader& reader, const StructSpec& spec, MemberValue* values,
                  std::size_t i) noexcept;
// The reader stands on the quote of a name; the value of an unknown member is skimmed.
bool DecodeNamedMember(JsonReader& reader, const StructSpec& spec, MemberValue* values) noexcept;
// The reader stands on the bracket that closes the struct. Fails with `error` if a member
// is missing.
bool CheckRequired(JsonReader& reader, const StructSpec& spec, const MemberValue* values,
                   JsonError error) noexcept;

// An externally tagged type: `which` of the variants, and its body.
bool DecodeVariant(JsonReader& reader, std::span<const VariantSpec> variants, MemberValue* values,
                   std::size_t& which) noexcept;

// An internally tagged type: the member `tag` says which of the variants the
// other members make up. They are buffered before they are looked at, so that
// all of them are checked in full and faults of form come first.
bool DecodeTagged(JsonReader& reader, std::string_view tag, std::span<const VariantSpec> variants,
                  MemberValue* values, std::size_t& which) noexcept;

// Runs `decode`, which takes a reader, over a whole document.
template <class Decode>
JsonResult DecodeDocument(std::string_view json, JsonScratch& scratch,
                          const Decode& decode) noexcept {
  if (json.size() > scratch.max_document_size()) {
    return {JsonError::kDocumentTooLarge, scratch.max_document_size(), {}};
  }
  const JsonMemory memory = JsonMemory::Of(scratch);
  if (memory.text == nullptr) [[unlikely]]
    return {JsonError::kOutOfMemory, 0, {}};
  JsonReader reader(json, memory);
  if (!decode(reader) || !reader.ReadEnd()) return reader.result();
  return {};
}

}  // namespace ffgrant::internal

#endif  // FFGRANT_JSON_INTERNAL_JSON_STRUCT_H_
