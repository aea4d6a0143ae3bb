// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/internal/cpu.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace ffgrant::internal {
namespace {

TEST(CpuTest, EveryFeatureIsUsedUnlessTheEnvironmentForbidsIt) {
  const bool portable = std::getenv("FFGRANT_TEST_PORTABLE_PATHS") != nullptr;
  EXPECT_EQ(cpu_features.load(), portable ? 0 : DetectCpuFeatures());
}

TEST(CpuTest, ForcedFeaturesAreThoseOfTheMachineAndEndWithTheScope) {
  const unsigned before = cpu_features.load();
  for (const unsigned allowed : {0U, kCpuAvx2, kCpuClmul, kCpuAvx2 | kCpuClmul}) {
    {
      const ForceCpuFeatures force(allowed);
      EXPECT_EQ(cpu_features.load(), DetectCpuFeatures() & allowed);
      EXPECT_EQ(HasAvx2(), (DetectCpuFeatures() & allowed & kCpuAvx2) != 0);
      EXPECT_EQ(HasClmul(), (DetectCpuFeatures() & allowed & kCpuClmul) != 0);
    }
    EXPECT_EQ(cpu_features.load(), before);
  }
}

}  // namespace
}  // namespace ffgrant::internal
