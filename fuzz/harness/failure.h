// SPDX-License-Identifier: Apache-2.0
//
// How a target says that it found something.

#ifndef FFGRANT_FUZZ_HARNESS_FAILURE_H_
#define FFGRANT_FUZZ_HARNESS_FAILURE_H_

#include <string>
#include <string_view>

namespace ffgrant::fuzz {

// Prints what does not hold and for which input, and aborts, which every
// engine takes for a crash. Call it on failure only, so that the texts cost
// nothing before.
[[noreturn]] void Fail(std::string_view what, std::string_view input,
                       std::string_view expected = {}, std::string_view got = {});

// Printable: as in a C string, at most 400 bytes of it.
std::string Quoted(std::string_view bytes);

}  // namespace ffgrant::fuzz

#endif  // FFGRANT_FUZZ_HARNESS_FAILURE_H_
