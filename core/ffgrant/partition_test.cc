// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/partition.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "testing/naive/write_checks.h"

namespace ffgrant {
namespace {

using testing::Writes;

struct FamilyRow {
  PartitionFamily family;
  std::string_view name;
  std::string_view prefix;
  std::uint16_t default_count;
};

// The rows of contract 1.2 and 1.4.
constexpr FamilyRow kFamilies[] = {
    {PartitionFamily::kFlow, "flow", "fp", 256},
    {PartitionFamily::kExecution, "execution", "fp", 256},
    {PartitionFamily::kBudget, "budget", "b", 32},
    {PartitionFamily::kQuota, "quota", "q", 32},
};

static_assert(kMaxPartitionTagSize == std::string_view("{fp:65535}").size());
static_assert(CollapseAlias({PartitionFamily::kExecution, 7}) ==
              Partition{PartitionFamily::kFlow, 7});
static_assert(PartitionConfig{}.IsValid());

TEST(PartitionTest, FamiliesHaveTheContractsNamesPrefixesAndCounts) {
  for (const FamilyRow& row : kFamilies) {
    EXPECT_EQ(FamilyName(row.family), row.name);
    EXPECT_EQ(FamilyTagPrefix(row.family), row.prefix);
    EXPECT_EQ(PartitionConfig{}.CountFor(row.family), row.default_count);
  }
}

TEST(PartitionTest, EachFamilyUsesItsOwnCount) {
  const PartitionConfig config{
      .num_flow_partitions = 11, .num_budget_partitions = 12, .num_quota_partitions = 13};
  EXPECT_EQ(config.CountFor(PartitionFamily::kFlow), 11);
  EXPECT_EQ(config.CountFor(PartitionFamily::kExecution), 11);
  EXPECT_EQ(config.CountFor(PartitionFamily::kBudget), 12);
  EXPECT_EQ(config.CountFor(PartitionFamily::kQuota), 13);
}

TEST(PartitionTest, AnyCountOfZeroIsInvalid) {
  EXPECT_TRUE((PartitionConfig{1, 1, 1}.IsValid()));
  EXPECT_TRUE((PartitionConfig{65535, 65535, 65535}.IsValid()));
  EXPECT_FALSE((PartitionConfig{0, 1, 1}.IsValid()));
  EXPECT_FALSE((PartitionConfig{1, 0, 1}.IsValid()));
  EXPECT_FALSE((PartitionConfig{1, 1, 0}.IsValid()));
}

TEST(PartitionTest, ExecutionAndFlowPrintAlikeButDiffer) {
  const Partition execution{PartitionFamily::kExecution, 7};
  const Partition flow{PartitionFamily::kFlow, 7};
  EXPECT_NE(execution, flow);
  EXPECT_EQ(PartitionTag(execution).view(), PartitionTag(flow).view());
  EXPECT_EQ(CollapseAlias(execution), flow);
}

TEST(PartitionTest, CollapseKeepsEverythingElse) {
  for (const FamilyRow& row : kFamilies) {
    if (row.family == PartitionFamily::kExecution) continue;
    const Partition partition{row.family, 9};
    EXPECT_EQ(CollapseAlias(partition), partition);
  }
}

TEST(PartitionTest, EqualityLooksAtFamilyAndIndex) {
  EXPECT_EQ((Partition{PartitionFamily::kBudget, 3}), (Partition{PartitionFamily::kBudget, 3}));
  EXPECT_NE((Partition{PartitionFamily::kBudget, 3}), (Partition{PartitionFamily::kBudget, 4}));
  EXPECT_NE((Partition{PartitionFamily::kBudget, 3}), (Partition{PartitionFamily::kQuota, 3}));
}

TEST(PartitionTest, EveryTagIsPlainDecimal) {
  for (const FamilyRow& row : kFamilies) {
    for (std::uint32_t index = 0; index <= 65535; ++index) {
      const Partition partition{row.family, static_cast<std::uint16_t>(index)};
      const std::string expected =
          "{" + std::string(row.prefix) + ":" + std::to_string(index) + "}";
      ASSERT_EQ(PartitionTag(partition).view(), expected);
      char buffer[kMaxPartitionTagSize];
      const WriteResult written = FormatPartitionTag(partition, buffer);
      ASSERT_TRUE(written);
      ASSERT_EQ(std::string_view(buffer, written.size), expected);
    }
  }
}

TEST(PartitionTest, TagsGoWholeIntoBuffersOrNotAtAll) {
  struct Row {
    Partition partition;
    std::string_view tag;
  };
  constexpr Row kRows[] = {
      {{PartitionFamily::kBudget, 0}, "{b:0}"},
      {{PartitionFamily::kQuota, 31}, "{q:31}"},
      {{PartitionFamily::kFlow, 256}, "{fp:256}"},
      {{PartitionFamily::kExecution, 9999}, "{fp:9999}"},
      {{PartitionFamily::kFlow, 65535}, "{fp:65535}"},
  };
  for (const Row& row : kRows) {
    EXPECT_TRUE(Writes(
        row.tag, [&](std::span<char> out) { return FormatPartitionTag(row.partition, out); }));
  }
}

}  // namespace
}  // namespace ffgrant
