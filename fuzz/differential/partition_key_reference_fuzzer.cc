// SPDX-License-Identifier: Apache-2.0
//
// Compares how our code and the reference parse partition keys. For any text, the verdict, error,
// payload, the error's message, partition and tag must be the same. Strict mode must accept exactly
// the text that the reference writes.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "differential/verdict.h"
#include "ffgrant/partition_key.h"
#include "harness/engine.h"
#include "harness/text_mutation.h"
#include "partition_key_grammar.h"

namespace ffgrant::under_test {

[[gnu::noinline]] PartitionKeyResult ParseKey(std::string_view text, ParseMode mode) noexcept {
  return ParsePartitionKey(text, mode);
}

}  // namespace ffgrant::under_test

using namespace ffgrant;
using namespace ffgrant::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  Expect(text, TheComparer().PartitionKey(text, under_test::ParseKey(text, ParseMode::kLenient),
                                          under_test::ParseKey(text, ParseMode::kStrict)));
  return 0;
}

FFGRANT_FUZZ_TEXT_MUTATORS(kPartitionKeyGrammar)
