// SPDX-License-Identifier: Apache-2.0
//
// Generates and mutates execution ids (contract 1.5, 1.6).

#ifndef FFGRANT_FUZZ_EXECUTION_ID_GRAMMAR_H_
#define FFGRANT_FUZZ_EXECUTION_ID_GRAMMAR_H_

#include <cstddef>
#include <iterator>
#include <string_view>

#include "harness/random.h"
#include "harness/text_mutation.h"

namespace ffgrant::fuzz {

inline constexpr std::string_view kExecutionIdPieces[] = {"{fp:",
                                                          "}:",
                                                          "{fp:7}:",
                                                          "{b:",
                                                          "{q:",
                                                          "urn:uuid:",
                                                          "URN:UUID:",
                                                          "{",
                                                          "}",
                                                          ":",
                                                          "-",
                                                          "--",
                                                          "00000000-0000-0000-0000-000000000000",
                                                          "ffffffff-ffff-ffff-ffff-ffffffffffff",
                                                          "550e8400e29b41d4a716446655440000",
                                                          "550E8400-E29B-41D4-A716-446655440000",
                                                          "g",
                                                          "`",
                                                          "/",
                                                          "@",
                                                          "G",
                                                          "+",
                                                          "00",
                                                          "65535",
                                                          "65536",
                                                          "}}:"};

inline void GenerateExecutionId(Random& random, TextBuffer& text) {
  // Some texts are bare uuids, since the target also parses uuids by themselves.
  if (!random.OneIn(8)) {
    text.Append("{fp:");
    AppendIndex(random, text);
    text.Append("}:");
  }
  AppendUuid(random, text);
}

inline constexpr TextGrammar kExecutionIdGrammar = {GenerateExecutionId, kExecutionIdPieces,
                                                    "{}:fp0123456789abcdefABCDEF+-gG"};

}  // namespace ffgrant::fuzz

#endif  // FFGRANT_FUZZ_EXECUTION_ID_GRAMMAR_H_
