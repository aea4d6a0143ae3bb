// SPDX-License-Identifier: Apache-2.0
//
// Tests ids in hash tables, in streams and in std::format.

#include "ffgrant/id_text.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <sstream>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "ffgrant/id_format.h"

namespace ffgrant {
namespace {

constexpr std::string_view kText = "{fp:7}:11111111-1111-4111-8111-111111111111";
constexpr std::string_view kUuidText = "00112233-4455-6677-8899-aabbccddeeff";

Uuid TheUuid() { return ParseUuid(kUuidText, ParseMode::kStrict).uuid; }
ExecutionIdView TheId() { return ParseExecutionId(kText, ParseMode::kStrict).id; }

template <class T>
std::string Streamed(const T& id) {
  std::ostringstream out;
  out << id;
  return out.str();
}

// Calls `check` with at least one id of each kind that IdText() takes, and with the id's text.
template <class Check>
void ForEachId(Check&& check) {
  check(TheUuid(), kUuidText);
  check(LeaseId{TheUuid()}, kUuidText);
  check(AttemptId{TheUuid()}, kUuidText);
  check(WorkerIdView{"worker 1"}, "worker 1");
  check(WorkerInstanceIdView{}, "");
  check(LeaseEpoch{18446744073709551615u}, "18446744073709551615");
  check(AttemptIndex{3}, "3");
  check(TimestampMs{-5}, "-5");
  check(ParseLaneId("a lane").lane, "a lane");
  check(TheId(), kText);
  check(ExecutionId(TheId()), kText);
  check(MintedExecutionId(7, ParseUuid(kText.substr(7), ParseMode::kStrict).uuid), kText);
  check(Partition{PartitionFamily::kBudget, 65535}, "{b:65535}");
  check(PartitionKey("{fp:+7}"), "{fp:+7}");  // the text keeps its spelling
}

TEST(IdText, OfEveryKindInStreams) {
  ForEachId([](const auto& id, std::string_view text) { EXPECT_EQ(Streamed(id), text); });
}

TEST(IdText, KeepsTheOptionsOfAStream) {
  std::ostringstream out;
  out.width(5);
  out.fill('.');
  out << LeaseEpoch{42} << '|';
  out.width(6);
  out << WorkerIdView{"w"};
  EXPECT_EQ(out.str(), "...42|.....w");
}

#ifdef __cpp_lib_format
TEST(IdText, OfEveryKindInFormat) {
  ForEachId([](const auto& id, std::string_view text) { EXPECT_EQ(std::format("{}", id), text); });
  EXPECT_EQ(std::format("{:>10}|{:05}", WorkerIdView{"w"}, LeaseEpoch{42}), "         w|00042");
}
#endif

// IdText() takes only ids, so no stream accepts another type as an id.
static_assert(Id<Uuid> && Id<ExecutionId> && Id<TimestampMs> && Id<Partition>);
static_assert(!Id<std::string> && !Id<std::string_view> && !Id<int> && !Id<const char*>);
static_assert(!Id<LeaseFence> && !Id<PartitionConfig>);

TEST(IdHash, EqualIdsAreFound) {
  std::unordered_map<ExecutionId, int> executions;
  executions[ExecutionId(TheId())] = 1;
  EXPECT_EQ(executions.count(ExecutionId(TheId())), 1u);
  const auto other =
      ParseExecutionId("{fp:8}:11111111-1111-4111-8111-111111111111", ParseMode::kStrict);
  EXPECT_EQ(executions.count(ExecutionId(other.id)), 0u);

  EXPECT_EQ(std::hash<ExecutionIdView>()(TheId()), std::hash<ExecutionId>()(ExecutionId(TheId())));
  EXPECT_EQ(std::unordered_set<LaneIdView>({ParseLaneId("a").lane, ParseLaneId("a").lane}).size(),
            1u);
  EXPECT_EQ(
      std::unordered_set<PartitionKey>({PartitionKey("{fp:7}"), PartitionKey("{fp:+7}")}).size(),
      2u);  // two texts, although they mean one partition
  EXPECT_EQ(std::unordered_set<WorkerIdView>({{"w"}, {"w"}, {"v"}}).size(), 2u);
  EXPECT_EQ(std::unordered_set<LeaseEpoch>({{1}, {2}, {1}}).size(), 2u);
}

TEST(IdHash, EveryBitOfAUuidCounts) {
  std::set<std::size_t> hashes = {std::hash<Uuid>()(TheUuid())};
  for (std::size_t bit = 0; bit < 128; ++bit) {
    Uuid uuid = TheUuid();
    uuid.bytes[bit / 8] ^= static_cast<std::uint8_t>(1u << bit % 8);
    EXPECT_EQ(std::hash<Uuid>()(uuid), std::hash<LeaseId>()(LeaseId{uuid}));
    hashes.insert(std::hash<Uuid>()(uuid));
  }
  EXPECT_EQ(hashes.size(), 129u);
}

TEST(IdHash, FamiliesAndIndicesAreToldApart) {
  std::set<std::size_t> hashes;
  for (const auto family : {PartitionFamily::kFlow, PartitionFamily::kExecution,
                            PartitionFamily::kBudget, PartitionFamily::kQuota}) {
    for (const int index : {0, 1, 255, 65535}) {
      hashes.insert(std::hash<Partition>()({family, static_cast<std::uint16_t>(index)}));
    }
  }
  EXPECT_EQ(hashes.size(), 16u);
}

// Compares the order of <=> with the order of the bytes, compared one by one.
TEST(UuidOrder, IsThatOfTheBytes) {
  std::vector<Uuid> uuids(1);
  for (const int byte : {0, 1, 7, 8, 15}) {
    for (const int value : {1, 127, 128, 255}) {
      Uuid uuid;
      uuid.bytes[static_cast<std::size_t>(byte)] = static_cast<std::uint8_t>(value);
      uuids.push_back(uuid);
      uuid.bytes[15] ^= 1;
      uuids.push_back(uuid);
    }
  }
  for (const Uuid& a : uuids) {
    for (const Uuid& b : uuids) {
      const bool less = std::lexicographical_compare(a.bytes.begin(), a.bytes.end(),
                                                     b.bytes.begin(), b.bytes.end());
      EXPECT_EQ(a < b, less);
      EXPECT_EQ(a == b, a.bytes == b.bytes);
      EXPECT_EQ(LeaseId{a} < LeaseId{b}, less);
    }
  }
}

}  // namespace
}  // namespace ffgrant
