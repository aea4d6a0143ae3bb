// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/valkey/backoff.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <utility>

namespace ffgrant::valkey {
namespace {

TEST(Backoff, DoublesUpToItsEndWithHalfLeftToChance) {
  constexpr Backoff kBackoff = {.first_ms = 10, .longest_ms = 100};
  constexpr std::pair<std::uint32_t, std::int64_t> kSteps[] = {
      {0, 10},  {1, 10},  {2, 20},     {3, 40},          {4, 80},
      {5, 100}, {6, 100}, {1000, 100}, {UINT32_MAX, 100}};
  for (const auto& [failures, step] : kSteps) {
    std::int64_t least = INT64_MAX;
    std::int64_t most = 0;
    for (std::uint64_t random = 0; random < 200; ++random) {
      const std::int64_t delay = kBackoff.DelayMs(failures, random);
      least = std::min(least, delay);
      most = std::max(most, delay);
    }
    EXPECT_EQ(least, step / 2) << failures;
    EXPECT_EQ(most, step) << failures;
  }
  EXPECT_EQ((Backoff{.first_ms = 1, .longest_ms = 1}.DelayMs(1, 0)), 1);
}

}  // namespace
}  // namespace ffgrant::valkey
