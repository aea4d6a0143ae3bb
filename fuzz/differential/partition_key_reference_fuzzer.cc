// SPDX-License-Identifier: Apache-2.0
//
// Partition keys against the reference: any text, verdict, error, payload, text
// of the error, partition and its tag; strict mode accepts exactly what the
// reference writes.

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
