// SPDX-License-Identifier: Apache-2.0
//
// Tests that a writer that breaks its promises (write_result.h) fails the case.

#include "testing/vectors/vector_case.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <span>
#include <string_view>

namespace ffgrant::conformance {
namespace {

constexpr std::string_view kText = "text";

WriteResult WriteWell(std::span<char> out) {
  if (out.size() < kText.size()) return {kText.size(), WriteError::kBufferTooSmall};
  std::copy(kText.begin(), kText.end(), out.begin());
  return {kText.size(), WriteError::kNone};
}

TEST(WrittenTest, AGoodWriterPasses) {
  Case result;
  EXPECT_EQ(Written("a text", WriteWell, result), kText);
  EXPECT_TRUE(result.passed());
}

TEST(WrittenTest, AnEmptyTextPasses) {
  Case result;
  EXPECT_EQ(Written(
                "nothing", [](std::span<char>) { return WriteResult{}; }, result),
            "");
  EXPECT_TRUE(result.passed());
}

TEST(WrittenTest, AWriterThatAsksForNoBytesFails) {
  Case result;
  EXPECT_EQ(Written(
                "a text",
                [](std::span<char>) {
                  return WriteResult{0, WriteError::kBufferTooSmall};
                },
                result),
            "");
  ASSERT_EQ(result.differences().size(), 1u);
  EXPECT_EQ(result.differences()[0].got, "0 bytes");
}

TEST(WrittenTest, AWriterThatFailsFails) {
  Case result;
  EXPECT_EQ(Written(
                "a text",
                [](std::span<char>) {
                  return WriteResult{0, WriteError::kInvalidUtf8};
                },
                result),
            "");
  EXPECT_FALSE(result.passed());
}

TEST(WrittenTest, AWriterThatUsesAShortBufferFails) {
  Case result;
  (void)Written(
      "a text",
      [](std::span<char> out) {
        const WriteResult written = WriteWell(out);
        if (!written && !out.empty()) out[0] = 't';
        return written;
      },
      result);
  EXPECT_FALSE(result.passed());
}

TEST(WrittenTest, AWriterThatChangesItsMindFails) {
  Case result;
  (void)Written(
      "a text",
      [](std::span<char> out) {
        const WriteResult written = WriteWell(out);
        return written || out.empty() ? written
                                      : WriteResult{written.size + 1, WriteError::kBufferTooSmall};
      },
      result);
  EXPECT_FALSE(result.passed());
}

}  // namespace
}  // namespace ffgrant::conformance
