// SPDX-License-Identifier: Apache-2.0
//
// Tests what the option `--finding` of the replay main leaves behind.

#include "harness/finding_file.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>

namespace ffgrant::fuzz {
namespace {

namespace fs = std::filesystem;

class FindingFileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "ffgrant-finding-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { fs::remove_all(folder_); }

  // Returns the finding that a run on `input` leaves, if there is one.
  std::optional<std::string> Run(std::string_view input, std::string_view more = "") {
    std::ofstream(folder_ / "input", std::ios::binary) << input;
    const std::string command = "cd '" + folder_.string() +
                                "' && ulimit -c 0 && ASAN_OPTIONS=symbolize=0 '" FFGRANT_TARGET
                                "' --finding finding " +
                                std::string(more) + " input >said 2>&1";
    status_ = std::system(command.c_str());
    std::ifstream file(folder_ / "finding", std::ios::binary);
    if (!file) return std::nullopt;
    return std::string(std::istreambuf_iterator<char>(file), {});
  }

  fs::path folder_;
  int status_ = 0;
};

TEST_F(FindingFileTest, HoldsTheInputHoweverTheTargetDies) {
  for (const std::string input : {"abort", "segmentation", "overflow of the stack"}) {
    EXPECT_EQ(Run(input), input);
    EXPECT_NE(status_, 0);
    fs::remove(folder_ / "finding");
  }
}

TEST_F(FindingFileTest, IsNotThereWithoutAFinding) {
  std::ofstream(folder_ / "finding") << "an older one";
  EXPECT_EQ(Run("nothing wrong"), std::nullopt);
  EXPECT_EQ(status_, 0);
}

TEST_F(FindingFileTest, IsNotThereWhereAMutatorDies) {
  EXPECT_EQ(Run("mutator", "--executions 9"), std::nullopt);
  EXPECT_NE(status_, 0);
}

TEST_F(FindingFileTest, MustBeWritable) {
  EXPECT_EQ(Run("abort", "--finding nowhere/finding"), std::nullopt);
  EXPECT_EQ(WEXITSTATUS(status_), 2);
}

}  // namespace
}  // namespace ffgrant::fuzz
