// SPDX-License-Identifier: Apache-2.0
//
// Test only: makes a pipe, for example for the stop requests of a test.

#ifndef FFGRANT_TESTING_NAIVE_PIPE_H_
#define FFGRANT_TESTING_NAIVE_PIPE_H_

#include <unistd.h>

#include <cstdlib>

namespace ffgrant::testing {

class Pipe {
 public:
  Pipe() {
    if (pipe(ends_) != 0) std::abort();
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  ~Pipe() {
    close(ends_[0]);
    close(ends_[1]);
  }

  // Returns the end for reading, which is readable while there is a byte in the pipe.
  int descriptor() const { return ends_[0]; }
  bool PutByte() const { return write(ends_[1], "x", 1) == 1; }
  // Takes a byte, and waits for one if there is none. Returns false if there was an error.
  bool TakeByte() const {
    char byte;
    return read(ends_[0], &byte, 1) == 1;
  }

 private:
  int ends_[2];
};

}  // namespace ffgrant::testing

#endif  // FFGRANT_TESTING_NAIVE_PIPE_H_
