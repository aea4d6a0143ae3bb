// SPDX-License-Identifier: Apache-2.0
//
// Defines a target that must fail. The target runs the partition key fuzzer's mutator and oracle on
// a parser of our own with a planted bug: the parser accepts the index 65536, which wraps to 0. No
// other index shows the bug, and no coverage leads to it. If an engine finds it, then the engine,
// its set-up and the oracle work.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "harness/engine.h"
#include "harness/failure.h"
#include "harness/input_copies.h"
#include "harness/observations.h"
#include "harness/text_mutation.h"
#include "partition_key_grammar.h"
#include "testing/naive/naive_partition_key.h"

namespace ffgrant::under_test {
namespace {

struct Parsed {
  bool accepted = false;
  std::uint16_t index = 0;
};

// Accepts flow keys only. The parser is right except for the upper limit of the index.
[[gnu::noinline]] Parsed ParseWithPlantedBug(std::string_view text) {
  constexpr std::string_view kPrefix = "{fp:";
  if (text.size() < kPrefix.size() + 2 || text.substr(0, kPrefix.size()) != kPrefix ||
      text.back() != '}') {
    return {};
  }
  text.remove_prefix(kPrefix.size());
  text.remove_suffix(1);
  if (text[0] == '+') text.remove_prefix(1);
  if (text.empty()) return {};
  std::uint32_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return {};
    value = value * 10 + static_cast<std::uint32_t>(c - '0');
    if (value > 65536) return {};  // planted bug: 65535 is the largest
  }
  return {true, static_cast<std::uint16_t>(value)};
}

}  // namespace
}  // namespace ffgrant::under_test

using namespace ffgrant;
using namespace ffgrant::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const InputCopies input(data, size);
  const std::string_view text = input.at_page_end();
  const PartitionKeyResult expected = testing::NaiveParsePartitionKey(text, ParseMode::kLenient);
  const under_test::Parsed got = under_test::ParseWithPlantedBug(text);
  const bool flow = expected && expected.partition.family == PartitionFamily::kFlow;
  if (got.accepted != flow || (flow && got.index != expected.partition.index)) {
    Fail("the canary, as it should be", text, std::to_string(flow), std::to_string(got.accepted));
  }
  Observe(got.accepted);
  return 0;
}

FFGRANT_FUZZ_TEXT_MUTATORS(kPartitionKeyGrammar)
