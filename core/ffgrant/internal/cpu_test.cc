// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/internal/cpu.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <initializer_list>
#include <iterator>
#include <set>
#include <sstream>
#include <string>

namespace ffgrant::internal {
namespace {

TEST(CpuTest, EveryFeatureIsUsedUnlessTheEnvironmentForbidsIt) {
  const bool portable = std::getenv("FFGRANT_TEST_PORTABLE_PATHS") != nullptr;
  EXPECT_EQ(cpu_features.load(), portable ? 0 : DetectCpuFeatures());
}

#if defined(__linux__) && defined(__x86_64__)
// The system says by another way what the processor has.
TEST(CpuTest, TheMachinesFeaturesAreThoseThatTheSystemNames) {
  std::ifstream file("/proc/cpuinfo");
  std::set<std::string> flags;
  for (std::string line; flags.empty() && std::getline(file, line);) {
    if (!line.starts_with("flags")) continue;
    std::istringstream words(line.substr(line.find(':') + 1));
    flags.insert(std::istream_iterator<std::string>(words), {});
  }
  if (flags.empty()) GTEST_SKIP() << "/proc/cpuinfo names no flags";
  const auto has = [&](std::initializer_list<const char*> names) {
    return std::all_of(names.begin(), names.end(),
                       [&](const char* name) { return flags.count(name) != 0; });
  };
  EXPECT_EQ((DetectCpuFeatures() & kCpuAvx2) != 0, has({"avx2", "bmi1", "bmi2"}));
  EXPECT_EQ((DetectCpuFeatures() & kCpuClmul) != 0, has({"pclmulqdq", "sse4_1"}));
}
#endif

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
