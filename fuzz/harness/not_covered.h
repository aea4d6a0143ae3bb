// SPDX-License-Identifier: Apache-2.0

#ifndef FFGRANT_FUZZ_HARNESS_NOT_COVERED_H_
#define FFGRANT_FUZZ_HARNESS_NOT_COVERED_H_

// On a function of the harness that lies in a header: its branches say nothing
// about the code under test, and every edge that an engine counts costs it
// time. Oracles stay counted: the comparisons in them lead a value profile.
#if defined(__clang__)
#define FFGRANT_FUZZ_NOT_COVERED __attribute__((no_sanitize("coverage")))
#else
#define FFGRANT_FUZZ_NOT_COVERED
#endif

#endif  // FFGRANT_FUZZ_HARNESS_NOT_COVERED_H_
