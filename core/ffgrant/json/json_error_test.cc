// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/json/json_error.h"

#include <gtest/gtest.h>

#include <set>
#include <string_view>

namespace ffgrant {
namespace {

TEST(JsonErrorTest, NamesAreDistinct) {
  std::set<std::string_view> names;
  int errors = 0;
  for (int i = 0; i <= static_cast<int>(JsonError::kOutOfMemory); ++i, ++errors) {
    names.insert(ErrorName(static_cast<JsonError>(i)));
  }
  EXPECT_EQ(names.size(), static_cast<std::size_t>(errors));
  EXPECT_FALSE(names.contains("unknown"));
  EXPECT_EQ(ErrorName(JsonError::kNone), "none");
  EXPECT_EQ(ErrorName(JsonError::kLoneSurrogate), "lone_surrogate");
}

TEST(JsonErrorTest, Classes) {
  using enum JsonError;
  for (const JsonError error : {kUnexpectedEnd, kUnexpectedByte, kInvalidNumber, kNumberOutOfRange,
                                kInvalidEscape, kLoneSurrogate, kControlCharacter, kInvalidUtf8,
                                kTrailingBytes, kTooDeep, kTooManyElements}) {
    EXPECT_EQ(ErrorClass(error), JsonErrorClass::kSyntax) << ErrorName(error);
  }
  for (const JsonError error :
       {kWrongType, kNotAnInteger, kIntegerOutOfRange, kMissingField, kDuplicateField,
        kUnknownVariant, kTooFewElements, kSurplusElement, kInvalidUuid, kInvalidExecutionId}) {
    EXPECT_EQ(ErrorClass(error), JsonErrorClass::kData) << ErrorName(error);
  }
  EXPECT_EQ(ErrorClass(kNone), JsonErrorClass::kNone);
  EXPECT_EQ(ErrorClass(kDocumentTooLarge), JsonErrorClass::kCaller);
  EXPECT_EQ(ErrorClass(kOutOfMemory), JsonErrorClass::kCaller);
  EXPECT_EQ(ErrorClassName(JsonErrorClass::kNone), "none");
  EXPECT_EQ(ErrorClassName(JsonErrorClass::kSyntax), "syntax");
  EXPECT_EQ(ErrorClassName(JsonErrorClass::kData), "data");
  EXPECT_EQ(ErrorClassName(JsonErrorClass::kCaller), "caller");
}

}  // namespace
}  // namespace ffgrant
