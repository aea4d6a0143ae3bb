// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/json/lease_results.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "testing/naive/json_documents.h"
#include "testing/naive/write_checks.h"

namespace ffgrant {
namespace {

using testing::WithEscapes;
using testing::Writes;
using enum JsonError;

constexpr Uuid kOnes{{0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x41, 0x11, 0x81, 0x11, 0x11, 0x11, 0x11,
                      0x11, 0x11, 0x11}};
constexpr Uuid kMixed{{0x55, 0x0e, 0x84, 0x00, 0xe2, 0x9b, 0x41, 0xd4, 0xa7, 0x16, 0x44, 0x66, 0x55,
                       0x44, 0x00, 0x00}};
#define ONES "11111111-1111-4111-8111-111111111111"
#define MIXED "550e8400-e29b-41d4-a716-446655440000"

TEST(RevokeLeaseResultTest, ReadsBothVariants) {
  JsonScratch scratch;
  RevokeLeaseResultView result;
  EXPECT_TRUE(
      ParseRevokeLeaseResult(R"({"Revoked":{"lease_id":"l","lease_epoch":"2"}})", scratch, result));
  EXPECT_EQ(result, RevokeLeaseResultView(RevokedView{"l", "2"}));
  EXPECT_TRUE(ParseRevokeLeaseResult(R"({"AlreadySatisfied":{"reason":"already_revoked"}})",
                                     scratch, result));
  EXPECT_EQ(result, RevokeLeaseResultView(AlreadySatisfiedView{"already_revoked"}));
  EXPECT_TRUE(ParseRevokeLeaseResult(R"( { "Re\u0076oked" : ["l","2"] } )", scratch, result));
  EXPECT_EQ(result, RevokeLeaseResultView(RevokedView{"l", "2"}));
  EXPECT_TRUE(ParseRevokeLeaseResult(
      R"({"Revoked":{"lease_id":"l","lease_epoch":"2","y":1e999,"z":"\uD800"}})", scratch, result));
}

// As was observed with the reference, a value that is neither string nor object is a syntax error
// here, and the name of an unknown variant is reported before its colon is read.
TEST(RevokeLeaseResultTest, Rejects) {
  const std::pair<const char*, JsonError> rows[] = {
      {"null", kUnexpectedByte},
      {"1", kUnexpectedByte},
      {"[]", kUnexpectedByte},
      {R"(["Revoked",{}])", kUnexpectedByte},
      {"{}", kUnexpectedByte},
      {"", kUnexpectedEnd},
      {"{null:1}", kWrongType},
      {"{nul:1}", kUnexpectedByte},
      {"{[", kWrongType},
      {R"("Revoked")", kWrongType},
      {R"("Revoked"x)", kWrongType},
      {R"("Zz"x)", kUnknownVariant},
      {R"({"Zz")", kUnknownVariant},
      {R"({"revoked":{}})", kUnknownVariant},
      {R"({"Revoked":{"lease_id":"l","lease_epoch":"2"},"x":1})", kUnexpectedByte},
      {R"({"Revoked":{"lease_id":"l","lease_epoch":"2"},})", kUnexpectedByte},
      {R"({"Revoked":{"lease_id":"l","lease_epoch":"2"}]})", kUnexpectedByte},
      {R"({"Revoked":{"lease_id":"l","lease_epoch":"2"}}x)", kTrailingBytes},
      {R"({"Revoked":null})", kWrongType},
      {R"({"Revoked":nul})", kUnexpectedByte},
      {R"({"Revoked":1e400})", kNumberOutOfRange},
      {R"({"Revoked"})", kUnexpectedByte},
      {R"({"Revoked":{}})", kMissingField},
      {R"({"Revoked":["l"]})", kTooFewElements},
      {R"({"Revoked":["l","2",3]})", kTooManyElements},
      {R"({"Revoked":{"lease_id":5,,)", kWrongType},
      {R"({"Revoked":{"lease_id":"l","lease_epoch":2}})", kWrongType},
  };
  JsonScratch scratch;
  const RevokeLeaseResultView before = RevokedView{"before", ""};
  for (const auto& [json, error] : rows) {
    RevokeLeaseResultView result = before;
    EXPECT_EQ(ParseRevokeLeaseResult(json, scratch, result).error, error) << json;
    EXPECT_EQ(result, before);
  }
}

TEST(RevokeLeaseResultTest, Writes) {
  EXPECT_TRUE(
      testing::Writes(R"({"Revoked":{"lease_id":"l","lease_epoch":"2"}})", [](std::span<char> out) {
        return SerializeRevokeLeaseResult(RevokedView{"l", "2"}, out);
      }));
  EXPECT_TRUE(testing::Writes(R"({"AlreadySatisfied":{"reason":"a\"b"}})", [](std::span<char> out) {
    return SerializeRevokeLeaseResult(AlreadySatisfiedView{"a\"b"}, out);
  }));
}

TEST(RenewLeaseResultTest, ReadsAndWritesSignedTimes) {
  JsonScratch scratch;
  const std::pair<const char*, std::int64_t> accepted[] = {
      {"0", 0},
      {"-1", -1},
      {"1700000000000", 1'700'000'000'000},
      {"9223372036854775807", std::numeric_limits<std::int64_t>::max()},
      {"-9223372036854775808", std::numeric_limits<std::int64_t>::min()}};
  for (const auto& [text, value] : accepted) {
    const std::string json = R"({"Renewed":{"expires_at":)" + std::string(text) + "}}";
    RenewLeaseResult result;
    EXPECT_TRUE(ParseRenewLeaseResult(json, scratch, result)) << text;
    EXPECT_EQ(result.expires_at.value, value);
    EXPECT_TRUE(
        Writes(json, [&](std::span<char> out) { return SerializeRenewLeaseResult(result, out); }));
  }
  const std::pair<const char*, JsonError> rejected[] = {
      {"9223372036854775808", kIntegerOutOfRange},
      {"-9223372036854775809", kIntegerOutOfRange},
      {"-18446744073709551615", kIntegerOutOfRange},
      {"-18446744073709551616", kIntegerOutOfRange},
      {"-0", kNotAnInteger},
      {"1.5", kNotAnInteger},
      {"-1e2", kNotAnInteger},
      {"-01", kInvalidNumber},
      {"--1", kInvalidNumber},
      {"1e400", kNumberOutOfRange},
      {"null", kWrongType}};
  for (const auto& [text, error] : rejected) {
    RenewLeaseResult result{{42}};
    const JsonResult parsed = ParseRenewLeaseResult(
        R"({"Renewed":{"expires_at":)" + std::string(text) + "}}", scratch, result);
    EXPECT_EQ(parsed.error, error) << text;
    EXPECT_EQ(parsed.member, "expires_at") << text;
    EXPECT_EQ(result.expires_at.value, 42);
  }
}

constexpr char kClaimed[] =
    R"({"Claimed":{"execution_id":"{fp:007}:)" ONES R"(","lease_id":")" MIXED
    R"(","lease_epoch":18446744073709551615,"attempt_index":4294967295,"attempt_id":")" ONES
    R"(","attempt_type":"replay","lease_expires_at":-5,)"
    R"("handle":{"backend":"Sqlite","kind":"Reclaimed","opaque":[0,10,255]}}})";

// Returns kClaimed with `from` replaced by `to`.
std::string Claimed(std::string_view from, std::string_view to) {
  std::string json = kClaimed;
  const std::size_t at = json.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return json.replace(at, from.size(), to);
}

TEST(ClaimedResultTest, ReadsAndWrites) {
  JsonScratch scratch;
  ClaimedView claimed;
  ASSERT_TRUE(ParseClaimedResult(kClaimed, scratch, claimed));
  EXPECT_EQ(claimed.execution_id.text(), "{fp:007}:" ONES);
  EXPECT_EQ(claimed.execution_id.partition().index, 7);
  EXPECT_EQ(claimed.execution_id.uuid(), kOnes);
  EXPECT_EQ(claimed.lease_id.uuid, kMixed);
  EXPECT_EQ(claimed.lease_epoch.value, std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(claimed.attempt_index.value, std::numeric_limits<std::uint32_t>::max());
  EXPECT_EQ(claimed.attempt_id.uuid, kOnes);
  EXPECT_EQ(claimed.attempt_type, AttemptType::kReplay);
  EXPECT_EQ(claimed.lease_expires_at.value, -5);
  EXPECT_EQ(claimed.handle, (HandleView{HandleBackend::kSqlite, HandleKind::kReclaimed,
                                        std::string_view("\0\n\xFF", 3)}));
  EXPECT_TRUE(
      Writes(kClaimed, [&](std::span<char> out) { return SerializeClaimedResult(claimed, out); }));
}

TEST(ClaimedResultTest, OtherSpellings) {
  JsonScratch scratch;
  const std::string handle =
      R"(,"handle":{"backend":"Sqlite","kind":"Reclaimed","opaque":[0,10,255]})";
  ClaimedView claimed;
  std::string json = Claimed(handle, "");
  ASSERT_TRUE(ParseClaimedResult(json, scratch, claimed));
  EXPECT_EQ(claimed.handle, HandleView{});
  json = Claimed(handle, R"(,"handle":[{"Postgres":null},"Suspended",[ ]])");
  ASSERT_TRUE(ParseClaimedResult(json, scratch, claimed));
  EXPECT_EQ(claimed.handle, (HandleView{HandleBackend::kPostgres, HandleKind::kSuspended, ""}));
  json = Claimed(R"("replay")", R"({"retry" : null })");
  ASSERT_TRUE(ParseClaimedResult(json, scratch, claimed));
  EXPECT_EQ(claimed.attempt_type, AttemptType::kRetry);
  json = Claimed("\"" MIXED "\"", R"("urn:uuid:550E8400-e29b-41d4-a716-446655440000")");
  ASSERT_TRUE(ParseClaimedResult(json, scratch, claimed));
  EXPECT_EQ(claimed.lease_id.uuid, kMixed);
}

TEST(ClaimedResultTest, EveryTextMayHaveEscapes) {
  JsonScratch scratch;
  ClaimedView plain;
  ClaimedView escaped;
  const std::string json = WithEscapes(kClaimed);
  ASSERT_TRUE(ParseClaimedResult(kClaimed, scratch, plain));
  const std::string bytes(plain.handle.opaque);  // the next parse overwrites the scratch
  plain.handle.opaque = bytes;
  ASSERT_TRUE(ParseClaimedResult(json, scratch, escaped));
  EXPECT_EQ(escaped, plain);
}

TEST(ClaimedResultTest, Rejects) {
  const struct {
    const char* from;
    const char* to;
    JsonError error;
    const char* member;
  } rows[] = {
      {"{fp:007}", "{fp:x}", kInvalidExecutionId, "execution_id"},
      {MIXED, "550e8400", kInvalidUuid, "lease_id"},
      {"\"" MIXED "\"", "[1]", kWrongType, "lease_id"},
      {"4294967295", "4294967296", kIntegerOutOfRange, "attempt_index"},
      {"\"replay\"", "\"Replay\"", kUnknownVariant, "attempt_type"},
      {"\"replay\"", "null", kUnexpectedByte, "attempt_type"},
      {"\"replay\"", "{}", kUnexpectedByte, "attempt_type"},
      {"\"replay\"", R"({"replay":1})", kWrongType, "attempt_type"},
      {"\"replay\"", R"({"replay":nul})", kUnexpectedByte, "attempt_type"},
      {"\"replay\"", R"({"replay":null,"x":1})", kUnexpectedByte, "attempt_type"},
      {"\"Sqlite\"", "\"sqlite\"", kUnknownVariant, "backend"},
      {"[0,10,255]", "[256]", kIntegerOutOfRange, "opaque"},
      {"[0,10,255]", "[-1]", kIntegerOutOfRange, "opaque"},
      {"[0,10,255]", "[1.0]", kNotAnInteger, "opaque"},
      {"[0,10,255]", "[null]", kWrongType, "opaque"},
      {"[0,10,255]", "[1e400]", kNumberOutOfRange, "opaque"},
      {"[0,10,255]", "[1,]", kUnexpectedByte, "opaque"},
      {"[0,10,255]", "\"AAr/\"", kWrongType, "opaque"},
      {R"(,"opaque":[0,10,255])", "", kMissingField, "opaque"},
      {R"({"backend":"Sqlite","kind":"Reclaimed","opaque":[0,10,255]})", "null", kWrongType,
       "handle"},
      {R"("lease_expires_at":-5,)", "", kMissingField, "lease_expires_at"},
      {"}}}", "}},}", kUnexpectedByte, ""},
  };
  JsonScratch scratch;
  for (const auto& row : rows) {
    const std::string json = Claimed(row.from, row.to);
    ClaimedView claimed;
    claimed.lease_epoch.value = 42;
    const JsonResult result = ParseClaimedResult(json, scratch, claimed);
    EXPECT_EQ(result.error, row.error) << json;
    EXPECT_EQ(result.member, row.member) << json;
    EXPECT_EQ(claimed.lease_epoch.value, 42u);
  }
}

TEST(LeaseFenceTest, ReadsAndWrites) {
  const std::string json =
      R"({"lease_id":")" MIXED R"(","lease_epoch":3,"attempt_id":")" ONES R"("})";
  JsonScratch scratch;
  LeaseFence fence;
  ASSERT_TRUE(ParseLeaseFence(json, scratch, fence));
  EXPECT_EQ(fence, (LeaseFence{{kMixed}, {3}, {kOnes}}));
  EXPECT_TRUE(Writes(json, [&](std::span<char> out) { return SerializeLeaseFence(fence, out); }));
  EXPECT_TRUE(ParseLeaseFence(R"([")" MIXED R"(",4,"{)" ONES R"(}"])", scratch, fence));
  EXPECT_EQ(fence, (LeaseFence{{kMixed}, {4}, {kOnes}}));
  ASSERT_TRUE(ParseLeaseFence(WithEscapes(json), scratch, fence));
  EXPECT_EQ(fence, (LeaseFence{{kMixed}, {3}, {kOnes}}));
  EXPECT_TRUE(ParseLeaseFence(R"([")" MIXED R"(",4,")" ONES R"("])", scratch, fence));
  EXPECT_EQ(ParseLeaseFence("null", scratch, fence).error, kWrongType);
  EXPECT_EQ(ParseLeaseFence("{}", scratch, fence).error, kMissingField);
  EXPECT_EQ(ParseLeaseFence(R"({"lease_id":null})", scratch, fence).error, kWrongType);
  EXPECT_EQ(ParseLeaseFence(R"({"lease_id":" )" ONES R"("})", scratch, fence).error, kInvalidUuid);
  EXPECT_EQ(fence.lease_epoch.value, 4u);
}

TEST(AttemptTypeTest, Names) {
  EXPECT_EQ(AttemptTypeName(AttemptType::kInitial), "initial");
  EXPECT_EQ(AttemptTypeName(AttemptType::kRetry), "retry");
  EXPECT_EQ(AttemptTypeName(AttemptType::kReclaim), "reclaim");
  EXPECT_EQ(AttemptTypeName(AttemptType::kReplay), "replay");
  EXPECT_EQ(AttemptTypeName(AttemptType::kFallback), "fallback");
  EXPECT_EQ(AttemptTypeName(static_cast<AttemptType>(200)), "");
}

#undef ONES
#undef MIXED

}  // namespace
}  // namespace ffgrant
