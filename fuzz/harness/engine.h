// SPDX-License-Identifier: Apache-2.0
//
// The functions between a target and what drives it: libFuzzer, AFL++ or the
// replay main. A target defines the first three; the fourth is the engine's; the
// last may be defined by a target that has more to say at the end than that it
// found nothing, which the replay main then lets it print.
//
// What engines may pass to a mutator and a crossover, and what they get
// (callback_check.h checks it for every target):
// - `data` has room for the larger of `size` and `max_size` bytes. libFuzzer
//   passes size = max_size + 1 when it minimises, so size may be above max_size.
//   Any of the sizes may be 0, and a pointer to nothing may be null.
// - The result is at most max_size (max_out_size). It is 0 only where that is 0
//   or, of a crossover, where both inputs are empty: engines take 0 for a failure.
// - Bytes behind data[size - 1] are not read before they are written, and bytes
//   behind data[max_size - 1] are not written. A crossover does not write to its
//   inputs.
// - Result and bytes depend on the input, the seed and the engine's own
//   LLVMFuzzerMutate alone. That one wants size <= max_size and max_size > 0.
// - Where size is above max_size, a mutator takes parts out at any place, mostly
//   without another change, so that minimising succeeds.

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

// Weak, since not every engine has it.
__attribute__((weak)) std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size,
                                                   std::size_t max_size);
__attribute__((weak)) void FfgrantFuzzReport(void);
}

#endif  // FFGRANT_FUZZ_HARNESS_ENGINE_H_
