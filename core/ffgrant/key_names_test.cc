// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/key_names.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>

#include "ffgrant/hash_slot.h"
#include "testing/naive/write_checks.h"

namespace ffgrant {
namespace {

using testing::Writes;

// The example of contract 3.
#define E "{fp:7}:11111111-1111-4111-8111-111111111111"

constexpr Partition kPartition{PartitionFamily::kExecution, 7};

ExecutionIdView Id(std::string_view text) {
  const ExecutionIdResult result = ParseExecutionId(text, ParseMode::kLenient);
  EXPECT_TRUE(result);
  return result.id;
}
LaneIdView Lane(std::string_view text) { return LaneIdView::Unchecked(text); }

// Checks the name when it is written into buffers of every size.
template <class Write>
void ExpectKey(std::string_view expected, Write write) {
  SCOPED_TRACE(expected);
  EXPECT_TRUE(Writes(expected, write));
}

struct ExecutionRow {
  ExecutionKey role;
  std::string_view key;
};
constexpr ExecutionRow kExecutionKeys[] = {
    {ExecutionKey::kCore, "ff:exec:{fp:7}:" E ":core"},
    {ExecutionKey::kClaimGrant, "ff:exec:{fp:7}:" E ":claim_grant"},
    {ExecutionKey::kPayload, "ff:exec:{fp:7}:" E ":payload"},
    {ExecutionKey::kResult, "ff:exec:{fp:7}:" E ":result"},
    {ExecutionKey::kPolicy, "ff:exec:{fp:7}:" E ":policy"},
    {ExecutionKey::kTags, "ff:exec:{fp:7}:" E ":tags"},
    {ExecutionKey::kLeaseCurrent, "ff:exec:{fp:7}:" E ":lease:current"},
    {ExecutionKey::kLeaseHistory, "ff:exec:{fp:7}:" E ":lease:history"},
    {ExecutionKey::kAttempts, "ff:exec:{fp:7}:" E ":attempts"},
};

struct AttemptRow {
  AttemptKey role;
  std::uint32_t attempt;
  std::string_view key;
};
constexpr AttemptRow kAttemptKeys[] = {
    {AttemptKey::kAttempt, 0, "ff:attempt:{fp:7}:" E ":0"},
    {AttemptKey::kUsage, 0, "ff:attempt:{fp:7}:" E ":0:usage"},
    {AttemptKey::kPolicy, 0, "ff:attempt:{fp:7}:" E ":0:policy"},
    {AttemptKey::kStreamMeta, 0, "ff:stream:{fp:7}:" E ":0:meta"},
    {AttemptKey::kAttempt, 10, "ff:attempt:{fp:7}:" E ":10"},
    {AttemptKey::kPolicy, 4294967295, "ff:attempt:{fp:7}:" E ":4294967295:policy"},
    {AttemptKey::kStreamMeta, 4294967295, "ff:stream:{fp:7}:" E ":4294967295:meta"},
};

struct LaneRow {
  LaneKey role;
  std::string_view key;
};
constexpr LaneRow kLaneKeys[] = {
    {LaneKey::kEligible, "ff:idx:{fp:7}:lane:main:eligible"},
    {LaneKey::kActive, "ff:idx:{fp:7}:lane:main:active"},
    {LaneKey::kDelayed, "ff:idx:{fp:7}:lane:main:delayed"},
    {LaneKey::kTerminal, "ff:idx:{fp:7}:lane:main:terminal"},
    {LaneKey::kSuspended, "ff:idx:{fp:7}:lane:main:suspended"},
    {LaneKey::kBlockedRoute, "ff:idx:{fp:7}:lane:main:blocked:route"},
    {LaneKey::kBlockedBudget, "ff:idx:{fp:7}:lane:main:blocked:budget"},
    {LaneKey::kBlockedQuota, "ff:idx:{fp:7}:lane:main:blocked:quota"},
    {LaneKey::kBlockedOperator, "ff:idx:{fp:7}:lane:main:blocked:operator"},
    {LaneKey::kBlockedDependencies, "ff:idx:{fp:7}:lane:main:blocked:dependencies"},
};

struct IndexRow {
  PartitionIndexKey role;
  std::string_view key;
};
constexpr IndexRow kIndexKeys[] = {
    {PartitionIndexKey::kLeaseExpiry, "ff:idx:{fp:7}:lease_expiry"},
    {PartitionIndexKey::kAttemptTimeout, "ff:idx:{fp:7}:attempt_timeout"},
    {PartitionIndexKey::kExecutionDeadline, "ff:idx:{fp:7}:execution_deadline"},
    {PartitionIndexKey::kAllExecutions, "ff:idx:{fp:7}:all_executions"},
    {PartitionIndexKey::kNoop, "ff:noop:{fp:7}"},
};

TEST(KeyNamesTest, ExecutionKeys) {
  for (const ExecutionRow& row : kExecutionKeys) {
    ExpectKey(row.key, [&](std::span<char> out) { return FormatKey(row.role, Id(E), out); });
    EXPECT_EQ(HashSlot(row.key), HashSlot(kPartition));
  }
}

TEST(KeyNamesTest, AttemptKeys) {
  for (const AttemptRow& row : kAttemptKeys) {
    ExpectKey(row.key, [&](std::span<char> out) {
      return FormatKey(row.role, Id(E), AttemptIndex{row.attempt}, out);
    });
  }
}

TEST(KeyNamesTest, LaneKeys) {
  for (const LaneRow& row : kLaneKeys) {
    ExpectKey(row.key, [&](std::span<char> out) {
      return FormatKey(row.role, kPartition, Lane("main"), out);
    });
  }
}

TEST(KeyNamesTest, PartitionIndexKeys) {
  for (const IndexRow& row : kIndexKeys) {
    ExpectKey(row.key, [&](std::span<char> out) { return FormatKey(row.role, kPartition, out); });
  }
}

TEST(KeyNamesTest, OtherKeys) {
  ExpectKey("ff:idx:{fp:7}:worker:w1-i1:leases",
            [](std::span<char> out) { return FormatWorkerLeasesKey(kPartition, {"w1-i1"}, out); });
  ExpectKey("ff:idem:{fp:7}:default:k1", [](std::span<char> out) {
    return FormatIdempotencyKey(kPartition, {"default"}, "k1", out);
  });
  ExpectKey("ff:lane:main:config",
            [](std::span<char> out) { return FormatLaneConfigKey(Lane("main"), out); });
  ExpectKey("ff:worker:default:w1-i1:alive", [](std::span<char> out) {
    return FormatKey(WorkerKey::kAlive, {"default"}, {"w1-i1"}, out);
  });
  ExpectKey("ff:worker:default:w1-i1:caps", [](std::span<char> out) {
    return FormatKey(WorkerKey::kCaps, {"default"}, {"w1-i1"}, out);
  });
  ExpectKey("ff:idx:default:workers",
            [](std::span<char> out) { return FormatWorkerIndexKey({"default"}, out); });
  EXPECT_EQ(kPartitionConfigKey, "ff:config:partitions");
  EXPECT_EQ(kLaneRegistryKey, "ff:idx:lanes");
}

// The tag is that of the parsed partition; the id after it is kept as it was spelled.
TEST(KeyNamesTest, SpellingsKeepTheSlotButNotTheRecord) {
#define SPELLED "{fp:+007}:{11111111-1111-4111-8111-11111111111A}"
  const ExecutionIdView id = Id(SPELLED);
  ExpectKey("ff:exec:{fp:7}:" SPELLED ":core",
            [&](std::span<char> out) { return FormatKey(ExecutionKey::kCore, id, out); });
  ExpectKey("ff:attempt:{fp:7}:" SPELLED ":3:usage", [&](std::span<char> out) {
    return FormatKey(AttemptKey::kUsage, id, AttemptIndex{3}, out);
  });
  EXPECT_EQ(HashSlot("ff:exec:{fp:7}:" SPELLED ":core"), 2729);
#undef SPELLED
}

TEST(KeyNamesTest, PartitionsOfEveryFamilyGiveTheirTag) {
  ExpectKey("ff:idx:{b:31}:lease_expiry", [](std::span<char> out) {
    return FormatKey(PartitionIndexKey::kLeaseExpiry, Partition{PartitionFamily::kBudget, 31}, out);
  });
  ExpectKey("ff:noop:{q:65535}", [](std::span<char> out) {
    return FormatKey(PartitionIndexKey::kNoop, Partition{PartitionFamily::kQuota, 65535}, out);
  });
  ExpectKey("ff:idx:{fp:0}:lane:a b{}:active", [](std::span<char> out) {
    return FormatKey(LaneKey::kActive, Partition{PartitionFamily::kFlow, 0}, Lane("a b{}"), out);
  });
}

TEST(KeyNamesTest, EmptyAndLongTextsPassThrough) {
  ExpectKey("ff:lane::config",
            [](std::span<char> out) { return FormatLaneConfigKey(Lane(""), out); });
  const std::string name(5000, 'n');
  std::string out(11000, '\0');
  const WriteResult written = FormatIdempotencyKey(kPartition, {name}, name, out);
  ASSERT_TRUE(written);
  EXPECT_EQ(out.substr(0, written.size), "ff:idem:{fp:7}:" + name + ":" + name);
}

// The largest keys have exactly the published sizes.
TEST(KeyNamesTest, MaxSizesAreReachedAndNotExceeded) {
  const std::string_view text = "{fp:65535}:ffffffff-ffff-4fff-8fff-ffffffffffff";
  const ExecutionIdView id = Id(text);
  const Partition partition = id.partition();
  const std::string lane(kMaxLaneIdSize, 'l');
  const std::string name(kMaxWorkerNameSize, 'n');
  const AttemptIndex attempt{std::numeric_limits<std::uint32_t>::max()};
  const auto needed = [](auto... arguments) { return FormatKey(arguments..., {}).size; };

  std::size_t largest = 0;
  for (const ExecutionRow& row : kExecutionKeys) largest = std::max(largest, needed(row.role, id));
  EXPECT_EQ(largest, kMaxExecutionKeySize);
  largest = 0;
  for (const AttemptKey role :
       {AttemptKey::kAttempt, AttemptKey::kUsage, AttemptKey::kPolicy, AttemptKey::kStreamMeta}) {
    largest = std::max(largest, needed(role, id, attempt));
  }
  EXPECT_EQ(largest, kMaxAttemptKeySize);
  largest = 0;
  for (const LaneRow& row : kLaneKeys) {
    largest = std::max(largest, needed(row.role, partition, Lane(lane)));
  }
  EXPECT_EQ(largest, kMaxLaneKeySize);
  largest = 0;
  for (const IndexRow& row : kIndexKeys) largest = std::max(largest, needed(row.role, partition));
  EXPECT_EQ(largest, kMaxPartitionIndexKeySize);
  EXPECT_EQ(FormatWorkerLeasesKey(partition, {name}, {}).size, kMaxWorkerLeasesKeySize);
  EXPECT_EQ(FormatLaneConfigKey(Lane(lane), {}).size, kMaxLaneConfigKeySize);
}

#undef E

}  // namespace
}  // namespace ffgrant
