// SPDX-License-Identifier: Apache-2.0
//
// Compares each fast way to read a canonical id with the naive parser, which was written from the
// grammar.

#include "ffgrant/internal/canonical_execution_id.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <random>
#include <string>
#include <string_view>

#include "ffgrant/internal/canonical_execution_id_avx2.h"
#include "testing/naive/guarded_buffer.h"
#include "testing/naive/mutate.h"
#include "testing/naive/naive_execution_id.h"

namespace ffgrant::internal {
namespace {

using testing::ForEachSingleByteEdit;
using testing::GuardedBuffer;
using testing::NaiveExecutionId;
using testing::NaiveParseExecutionId;

using Parser = bool (*)(std::string_view text, std::uint16_t& index, Uuid& uuid) noexcept;

class CanonicalExecutionIdTest : public ::testing::Test {
 protected:
  // Checks `text` at either end of the readable memory.
  void Check(std::string_view text) {
    CheckAt(memory_.AtEnd(text));
    CheckAt(memory_.AtStart(text));
  }

  int accepted_ = 0;

 private:
  void CheckAt(std::string_view text) {
    const NaiveExecutionId expected = NaiveParseExecutionId(text, ParseMode::kStrict);
    if (expected.error == ExecutionIdError::kNone) ++accepted_;
    CheckParser(ParseCanonicalExecutionId, text, expected);
#ifdef FFGRANT_HAS_AVX2_PATHS
    if (HasAvx2()) CheckParser(ParseCanonicalExecutionIdAvx2, text, expected);
#endif
  }

  void CheckParser(Parser parse, std::string_view text, const NaiveExecutionId& expected) {
    std::uint16_t index;
    Uuid uuid;
    const bool canonical = parse(text, index, uuid);
    ASSERT_EQ(canonical, expected.error == ExecutionIdError::kNone) << text;
    if (!canonical) return;
    ASSERT_EQ(index, expected.index) << text;
    ASSERT_EQ(uuid, expected.uuid) << text;
  }

  GuardedBuffer memory_;
};

TEST_F(CanonicalExecutionIdTest, EverySingleByteEdit) {
  for (const std::string_view index : {"0", "7", "10", "99", "255", "1000", "65535", "65536",
                                       "99999", "00", "01", "00001", "100000"}) {
    ForEachSingleByteEdit("{fp:" + std::string(index) + "}:01234567-89ab-cdef-fedc-ba9876543210",
                          [this](const std::string& text) { Check(text); });
  }
  EXPECT_GT(accepted_, 1000);
}

TEST_F(CanonicalExecutionIdTest, EveryIndexAndWhatIsAboveIt) {
  std::mt19937_64 random(11);
  for (unsigned index = 0; index < 100'000; ++index) {
    std::string uuid = "00000000-0000-0000-0000-000000000000";
    for (char& c : uuid) {
      if (c != '-') c = "0123456789abcdef"[random() % 16];
    }
    Check("{fp:" + std::to_string(index) + "}:" + uuid);
  }
  EXPECT_EQ(accepted_, 2 * 65536);
}

}  // namespace
}  // namespace ffgrant::internal
