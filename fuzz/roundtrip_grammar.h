// SPDX-License-Identifier: Apache-2.0
//
// Generates and mutates inputs that choose the values to write.

#ifndef FFGRANT_FUZZ_ROUNDTRIP_GRAMMAR_H_
#define FFGRANT_FUZZ_ROUNDTRIP_GRAMMAR_H_

#include <cstddef>

#include "harness/random.h"
#include "harness/text_mutation.h"

namespace ffgrant::fuzz {

inline void GenerateRoundtrip(Random& random, TextBuffer& text) {
  for (std::size_t size = 16 + random.Below(200); size > 0; --size) {
    text.Append(static_cast<char>(random.Below(random.OneIn(4) ? 4 : 256)));
  }
}

inline constexpr TextGrammar kRoundtripGrammar = {
    GenerateRoundtrip, {}, "\x01\x02\x03\x04\x08\x10\x20\x3F\x7F\x80\xFF"};

}  // namespace ffgrant::fuzz

#endif  // FFGRANT_FUZZ_ROUNDTRIP_GRAMMAR_H_
