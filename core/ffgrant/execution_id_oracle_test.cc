// SPDX-License-Identifier: Apache-2.0
//
// Compares the execution id parser with a naive parser that was written from the grammar, without a
// fast path.

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>

#include "ffgrant/execution_id.h"
#include "ffgrant/internal/cpu.h"
#include "testing/naive/guarded_buffer.h"
#include "testing/naive/mutate.h"
#include "testing/naive/naive_execution_id.h"

namespace ffgrant {
namespace {

using testing::ForEachSingleByteEdit;
using testing::ForEachString;
using testing::GuardedBuffer;
using testing::Mutated;
using testing::NaiveExecutionId;
using testing::NaiveParseExecutionId;
using testing::NaiveUuidText;

constexpr std::string_view kUuid = "550e8400-e29b-41d4-a716-446655440000";

bool Same(const ExecutionIdResult& got, const NaiveExecutionId& expected, std::string_view text) {
  if (got.error != expected.error || got.offset != expected.offset ||
      got.payload != expected.payload) {
    return false;
  }
  if (!got) return got.id.text().empty();
  return got.id.text() == text && got.id.text().data() == text.data() &&
         got.id.partition().index == expected.index && got.id.uuid() == expected.uuid &&
         got.id.is_canonical() == expected.canonical;
}

// Compares the parser with the naive parser in both modes, with all instructions and without AVX2.
// Each input ends right before a page that can't be read.
class Comparer {
 public:
  void operator()(std::string_view text) {
    const std::string_view guarded = buffer_.AtEnd(text);
    for (const ParseMode mode : {ParseMode::kLenient, ParseMode::kStrict}) {
      const NaiveExecutionId expected = NaiveParseExecutionId(guarded, mode);
      const ExecutionIdResult got = ParseExecutionId(guarded, mode);
      accepted_ += got ? 1 : 0;
      // Here the parser takes the path of machines without AVX2.
      const internal::ForceCpuFeatures force(0);
      const ExecutionIdResult portable = ParseExecutionId(guarded, mode);
      if (!Same(portable, expected, guarded) && ++differences_ <= 10) {
        ADD_FAILURE() << ::testing::PrintToString(text) << " without AVX2: expected "
                      << ErrorName(expected.error) << ", got " << ErrorName(portable.error);
      }
      if (!Same(got, expected, guarded) && ++differences_ <= 10) {
        ADD_FAILURE() << ::testing::PrintToString(text)
                      << (mode == ParseMode::kStrict ? " strict" : " lenient") << ": expected "
                      << ErrorName(expected.error) << " at " << expected.offset << " payload "
                      << ::testing::PrintToString(expected.payload) << ", got "
                      << ErrorName(got.error) << " at " << got.offset << " payload "
                      << ::testing::PrintToString(got.payload);
      }
    }
  }
  int accepted() const { return accepted_; }

 private:
  GuardedBuffer buffer_;
  int accepted_ = 0;
  int differences_ = 0;
};

std::string Id(std::string_view index, std::string_view uuid) {
  return "{fp:" + std::string(index) + "}:" + std::string(uuid);
}

TEST(ExecutionIdOracleTest, AgreesOnEveryShortString) {
  Comparer compare;
  ForEachString("{}:fp0+-", 5, [&](const std::string& text) { compare(text); });
  EXPECT_EQ(compare.accepted(), 0);
}

TEST(ExecutionIdOracleTest, AgreesOnEveryShortTail) {
  Comparer compare;
  ForEachString("{}:0167+-f", 5, [&](const std::string& text) { compare("{fp:" + text); });
  EXPECT_EQ(compare.accepted(), 0);
}

TEST(ExecutionIdOracleTest, AgreesOnEveryShortIndexBeforeAUuid) {
  Comparer compare;
  ForEachString("+-0156}:", 5, [&](const std::string& text) { compare(Id(text, kUuid)); });
  EXPECT_GT(compare.accepted(), 0);
}

TEST(ExecutionIdOracleTest, AgreesOnEverySingleByteEdit) {
  Comparer compare;
  const std::string uuid(kUuid);
  const std::string ids[] = {
      Id("7", uuid),
      Id("65535", uuid),
      Id("10", "ffffffff-ffff-ffff-ffff-ffffffffffff"),
      Id("+07", "550E8400-E29B-41D4-A716-446655440000"),
      Id("256", "550e8400e29b41d4a716446655440000"),
      Id("256", "{" + uuid + "}"),
      Id("256", "urn:uuid:" + uuid),
  };
  for (const std::string& id : ids) {
    ForEachSingleByteEdit(id, [&](const std::string& text) { compare(text); });
  }
  EXPECT_GT(compare.accepted(), 0);
}

// Makes two edits at a time within the first seven bytes, so that the tag, the index and `}:` are
// wrong one by one and in pairs.
TEST(ExecutionIdOracleTest, AgreesOnPairsOfEditsOfTheTag) {
  Comparer compare;
  const std::string id = Id("7", kUuid);
  constexpr std::string_view kBytes("{}:fp+-079 \0\xFF", 13);
  for (std::size_t i = 0; i < 7; ++i) {
    for (std::size_t j = 0; j < 7; ++j) {
      for (const char a : kBytes) {
        for (const char b : kBytes) {
          std::string text = id;
          text[i] = a;
          text.insert(j, 1, b);
          compare(text);
        }
      }
    }
  }
  EXPECT_GT(compare.accepted(), 0);
}

TEST(ExecutionIdOracleTest, AgreesOnEveryPrefix) {
  Comparer compare;
  const std::string id = Id("65535", "urn:uuid:" + std::string(kUuid));
  for (std::size_t size = 0; size <= id.size(); ++size) {
    compare(std::string_view(id).substr(0, size));
    compare(std::string_view(id).substr(size));
  }
}

TEST(ExecutionIdOracleTest, AgreesOnMutations) {
  std::mt19937_64 random(20260703);
  Comparer compare;
  for (int i = 0; i < 100'000; ++i) {
    Uuid uuid;
    for (std::uint8_t& byte : uuid.bytes) byte = static_cast<std::uint8_t>(random());
    const std::string id =
        Id(std::to_string(static_cast<std::uint16_t>(random())), NaiveUuidText(uuid));
    compare(id);
    compare(Mutated(id, "{}:fp+-0123456789abcdefABCDEF", random));
  }
  EXPECT_GT(compare.accepted(), 200'000);
}

}  // namespace
}  // namespace ffgrant
