// SPDX-License-Identifier: Apache-2.0
//
// Test only: counts the threads of this process that a signal may interrupt.

#ifndef FFGRANT_TESTING_NAIVE_SIGNAL_MASKS_H_
#define FFGRANT_TESTING_NAIVE_SIGNAL_MASKS_H_

#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace ffgrant::testing {

// Returns how many threads of this process do not block `signal`.
inline std::size_t ThreadsThatTake(int signal) {
  std::size_t count = 0;
  for (const auto& thread : std::filesystem::directory_iterator("/proc/self/task")) {
    std::ifstream status(thread.path() / "status");
    for (std::string line; std::getline(status, line);) {
      if (!line.starts_with("SigBlk:")) continue;
      const unsigned long long blocked = std::strtoull(line.c_str() + 7, nullptr, 16);
      count += (blocked >> (signal - 1) & 1) == 0 ? 1 : 0;
    }
  }
  return count;
}

}  // namespace ffgrant::testing

#endif  // FFGRANT_TESTING_NAIVE_SIGNAL_MASKS_H_
