// SPDX-License-Identifier: Apache-2.0
//
// Where the replay main leaves the input on which a target died.

#ifndef FFGRANT_FUZZ_HARNESS_FINDING_FILE_H_
#define FFGRANT_FUZZ_HARNESS_FINDING_FILE_H_

#include <cstddef>
#include <cstdint>

namespace ffgrant::fuzz {

class FindingFile {
 public:
  // From now on, a signal that a fault raises (SIGABRT, SIGSEGV, SIGBUS, SIGILL,
  // SIGFPE) between Begin() and End() writes the input to `path`, and then does
  // what it did before. Without such a signal there is no file: an empty one is an
  // empty input. Prints why and returns false if the file can't be written.
  // `path` must last.
  bool Open(const char* path);

  // An input begins to run, or has run. It must stay as it is in between.
  void Begin(const std::uint8_t* data, std::size_t size) {
    size_ = size;
    data_ = data;
  }
  void End() { data_ = nullptr; }

  // For the signal handler.
  void Write() const;

 private:
  const char* path_ = nullptr;
  const std::uint8_t* volatile data_ = nullptr;
  volatile std::size_t size_ = 0;
};

// The process has one.
extern FindingFile finding_file;

}  // namespace ffgrant::fuzz

#endif  // FFGRANT_FUZZ_HARNESS_FINDING_FILE_H_
