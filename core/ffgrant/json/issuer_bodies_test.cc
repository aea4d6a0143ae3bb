// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/json/issuer_bodies.h"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <string_view>
#include <utility>

namespace ffgrant {
namespace {

constexpr std::string_view kId = "{fp:7}:11111111-1111-4111-8111-111111111111";
const std::string kBytes("\0\x09\x0a\x7f\x80\xff\"", 7);
constexpr std::string_view kBytesAsNumbers = "[0,9,10,127,128,255,34]";

std::string Signal(const SignalRequest& request) {
  std::string out;
  EXPECT_TRUE(WriteSignalBody(kId, request, -5, out));
  return out;
}

TEST(WriteSignalBody, HasThePayloadOnlyIfThereIsOne) {
  const std::string begin = R"({"execution_id":")" + std::string(kId) +
                            R"(","waitpoint_id":"w","signal_id":"s\n","signal_name":"go",)"
                            R"("signal_category":"external","source_type":"worker",)"
                            R"("source_identity":"ffgrant",)";
  const std::string end = R"("target_scope":"waitpoint","waitpoint_token":"t","now":-5})";
  SignalRequest request = {
      .waitpoint_id = "w", .signal_id = "s\n", .name = "go", .waitpoint_token = "t"};
  EXPECT_EQ(Signal(request), begin + end);
  request.payload = kBytes;
  EXPECT_EQ(Signal(request), begin + "\"payload\":" + std::string(kBytesAsNumbers) + "," + end);
  const std::string one_byte("\0", 1);
  request.payload = one_byte;
  EXPECT_EQ(Signal(request), begin + "\"payload\":[0]," + end);
}

TEST(WriteCreateBody, HasWhatWasAskedFor) {
  std::string out = "what was there before";
  ASSERT_TRUE(WriteCreateBody({.execution_id = kId, .lane_id = "main"}, 7, 1700, out));
  const std::string begin = R"({"execution_id":")" + std::string(kId) +
                            R"(","namespace":"default","lane_id":"main",)"
                            R"("execution_kind":"task","input_payload":)";
  EXPECT_EQ(out, begin + R"([],"payload_encoding":null,"priority":0,"creator_identity":"ffgrant",)"
                         R"("tags":{},"partition_id":7,"now":1700})");
  const std::array<std::pair<std::string_view, std::string_view>, 2> tags = {
      {{"a", "1"}, {"b\"", "\xc3\xa9"}}};
  ASSERT_TRUE(WriteCreateBody({.execution_id = kId,
                               .lane_id = "main",
                               .payload = kBytes,
                               .priority = INT32_MIN,
                               .tags = tags,
                               .policy_json = R"({"priority":0})",
                               .delay_until = TimestampMs{INT64_MIN}},
                              65535, INT64_MAX, out));
  EXPECT_EQ(out, begin + std::string(kBytesAsNumbers) +
                     R"(,"payload_encoding":null,"priority":-2147483648,)"
                     R"("creator_identity":"ffgrant","tags":{"a":"1","b\"":"é"},)"
                     R"("policy":{"priority":0},"delay_until":-9223372036854775808,)"
                     R"("partition_id":65535,"now":9223372036854775807})");
}

TEST(IssuerBodies, OfTextsThatAreNotUtf8AreNotWritten) {
  const std::string_view bad = "a\xff";
  const std::array<std::pair<std::string_view, std::string_view>, 1> bad_name = {{{bad, "v"}}};
  const std::array<std::pair<std::string_view, std::string_view>, 1> bad_value = {{{"n", bad}}};
  for (const CreateRequest& request :
       {CreateRequest{.ns = bad}, CreateRequest{.lane_id = bad},
        CreateRequest{.execution_kind = bad}, CreateRequest{.creator_identity = bad},
        CreateRequest{.tags = bad_name}, CreateRequest{.tags = bad_value}}) {
    std::string out = "before";
    EXPECT_FALSE(WriteCreateBody(request, 7, 0, out));
    EXPECT_EQ(out, "");
  }
  for (const CancelRequest& request :
       {CancelRequest{.reason = bad}, CancelRequest{.reason = "r", .source = bad}}) {
    std::string out = "before";
    EXPECT_FALSE(WriteCancelBody(kId, request, 0, out));
    EXPECT_EQ(out, "");
  }
  for (const SignalRequest& request :
       {SignalRequest{.waitpoint_id = bad}, SignalRequest{.signal_id = bad},
        SignalRequest{.name = bad}, SignalRequest{.category = bad},
        SignalRequest{.source_type = bad}, SignalRequest{.source_identity = bad},
        SignalRequest{.target_scope = bad}, SignalRequest{.waitpoint_token = bad}}) {
    std::string out = "before";
    EXPECT_FALSE(WriteSignalBody(kId, request, 0, out));
    EXPECT_EQ(out, "");
  }
}

TEST(IssuerBodies, AnswersAreReadAndOthersAreNot) {
  const std::string created = R"({"Created":{"execution_id":"e","public_state":"waiting"}})";
  const std::string was_there = R"({"Duplicate":{"execution_id":"e"}})";
  const std::string cancelled = R"({"Cancelled":{"execution_id":"e","public_state":"cancelled"}})";
  const std::string accepted = R"({"Accepted":{"signal_id":"s","effect":"none"}})";
  const std::string repeated = R"({"Duplicate":{"existing_signal_id":"s"}})";
  const std::string text = R"("a\u00e9")";
  for (const std::string& body : {created, was_there, cancelled, accepted, repeated, text,
                                  std::string("{}"), std::string("")}) {
    JsonScratch scratch(body.size() + 1);
    bool is_new = body != created;
    EXPECT_EQ(static_cast<bool>(ParseCreated(body, scratch, is_new)),
              body == created || body == was_there)
        << body;
    EXPECT_EQ(is_new, body != was_there) << body;
    EXPECT_EQ(static_cast<bool>(ParseCancelled(body, scratch)), body == cancelled) << body;
    std::string effect = "before";
    EXPECT_EQ(static_cast<bool>(ParseSignalled(body, scratch, effect)),
              body == accepted || body == repeated)
        << body;
    EXPECT_EQ(effect, body == accepted ? "none" : body == repeated ? "" : "before") << body;
    std::string read = "before";
    EXPECT_EQ(static_cast<bool>(ParseTextBody(body, scratch, read)), body == text) << body;
    EXPECT_EQ(read, body == text ? "a\xc3\xa9" : "before") << body;
  }
}

}  // namespace
}  // namespace ffgrant
