// SPDX-License-Identifier: Apache-2.0
//
// Reports a finding of a target.

#ifndef FFGRANT_FUZZ_HARNESS_FAILURE_H_
#define FFGRANT_FUZZ_HARNESS_FAILURE_H_

#include <string>
#include <string_view>

namespace ffgrant::fuzz {

// Prints what does not hold and for which input, and then aborts, which every engine takes as a
// crash. Callers should build the texts only after a failure, so that the texts cost nothing
// otherwise.
[[noreturn]] void Fail(std::string_view what, std::string_view input,
                       std::string_view expected = {}, std::string_view got = {});

// Returns the bytes in printable form, written as in a C string; at most 400 of them.
std::string Quoted(std::string_view bytes);

}  // namespace ffgrant::fuzz

#endif  // FFGRANT_FUZZ_HARNESS_FAILURE_H_
