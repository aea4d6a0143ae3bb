// SPDX-License-Identifier: Apache-2.0
//
// Compares the partition key parser with a naive parser that was written from the grammar, without
// a fast path.

#include <gtest/gtest.h>

#include <cstdint>
#include <random>
#include <string>
#include <string_view>

#include "ffgrant/partition_key.h"
#include "testing/naive/guarded_buffer.h"
#include "testing/naive/mutate.h"
#include "testing/naive/naive_partition_key.h"

namespace ffgrant {
namespace {

using testing::ForEachSingleByteEdit;
using testing::ForEachString;
using testing::GuardedBuffer;
using testing::Mutated;
using testing::NaiveParsePartitionKey;
using testing::NaivePartitionTag;

// Compares the parser with the naive parser in both modes, on inputs that end right before a page
// that can't be read.
class Comparer {
 public:
  void operator()(std::string_view text) {
    const std::string_view guarded = buffer_.AtEnd(text);
    for (const ParseMode mode : {ParseMode::kLenient, ParseMode::kStrict}) {
      const PartitionKeyResult expected = NaiveParsePartitionKey(guarded, mode);
      const PartitionKeyResult got = ParsePartitionKey(guarded, mode);
      accepted_ += got ? 1 : 0;
      if (got != expected && ++differences_ <= 10) {
        ADD_FAILURE() << ::testing::PrintToString(text)
                      << (mode == ParseMode::kStrict ? " strict" : " lenient") << ": expected "
                      << ErrorName(expected.error) << " at " << expected.offset << " payload "
                      << ::testing::PrintToString(expected.payload) << " index "
                      << expected.partition.index << ", got " << ErrorName(got.error) << " at "
                      << got.offset << " payload " << ::testing::PrintToString(got.payload)
                      << " index " << got.partition.index;
      }
    }
  }
  int accepted() const { return accepted_; }

 private:
  GuardedBuffer buffer_;
  int accepted_ = 0;
  int differences_ = 0;
};

constexpr PartitionFamily kWireFamilies[] = {PartitionFamily::kFlow, PartitionFamily::kBudget,
                                             PartitionFamily::kQuota};

TEST(PartitionKeyOracleTest, EveryCanonicalKeyRoundTrips) {
  GuardedBuffer buffer;
  for (const PartitionFamily family : kWireFamilies) {
    for (std::uint32_t index = 0; index <= 65535; ++index) {
      const Partition partition{family, static_cast<std::uint16_t>(index)};
      const std::string_view text = buffer.AtEnd(NaivePartitionTag(partition));
      const PartitionKeyResult strict = ParsePartitionKey(text, ParseMode::kStrict);
      ASSERT_EQ(strict, (PartitionKeyResult{partition, PartitionKeyError::kNone, 0, {}})) << text;
      ASSERT_EQ(ParsePartitionKey(text, ParseMode::kLenient), strict) << text;
      ASSERT_EQ(PartitionTag(strict.partition).view(), text);
    }
  }
}

TEST(PartitionKeyOracleTest, AgreesBeyondTheLargestIndex) {
  Comparer compare;
  for (const std::string_view prefix : {"{fp:", "{b:", "{q:"}) {
    for (std::uint32_t index = 65536; index < 140000; ++index) {
      compare(std::string(prefix) + std::to_string(index) + "}");
    }
  }
  EXPECT_EQ(compare.accepted(), 0);
}

TEST(PartitionKeyOracleTest, AgreesOnEveryShortString) {
  Comparer compare;
  ForEachString("{}:fpbq+0165-", 5, [&](const std::string& text) { compare(text); });
  EXPECT_GT(compare.accepted(), 0);
}

TEST(PartitionKeyOracleTest, AgreesOnEveryShortIndex) {
  Comparer compare;
  for (const std::string_view prefix : {"{fp:", "{b:"}) {
    ForEachString("+-0156} :", 5,
                  [&](const std::string& text) { compare(std::string(prefix) + text + "}"); });
  }
  EXPECT_GT(compare.accepted(), 0);
}

TEST(PartitionKeyOracleTest, AgreesOnEverySingleByteEdit) {
  Comparer compare;
  for (const std::string_view key : {"{fp:7}", "{fp:65535}", "{b:31}", "{q:10000}", "{fp:+007}"}) {
    ForEachSingleByteEdit(key, [&](const std::string& text) { compare(text); });
  }
  EXPECT_GT(compare.accepted(), 0);
}

TEST(PartitionKeyOracleTest, AgreesOnMutations) {
  std::mt19937_64 random(20260703);
  Comparer compare;
  for (int i = 0; i < 200'000; ++i) {
    const Partition partition{kWireFamilies[random() % 3], static_cast<std::uint16_t>(random())};
    compare(Mutated(NaivePartitionTag(partition), "{}:fpbq+-0123456789", random));
  }
  EXPECT_GT(compare.accepted(), 0);
}

}  // namespace
}  // namespace ffgrant
