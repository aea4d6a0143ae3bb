// SPDX-License-Identifier: Apache-2.0
//
// Parses partition keys (contract 1.1 - 1.3, 1.8) from any bytes in both modes and compares
// verdict, error, payload and offset with a naive parser, which was written from the grammar step
// by step. Accepted keys are written again. Strict mode must accept exactly the texts that stay the
// same when they are read and then written.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "ffgrant/hash_slot.h"
#include "ffgrant/partition.h"
#include "ffgrant/partition_key.h"
#include "harness/allocation_trap.h"
#include "harness/engine.h"
#include "harness/failure.h"
#include "harness/input_copies.h"
#include "harness/observations.h"
#include "harness/state_counters.h"
#include "harness/text_mutation.h"
#include "harness/write_check.h"
#include "partition_key_grammar.h"
#include "testing/naive/naive_hash.h"
#include "testing/naive/naive_partition_key.h"

namespace ffgrant::under_test {

[[gnu::noinline]] PartitionKeyResult Parse(std::string_view text, ParseMode mode) noexcept {
  return ParsePartitionKey(text, mode);
}

}  // namespace ffgrant::under_test

namespace ffgrant::fuzz {
namespace {

using testing::NaiveParsePartitionKey;
using testing::NaivePartitionTag;

std::string Shown(const PartitionKeyResult& result) {
  return std::string(ErrorName(result.error)) + " at " + std::to_string(result.offset) +
         ", payload " + Quoted(result.payload) + ", " +
         std::string(FamilyName(result.partition.family)) + " " +
         std::to_string(result.partition.index);
}

PartitionKeyResult Parse(std::string_view text, ParseMode mode) {
  return WithoutAllocation(text, [&]() noexcept { return under_test::Parse(text, mode); });
}

PartitionKeyResult CheckMode(std::string_view text, ParseMode mode) {
  const PartitionKeyResult got = Parse(text, mode);
  const PartitionKeyResult expected = NaiveParsePartitionKey(text, mode);
  if (got != expected) {
    Fail(mode == ParseMode::kStrict ? "strict parse" : "lenient parse", text, Shown(expected),
         Shown(got));
  }
  // A payload is a view into the input, so the place where it points is compared too.
  if (!got.payload.empty() && got.payload.data() != expected.payload.data()) {
    Fail("payload points elsewhere", text);
  }
  Observe(static_cast<std::uint64_t>(got.error) << 32 | got.offset);
  Observe(got.payload);
  return got;
}

// Writes an accepted partition again and compares the texts.
void CheckText(std::string_view text, Partition partition, bool strict) {
  const PartitionTag tag = WithoutAllocation(text, [&] { return PartitionTag(partition); });
  const std::string expected = NaivePartitionTag(partition);
  if (tag.view() != expected) Fail("tag", text, expected, tag.view());
  // Strict mode must accept exactly the canonical texts.
  if (strict != (text == expected)) Fail("strict is not canonical", text, expected);

  if (ObservedOneIn(4))
    CheckWrite("format tag", text, expected, partition.index,
               [&](std::span<char> out) noexcept { return FormatPartitionTag(partition, out); });
  const std::uint16_t slot = testing::NaiveHashSlot(expected);
  if (HashSlot(partition) != slot) Fail("slot of the partition", text);
  Observe(slot);
}

// Returns the message that the result must have. The messages come from contract 1.3; those of the
// strict errors are our own.
std::string NaiveErrorText(const PartitionKeyResult& result) {
  const std::string payload(result.payload);
  switch (result.error) {
    case PartitionKeyError::kNone:
      return "";
    case PartitionKeyError::kMissingBraces:
      return "partition key must be wrapped in '{...}'";
    case PartitionKeyError::kMalformedBody:
      return "partition key body must be '<prefix>:<index>'";
    case PartitionKeyError::kUnknownFamilyPrefix:
      return "unknown partition family prefix '" + payload + "' (expected 'fp', 'b', 'q')";
    case PartitionKeyError::kInvalidIndex:
      return "partition index '" + payload + "' is not a valid u16";
    case PartitionKeyError::kPlusSign:
      return "partition index '" + payload + "' begins with a plus sign";
    case PartitionKeyError::kLeadingZero:
      return "partition index '" + payload + "' has leading zeros";
  }
  return "?";
}

// Parses a list of three texts at once: `text` between two valid keys.
void CheckMany(std::string_view text, const PartitionKeyResult& lenient) {
  const std::string_view texts[] = {"{b:5}", text, "{q:6}"};
  Partition partitions[3];
  const PartitionKeysResult got = WithoutAllocation(
      text, [&]() noexcept { return ParsePartitionKeys(texts, ParseMode::kLenient, partitions); });
  const PartitionKeyResult failure = lenient ? PartitionKeyResult{} : lenient;
  if (got.count != (lenient ? 3u : 1u) || got.failure != failure ||
      partitions[0] != Partition{PartitionFamily::kBudget, 5} ||
      partitions[1] != lenient.partition ||
      partitions[2] != (lenient ? Partition{PartitionFamily::kQuota, 6} : Partition{})) {
    Fail("many keys", text, Shown(lenient), Shown(got.failure));
  }
}

void CheckErrorText(std::string_view text, const PartitionKeyResult& result) {
  CheckWrite("error text", text, NaiveErrorText(result), text.size() * 7,
             [&](std::span<char> out) noexcept { return FormatPartitionKeyError(result, out); });
}

}  // namespace
}  // namespace ffgrant::fuzz

using namespace ffgrant;
using namespace ffgrant::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const InputCopies input(data, size);
  const auto [text, other] = input.shuffled();
  const PartitionKeyResult lenient = CheckMode(text, ParseMode::kLenient);
  const PartitionKeyResult strict = CheckMode(other, ParseMode::kStrict);
  CheckMany(text, lenient);
  if (lenient) CheckText(text, lenient.partition, static_cast<bool>(strict));
  // Canonical keys are counted by family and length. Core counts its paths itself
  // (internal/paths.h).
  if (strict) CountState(text.size() << 8 | static_cast<std::uint64_t>(strict.partition.family));
  if (!strict && ObservedOneIn(8)) CheckErrorText(text, strict);
  return 0;
}

FFGRANT_FUZZ_TEXT_MUTATORS(kPartitionKeyGrammar)
