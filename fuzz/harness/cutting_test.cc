// SPDX-License-Identifier: Apache-2.0

#include "harness/cutting.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <numeric>
#include <set>
#include <vector>

#include "harness/random.h"

namespace ffgrant::fuzz {
namespace {

using Bytes = std::vector<std::uint8_t>;
using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;

// Returns all that cuts can leave of the bytes 0, 1, 2, ...
std::set<Bytes> Outcomes(std::size_t size, std::size_t max_size, std::size_t unit) {
  std::set<Bytes> outcomes;
  Random random(1);
  for (int i = 0; i < 20000; ++i) {
    Bytes bytes(size);
    std::iota(bytes.begin(), bytes.end(), std::uint8_t{0});
    const Bytes whole = bytes;
    bytes.resize(CutToFit(random, bytes.data(), size, max_size, unit));
    EXPECT_LE(bytes.size(), max_size);
    outcomes.insert(bytes);
  }
  return outcomes;
}

TEST(CuttingTest, TakesOutEveryRunButAll) {
  EXPECT_THAT(Outcomes(3, 2, 1),
              UnorderedElementsAre(Bytes{0, 1}, Bytes{0, 2}, Bytes{1, 2}, Bytes{0}, Bytes{2}));
  EXPECT_THAT(Outcomes(2, 1, 1), UnorderedElementsAre(Bytes{0}, Bytes{1}));
  // A run of n bytes can be at any of 20 - n + 1 places.
  std::size_t runs = 0;
  for (std::size_t n = 4; n < 20; ++n) runs += 20 - n + 1;
  EXPECT_EQ(Outcomes(20, 16, 1).size(), runs);
}

TEST(CuttingTest, LeavesNothingWhereNothingFits) {
  EXPECT_THAT(Outcomes(3, 0, 1), ElementsAre(Bytes{}));
  EXPECT_THAT(Outcomes(1, 0, 1), ElementsAre(Bytes{}));
  EXPECT_THAT(Outcomes(7, 0, 3), ElementsAre(Bytes{}));
}

TEST(CuttingTest, TakesOutWholeUnitsAndMovesAnIncompleteOne) {
  EXPECT_THAT(Outcomes(6, 5, 2), UnorderedElementsAre(Bytes{2, 3, 4, 5}, Bytes{0, 1, 4, 5},
                                                      Bytes{0, 1, 2, 3}, Bytes{0, 1}, Bytes{4, 5}));
  EXPECT_THAT(Outcomes(5, 4, 2), UnorderedElementsAre(Bytes{2, 3, 4}, Bytes{0, 1, 4}, Bytes{4}));
}

TEST(CuttingTest, CutsTheEndOffWhereNoUnitFits) {
  EXPECT_THAT(Outcomes(5, 1, 4), ElementsAre(Bytes{4}));
  EXPECT_THAT(Outcomes(4, 3, 4), ElementsAre(Bytes{0, 1, 2}));
  EXPECT_THAT(Outcomes(9, 2, 4), ElementsAre(Bytes{8}));
}

TEST(CuttingTest, WritesNothingBehindWhatFits) {
  Random random(1);
  for (int i = 0; i < 2000; ++i) {
    Bytes bytes(40);
    std::iota(bytes.begin(), bytes.end(), std::uint8_t{0});
    const std::size_t max_size = random.Below(40);
    CutToFit(random, bytes.data(), bytes.size(), max_size, 1 + random.Below(5));
    for (std::size_t at = max_size; at < bytes.size(); ++at) ASSERT_EQ(bytes[at], at);
  }
}

}  // namespace
}  // namespace ffgrant::fuzz
