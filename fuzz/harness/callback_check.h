// SPDX-License-Identifier: Apache-2.0
//
// Holds a target's LLVMFuzzerCustomMutator and LLVMFuzzerCustomCrossOver to the
// contract in engine.h.

#ifndef FFGRANT_FUZZ_HARNESS_CALLBACK_CHECK_H_
#define FFGRANT_FUZZ_HARNESS_CALLBACK_CHECK_H_

#include <cstddef>

namespace ffgrant::fuzz {

// Calls both callbacks with every pair of a small size and a small maximum, and
// with large pairs, always with the same seeds. Each call is made twice: on allocations of
// exactly its sizes, for AddressSanitizer, and in front of a page that nobody may
// touch, for every build; the bytes behind the input differ, and the two results
// must not. Then minimises inputs as libFuzzer does, by the mutator alone.
// Returns the number of calls; calls Fail() for the first broken rule.
std::size_t CheckCallbacks();

}  // namespace ffgrant::fuzz

#endif  // FFGRANT_FUZZ_HARNESS_CALLBACK_CHECK_H_
