// SPDX-License-Identifier: Apache-2.0
//
// Parses execution ids (contract 1.5, 1.6, 1.8) from any bytes in both modes and compares verdict,
// error, payload, offset and value with a naive parser, which was written from the grammar step by
// step. The partition key parser must accept the key within an accepted id, and writing the values
// again must give the canonical text.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "execution_id_grammar.h"
#include "ffgrant/execution_id.h"
#include "ffgrant/internal/canonical_execution_id.h"
#include "ffgrant/internal/canonical_execution_id_avx2.h"
#include "ffgrant/partition_key.h"
#include "ffgrant/uuid.h"
#include "harness/allocation_trap.h"
#include "harness/engine.h"
#include "harness/failure.h"
#include "harness/input_copies.h"
#include "harness/observations.h"
#include "harness/text_mutation.h"
#include "harness/write_check.h"
#include "testing/naive/naive_execution_id.h"
#include "testing/naive/naive_uuid.h"

#ifdef FFGRANT_HAS_AVX2_PATHS
#include <cpuid.h>
#endif

namespace ffgrant::under_test {

[[gnu::noinline]] bool ParsePortably(std::string_view text, std::uint16_t& index,
                                     Uuid& uuid) noexcept {
  return internal::ParseCanonicalExecutionId(text, index, uuid);
}

#ifdef FFGRANT_HAS_AVX2_PATHS
[[gnu::noinline]] bool ParseWithAvx2(std::string_view text, std::uint16_t& index,
                                     Uuid& uuid) noexcept {
  return internal::ParseCanonicalExecutionIdAvx2(text, index, uuid);
}
#endif

}  // namespace ffgrant::under_test

namespace ffgrant::fuzz {
namespace {

using testing::NaiveExecutionId;
using testing::NaiveParseExecutionId;
using testing::NaiveParseUuid;
using testing::NaiveUuidText;

std::string Shown(ExecutionIdError error, std::size_t offset, std::string_view payload,
                  std::uint16_t index, const Uuid& uuid, bool canonical) {
  return std::string(ErrorName(error)) + " at " + std::to_string(offset) + ", payload " +
         Quoted(payload) + ", " + std::to_string(index) + ", " + NaiveUuidText(uuid) +
         (canonical ? ", canonical" : "");
}

std::string Shown(const ExecutionIdResult& r) {
  return Shown(r.error, r.offset, r.payload, r.id.partition().index, r.id.uuid(),
               r.id.is_canonical());
}

bool SameView(std::string_view a, std::string_view b) {
  return a.size() == b.size() && (a.empty() || a.data() == b.data());
}

// Compares the results, and also the places where their views point.
bool Same(const ExecutionIdResult& got, const NaiveExecutionId& expected, std::string_view text) {
  return got.error == expected.error && got.offset == expected.offset &&
         SameView(got.payload, expected.payload) &&
         SameView(got.id.text(), got ? text : std::string_view()) &&
         got.id.partition().index == expected.index && got.id.uuid() == expected.uuid &&
         got.id.is_canonical() == expected.canonical;
}

ExecutionIdResult Parse(std::string_view text, ParseMode mode) {
  return WithoutAllocation(text, [&]() noexcept { return ParseExecutionId(text, mode); });
}

ExecutionIdResult CheckMode(std::string_view text, ParseMode mode) {
  const ExecutionIdResult got = Parse(text, mode);
  const NaiveExecutionId expected = NaiveParseExecutionId(text, mode);
  if (!Same(got, expected, text)) {
    Fail(mode == ParseMode::kStrict ? "strict parse" : "lenient parse", text,
         Shown(expected.error, expected.offset, expected.payload, expected.index, expected.uuid,
               expected.canonical),
         Shown(got));
  }

  // The payload has been compared already, so its bytes are left out here. The error, the place of
  // the error and the payload's size tell inputs apart.
  Observe(static_cast<std::uint64_t>(got.error) << 32 | got.offset << 16 | got.payload.size());
  return got;
}

// Returns the message that the result must have. The messages come from contract 1.6; those of the
// strict errors are our own.
std::string NaiveErrorText(const ExecutionIdResult& result) {
  const std::string payload(result.payload);
  switch (result.error) {
    case ExecutionIdError::kNone:
      return "";
    case ExecutionIdError::kMissingTag:
      return "execution_id is missing the `{fp:N}:` hash-tag prefix: " + payload;
    case ExecutionIdError::kInvalidPartitionIndex:
      return "execution_id partition index is not a valid u16: " + payload;
    case ExecutionIdError::kInvalidUuid:
      return "execution_id UUID suffix is not a valid UUID: " + payload;
    case ExecutionIdError::kPlusSign:
      return "execution_id partition index begins with a plus sign: " + payload;
    case ExecutionIdError::kLeadingZero:
      return "execution_id partition index has leading zeros: " + payload;
    case ExecutionIdError::kNonCanonicalUuidForm:
      return "execution_id UUID suffix is not in the hyphenated form: " + payload;
    case ExecutionIdError::kUppercaseUuid:
      return "execution_id UUID suffix has uppercase digits: " + payload;
  }
  return "?";
}

#ifdef FFGRANT_HAS_AVX2_PATHS
// Asks the processor whether it has AVX2, as its manual prescribes. CPUID leaf 7 reports AVX2. The
// operating system must also save AVX2's registers: if leaf 1 reports OSXSAVE, XCR0 tells whether
// the operating system does this.
bool ProcessorHasAvx2() {
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & bit_OSXSAVE) == 0) return false;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0 || (b & bit_AVX2) == 0) return false;
  __asm__("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
  constexpr unsigned kSseAndAvx = 6;
  return (a & kSseAndAvx) == kSseAndAvx;
}
#endif

// Checks each path that reads a canonical id; outside this test a machine takes only one of the
// paths.
void CheckCanonicalPaths(std::string_view text, const ExecutionIdResult& strict) {
  const auto check = [&](std::string_view path, bool canonical, std::uint16_t index,
                         const Uuid& uuid) {
    if (canonical != static_cast<bool>(strict) ||
        (canonical && (index != strict.id.partition().index || uuid != strict.id.uuid()))) {
      Fail(path, text, Shown(strict));
    }
  };
  std::uint16_t index = 0;
  Uuid uuid;
  const bool portable = under_test::ParsePortably(text, index, uuid);
  check("the portable path", portable, index, uuid);
#ifdef FFGRANT_HAS_AVX2_PATHS
  static const bool has_avx2 = ProcessorHasAvx2();
  if (internal::HasAvx2() != has_avx2) Fail("whether there is AVX2", text);
  if (!has_avx2) return;
  const bool avx2 = under_test::ParseWithAvx2(text, index, uuid);
  check("the AVX2 path", avx2, index, uuid);
#endif
}

void CheckAccepted(std::string_view text, const ExecutionIdView& id, bool strict) {
  const std::uint16_t index = id.partition().index;
  const std::string canonical = "{fp:" + std::to_string(index) + "}:" + NaiveUuidText(id.uuid());
  if (strict != (text == canonical)) Fail("strict is not canonical", text, canonical);
  if (id.partition().family != PartitionFamily::kExecution) Fail("family", text);
  Observe(canonical);
  if (!ObservedOneIn(4)) return;

  // The tag in the id must also be a partition key. Its partition is that of the id, but with the
  // alias collapsed.
  const std::string_view key = text.substr(0, text.find("}:") + 1);
  const PartitionKeyResult partition = ParsePartitionKey(key, ParseMode::kLenient);
  if (!partition || partition.partition != CollapseAlias(id.partition())) {
    Fail("the key within the id", text, std::to_string(index), ErrorName(partition.error));
  }

  const MintedExecutionId minted =
      WithoutAllocation(text, [&] { return MintedExecutionId(index, id.uuid()); });
  const ExecutionIdView view = minted.view();
  if (minted.text() != canonical || view.text() != canonical || view.uuid() != id.uuid() ||
      view.partition() != id.partition() || !view.is_canonical()) {
    Fail("minted again", text, canonical, minted.text());
  }
  // An owning id keeps the text as it was spelled.
  ExecutionId owned(view);
  owned.assign(id);
  if (owned.text() != text || owned.view() != id || owned.view().uuid() != id.uuid() ||
      owned.view().partition() != id.partition() ||
      owned.view().is_canonical() != id.is_canonical() || (owned == ExecutionId(view)) != strict) {
    Fail("owning id", text, text, owned.text());
  }
}

// Checks the uuid parser by itself, on the whole input or on a part of it.
void CheckUuid(std::string_view text) {
  for (const ParseMode mode : {ParseMode::kLenient, ParseMode::kStrict}) {
    const UuidResult got =
        WithoutAllocation(text, [&]() noexcept { return ParseUuid(text, mode); });
    const UuidResult expected = NaiveParseUuid(text, mode);
    if (got != expected) {
      Fail("uuid", text,
           std::string(ErrorName(expected.error)) + " at " + std::to_string(expected.offset),
           std::string(ErrorName(got.error)) + " at " + std::to_string(got.offset));
    }
    if (!got) continue;
    char out[kUuidTextSize];
    FormatUuid(got.uuid, out);
    if (std::string_view(out, sizeof out) != NaiveUuidText(got.uuid)) {
      Fail("uuid written", text, NaiveUuidText(got.uuid), {out, sizeof out});
    }
  }
}

// Checks each path that reads a canonical uuid; outside this test a machine takes only one of the
// paths.
void CheckUuidPaths(std::string_view text) {
  if (text.size() != kUuidTextSize) return;
  const UuidResult expected = NaiveParseUuid(text, ParseMode::kStrict);
  for (const auto parse : {internal::ParseCanonicalUuid, internal::ParseCanonicalUuidPortable}) {
    Uuid uuid;
    const bool canonical =
        WithoutAllocation(text, [&]() noexcept { return parse(text.data(), uuid); });
    if (canonical != static_cast<bool>(expected) || (canonical && uuid != expected.uuid)) {
      Fail(parse == internal::ParseCanonicalUuidPortable ? "uuid without SSE2" : "canonical uuid",
           text, ErrorName(expected.error));
    }
  }
}

// Parses a list of three texts at once: `text` between two valid ids.
void CheckMany(std::string_view text, const ExecutionIdResult& strict) {
  constexpr std::string_view kRight = "{fp:7}:550e8400-e29b-41d4-a716-446655440000";
  const std::string_view texts[] = {kRight, text, kRight};
  ExecutionIdView ids[3];
  const ExecutionIdsResult got = WithoutAllocation(
      text, [&]() noexcept { return ParseExecutionIds(texts, ParseMode::kStrict, ids); });
  if (got.count != (strict ? 3u : 1u) || static_cast<bool>(got) != static_cast<bool>(strict) ||
      got.failure.error != strict.error || got.failure.offset != strict.offset ||
      ids[0].text() != kRight || ids[1].text() != strict.id.text() ||
      ids[1].uuid() != strict.id.uuid() || ids[1].partition() != strict.id.partition() ||
      ids[2].text().empty() == static_cast<bool>(strict)) {
    Fail("many ids", text, Shown(strict), Shown(got.failure));
  }
}

}  // namespace
}  // namespace ffgrant::fuzz

using namespace ffgrant;
using namespace ffgrant::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const InputCopies input(data, size);
  const auto [text, other] = input.shuffled();
  const ExecutionIdResult lenient = CheckMode(text, ParseMode::kLenient);
  const ExecutionIdResult strict = CheckMode(other, ParseMode::kStrict);
  const std::size_t tag_end = text.find("}:");
  const std::string_view uuid = other.substr(tag_end == std::string_view::npos ? 0 : tag_end + 2);
  {
    const internal::ForceCpuFeatures force(0);
    static_cast<void>(CheckMode(other, ParseMode::kLenient));
    static_cast<void>(CheckMode(text, ParseMode::kStrict));
    CheckUuid(uuid);
  }
  CheckMany(text, strict);
  if (lenient) CheckAccepted(text, lenient.id, static_cast<bool>(strict));
  if (!strict && ObservedOneIn(8)) {
    CheckWrite("error text", text, NaiveErrorText(strict), size * 7,
               [&](std::span<char> out) { return FormatExecutionIdError(strict, out); });
  }
  CheckCanonicalPaths(text, strict);
  CheckUuidPaths(uuid);
  CheckUuid(uuid);
  return 0;
}

FFGRANT_FUZZ_TEXT_MUTATORS(kExecutionIdGrammar)
