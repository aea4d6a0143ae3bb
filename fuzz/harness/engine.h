// SPDX-License-Identifier: Apache-2.0
//
// The functions between a target and what drives it: libFuzzer, AFL++ or the
// replay main. A target defines the first three; the fourth is the engine's; the
// last may be defined by a target that has more to say at the end than that it
// found nothing, which the replay main then lets it print.

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
