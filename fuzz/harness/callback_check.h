// SPDX-License-Identifier: Apache-2.0
//
// Checks that a target's LLVMFuzzerCustomMutator and LLVMFuzzerCustomCrossOver keep the contract in
// engine.h.

#ifndef FFGRANT_FUZZ_HARNESS_CALLBACK_CHECK_H_
#define FFGRANT_FUZZ_HARNESS_CALLBACK_CHECK_H_

#include <cstddef>

namespace ffgrant::fuzz {

// Calls both callbacks with every pair of a small size and a small maximum, and with pairs of
// larger ones, with the same seeds in every run. Each call is made twice: on allocations of exactly
// its sizes, for AddressSanitizer, and in front of a page that nobody may touch, for every build.
// The bytes after the input differ between the two calls, but the results must be the same. Then
// inputs are minimised as libFuzzer does it, by the mutator alone. Returns the number of calls;
// calls Fail() for the first broken rule.
std::size_t CheckCallbacks();

}  // namespace ffgrant::fuzz

#endif  // FFGRANT_FUZZ_HARNESS_CALLBACK_CHECK_H_
