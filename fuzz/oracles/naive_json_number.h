// SPDX-License-Identifier: Apache-2.0
//
// Test only: decides from a number's text whether the reference says that no double can hold the
// number (observed 0.2).

#ifndef FFGRANT_FUZZ_ORACLES_NAIVE_JSON_NUMBER_H_
#define FFGRANT_FUZZ_ORACLES_NAIVE_JSON_NUMBER_H_

#include <string_view>

namespace ffgrant::fuzz {

// `number` must have the form that JSON prescribes.
bool NaiveNumberIsOutOfRange(std::string_view number);

}  // namespace ffgrant::fuzz

#endif  // FFGRANT_FUZZ_ORACLES_NAIVE_JSON_NUMBER_H_
