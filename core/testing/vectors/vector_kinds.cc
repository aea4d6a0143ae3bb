// SPDX-License-Identifier: Apache-2.0

#include "testing/vectors/vector_kinds.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>

#include "ffgrant/execution_id.h"
#include "ffgrant/grant.h"
#include "ffgrant/hash_slot.h"
#include "ffgrant/ids.h"
#include "ffgrant/json/claim_response.h"
#include "ffgrant/json/json_scratch.h"
#include "ffgrant/lane_id.h"
#include "ffgrant/partition.h"
#include "ffgrant/partition_key.h"
#include "ffgrant/routing.h"
#include "ffgrant/uuid.h"
#include "testing/vectors/keyspace_kind.h"

namespace ffgrant::conformance {
namespace {

constexpr std::uint64_t kMaxU16 = std::numeric_limits<std::uint16_t>::max();
constexpr std::uint64_t kMaxU64 = std::numeric_limits<std::uint64_t>::max();

std::string UuidText(const Uuid& uuid) {
  std::string text(kUuidTextSize, '\0');
  FormatUuid(uuid, std::span<char, kUuidTextSize>(text.data(), kUuidTextSize));
  return text;
}

Uuid ReadUuid(std::string_view name, Object& vector, Case& result) {
  const UuidResult uuid = ParseUuid(vector.Text(name), ParseMode::kLenient);
  result.SameText(name, ErrorName(UuidError::kNone), ErrorName(uuid.error));
  return uuid.uuid;
}

// --- partition_key ---

void CheckAcceptedKey(std::string_view input, Object ok, Case& result) {
  const PartitionKeyResult lenient = ParsePartitionKey(input, ParseMode::kLenient);
  const PartitionKeyResult strict = ParsePartitionKey(input, ParseMode::kStrict);
  const bool canonical = ok.Flag("canonical");
  const std::string_view tag = ok.Text("tag");

  result.SameText("error", ErrorName(PartitionKeyError::kNone), ErrorName(lenient.error));
  result.SameText("ok.family", ok.Text("family"), FamilyName(lenient.partition.family));
  result.SameNumber("ok.index", ok.Number("index", kMaxU16), lenient.partition.index);
  result.SameText("ok.tag", tag, PartitionTag(lenient.partition).view());
  result.SameText(
      "ok.tag (FormatPartitionTag)", tag,
      Written(
          "FormatPartitionTag",
          [&](std::span<char> out) { return FormatPartitionTag(lenient.partition, out); }, result));
  result.SameNumber("ok.slot", ok.Number("slot", kHashSlotCount - 1), HashSlot(input));
  result.SameNumber("slot of the tag", HashSlot(tag), HashSlot(lenient.partition));

  result.SameFlag("ok.canonical (strict accepts)", canonical, static_cast<bool>(strict));
  result.SameFlag("ok.canonical (input == tag)", canonical, input == tag);
  if (canonical) {
    result.Holds("strict gives the same partition", strict == lenient);
  } else {
    result.Holds("strict fails with a strict error", strict.error >= PartitionKeyError::kPlusSign);
  }
}

// Returns no value where the reference's variant has no payload.
std::optional<std::string_view> PayloadOf(const PartitionKeyResult& parsed) {
  const bool has_payload = parsed.error == PartitionKeyError::kUnknownFamilyPrefix ||
                           parsed.error == PartitionKeyError::kInvalidIndex;
  return has_payload ? std::optional(parsed.payload) : std::nullopt;
}

void CheckRejectedKey(std::string_view input, Object err, Case& result) {
  const PartitionKeyResult lenient = ParsePartitionKey(input, ParseMode::kLenient);
  const std::optional<std::string_view> payload = err.TextOrNull("payload");

  result.SameText("err.code", err.Text("code"), ErrorName(lenient.error));
  result.SameFlag("err.payload is null", !payload.has_value(), !PayloadOf(lenient).has_value());
  result.SameText("err.payload", payload.value_or(""), lenient.payload);
  result.SameText(
      "err.display", err.Text("display"),
      Written(
          "FormatPartitionKeyError",
          [&](std::span<char> out) { return FormatPartitionKeyError(lenient, out); }, result));
  result.Holds("strict fails alike", ParsePartitionKey(input, ParseMode::kStrict) == lenient);
}

void CheckPartitionKey(Object& vector, Case& result) {
  const ExactCopy input(vector.Text("input"));
  if (vector.Has("ok")) {
    CheckAcceptedKey(input.view(), vector.Child("ok"), result);
  } else {
    CheckRejectedKey(input.view(), vector.Child("err"), result);
  }
}

// --- execution_id ---

void CheckAcceptedId(std::string_view input, Object ok, Case& result) {
  const ExecutionIdResult lenient = ParseExecutionId(input, ParseMode::kLenient);
  const ExecutionIdResult strict = ParseExecutionId(input, ParseMode::kStrict);
  const bool canonical = ok.Flag("canonical");

  result.SameText("error", ErrorName(ExecutionIdError::kNone), ErrorName(lenient.error));
  result.SameNumber("ok.partition", ok.Number("partition", kMaxU16), lenient.id.partition().index);
  result.SameText("partition's family", FamilyName(PartitionFamily::kExecution),
                  FamilyName(lenient.id.partition().family));
  result.SameText("ok.uuid", ok.Text("uuid"), UuidText(lenient.id.uuid()));
  result.SameText("text, as spelled", input, lenient.id.text());
  const ExecutionId owned(lenient.id);
  result.SameText("owned text, as spelled", input, owned.text());

  result.SameFlag("ok.canonical", canonical, lenient.id.is_canonical());
  result.SameFlag("ok.canonical (strict accepts)", canonical, static_cast<bool>(strict));
  const MintedExecutionId minted(lenient.id.partition().index, lenient.id.uuid());
  result.SameFlag("ok.canonical (input == minted text)", canonical, input == minted.text());
  if (canonical) {
    result.Holds("strict gives the same id", strict.id == lenient.id);
  } else {
    result.Holds("strict fails with a strict error", strict.error >= ExecutionIdError::kPlusSign);
  }
}

void CheckRejectedId(std::string_view input, Object err, Case& result) {
  const ExecutionIdResult lenient = ParseExecutionId(input, ParseMode::kLenient);
  const ExecutionIdResult strict = ParseExecutionId(input, ParseMode::kStrict);

  result.SameText("err.code", err.Text("code"), ErrorName(lenient.error));
  result.SameText("err.payload", err.Text("payload"), lenient.payload);
  result.SameText(
      "err.display", err.Text("display"),
      Written(
          "FormatExecutionIdError",
          [&](std::span<char> out) { return FormatExecutionIdError(lenient, out); }, result));
  result.Holds("strict fails alike", strict.error == lenient.error &&
                                         strict.offset == lenient.offset &&
                                         strict.payload == lenient.payload);
}

void CheckExecutionId(Object& vector, Case& result) {
  const ExactCopy input(vector.Text("input"));
  if (vector.Has("ok")) {
    CheckAcceptedId(input.view(), vector.Child("ok"), result);
  } else {
    CheckRejectedId(input.view(), vector.Child("err"), result);
  }
}

// --- claim_response ---

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

std::string ReadDocument(Object& vector, Case& result) {
  if (!vector.Has("doc_hex")) {
    return std::string(vector.Text("doc"));
  }
  const std::string_view hex = vector.Text("doc_hex");
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    const int high = HexDigit(hex[i]);
    const int low = HexDigit(hex[i + 1]);
    if (high < 0 || low < 0) break;
    bytes.push_back(static_cast<char>(high * 16 + low));
  }
  result.SameNumber("doc_hex: digits of whole bytes", hex.size(), bytes.size() * 2);
  return bytes;
}

void CheckDecoded(const JsonResult& json, const ClaimResponseView& decoded,
                  const GrantJsonResult& direct, const ClaimGrantView& grant, Object ok,
                  Case& result) {
  const std::string_view execution_id = ok.Text("execution_id");
  const std::string_view partition_key = ok.Text("partition_key");
  const std::string_view grant_key = ok.Text("grant_key");
  const std::uint64_t expires_at_ms = ok.Number("expires_at_ms", kMaxU64);
  const bool converts = ok.Flag("converts");

  result.SameText("error", ErrorName(JsonError::kNone), ErrorName(json.error));
  result.SameText("ok.execution_id", execution_id, decoded.execution_id);
  result.SameText("ok.partition_key", partition_key, decoded.partition_key);
  result.SameText("ok.grant_key", grant_key, decoded.grant_key);
  result.SameNumber("ok.expires_at_ms", expires_at_ms, decoded.expires_at_ms);

  ClaimGrantView converted;
  const ExecutionIdResult conversion = ToClaimGrant(decoded, converted);
  result.SameFlag("ok.converts", converts, static_cast<bool>(conversion));

  result.SameText("ParseClaimGrant: error", ErrorName(JsonError::kNone),
                  ErrorName(direct.json.error));
  result.SameFlag("ParseClaimGrant: ok.converts", converts, static_cast<bool>(direct));
  result.SameText("ParseClaimGrant: conversion error", ErrorName(conversion.error),
                  ErrorName(direct.execution_id));
  if (converts) {
    result.Holds("ToClaimGrant and ParseClaimGrant agree", converted == grant);
    result.SameText("ParseClaimGrant: execution_id", execution_id, grant.execution_id.text());
    result.SameText("ParseClaimGrant: partition_key", partition_key, grant.partition_key);
    result.SameText("ParseClaimGrant: grant_key", grant_key, grant.grant_key);
    result.SameNumber("ParseClaimGrant: expires_at_ms", expires_at_ms, grant.expires_at_ms);
  }
}

void CheckClaimResponse(Object& vector, Case& result) {
  const ExactCopy document(ReadDocument(vector, result));
  // There are two scratches, since a parse invalidates what the parse before it returned.
  static JsonScratch* const scratches[] = {new JsonScratch(), new JsonScratch()};
  for (JsonScratch* scratch : scratches) {
    if (scratch->max_document_size() < document.view().size()) {
      *scratch = JsonScratch(document.view().size());
    }
  }
  const ClaimResponseView untouched = {"execution", "partition", "grant", 1};
  ClaimResponseView decoded = untouched;
  const JsonResult json = ParseClaimResponse(document.view(), *scratches[0], decoded);
  ClaimGrantView grant;
  const GrantJsonResult direct = ParseClaimGrant(document.view(), *scratches[1], grant);

  if (vector.Has("ok")) {
    CheckDecoded(json, decoded, direct, grant, vector.Child("ok"), result);
    return;
  }
  const std::string error_class(vector.Child("err").Text("class"));
  result.SameText("err.class", error_class, ErrorClassName(json.error_class()));
  result.SameText("ParseClaimGrant: err.class", error_class,
                  ErrorClassName(direct.json.error_class()));
  result.Holds("output is untouched", decoded == untouched && grant == ClaimGrantView{});
}

// --- claim_serialize ---

void CheckClaimSerialize(Object& vector, Case& result) {
  Object grant = vector.Child("grant");
  const std::string_view expected = vector.Text("json");
  ClaimResponseView response;
  response.execution_id = grant.Text("execution_id");
  response.partition_key = grant.Text("partition_key");
  response.grant_key = grant.Text("grant_key");
  response.expires_at_ms = grant.Number("expires_at_ms", kMaxU64);

  const std::string json = Written(
      "SerializeClaimResponse",
      [&](std::span<char> out) { return SerializeClaimResponse(response, out); }, result);
  result.SameText("json", expected, json);
  result.Holds("MaxClaimResponseJsonSize suffices",
               expected.size() <= MaxClaimResponseJsonSize(response));

  ClaimGrantView view;
  if (ToClaimGrant(response, view)) {
    const std::string grant_json = Written(
        "SerializeClaimGrant", [&](std::span<char> out) { return SerializeClaimGrant(view, out); },
        result);
    result.SameText("json (SerializeClaimGrant)", expected, grant_json);
  }
}

// --- flow_partition, lane_partition, key_slot ---

PartitionConfig ReadFlowCount(Object& vector) {
  PartitionConfig config;
  config.num_flow_partitions =
      static_cast<std::uint16_t>(vector.Number("num_flow_partitions", kMaxU16));
  return config;
}

void CheckFlowPartition(Object& vector, Case& result) {
  const FlowId flow{ReadUuid("flow_id", vector, result)};
  const Uuid uuid = ReadUuid("mint_uuid", vector, result);
  const PartitionConfig config = ReadFlowCount(vector);
  const std::uint64_t index = vector.Number("index", kMaxU16);
  const std::string_view execution_id = vector.Text("execution_id");

  const std::optional<Partition> partition = FlowPartition(flow, config);
  const std::optional<MintedExecutionId> minted = MintExecutionId(flow, config, uuid);
  if (!partition || !minted) {
    result.Fail("partition", "one", "none");
    return;
  }
  result.SameNumber("index", index, partition->index);
  result.SameText("partition's family", FamilyName(PartitionFamily::kFlow),
                  FamilyName(partition->family));
  result.SameText("execution_id", execution_id, minted->text());

  const ExecutionIdResult parsed = ParseExecutionId(minted->text(), ParseMode::kStrict);
  result.SameText("execution_id: strict parse", ErrorName(ExecutionIdError::kNone),
                  ErrorName(parsed.error));
  result.SameNumber("execution_id: partition", index, parsed.id.partition().index);
  result.Holds("execution_id: uuid is mint_uuid", parsed.id.uuid() == uuid);
}

void CheckLanePartition(Object& vector, Case& result) {
  const ExactCopy lane(vector.Text("lane"));
  const PartitionConfig config = ReadFlowCount(vector);
  const std::uint64_t index = vector.Number("index", kMaxU16);

  const std::optional<Partition> partition =
      LanePartition(LaneIdView::Unchecked(lane.view()), config);
  if (!partition) {
    result.Fail("partition", "one", "none");
    return;
  }
  result.SameNumber("index", index, partition->index);
  result.SameText("partition's family", FamilyName(PartitionFamily::kExecution),
                  FamilyName(partition->family));
}

void CheckKeySlot(Object& vector, Case& result) {
  const ExactCopy key(vector.Text("key"));
  result.SameNumber("slot", vector.Number("slot", kHashSlotCount - 1), HashSlot(key.view()));
}

struct VectorKind {
  std::string_view name;
  // Reads every member of `vector` except `kind`, runs ffgrant::core on the given input, and
  // records in `result` what differs from the expected output.
  void (*check)(Object& vector, Case& result);
};

constexpr VectorKind kKinds[] = {
    {"partition_key", CheckPartitionKey},
    {"execution_id", CheckExecutionId},
    {"claim_response", CheckClaimResponse},
    {"claim_serialize", CheckClaimSerialize},
    {"flow_partition", CheckFlowPartition},
    {"lane_partition", CheckLanePartition},
    {"key_slot", CheckKeySlot},
    {"keyspace", CheckKeyspace},
};

const VectorKind* FindVectorKind(std::string_view name) {
  const auto kind = std::find_if(std::begin(kKinds), std::end(kKinds),
                                 [name](const VectorKind& k) { return k.name == name; });
  return kind == std::end(kKinds) ? nullptr : kind;
}

}  // namespace

Outcome CheckVector(const std::string& line, simdjson::dom::parser& parser) {
  Outcome outcome;
  simdjson::dom::element document;
  const simdjson::error_code error = parser.parse(line).get(document);
  if (error != simdjson::SUCCESS) {
    outcome.result.Fail("line", "JSON", simdjson::error_message(error));
    return outcome;
  }
  std::string_view name;
  if (document["kind"].get(name) != simdjson::SUCCESS) {
    outcome.result.Fail("line", "an object with a member `kind`", "none");
    return outcome;
  }
  const VectorKind* kind = FindVectorKind(name);
  if (kind == nullptr) {
    outcome.result.Fail("kind", "a known kind", name);
    return outcome;
  }
  outcome.kind = kind->name;
  {
    Object vector(document, "", outcome.result);
    vector.Text("kind");
    kind->check(vector, outcome.result);
  }  // the end of this block reports the members that were not read
  return outcome;
}

}  // namespace ffgrant::conformance
