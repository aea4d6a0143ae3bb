// SPDX-License-Identifier: Apache-2.0
//
// Defines a small LLVMFuzzerMutate for programs without an engine. This function refuses calls that
// an engine would not accept.

#ifndef FFGRANT_FUZZ_HARNESS_OWN_ENGINE_H_
#define FFGRANT_FUZZ_HARNESS_OWN_ENGINE_H_

#include <cstdint>

namespace ffgrant::fuzz {

// From now on LLVMFuzzerMutate takes its random numbers from `seed`. In about one call in four it
// fills all the room that it gets, so that a mutator that claims too much room is found.
// StartStretching() is not thread-safe.
void StartStretching(std::uint64_t seed);

}  // namespace ffgrant::fuzz

#endif  // FFGRANT_FUZZ_HARNESS_OWN_ENGINE_H_
