// SPDX-License-Identifier: Apache-2.0
//
// Tests libFuzzer's -minimize_crash=1 with the mutators of this project: one target for each kind
// of input, with minimise_probe.cc in place of its oracle, and the unchanged canary.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "harness/minimise_probe.h"

namespace ffgrant::fuzz {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

std::string Contents(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

class Minimise : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "ffgrant-minimise-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { fs::remove_all(folder_); }

  // Returns what the engine makes of `crash`. The engine's output is kept in said_.
  std::string Run(std::string_view binary, std::string_view crash) {
    std::ofstream(folder_ / "crash", std::ios::binary) << crash;
    const std::string command =
        "cd '" + folder_.string() + "' && ASAN_OPTIONS=symbolize=0 '" FFGRANT_FUZZERS_DIR "/" +
        std::string(binary) +
        "' -minimize_crash=1 -runs=2000 -seed=1 -exact_artifact_path=small crash >said 2>&1";
    status_ = std::system(command.c_str());
    said_ = Contents(folder_ / "said");
    return Contents(folder_ / "small");
  }

  fs::path folder_;
  int status_ = 0;
  std::string said_;
};

// Returns the largest seed of the target's corpus, with the needle put into its middle.
std::string Crash(std::string_view target) {
  std::string largest;
  for (const auto& entry : fs::directory_iterator(fs::path(FFGRANT_CORPUS_DIR) / target)) {
    if (!entry.is_regular_file()) continue;
    const std::string seed = Contents(entry.path());
    if (seed.size() > largest.size()) largest = seed;
  }
  return largest.insert(largest.size() / 2, kNeedle);
}

class MinimiseProbe : public Minimise, public ::testing::WithParamInterface<const char*> {};

TEST_P(MinimiseProbe, LeavesWhatTheCrashTakes) {
  const std::string subject = GetParam();
  const std::string crash = Crash(subject + "_fuzzer");
  ASSERT_GE(crash.size(), 24u);
  const std::string small = Run(subject + "_minimise_probe", crash);
  EXPECT_EQ(status_, 0) << said_;
  EXPECT_THAT(small, HasSubstr(kNeedle)) << said_;
  // The input keeps the needle, a byte before it that chooses a DTO, and little else.
  EXPECT_LE(small.size(), kNeedle.size() + 2) << said_;
}

INSTANTIATE_TEST_SUITE_P(Targets, MinimiseProbe, ::testing::Values(FFGRANT_MINIMISE_PROBES),
                         [](const auto& probe) { return std::string(probe.param); });

TEST_F(Minimise, TheCanarysCrash) {
  EXPECT_EQ(Run("canary_fuzzer", "{fp:+000000000000065536}"), "{fp:65536}") << said_;
  EXPECT_EQ(status_, 0) << said_;
}

}  // namespace
}  // namespace ffgrant::fuzz
