// SPDX-License-Identifier: Apache-2.0
//
// JSON documents of the DTOs out of nothing: mostly well-formed, in one of the
// many ways in which the same thing can be said, often with one fault.

#ifndef FFGRANT_FUZZ_HARNESS_JSON_GENERATION_H_
#define FFGRANT_FUZZ_HARNESS_JSON_GENERATION_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "harness/random.h"
#include "oracles/naive_dtos.h"

namespace ffgrant::fuzz {

std::string GenerateDocument(Random& random, NaiveDto dto);

// Values to put where a value stands: numbers at their limits, values of every
// type, tokens that are none.
std::string SomeValue(Random& random);

// A string literal with escapes and bytes beyond ASCII, seldom a wrong one.
std::string SomeString(Random& random);

// `text` as a string literal: bytes of ASCII now and then as an escape.
std::string Spelt(Random& random, std::string_view text, std::size_t one_in);

// White space, mostly none.
std::string SomeSpace(Random& random);

// Arrays and objects, one in the other.
std::string Nested(Random& random, std::size_t depth);

}  // namespace ffgrant::fuzz

#endif  // FFGRANT_FUZZ_HARNESS_JSON_GENERATION_H_
