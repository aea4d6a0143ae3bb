// SPDX-License-Identifier: Apache-2.0
//
// Declares the functions between a target and the program that drives it: libFuzzer, AFL++ or the
// replay main. A target defines the first three functions; the engine defines the fourth. A target
// may define the last function to print a report of its own; the replay main then calls this
// function at the end.
//
// This is the contract of a mutator and a crossover: what engines may pass to them, and what
// engines get in return. callback_check.h checks the contract for every target.
//   - `data` has room for the larger of `size` and `max_size` bytes. libFuzzer passes
//     size = max_size + 1 when it minimises, so size may be above max_size. Any of the sizes may be
//     0, and a pointer to nothing may be null.
//   - The result is at most max_size (max_out_size). It is 0 only if max_size is 0 or, for a
//     crossover, if both inputs are empty: engines take 0 as a failure.
//   - Bytes after data[size - 1] are not read before they are written, and bytes after
//     data[max_size - 1] are not written. A crossover does not write to its inputs.
//   - Result and bytes depend only on the input, the seed and the engine's own LLVMFuzzerMutate,
//     which requires size <= max_size and max_size > 0.
//   - If size is above max_size, a mutator takes out parts at any place, mostly without another
//     change, so that minimising succeeds.

#ifndef FFGRANT_FUZZ_HARNESS_ENGINE_H_
#define FFGRANT_FUZZ_HARNESS_ENGINE_H_

#include <cstddef>
#include <cstdint>

extern "C" {

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size,
                                    unsigned int seed);
std::size_t LLVMFuzzerCustomCrossOver(const std::uint8_t* data1, std::size_t size1,
                                      const std::uint8_t* data2, std::size_t size2,
                                      std::uint8_t* out, std::size_t max_out_size,
                                      unsigned int seed);

// The symbol is weak, since not every engine has this function.
__attribute__((weak)) std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size,
                                                   std::size_t max_size);
__attribute__((weak)) void FfgrantFuzzReport(void);
}

#endif  // FFGRANT_FUZZ_HARNESS_ENGINE_H_
