// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/json/claim_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ffgrant/internal/cpu.h"
#include "ffgrant/json/internal/json_struct.h"
#include "testing/naive/guarded_buffer.h"
#include "testing/naive/json_documents.h"
#include "testing/naive/mutate.h"
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
  // Parses a complete request that has `member` as one more member.
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

// The numbers at the ends of lines are those of the contract's vectors, section 13.

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

// Parses documents with as many strings as fit into them. A scratch for documents of this size must
// have room for all of the strings.
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

TEST_F(ClaimRequestTest, EveryTextMayHaveEscapes) {
  for (const char* const json :
       {R"({"capabilities":["gpu","cuda"],"lane_id":"main","worker_instance_id":"w1-i1",)"
        R"("grant_ttl_ms":5000})",
        R"({"lane_id":"main","worker_instance_id":"w1-i1","grant_ttl_ms":5000,)"
        R"("capabilities":["gpu","cuda"]})"}) {
    // The first document has escapes in all texts; each of the others has escapes in one text.
    std::vector<std::string> documents = {testing::WithEscapes(json)};
    for (const std::string text : {R"("main")", R"("w1-i1")", R"("gpu")"}) {
      std::string one = json;
      documents.push_back(one.replace(one.find(text), text.size(), testing::WithEscapes(text)));
    }
    for (const std::string& document : documents) {
      EXPECT_TRUE(Parse(document)) << document;
      EXPECT_EQ(request_.lane_id, "main") << document;
      EXPECT_EQ(request_.worker_instance_id, "w1-i1") << document;
      EXPECT_THAT(Capabilities(), ElementsAre("gpu", "cuda")) << document;
    }
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
  // A parsed request can be written again.
  EXPECT_TRUE(
      Writes(json, [&](std::span<char> out) { return SerializeClaimRequest(request_, out); }));
  EXPECT_TRUE(Writes(R"({"lane_id":"","worker_instance_id":"","capabilities":[],"grant_ttl_ms":0})",
                     [&](std::span<char> out) { return SerializeClaimRequest({}, out); }));
  const std::string_view bad[] = {"ok", "\xFF"};
  EXPECT_EQ(SerializeClaimRequest({"", "", StringList(bad), 0}, {}).error,
            WriteError::kInvalidUtf8);
}

// Compares the decoder made for claim requests with the decoder for any DTO.
class ClaimRequestPathsTest : public ::testing::Test {
 protected:
  void Check(const std::string& text) {
    static constexpr internal::MemberSpec kMembers[] = {
        {.name = "lane_id"},
        {.name = "worker_instance_id"},
        {.name = "capabilities", .kind = internal::MemberKind::kTextList, .required = false},
        {.name = "grant_ttl_ms", .kind = internal::MemberKind::kUint64}};
    static constexpr internal::StructSpec kSpec = {kMembers};
    const std::string_view json = memory_.AtEnd(text);
    internal::MemberValue values[4];
    const JsonResult expected =
        internal::DecodeDocument(json, generic_scratch_, [&values](internal::JsonReader& reader) {
          return internal::DecodeStruct(reader, kSpec, values);
        });
    for (const unsigned features : internal::kCpuFeatureSets) {
      const internal::ForceCpuFeatures force(features);
      ClaimRequestView request;
      ASSERT_EQ(ParseClaimRequest(json, scratch_, request), expected) << text << features;
      if (!expected) continue;
      ++good_;
      ASSERT_EQ(request, (ClaimRequestView{values[0].text, values[1].text, values[2].list(),
                                           values[3].number}))
          << text << features;
    }
  }

  testing::GuardedBuffer memory_{1 << 17};
  JsonScratch scratch_;
  JsonScratch generic_scratch_;
  int good_ = 0;
};

constexpr std::string_view kSeeds[] = {
    R"({"lane_id":"main","worker_instance_id":"w1-i1","capabilities":["gpu","eu"],"grant_ttl_ms":5})",
    R"({ "capabilities" : [ "\u0067pu" , "\n", "\u00e9\ud83d\ude00x" , "" ] , "lane_id":"", "x":"y",)"
    R"( "grant_ttl_ms":60000 , "worker_instance_id":"\/"} )",
};

TEST_F(ClaimRequestPathsTest, EverySingleByteEdit) {
  for (const std::string_view seed : kSeeds) {
    testing::ForEachSingleByteEdit(std::string(seed), [this](const std::string& t) { Check(t); });
    for (std::size_t size = 0; size <= seed.size(); ++size)
      Check(std::string(seed.substr(0, size)));
  }
  EXPECT_GT(good_, 10'000);
}

TEST_F(ClaimRequestPathsTest, RandomEdits) {
  std::mt19937_64 random(20261129);
  for (int i = 0; i < 30'000; ++i) {
    Check(testing::Mutated(std::string(kSeeds[i % 2]), "{}[]\",:\\u0123456789eE+-.ntlgru \n\x80",
                           random));
  }
  EXPECT_GT(good_, 1'000);
}

// Tests capabilities of many lengths, among them those from which the packed length takes one more
// byte, without and with escapes.
TEST_F(ClaimRequestPathsTest, LongCapabilities) {
  for (const std::size_t size :
       {0u, 31u, 32u, 63u, 64u, 126u, 127u, 128u, 129u, 300u, 16383u, 16384u, 16390u, 60000u}) {
    for (const std::string_view end : {"", "\\n", "\\u0041", "\xC3\xA9", "\xC3", "\\", "\x01"}) {
      const std::string text = std::string(size, 'x') + std::string(end);
      Check(R"({"lane_id":"a","worker_instance_id":"b","grant_ttl_ms":1,"capabilities":[")" + text +
            R"(","b",")" + text.substr(0, 2000) + R"("]})");
    }
  }
  EXPECT_EQ(good_, 14 * 4 * 2);
}

}  // namespace
}  // namespace ffgrant
