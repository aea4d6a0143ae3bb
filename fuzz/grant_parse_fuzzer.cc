// SPDX-License-Identifier: Apache-2.0
//
// Parses claim responses (contract 4, 5.2, 5.5) from any bytes on every path and compares verdict,
// error, offset, member and values with a naive decoder. A fast path may decline a document but
// never give another result. An accepted document is also written in another way, which must mean
// the same. The document is also read as a grant, whose partition and ingress check have oracles of
// their own.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "ffgrant/grant.h"
#include "ffgrant/ingress.h"
#include "ffgrant/internal/cpu.h"
#include "ffgrant/json/claim_response.h"
#include "ffgrant/json/internal/claim_response_paths.h"
#include "harness/allocation_trap.h"
#include "harness/engine.h"
#include "harness/failure.h"
#include "harness/input_copies.h"
#include "harness/json_check.h"
#include "harness/json_generation.h"
#include "harness/json_mutation.h"
#include "harness/observations.h"
#include "harness/random.h"
#include "oracles/naive_dtos.h"
#include "oracles/naive_json_writer.h"
#include "testing/naive/naive_execution_id.h"
#include "testing/naive/naive_partition_key.h"

namespace ffgrant::fuzz {
namespace {

using testing::NaiveExecutionId;
using testing::NaiveParseExecutionId;
using testing::NaiveParsePartitionKey;
using testing::NaivePartitionTag;

const ClaimResponseView kUntouched = {"id", "key", "grant", 42};

// --- the paths ---

// Whether JSON needs no escape for any of the bytes.
bool IsPlain(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return c >= 0x20 && c != '"' && c != '\\'; });
}

void CheckCanonical(std::string_view json, const NaiveDocument& expected,
                    const ClaimResponseView& response) {
  ClaimResponseView view = kUntouched;
  const bool taken = WithoutAllocation(
      json, [&]() noexcept { return internal::ParseClaimResponseCanonical(json, view); });
  if (taken && (!expected.result || !Holds(expected, view))) Fail("canonical path", json);
  const bool must = expected.result && IsPlain(response.execution_id) &&
                    IsPlain(response.partition_key) && IsPlain(response.grant_key) &&
                    NaiveJson(response) == json;
  if (must && !taken) Fail("the canonical path declines", json);
  Observe(taken);
  const auto parse = [](std::string_view text, JsonScratch& scratch,
                        ClaimResponseView& out) noexcept {
    return ParseClaimResponse(text, scratch, out);
  };
  // The scratch's limit does not apply to documents that need no scratch.
  if (must) {
    CheckParse("without scratch", json, expected, kUntouched, ScratchFor(0), parse);
  } else if (!taken) {
    CheckTooLarge(json, kUntouched, parse);
  }
}

// --- the grant ---

IngressError NaiveIngress(const ClaimGrantView& grant, const PartitionConfig& config) {
  const std::string_view id_text = grant.execution_id.text();
  const NaiveExecutionId id = NaiveParseExecutionId(id_text, ParseMode::kLenient);
  if (!id.canonical) return IngressError::kNonCanonicalExecutionId;
  const auto key = NaiveParsePartitionKey(grant.partition_key, ParseMode::kLenient);
  if (key.error != PartitionKeyError::kNone) return IngressError::kInvalidPartitionKey;
  const std::string tag = NaivePartitionTag(key.partition);
  if (tag != grant.partition_key) return IngressError::kNonCanonicalPartitionKey;
  const int count = key.partition.family == PartitionFamily::kBudget  ? config.num_budget_partitions
                    : key.partition.family == PartitionFamily::kQuota ? config.num_quota_partitions
                                                                      : config.num_flow_partitions;
  if (key.partition.index >= count) return IngressError::kPartitionOutOfRange;
  const std::string id_tag = "{fp:" + std::to_string(id.index) + "}";
  if (tag != id_tag) return IngressError::kTagMismatch;
  const std::string stem = "ff:exec:";
  if (grant.grant_key.substr(0, stem.size()) == stem &&
      grant.grant_key != stem + id_tag + ":" + std::string(id_text) + ":claim_grant") {
    return IngressError::kGrantKeyMismatch;
  }
  return IngressError::kNone;
}

void CheckIngressOf(std::string_view json, const ClaimGrantView& grant) {
  const std::uint16_t index = grant.partition().partition.index;
  const std::uint16_t above = static_cast<std::uint16_t>(index == 65535 ? index : index + 1);
  // In two of the configurations each count is either just large enough or one too small.
  for (const PartitionConfig& config : {PartitionConfig{}, PartitionConfig{above, index, index},
                                        PartitionConfig{index, above, above}}) {
    const IngressError got =
        WithoutAllocation(json, [&]() noexcept { return CheckIngress(grant, config); });
    const IngressError expected = NaiveIngress(grant, config);
    if (got != expected) Fail("ingress check", json, ErrorName(expected), ErrorName(got));
    Observe(static_cast<std::uint64_t>(got));
  }
}

using GrantParser = GrantJsonResult (*)(std::string_view, JsonScratch&, ClaimGrantView&) noexcept;

void CheckGrantBy(GrantParser parse, std::string_view json, const NaiveDocument& expected) {
  ClaimGrantView grant;
  grant.grant_key = "untouched";
  JsonScratch& scratch = ScratchFor(json.size());
  const GrantJsonResult result =
      WithoutAllocation(json, [&]() noexcept { return parse(json, scratch, grant); });
  if (result.json != expected.result) {
    Fail("grant: result", json, Shown(expected.result), Shown(result.json));
  }
  NaiveExecutionId id;
  if (expected.result) id = NaiveParseExecutionId(expected.values[0].text, ParseMode::kLenient);
  if (result.execution_id != id.error) {
    Fail("grant: execution id", json, ErrorName(id.error), ErrorName(result.execution_id));
  }
  Observe(static_cast<std::uint64_t>(result.execution_id));
  if (!result) {
    if (grant.grant_key != "untouched") Fail("grant: touched on failure", json);
    return;
  }
  const ClaimResponseView response = {grant.execution_id.text(), grant.partition_key,
                                      grant.grant_key, grant.expires_at_ms};
  if (!Holds(expected, response) || grant.execution_id.uuid() != id.uuid ||
      grant.execution_id.partition() != Partition{PartitionFamily::kExecution, id.index} ||
      grant.execution_id.is_canonical() != id.canonical) {
    Fail("grant: values", json);
  }
  ClaimGrantView converted;
  if (!ToClaimGrant(response, converted) || converted != grant) Fail("grant converted", json);
  for (const ParseMode mode : {ParseMode::kLenient, ParseMode::kStrict}) {
    const PartitionKeyResult got =
        WithoutAllocation(json, [&]() noexcept { return grant.partition(mode); });
    if (got != NaiveParsePartitionKey(grant.partition_key, mode)) Fail("grant: partition", json);
    Observe(static_cast<std::uint64_t>(got.error) << 16 | got.partition.index);
  }
  CheckIngressOf(json, grant);
}

void CheckIssuedGrant(std::string_view json, const NaiveDocument& expected) {
#ifdef FFGRANT_HAS_AVX2_PATHS
  if (!internal::HasAvx2()) return;
  CheckGrantBy(internal::ParseClaimGrantAvx2, json, expected);
  ClaimGrantView grant;
  grant.grant_key = "untouched";
  const bool taken = WithoutAllocation(
      json, [&]() noexcept { return internal::ParseIssuedGrantAvx2(json, grant); });
  Observe(taken);
  if (!taken) {
    if (grant.grant_key != "untouched") Fail("issued grant: touched", json);
    return;
  }
  const ClaimResponseView response = {grant.execution_id.text(), grant.partition_key,
                                      grant.grant_key, grant.expires_at_ms};
  const NaiveExecutionId id = NaiveParseExecutionId(grant.execution_id.text(), ParseMode::kStrict);
  if (!expected.result || !Holds(expected, response) || NaiveJson(response) != json ||
      id.error != ExecutionIdError::kNone || id.uuid != grant.execution_id.uuid() ||
      id.index != grant.execution_id.partition().index || !grant.execution_id.is_canonical()) {
    Fail("issued grant", json);
  }
#else
  static_cast<void>(json);
  static_cast<void>(expected);
#endif
}

// Reads the grant in each way that there is.
void CheckGrant(const InputCopies& input, const NaiveDocument& expected) {
  for (const std::string_view json : {input.exact(), input.at_page_end()}) {
    for (const unsigned features : internal::kCpuFeatureSets) {
      const internal::ForceCpuFeatures force(features);
      CheckGrantBy(ParseClaimGrant, json, expected);
    }
    CheckGrantBy(internal::ParseAnyClaimGrant, json, expected);
    CheckIssuedGrant(json, expected);
  }
}

// --- the same said otherwise ---

std::string SaidOtherwise(Random& random, const ClaimResponseView& response) {
  const std::size_t escapes = 1 + random.Below(12);
  std::string names[] = {"execution_id", "partition_key", "grant_key", "expires_at_ms"};
  std::string values[] = {
      Spelt(random, response.execution_id, escapes), Spelt(random, response.partition_key, escapes),
      Spelt(random, response.grant_key, escapes), std::to_string(response.expires_at_ms)};
  const bool positional = random.OneIn(4);
  std::size_t order[] = {0, 1, 2, 3};
  if (!positional) {
    for (std::size_t i = 3; i > 0; --i) std::swap(order[i], order[random.Below(i + 1)]);
  }
  std::string json = SomeSpace(random) + (positional ? "[" : "{") + SomeSpace(random);
  const auto add_space = [&] { json += SomeSpace(random); };
  for (std::size_t i = 0; i < 4; ++i) {
    if (i > 0) json += ',';
    if (!positional) {
      if (random.OneIn(8)) json += "\"x\" :" + Nested(random, random.Below(4)) + ",";
      add_space();
      json += Spelt(random, names[order[i]], 1 + random.Below(32));
      add_space();
      json += ':';
    }
    add_space();
    json += values[order[i]];
    add_space();
  }
  return json + (positional ? "]" : "}") + SomeSpace(random);
}

void CheckSaidOtherwise(std::string_view json, const NaiveDocument& expected,
                        const ClaimResponseView& response) {
  Random random(json.size() + response.expires_at_ms);
  const std::string other = SaidOtherwise(random, response);
  const ClaimResponseView again =
      CheckParse("said otherwise", other, expected, kUntouched, ScratchFor(other.size()),
                 [](std::string_view text, JsonScratch& scratch, ClaimResponseView& out) noexcept {
                   return ParseClaimResponse(text, scratch, out);
                 });
  Observe(again.grant_key);
}

}  // namespace
}  // namespace ffgrant::fuzz

using namespace ffgrant;
using namespace ffgrant::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const InputCopies input(data, size);
  const std::string_view json = input.exact();
  const NaiveDocument expected = NaiveDecode(NaiveDto::kClaimResponse, json);
  JsonScratch& scratch = ScratchFor(size);
  for (const std::string_view copy : {input.at_page_end(), json}) {
    CheckParse("sequential path", copy, expected, kUntouched, scratch,
               internal::ParseClaimResponseSequential);
  }
  for (const unsigned features : internal::kCpuFeatureSets) {
    const internal::ForceCpuFeatures force(features);
    CheckParse("at a page's end", input.at_page_end(), expected, kUntouched, scratch,
               ParseClaimResponse);
    CheckParse("sequential path", input.at_page_end(), expected, kUntouched, scratch,
               internal::ParseClaimResponseSequential);
  }
  const ClaimResponseView response =
      CheckParse("parse", json, expected, kUntouched, scratch, ParseClaimResponse);
  // Copies the texts, since the paths and the reading of the other spelling use the scratch again.
  const std::string texts[] = {std::string(response.execution_id),
                               std::string(response.partition_key),
                               std::string(response.grant_key)};
  const ClaimResponseView kept = {texts[0], texts[1], texts[2], response.expires_at_ms};
  CheckCanonical(json, expected, kept);
  CheckGrant(input, expected);
  if (expected.result) CheckSaidOtherwise(json, expected, kept);
  return 0;
}

FFGRANT_FUZZ_DOCUMENT_MUTATORS(NaiveDto::kClaimResponse)
