// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/json/claim_response.h"

#include <gtest/gtest.h>

#include <array>
#include <cctype>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "testing/naive/guarded_buffer.h"
#include "testing/naive/json_documents.h"
#include "testing/naive/write_checks.h"

namespace ffgrant {
namespace {

using testing::E;
using testing::GuardedBuffer;
using testing::K;
using testing::kGrantKeyText;
using testing::kIdText;
using testing::NestedArrays;
using testing::Object;
using testing::P;
using testing::Writes;
using testing::X;
using enum JsonError;

const std::string kCanonical = Object({E, P, K, X});
const ClaimResponseView kResponse{kIdText, "{fp:7}", kGrantKeyText, 1'700'000'000'000};

class ClaimResponseTest : public ::testing::Test {
 protected:
  // Returns the parser's result. Checks also that a failure leaves `response_` untouched.
  JsonResult Parse(std::string_view json) {
    const ClaimResponseView untouched{"id", "key", "grant", 42};
    response_ = untouched;
    document_ = json;  // response_ points into document_
    const JsonResult result = ParseClaimResponse(document_, scratch_, response_);
    if (!result) {
      EXPECT_EQ(response_, untouched) << json;
      EXPECT_LE(result.offset, json.size()) << json;
    } else {
      EXPECT_EQ(result, JsonResult{}) << json;
    }
    return result;
  }
  JsonError Error(const std::string& json) { return Parse(json).error; }
  JsonError WithExpiry(const std::string& value) {
    return Error(Object({E, P, K, "\"expires_at_ms\":" + value}));
  }
  JsonError WithGrantKey(const std::string& literal) {
    return Error(Object({E, P, "\"grant_key\":" + literal, X}));
  }
  JsonError WithExtra(const std::string& value) {
    return Error(Object({E, P, K, X, "\"extra\":" + value}));
  }

  std::string document_;
  JsonScratch scratch_{1 << 18};
  ClaimResponseView response_;
};

// The numbers at the ends of lines are those of the contract's vectors, section 13.

TEST_F(ClaimResponseTest, MembersInAnyOrder) {
  for (const std::string& json : {
           Object({E, P, K, X}),                                                      // 1
           Object({X, K, P, E}),                                                      // 2
           Object({E, P, K, X, R"("extra":{"a":[1,null]})"}),                         // 3
           Object({E, P, K, X, R"("extra":1)", R"("extra":2)"}),                      // 4
           Object({E, P, R"("partition_family":"flow","partition_index":7)", K, X}),  // 12
           " \t\r\n" + Object({E, P, K, X}) + " \t\r\n",
       }) {
    EXPECT_EQ(Error(json), kNone) << json;
    EXPECT_EQ(response_, kResponse) << json;
  }
}

TEST_F(ClaimResponseTest, MissingAndDuplicateMembers) {
  EXPECT_EQ(Parse(Object({E, P, K})),
            (JsonResult{kMissingField, Object({E, P, K}).size() - 1, "expires_at_ms"}));  // 5
  EXPECT_EQ(Parse(Object({E, K, X})).member, "partition_key");                            // 6
  EXPECT_EQ(Error(Object({E, K, X})), kMissingField);                                     // 6
  EXPECT_EQ(Parse(Object({E, P, P, K, X})),
            (JsonResult{kDuplicateField, 3 + E.size() + P.size(), "partition_key"}));  // 7
  EXPECT_EQ(Error(Object({E, P, K, X, R"("expires_at_ms":1)"})), kDuplicateField);     // 8
  EXPECT_EQ(Error(Object({E, R"("partition_family":"flow","partition_index":7)", K, X})),
            kMissingField);  // 11
  // The repeated name is reported right after its closing quote, before its colon is looked for.
  EXPECT_EQ(Error("{" + E + R"(,"execution_id")"), kDuplicateField);
  EXPECT_EQ(Error("{}garbage"), kMissingField);
}

TEST_F(ClaimResponseTest, WrongTypes) {
  EXPECT_EQ(Error(Object({E, R"("partition_key":null)", K, X})), kWrongType);  // 9
  EXPECT_EQ(Error(Object({E, R"("partition_key":{"family":"flow","index":7})", K, X})),
            kWrongType);  // 10
  const std::string before = "{" + E + R"(,"partition_key":)";
  EXPECT_EQ(Parse(before + "[ \xFF"), (JsonResult{kWrongType, before.size(), "partition_key"}));
  // A scalar of the wrong type is read to its end before it is judged.
  EXPECT_EQ(Error(before + "nul}"), kUnexpectedByte);
  EXPECT_EQ(Error(before + "01}"), kInvalidNumber);
  EXPECT_EQ(Error(before + "1e400}"), kNumberOutOfRange);
  EXPECT_EQ(Error(before + "nullx"), kWrongType);
  for (const char* json : {"null", "1", "\"\"", "true", "false", "-1.5e3"}) {  // 48
    EXPECT_EQ(Error(json), kWrongType) << json;
  }
  EXPECT_EQ(Error("{}"), kMissingField);                    // 48
  EXPECT_EQ(Error("[]"), kTooFewElements);                  // 48
  EXPECT_EQ(Error(R"({"execution_id":1,,,)"), kWrongType);  // 49
}

TEST_F(ClaimResponseTest, TextsAreNotExamined) {
  EXPECT_EQ(Error(Object({E, R"("partition_key":"{zz:0}")", K, X})), kNone);  // 13
  ClaimGrantView grant;
  EXPECT_TRUE(ToClaimGrant(response_, grant));
  EXPECT_EQ(grant.partition().error, PartitionKeyError::kUnknownFamilyPrefix);
  EXPECT_EQ(grant.partition().payload, "zz");

  EXPECT_EQ(Error(Object({R"("execution_id":"")", P, K, X})), kNone);  // 14
  EXPECT_EQ(ToClaimGrant(response_, grant).error, ExecutionIdError::kMissingTag);
  EXPECT_EQ(WithGrantKey(R"("")"), kNone);  // 15
  EXPECT_EQ(response_.grant_key, "");
}

TEST_F(ClaimResponseTest, Numbers) {
  const struct {
    const char* text;
    std::uint64_t value;
  } accepted[] = {{"0", 0},  // 16
                  {"18446744073699999999", 18'446'744'073'699'999'999u},
                  {"18439999999999999999", 18'439'999'999'999'999'999u},
                  {"18446744073709551615", 18'446'744'073'709'551'615u},  // 22
                  {"9007199254740993", 9'007'199'254'740'993u},           // 24
                  {"7", 7},
                  {"12345678", 12'345'678},
                  {"123456789", 123'456'789},
                  {"1234567890123456", 1'234'567'890'123'456},
                  {"12345678901234567", 12'345'678'901'234'567},
                  {"9999999999999999999", 9'999'999'999'999'999'999u}};
  for (const auto& [text, value] : accepted) {
    EXPECT_EQ(WithExpiry(text), kNone) << text;
    EXPECT_EQ(response_.expires_at_ms, value);
    EXPECT_EQ(WithExpiry(std::string(" ") + text), kNone) << text;
    EXPECT_EQ(response_.expires_at_ms, value);
  }
  const struct {
    const char* text;
    JsonError error;
  } rejected[] = {
      {"-0", kNotAnInteger},                         // 17
      {"-1", kIntegerOutOfRange},                    // 18
      {"1.0", kNotAnInteger},                        // 19
      {"1e3", kNotAnInteger},                        // 20
      {"0e0", kNotAnInteger},                        // 21
      {"18446744073709551616", kIntegerOutOfRange},  // 23
      {"18446744073709551620", kIntegerOutOfRange},
      {"18446744073799999999", kIntegerOutOfRange},
      {"18446744073800000000", kIntegerOutOfRange},
      {"18446744073909551615", kIntegerOutOfRange},
      {"18449999999999999999", kIntegerOutOfRange},
      {"18450000000000000000", kIntegerOutOfRange},
      {"99999999999999999999", kIntegerOutOfRange},
      {"100000000000000000000", kIntegerOutOfRange},
      {"01", kInvalidNumber},  // 25
      {"00", kInvalidNumber},
      {"0123456789012", kInvalidNumber},
      {"+1", kUnexpectedByte},  // 26
      {"1.", kInvalidNumber},   // 27
      {".5", kUnexpectedByte},
      {"1e", kInvalidNumber},
      {"-", kInvalidNumber},
      {"NaN", kUnexpectedByte},  // 28
      {"Infinity", kUnexpectedByte},
      {"0x1", kUnexpectedByte},
      {"1e400", kNumberOutOfRange},  // 29
      {"\"1\"", kWrongType},         // 30
      {"true", kWrongType},
      {"null", kWrongType},
      {"170000000000x", kUnexpectedByte},
      {"", kUnexpectedByte},
  };
  for (const auto& [text, error] : rejected) EXPECT_EQ(WithExpiry(text), error) << text;
}

// A number is out of range exactly if the reference finds it out of range.
TEST_F(ClaimResponseTest, TheRangeOfDoubles) {
  for (const char* text :
       {"0e999", "0e99999999999", "0.1e-99999999999", "1e-400", "1e308", "17976931348623157e292",
        "0.00001e310", "1e-2147483649", "0.0e2147483648"}) {
    EXPECT_EQ(WithExpiry(text), kNotAnInteger) << text;
  }
  for (const char* text :
       {"1e309", "10e308", "1e99999999999", "-1e309", "1.0e309", "18446744073709551615e289",
        // This is the largest double, but the product that the reference computes is not in range.
        "179769313486231570000e288"}) {
    EXPECT_EQ(WithExpiry(text), kNumberOutOfRange) << text;
  }
  EXPECT_EQ(WithExpiry(std::string(400, '9')), kNumberOutOfRange);
  EXPECT_EQ(WithExpiry(std::string(308, '1')), kIntegerOutOfRange);
  EXPECT_EQ(WithExpiry("0." + std::string(400, '9')), kNotAnInteger);
}

TEST_F(ClaimResponseTest, Strings) {
  using namespace std::string_literals;
  const struct {
    std::string literal;
    std::string text;
  } accepted[] = {
      {R"("a\/b")", "a/b"},                       // 31
      {R"("\ud83d\ude00")", "\xF0\x9F\x98\x80"},  // 32
      {R"("\uD83D\uDe00")", "\xF0\x9F\x98\x80"},
      {R"("\u0000")", "\0"s},  // 36
      {R"("\"\\\/\b\f\n\r\t")", "\"\\/\b\f\n\r\t"},
      {R"("\u007f\u0080\u07ff\u0800\uffff")", "\x7F\xC2\x80\xDF\xBF\xE0\xA0\x80\xEF\xBF\xBF"},
      {"\"\x7F\xC3\xA9\xE2\x80\xA8\xF4\x8F\xBF\xBF\"", "\x7F\xC3\xA9\xE2\x80\xA8\xF4\x8F\xBF\xBF"},
      {"\"a\\u0041" + std::string(40, 'b') + "\\n\xC3\xA9\"",
       "aA" + std::string(40, 'b') + "\n\xC3\xA9"},
  };
  for (const auto& [literal, text] : accepted) {
    EXPECT_EQ(WithGrantKey(literal), kNone) << literal;
    EXPECT_EQ(response_.grant_key, text) << literal;
  }
  const struct {
    std::string literal;
    JsonError error;
  } rejected[] = {
      {R"("\uD83D")", kLoneSurrogate},        // 33
      {R"("\uDE00")", kLoneSurrogate},        // 34
      {R"("\uD83D\u0041")", kLoneSurrogate},  // 35
      {R"("\uD83Dx")", kLoneSurrogate},
      {R"("\uD83D\n")", kLoneSurrogate},
      {R"("\uD83D\uD83D")", kLoneSurrogate},
      {R"("\x41")", kInvalidEscape},  // 37
      {R"("\u00g0")", kInvalidEscape},
      {R"("\u12")", kInvalidEscape},
      {R"("\U0041")", kInvalidEscape},
      {"\"a\tb\"", kControlCharacter},  // 38
      {"\"a\x1F\"", kControlCharacter},
      {"\"\xFF\"", kInvalidUtf8},          // 39
      {"\"\xC0\xAF\"", kInvalidUtf8},      // 39
      {"\"\xED\xA0\x80\"", kInvalidUtf8},  // 39
      {"\"\xE0\x80\xAF\"", kInvalidUtf8},
      {"\"\xF4\x90\x80\x80\"", kInvalidUtf8},
      {"\"\x80\"", kInvalidUtf8},
      {"\"\xE2\x82\"", kInvalidUtf8},
      {"'k'", kUnexpectedByte},
  };
  for (const auto& [literal, error] : rejected) EXPECT_EQ(WithGrantKey(literal), error) << literal;
}

TEST_F(ClaimResponseTest, EachOfTheFourDigitsOfAnEscapeIsHexadecimal) {
  for (const std::string digits : {"0041", "004a", "17ff", "0080", "c3E9"}) {
    for (std::size_t place = 0; place < 4; ++place) {
      for (int byte = 0; byte < 256; ++byte) {
        std::string escape = digits;
        escape[place] = static_cast<char>(byte);
        const bool is_hex = std::isxdigit(byte) != 0;
        if (is_hex && (escape[0] == 'd' || escape[0] == 'D')) continue;  // perhaps a surrogate
        for (const char* const after : {"", "x", "a text behind it"}) {
          EXPECT_EQ(WithGrantKey("\"\\u" + escape + after + "\"") == kNone, is_hex)
              << escape << after;
        }
      }
    }
  }
}

TEST_F(ClaimResponseTest, IgnoredValuesAreSkimmed) {
  for (const std::string& value : {std::string("\"\xFF\""), std::string(R"("\uD800")"),  // 40
                                   std::string("1e999"), NestedArrays(100'000),          // 41
                                   std::string("{\"\xFF\":[{},[],\"\\uDE00\",-0.5E+7,true]}"),
                                   std::string(" { } "), std::string("[ [ ] , { } ]")}) {
    EXPECT_EQ(WithExtra(value), kNone) << value.substr(0, 80);
    EXPECT_EQ(response_, kResponse);
  }
  const struct {
    const char* value;
    JsonError error;
  } rejected[] = {
      {"01", kInvalidNumber},  // 42
      {"[1,]", kUnexpectedByte},       {"{\"a\":1,}", kUnexpectedByte},
      {"[,1]", kUnexpectedByte},       {"[1 2]", kUnexpectedByte},
      {"{\"a\"}", kUnexpectedByte},    {"[}", kUnexpectedByte},
      {"{]", kUnexpectedByte},         {"{1:2}", kUnexpectedByte},
      {"tru", kUnexpectedByte},        {"\"\\x\"", kInvalidEscape},
      {"\"\\u12G4\"", kInvalidEscape}, {"\"\x01\"", kControlCharacter},
      {"-", kInvalidNumber},           {"1.e5", kInvalidNumber},
      {"1e+", kInvalidNumber},         {"[[1],{\"a\":[}]", kUnexpectedByte},
      {"[{\"a\":1]", kUnexpectedByte},
  };
  for (const auto& [value, error] : rejected) EXPECT_EQ(WithExtra(value), error) << value;
  // A malformed number is refused wherever it stands.
  for (const std::string number : {"01", "-01", "-00", "-", "-.5", "1.", "1.e5", "1e", "1e+",
                                   "-1e-", "00.5", "-09", "0123456789012345678901234567890"}) {
    for (const std::string& value : {number, "[" + number + "]", "{\"a\":" + number + "}",
                                     "[1," + number + ",1]", std::string(70, ' ') + number}) {
      EXPECT_EQ(WithExtra(value), kInvalidNumber) << value;
    }
  }
  // Even the name of an ignored member is checked in full.
  EXPECT_EQ(Error(Object({E, P, K, X, "\"\xFF\":1"})), kInvalidUtf8);
  EXPECT_EQ(Error(Object({E, P, K, X, R"("\uD800":1)"})), kLoneSurrogate);
}

TEST_F(ClaimResponseTest, PositionalForm) {
  EXPECT_EQ(Error(R"(["{fp:7}:x","{fp:7}","k",5])"), kNone);  // 43
  EXPECT_EQ(response_, (ClaimResponseView{"{fp:7}:x", "{fp:7}", "k", 5}));
  EXPECT_EQ(Error(R"(["e","{fp:7}","k"])"), kTooFewElements);       // 44
  EXPECT_EQ(Error(R"(["e","{fp:7}","k",5,6])"), kTooManyElements);  // 45
  EXPECT_EQ(Error(R"(["e","{fp:7}","k",5,])"), kTooManyElements);
  EXPECT_EQ(Error(R"(["e","{fp:7}","k",])"), kUnexpectedByte);
  EXPECT_EQ(Error(R"(["e","{fp:7}","k" 5])"), kUnexpectedByte);
  EXPECT_EQ(Error(R"(["e","{fp:7}","k",5)"), kUnexpectedEnd);
  EXPECT_EQ(Error(R"(["e",7)"), kWrongType);
}

TEST_F(ClaimResponseTest, WholeDocuments) {
  EXPECT_EQ(Parse(kCanonical + "x"), (JsonResult{kTrailingBytes, kCanonical.size(), ""}));  // 46
  EXPECT_EQ(Error("{" + E + "," + P + "," + K + "," + X + ",}"), kUnexpectedByte);          // 46
  EXPECT_EQ(Error("\xEF\xBB\xBF" + kCanonical), kUnexpectedByte);                           // 46
  EXPECT_EQ(Error("/*c*/" + kCanonical), kUnexpectedByte);                                  // 46
  EXPECT_EQ(Error("\f" + kCanonical), kUnexpectedByte);
  EXPECT_EQ(Parse(""), (JsonResult{kUnexpectedEnd, 0, ""}));  // 47
  for (std::size_t size = 0; size < kCanonical.size(); ++size) {
    EXPECT_EQ(Parse(std::string_view(kCanonical).substr(0, size)).error_class(),
              JsonErrorClass::kSyntax)
        << size;  // 47
  }
}

// A document that ends within a surrogate pair is incomplete, not wrong.
TEST_F(ClaimResponseTest, TruncatedEscapes) {
  const std::string json = R"(["\ud83d\ude00)";
  for (std::size_t size = 1; size <= json.size(); ++size) {
    EXPECT_EQ(Parse(json.substr(0, size)), (JsonResult{kUnexpectedEnd, size, "execution_id"}))
        << size;
  }
}

TEST_F(ClaimResponseTest, NamesAreUnescapedAndCaseSensitive) {
  EXPECT_EQ(Error(Object({R"("execution\u005fid":"e")", P, K, X})), kNone);
  EXPECT_EQ(response_.execution_id, "e");
  EXPECT_EQ(Error(Object({R"("Execution_id":"e")", P, K, X})), kMissingField);
  EXPECT_EQ(Error(Object({E, R"("execution\u005fid":"e")", P, K, X})), kDuplicateField);
}

TEST_F(ClaimResponseTest, TheScratchLimitsWhatNeedsIt) {
  JsonScratch small(8);
  ClaimResponseView response;
  EXPECT_TRUE(ParseClaimResponse(kCanonical, small, response));
  EXPECT_EQ(response, kResponse);
  const JsonResult result = ParseClaimResponse(" " + kCanonical, small, response);
  EXPECT_EQ(result, (JsonResult{kDocumentTooLarge, 8, ""}));
  EXPECT_EQ(result.error_class(), JsonErrorClass::kCaller);
  EXPECT_EQ(ParseClaimResponse("[\"e\", 1]", small, response).error, kWrongType);

  // The limit applies in the same way to a large document.
  const std::string large = std::string(5000, ' ') + kCanonical;
  EXPECT_EQ(ParseClaimResponse(large, small, response), (JsonResult{kDocumentTooLarge, 8, ""}));
  JsonScratch fits(large.size());
  EXPECT_TRUE(ParseClaimResponse(large, fits, response));
  JsonScratch nearly(large.size() - 1);
  EXPECT_EQ(ParseClaimResponse(large, nearly, response),
            (JsonResult{kDocumentTooLarge, large.size() - 1, ""}));

  JsonScratch exact(kCanonical.size() + 1);
  EXPECT_TRUE(ParseClaimResponse(" " + kCanonical, exact, response));
  JsonScratch moved = std::move(exact);
  EXPECT_EQ(moved.max_document_size(), kCanonical.size() + 1);
  EXPECT_TRUE(ParseClaimResponse(" " + kCanonical, moved, response));
  EXPECT_EQ(ParseClaimResponse("", moved, response).error, kUnexpectedEnd);
}

// A canonical document needs no scratch, whatever its texts are, and whether or not the scratch has
// its memory already.
TEST_F(ClaimResponseTest, TheScratchNeverLimitsACanonicalDocument) {
  const ClaimResponseView responses[] = {kResponse,
                                         {"e", "p", "k", 1},
                                         {std::string_view(), std::string_view(), "", 0},
                                         {"{fp:7}:not-a-uuid", "{fp:7}", "k", UINT64_MAX}};
  for (const ClaimResponseView& response : responses) {
    std::string json(MaxClaimResponseJsonSize(response), '\0');
    json.resize(SerializeClaimResponse(response, json).size);
    for (const bool has_memory : {false, true}) {
      JsonScratch small(8);
      if (has_memory) small.Reserve();
      ClaimResponseView read;
      EXPECT_TRUE(ParseClaimResponse(json, small, read)) << json << " " << has_memory;
      EXPECT_EQ(read, response) << json;
    }
  }
}

// A fault at the first byte is found before the reader begins. The result must be that of the
// reader, which finds the fault itself if the scratch has no memory yet.
TEST_F(ClaimResponseTest, EveryFirstByte) {
  JsonScratch ready(kCanonical.size());
  ready.Reserve();
  JsonScratch small(kCanonical.size() - 1);
  small.Reserve();
  for (int byte = 0; byte < 256; ++byte) {
    std::string json = kCanonical;
    json.front() = static_cast<char>(byte);
    JsonScratch fresh;
    ClaimResponseView response;
    ClaimGrantView grant;
    const JsonResult expected = ParseClaimResponse(json, fresh, response);
    EXPECT_EQ(ParseClaimResponse(json, ready, response), expected) << byte;
    EXPECT_EQ(ParseClaimGrant(json, ready, grant).json, expected) << byte;
    if (byte == '{') continue;
    EXPECT_FALSE(expected) << byte;
    EXPECT_EQ(ParseClaimResponse(json, small, response).error, kDocumentTooLarge) << byte;
    EXPECT_EQ(ParseClaimGrant(json, small, grant).json.error, kDocumentTooLarge) << byte;
  }
  ClaimResponseView response;
  EXPECT_EQ(ParseClaimResponse("", ready, response).error, kUnexpectedEnd);
  EXPECT_EQ(ParseClaimResponse("x", ready, response), (JsonResult{kUnexpectedByte, 0, {}}));
  EXPECT_EQ(ParseClaimResponse(" x", ready, response), (JsonResult{kUnexpectedByte, 1, {}}));
}

TEST_F(ClaimResponseTest, GrantsAreConverted) {
  const std::string alias_id = "{fp:+007}:urn:uuid:11111111-1111-4111-8111-111111111111";
  for (const std::string& id : {std::string(kIdText), alias_id}) {
    for (const char* space : {"", " "}) {
      const std::string json = space + Object({R"("execution_id":")" + id + '"', P, K, X});
      ClaimGrantView grant;
      ASSERT_TRUE(ParseClaimGrant(json, scratch_, grant)) << json;
      EXPECT_EQ(grant.execution_id.text(), id);
      EXPECT_EQ(grant.execution_id.partition().index, 7);
      EXPECT_EQ(grant.execution_id.is_canonical(), id == kIdText);
      EXPECT_EQ(grant.execution_id.uuid().bytes[6], 0x41);
      EXPECT_EQ(grant.partition_key, "{fp:7}");
      EXPECT_EQ(grant.grant_key, kGrantKeyText);
      EXPECT_EQ(grant.expires_at_ms, 1'700'000'000'000u);
    }
  }
  ClaimGrantView untouched;
  untouched.grant_key = "g";
  GrantJsonResult result =
      ParseClaimGrant(Object({R"("execution_id":"{fp:7}:x")", P, K, X}), scratch_, untouched);
  EXPECT_TRUE(result.json);
  EXPECT_EQ(result.execution_id, ExecutionIdError::kInvalidUuid);
  EXPECT_FALSE(result);
  result = ParseClaimGrant("{", scratch_, untouched);
  EXPECT_EQ(result.json.error, kUnexpectedEnd);
  EXPECT_EQ(result.execution_id, ExecutionIdError::kNone);
  EXPECT_EQ(untouched.grant_key, "g");
}

TEST_F(ClaimResponseTest, WritesCanonicalJson) {
  EXPECT_TRUE(Writes(kCanonical,
                     [](std::span<char> out) { return SerializeClaimResponse(kResponse, out); }));
  ClaimGrantView grant;
  ASSERT_TRUE(ToClaimGrant(kResponse, grant));
  EXPECT_TRUE(
      Writes(kCanonical, [&](std::span<char> out) { return SerializeClaimGrant(grant, out); }));
  EXPECT_TRUE(Writes(R"({"execution_id":"","partition_key":"","grant_key":"","expires_at_ms":0})",
                     [](std::span<char> out) { return SerializeClaimGrant({}, out); }));
}

TEST_F(ClaimResponseTest, WritesEscapesAsTheReferenceDoes) {
  std::string all;
  for (char c = 0; c < 0x20; ++c) all += c;
  all += "\"\\/\x7F\xE2\x80\xA8\xC3\xA9\xF0\x9F\x98\x80";
  const std::string escaped =
      R"(\u0000\u0001\u0002\u0003\u0004\u0005\u0006\u0007\b\t\n\u000b\f\r\u000e\u000f)"
      R"(\u0010\u0011\u0012\u0013\u0014\u0015\u0016\u0017\u0018\u0019\u001a\u001b\u001c\u001d)"
      R"(\u001e\u001f\"\\/)"
      "\x7F\xE2\x80\xA8\xC3\xA9\xF0\x9F\x98\x80";
  const ClaimResponseView response{all, all, all, 18'446'744'073'709'551'615u};
  const std::string json = R"({"execution_id":")" + escaped + R"(","partition_key":")" + escaped +
                           R"(","grant_key":")" + escaped +
                           R"(","expires_at_ms":18446744073709551615})";
  EXPECT_LE(json.size(), MaxClaimResponseJsonSize(response));
  EXPECT_TRUE(
      Writes(json, [&](std::span<char> out) { return SerializeClaimResponse(response, out); }));
  EXPECT_EQ(Error(json), kNone);
  EXPECT_EQ(response_, response);
}

TEST_F(ClaimResponseTest, WritesTextsOfEverySize) {
  GuardedBuffer key_memory;
  GuardedBuffer grant_memory;
  for (std::size_t size = 0; size < 70; ++size) {
    for (std::size_t special = 0; special <= size; ++special) {
      // If `special` is `size`, the text has no special byte; else it has one, at that place.
      std::string text(size, 'a');
      std::string escaped = text;
      if (special < size) {
        text[special] = '\n';
        escaped.replace(special, 1, "\\n");
      }
      const std::string json = R"({"execution_id":"","partition_key":")" + escaped +
                               R"(","grant_key":")" + escaped + R"(","expires_at_ms":)" +
                               std::to_string(size) + "}";
      ClaimGrantView grant;
      grant.partition_key = key_memory.AtEnd(text);
      grant.grant_key = grant_memory.AtEnd(text);
      grant.expires_at_ms = size;
      std::array<char, 512> out;
      const WriteResult result = SerializeClaimGrant(grant, out);
      ASSERT_TRUE(result);
      ASSERT_EQ(std::string_view(out.data(), result.size), json);
      ASSERT_EQ(Error(json), kNone) << json;
      ASSERT_EQ(response_.grant_key, text);
      ASSERT_EQ(response_.partition_key, text);
    }
  }
}

TEST_F(ClaimResponseTest, RefusesToWriteWhatIsNotUtf8) {
  for (const auto& [bad, others] : {std::pair("\xFF", "plain"),
                                    {"a\xC0\xAF", "a\"b"},
                                    {"\xED\xA0\x80", "\xC3\xA9"},
                                    {"\xE2\x82", "a\\"},
                                    {"ok \xF4\x90\x80\x80 ok", "plain"}}) {
    for (int place = 0; place < 3; ++place) {
      ClaimResponseView response{others, others, others, 5};
      (place == 0   ? response.execution_id
       : place == 1 ? response.partition_key
                    : response.grant_key) = bad;
      std::array<char, 512> out;
      out.fill('\xA5');
      const std::array<char, 512> before = out;
      EXPECT_EQ(SerializeClaimResponse(response, out).error, WriteError::kInvalidUtf8);
      EXPECT_EQ(out, before);
      EXPECT_EQ(SerializeClaimResponse(response, {}).error, WriteError::kInvalidUtf8);
    }
  }
}

}  // namespace
}  // namespace ffgrant
