// SPDX-License-Identifier: Apache-2.0
//
// Generates and mutates keys with hash tags (contract 2).

#ifndef FFGRANT_FUZZ_HASH_SLOT_GRAMMAR_H_
#define FFGRANT_FUZZ_HASH_SLOT_GRAMMAR_H_

#include <cstddef>
#include <iterator>
#include <string_view>

#include "harness/random.h"
#include "harness/text_mutation.h"

namespace ffgrant::fuzz {

inline constexpr std::string_view kHashSlotPieces[] = {
    "{", "}", "{}", "{{", "}}", "}{", "{fp:7}", "{b:31}", "{q:0}", "ff:exec:", ":core", "{a}{b}"};

inline void GenerateHashSlot(Random& random, TextBuffer& text) {
  if (random.OneIn(4)) {
    text.Append("{fp:");
    AppendIndex(random, text);
    text.Append("}:");
    AppendUuid(random, text);
    return;
  }
  for (std::size_t parts = random.Below(4); parts > 0; --parts) {
    text.Append(kHashSlotPieces[random.Below(std::size(kHashSlotPieces))]);
    for (std::size_t bytes = random.Below(10); bytes > 0; --bytes) {
      text.Append(static_cast<char>(random.OneIn(2) ? 'a' + random.Below(26) : random.Below(256)));
    }
  }
}

inline constexpr TextGrammar kHashSlotGrammar = {GenerateHashSlot, kHashSlotPieces, "{}{}:a0\xFF"};

}  // namespace ffgrant::fuzz

#endif  // FFGRANT_FUZZ_HASH_SLOT_GRAMMAR_H_
