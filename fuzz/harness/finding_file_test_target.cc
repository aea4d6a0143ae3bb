// SPDX-License-Identifier: Apache-2.0
//
// This target dies in the way that its input names. finding_file_test.cc runs it.

#include <cstdlib>

#include "harness/engine.h"

namespace {

[[gnu::noinline]] int TakeStack(int depth) {
  volatile char taken[4096] = {};
  taken[0] = static_cast<char>(depth);
  return depth < 0 ? 0 : TakeStack(depth + 1) + taken[0];
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  switch (size == 0 ? 0 : data[0]) {
    case 'a':
      std::abort();
    case 's': {
      // The pointer is not null: at a null pointer UBSan would end the process before the fault.
      int* volatile nowhere = reinterpret_cast<int*>(64);
      *nowhere = 1;
      break;
    }
    case 'o':
      TakeStack(0);
      break;
    default:
      break;
  }
  return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t,
                                               unsigned int) {
  if (size > 0 && data[0] == 'm') std::abort();
  return size;
}

extern "C" std::size_t LLVMFuzzerCustomCrossOver(const std::uint8_t*, std::size_t,
                                                 const std::uint8_t*, std::size_t, std::uint8_t*,
                                                 std::size_t, unsigned int) {
  std::abort();
}
