// SPDX-License-Identifier: Apache-2.0
//
// Test only: whether the reference takes a number for one that no double
// holds (observed 0.2), from the number's text.

#ifndef FFGRANT_FUZZ_ORACLES_NAIVE_JSON_NUMBER_H_
#define FFGRANT_FUZZ_ORACLES_NAIVE_JSON_NUMBER_H_

#include <string_view>

namespace ffgrant::fuzz {

// `number` has the form that JSON asks for.
bool NaiveNumberIsOutOfRange(std::string_view number);

}  // namespace ffgrant::fuzz

#endif  // FFGRANT_FUZZ_ORACLES_NAIVE_JSON_NUMBER_H_
