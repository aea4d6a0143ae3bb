// SPDX-License-Identifier: Apache-2.0

#include "testing/reference/differences.h"

#include <algorithm>
#include <span>

#include "ffgrant/partition.h"

namespace ffgrant::reference {
namespace {

// Names of rows of fuzz/known_differences.md.
constexpr std::string_view kUtf8AtTheEnd = "utf8-at-the-end-of-a-string";
constexpr std::string_view kEscapeCutShort = "escape-cut-short";
constexpr std::string_view kNumberCutShort = "number-cut-short";
constexpr std::string_view kMemberOfBufferedValue = "member-of-a-buffered-value";
constexpr std::string_view kMemberByPosition = "member-by-position";

constexpr std::size_t kErrorTextRoom = 128;  // in addition to the size of the reference's text

constexpr std::uint32_t Bit(ffref_json_error error) { return std::uint32_t{1} << error; }

std::string Shown(PartitionFamily family, std::uint16_t index) {
  return std::string(FamilyName(family)) + " " + std::to_string(index);
}

std::string Shown(std::uint16_t index, const ffgrant::Uuid& uuid) {
  std::string text(kUuidTextSize, '\0');
  FormatUuid(uuid, std::span<char, kUuidTextSize>(text.data(), kUuidTextSize));
  return std::to_string(index) + " " + text;
}

std::string Shown(std::uint32_t error, std::string_view payload) {
  return "error " + std::to_string(error) + " '" + std::string(payload) + "'";
}

bool Contains(std::span<const std::string_view> names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// Returns true if ffgrant names the same member as the reference, if the reference does not name a
// member of the body, or if the difference is allowed. The reference names the innermost member on
// its path, even if this member is not known there. If fuzz/known_differences.md has a row for the
// difference, `known` becomes the row's name.
bool SameMember(ffref_dto dto, std::string_view ours, std::string_view theirs,
                std::string_view& known) {
  if (theirs.empty() || ours == theirs) return true;
  constexpr std::string_view kOfHandles[] = {"backend", "kind", "opaque"};
  if (dto == FFREF_CLAIMED_RESULT) {
    if (theirs == "handle" && Contains(kOfHandles, ours)) {
      known = kMemberByPosition;
      return true;
    }
    // The member that the reference names is known only inside of a handle and stands outside, or
    // the other way round.
    if (Contains(kOfHandles, theirs) ? ours.empty() : ours == "handle") return true;
  }
  if (dto == FFREF_RECLAIM_RESPONSE && ours.empty()) {
    known = kMemberOfBufferedValue;
    return true;
  }
  // The name that the reference gives is unknown in this variant.
  if (dto == FFREF_REVOKE_LEASE_RESULT && ours.empty()) return true;
  return !Contains(MembersOf(dto, 0), theirs) && !Contains(MembersOf(dto, 1), theirs);
}

}  // namespace

Answer Comparer::Differ(std::string_view what, std::string_view ours, std::string_view reference) {
  difference_ = {what, std::string(ours), std::string(reference)};
  return Answer::kDifferent;
}

Answer Comparer::SameText(std::string_view what, std::string_view ours, const Text& reference) {
  if (reference.status == Status::kNotUtf8) return Answer::kNotAsked;
  if (reference.status != Status::kOk) return Panicked(what);
  if (ours == reference.text) return Answer::kSame;
  return Differ(what, ours, reference.text);
}

Answer Comparer::SameNumber(std::string_view what, std::uint64_t ours, std::uint64_t reference) {
  if (ours == reference) return Answer::kSame;
  return Differ(what, std::to_string(ours), std::to_string(reference));
}

// `format(result, span)` writes ffgrant's message for the error.
template <class Result, class Format>
Answer Comparer::ErrorText(std::string_view what, const Result& result, Format format) {
  const std::string_view expected = reference_.ErrorText();
  if (buffer_.size() < expected.size() + kErrorTextRoom) {
    buffer_.resize(expected.size() + kErrorTextRoom);
  }
  const WriteResult written = format(result, std::span<char>(buffer_));
  const std::string_view ours(buffer_.data(), written ? written.size : 0);
  return ours == expected ? Answer::kSame : Differ(what, ours, expected);
}

Answer Comparer::PartitionKey(std::string_view text, const PartitionKeyResult& lenient,
                              const PartitionKeyResult& strict) {
  const ParsedPartitionKey parsed = reference_.ParsePartitionKey(text);
  if (parsed.status == Status::kNotUtf8) return Answer::kNotAsked;
  if (parsed.status == Status::kPanicked) return Panicked("partition key");
  if (parsed.status == Status::kRejected) {
    // The first enumerators of ffgrant's error are the reference's errors, in the same order.
    if (static_cast<std::uint32_t>(lenient.error) != parsed.error ||
        lenient.payload != parsed.payload) {
      return Differ("partition key: error",
                    Shown(static_cast<std::uint32_t>(lenient.error), lenient.payload),
                    Shown(parsed.error, parsed.payload));
    }
    if (strict != lenient) {
      return Differ("partition key: strict error", ErrorName(strict.error), "as lenient");
    }
    return ErrorText("partition key: text of the error", lenient, FormatPartitionKeyError);
  }
  if (!lenient || lenient.partition != parsed.partition) {
    return Differ("partition key",
                  lenient ? Shown(lenient.partition.family, lenient.partition.index)
                          : std::string(ErrorName(lenient.error)),
                  Shown(parsed.partition.family, parsed.partition.index));
  }
  const Text tag = reference_.FormatPartition(parsed.partition);
  if (static_cast<bool>(strict) != (tag.text == text)) {
    return Differ("partition key: strict", ErrorName(strict.error), tag.text);
  }
  return SameText("partition tag", PartitionTag(parsed.partition).view(), tag);
}

Answer Comparer::ExecutionId(std::string_view text, const ExecutionIdResult& lenient,
                             const ExecutionIdResult& strict) {
  const ParsedExecutionId parsed = reference_.ParseExecutionId(text);
  if (parsed.status == Status::kNotUtf8) return Answer::kNotAsked;
  if (parsed.status == Status::kPanicked) return Panicked("execution id");
  if (parsed.status == Status::kRejected) {
    if (static_cast<std::uint32_t>(lenient.error) != parsed.error ||
        lenient.payload != parsed.payload) {
      return Differ("execution id: error",
                    Shown(static_cast<std::uint32_t>(lenient.error), lenient.payload),
                    Shown(parsed.error, parsed.payload));
    }
    if (strict) return Differ("execution id: strict accepts", "", "does not parse");
    return ErrorText("execution id: text of the error", lenient, FormatExecutionIdError);
  }
  if (!lenient || lenient.id.text() != parsed.text ||
      lenient.id.partition().index != parsed.index || lenient.id.uuid() != parsed.uuid) {
    return Differ("execution id",
                  lenient ? Shown(lenient.id.partition().index, lenient.id.uuid())
                          : std::string(ErrorName(lenient.error)),
                  Shown(parsed.index, parsed.uuid));
  }
  const MintedExecutionId minted(parsed.index, parsed.uuid);
  const std::string_view ours = minted.text();
  if (static_cast<bool>(strict) != (ours == text) || lenient.id.is_canonical() != (ours == text)) {
    return Differ("execution id: strict", ErrorName(strict.error), ours);
  }
  // The reference's own writers make the canonical text.
  const Text tag = reference_.FormatPartition({PartitionFamily::kExecution, parsed.index});
  if (ours.substr(0, tag.text.size()) != tag.text || ours.size() <= tag.text.size() ||
      ours[tag.text.size()] != ':') {
    return Differ("execution id: minted tag", ours, tag.text);
  }
  const std::size_t tag_size = tag.text.size();
  return SameText("execution id: minted uuid", ours.substr(tag_size + 1),
                  reference_.FormatUuid(parsed.uuid));
}

Answer Comparer::Uuid(std::string_view text, const UuidResult& lenient) {
  const ParsedUuid parsed = ParseUuid(text);
  if (parsed.status == Status::kNotUtf8) return Answer::kNotAsked;
  if (parsed.status == Status::kPanicked) return Panicked("uuid");
  const bool accepted = parsed.status == Status::kOk;
  if (static_cast<bool>(lenient) != accepted || (accepted && lenient.uuid != parsed.uuid)) {
    return Differ("uuid", ErrorName(lenient.error), accepted ? Shown(0, parsed.uuid) : "rejected");
  }
  return Answer::kSame;
}

Answer Comparer::Lane(std::string_view text, const LaneIdResult& ours) {
  const CheckedLane checked = reference_.CheckLane(text);
  if (checked.status == Status::kNotUtf8) return Answer::kNotAsked;
  if (checked.status == Status::kPanicked) return Panicked("lane");
  if (static_cast<std::uint32_t>(ours.error) != checked.error) {
    return Differ("lane", ErrorName(ours.error), Shown(checked.error, ""));
  }
  if (checked.status == Status::kOk) {
    return ours.lane.text() == text ? Answer::kSame : Differ("lane", ours.lane.text(), text);
  }
  if (checked.error == FFREF_LANE_NON_PRINTABLE && ours.offset != checked.number) {
    return Differ("lane: offset", std::to_string(ours.offset), std::to_string(checked.number));
  }
  return ErrorText("lane: text of the error", ours, FormatLaneIdError);
}

bool SameJsonError(JsonError ours, std::uint32_t error) {
  std::uint32_t names = 0;
  switch (ours) {
    case JsonError::kNone:
    case JsonError::kDocumentTooLarge:
    case JsonError::kOutOfMemory:
      return false;
    case JsonError::kUnexpectedEnd:
      names = Bit(FFREF_JSON_UNEXPECTED_END);
      break;
    case JsonError::kUnexpectedByte:
      // In a positional array "trailing characters" means anything but the end of the array.
      names = Bit(FFREF_JSON_EXPECTED_TOKEN) | Bit(FFREF_JSON_TRAILING_COMMA) |
              Bit(FFREF_JSON_TRAILING_CHARACTERS);
      break;
    case JsonError::kInvalidNumber:
      names = Bit(FFREF_JSON_INVALID_NUMBER);
      break;
    case JsonError::kNumberOutOfRange:
      names = Bit(FFREF_JSON_NUMBER_OUT_OF_RANGE);
      break;
    case JsonError::kInvalidEscape:
      names = Bit(FFREF_JSON_INVALID_ESCAPE);
      break;
    case JsonError::kLoneSurrogate:
      names = Bit(FFREF_JSON_LONE_SURROGATE);
      break;
    case JsonError::kControlCharacter:
      names = Bit(FFREF_JSON_CONTROL_CHARACTER);
      break;
    case JsonError::kInvalidUtf8:
      names = Bit(FFREF_JSON_INVALID_UTF8);
      break;
    case JsonError::kTrailingBytes:
      names = Bit(FFREF_JSON_TRAILING_CHARACTERS);
      break;
    case JsonError::kTooDeep:
      names = Bit(FFREF_JSON_TOO_DEEP);
      break;
    case JsonError::kTooManyElements:
      names = Bit(FFREF_JSON_TRAILING_CHARACTERS) | Bit(FFREF_JSON_TRAILING_COMMA);
      break;
    case JsonError::kWrongType:
    case JsonError::kNotAnInteger:
      names = Bit(FFREF_JSON_INVALID_TYPE);
      break;
    case JsonError::kIntegerOutOfRange:
      names = Bit(FFREF_JSON_INVALID_VALUE) | Bit(FFREF_JSON_INVALID_TYPE);
      break;
    case JsonError::kMissingField:
      names = Bit(FFREF_JSON_MISSING_FIELD);
      break;
    case JsonError::kDuplicateField:
      names = Bit(FFREF_JSON_DUPLICATE_FIELD);
      break;
    case JsonError::kUnknownVariant:
      names = Bit(FFREF_JSON_UNKNOWN_VARIANT);
      break;
    case JsonError::kTooFewElements:
    case JsonError::kSurplusElement:
      names = Bit(FFREF_JSON_INVALID_LENGTH);
      break;
    case JsonError::kInvalidUuid:
      names = Bit(FFREF_JSON_INVALID_UUID);
      break;
    case JsonError::kInvalidExecutionId:
      names = Bit(FFREF_JSON_INVALID_EXECUTION_ID);
      break;
  }
  return error < FFREF_JSON_NUMBER_OF_ERRORS && (names >> error & 1) != 0;
}

std::string_view KnownJsonDifference(JsonError ours, std::uint32_t error) {
  constexpr std::uint32_t kOfStrings =
      Bit(FFREF_JSON_UNEXPECTED_END) | Bit(FFREF_JSON_INVALID_ESCAPE) |
      Bit(FFREF_JSON_LONE_SURROGATE) | Bit(FFREF_JSON_CONTROL_CHARACTER);
  if (ours == JsonError::kInvalidUtf8 && (kOfStrings >> error & 1) != 0) {
    return kUtf8AtTheEnd;
  }
  if (ours == JsonError::kInvalidEscape && error == FFREF_JSON_UNEXPECTED_END) {
    return kEscapeCutShort;
  }
  if (ours == JsonError::kUnexpectedEnd && error == FFREF_JSON_INVALID_NUMBER) {
    return kNumberCutShort;
  }
  return {};
}

Answer Comparer::DocumentError(ffref_dto dto, const JsonResult& result,
                               const ffref_document& document) {
  const bool data = document.error_class == FFREF_JSON_DATA;
  const auto differ = [&](std::string_view what) {
    return Differ(what,
                  std::string(ErrorClassName(result.error_class())) + ", " +
                      std::string(ErrorName(result.error)) + ", member '" +
                      std::string(result.member) + "'",
                  std::string(data ? "data, " : "syntax, ") + std::string(reference_.ErrorText()) +
                      ", member '" + std::string(ToText(document.member)) + "'");
  };
  if (result.error_class() != (data ? JsonErrorClass::kData : JsonErrorClass::kSyntax)) {
    return differ("document: class");
  }
  if (!SameJsonError(result.error, document.error)) {
    known_ = KnownJsonDifference(result.error, document.error);
    return known_.empty() ? differ("document: error") : Answer::kKnown;
  }
  known_ = {};
  if (!SameMember(dto, result.member, ToText(document.member), known_)) {
    return differ("document: member");
  }
  return known_.empty() ? Answer::kSame : Answer::kKnown;
}

Answer Comparer::Document(ffref_dto dto, ffref_reader reader, std::string_view json,
                          const JsonResult& result, const DtoValues& ours) {
  const ParsedDocument parsed = reference_.ParseJson(dto, reader, json);
  if (parsed.status == Status::kPanicked) return Panicked("document");
  if (static_cast<bool>(result) != (parsed.status == Status::kOk)) {
    return Differ("document: verdict", ErrorName(result.error),
                  result ? reference_.ErrorText() : "accepts");
  }
  if (!result) return DocumentError(dto, result, parsed.document);
  if (ours.variant != parsed.document.variant || !SameValues(ours.view(), parsed.values())) {
    return Differ("document: values", Shown(ours.variant, ours.view()),
                  Shown(parsed.document.variant, parsed.values()));
  }
  return Answer::kSame;
}

Answer Comparer::Written(const DtoValues& values, WriteError error, std::string_view ours) {
  const Text written = reference_.WriteJson(values.dto, values.variant, values.view());
  if (written.status == Status::kNotUtf8) {
    return error == WriteError::kInvalidUtf8
               ? Answer::kNotAsked
               : Differ("written: texts that are not UTF-8", ErrorName(error), "takes none");
  }
  if (error != WriteError::kNone) {
    return Differ("written: error", ErrorName(error), written.text);
  }
  return SameText("written", ours, written);
}

Answer Comparer::Grant(std::string_view json, const GrantJsonResult& result,
                       const ClaimGrantView& grant) {
  const ParsedGrant parsed = reference_.ParseClaimGrant(json);
  if (parsed.status == Status::kPanicked) return Panicked("grant");
  const ffref_grant& theirs = parsed.grant;
  if (theirs.document.error_class != 0) {
    return result.json ? Differ("grant: verdict", "accepts", reference_.ErrorText())
                       : DocumentError(FFREF_CLAIM_RESPONSE, result.json, theirs.document);
  }
  if (!result.json) return Differ("grant: verdict", ErrorName(result.json.error), "accepts");
  if (static_cast<std::uint32_t>(result.execution_id) != theirs.id_rejection.error) {
    return Differ("grant: execution id", ErrorName(result.execution_id), reference_.ErrorText());
  }
  if (!result) return Answer::kSame;
  const auto values = std::span(theirs.document.values, theirs.document.value_count);
  if (grant.execution_id.text() != ToText(theirs.id.text) ||
      grant.execution_id.partition().index != theirs.id.index ||
      grant.execution_id.uuid() != ToUuid(theirs.id.uuid) ||
      grant.partition_key != ToText(values[1].text) || grant.grant_key != ToText(values[2].text) ||
      grant.expires_at_ms != values[3].number) {
    return Differ("grant: values", grant.grant_key, Shown(0, values));
  }
  const PartitionKeyResult partition = grant.partition();
  if (static_cast<std::uint32_t>(partition.error) != theirs.key_rejection.error ||
      partition.payload != ToText(theirs.key_rejection.payload) ||
      (partition && partition.partition != ToPartition(theirs.partition))) {
    return Differ("grant: partition", ErrorName(partition.error),
                  Shown(theirs.key_rejection.error, ToText(theirs.key_rejection.payload)));
  }
  return Answer::kSame;
}

}  // namespace ffgrant::reference
