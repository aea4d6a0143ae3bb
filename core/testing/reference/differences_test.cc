// SPDX-License-Identifier: Apache-2.0
//
// Compares core with the reference on the vectors' inputs and on edits of them. Also tests the
// checks themselves: each thing that they compare can differ, and only what
// fuzz/known_differences.md lists may differ.

#include "testing/reference/differences.h"

#include <gtest/gtest.h>
#include <simdjson.h>

#include <algorithm>
#include <fstream>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "ffgrant/json/partition_config.h"
#include "ffgrant/routing.h"

namespace ffgrant::reference {
namespace {

constexpr std::string_view kId = "{fp:7}:11111111-1111-4111-8111-111111111111";
constexpr std::string_view kGrant =
    R"({"execution_id":"{fp:7}:11111111-1111-4111-8111-111111111111","partition_key":"{fp:7}",)"
    R"("grant_key":"k","expires_at_ms":5})";

// --- core and the reference agree ---

std::vector<std::string> InputsOf(std::string_view kind, const char* member) {
  std::ifstream file(std::string(FFGRANT_VECTORS_DIR) + "/" + std::string(kind) + ".jsonl");
  simdjson::dom::parser parser;
  std::vector<std::string> inputs;
  std::string line;
  while (std::getline(file, line)) {
    std::string_view text;
    if (parser.parse(line).value()[member].get(text) == simdjson::SUCCESS) {
      inputs.emplace_back(text);
    }
  }
  EXPECT_GE(inputs.size(), 100u);
  return inputs;
}

// Makes one to three edits. An edit inserts or replaces a byte, removes up to four bytes, or
// doubles up to eleven bytes.
std::string Edited(std::string text, std::mt19937_64& random) {
  constexpr std::string_view kBytes = "{}:\"\\,[]0179+-.eEufpbq \t\n\x01\x7F\x80\xC3\xA9\xED\xFF";
  for (auto edits = 1 + random() % 3; edits > 0; --edits) {
    const std::size_t at = text.empty() ? 0 : random() % text.size();
    const char byte = kBytes[random() % kBytes.size()];
    switch (random() % 4) {
      case 0:
        text.insert(text.begin() + static_cast<std::ptrdiff_t>(at), byte);
        break;
      case 1:
        if (!text.empty()) text[at] = byte;
        break;
      case 2:
        text.erase(at, 1 + random() % 4);
        break;
      default:
        text.insert(at, text.substr(at, random() % 12));
    }
  }
  return text;
}

// Checks each input, and edits of it; `check(text)` returns the answer.
template <class Check>
void OnVectors(std::string_view kind, const char* member, Comparer& comparer, Check check) {
  std::mt19937_64 random(7);
  int same = 0;
  for (const std::string& input : InputsOf(kind, member)) {
    for (int edit = 0; edit < 30; ++edit) {
      const std::string text = edit == 0 ? input : Edited(input, random);
      const Answer answer = check(text);
      ASSERT_NE(answer, Answer::kDifferent) << text << "\n  " << comparer.difference().what
                                            << "\n  ours: " << comparer.difference().ours
                                            << "\n  reference: " << comparer.difference().reference;
      same += answer == Answer::kSame;
    }
  }
  EXPECT_GE(same, 2000);
}

Answer OfKey(Comparer& comparer, std::string_view text) {
  return comparer.PartitionKey(text, ParsePartitionKey(text, ParseMode::kLenient),
                               ParsePartitionKey(text, ParseMode::kStrict));
}

Answer OfId(Comparer& comparer, std::string_view text) {
  return comparer.ExecutionId(text, ParseExecutionId(text, ParseMode::kLenient),
                              ParseExecutionId(text, ParseMode::kStrict));
}

TEST(Differences, NoneInPartitionKeys) {
  Comparer comparer;
  OnVectors("partition_key", "input", comparer,
            [&](std::string_view text) { return OfKey(comparer, text); });
}

TEST(Differences, NoneInExecutionIds) {
  Comparer comparer;
  OnVectors("execution_id", "input", comparer,
            [&](std::string_view text) { return OfId(comparer, text); });
}

TEST(Differences, NoneInUuids) {
  Comparer comparer;
  OnVectors("flow_partition", "flow_id", comparer, [&](std::string_view text) {
    return comparer.Uuid(text, ParseUuid(text, ParseMode::kLenient));
  });
}

TEST(Differences, NoneInLanes) {
  Comparer comparer;
  OnVectors("lane_partition", "lane", comparer,
            [&](std::string_view text) { return comparer.Lane(text, ParseLaneId(text)); });
}

template <class View, class Parse>
Answer OfDocument(Comparer& comparer, std::string_view json, ffref_reader reader, Parse parse) {
  JsonScratch scratch(json.size());
  View view = {};
  const JsonResult result = parse(json, scratch, view);
  DtoValues values;
  Fill(view, values);
  return comparer.Document(values.dto, reader, json, result, values);
}

TEST(Differences, NoneInClaimResponses) {
  Comparer comparer;
  for (const ffref_reader reader : {FFREF_AS_CLIENT, FFREF_AS_SERVER}) {
    OnVectors("claim_response", "doc", comparer, [&](std::string_view json) {
      return OfDocument<ClaimResponseView>(comparer, json, reader, ParseClaimResponse);
    });
  }
  OnVectors("claim_response", "doc", comparer, [&](std::string_view json) {
    JsonScratch scratch(json.size());
    ClaimGrantView grant;
    const GrantJsonResult result = ParseClaimGrant(json, scratch, grant);
    return comparer.Grant(json, result, grant);
  });
}

// --- the checks see what is wrong ---

PartitionKeyResult Key(std::string_view text) {
  return ParsePartitionKey(text, ParseMode::kLenient);
}

TEST(Checks, SeeAWrongPartitionKey) {
  Comparer comparer;
  const auto answer = [&](std::string_view text, const PartitionKeyResult& lenient) {
    return comparer.PartitionKey(text, lenient, ParsePartitionKey(text, ParseMode::kStrict));
  };
  EXPECT_EQ(answer("{fp:7}", Key("{fp:7}")), Answer::kSame);
  EXPECT_EQ(answer("{fp:7}", Key("{fp:8}")), Answer::kDifferent);
  EXPECT_EQ(answer("{fp:7}", Key("{b:7}")), Answer::kDifferent);
  EXPECT_EQ(answer("{fp:7}", Key("{fp:x}")), Answer::kDifferent);
  EXPECT_EQ(answer("{fp:x}", Key("{fp:7}")), Answer::kDifferent);
  EXPECT_EQ(answer("{fp:x}", Key("{fp:y}")), Answer::kDifferent);  // payload
  EXPECT_EQ(answer("{fp:x}", Key("{x:0}")), Answer::kDifferent);   // error
  EXPECT_EQ(comparer.PartitionKey("{fp:07}", Key("{fp:07}"), Key("{fp:07}")),
            Answer::kDifferent);  // strict accepts
  EXPECT_EQ(comparer.PartitionKey("{fp:7}", Key("{fp:7}"), Key("{fp:}")),
            Answer::kDifferent);  // strict rejects
}

TEST(Checks, SeeAWrongExecutionId) {
  Comparer comparer;
  const auto id = [](std::string_view text) { return ParseExecutionId(text, ParseMode::kLenient); };
  const auto answer = [&](std::string_view text, const ExecutionIdResult& lenient) {
    return comparer.ExecutionId(text, lenient, ParseExecutionId(text, ParseMode::kStrict));
  };
  const std::string other_index = "{fp:8}" + std::string(kId.substr(6));
  std::string other_uuid(kId);
  other_uuid.back() = '2';
  std::string upper(kId);
  upper.back() = 'A';
  EXPECT_EQ(answer(kId, id(kId)), Answer::kSame);
  EXPECT_EQ(answer(kId, id(other_index)), Answer::kDifferent);
  EXPECT_EQ(answer(kId, id(other_uuid)), Answer::kDifferent);
  EXPECT_EQ(answer(kId, id("{fp:7}:")), Answer::kDifferent);
  EXPECT_EQ(answer("{fp:7}:", id(kId)), Answer::kDifferent);
  EXPECT_EQ(answer("{fp:7}:x", id("{fp:7}:y")), Answer::kDifferent);
  EXPECT_EQ(answer("{fp:7}:x", id("{fp:x}:")), Answer::kDifferent);
  EXPECT_EQ(comparer.ExecutionId(upper, id(upper), id(upper)), Answer::kDifferent);
  EXPECT_EQ(comparer.ExecutionId(kId, id(kId), id("")), Answer::kDifferent);
  EXPECT_EQ(comparer.ExecutionId("x", id("x"), id(kId)), Answer::kDifferent);
}

TEST(Checks, SeeAWrongUuidLaneNumberAndText) {
  Comparer comparer;
  const std::string_view uuid = kId.substr(7);
  UuidResult wrong = ParseUuid(uuid, ParseMode::kLenient);
  wrong.uuid.bytes[15] ^= 1;
  EXPECT_EQ(comparer.Uuid(uuid, wrong), Answer::kDifferent);
  EXPECT_EQ(comparer.Uuid(uuid, ParseUuid("", ParseMode::kLenient)), Answer::kDifferent);
  EXPECT_EQ(comparer.Uuid("", wrong), Answer::kDifferent);
  EXPECT_EQ(comparer.Lane("\n", ParseLaneId("")), Answer::kDifferent);
  EXPECT_EQ(comparer.Lane("a\n", ParseLaneId("\n")), Answer::kDifferent);
  EXPECT_EQ(comparer.Lane("a", ParseLaneId("b")), Answer::kDifferent);
  EXPECT_EQ(comparer.SameNumber("number", 1, 2), Answer::kDifferent);
  EXPECT_EQ(comparer.SameText("text", "a", {Status::kOk, "b"}), Answer::kDifferent);
  EXPECT_EQ(comparer.SameText("text", "", {Status::kPanicked, ""}), Answer::kDifferent);
}

TEST(Checks, SeeAWrongDocument) {
  Comparer comparer;
  DtoValues values;
  const ClaimResponseView view = {kId, "{fp:7}", "k", 5};
  Fill(view, values);
  const auto answer = [&](std::string_view json, const JsonResult& result) {
    return comparer.Document(FFREF_CLAIM_RESPONSE, FFREF_AS_SERVER, json, result, values);
  };
  const auto error = [](JsonError e, std::string_view member = {}) {
    return JsonResult{e, 0, member};
  };
  EXPECT_EQ(answer(kGrant, {}), Answer::kSame);
  EXPECT_EQ(answer(kGrant, error(JsonError::kWrongType)), Answer::kDifferent);
  EXPECT_EQ(answer("{", {}), Answer::kDifferent);
  EXPECT_EQ(answer("{", error(JsonError::kUnexpectedEnd)), Answer::kSame);
  EXPECT_EQ(answer("{", error(JsonError::kWrongType)), Answer::kDifferent);      // class
  EXPECT_EQ(answer("{", error(JsonError::kInvalidNumber)), Answer::kDifferent);  // kind
  const std::string_view missing = R"({"execution_id":"","partition_key":"","grant_key":""})";
  EXPECT_EQ(answer(missing, error(JsonError::kMissingField, "expires_at_ms")), Answer::kSame);
  EXPECT_EQ(answer(missing, error(JsonError::kMissingField, "grant_key")), Answer::kDifferent);
  EXPECT_EQ(answer(missing, error(JsonError::kDuplicateField, "expires_at_ms")),
            Answer::kDifferent);
  const std::string_view typed = R"({"execution_id":1)";
  EXPECT_EQ(answer(typed, error(JsonError::kWrongType, "execution_id")), Answer::kSame);
  EXPECT_EQ(answer(typed, error(JsonError::kWrongType)), Answer::kDifferent);
  values.values[3].number = 6;
  EXPECT_EQ(answer(kGrant, {}), Answer::kDifferent);
  values.values[3].number = 5;
  values.values[2].text = ToView("l");
  EXPECT_EQ(answer(kGrant, {}), Answer::kDifferent);
}

TEST(Checks, SeeAWrongGrantAndWrongBytes) {
  Comparer comparer;
  JsonScratch scratch(kGrant.size());
  ClaimGrantView grant;
  const GrantJsonResult result = ParseClaimGrant(kGrant, scratch, grant);
  EXPECT_EQ(comparer.Grant(kGrant, result, grant), Answer::kSame);
  EXPECT_EQ(comparer.Grant("{", result, grant), Answer::kDifferent);
  EXPECT_EQ(comparer.Grant(kGrant, {{JsonError::kWrongType, 0, ""}, {}}, grant),
            Answer::kDifferent);
  EXPECT_EQ(comparer.Grant(kGrant, {{}, ExecutionIdError::kMissingTag}, grant), Answer::kDifferent);
  ClaimGrantView wrong = grant;
  wrong.grant_key = "l";
  EXPECT_EQ(comparer.Grant(kGrant, result, wrong), Answer::kDifferent);
  wrong = grant;
  wrong.expires_at_ms = 6;
  EXPECT_EQ(comparer.Grant(kGrant, result, wrong), Answer::kDifferent);

  DtoValues values;
  Fill(ClaimResponseView{kId, "{fp:7}", "k", 5}, values);
  EXPECT_EQ(comparer.Written(values, WriteError::kNone, kGrant), Answer::kSame);
  EXPECT_EQ(comparer.Written(values, WriteError::kNone, kGrant.substr(1)), Answer::kDifferent);
  EXPECT_EQ(comparer.Written(values, WriteError::kInvalidUtf8, ""), Answer::kDifferent);
  Fill(ClaimResponseView{"\xFF", "{fp:7}", "k", 5}, values);
  EXPECT_EQ(comparer.Written(values, WriteError::kNone, "x"), Answer::kDifferent);
  EXPECT_EQ(comparer.Written(values, WriteError::kInvalidUtf8, ""), Answer::kNotAsked);
}

TEST(Checks, EveryErrorHasANameInTheReferenceAndTheOtherWayRound) {
  std::set<std::uint32_t> named;
  for (int i = static_cast<int>(JsonError::kUnexpectedEnd);
       i < static_cast<int>(JsonError::kDocumentTooLarge); ++i) {
    int names = 0;
    for (std::uint32_t error = 1; error < FFREF_JSON_NUMBER_OF_ERRORS; ++error) {
      if (!SameJsonError(static_cast<JsonError>(i), error)) continue;
      named.insert(error);
      ++names;
    }
    EXPECT_GE(names, 1) << ErrorName(static_cast<JsonError>(i));
    EXPECT_LE(names, 3) << ErrorName(static_cast<JsonError>(i));
  }
  EXPECT_EQ(named.size(), std::size_t{FFREF_JSON_NUMBER_OF_ERRORS} - 1);
  EXPECT_FALSE(SameJsonError(JsonError::kNone, FFREF_JSON_OTHER));
  EXPECT_FALSE(SameJsonError(JsonError::kWrongType, FFREF_JSON_NUMBER_OF_ERRORS));
}

// --- known differences ---

TEST(KnownDifferences, AreThoseOfTheReviewedFile) {
  std::set<std::string> shown;
  Comparer comparer;
  const auto show = [&](Answer answer) {
    EXPECT_EQ(answer, Answer::kKnown) << comparer.difference().what;
    shown.emplace(comparer.known());
  };
  const auto show_response = [&](std::string_view json) {
    show(OfDocument<ClaimResponseView>(comparer, json, FFREF_AS_SERVER, ParseClaimResponse));
  };
  EXPECT_EQ(OfKey(comparer, "{fp:\xFF}"), Answer::kNotAsked);
  shown.emplace("not-utf8");
  EXPECT_FALSE(LanePartition(LaneIdView::Unchecked("main"), {0, 0, 0}));
  EXPECT_EQ(reference::LanePartition("main", 0).status, Status::kPanicked);
  shown.emplace("no-partitions");
  show_response("[\"a\xC2");
  show_response(R"(["\uoe)");
  show_response(R"({"x":1.)");
  show(OfDocument<ReclaimResponseView>(comparer, R"({"status":"granted","execution_id":1e999})",
                                       FFREF_AS_SERVER, ParseReclaimResponse));
  show(OfDocument<ClaimedView>(comparer, R"({"Claimed":{"handle":[1,"Fresh",[]]}})",
                               FFREF_AS_SERVER, ParseClaimedResult));

  std::ifstream file(FFGRANT_KNOWN_DIFFERENCES);
  std::set<std::string> listed;
  std::string line;
  while (std::getline(file, line)) {
    if (line.rfind("| `", 0) != 0) continue;
    EXPECT_GE(std::count(line.begin(), line.end(), '|'), 6) << line;
    listed.insert(line.substr(3, line.find('`', 3) - 3));
  }
  EXPECT_EQ(shown, listed);
}

}  // namespace
}  // namespace ffgrant::reference
