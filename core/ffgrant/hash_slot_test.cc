// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/hash_slot.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <random>
#include <set>
#include <string>
#include <string_view>

#include "ffgrant/partition.h"
#include "testing/naive/guarded_buffer.h"
#include "testing/naive/mutate.h"
#include "testing/naive/naive_hash.h"

namespace ffgrant {
namespace {

using testing::ForEachString;
using testing::GuardedBuffer;
using testing::Mutated;
using testing::NaiveHashSlot;
using testing::NaiveHashTag;

TEST(HashSlotTest, GivesTheContractsSlots) {
  struct Row {
    std::string_view key;
    int slot;
  };
  constexpr Row kRows[] = {
      {"foo{}{bar}", 8363},
      {"foo{{bar}}zap", 4015},
      {"foo{bar}{zap}", 5061},
      {"foo{bar", 15278},
      {"{user1000}.following", 3443},
      {"foo}bar{", 11073},
      {"{}", 15257},
      {"", 0},
      {"{fp:0}", 14926},
      {"{fp:7}", 2729},
      {"{fp:42}", 2824},
      {"{fp:255}", 15470},
      {"{b:0}", 10502},
      {"{b:31}", 106},
      {"{q:31}", 17},
      {"{fp:+7}", 2272},
      {"{fp:007}", 3513},
      {"{fp:+007}", 12854},
      {"{b:1}", 14631},
      {"{q:1}", 8980},
  };
  for (const Row& row : kRows) {
    EXPECT_EQ(HashSlot(row.key), row.slot) << row.key;
  }
}

TEST(HashSlotTest, HashesTheFirstNonEmptyTagOrAll) {
  EXPECT_EQ(HashTag("{user1000}.following"), "user1000");
  EXPECT_EQ(HashTag("foo{}{bar}"), "foo{}{bar}");
  EXPECT_EQ(HashTag("foo{{bar}}zap"), "{bar");
  EXPECT_EQ(HashTag("foo{bar}{zap}"), "bar");
  EXPECT_EQ(HashTag("foo{bar"), "foo{bar");
  EXPECT_EQ(HashTag("}{a}"), "a");
  EXPECT_EQ(HashTag("}{"), "}{");
  EXPECT_EQ(HashTag("no tag"), "no tag");
  EXPECT_EQ(HashTag(""), "");
}

TEST(HashSlotTest, AgreesWithTheOracleOnEveryShortKey) {
  GuardedBuffer buffer;
  ForEachString("{}ab", 7, [&](const std::string& text) {
    const std::string_view key = buffer.AtEnd(text);
    ASSERT_EQ(HashTag(key), NaiveHashTag(key)) << text;
    ASSERT_EQ(HashSlot(key), NaiveHashSlot(key)) << text;
  });
}

// A key of 32 bytes and more may be searched in another way than a short one.
TEST(HashSlotTest, AgreesWithTheOracleOnEveryShortTextInALongKey) {
  GuardedBuffer buffer;
  ForEachString("{}a", 6, [&](const std::string& text) {
    for (const std::size_t before : {0, 13, 27, 31, 40}) {
      for (const std::string_view after : {"", "{b}"}) {
        const std::string whole =
            std::string(before, 'x') + text + std::string(33, 'y') + std::string(after);
        const std::string_view key = buffer.AtEnd(whole);
        ASSERT_EQ(HashTag(key), NaiveHashTag(key)) << whole;
        ASSERT_EQ(HashSlot(key), NaiveHashSlot(key)) << whole;
      }
    }
  });
}

TEST(HashSlotTest, AgreesWithTheOracleOnMutations) {
  GuardedBuffer buffer;
  std::mt19937_64 random(4);
  for (int i = 0; i < 20'000; ++i) {
    const std::string key =
        Mutated("ff:exec:{fp:7}:{fp:7}:11111111-1111-4111-8111-111111111111:core", "{}:", random);
    ASSERT_EQ(HashSlot(buffer.AtEnd(key)), NaiveHashSlot(key)) << key;
  }
}

TEST(HashSlotTest, APartitionsSlotIsThatOfItsTag) {
  for (const PartitionFamily family : {PartitionFamily::kFlow, PartitionFamily::kExecution,
                                       PartitionFamily::kBudget, PartitionFamily::kQuota}) {
    for (std::uint32_t index = 0; index <= 65535; index += 13) {
      const Partition partition{family, static_cast<std::uint16_t>(index)};
      ASSERT_EQ(HashSlot(partition), NaiveHashSlot(PartitionTag(partition).view()));
      ASSERT_LT(HashSlot(partition), kHashSlotCount);
    }
  }
}

TEST(HashSlotTest, TheDefaultFlowTagsHaveDistinctSlots) {
  std::set<std::uint16_t> slots;
  for (std::uint16_t index = 0; index < 256; ++index) {
    slots.insert(HashSlot(Partition{PartitionFamily::kFlow, index}));
  }
  EXPECT_EQ(slots.size(), 256u);
}

}  // namespace
}  // namespace ffgrant
