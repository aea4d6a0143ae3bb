// SPDX-License-Identifier: Apache-2.0

#include "oracles/naive_json_struct.h"

#include "ffgrant/parse_mode.h"
#include "testing/naive/naive_execution_id.h"
#include "testing/naive/naive_uuid.h"

namespace ffgrant::fuzz {
namespace {

constexpr std::uint64_t kMinSigned = std::uint64_t{1} << 63;  // as a magnitude

bool ReadEnum(const NaiveField& field, NaiveJsonReader& reader, NaiveValue* value);

// While a MemberScope lives, failures name its member.
class MemberScope {
 public:
  MemberScope(std::string_view member, NaiveJsonReader& reader)
      : reader_(reader), outer_(reader.member()) {
    reader_.set_member(member);
  }
  MemberScope(const MemberScope&) = delete;
  MemberScope& operator=(const MemberScope&) = delete;
  ~MemberScope() { reader_.set_member(outer_); }

 private:
  NaiveJsonReader& reader_;
  std::string_view outer_;
};

std::size_t IndexOf(std::string_view name, std::span<const std::string_view> names) {
  std::size_t index = 0;
  while (index < names.size() && names[index] != name) ++index;
  return index;
}

std::size_t IndexOf(std::string_view name, std::span<const NaiveField> fields) {
  std::size_t index = 0;
  while (index < fields.size() && fields[index].name != name) ++index;
  return index;
}

// --- numbers ---

JsonError StoreUnsigned(const NaiveNumber& number, std::uint64_t max, NaiveValue* value) {
  if (!number.integer) return JsonError::kNotAnInteger;
  if (number.negative || !number.fits || number.magnitude > max) {
    return JsonError::kIntegerOutOfRange;
  }
  value->number = number.magnitude;
  return JsonError::kNone;
}

JsonError StoreSigned(const NaiveNumber& number, NaiveValue* value) {
  if (!number.integer) return JsonError::kNotAnInteger;
  const std::uint64_t max = number.negative ? kMinSigned : kMinSigned - 1;
  if (!number.fits || number.magnitude > max) return JsonError::kIntegerOutOfRange;
  value->signed_number =
      static_cast<std::int64_t>(number.negative ? 0 - number.magnitude : number.magnitude);
  return JsonError::kNone;
}

bool ReadInteger(NaiveKind kind, std::uint64_t max, NaiveJsonReader& reader, NaiveValue* value) {
  char first;
  if (!reader.Peek(&first)) return false;
  if (first != '-' && (first < '0' || first > '9')) return reader.ReadWrongType();
  const std::size_t begin = reader.at();
  NaiveNumber number;
  if (!reader.ReadNumber(&number)) return false;
  const JsonError error =
      kind == NaiveKind::kSigned ? StoreSigned(number, value) : StoreUnsigned(number, max, value);
  return error == JsonError::kNone || reader.Fail(error, begin);
}

// --- texts and lists ---

bool ReadText(NaiveJsonReader& reader, std::string* text) {
  char first;
  if (!reader.Peek(&first)) return false;
  return first == '"' ? reader.ReadString(text) : reader.ReadWrongType();
}

bool ReadUuid(NaiveJsonReader& reader, NaiveValue* value) {
  char first;
  if (!reader.Peek(&first)) return false;
  const std::size_t begin = reader.at();
  if (!ReadText(reader, &value->text)) return false;
  const UuidResult uuid = testing::NaiveParseUuid(value->text, ParseMode::kLenient);
  value->uuid = uuid.uuid;
  return uuid.error == UuidError::kNone || reader.Fail(JsonError::kInvalidUuid, begin);
}

bool ReadExecutionId(NaiveJsonReader& reader, NaiveValue* value) {
  char first;
  if (!reader.Peek(&first)) return false;
  const std::size_t begin = reader.at();
  if (!ReadText(reader, &value->text)) return false;
  const auto id = testing::NaiveParseExecutionId(value->text, ParseMode::kLenient);
  return id.error == ExecutionIdError::kNone || reader.Fail(JsonError::kInvalidExecutionId, begin);
}

template <class ReadElement>
bool ReadList(NaiveJsonReader& reader, ReadElement read_element) {
  char next;
  if (!reader.Peek(&next)) return false;
  if (next != '[') return reader.ReadWrongType();
  reader.Advance();
  if (!reader.Peek(&next)) return false;
  while (next != ']') {
    if (!read_element()) return false;
    if (!reader.Peek(&next)) return false;
    if (next == ']') break;
    if (!reader.Expect(',') || !reader.Peek(&next)) return false;
    if (next == ']') return reader.FailHere(JsonError::kUnexpectedByte);
  }
  reader.Advance();
  return true;
}

bool ReadOptional(NaiveKind kind, NaiveJsonReader& reader, NaiveValue* value) {
  char first;
  if (!reader.Peek(&first)) return false;
  value->present = first != 'n';
  if (first == 'n') return reader.ReadLiteral("null");
  if (kind == NaiveKind::kOptionalText) return ReadText(reader, &value->text);
  value->flag = first == 't';
  if (first == 't') return reader.ReadLiteral("true");
  if (first == 'f') return reader.ReadLiteral("false");
  return reader.ReadWrongType();
}

bool ReadValue(const NaiveField& field, NaiveJsonReader& reader, NaiveValue* value) {
  const MemberScope scope(field.name, reader);
  value->present = true;
  switch (field.kind) {
    case NaiveKind::kText:
      return ReadText(reader, &value->text);
    case NaiveKind::kOptionalText:
    case NaiveKind::kOptionalBool:
      return ReadOptional(field.kind, reader, value);
    case NaiveKind::kUnsigned:
    case NaiveKind::kSigned:
      return ReadInteger(field.kind, field.max, reader, value);
    case NaiveKind::kTextList:
      return ReadList(reader, [&] {
        value->texts.emplace_back();
        return ReadText(reader, &value->texts.back());
      });
    case NaiveKind::kByteList:
      return ReadList(reader, [&] {
        NaiveValue byte;
        if (!ReadInteger(NaiveKind::kUnsigned, 255, reader, &byte)) return false;
        value->text += static_cast<char>(byte.number);
        return true;
      });
    case NaiveKind::kUuid:
      return ReadUuid(reader, value);
    case NaiveKind::kExecutionId:
      return ReadExecutionId(reader, value);
    case NaiveKind::kUnitEnum:
      return ReadEnum(field, reader, value);
    case NaiveKind::kStruct:
      return NaiveReadStruct(field.fields, reader, &value->members);
  }
  return false;
}

// --- enums ---

// Reads the name of a variant, as a text or as a key.
template <class Names>
bool ReadVariantName(const Names& names, NaiveJsonReader& reader, std::size_t* index) {
  char first;
  if (!reader.Peek(&first)) return false;
  const std::size_t begin = reader.at();
  std::string name;
  if (!ReadText(reader, &name)) return false;
  *index = IndexOf(name, names);
  return *index < names.size() || reader.Fail(JsonError::kUnknownVariant, begin);
}

bool ReadEnum(const NaiveField& field, NaiveJsonReader& reader, NaiveValue* value) {
  char first;
  if (!reader.Peek(&first)) return false;
  if (first == '"') return ReadVariantName(field.names, reader, &value->name_index);
  if (!reader.Expect('{')) return false;
  if (!ReadVariantName(field.names, reader, &value->name_index)) return false;
  if (!reader.Expect(':') || !reader.Peek(&first)) return false;
  if (first != 'n') return reader.ReadWrongType();
  return reader.ReadLiteral("null") && reader.Expect('}');
}

// --- structs ---

bool ReadObject(std::span<const NaiveField> fields, NaiveJsonReader& reader,
                std::vector<NaiveValue>* values) {
  std::vector<bool> seen(fields.size(), false);
  std::string name;
  char next;
  reader.Advance();
  for (bool first = true;; first = false) {
    if (!reader.Peek(&next)) return false;
    if (next == '}') break;
    if (!first && (!reader.Expect(',') || !reader.Peek(&next))) return false;
    if (next != '"') return reader.FailHere(JsonError::kUnexpectedByte);
    const std::size_t name_begin = reader.at();
    if (!reader.ReadString(&name)) return false;
    const std::size_t index = IndexOf(name, fields);
    if (index == fields.size()) {
      if (!reader.Expect(':') || !reader.SkimValue()) return false;
      continue;
    }
    if (seen[index]) {
      reader.set_member(fields[index].name);
      return reader.Fail(JsonError::kDuplicateField, name_begin);
    }
    seen[index] = true;
    const MemberScope scope(fields[index].name, reader);
    if (!reader.Expect(':')) return false;
    if (!ReadValue(fields[index], reader, &(*values)[index])) return false;
  }
  for (std::size_t i = 0; i < fields.size(); ++i) {
    if (seen[i] || fields[i].has_default) continue;
    reader.set_member(fields[i].name);
    return reader.FailHere(JsonError::kMissingField);
  }
  reader.Advance();
  return true;
}

bool ReadPositional(std::span<const NaiveField> fields, NaiveJsonReader& reader,
                    std::vector<NaiveValue>* values) {
  const std::string_view outer = reader.member();
  char next;
  reader.Advance();
  for (std::size_t i = 0; i < fields.size(); ++i) {
    const MemberScope first_scope(i == 0 ? fields[i].name : outer, reader);
    if (!reader.Peek(&next)) return false;
    if (next == ']') {
      if (fields[i].has_default) continue;
      reader.set_member(fields[i].name);
      return reader.FailHere(JsonError::kTooFewElements);
    }
    if (i > 0 && !reader.Expect(',')) return false;
    const MemberScope scope(fields[i].name, reader);
    if (!reader.Peek(&next)) return false;
    if (next == ']') {
      reader.set_member(outer);
      return reader.FailHere(JsonError::kUnexpectedByte);
    }
    if (!ReadValue(fields[i], reader, &(*values)[i])) return false;
  }
  if (!reader.Peek(&next)) return false;
  if (next == ',') return reader.FailHere(JsonError::kTooManyElements);
  return reader.Expect(']');
}

}  // namespace

bool NaiveReadStruct(std::span<const NaiveField> fields, NaiveJsonReader& reader,
                     std::vector<NaiveValue>* values) {
  values->assign(fields.size(), {});
  char first;
  if (!reader.Peek(&first)) return false;
  if (first == '{') return ReadObject(fields, reader, values);
  if (first == '[') return ReadPositional(fields, reader, values);
  return reader.ReadWrongType();
}

bool NaiveReadTaggedOutside(std::span<const NaiveField> variants, NaiveJsonReader& reader,
                            std::size_t* variant, std::vector<NaiveValue>* values) {
  char first;
  if (!reader.Peek(&first)) return false;
  if (first == '"') {
    const std::size_t begin = reader.at();
    return ReadVariantName(variants, reader, variant) && reader.Fail(JsonError::kWrongType, begin);
  }
  if (!reader.Expect('{') || !ReadVariantName(variants, reader, variant)) return false;
  if (!reader.Expect(':')) return false;
  return NaiveReadStruct(variants[*variant].fields, reader, values) && reader.Expect('}');
}

}  // namespace ffgrant::fuzz
