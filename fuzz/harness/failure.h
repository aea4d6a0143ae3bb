// SPDX-License-Identifier: Apache-2.0
//
// How a target reports a finding.

#ifndef FFGRANT_FUZZ_HARNESS_FAILURE_H_
#define FFGRANT_FUZZ_HARNESS_FAILURE_H_

#include <string>
#include <string_view>

namespace ffgrant::fuzz {

// Prints what does not hold, and for which input, and aborts, which every engine takes as a crash.
// Call it only on failure, so that building the texts costs nothing otherwise.
[[noreturn]] void Fail(std::string_view what, std::string_view input,
                       std::string_view expected = {}, std::string_view got = {});

// Returns the bytes in printable form, written as in a C string; at most 400 of them.
std::string Quoted(std::string_view bytes);

}  // namespace ffgrant::fuzz

#endif  // FFGRANT_FUZZ_HARNESS_FAILURE_H_
