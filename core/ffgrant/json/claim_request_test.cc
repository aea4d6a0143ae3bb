// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/json/claim_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "testing/naive/write_checks.h"

namespace ffgrant {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::Writes;
using enum JsonError;

class ClaimRequestTest : public ::testing::Test {
 protected:
  JsonResult Parse(std::string_view json) {
    document_ = json;
    request_ = {"lane", "instance", {}, 7};
    const ClaimRequestView before = request_;
    const JsonResult result = ParseClaimRequest(document_, scratch_, request_);
    if (!result) {
      EXPECT_EQ(request_, before) << json;
    }
    return result;
  }
  // A whole request and one more member.
  JsonError With(const std::string& member) {
    return Parse(R"({"lane_id":"main","worker_instance_id":"w1-i1","grant_ttl_ms":5000,)" + member +
                 "}")
        .error;
  }
  std::vector<std::string_view> Capabilities() const {
    return {request_.capabilities.begin(), request_.capabilities.end()};
  }

  std::string document_;
  JsonScratch scratch_;
  ClaimRequestView request_;
};

// The numbers are those of the contract's vectors, section 13.

TEST_F(ClaimRequestTest, Capabilities) {
  EXPECT_TRUE(
      Parse(R"({"lane_id":"main","worker_instance_id":"w1-i1","grant_ttl_ms":5000})"));  // 50
  EXPECT_EQ(request_.lane_id, "main");
  EXPECT_EQ(request_.worker_instance_id, "w1-i1");
  EXPECT_EQ(request_.grant_ttl_ms, 5000u);
  EXPECT_THAT(Capabilities(), IsEmpty());
  EXPECT_EQ(With(R"("capabilities":null)"), kWrongType);  // 51
  EXPECT_TRUE(Parse(R"({"lane_id":"main","worker_instance_id":"w1-i1","grant_ttl_ms":60001,)"
                    R"("capabilities":["gpu","gpu"]})"));  // 52
  EXPECT_THAT(Capabilities(), ElementsAre("gpu", "gpu"));
  EXPECT_EQ(request_.grant_ttl_ms, 60'001u);
  EXPECT_EQ(With(R"("capabilities":[null])"), kWrongType);  // 53
  EXPECT_EQ(With(R"("capabilities":"gpu")"), kWrongType);   // 53
  EXPECT_EQ(With(R"("capabilities":{})"), kWrongType);      // 53
  EXPECT_EQ(With(R"("capabilities":["a",])"), kUnexpectedByte);
  EXPECT_EQ(With(R"("capabilities":[,"a"])"), kUnexpectedByte);
  EXPECT_EQ(With(R"("capabilities":["a" "b"])"), kUnexpectedByte);
  EXPECT_EQ(With(R"("capabilities":["\uD800"])"), kLoneSurrogate);
  EXPECT_EQ(With(R"("capabilities":[ ])"), kNone);
  EXPECT_THAT(Capabilities(), IsEmpty());
}

TEST_F(ClaimRequestTest, ListsHoldWhatTheDocumentHeld) {
  const std::string long_text(300, 'x');
  const std::string very_long_text(20'000, 'y');
  EXPECT_EQ(With(R"("capabilities":["","a\n","\u00e9", "b" ,")" + long_text + R"(",")" +
                 very_long_text + R"(","\ud83d\ude00"])"),
            kNone);
  EXPECT_THAT(Capabilities(), ElementsAre("", "a\n", "\xC3\xA9", "b", long_text, very_long_text,
                                          "\xF0\x9F\x98\x80"));
  EXPECT_EQ(request_.lane_id, "main");
  const std::vector<std::string_view> same = Capabilities();
  EXPECT_EQ(request_.capabilities, StringList(same));
  EXPECT_EQ(request_.capabilities.size(), same.size());
}

// As many strings as fit a document, which the scratch must hold.
TEST_F(ClaimRequestTest, ListsFillTheScratch) {
  for (const std::size_t text_size : {0u, 1u, 127u, 128u, 16'383u, 16'384u}) {
    std::string json = R"([")" + std::string(5, 'l') + R"(","\n",[)";
    const std::string element = '"' + std::string(text_size, 't') + '"';
    std::size_t count = 0;
    while (json.size() + element.size() + 5 <= 65'536) {
      json += element + ',';
      ++count;
    }
    json.back() = ']';
    json += ",1]";
    JsonScratch exact(json.size());
    ClaimRequestView request;
    ASSERT_TRUE(ParseClaimRequest(json, exact, request)) << text_size;
    EXPECT_EQ(request.capabilities.size(), count);
    for (const std::string_view text : request.capabilities) ASSERT_EQ(text.size(), text_size);
    EXPECT_EQ(request.worker_instance_id, "\n");
  }
}

TEST_F(ClaimRequestTest, OtherMembers) {
  EXPECT_EQ(With(R"("worker_id":"evil")"), kNone);          // 54
  EXPECT_EQ(With(R"("lane_id":"main")"), kDuplicateField);  // 58
  const auto ttl = [this](const std::string& value) {
    return Parse(R"({"lane_id":"main","worker_instance_id":"w","grant_ttl_ms":)" + value + "}");
  };
  EXPECT_EQ(ttl("5000.0").error, kNotAnInteger);   // 57
  EXPECT_EQ(ttl("-5").error, kIntegerOutOfRange);  // 57
  EXPECT_EQ(ttl("-5").member, "grant_ttl_ms");
  EXPECT_EQ(Parse("{}").member, "lane_id");
}

TEST_F(ClaimRequestTest, PositionalForm) {
  EXPECT_TRUE(Parse(R"(["main","w1-i1",["gpu"],5000])"));  // 55
  EXPECT_THAT(Capabilities(), ElementsAre("gpu"));
  EXPECT_EQ(Parse(R"(["main","w1-i1",5000])").error, kWrongType);  // 56
  EXPECT_EQ(Parse(R"(["main","w1-i1"])").error, kTooFewElements);
  EXPECT_EQ(Parse(R"(["main","w1-i1"])").member, "grant_ttl_ms");
  EXPECT_EQ(Parse(R"(["main","w1-i1",[],5000,1])").error, kTooManyElements);
}

TEST_F(ClaimRequestTest, WritesCapabilitiesAlwaysAndInOrder) {
  const std::string_view tokens[] = {"gpu", "", "a\"b", "gpu"};
  const ClaimRequestView request{"main", "w1-i1", StringList(tokens), 5000};
  const std::string json =
      R"({"lane_id":"main","worker_instance_id":"w1-i1","capabilities":["gpu","","a\"b","gpu"],)"
      R"("grant_ttl_ms":5000})";
  EXPECT_TRUE(
      Writes(json, [&](std::span<char> out) { return SerializeClaimRequest(request, out); }));
  EXPECT_TRUE(Parse(json));
  EXPECT_EQ(request_, request);
  // What was parsed can be written again.
  EXPECT_TRUE(
      Writes(json, [&](std::span<char> out) { return SerializeClaimRequest(request_, out); }));
  EXPECT_TRUE(Writes(R"({"lane_id":"","worker_instance_id":"","capabilities":[],"grant_ttl_ms":0})",
                     [&](std::span<char> out) { return SerializeClaimRequest({}, out); }));
  const std::string_view bad[] = {"ok", "\xFF"};
  EXPECT_EQ(SerializeClaimRequest({"", "", StringList(bad), 0}, {}).error,
            WriteError::kInvalidUtf8);
}

}  // namespace
}  // namespace ffgrant
