// SPDX-License-Identifier: Apache-2.0
//
// Tests the bridge to the reference (reference.h) by itself: the bridge must answer as the
// reference's vectors say, and its border must hold. differences_test.cc tests that core agrees
// with the reference.

#include "testing/reference/reference.h"

#include <gtest/gtest.h>
#include <simdjson.h>

#include <cstdint>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

namespace ffgrant::reference {
namespace {

constexpr std::string_view kUuid = "11111111-1111-4111-8111-111111111111";
constexpr std::string_view kId = "{fp:7}:11111111-1111-4111-8111-111111111111";

// --- the border ---

TEST(ReferenceBorder, NoPanicCrosses) {
  for (int i = 0; i < 3; ++i) EXPECT_EQ(ffref_panic_on_purpose(), FFREF_PANICKED);
}

TEST(ReferenceBorder, ThePanicsOfTheReferenceNeither) {
  EXPECT_EQ(UuidPartition(PartitionFamily::kFlow, {}, 0).status, Status::kPanicked);
  EXPECT_EQ(LanePartition("main", 0).status, Status::kPanicked);
  Reference reference;
  EXPECT_EQ(reference.MintForFlow({}, 0, {}).status, Status::kPanicked);
  EXPECT_EQ(reference.MintSolo("main", 0, {}).status, Status::kPanicked);
  // The scratch can still be used.
  EXPECT_EQ(reference.MintSolo("main", 256, {}).text,
            "{fp:213}:00000000-0000-0000-0000-000000000000");
}

TEST(ReferenceBorder, BytesThatAreNotUtf8HaveNoAnswer) {
  Reference reference;
  const std::string_view text = "{fp:\xFF}";
  EXPECT_EQ(reference.ParsePartitionKey(text).status, Status::kNotUtf8);
  EXPECT_EQ(reference.ParseExecutionId(text).status, Status::kNotUtf8);
  EXPECT_EQ(reference.CheckLane(text).status, Status::kNotUtf8);
  EXPECT_EQ(ParseUuid(text).status, Status::kNotUtf8);
  EXPECT_EQ(LanePartition(text, 256).status, Status::kNotUtf8);
  EXPECT_EQ(reference.MintSolo(text, 256, {}).status, Status::kNotUtf8);
  const ffref_value values[] = {TextValue(text), TextValue(""), TextValue(""), NumberValue(0)};
  EXPECT_EQ(reference.WriteJson(FFREF_CLAIM_RESPONSE, 0, values).status, Status::kNotUtf8);
  // But any bytes have a hash slot.
  EXPECT_EQ(HashSlot("\xFF"), Crc16("\xFF") & 0x3FFF);
}

TEST(ReferenceBorder, WhatDoesNotExistIsSaidToBeSo) {
  ffref_scratch* scratch = ffref_scratch_new();
  ffref_document document = {};
  EXPECT_EQ(ffref_json_parse(scratch, FFREF_DTO_COUNT, FFREF_AS_CLIENT, ToView("{}"), &document),
            FFREF_INVALID_ARGUMENT);
  EXPECT_EQ(ffref_json_parse(scratch, FFREF_ERROR_BODY, 2, ToView("{}"), &document),
            FFREF_INVALID_ARGUMENT);
  ffref_key_subject subject = {};
  subject.execution_id = ToView(kId);
  ffref_view name = {};
  EXPECT_EQ(ffref_key_name(scratch, FFREF_KEY_PARTITION_CONFIG + 1, &subject, &name),
            FFREF_INVALID_ARGUMENT);
  EXPECT_EQ(ffref_partition_format(scratch, {4, 0}, &name), FFREF_INVALID_ARGUMENT);
  ffref_scratch_free(scratch);
  ffref_scratch_free(nullptr);
  EXPECT_EQ(UuidPartition(PartitionFamily::kExecution, {}, 1).status, Status::kInvalidArgument);
  Reference reference;
  ffref_value values[FFREF_MAX_VALUES + 1] = {};
  EXPECT_EQ(reference.WriteJson(FFREF_CLAIM_RESPONSE, 1, values).status, Status::kInvalidArgument);
  EXPECT_EQ(reference.WriteJson(FFREF_RENEW_LEASE_RESULT, 0, {}).status, Status::kInvalidArgument);
  EXPECT_EQ(reference.WriteJson(FFREF_RENEW_LEASE_RESULT, 0, {values, 2}).status,
            Status::kInvalidArgument);
  values[0] = NumberValue(65536);
  EXPECT_EQ(reference.WriteJson(FFREF_PARTITION_CONFIG, 0, {values, 3}).status,
            Status::kInvalidArgument);
  EXPECT_EQ(ffref_prepared_new(FFREF_NUMBER_OF_OPERATIONS, nullptr, 0), nullptr);
}

TEST(ReferenceBorder, ErrorTextIsOfTheLastRejection) {
  Reference reference;
  EXPECT_EQ(reference.ErrorText(), "");
  const ParsedPartitionKey key = reference.ParsePartitionKey("{fp:7 }");
  EXPECT_EQ(key.status, Status::kRejected);
  EXPECT_EQ(key.error, FFREF_KEY_INVALID_INDEX);
  EXPECT_EQ(key.payload, "7 ");
  EXPECT_EQ(reference.ErrorText(), "partition index '7 ' is not a valid u16");
  EXPECT_EQ(reference.CheckLane(std::string(65, 'x')).number, 65u);
  EXPECT_EQ(reference.ErrorText(), "lane_id exceeds 64 bytes (got 65)");
  EXPECT_EQ(reference.CheckLane("main").status, Status::kOk);
  EXPECT_EQ(reference.ErrorText(), "");
  EXPECT_EQ(reference.ParseExecutionId("{fp:x}:").error, FFREF_ID_INVALID_PARTITION_INDEX);
  EXPECT_EQ(reference.ErrorText(), "execution_id partition index is not a valid u16: x");
  EXPECT_EQ(reference.ParseJson(FFREF_ERROR_BODY, FFREF_AS_CLIENT, "{}").status, Status::kRejected);
  EXPECT_EQ(reference.ErrorText(), "missing field `error` at line 1 column 2");
}

TEST(ReferenceBorder, TheLockFileHasTheVersionsThatItNames) {
  std::ifstream file(FFGRANT_CARGO_LOCK);
  const std::string lock(std::istreambuf_iterator<char>(file), {});
  std::string_view versions = ToText(ffref_versions());
  int count = 0;
  while (!versions.empty()) {
    const std::string_view one = versions.substr(0, versions.find(", "));
    const std::size_t space = one.find(' ');
    const std::string entry = "name = \"" + std::string(one.substr(0, space)) + "\"\nversion = \"" +
                              std::string(one.substr(space + 1)) + "\"\n";
    EXPECT_NE(lock.find(entry), std::string::npos) << entry;
    versions.remove_prefix(std::min(versions.size(), one.size() + 2));
    ++count;
  }
  EXPECT_EQ(count, 5);
}

// --- bodies ---

TEST(ReferenceJson, EachBodyIsWrittenAndReadAgain) {
  const Uuid uuid = ParseUuid(kUuid).uuid;
  const ffref_view tokens[] = {ToView("gpu"), ToView("gpu"), ToView("")};
  const ffref_value list = {1, 0, {}, tokens, std::size(tokens)};
  const auto text = TextValue;
  const auto number = NumberValue;
  constexpr std::uint64_t kMax = ~std::uint64_t{0};
  struct Case {
    ffref_dto dto;
    std::uint32_t variant;
    std::vector<ffref_value> values;
    std::string_view json;
  };
  const Case cases[] = {
      {FFREF_CLAIM_REQUEST,
       0,
       {text("main"), text("w"), list, number(5)},
       R"({"lane_id":"main","worker_instance_id":"w","capabilities":["gpu","gpu",""],)"
       R"("grant_ttl_ms":5})"},
      {FFREF_CLAIM_RESPONSE,
       0,
       {text(kId), text("{zz}"), text("\n"), number(kMax)},
       R"({"execution_id":"{fp:7}:11111111-1111-4111-8111-111111111111","partition_key":"{zz}",)"
       R"("grant_key":"\n","expires_at_ms":18446744073709551615})"},
      {FFREF_RECLAIM_REQUEST,
       0,
       {text("w"), text("i"), text("l"), AbsentValue(), number(1), text("{}"), AbsentValue(),
        ffref_value{1, 0, {}, nullptr, 0}},
       R"({"worker_id":"w","worker_instance_id":"i","lane_id":"l","grant_ttl_ms":1,)"
       R"("route_snapshot_json":"{}","worker_capabilities":[]})"},
      {FFREF_RECLAIM_RESPONSE,
       0,
       {text("e"), text("p"), text("k"), number(2), text("l")},
       R"({"status":"granted","execution_id":"e","partition_key":"p","grant_key":"k",)"
       R"("expires_at_ms":2,"lane_id":"l"})"},
      {FFREF_RECLAIM_RESPONSE,
       1,
       {text("e"), text("d")},
       R"({"status":"not_reclaimable","execution_id":"e","detail":"d"})"},
      {FFREF_RECLAIM_RESPONSE,
       2,
       {text("e"), number(4294967295)},
       R"({"status":"reclaim_cap_exceeded","execution_id":"e","reclaim_count":4294967295})"},
      {FFREF_ERROR_BODY, 0, {text("x"), AbsentValue(), AbsentValue()}, R"({"error":"x"})"},
      {FFREF_ERROR_BODY,
       0,
       {text("x"), text("k"), number(0)},
       R"({"error":"x","kind":"k","retryable":false})"},
      {FFREF_REVOKE_LEASE_RESULT,
       0,
       {text("l"), text("2")},
       R"({"Revoked":{"lease_id":"l","lease_epoch":"2"}})"},
      {FFREF_REVOKE_LEASE_RESULT, 1, {text("r")}, R"({"AlreadySatisfied":{"reason":"r"}})"},
      {FFREF_RENEW_LEASE_RESULT,
       0,
       {number(static_cast<std::uint64_t>(-5))},
       R"({"Renewed":{"expires_at":-5}})"},
      {FFREF_CLAIMED_RESULT,
       0,
       {text(kId), UuidValue(uuid), number(9), number(3), UuidValue(uuid), number(1), number(7),
        number(2), number(3), text("\x01\xFF")},
       R"({"Claimed":{"execution_id":"{fp:7}:11111111-1111-4111-8111-111111111111",)"
       R"("lease_id":"11111111-1111-4111-8111-111111111111","lease_epoch":9,"attempt_index":3,)"
       R"("attempt_id":"11111111-1111-4111-8111-111111111111","attempt_type":"retry",)"
       R"("lease_expires_at":7,"handle":{"backend":"Sqlite","kind":"Reclaimed",)"
       R"("opaque":[1,255]}}})"},
      {FFREF_LEASE_FENCE,
       0,
       {UuidValue(uuid), number(1), UuidValue(uuid)},
       R"({"lease_id":"11111111-1111-4111-8111-111111111111","lease_epoch":1,)"
       R"("attempt_id":"11111111-1111-4111-8111-111111111111"})"},
      {FFREF_PARTITION_CONFIG,
       0,
       {number(1), number(2), number(65535)},
       R"({"num_flow_partitions":1,"num_budget_partitions":2,"num_quota_partitions":65535})"},
  };
  Reference reference;
  Reference again;
  for (const Case& one : cases) {
    const Text written = reference.WriteJson(one.dto, one.variant, one.values);
    ASSERT_EQ(written.status, Status::kOk) << one.json;
    EXPECT_EQ(written.text, one.json);
    for (const ffref_reader reader : {FFREF_AS_CLIENT, FFREF_AS_SERVER}) {
      const ParsedDocument parsed = again.ParseJson(one.dto, reader, one.json);
      ASSERT_EQ(parsed.status, Status::kOk) << again.ErrorText();
      EXPECT_EQ(parsed.document.variant, one.variant);
      ASSERT_EQ(parsed.values().size(), one.values.size());
      for (std::size_t i = 0; i < one.values.size(); ++i) {
        const ffref_value& got = parsed.values()[i];
        const ffref_value& want = one.values[i];
        EXPECT_EQ(got.present, want.present) << one.json << i;
        EXPECT_EQ(got.number, want.number) << one.json << i;
        EXPECT_EQ(ToText(got.text), ToText(want.text)) << one.json << i;
        ASSERT_EQ(got.list_size, want.list_size) << one.json << i;
        for (std::size_t j = 0; j < got.list_size; ++j) {
          EXPECT_EQ(ToText(got.list[j]), ToText(want.list[j]));
        }
      }
    }
  }
}

TEST(ReferenceJson, ErrorsHaveClassKindMemberAndPlace) {
  struct Case {
    std::string_view json;
    std::uint32_t error_class, error;
    std::string_view member;
    std::size_t column;
  };
  const Case cases[] = {
      {R"({"error":1})", FFREF_JSON_DATA, FFREF_JSON_INVALID_TYPE, "error", 10},
      {R"({"error":"x","error":1})", FFREF_JSON_DATA, FFREF_JSON_DUPLICATE_FIELD, "error", 20},
      {R"({"kind":"x"})", FFREF_JSON_DATA, FFREF_JSON_MISSING_FIELD, "error", 12},
      {R"([])", FFREF_JSON_DATA, FFREF_JSON_INVALID_LENGTH, "", 2},
      {R"({"error":)", FFREF_JSON_EOF, FFREF_JSON_UNEXPECTED_END, "error", 9},
      {R"({"error":"x",})", FFREF_JSON_SYNTAX, FFREF_JSON_TRAILING_COMMA, "", 14},
      {R"({"error":"x"}x)", FFREF_JSON_SYNTAX, FFREF_JSON_TRAILING_CHARACTERS, "", 14},
      {R"({"error":01})", FFREF_JSON_SYNTAX, FFREF_JSON_INVALID_NUMBER, "error", 11},
      {R"({"error":1e400})", FFREF_JSON_SYNTAX, FFREF_JSON_NUMBER_OUT_OF_RANGE, "error", 14},
      {R"({"error":"\x"})", FFREF_JSON_SYNTAX, FFREF_JSON_INVALID_ESCAPE, "error", 12},
      {R"({"error":"\ud800"})", FFREF_JSON_SYNTAX, FFREF_JSON_LONE_SURROGATE, "error", 17},
      {"{\"error\":\"\n\"}", FFREF_JSON_SYNTAX, FFREF_JSON_CONTROL_CHARACTER, "error", 0},
      {"{\"error\":\"\xFF\"}", FFREF_JSON_SYNTAX, FFREF_JSON_INVALID_UTF8, "error", 12},
      {R"({"error" 1})", FFREF_JSON_SYNTAX, FFREF_JSON_EXPECTED_TOKEN, "", 10},
  };
  Reference reference;
  for (const Case& one : cases) {
    const ParsedDocument client = reference.ParseJson(FFREF_ERROR_BODY, FFREF_AS_CLIENT, one.json);
    EXPECT_EQ(client.status, Status::kRejected) << one.json;
    EXPECT_EQ(client.document.error_class, one.error_class) << one.json;
    EXPECT_EQ(client.document.error, one.error) << one.json << reference.ErrorText();
    const ParsedDocument server = reference.ParseJson(FFREF_ERROR_BODY, FFREF_AS_SERVER, one.json);
    EXPECT_EQ(server.status, Status::kRejected) << one.json;
    EXPECT_EQ(server.document.error_class, one.error_class) << one.json;
    EXPECT_EQ(server.document.error, one.error) << one.json;
    EXPECT_EQ(ToText(server.document.member), one.member) << one.json << reference.ErrorText();
    EXPECT_EQ(server.document.column, one.column) << one.json << reference.ErrorText();
  }
}

TEST(ReferenceJson, GrantsAreDecodedAndConverted) {
  Reference reference;
  const ParsedGrant grant =
      reference.ParseClaimGrant("[\"" + std::string(kId) + R"(","{zz:0}","k",5])");
  EXPECT_EQ(grant.status, Status::kOk);
  EXPECT_EQ(ToText(grant.grant.id.text), kId);
  EXPECT_EQ(grant.grant.id.index, 7);
  EXPECT_EQ(grant.grant.key_rejection.error, FFREF_KEY_UNKNOWN_FAMILY_PREFIX);
  EXPECT_EQ(ToText(grant.grant.key_rejection.payload), "zz");
  const ParsedGrant bad = reference.ParseClaimGrant(R"(["x","{b:1}","k",5])");
  EXPECT_EQ(bad.status, Status::kRejected);
  EXPECT_EQ(bad.grant.id_rejection.error, FFREF_ID_MISSING_TAG);
  EXPECT_EQ(bad.grant.partition.index, 1);
  EXPECT_EQ(reference.ErrorText(), "execution_id is missing the `{fp:N}:` hash-tag prefix: x");
}

// --- prepared inputs ---

TEST(ReferencePrepared, EveryOperationRunsAndItsSumIsOfTheResults) {
  const std::string json = R"({"execution_id":")" + std::string(kId) +
                           R"(","partition_key":"{fp:7}","grant_key":"k","expires_at_ms":5})";
  const std::string grant_key = "ff:exec:{fp:7}:" + std::string(kId) + ":claim_grant";
  struct Case {
    ffref_operation operation;
    std::string_view input;
    std::uint64_t sum;
  };
  const Case cases[] = {
      {FFREF_RUN_PARTITION_KEY_PARSE, "{fp:7}", 7},
      {FFREF_RUN_PARTITION_FORMAT, "{fp:7}", 6},
      {FFREF_RUN_EXECUTION_ID_PARSE, kId, kId.size()},
      {FFREF_RUN_UUID_PARSE, kUuid, 0x8111111111111111},
      {FFREF_RUN_UUID_FORMAT, kUuid, 36},
      {FFREF_RUN_MINT_FOR_FLOW, kUuid, 9 + 36},  // {fp:191}:
      {FFREF_RUN_MINT_FOR_FLOW_GIVEN, kUuid, 9 + 36},
      {FFREF_RUN_MINT_SOLO, "main", 9 + 36},
      {FFREF_RUN_CRC16, "123456789", 0x31C3},
      {FFREF_RUN_HASH_SLOT, "{fp:7}", 2729},
      {FFREF_RUN_CLAIM_RESPONSE_DECODE, json, 5},
      {FFREF_RUN_GRANT_DECODE, json, 5},
      {FFREF_RUN_GRANT_DECODE_AS_SERVER, json, 5},
      {FFREF_RUN_GRANT_ENCODE, json, json.size()},
      {FFREF_RUN_GRANT_ENCODE_INTO, json, json.size()},
      {FFREF_RUN_CLAIM_GRANT_KEY, kId, grant_key.size()},
      {FFREF_RUN_NOTHING, kId, kId.size()},
  };
  ASSERT_EQ(std::size(cases), std::size_t{FFREF_NUMBER_OF_OPERATIONS});
  for (const Case& one : cases) {
    const ffref_view input = ToView(one.input);
    const ffref_view inputs[] = {input, input, input};
    ffref_prepared* prepared = ffref_prepared_new(one.operation, inputs, std::size(inputs));
    ASSERT_NE(prepared, nullptr) << one.operation;
    std::uint64_t sum = 0;
    EXPECT_EQ(ffref_prepared_run(prepared, 1, 2, &sum), FFREF_OK);
    EXPECT_EQ(sum, 2 * one.sum) << one.operation;
    EXPECT_EQ(ffref_prepared_run(prepared, 2, 2, &sum), FFREF_INVALID_ARGUMENT);
    EXPECT_EQ(ffref_prepared_run(prepared, ~std::size_t{0}, 2, &sum), FFREF_INVALID_ARGUMENT);
    ffref_prepared_free(prepared);
  }
  const ffref_view bad = ToView("\xFF");
  EXPECT_EQ(ffref_prepared_new(FFREF_RUN_EXECUTION_ID_PARSE, &bad, 1), nullptr);
  EXPECT_EQ(ffref_prepared_new(FFREF_RUN_PARTITION_FORMAT, &bad, 1), nullptr);
  EXPECT_EQ(ffref_prepared_new(FFREF_RUN_GRANT_ENCODE, &bad, 1), nullptr);
  ffref_prepared_free(nullptr);
}

// Prepared inputs lie in a block of memory that the next prepared inputs take over, but only once
// the block is free.
TEST(ReferencePrepared, InputsThatLiveAtOnceHaveMemoryOfTheirOwn) {
  constexpr ffref_operation kOperation = FFREF_RUN_PARTITION_KEY_PARSE;
  const auto prepare = [](std::string_view key) {
    const ffref_view input = ToView(key);
    return ffref_prepared_new(kOperation, &input, 1);
  };
  const auto index_of = [](ffref_prepared* prepared) {
    std::uint64_t sum = 0;
    EXPECT_EQ(ffref_prepared_run(prepared, 0, 1, &sum), FFREF_OK);
    return sum;
  };
  ffref_prepared_free(prepare("{fp:12345}"));
  ffref_prepared* const first = prepare("{fp:1}");
  ffref_prepared* const second = prepare("{b:22222}");
  EXPECT_EQ(index_of(first), 1u);
  EXPECT_EQ(index_of(second), 22222u);
  ffref_prepared_free(first);
  ffref_prepared* const third = prepare("{q:333}");
  EXPECT_EQ(index_of(second), 22222u);
  EXPECT_EQ(index_of(third), 333u);
  ffref_prepared_free(second);
  ffref_prepared_free(third);
}

// --- the vectors, which are older than the bridge ---

using Element = simdjson::dom::element;

std::string_view TextOf(const Element& element) {
  std::string_view text;
  return element.get(text) == simdjson::SUCCESS ? text : std::string_view();
}

std::uint64_t NumberOf(const Element& element) { return element.get_uint64().value(); }

bool Has(const Element& vector, const char* name) {
  return vector[name].error() == simdjson::SUCCESS;
}

template <class Check>
void ForEachVector(const std::string& kind, Check check) {
  std::ifstream file(std::string(FFGRANT_VECTORS_DIR) + "/" + kind + ".jsonl");
  simdjson::dom::parser parser;
  std::string line;
  int count = 0;
  while (std::getline(file, line)) {
    SCOPED_TRACE(line);
    check(parser.parse(line).value());
    ++count;
  }
  EXPECT_GE(count, 50);
}

template <class Parsed>
void ExpectError(const Element& expected, const Parsed& got, std::string_view text,
                 std::span<const std::string_view> codes) {
  ASSERT_EQ(got.status, Status::kRejected);
  EXPECT_EQ(TextOf(expected["code"]), codes[got.error - 1]);
  EXPECT_EQ(TextOf(expected["payload"]), got.payload);
  EXPECT_EQ(TextOf(expected["display"]), text);
}

TEST(ReferenceVectors, PartitionKeys) {
  constexpr std::string_view kCodes[] = {"missing_braces", "malformed_body",
                                         "unknown_family_prefix", "invalid_index"};
  Reference reference;
  ForEachVector("partition_key", [&](const Element& vector) {
    const std::string_view input = TextOf(vector["input"]);
    const ParsedPartitionKey got = reference.ParsePartitionKey(input);
    if (Has(vector, "err")) {
      return ExpectError(vector["err"], got, reference.ErrorText(), kCodes);
    }
    ASSERT_EQ(got.status, Status::kOk);
    EXPECT_EQ(TextOf(vector["ok"]["family"]), FamilyName(got.partition.family));
    EXPECT_EQ(NumberOf(vector["ok"]["index"]), got.partition.index);
    EXPECT_EQ(TextOf(vector["ok"]["tag"]), reference.FormatPartition(got.partition).text);
    EXPECT_EQ(NumberOf(vector["ok"]["slot"]), HashSlot(input));
  });
}

TEST(ReferenceVectors, ExecutionIds) {
  constexpr std::string_view kCodes[] = {"missing_tag", "invalid_partition_index", "invalid_uuid"};
  Reference reference;
  ForEachVector("execution_id", [&](const Element& vector) {
    const ParsedExecutionId got = reference.ParseExecutionId(TextOf(vector["input"]));
    if (Has(vector, "err")) {
      return ExpectError(vector["err"], got, reference.ErrorText(), kCodes);
    }
    ASSERT_EQ(got.status, Status::kOk);
    EXPECT_EQ(got.text, TextOf(vector["input"]));
    EXPECT_EQ(NumberOf(vector["ok"]["partition"]), got.index);
    EXPECT_EQ(TextOf(vector["ok"]["uuid"]), reference.FormatUuid(got.uuid).text);
  });
}

std::string Unhex(std::string_view hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  }
  return bytes;
}

TEST(ReferenceVectors, ClaimResponses) {
  Reference reference;
  ForEachVector("claim_response", [&](const Element& vector) {
    const std::string json =
        Has(vector, "doc") ? std::string(TextOf(vector["doc"])) : Unhex(TextOf(vector["doc_hex"]));
    for (const ffref_reader reader : {FFREF_AS_SERVER, FFREF_AS_CLIENT}) {
      const ParsedDocument got = reference.ParseJson(FFREF_CLAIM_RESPONSE, reader, json);
      if (Has(vector, "err")) {
        const bool data = TextOf(vector["err"]["class"]) == "data";
        EXPECT_EQ(got.document.error_class == FFREF_JSON_DATA, data);
        EXPECT_NE(got.document.error, FFREF_JSON_OTHER) << reference.ErrorText();
        continue;
      }
      ASSERT_EQ(got.status, Status::kOk);
      EXPECT_EQ(ToText(got.values()[0].text), TextOf(vector["ok"]["execution_id"]));
      EXPECT_EQ(ToText(got.values()[1].text), TextOf(vector["ok"]["partition_key"]));
      EXPECT_EQ(ToText(got.values()[2].text), TextOf(vector["ok"]["grant_key"]));
      EXPECT_EQ(got.values()[3].number, NumberOf(vector["ok"]["expires_at_ms"]));
    }
    if (Has(vector, "ok")) {
      EXPECT_EQ(reference.ParseClaimGrant(json).status == Status::kOk,
                vector["ok"]["converts"].get_bool().value());
    }
  });
}

TEST(ReferenceVectors, WrittenClaimResponses) {
  Reference reference;
  ForEachVector("claim_serialize", [&](const Element& vector) {
    const Element grant = vector["grant"];
    const ffref_value values[] = {
        TextValue(TextOf(grant["execution_id"])), TextValue(TextOf(grant["partition_key"])),
        TextValue(TextOf(grant["grant_key"])), NumberValue(NumberOf(grant["expires_at_ms"]))};
    EXPECT_EQ(reference.WriteJson(FFREF_CLAIM_RESPONSE, 0, values).text, TextOf(vector["json"]));
  });
}

TEST(ReferenceVectors, Hashing) {
  Reference reference;
  ForEachVector("flow_partition", [&](const Element& vector) {
    const Uuid flow = ParseUuid(TextOf(vector["flow_id"])).uuid;
    const Uuid uuid = ParseUuid(TextOf(vector["mint_uuid"])).uuid;
    const auto count = static_cast<std::uint16_t>(NumberOf(vector["num_flow_partitions"]));
    EXPECT_EQ(UuidPartition(PartitionFamily::kFlow, flow, count).value, NumberOf(vector["index"]));
    EXPECT_EQ(reference.MintForFlow(flow, count, uuid).text, TextOf(vector["execution_id"]));
  });
  ForEachVector("lane_partition", [&](const Element& vector) {
    const auto count = static_cast<std::uint16_t>(NumberOf(vector["num_flow_partitions"]));
    EXPECT_EQ(LanePartition(TextOf(vector["lane"]), count).value, NumberOf(vector["index"]));
  });
  ForEachVector("key_slot", [&](const Element& vector) {
    EXPECT_EQ(HashSlot(TextOf(vector["key"])), NumberOf(vector["slot"]));
  });
}

TEST(ReferenceVectors, KeyNames) {
  constexpr std::pair<const char*, ffref_key> kRoles[] = {
      {"core", FFREF_KEY_CORE},
      {"claim_grant", FFREF_KEY_CLAIM_GRANT},
      {"payload", FFREF_KEY_PAYLOAD},
      {"result", FFREF_KEY_RESULT},
      {"policy", FFREF_KEY_POLICY},
      {"tags", FFREF_KEY_TAGS},
      {"lease_current", FFREF_KEY_LEASE_CURRENT},
      {"lease_history", FFREF_KEY_LEASE_HISTORY},
      {"attempts", FFREF_KEY_ATTEMPTS},
      {"attempt", FFREF_KEY_ATTEMPT},
      {"attempt_usage", FFREF_KEY_ATTEMPT_USAGE},
      {"attempt_policy", FFREF_KEY_ATTEMPT_POLICY},
      {"stream_meta", FFREF_KEY_STREAM_META},
      {"lane_eligible", FFREF_KEY_LANE_ELIGIBLE},
      {"lane_active", FFREF_KEY_LANE_ACTIVE},
      {"lane_delayed", FFREF_KEY_LANE_DELAYED},
      {"lane_terminal", FFREF_KEY_LANE_TERMINAL},
      {"lease_expiry", FFREF_KEY_LEASE_EXPIRY},
      {"attempt_timeout", FFREF_KEY_ATTEMPT_TIMEOUT},
      {"execution_deadline", FFREF_KEY_EXECUTION_DEADLINE},
      {"all_executions", FFREF_KEY_ALL_EXECUTIONS},
      {"noop", FFREF_KEY_NOOP},
      {"worker_leases", FFREF_KEY_WORKER_LEASES},
  };
  Reference reference;
  ForEachVector("keyspace", [&](const Element& vector) {
    ffref_key_subject subject = {};
    subject.execution_id = ToView(TextOf(vector["execution_id"]));
    subject.lane = ToView(TextOf(vector["lane"]));
    subject.worker_instance = ToView(TextOf(vector["worker_instance_id"]));
    subject.attempt = static_cast<std::uint32_t>(NumberOf(vector["attempt"]));
    for (const auto& [name, role] : kRoles) {
      EXPECT_EQ(reference.KeyName(role, subject).text, TextOf(vector["keys"][name])) << name;
    }
  });
}

}  // namespace
}  // namespace ffgrant::reference
