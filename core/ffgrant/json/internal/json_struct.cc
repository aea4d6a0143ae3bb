// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/json/internal/json_struct.h"

#include <cassert>
#include <limits>

#include "ffgrant/execution_id.h"
#include "ffgrant/internal/packed_string.h"
#include "ffgrant/uuid.h"

namespace ffgrant::internal {
namespace {

using Next = JsonReader::Next;

// The number of nested brackets that the reference can buffer, including the outermost one.
constexpr std::size_t kMaxBufferedDepth = 127;

constexpr std::size_t kNotFound = static_cast<std::size_t>(-1);

template <class Spec>
std::size_t FindName(std::span<const Spec> specs, std::string_view name) noexcept {
  for (std::size_t i = 0; i < specs.size(); ++i) {
    if (specs[i].name == name) return i;
  }
  return kNotFound;
}

// Reads a name for comparisons, and gives back the text memory that the name used.
bool ReadName(JsonReader& reader, std::string_view& name) noexcept {
  char* const top = reader.text_top();
  const bool read = reader.ReadString(name);
  reader.set_text_top(top);
  return read;
}

bool DecodeText(JsonReader& reader, std::string_view& text) noexcept {
  return reader.Peek() == '"' ? reader.ReadString(text) : reader.FailWrongType();
}

// Returns true if `number` is in the range of `kind`; `number.bits` then hold the value.
bool IsInRange(MemberKind kind, const JsonNumber& number) noexcept {
  if (number.kind == JsonNumber::Kind::kNegative) return kind == MemberKind::kInt64;
  if (number.kind != JsonNumber::Kind::kUnsigned) return false;
  switch (kind) {
    case MemberKind::kUint64:
      return true;
    case MemberKind::kInt64:
      return number.bits <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    case MemberKind::kUint16:
      return number.bits <= std::numeric_limits<std::uint16_t>::max();
    case MemberKind::kBytes:
      return number.bits <= std::numeric_limits<std::uint8_t>::max();
    default:
      return number.bits <= std::numeric_limits<std::uint32_t>::max();
  }
}

bool DecodeInteger(JsonReader& reader, MemberKind kind, std::uint64_t& out) noexcept {
  const int c = reader.Peek();
  if (c != '-' && (c < '0' || c > '9')) return reader.FailWrongType();
  const char* const at = reader.position();
  JsonNumber number;
  if (!reader.ReadNumber(number)) return false;
  if (number.kind == JsonNumber::Kind::kFraction) return reader.Fail(JsonError::kNotAnInteger, at);
  if (!IsInRange(kind, number)) return reader.Fail(JsonError::kIntegerOutOfRange, at);
  out = number.bits;
  return true;
}

// Calls `decode_element` for each element of an array. `count` becomes the number of elements.
template <class DecodeElement>
bool DecodeArray(JsonReader& reader, std::uint64_t& count,
                 const DecodeElement& decode_element) noexcept {
  if (reader.Peek() != '[') return reader.FailWrongType();
  reader.Advance();
  for (count = 0;; ++count) {
    const Next next = reader.NextElement(count == 0);
    if (next == Next::kError) return false;
    if (next == Next::kEnd) break;
    if (!decode_element()) return false;
  }
  reader.Advance();
  return true;
}

bool DecodeTextList(JsonReader& reader, MemberValue& value) noexcept {
  const char* const first = reader.text_top();
  value.text = {first, 0};
  return DecodeArray(reader, value.number, [&reader] {
    char* const top = reader.text_top();
    std::string_view text;
    if (!DecodeText(reader, text)) return false;
    reader.set_text_top(PackString(top, text));
    return true;
  });
}

bool DecodeBytes(JsonReader& reader, MemberValue& value) noexcept {
  const char* const first = reader.text_top();
  const bool decoded = DecodeArray(reader, value.number, [&reader] {
    std::uint64_t byte;
    if (!DecodeInteger(reader, MemberKind::kBytes, byte)) return false;
    char* const top = reader.text_top();
    *top = static_cast<char>(byte);
    reader.set_text_top(top + 1);
    return true;
  });
  value.text = {first, static_cast<std::size_t>(value.number)};
  return decoded;
}

bool DecodeUuid(JsonReader& reader, std::string_view& text) noexcept {
  reader.Peek();
  const char* const at = reader.position();
  if (!DecodeText(reader, text)) return false;
  if (ParseUuid(text, ParseMode::kLenient)) return true;
  return reader.Fail(JsonError::kInvalidUuid, at);
}

bool DecodeExecutionId(JsonReader& reader, std::string_view& text) noexcept {
  reader.Peek();
  const char* const at = reader.position();
  if (!DecodeText(reader, text)) return false;
  if (ParseExecutionId(text, ParseMode::kLenient)) return true;
  return reader.Fail(JsonError::kInvalidExecutionId, at);
}

bool DecodeBool(JsonReader& reader, std::uint64_t& out) noexcept {
  const int c = reader.Peek();
  if (c != 't' && c != 'f') return reader.FailWrongType();
  out = c == 't' ? 1 : 0;
  return reader.ReadLiteral(c == 't' ? "true" : "false");
}

bool DecodeValue(JsonReader& reader, const MemberSpec& spec, MemberValue* values,
                 MemberValue& value) noexcept {
  value.present = true;
  switch (spec.kind) {
    case MemberKind::kOptionalText:
    case MemberKind::kOptionalBool:
      if (reader.Peek() == 'n') {
        value.present = false;
        return reader.ReadLiteral("null");
      }
      return spec.kind == MemberKind::kOptionalText ? DecodeText(reader, value.text)
                                                    : DecodeBool(reader, value.number);
    case MemberKind::kText:
      return DecodeText(reader, value.text);
    case MemberKind::kTextList:
      return DecodeTextList(reader, value);
    case MemberKind::kUint64:
    case MemberKind::kUint32:
    case MemberKind::kUint16:
    case MemberKind::kInt64:
      return DecodeInteger(reader, spec.kind, value.number);
    case MemberKind::kUuid:
      return DecodeUuid(reader, value.text);
    case MemberKind::kExecutionId:
      return DecodeExecutionId(reader, value.text);
    case MemberKind::kBytes:
      return DecodeBytes(reader, value);
    case MemberKind::kVariant: {
      std::size_t which = 0;
      const bool decoded = DecodeVariant(reader, spec.variants, nullptr, which);
      value.number = which;
      return decoded;
    }
    case MemberKind::kStruct:
      return DecodeStruct(reader, *spec.nested, values + spec.nested_values);
  }
  // Never reached: the kinds of members are constants, which debug builds check.
  return assert(false && "a kind of member that there is not"), false;
}

}  // namespace

constinit const MemberState kNothingRead;

bool DecodeMember(JsonReader& reader, const StructSpec& spec, MemberValue* values,
                  std::size_t i) noexcept {
  values[i].seen = true;
  if (DecodeValue(reader, spec.members[i], values, values[i])) return true;
  return reader.FailedIn(spec.members[i].name);
}

bool CheckRequired(JsonReader& reader, const StructSpec& spec, const MemberValue* values,
                   JsonError error) noexcept {
  for (std::size_t i = 0; i < spec.members.size(); ++i) {
    if (spec.members[i].required && !values[i].seen) {
      return reader.Fail(error, reader.position(), spec.members[i].name);
    }
  }
  return true;
}

bool DecodeNamedMember(JsonReader& reader, const StructSpec& spec, MemberValue* values) noexcept {
  const char* const at = reader.position();
  std::string_view name;
  if (!ReadName(reader, name)) return false;
  const std::size_t i = FindName(spec.members, name);
  if (i == kNotFound) return reader.Expect(':') && reader.SkimValue();
  if (values[i].seen) return reader.Fail(JsonError::kDuplicateField, at, spec.members[i].name);
  if (!reader.Expect(':')) return reader.FailedIn(spec.members[i].name);
  return DecodeMember(reader, spec, values, i);
}

namespace {

bool DecodeObject(JsonReader& reader, const StructSpec& spec, MemberValue* values) noexcept {
  reader.Advance();
  for (bool first = true;; first = false) {
    const Next next = reader.NextMember(first);
    if (next == Next::kError) return false;
    if (next == Next::kEnd) break;
    if (!DecodeNamedMember(reader, spec, values)) return false;
  }
  if (!CheckRequired(reader, spec, values, JsonError::kMissingField)) return false;
  reader.Advance();
  return true;
}

// Decodes a positional array. `surplus` is the error for an array with too many elements. If
// `tagged` is set, the first element is the tag and not a member.
bool DecodePositional(JsonReader& reader, const StructSpec& spec, MemberValue* values, bool tagged,
                      JsonError surplus) noexcept {
  reader.Advance();
  if (tagged) reader.SkimValue();  // can't fail: ReadTag() has read the tag before
  for (std::size_t i = 0; i < spec.members.size(); ++i) {
    const Next next = reader.NextElement(i == 0 && !tagged);
    if (next == Next::kError) return false;
    if (next == Next::kEnd) break;
    if (!DecodeMember(reader, spec, values, i)) return false;
  }
  const int c = reader.Peek();
  if (c == ',') return reader.Fail(surplus, reader.position());
  if (c != ']') return reader.FailUnexpected();
  if (!CheckRequired(reader, spec, values, JsonError::kTooFewElements)) return false;
  reader.Advance();
  return true;
}

bool DecodeVariantName(JsonReader& reader, std::span<const VariantSpec> variants,
                       std::size_t& which) noexcept {
  if (reader.Peek() != '"') return reader.FailWrongType();
  const char* const at = reader.position();
  std::string_view name;
  if (!ReadName(reader, name)) return false;
  which = FindName(variants, name);
  if (which != kNotFound) return true;
  return reader.Fail(JsonError::kUnknownVariant, at);
}

// Reads the whole value to find the tag, and checks all other members in full.
bool ReadTag(JsonReader& reader, std::string_view tag, std::span<const VariantSpec> variants,
             std::size_t& which) noexcept {
  bool seen = false;
  const bool is_object = reader.Peek() == '{';
  if (!is_object && reader.Peek() != '[') return reader.FailWrongType();
  reader.Advance();
  for (bool first = true;; first = false) {
    const Next next = is_object ? reader.NextMember(first) : reader.NextElement(first);
    if (next == Next::kError) return false;
    if (next == Next::kEnd) break;
    bool is_tag = first;
    if (is_object) {
      const char* const at = reader.position();
      std::string_view name;
      if (!ReadName(reader, name)) return false;
      is_tag = name == tag;
      if (is_tag && seen) return reader.Fail(JsonError::kDuplicateField, at, tag);
      if (!reader.Expect(':')) return false;
    }
    if (!is_tag) {
      if (!reader.CheckValue(kMaxBufferedDepth - 1)) return false;
    } else if (!DecodeVariantName(reader, variants, which)) {
      return reader.FailedIn(tag);
    }
    seen |= is_tag;
  }
  if (!seen) return reader.Fail(JsonError::kMissingField, reader.position(), tag);
  reader.Advance();
  return true;
}

}  // namespace

bool DecodeStruct(JsonReader& reader, const StructSpec& spec, MemberValue* values) noexcept {
  switch (reader.Peek()) {
    case '{':
      return DecodeObject(reader, spec, values);
    case '[':
      return DecodePositional(reader, spec, values, false, JsonError::kTooManyElements);
    default:
      return reader.FailWrongType();
  }
}

bool DecodeVariant(JsonReader& reader, std::span<const VariantSpec> variants, MemberValue* values,
                   std::size_t& which) noexcept {
  const int c = reader.Peek();
  const char* const at = reader.position();
  if (c == '"') {
    if (!DecodeVariantName(reader, variants, which)) return false;
    if (variants[which].body == nullptr) return true;
    return reader.Fail(JsonError::kWrongType, at);
  }
  if (c != '{') return reader.FailUnexpected();
  reader.Advance();
  if (!DecodeVariantName(reader, variants, which) || !reader.Expect(':')) return false;
  if (variants[which].body != nullptr) {
    if (!DecodeStruct(reader, *variants[which].body, values)) return false;
  } else if (reader.Peek() != 'n') {
    return reader.FailWrongType();
  } else if (!reader.ReadLiteral("null")) {
    return false;
  }
  return reader.Expect('}');
}

bool DecodeTagged(JsonReader& reader, std::string_view tag, std::span<const VariantSpec> variants,
                  MemberValue* values, std::size_t& which) noexcept {
  if (!ReadTag(reader, tag, variants, which)) return false;
  // The form is known to be right, so only the data can be wrong. The tag counts as one more name
  // that the variant doesn't know.
  reader.Rewind();
  const StructSpec& body = *variants[which].body;
  return reader.Peek() == '{'
             ? DecodeObject(reader, body, values)
             : DecodePositional(reader, body, values, true, JsonError::kSurplusElement);
}

}  // namespace ffgrant::internal
