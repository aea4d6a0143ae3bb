// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/routing.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ffgrant/uuid.h"
#include "testing/naive/naive_hash.h"

namespace ffgrant {
namespace {

using testing::NaiveCrc16;
using testing::NaiveFnv1a64;

constexpr Uuid kMintUuid{{0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x41, 0x11, 0x81, 0x11, 0x11, 0x11,
                          0x11, 0x11, 0x11, 0x11}};
constexpr std::string_view kMintText = "11111111-1111-4111-8111-111111111111";

Uuid ToUuid(std::string_view text) {
  const UuidResult result = ParseUuid(text, ParseMode::kStrict);
  EXPECT_TRUE(result);
  return result.uuid;
}

LaneIdView Lane(std::string_view text) { return LaneIdView::Unchecked(text); }

constexpr std::uint16_t kCounts[] = {1, 2, 3, 7, 31, 32, 255, 256, 1000, 65535};

struct UuidRow {
  std::string_view uuid;
  std::uint16_t crc;
  std::uint16_t mod_256;
  std::uint16_t mod_32;
};

// The rows of contract 2.
constexpr UuidRow kUuids[] = {
    {"00000000-0000-0000-0000-000000000000", 0x0000, 0, 0},
    {"ffffffff-ffff-ffff-ffff-ffffffffffff", 0x0041, 65, 1},
    {"550e8400-e29b-41d4-a716-446655440000", 0x9018, 24, 24},
    {"11111111-1111-4111-8111-111111111111", 0x76BF, 191, 31},
    {"00112233-4455-6677-8899-aabbccddeeff", 0x1248, 72, 8},
    {"01020304-0506-0708-090a-0b0c0d0e0f10", 0x65E5, 229, 5},
};

TEST(RoutingTest, UuidsRouteByTheirBytes) {
  const PartitionConfig config;
  for (const UuidRow& row : kUuids) {
    SCOPED_TRACE(row.uuid);
    const Uuid uuid = ToUuid(row.uuid);
    EXPECT_EQ(FlowPartition(FlowId{uuid}, config),
              (Partition{PartitionFamily::kFlow, row.mod_256}));
    EXPECT_EQ(BudgetPartition(BudgetId{uuid}, config),
              (Partition{PartitionFamily::kBudget, row.mod_32}));
    EXPECT_EQ(QuotaPartition(QuotaPolicyId{uuid}, config),
              (Partition{PartitionFamily::kQuota, row.mod_32}));
  }
}

TEST(RoutingTest, EachFamilyTakesItsOwnCount) {
  for (const UuidRow& row : kUuids) {
    const Uuid uuid = ToUuid(row.uuid);
    for (const std::uint16_t count : kCounts) {
      const auto index = static_cast<std::uint16_t>(row.crc % count);
      EXPECT_EQ(FlowPartition(FlowId{uuid}, {count, 9, 9})->index, index);
      EXPECT_EQ(BudgetPartition(BudgetId{uuid}, {9, count, 9})->index, index);
      EXPECT_EQ(QuotaPartition(QuotaPolicyId{uuid}, {9, 9, count})->index, index);
    }
  }
}

TEST(RoutingTest, LanesRouteByTheirBytes) {
  struct Row {
    std::string_view lane;
    std::uint16_t index;
  };
  constexpr Row kRows[] = {{"default", 86},        {"workers-a", 193}, {"workers-b", 162},
                           {"main", 213},          {"gpu", 144},       {"a", 135},
                           {"lane with space", 21}};
  for (const Row& row : kRows) {
    EXPECT_EQ(LanePartition(Lane(row.lane), PartitionConfig{}),
              (Partition{PartitionFamily::kExecution, row.index}))
        << row.lane;
  }
  EXPECT_EQ(LanePartition(Lane(""), PartitionConfig{})->index, 0);
  const std::string long_lane(1000, '\xC3');
  EXPECT_EQ(LanePartition(Lane(long_lane), {65535, 1, 1})->index, NaiveCrc16(long_lane) % 65535);
}

TEST(RoutingTest, ACountOfZeroGivesNothing) {
  const PartitionConfig none{0, 0, 0};
  EXPECT_EQ(FlowPartition(FlowId{}, none), std::nullopt);
  EXPECT_EQ(BudgetPartition(BudgetId{}, none), std::nullopt);
  EXPECT_EQ(QuotaPartition(QuotaPolicyId{}, none), std::nullopt);
  EXPECT_EQ(LanePartition(Lane("main"), none), std::nullopt);
  EXPECT_FALSE(MintExecutionId(FlowId{}, none).has_value());
  EXPECT_FALSE(MintExecutionId(FlowId{}, none, kMintUuid).has_value());
  EXPECT_FALSE(MintExecutionId(Lane("main"), none).has_value());
  EXPECT_FALSE(MintExecutionId(Lane("main"), none, kMintUuid).has_value());
}

TEST(RoutingTest, AZeroCountOfAnotherFamilyDoesNotMatter) {
  EXPECT_TRUE(FlowPartition(FlowId{}, {1, 0, 0}).has_value());
  EXPECT_TRUE(BudgetPartition(BudgetId{}, {0, 1, 0}).has_value());
  EXPECT_TRUE(QuotaPartition(QuotaPolicyId{}, {0, 0, 1}).has_value());
  EXPECT_TRUE(LanePartition(Lane("main"), {1, 0, 0}).has_value());
}

class FixedPartitioner : public LanePartitioner {
 public:
  explicit FixedPartitioner(std::uint16_t answer) : answer_(answer) {}
  std::uint16_t PartitionOf(LaneIdView, std::uint16_t) const noexcept override { return answer_; }

 private:
  std::uint16_t answer_;
};

TEST(RoutingTest, ALanePartitionerCanBeInjected) {
  const PartitionConfig config{8, 1, 1};
  EXPECT_EQ(LanePartition(Lane("main"), config, FixedPartitioner(7))->index, 7);
  const auto minted = MintExecutionId(Lane("main"), config, FixedPartitioner(3));
  ASSERT_TRUE(minted.has_value());
  EXPECT_EQ(minted->view().partition().index, 3);
}

TEST(RoutingTest, APartitionerThatAnswersOutsideGivesNothing) {
  const PartitionConfig config{8, 1, 1};
  EXPECT_EQ(LanePartition(Lane("main"), config, FixedPartitioner(8)), std::nullopt);
  EXPECT_FALSE(MintExecutionId(Lane("main"), config, FixedPartitioner(65535)).has_value());
}

TEST(RoutingTest, TheDefaultPartitionerIsCrc16) {
  for (const std::string_view lane : {"main", "gpu", "", "lane with space"}) {
    for (const std::uint16_t count : kCounts) {
      EXPECT_EQ(Crc16LanePartitioner().PartitionOf(Lane(lane), count), NaiveCrc16(lane) % count);
    }
  }
}

TEST(RoutingTest, MintingWithAUuidIsDeterministic) {
  const PartitionConfig config;
  for (const UuidRow& row : kUuids) {
    const FlowId flow{ToUuid(row.uuid)};
    const auto minted = MintExecutionId(flow, config, kMintUuid);
    ASSERT_TRUE(minted.has_value());
    EXPECT_EQ(minted->text(), "{fp:" + std::to_string(row.mod_256) + "}:" + std::string(kMintText));
    EXPECT_EQ(MintExecutionId(flow, config, kMintUuid)->text(), minted->text());
  }
  const auto lane = MintExecutionId(Lane("main"), config, kMintUuid);
  ASSERT_TRUE(lane.has_value());
  EXPECT_EQ(lane->text(), "{fp:213}:" + std::string(kMintText));
}

TEST(RoutingTest, TheFlowCountChangesTheTag) {
  const FlowId flow{ToUuid("01020304-0506-0708-090a-0b0c0d0e0f10")};
  const auto minted = MintExecutionId(flow, {32, 1, 1}, kMintUuid);
  ASSERT_TRUE(minted.has_value());
  EXPECT_EQ(minted->text(), "{fp:5}:" + std::string(kMintText));
}

TEST(RoutingTest, MintingWithoutAUuidTakesARandomOneOfVersion4) {
  const PartitionConfig config;
  const FlowId flow{ToUuid("550e8400-e29b-41d4-a716-446655440000")};
  const auto a = MintExecutionId(flow, config);
  const auto b = MintExecutionId(flow, config);
  const auto c = MintExecutionId(Lane("main"), config);
  ASSERT_TRUE(a.has_value() && b.has_value() && c.has_value());
  EXPECT_NE(a->text(), b->text());
  EXPECT_EQ(a->view().partition(), (Partition{PartitionFamily::kExecution, 24}));
  EXPECT_EQ(c->view().partition(), (Partition{PartitionFamily::kExecution, 213}));
  for (const MintedExecutionId& id : {*a, *b, *c}) {
    const ExecutionIdResult parsed = ParseExecutionId(id.text(), ParseMode::kStrict);
    ASSERT_TRUE(parsed);
    EXPECT_EQ(parsed.id.uuid().bytes[6] >> 4, 4);
    EXPECT_EQ(parsed.id.uuid().bytes[8] >> 6, 2);
  }
}

TEST(RoutingTest, AnExecutionsPartitionIsTheOneInItsText) {
  const std::string text = "{fp:+0300}:" + std::string(kMintText);
  const ExecutionIdResult id = ParseExecutionId(text, ParseMode::kLenient);
  EXPECT_EQ(ExecutionPartition(id.id), (Partition{PartitionFamily::kExecution, 300}));
}

TEST(RoutingTest, ScansStartWhereTheInstanceHashes) {
  std::vector<std::string> instances = {"", "w1-i1", "w2", "a much longer instance name"};
  for (int byte = 0; byte < 256; ++byte) {
    instances.push_back("w-" + std::string(1, static_cast<char>(byte)) + "-1");
  }
  for (const std::string& instance : instances) {
    for (const std::uint16_t count : kCounts) {
      EXPECT_EQ(ScanStart({instance}, count), (NaiveFnv1a64(instance) & 0xFFFF) % count);
    }
    EXPECT_EQ(ScanStart({instance}, 0), 0);
  }
  // FNV-1a's offset basis is 0xcbf29ce484222325.
  EXPECT_EQ(ScanStart({""}, 65535), 0x2325);
}

}  // namespace
}  // namespace ffgrant
