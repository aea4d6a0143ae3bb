// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/json/partition_config.h"

#include <gtest/gtest.h>

#include <span>
#include <string>
#include <string_view>

#include "testing/naive/json_documents.h"
#include "testing/naive/write_checks.h"

namespace ffgrant {
namespace {

using testing::Object;
using testing::Writes;
using enum JsonError;

constexpr PartitionConfig kBefore = {11, 12, 13};

constexpr char kFlow[] = R"("num_flow_partitions":256)";
constexpr char kBudget[] = R"("num_budget_partitions":32)";
constexpr char kQuota[] = R"("num_quota_partitions":33)";

class PartitionConfigJsonTest : public ::testing::Test {
 protected:
  JsonResult Parse(std::string_view json) {
    config_ = kBefore;
    const JsonResult result = ParsePartitionConfig(json, scratch_, config_);
    if (!result) {
      EXPECT_EQ(config_, kBefore) << json;
    }
    return result;
  }
  // Parses `value` as each of the three counts. Returns the verdict on the first; the other two
  // must have the same error.
  JsonResult Count(const std::string& value) {
    const JsonResult flow = Parse(Object({R"("num_flow_partitions":)" + value, kBudget, kQuota}));
    EXPECT_EQ(Parse(Object({kFlow, R"("num_budget_partitions":)" + value, kQuota})).error,
              flow.error);
    EXPECT_EQ(Parse(Object({kFlow, kBudget, R"("num_quota_partitions":)" + value})).error,
              flow.error);
    return flow;
  }

  JsonScratch scratch_;
  PartitionConfig config_;
};

TEST_F(PartitionConfigJsonTest, MembersInAnyOrder) {
  const PartitionConfig expected = {256, 32, 33};
  for (const std::string& json :
       {Object({kFlow, kBudget, kQuota}), Object({kQuota, kFlow, kBudget}),
        Object({R"("x":[1e999])", kBudget, kQuota, kFlow}),
        Object({R"("num\u005fflow_partitions":256)", kBudget, kQuota})}) {
    EXPECT_TRUE(Parse(json)) << json;
    EXPECT_EQ(config_, expected) << json;
  }
}

TEST_F(PartitionConfigJsonTest, EachMemberIsRequiredOnce) {
  const std::string two = Object({kFlow, kQuota});
  EXPECT_EQ(Parse(two), (JsonResult{kMissingField, two.size() - 1, "num_budget_partitions"}));
  EXPECT_EQ(Parse(Object({kBudget, kQuota})).member, "num_flow_partitions");
  EXPECT_EQ(Parse(Object({kFlow, kBudget})).member, "num_quota_partitions");
  EXPECT_EQ(Parse("{}").error, kMissingField);
  EXPECT_EQ(Parse(Object({kFlow, kBudget, kQuota, kBudget})).error, kDuplicateField);
  EXPECT_EQ(Parse(Object({kFlow, kBudget, R"("Num_quota_partitions":33)"})).error, kMissingField);
}

TEST_F(PartitionConfigJsonTest, CountsAreU16) {
  EXPECT_TRUE(Count("0"));
  EXPECT_TRUE(Count("65535"));
  EXPECT_EQ(Count("65536"), (JsonResult{kIntegerOutOfRange, 23, "num_flow_partitions"}));
  for (const char* const value : {"65792", "4294967295", "18446744073709551616", "-1"}) {
    EXPECT_EQ(Count(value).error, kIntegerOutOfRange) << value;
  }
  for (const char* const value : {"-0", "1.0", "1e3"}) {
    EXPECT_EQ(Count(value).error, kNotAnInteger) << value;
  }
  for (const char* const value : {"null", R"("256")", "true", "[]"}) {
    EXPECT_EQ(Count(value).error, kWrongType) << value;
  }
  EXPECT_EQ(Count("01").error, kInvalidNumber);
  EXPECT_EQ(Count("65536").error_class(), JsonErrorClass::kData);
}

TEST_F(PartitionConfigJsonTest, ZeroDecodesAndIsNotValid) {
  EXPECT_TRUE(Parse("[256,0,32]"));
  EXPECT_EQ(config_, (PartitionConfig{256, 0, 32}));
  EXPECT_FALSE(config_.IsValid());
}

TEST_F(PartitionConfigJsonTest, PositionalForm) {
  EXPECT_TRUE(Parse(" [ 1 , 2 , 65535 ] "));
  EXPECT_EQ(config_, (PartitionConfig{1, 2, 65535}));
  EXPECT_EQ(Parse("[1,2]"), (JsonResult{kTooFewElements, 4, "num_quota_partitions"}));
  EXPECT_EQ(Parse("[]").error, kTooFewElements);
  EXPECT_EQ(Parse("[1,2,3,4]"), (JsonResult{kTooManyElements, 6, {}}));
  EXPECT_EQ(Parse("[1,65536,3]"), (JsonResult{kIntegerOutOfRange, 3, "num_budget_partitions"}));
}

TEST_F(PartitionConfigJsonTest, OtherDocuments) {
  EXPECT_EQ(Parse("").error, kUnexpectedEnd);
  EXPECT_EQ(Parse("256").error, kWrongType);
  EXPECT_EQ(Parse("[1,2,3]x").error, kTrailingBytes);
  EXPECT_EQ(Parse("[1,2,3").error, kUnexpectedEnd);
  JsonScratch small(4);
  PartitionConfig config;
  EXPECT_EQ(ParsePartitionConfig("[1,2,3]", small, config), (JsonResult{kDocumentTooLarge, 4, {}}));
}

TEST_F(PartitionConfigJsonTest, WritesWhatItReads) {
  struct {
    PartitionConfig config;
    std::string_view json;
  } const cases[] = {
      {{}, R"({"num_flow_partitions":256,"num_budget_partitions":32,"num_quota_partitions":32})"},
      {{65535, 0, 1},
       R"({"num_flow_partitions":65535,"num_budget_partitions":0,"num_quota_partitions":1})"},
  };
  for (const auto& c : cases) {
    EXPECT_TRUE(Writes(
        c.json, [&](std::span<char> out) { return SerializePartitionConfig(c.config, out); }));
    EXPECT_TRUE(Parse(c.json));
    EXPECT_EQ(config_, c.config);
  }
}

}  // namespace
}  // namespace ffgrant
