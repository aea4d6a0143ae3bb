// SPDX-License-Identifier: Apache-2.0
//
// LLVMFuzzerMutate where no engine is: a small one, which refuses a call that
// an engine would not take.

#ifndef FFGRANT_FUZZ_HARNESS_OWN_ENGINE_H_
#define FFGRANT_FUZZ_HARNESS_OWN_ENGINE_H_

#include <cstdint>

namespace ffgrant::fuzz {

// The bytes that LLVMFuzzerMutate makes from now on depend on `seed` alone. It
// also fills the whole room that it is given in one call of four, so that a
// mutator which claims too much room is found out. Not thread-safe.
void StartStretching(std::uint64_t seed);

}  // namespace ffgrant::fuzz

#endif  // FFGRANT_FUZZ_HARNESS_OWN_ENGINE_H_
