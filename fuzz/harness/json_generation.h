// SPDX-License-Identifier: Apache-2.0
//
// Generates JSON documents of the DTOs. JSON has many spellings of the same values, and each
// document uses one of them. Many documents have one fault; most of the others are well-formed.

#ifndef FFGRANT_FUZZ_HARNESS_JSON_GENERATION_H_
#define FFGRANT_FUZZ_HARNESS_JSON_GENERATION_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "harness/random.h"
#include "oracles/naive_dtos.h"

namespace ffgrant::fuzz {

std::string GenerateDocument(Random& random, NaiveDto dto);

// Returns something to put in place of a value: a number at a limit, a value of any type, or a
// token that is not a value.
std::string SomeValue(Random& random);

// Returns a string literal with escapes and bytes beyond ASCII. About one in four is invalid.
std::string SomeString(Random& random);

// Returns `text` as a string literal. About one in `one_in` ASCII bytes is written as an escape
// though JSON does not require it.
std::string Spelt(Random& random, std::string_view text, std::size_t one_in);

// Returns white space; in half of the calls none.
std::string SomeSpace(Random& random);

// Returns nested arrays and objects.
std::string Nested(Random& random, std::size_t depth);

}  // namespace ffgrant::fuzz

#endif  // FFGRANT_FUZZ_HARNESS_JSON_GENERATION_H_
