// SPDX-License-Identifier: Apache-2.0
//
// Generates and mutates partition keys (contract 1.2, 1.3).

#ifndef FFGRANT_FUZZ_PARTITION_KEY_GRAMMAR_H_
#define FFGRANT_FUZZ_PARTITION_KEY_GRAMMAR_H_

#include <iterator>
#include <string_view>

#include "harness/random.h"
#include "harness/text_mutation.h"

namespace ffgrant::fuzz {

inline constexpr std::string_view kPartitionKeyPieces[] = {
    "{fp:", "{b:",    "{q:",    "{",         "}",    ":",      "fp",    "b",     "q",     "fp:",
    "}:",   "{fp:7}", "{b:31}", "{q:65535}", "{FP:", "{exec:", "65535", "65536", "65545", "+",
    "-",    "0",      "00000",  "{fp::",     "{:",   " ",      "}}",    "{{"};

inline void GeneratePartitionKey(Random& random, TextBuffer& text) {
  constexpr std::string_view kFamilies[] = {"{fp:", "{b:", "{q:"};
  text.Append(kFamilies[random.Below(std::size(kFamilies))]);
  AppendIndex(random, text);
  text.Append('}');
}

inline constexpr TextGrammar kPartitionKeyGrammar = {GeneratePartitionKey, kPartitionKeyPieces,
                                                     "{}:fpbq0123456789+-"};

}  // namespace ffgrant::fuzz

#endif  // FFGRANT_FUZZ_PARTITION_KEY_GRAMMAR_H_
