// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/json/reclaim_response.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "testing/naive/json_documents.h"
#include "testing/naive/write_checks.h"

namespace ffgrant {
namespace {

using testing::E;
using testing::G;
using testing::K;
using testing::kGrantKeyText;
using testing::kIdText;
using testing::L;
using testing::NestedArrays;
using testing::Object;
using testing::P;
using testing::Writes;
using testing::X;
using enum JsonError;

const ReclaimResponseView kGranted =
    ReclaimGrantedView{{kIdText, "{fp:7}", kGrantKeyText, 1'700'000'000'000}, "main"};

class ReclaimResponseTest : public ::testing::Test {
 protected:
  JsonResult Parse(std::string_view json) {
    document_ = json;
    const ReclaimResponseView before = NotReclaimableView{"before", "this"};
    response_ = before;
    const JsonResult result = ParseReclaimResponse(document_, scratch_, response_);
    if (!result) {
      EXPECT_EQ(response_, before) << json;
    }
    return result;
  }
  JsonError Error(const std::string& json) { return Parse(json).error; }
  JsonError WithExtra(const std::string& value) {
    return Error(Object({G, E, P, K, X, L, "\"d\":" + value}));
  }
  JsonErrorClass Class(const std::string& json) { return Parse(json).error_class(); }

  std::string document_;
  JsonScratch scratch_;
  ReclaimResponseView response_;
};

// The numbers at the ends of lines are those of the contract's vectors, section 13.

TEST_F(ReclaimResponseTest, TheTagStandsAnywhere) {
  EXPECT_EQ(Error(Object({G, E, P, K, X, L})), kNone);  // 64
  EXPECT_EQ(response_, kGranted);
  EXPECT_EQ(Error(Object({E, P, K, X, L, G})), kNone);  // 65
  EXPECT_EQ(response_, kGranted);
  EXPECT_EQ(Error(Object({E, P, R"("st\u0061tus":"gr\u0061nted")", K, X, L})), kNone);
  EXPECT_EQ(response_, kGranted);
}

TEST_F(ReclaimResponseTest, EveryTextMayHaveEscapes) {
  for (const std::string& json : {Object({G, E, P, K, X, L}), Object({L, X, K, P, E, G})}) {
    EXPECT_EQ(Error(testing::WithEscapes(json)), kNone);
    EXPECT_EQ(response_, kGranted);
  }
  EXPECT_EQ(Error(testing::WithEscapes(
                Object({R"("status":"not_reclaimable")", E, R"("detail":"why not")"}))),
            kNone);
  EXPECT_EQ(response_, ReclaimResponseView(NotReclaimableView{kIdText, "why not"}));
}

TEST_F(ReclaimResponseTest, TheTagDecides) {
  const std::string untagged = Object({E, P, K, X, L});
  EXPECT_EQ(Parse(untagged), (JsonResult{kMissingField, untagged.size() - 1, "status"}));  // 66
  EXPECT_EQ(Error(Object({R"("status":"Granted")", E, P, K, X, L})), kUnknownVariant);     // 67
  for (const char* value : {"null", "0", "[\"granted\"]", "{", "[\xFF"}) {                 // 68
    EXPECT_EQ(Error(R"({"status":)" + std::string(value)), kWrongType) << value;
  }
  EXPECT_EQ(Error(R"({"status":nul)"), kUnexpectedEnd);
  EXPECT_EQ(Error(R"({"status":1e400)"), kNumberOutOfRange);
  EXPECT_EQ(Parse(Object({G, G, E, P, K, X, L})),
            (JsonResult{kDuplicateField, 2 + G.size(), "status"}));  // 69
  EXPECT_EQ(Error(R"({"status":"granted","status")"), kDuplicateField);
  EXPECT_EQ(Parse(Object({G, E, P, K, X})).member, "lane_id");                              // 70
  EXPECT_EQ(Error(Object({G, E, P, K, X})), kMissingField);                                 // 70
  EXPECT_EQ(Parse(R"({"status":"zz", bad)"), (JsonResult{kUnknownVariant, 10, "status"}));  // 80
  EXPECT_EQ(Error(R"({"execution_id":5,"status":"zz",,)"), kUnknownVariant);
  EXPECT_EQ(Error(R"({"execution_id":5,,"status":"zz"})"), kUnexpectedByte);
  for (const char* json : {"null", "1", "true", "\"granted\""}) EXPECT_EQ(Error(json), kWrongType);
  EXPECT_EQ(Error("[]"), kMissingField);
  EXPECT_EQ(Error("{}"), kMissingField);
}

TEST_F(ReclaimResponseTest, OtherVariants) {
  EXPECT_EQ(Error(Object({R"("status":"not_reclaimable")", E, P, K, X, L, R"("detail":"")"})),
            kNone);  // 72
  EXPECT_EQ(response_, ReclaimResponseView(NotReclaimableView{kIdText, ""}));
  EXPECT_EQ(Parse(Object({R"("status":"not_reclaimable")", E})).member, "detail");  // 73
  EXPECT_EQ(Error(Object({R"("status":"not_reclaimable")", E})), kMissingField);    // 73
  const auto count = [this](const std::string& value) {
    return Error(Object({R"("status":"reclaim_cap_exceeded")", E, "\"reclaim_count\":" + value}));
  };
  EXPECT_EQ(count("4294967295"), kNone);  // 74
  EXPECT_EQ(response_, ReclaimResponseView(ReclaimCapExceededView{kIdText, 4'294'967'295}));
  EXPECT_EQ(count("4294967296"), kIntegerOutOfRange);  // 75
  EXPECT_EQ(count("-1"), kIntegerOutOfRange);          // 75
  EXPECT_EQ(count("1.0"), kNotAnInteger);              // 75
  EXPECT_EQ(count("\"3\""), kWrongType);               // 75
  EXPECT_EQ(count("-0"), kNotAnInteger);
  // The members of other variants are unknown here, so their values may be any JSON.
  EXPECT_EQ(Error(Object({R"("status":"not_reclaimable")", E, R"("detail":"x")",
                          R"("expires_at_ms":[])", R"("lane_id":1,"lane_id":2)"})),
            kNone);
}

TEST_F(ReclaimResponseTest, PositionalForm) {
  EXPECT_EQ(Error(R"(["granted","{fp:7}:x","{fp:7}","k",5,"main"])"), kNone);  // 76
  EXPECT_EQ(response_,
            ReclaimResponseView(ReclaimGrantedView{{"{fp:7}:x", "{fp:7}", "k", 5}, "main"}));
  EXPECT_EQ(Error(R"(["granted",)" + Object({E, P, K, X, L}) + "]"), kWrongType);  // 77
  EXPECT_EQ(Error(R"(["granted"])"), kTooFewElements);
  EXPECT_EQ(Class(R"(["granted","e","p","k",5])"), JsonErrorClass::kData);
  EXPECT_EQ(Error(R"(["granted","e","p","k",5,"l",6])"), kSurplusElement);
  EXPECT_EQ(Class(R"(["granted","e","p","k",5,"l",6]x)"), JsonErrorClass::kData);
  EXPECT_EQ(Class(R"(["granted","e","p","k",5,"l",])"), JsonErrorClass::kSyntax);
  EXPECT_EQ(Error(R"(["zz"bad)"), kUnknownVariant);
  EXPECT_EQ(Error(R"(["reclaim_cap_exceeded","e",7])"), kNone);
  EXPECT_EQ(Error(R"([["granted"],1])"), kWrongType);
}

TEST_F(ReclaimResponseTest, IgnoredValuesAreCheckedInFull) {
  EXPECT_EQ(WithExtra("1e999"), kNumberOutOfRange);     // 78
  EXPECT_EQ(WithExtra(R"("\uD800")"), kLoneSurrogate);  // 78
  EXPECT_EQ(WithExtra("\"\xFF\""), kInvalidUtf8);
  EXPECT_EQ(WithExtra("{\"\xFF\":1}"), kInvalidUtf8);
  EXPECT_EQ(WithExtra(R"({"\ud83d\ude00":[0,-0.5e-9,"\n\u00e9)"
                      "\xC3\xA9"
                      R"(",{}]})"),
            kNone);
  EXPECT_EQ(WithExtra(NestedArrays(126)), kNone);     // 79
  EXPECT_EQ(WithExtra(NestedArrays(127)), kTooDeep);  // 79
  std::string objects;
  for (int i = 0; i < 126; ++i) objects += R"({"a":)";
  EXPECT_EQ(WithExtra(objects + "1" + std::string(126, '}')), kNone);
  EXPECT_EQ(WithExtra(objects + "[]" + std::string(126, '}')), kTooDeep);
  EXPECT_EQ(WithExtra(NestedArrays(20'000)), kTooDeep);
}

// A syntax error up to the closing bracket is reported before a wrong member, and a wrong member
// before bytes that follow the bracket.
TEST_F(ReclaimResponseTest, TheOrderOfFaults) {
  EXPECT_EQ(Error(R"({"status":"granted","execution_id":5}x)"), kWrongType);
  EXPECT_EQ(Error(Object({G, E, P, K, X, L}) + "x"), kTrailingBytes);
  EXPECT_EQ(Error(R"({"status":"granted","execution_id":5,bad)"), kUnexpectedByte);
  EXPECT_EQ(Error(R"({"status":"granted","lane_id":"a","lane_id":"b","execution_id":1e999})"),
            kNumberOutOfRange);
  EXPECT_EQ(Error(Object({G, L, L, E}) + "x"), kDuplicateField);
}

TEST_F(ReclaimResponseTest, EveryTruncationIsASyntaxError) {
  const std::string json = Object({E, P, R"("x":[{"y":null},"\u0041",1.5e3])", K, X, L, G});
  for (std::size_t size = 0; size < json.size(); ++size) {
    EXPECT_EQ(Parse(std::string_view(json).substr(0, size)).error_class(), JsonErrorClass::kSyntax)
        << size;
  }
  EXPECT_TRUE(Parse(json));
}

TEST_F(ReclaimResponseTest, Conversion) {
  ReclaimGrantView grant;
  EXPECT_TRUE(ToReclaimGrant(std::get<ReclaimGrantedView>(kGranted), grant));
  EXPECT_EQ(grant.grant.execution_id.text(), kIdText);
  EXPECT_EQ(grant.grant.grant_key, kGrantKeyText);
  EXPECT_EQ(grant.grant.expires_at_ms, 1'700'000'000'000u);
  EXPECT_EQ(grant.lane_id.text(), "main");
  EXPECT_EQ(grant.partition().partition.index, 7);

  EXPECT_EQ(Error(Object({G, E, P, K, X, R"("lane_id":"")"})), kNone);  // 71
  const ReclaimGrantView before = grant;
  ReclaimGrantConversion conversion =
      ToReclaimGrant(std::get<ReclaimGrantedView>(response_), grant);
  EXPECT_EQ(conversion.lane_id, LaneIdError::kEmpty);
  EXPECT_EQ(conversion.execution_id, ExecutionIdError::kNone);
  EXPECT_FALSE(conversion);
  conversion = ToReclaimGrant(
      {{"{fp:9}:22222222-2222-4222-8222-222222222222", "{fp:9}", "other", 5}, ""}, grant);
  EXPECT_EQ(conversion.lane_id, LaneIdError::kEmpty);
  EXPECT_EQ(grant, before) << "a right grant with a wrong lane changes nothing";
  // The id is checked before the lane.
  conversion = ToReclaimGrant({{"{fp:x}:", "", "", 0}, ""}, grant);
  EXPECT_EQ(conversion.execution_id, ExecutionIdError::kInvalidPartitionIndex);
  EXPECT_EQ(conversion.lane_id, LaneIdError::kNone);
  EXPECT_FALSE(conversion);
  EXPECT_EQ(grant, before);
}

TEST_F(ReclaimResponseTest, WritesTheTagFirst) {
  const struct {
    ReclaimResponseView response;
    std::string json;
  } rows[] = {
      {kGranted, Object({G, E, P, K, X, L})},
      {NotReclaimableView{"e", "a\"b"},
       R"({"status":"not_reclaimable","execution_id":"e","detail":"a\"b"})"},
      {ReclaimCapExceededView{"e", 100},
       R"({"status":"reclaim_cap_exceeded","execution_id":"e","reclaim_count":100})"},
  };
  for (const auto& row : rows) {
    EXPECT_TRUE(Writes(row.json, [&row](std::span<char> out) {
      return SerializeReclaimResponse(row.response, out);
    }));
    EXPECT_TRUE(Parse(row.json));
    EXPECT_EQ(response_, row.response);
  }
  EXPECT_EQ(SerializeReclaimResponse(NotReclaimableView{"", "\xFF"}, {}).error,
            WriteError::kInvalidUtf8);
}

}  // namespace
}  // namespace ffgrant
