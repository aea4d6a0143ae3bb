// SPDX-License-Identifier: Apache-2.0
//
// Tests what a ledger with usual ids would show only rarely: regions that fill up, full words of
// tags that many records went past (see execution_table.h), ids that differ only in the partition.

#include "ffgrant/claims/internal/execution_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <latch>
#include <map>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include "ffgrant/execution_id.h"

namespace ffgrant::internal {
namespace {

// Makes an id from a number. The tests choose the hash that the table gets for the id.
MintedExecutionId NumberedId(std::uint64_t number, std::uint16_t partition = 0) {
  Uuid uuid;
  for (std::size_t i = 0; i < 8; ++i) {
    uuid.bytes[i] = static_cast<std::uint8_t>(number >> (8 * i));
  }
  return MintedExecutionId(partition, uuid);
}

class Table {
 public:
  explicit Table(std::size_t max_executions) : table_(max_executions, 1) {}

  Slot Insert(std::uint64_t hash, std::uint64_t number, std::uint16_t partition = 0) {
    const std::scoped_lock lock(table_.LockOf(hash));
    const Slot slot = table_.Insert(hash);
    if (slot == kNoSlot) return slot;
    const MintedExecutionId id = NumberedId(number, partition);
    table_[slot].uuid = id.view().uuid();
    table_[slot].partition = partition;
    return slot;
  }
  Slot Find(std::uint64_t hash, std::uint64_t number, std::uint16_t partition = 0) {
    const std::scoped_lock lock(table_.LockOf(hash));
    const MintedExecutionId id = NumberedId(number, partition);
    return table_.Find(hash, id.view());
  }
  void Erase(std::uint64_t hash, Slot slot) {
    const std::scoped_lock lock(table_.LockOf(hash));
    table_.Erase(hash, slot);
  }
  bool IsTaken(Slot slot) {
    const std::scoped_lock lock(table_.LockOfSlot(slot));
    return table_.IsTaken(slot);
  }
  ExecutionTable* operator->() { return &table_; }

 private:
  ExecutionTable table_;
};

constexpr std::uint64_t kHash = 0x0123456789ABCD00;

TEST(ExecutionTableTest, OneUuidInTwoPartitions) {
  Table table(16);
  const Slot first = table.Insert(kHash, 1, 7);
  ASSERT_NE(first, kNoSlot);
  EXPECT_EQ(table.Find(kHash, 1, 7), first);
  EXPECT_EQ(table.Find(kHash, 1, 8), kNoSlot);
  const Slot second = table.Insert(kHash, 1, 8);
  EXPECT_NE(second, first);
  EXPECT_EQ(table.Find(kHash, 1, 7), first);
  EXPECT_EQ(table.Find(kHash, 1, 8), second);
}

TEST(ExecutionTableTest, NeverMoreThanTheLimit) {
  Table table(3);
  std::vector<Slot> slots;
  for (std::uint64_t i = 0; i < 3; ++i) slots.push_back(table.Insert(kHash + i, i));
  EXPECT_GT(table->slot_count(), 3u);
  EXPECT_EQ(table.Insert(kHash, 3), kNoSlot);
  EXPECT_EQ(table->size(), 3u);
  table.Erase(kHash + 1, slots[1]);
  EXPECT_FALSE(table.IsTaken(slots[1]));
  EXPECT_NE(table.Insert(kHash, 3), kNoSlot);
  EXPECT_EQ(table.Insert(kHash, 4), kNoSlot);
}

// The hashes of all records lead to the same word of one region, until the region has no slot left.
TEST(ExecutionTableTest, ARegionThatFillsUp) {
  Table table(131072);
  ASSERT_GT(table->region_count(), 1u);
  const std::size_t in_region = table->slot_count() / table->region_count();
  ASSERT_GT(in_region, 8u * 34);  // a word counts up to 255 records that went past it
  ASSERT_LT(in_region, table->max_executions());
  std::vector<Slot> slots;
  for (std::uint64_t i = 0; i < in_region; ++i) {
    slots.push_back(table.Insert(kHash, i));
    ASSERT_NE(slots.back(), kNoSlot) << i;
  }
  EXPECT_EQ(table.Insert(kHash, in_region), kNoSlot);
  EXPECT_EQ(table->size(), in_region);
  EXPECT_EQ(table.Find(kHash, in_region), kNoSlot);
  for (std::uint64_t i = 0; i < in_region; ++i) ASSERT_EQ(table.Find(kHash, i), slots[i]) << i;
  // The other regions have room.
  EXPECT_NE(table.Insert(kHash + 1, in_region), kNoSlot);
  EXPECT_EQ(table->size(), in_region + 1);

  // Some records are erased, the others are still found, and new records take the free slots.
  for (std::uint64_t i = 0; i < in_region; i += 3) table.Erase(kHash, slots[i]);
  for (std::uint64_t i = 0; i < in_region; ++i) {
    ASSERT_EQ(table.Find(kHash, i), i % 3 == 0 ? kNoSlot : slots[i]) << i;
  }
  for (std::uint64_t i = 0; i < in_region; i += 3) {
    slots[i] = table.Insert(kHash, i);
    ASSERT_NE(slots[i], kNoSlot) << i;
  }
  EXPECT_EQ(table.Insert(kHash, in_region), kNoSlot);
  for (std::uint64_t i = 0; i < in_region; ++i) {
    ASSERT_EQ(table.Find(kHash, i), slots[i]) << i;
    table.Erase(kHash, slots[i]);
    ASSERT_EQ(table.Find(kHash, i), kNoSlot) << i;
  }
  EXPECT_EQ(table->size(), 1u);
}

// If every word has been full and records have gone past every word, only the size of the region
// ends a search.
TEST(ExecutionTableTest, AFullRegionThatIsInMotion) {
  Table table(1024);
  const std::size_t in_region = table->slot_count() / table->region_count();
  std::mt19937_64 random(21);
  const auto any_hash = [&random] { return random() & ~std::uint64_t{0xFFFF}; };
  struct Entry {
    std::uint64_t hash;
    Slot slot;
  };
  std::vector<Entry> entries;
  for (std::uint64_t i = 0; i < in_region; ++i) {
    const std::uint64_t hash = any_hash();
    entries.push_back({hash, table.Insert(hash, i)});
    ASSERT_NE(entries.back().slot, kNoSlot);
  }
  for (std::size_t step = 0; step < 20 * in_region; ++step) {
    const std::uint64_t number = random() % in_region;
    Entry& entry = entries[number];
    ASSERT_EQ(table.Find(entry.hash, number), entry.slot);
    table.Erase(entry.hash, entry.slot);
    entry.hash = any_hash();
    entry.slot = table.Insert(entry.hash, number);
    ASSERT_NE(entry.slot, kNoSlot);
    ASSERT_EQ(table.Find(any_hash(), in_region), kNoSlot);
  }
  for (std::uint64_t i = 0; i < in_region; ++i) {
    ASSERT_EQ(table.Find(entries[i].hash, i), entries[i].slot);
  }
}

// Compares the table with a map. There are few first words and tags, so that
// records are in each other's way.
TEST(ExecutionTableTest, RandomHistories) {
  std::mt19937_64 random(20);
  for (int round = 0; round < 20; ++round) {
    Table table(15);  // one region
    std::map<std::uint64_t, Slot> expected;
    const auto hash_of = [](std::uint64_t number) {
      return (number % 3 << 44) + (number % 2 << 60);
    };
    for (int step = 0; step < 2000; ++step) {
      const std::uint64_t number = random() % 25;
      const auto it = expected.find(number);
      ASSERT_EQ(table.Find(hash_of(number), number), it == expected.end() ? kNoSlot : it->second);
      if (it != expected.end()) {
        table.Erase(hash_of(number), it->second);
        expected.erase(it);
      } else {
        const Slot slot = table.Insert(hash_of(number), number);
        ASSERT_EQ(slot == kNoSlot, expected.size() == 15);
        if (slot != kNoSlot) expected[number] = slot;
      }
      ASSERT_EQ(table->size(), expected.size());
    }
  }
}

// A table for a few thousand executions has all 256 regions already, so that two threads rarely
// want the same lock. No region is so small that it fills up before the table does.
TEST(ExecutionTableTest, AFewExecutionsHaveManyRegions) {
  EXPECT_EQ(ExecutionTable(15, 1).region_count(), 1u);
  EXPECT_EQ(ExecutionTable(16, 1).region_count(), 2u);
  EXPECT_EQ(ExecutionTable(1000, 1).region_count(), 64u);
  EXPECT_EQ(ExecutionTable(4096, 1).region_count(), 256u);
  std::mt19937_64 random(22);
  for (const std::size_t size : {1u, 15u, 16u, 100u, 1000u, 5000u}) {
    for (int round = 0; round < 20; ++round) {
      Table table(size);
      for (std::uint64_t i = 0; i < size; ++i) ASSERT_NE(table.Insert(random(), i), kNoSlot);
      ASSERT_EQ(table.Insert(random(), size), kNoSlot);
    }
  }
}

TEST(ExecutionTableTest, TheSeedDecidesTheHash) {
  const MintedExecutionId id = NumberedId(7, 3);
  const auto hash = [&](std::uint64_t seed) { return ExecutionTable(8, seed).Hash(id.view()); };
  EXPECT_EQ(hash(1), hash(1));
  EXPECT_NE(hash(1), hash(2));
}

TEST(PackedTimeTest, KeepsWhatALedgersClockCanSay) {
  PackedTime time;
  EXPECT_EQ(time.Get(), 0);
  for (const std::int64_t ms : {std::int64_t{0}, std::int64_t{1}, std::int64_t{-1},
                                std::int64_t{1'700'000'000'000}, std::int64_t{0x123456789ABC},
                                std::int64_t{-0x123456789ABC}, kMaxTtlMs, -kMaxTtlMs, kNever}) {
    time.Set(ms);
    EXPECT_EQ(time.Get(), ms);
  }
}

// Each thread works in a region of its own. The threads share only the table's count of
// executions.
TEST(ExecutionTableTest, ThreadsKeepTheLimitTogether) {
  constexpr std::size_t kRounds = 300'000;
  ExecutionTable table(16, 1);
  ASSERT_EQ(table.region_count(), 2u);
  std::array<std::size_t, 2> inserted{};
  std::array<bool, 2> kept{true, true};
  std::latch all_are_there(2);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < 2; ++t) {
    threads.emplace_back([&, t] {
      all_are_there.arrive_and_wait();
      for (std::size_t round = 0; round < kRounds; ++round) {
        const std::scoped_lock lock(table.LockOf(t));
        const Slot slot = table.Insert(t);
        if (slot == kNoSlot) continue;
        ++inserted[t];
        const std::size_t size = table.size();
        kept[t] = kept[t] && size >= 1 && size <= 2;
        table.Erase(t, slot);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(inserted, (std::array<std::size_t, 2>{kRounds, kRounds}));
  EXPECT_TRUE(kept[0] && kept[1]);
  EXPECT_EQ(table.size(), 0u);
}

// Numbered uuids spread over all regions, whatever the seed is and wherever in the uuid the number
// stands. If a region filled up, the ledger would refuse executions of this region as if it were
// full.
TEST(ExecutionTableTest, NumberedIdsSpreadOverTheRegions) {
  constexpr std::size_t kRegions = 256;
  constexpr std::uint32_t kIds = 20'000;
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    const ExecutionTable table(1, seed);
    for (const std::size_t at : {0u, 4u, 8u, 12u}) {
      std::array<std::uint32_t, kRegions> counts{};
      for (std::uint32_t number = 0; number < kIds; number += 4) {
        Uuid uuid;
        for (std::size_t i = 0; i < 4; ++i) {
          uuid.bytes[at + i] = static_cast<std::uint8_t>(number >> (24 - 8 * i));
        }
        const MintedExecutionId id(1, uuid);
        ++counts[table.Hash(id.view()) % kRegions];
      }
      // The mean is 20. Chance does not make a count of 60, but even steps make hundreds.
      ASSERT_LT(*std::max_element(counts.begin(), counts.end()), 60u) << seed << " " << at;
    }
  }
}

}  // namespace
}  // namespace ffgrant::internal
