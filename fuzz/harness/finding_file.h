// SPDX-License-Identifier: Apache-2.0
//
// Writes the file in which the replay main leaves the input on which a target died.

#ifndef FFGRANT_FUZZ_HARNESS_FINDING_FILE_H_
#define FFGRANT_FUZZ_HARNESS_FINDING_FILE_H_

#include <cstddef>
#include <cstdint>

namespace ffgrant::fuzz {

class FindingFile {
 public:
  // From now on a signal that a fault raises (SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE) between
  // Begin() and End() writes the input to `path`, and then has its former effect. Without such a
  // signal there is no file, since an empty file would mean an empty input. Returns false if the
  // file can't be written, and prints why, or if the signals can't be caught. `path` must stay
  // valid.
  bool Open(const char* path);

  // Begin() says that an input starts to run, End() that it has run. The input must not change in
  // between.
  void Begin(const std::uint8_t* data, std::size_t size) {
    size_ = size;
    data_ = data;
  }
  void End() { data_ = nullptr; }

  // The signal handler calls this.
  void Write() const;

 private:
  const char* path_ = nullptr;
  const std::uint8_t* volatile data_ = nullptr;
  volatile std::size_t size_ = 0;
};

// The only object of this class in a process.
extern FindingFile finding_file;

}  // namespace ffgrant::fuzz

#endif  // FFGRANT_FUZZ_HARNESS_FINDING_FILE_H_
