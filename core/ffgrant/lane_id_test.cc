// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/lane_id.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "testing/naive/guarded_buffer.h"
#include "testing/naive/write_checks.h"

namespace ffgrant {
namespace {

using testing::GuardedBuffer;
using testing::Writes;

using enum LaneIdError;

TEST(LaneIdTest, AcceptsPrintableAsciiOfUpTo64Bytes) {
  for (const std::string& text :
       {std::string("main"), std::string("a"), std::string(" "), std::string("~"),
        std::string("  lane with spaces "), std::string("{fp:7}:x"), std::string(64, 'x')}) {
    SCOPED_TRACE(text);
    const LaneIdResult result = ParseLaneId(text);
    EXPECT_TRUE(result);
    EXPECT_EQ(result.error, LaneIdError::kNone);
    EXPECT_EQ(result.offset, 0u);
    EXPECT_EQ(result.lane.text(), text);
    EXPECT_EQ(result.lane.text().data(), text.data());
  }
}

TEST(LaneIdTest, EmptinessThenLengthThenBytes) {
  EXPECT_EQ(ParseLaneId("").error, kEmpty);
  EXPECT_EQ(ParseLaneId("").offset, 0u);
  const std::string long_and_bad = "\n" + std::string(64, 'x');
  EXPECT_EQ(ParseLaneId(long_and_bad).error, kTooLong);
  EXPECT_EQ(ParseLaneId(long_and_bad).offset, 65u);
  EXPECT_EQ(ParseLaneId(std::string(100'000, 'x')).offset, 100'000u);
}

TEST(LaneIdTest, FindsTheFirstBadByteAtEveryPlaceOfEveryLength) {
  GuardedBuffer buffer;
  for (std::size_t size = 1; size <= 64; ++size) {
    ASSERT_TRUE(ParseLaneId(buffer.AtEnd(std::string(size, 'x'))));
    for (std::size_t place = 0; place < size; ++place) {
      std::string text(size, 'x');
      text[place] = '\x7F';
      if (place + 1 < size) text[size - 1] = '\x01';
      const LaneIdResult result = ParseLaneId(buffer.AtEnd(text));
      ASSERT_EQ(result.error, kNotPrintable);
      ASSERT_EQ(result.offset, place);
    }
  }
}

TEST(LaneIdTest, JudgesEveryByteValue) {
  for (int value = 0; value < 256; ++value) {
    for (const std::size_t place : {0u, 1u, 7u, 8u, 15u, 16u, 31u, 63u}) {
      std::string text(64, 'x');
      text[place] = static_cast<char>(value);
      const LaneIdResult result = ParseLaneId(text);
      if (value >= 0x20 && value <= 0x7E) {
        ASSERT_TRUE(result) << value;
      } else {
        ASSERT_EQ(result.error, kNotPrintable) << value;
        ASSERT_EQ(result.offset, place) << value;
      }
    }
  }
}

TEST(LaneIdTest, ErrorsReadAsTheReferences) {
  struct Row {
    std::string text;
    std::string_view message;
  };
  const Row rows[] = {
      {"", "lane_id is empty"},
      {std::string(65, 'x'), "lane_id exceeds 64 bytes (got 65)"},
      {std::string(100'000, 'x'), "lane_id exceeds 64 bytes (got 100000)"},
      {"caf\xC3\xA9", "lane_id contains non-ASCII-printable byte at index 3"},
      {std::string(63, 'x').append("\t"), "lane_id contains non-ASCII-printable byte at index 63"},
  };
  for (const Row& row : rows) {
    const LaneIdResult result = ParseLaneId(row.text);
    EXPECT_TRUE(
        Writes(row.message, [&](std::span<char> out) { return FormatLaneIdError(result, out); }));
  }
}

TEST(LaneIdTest, ErrorsHaveNames) {
  EXPECT_EQ(ErrorName(LaneIdError::kNone), "none");
  EXPECT_EQ(ErrorName(kEmpty), "empty");
  EXPECT_EQ(ErrorName(kTooLong), "too_long");
  EXPECT_EQ(ErrorName(kNotPrintable), "not_printable");
}

TEST(LaneIdTest, UncheckedTakesAnything) {
  const std::string anything(100, '\n');
  EXPECT_EQ(LaneIdView::Unchecked(anything).text(), anything);
  EXPECT_EQ(LaneIdView::Unchecked("a"), LaneIdView::Unchecked("a"));
  EXPECT_NE(LaneIdView::Unchecked("a"), LaneIdView::Unchecked("b"));
}

}  // namespace
}  // namespace ffgrant
