// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/json/error_body.h"

#include <gtest/gtest.h>

#include <span>
#include <string>
#include <string_view>

#include "testing/naive/json_documents.h"
#include "testing/naive/write_checks.h"

namespace ffgrant {
namespace {

using testing::Writes;
using enum JsonError;

class ErrorBodyTest : public ::testing::Test {
 protected:
  JsonError Parse(std::string_view json) {
    document_ = json;
    body_ = {.error = "before", .kind = {}, .retryable = {}};
    const JsonResult result = ParseErrorBody(document_, scratch_, body_);
    if (!result) {
      EXPECT_EQ(body_.error, "before") << json;
    }
    return result.error;
  }

  std::string document_;
  JsonScratch scratch_;
  ErrorBodyView body_;
};

TEST_F(ErrorBodyTest, OnlyTheMessageIsRequired) {
  EXPECT_EQ(Parse(R"({"error":"x"})"), kNone);
  EXPECT_EQ(body_, (ErrorBodyView{"x", {}, {}}));
  EXPECT_EQ(Parse(R"({"error":"x","kind":null,"retryable":null})"), kNone);
  EXPECT_EQ(body_, (ErrorBodyView{"x", {}, {}}));
  EXPECT_EQ(Parse(R"({"retryable":false,"kind":"k","error":""})"), kNone);
  EXPECT_EQ(body_, (ErrorBodyView{"", "k", false}));
  EXPECT_EQ(Parse(R"(["x"])"), kNone);
  EXPECT_EQ(body_, (ErrorBodyView{"x", {}, {}}));
  EXPECT_EQ(Parse(R"(["x",null,true])"), kNone);
  EXPECT_EQ(body_, (ErrorBodyView{"x", {}, true}));
  EXPECT_EQ(Parse(R"({"error":"payload_too_large","limit_bytes":65536,"route":"/v1/x"})"), kNone);
}

TEST_F(ErrorBodyTest, EveryTextMayHaveEscapes) {
  EXPECT_EQ(Parse(testing::WithEscapes(R"({"kind":"k 1","error":"what","retryable":true})")),
            kNone);
  EXPECT_EQ(body_, (ErrorBodyView{"what", "k 1", true}));
}

TEST_F(ErrorBodyTest, Rejects) {
  EXPECT_EQ(Parse("{}"), kMissingField);
  EXPECT_EQ(Parse(R"({"error":null})"), kWrongType);
  EXPECT_EQ(Parse(R"({"error":"x","retryable":"true"})"), kWrongType);
  EXPECT_EQ(Parse(R"({"error":"x","retryable":1})"), kWrongType);
  EXPECT_EQ(Parse(R"({"error":"x","retryable":truE})"), kUnexpectedByte);
  EXPECT_EQ(Parse(R"({"error":"x","kind":null,"kind":null})"), kDuplicateField);
  EXPECT_EQ(Parse("not json"), kUnexpectedByte);
  EXPECT_EQ(Parse("[]"), kTooFewElements);
}

TEST_F(ErrorBodyTest, WritesWhatIsSet) {
  const struct {
    ErrorBodyView body;
    std::string_view json;
  } rows[] = {
      {{"x", {}, {}}, R"({"error":"x"})"},
      {{"x", "k", {}}, R"({"error":"x","kind":"k"})"},
      {{"x", {}, false}, R"({"error":"x","retryable":false})"},
      {{"a\nb", "k", true}, R"({"error":"a\nb","kind":"k","retryable":true})"},
  };
  for (const auto& row : rows) {
    EXPECT_TRUE(Writes(row.json,
                       [&row](std::span<char> out) { return SerializeErrorBody(row.body, out); }));
    EXPECT_EQ(Parse(row.json), kNone);
    EXPECT_EQ(body_, row.body);
  }
  EXPECT_EQ(SerializeErrorBody({"\xC0\x80", {}, {}}, {}).error, WriteError::kInvalidUtf8);
}

}  // namespace
}  // namespace ffgrant
