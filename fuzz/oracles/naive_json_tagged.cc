// SPDX-License-Identifier: Apache-2.0
//
// Reads the response that is tagged by a member (observed 1). Everything except the tag is buffered
// as a tree. The tree is decoded once the tag is known and the whole document has turned out to
// have the right form.

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "oracles/naive_json_struct.h"

namespace ffgrant::fuzz {
namespace {

constexpr std::string_view kTag = "status";

bool ReadTag(std::span<const NaiveField> variants, NaiveJsonReader& reader, std::size_t* variant) {
  reader.set_member(kTag);
  char first;
  if (!reader.Peek(&first)) return false;
  if (first != '"') return reader.ReadWrongType();
  const std::size_t begin = reader.at();
  std::string name;
  if (!reader.ReadString(&name)) return false;
  *variant = 0;
  while (*variant < variants.size() && variants[*variant].name != name) ++*variant;
  if (*variant == variants.size()) return reader.Fail(JsonError::kUnknownVariant, begin);
  reader.set_member("");
  return true;
}

bool BufferObject(std::span<const NaiveField> variants, NaiveJsonReader& reader,
                  std::size_t* variant, NaiveNode* node) {
  bool tagged = false;
  char next;
  reader.Advance();
  for (bool first = true;; first = false) {
    if (!reader.Peek(&next)) return false;
    if (next == '}') break;
    if (!first && (!reader.Expect(',') || !reader.Peek(&next))) return false;
    if (next != '"') return reader.FailHere(JsonError::kUnexpectedByte);
    const std::size_t name_begin = reader.at();
    std::string name;
    if (!reader.ReadString(&name)) return false;
    if (name == kTag) {
      if (tagged) {
        reader.set_member(kTag);
        return reader.Fail(JsonError::kDuplicateField, name_begin);
      }
      tagged = true;
      if (!reader.Expect(':') || !ReadTag(variants, reader, variant)) return false;
      continue;
    }
    node->names.push_back(name);
    node->name_offsets.push_back(name_begin);
    node->items.emplace_back();
    if (!reader.Expect(':') || !reader.ReadNode(1, &node->items.back())) return false;
  }
  if (!tagged) {
    reader.set_member(kTag);
    return reader.FailHere(JsonError::kMissingField);
  }
  node->close = reader.at();
  reader.Advance();
  return true;
}

bool BufferArray(std::span<const NaiveField> variants, NaiveJsonReader& reader,
                 std::size_t* variant, NaiveNode* node) {
  char next;
  reader.Advance();
  reader.set_member(kTag);
  if (!reader.Peek(&next)) return false;
  if (next == ']') return reader.FailHere(JsonError::kMissingField);
  if (!ReadTag(variants, reader, variant)) return false;
  for (;;) {
    if (!reader.Peek(&next)) return false;
    if (next == ']') break;
    node->items.emplace_back();
    node->items.back().comma = reader.at();
    if (!reader.Expect(',') || !reader.ReadNode(1, &node->items.back())) return false;
  }
  node->close = reader.at();
  reader.Advance();
  return true;
}

// The tagged response has only texts and unsigned numbers.
JsonError Decode(const NaiveField& field, const NaiveNode& node, NaiveValue* value) {
  value->present = true;
  if (field.kind == NaiveKind::kText) {
    if (node.type != NaiveNode::Type::kString) return JsonError::kWrongType;
    value->text = node.text;
    return JsonError::kNone;
  }
  if (node.type != NaiveNode::Type::kNumber) return JsonError::kWrongType;
  if (!node.number.integer) return JsonError::kNotAnInteger;
  value->number = node.number.magnitude;
  const bool in_range =
      !node.number.negative && node.number.fits && node.number.magnitude <= field.max;
  return in_range ? JsonError::kNone : JsonError::kIntegerOutOfRange;
}

bool FailAt(const NaiveField& field, JsonError error, std::size_t offset, NaiveJsonReader& reader) {
  reader.set_member(field.name);
  return reader.Fail(error, offset);
}

bool DecodeObject(std::span<const NaiveField> fields, const NaiveNode& node,
                  NaiveJsonReader& reader, std::vector<NaiveValue>* values) {
  std::vector<bool> seen(fields.size(), false);
  for (std::size_t item = 0; item < node.items.size(); ++item) {
    for (std::size_t i = 0; i < fields.size(); ++i) {
      if (fields[i].name != node.names[item]) continue;
      if (seen[i]) {
        return FailAt(fields[i], JsonError::kDuplicateField, node.name_offsets[item], reader);
      }
      seen[i] = true;
      const JsonError error = Decode(fields[i], node.items[item], &(*values)[i]);
      if (error != JsonError::kNone) {
        return FailAt(fields[i], error, node.items[item].offset, reader);
      }
    }
  }
  for (std::size_t i = 0; i < fields.size(); ++i) {
    if (!seen[i]) return FailAt(fields[i], JsonError::kMissingField, node.close, reader);
  }
  return true;
}

bool DecodeArray(std::span<const NaiveField> fields, const NaiveNode& node, NaiveJsonReader& reader,
                 std::vector<NaiveValue>* values) {
  for (std::size_t i = 0; i < fields.size(); ++i) {
    if (i == node.items.size()) {
      return FailAt(fields[i], JsonError::kTooFewElements, node.close, reader);
    }
    const JsonError error = Decode(fields[i], node.items[i], &(*values)[i]);
    if (error != JsonError::kNone) return FailAt(fields[i], error, node.items[i].offset, reader);
  }
  if (node.items.size() == fields.size()) return true;
  return reader.Fail(JsonError::kSurplusElement, node.items[fields.size()].comma);
}

}  // namespace

bool NaiveReadTaggedInside(std::span<const NaiveField> variants, NaiveJsonReader& reader,
                           std::size_t* variant, std::vector<NaiveValue>* values) {
  char first;
  if (!reader.Peek(&first)) return false;
  NaiveNode node;
  if (first == '{') {
    if (!BufferObject(variants, reader, variant, &node)) return false;
  } else if (first == '[') {
    if (!BufferArray(variants, reader, variant, &node)) return false;
  } else {
    return reader.ReadWrongType();
  }
  const std::span<const NaiveField> fields = variants[*variant].fields;
  values->assign(fields.size(), {});
  return first == '{' ? DecodeObject(fields, node, reader, values)
                      : DecodeArray(fields, node, reader, values);
}

}  // namespace ffgrant::fuzz
