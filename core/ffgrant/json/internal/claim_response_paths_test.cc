// SPDX-License-Identifier: Apache-2.0
//
// Tests that the verdict on a claim response is the same on every path.

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>

#include "ffgrant/internal/cpu.h"
#include "ffgrant/json/claim_response.h"
#include "ffgrant/json/internal/claim_response_paths.h"
#include "ffgrant/json/internal/json_struct.h"
#include "testing/naive/guarded_buffer.h"
#include "testing/naive/json_documents.h"
#include "testing/naive/mutate.h"

namespace ffgrant {
namespace {

using testing::E;
using testing::ForEachSingleByteEdit;
using testing::GuardedBuffer;
using testing::K;
using testing::kGrantKeyText;
using testing::kIdText;
using testing::Mutated;
using testing::Object;
using testing::P;
using testing::X;

class ClaimResponsePathsTest : public ::testing::Test {
 protected:
  // Reads the document on all paths. The document ends where the readable memory ends.
  void Check(const std::string& text) {
    const std::string_view json = memory_.AtEnd(text);
    ClaimResponseView expected;
    const JsonResult verdict = GenericDecode(json, expected);

    ClaimResponseView found;
    if (internal::ParseClaimResponseCanonical(json, found)) {
      ++canonical_;
      ASSERT_TRUE(verdict) << text;
      ASSERT_EQ(found, expected) << text;
    }
    for (const unsigned features : internal::kCpuFeatureSets) {
      const internal::ForceCpuFeatures force(features);
      ClaimResponseView response;
      ASSERT_EQ(ParseClaimResponse(json, scratch_, response), verdict) << text << features;
      ASSERT_EQ(response, expected) << text << features;
      ASSERT_EQ(internal::ParseClaimResponseSequential(json, scratch_, response), verdict)
          << text << features;
      ASSERT_EQ(response, expected) << text << features;
      CheckGrant(text, ParseClaimGrant(json, scratch_, grant_), verdict, expected);
    }
    CheckGrant(text, internal::ParseAnyClaimGrant(json, scratch_, grant_), verdict, expected);
    CheckIssued(json);
  }

  // Uses the decoder for any DTO, which reads member by member.
  JsonResult GenericDecode(std::string_view json, ClaimResponseView& out) {
    static constexpr internal::MemberSpec kMembers[] = {
        {.name = "execution_id"},
        {.name = "partition_key"},
        {.name = "grant_key"},
        {.name = "expires_at_ms", .kind = internal::MemberKind::kUint64}};
    static constexpr internal::StructSpec kSpec = {kMembers};
    internal::MemberValue values[4];
    const JsonResult result = internal::DecodeDocument(
        json, sequential_scratch_, [&values](internal::JsonReader& reader) {
          return internal::DecodeStruct(reader, kSpec, values);
        });
    if (result) out = {values[0].text, values[1].text, values[2].text, values[3].number};
    return result;
  }

  // `grant_` must be the grant that was read from the document.
  void CheckGrant(const std::string& text, const GrantJsonResult& result, const JsonResult& verdict,
                  const ClaimResponseView& expected) {
    ASSERT_EQ(result.json, verdict) << text;
    if (!verdict) return;
    const ExecutionIdResult id = ParseExecutionId(expected.execution_id, ParseMode::kLenient);
    ASSERT_EQ(result.execution_id, id.error) << text;
    if (!id) return;
    ASSERT_EQ(grant_, (ClaimGrantView{id.id, expected.partition_key, expected.grant_key,
                                      expected.expires_at_ms}))
        << text;
    ASSERT_EQ(grant_.execution_id.uuid(), id.id.uuid());
    ASSERT_EQ(grant_.execution_id.partition(), id.id.partition());
    ASSERT_EQ(grant_.execution_id.is_canonical(), id.id.is_canonical());
  }

  // Checks that the fast path for issued grants accepts all of them and no other document, and
  // reads the same as the slower path.
  void CheckIssued([[maybe_unused]] std::string_view json) {
#ifdef FFGRANT_HAS_AVX2_PATHS
    if (!internal::HasAvx2()) return;
    ClaimGrantView expected;
    const GrantJsonResult result = internal::ParseAnyClaimGrant(json, scratch_, expected);
    ClaimGrantView found;
    const bool issued = internal::ParseIssuedGrantAvx2(json, found);
    ASSERT_EQ(issued, result && IsIssued(json, expected)) << json;
    if (!issued) {
      ASSERT_EQ(found, ClaimGrantView()) << json;
      return;
    }
    ++issued_;
    ASSERT_EQ(found, expected) << json;
    ASSERT_EQ(found.execution_id.uuid(), expected.execution_id.uuid());
    ASSERT_EQ(found.execution_id.partition(), expected.execution_id.partition());
    ASSERT_TRUE(found.execution_id.is_canonical());
#endif
  }

  static bool IsIssued(std::string_view json, const ClaimGrantView& grant) {
    const std::string id(grant.execution_id.text());
    const std::string tag = id.substr(0, id.find('}') + 1);
    const std::string time = std::to_string(grant.expires_at_ms);
    return grant.execution_id.is_canonical() && time.size() == 13 &&
           json == IssuedDocument(tag, id.substr(tag.size() + 1), time);
  }

  static std::string IssuedDocument(const std::string& tag, const std::string& uuid,
                                    const std::string& time) {
    return R"({"execution_id":")" + tag + ":" + uuid + R"(","partition_key":")" + tag +
           R"(","grant_key":"ff:exec:)" + tag + ":" + tag + ":" + uuid +
           R"(:claim_grant","expires_at_ms":)" + time + "}";
  }

  GuardedBuffer memory_{1 << 17};
  ClaimGrantView grant_;
  int issued_ = 0;
  JsonScratch scratch_;
  JsonScratch sequential_scratch_;
  int canonical_ = 0;
};

TEST_F(ClaimResponsePathsTest, EverySingleByteEdit) {
  const std::string canonical = Object({E, P, K, X});
  ForEachSingleByteEdit(canonical, [this](const std::string& json) { Check(json); });
  ForEachSingleByteEdit(R"({"a":[1,"\n"],"execution_id":"\u00e9","partition_key":"\"",)"
                        R"( "grant_key":"","expires_at_ms":0})",
                        [this](const std::string& json) { Check(json); });
  ForEachSingleByteEdit(R"([ "{fp:7}:x" , "\ud83d\ude00","k",18446744073709551615])",
                        [this](const std::string& json) { Check(json); });
  EXPECT_GT(canonical_, 10'000);
}

TEST_F(ClaimResponsePathsTest, EveryTruncation) {
  for (const std::string& json :
       {Object({E, P, K, X}), " " + Object({X, R"("\u0061":{"b":[null,true,1e5]})", K, P, E})}) {
    for (std::size_t size = 0; size <= json.size(); ++size) Check(json.substr(0, size));
  }
}

TEST_F(ClaimResponsePathsTest, RandomEdits) {
  std::mt19937_64 random(20240607);
  const std::string seeds[] = {
      Object({E, P, K, X}),
      "{ " + X + ",\n" + K + " , " + E + "\t," + P + "}",
      Object({E, P, R"("grant_key":"\ud83d\ude00\/\u00ff")", R"("expires_at_ms":-0)"}),
      Object({E, P, K, X, R"("x":[{"y":"\uD800","z":[1e999,-0,0.5E+3]},null,true,false])"}),
      R"(["a","b","c",12])",
  };
  for (int i = 0; i < 60'000; ++i) {
    Check(Mutated(seeds[random() % std::size(seeds)], "{}[]\",:\\u0123456789eE+-.dDfptrnl \n",
                  random));
  }
  EXPECT_GT(canonical_, 500);
}

// Tests times of each possible number of digits, and texts that are no times.
TEST_F(ClaimResponsePathsTest, TimesOfEveryLength) {
  std::mt19937_64 random(20);
  int times = 0;
  const auto check = [&](const std::string& time, const char* behind) {
    for (const char* grant_key : {"", "k", "550e8400-e29b-41d4-a716-446655440000"}) {
      Check(R"({"execution_id":"{fp:42}:11111111-1111-4111-8111-11111111111f",)"
            R"("partition_key":"{fp:42}","grant_key":")" +
            std::string(grant_key) + R"(","expires_at_ms":)" + time + behind);
    }
  };
  for (std::size_t digits = 1; digits <= 26; ++digits) {
    for (int i = 0; i < 20; ++i) {
      std::string time(digits, '9');
      if (i == 0) time.assign(digits, '1');
      if (i > 1) {
        for (char& c : time) c = static_cast<char>('0' + random() % 10);
        // Of ten numbers with 20 random digits, about nine would be refused, so half of them begin
        // with 1.
        if (digits >= 20 && i % 2 == 0) time[0] = '1';
      }
      if (i == 3) time[0] = '0';
      // One byte becomes something other than a digit.
      if (i == 4) time[random() % digits] = "/:+-.eE\x80\xB0 \"x"[random() % 12];
      check(time, "}");
      ++times;
    }
    for (const char* behind : {"", "]", "}}", ".5}", "e1}", " }", ",}", "\xB0}"}) {
      check("1" + std::string(digits - 1, '7'), behind);
    }
  }
  for (const char* time : {"18446744073709551614", "18446744073709551615", "18446744073709551616",
                           "18446744073609551616", "18446744083709551615", "99999999999999999999",
                           "018446744073709551615", "184467440737095516150"}) {
    check(time, "}");
  }
  EXPECT_EQ(times, 26 * 20);
  EXPECT_GT(canonical_, 3 * 19 * 15);
}

// Tests canonical documents of many sizes, most of which do not take the usual path.
TEST_F(ClaimResponsePathsTest, CanonicalDocumentsOfEverySize) {
  int documents = 0;
  for (const char* index :
       {"0", "10", "255", "1000", "65535", "65536", "007", "+1", "", "123456"}) {
    const std::string tag = std::string("{fp:") + index + "}";
    for (const std::string& key : {tag, tag + "x", std::string("{b:1}"), std::string()}) {
      for (std::size_t grant_size : {0u, 1u, 7u, 12u, 15u, 16u, 17u, 31u, 70u, 100u}) {
        for (const char* time : {"0", "12", "12345678", "123456789", "1234567890123",
                                 "0234567890123", "12345678901234", "12345678901234567",
                                 "18446744073709551615", "18446744073709551616"}) {
          Check(R"({"execution_id":")" + tag + R"(:11111111-1111-4111-8111-11111111111f",)" +
                R"("partition_key":")" + key + R"(","grant_key":")" + std::string(grant_size, 'k') +
                R"(","expires_at_ms":)" + time + "}");
          ++documents;
        }
      }
    }
  }
  // Eight of the ten times are valid.
  EXPECT_EQ(canonical_, documents * 8 / 10);
}

// Tests the documents that an issuer on Valkey writes, with indices of every number of digits, and
// documents that differ from them in one byte, in the index or in the time.
TEST_F(ClaimResponsePathsTest, IssuedGrants) {
  int documents = 0;
  for (const char* index : {"0", "42", "255", "9876", "65535", "65536", "00", "99999", "07"}) {
    for (const char* uuid :
         {"550e8400-e29b-41d4-a716-446655440000", "fedcba98-7654-3210-0123-456789abcdef"}) {
      for (const char* time :
           {"1000000000000", "1700000012345", "9999999999999", "0999999999999"}) {
        const std::string tag = std::string("{fp:") + index + "}";
        Check(IssuedDocument(tag, uuid, time));
        ++documents;
      }
    }
  }
#ifdef FFGRANT_HAS_AVX2_PATHS
  // Five of the nine indices and three of the four times are valid.
  if (internal::HasAvx2()) {
    EXPECT_EQ(issued_, 5 * 2 * 3);
  }
#endif
  EXPECT_EQ(documents, 9 * 2 * 4);
  for (const char* index : {"0", "42", "255", "9876", "65535"}) {
    ForEachSingleByteEdit(IssuedDocument(std::string("{fp:") + index + "}",
                                         "12345678-9abc-def0-0fed-cba987654321", "1234567890123"),
                          [this](const std::string& text) { CheckIssued(memory_.AtEnd(text)); });
  }
}

// Each digit of index and time takes each value that it can have, so that a wrong weight of any
// place is found.
TEST_F(ClaimResponsePathsTest, IssuedGrantsOfAnyIndexAndTime) {
  std::mt19937_64 random(7);
  for (unsigned index = 0; index <= 65535; ++index) {
    const std::uint64_t time = 1'000'000'000'000 + random() % 9'000'000'000'000;
    const std::string text =
        IssuedDocument("{fp:" + std::to_string(index) + "}", "12345678-9abc-def0-0fed-cba987654321",
                       std::to_string(time));
    const std::string_view json = memory_.AtStart(text);
    CheckIssued(json);
    ASSERT_TRUE(ParseClaimGrant(json, scratch_, grant_)) << text;
    ASSERT_EQ(grant_.execution_id.partition().index, index);
    ASSERT_EQ(grant_.expires_at_ms, time);
    ASSERT_EQ(grant_.partition().partition.index, index);
  }
}

// The byte after the time, which is the document's last byte, takes every value.
TEST_F(ClaimResponsePathsTest, IssuedGrantsWithAnyLastByte) {
  const std::string document =
      IssuedDocument("{fp:42}", "12345678-9abc-def0-0fed-cba987654321", "1234567890123");
  for (int byte = 0; byte < 256; ++byte) {
    std::string text = document;
    text.back() = static_cast<char>(byte);
    Check(text);
  }
  for (std::size_t limit : {document.size() - 1, document.size()}) {
    JsonScratch scratch(limit);
    std::string text = document;
    text.back() = ']';
    const JsonResult expected = limit < document.size()
                                    ? JsonResult{JsonError::kDocumentTooLarge, limit, {}}
                                    : JsonResult{JsonError::kUnexpectedByte, limit - 1, {}};
    EXPECT_EQ(ParseClaimGrant(text, scratch, grant_).json, expected);
  }
}

// A text may contain the punctuation by which a fast path finds the end of a text.
TEST_F(ClaimResponsePathsTest, TextsThatLookLikePunctuation) {
  for (const char* text :
       {R"(\",\"grant_key\":\")", R"(\",\"expires_at_ms\":1)", "},{", "}:", ":}"}) {
    Check(Object({R"("execution_id":")" + std::string(text) + '"', P, K, X}));
    Check(Object({E, R"("partition_key":")" + std::string(text) + '"', K, X}));
    Check(Object({E, P, R"("grant_key":")" + std::string(text) + '"', X}));
    Check(Object({E, P, R"("grant_key":")" + std::string(80, 'x') + text + '"', X}));
  }
  EXPECT_GT(canonical_, 0);
}

// The document has the usual form, but for a byte in the id that no id can contain and, in most
// cases, for its last byte. The error that comes first wins.
TEST_F(ClaimResponsePathsTest, IdsThatAreNonePlainBeforeAWrongEnd) {
  for (const char byte : {'\\', '"', '\x01', '\x7f', '\xff', '\xc3', 'g'}) {
    for (const char last : {'}', ']', ' ', 'x', ','}) {
      for (const std::size_t at : {0u, 20u, 41u, 42u}) {
        std::string json = Object({E, P, K, X});
        json[json.find(kIdText) + at] = byte;
        json.back() = last;
        Check(json);
      }
    }
  }
  EXPECT_GT(canonical_, 0);
}

// The documents are larger than any block that the reader takes in one step.
TEST_F(ClaimResponsePathsTest, LargeDocuments) {
  const std::string filler = "\"x\":[" + std::string(3000, ' ') + "1" + [] {
    std::string items;
    for (int i = 0; i < 700; ++i) items += ",{\"n\":" + std::to_string(i) + "}";
    return items;
  }() + "]";
  for (const std::string& last :
       {X, std::string(R"("expires_at_ms":0)"), std::string(R"("expires_at_ms":-0)"),
        std::string(R"("expires_at_ms":1.0)"), X + "," + X, X + R"(,"y":1e999)",
        X + R"(,"y":"\uD800")", X + R"(,"y":"\\\" \/")", X + ",\"y\":\"\xFF\"", X + ",",
        X + R"(,"grant_key":null)"}) {
    Check(Object({E, P, K, filler, last}));
    Check(Object({E, P, R"("grant_key":"\ud83d\u0041")", filler, last}));
    Check(Object({E, P, R"("grant_key":"\\ \n")", filler, last}));
  }
  Check("\xEF\xBB\xBF" + Object({E, P, K, filler, X}));
  EXPECT_EQ(canonical_, 0);
}

}  // namespace
}  // namespace ffgrant
