// SPDX-License-Identifier: Apache-2.0
//
// Parses the DTOs other than claim responses (contract 4, 5). The first byte, from '0' on, chooses
// a DTO; the rest is the document. Verdict, error, offset, member and values are compared with a
// naive decoder.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "chosen_dto.h"
#include "ffgrant/internal/cpu.h"
#include "ffgrant/json/claim_request.h"
#include "ffgrant/json/error_body.h"
#include "ffgrant/json/lease_results.h"
#include "ffgrant/json/partition_config.h"
#include "ffgrant/json/reclaim_request.h"
#include "ffgrant/json/reclaim_response.h"
#include "ffgrant/lane_id.h"
#include "ffgrant/uuid.h"
#include "harness/allocation_trap.h"
#include "harness/engine.h"
#include "harness/failure.h"
#include "harness/input_copies.h"
#include "harness/json_check.h"
#include "oracles/naive_dtos.h"
#include "testing/naive/naive_execution_id.h"

namespace ffgrant::fuzz {
namespace {

template <class View>
using Parser = JsonResult (*)(std::string_view, JsonScratch&, View&) noexcept;

template <class View>
View Check(NaiveDto dto, const InputCopies& input, const View& untouched, Parser<View> parse) {
  const std::string_view json = input.exact();
  const NaiveDocument expected = NaiveDecode(dto, json);
  JsonScratch& scratch = ScratchFor(json.size());
  CheckTooLarge(json, untouched, parse);
  for (const unsigned features : internal::kCpuFeatureSets) {
    const internal::ForceCpuFeatures force(features);
    CheckParse("at a page's end", input.at_page_end(), expected, untouched, scratch, parse);
  }
  return CheckParse("parse", json, expected, untouched, scratch, parse);
}

LaneIdError NaiveLaneError(std::string_view lane) {
  if (lane.empty()) return LaneIdError::kEmpty;
  if (lane.size() > 64) return LaneIdError::kTooLong;
  for (const char c : lane) {
    if (c < 0x20 || c > 0x7E) return LaneIdError::kNotPrintable;
  }
  return LaneIdError::kNone;
}

// Checks the conversion of contract 5.5.
void CheckConversion(std::string_view json, const ReclaimGrantedView& granted) {
  ReclaimGrantView grant;
  grant.grant.grant_key = "untouched";
  const ReclaimGrantConversion got =
      WithoutAllocation(json, [&]() noexcept { return ToReclaimGrant(granted, grant); });
  const auto id = testing::NaiveParseExecutionId(granted.grant.execution_id, ParseMode::kLenient);
  const LaneIdError lane =
      id.error == ExecutionIdError::kNone ? NaiveLaneError(granted.lane_id) : LaneIdError::kNone;
  if (got.execution_id != id.error || got.lane_id != lane) Fail("conversion", json);
  if (!got) {
    if (grant.grant.grant_key != "untouched") Fail("conversion: touched on failure", json);
    return;
  }
  if (grant.grant.execution_id.text() != granted.grant.execution_id ||
      grant.grant.execution_id.uuid() != id.uuid ||
      grant.grant.partition_key != granted.grant.partition_key ||
      grant.grant.grant_key != granted.grant.grant_key ||
      grant.grant.expires_at_ms != granted.grant.expires_at_ms ||
      grant.lane_id.text() != granted.lane_id) {
    Fail("conversion: values", json);
  }
}

void CheckReclaimResponse(const InputCopies& input) {
  const ReclaimResponseView untouched = NotReclaimableView{"before", "this"};
  const ReclaimResponseView response = Check<ReclaimResponseView>(NaiveDto::kReclaimResponse, input,
                                                                  untouched, ParseReclaimResponse);
  if (const auto* granted = std::get_if<ReclaimGrantedView>(&response)) {
    CheckConversion(input.exact(), *granted);
  }
}

Uuid UuidOf(std::uint8_t byte) {
  Uuid uuid;
  uuid.bytes.fill(byte);
  return uuid;
}

void CheckDto(NaiveDto dto, const InputCopies& input) {
  switch (dto) {
    case NaiveDto::kClaimRequest:
      Check<ClaimRequestView>(dto, input, {"lane", "instance", {}, 42}, ParseClaimRequest);
      return;
    case NaiveDto::kClaimResponse:
      return;  // grant_parse_fuzzer covers claim responses
    case NaiveDto::kReclaimRequest:
      Check<ReclaimRequestView>(dto, input, {"w", "i", "l", "h", 42, "r", {}, {}},
                                ParseReclaimRequest);
      return;
    case NaiveDto::kReclaimResponse:
      CheckReclaimResponse(input);
      return;
    case NaiveDto::kErrorBody:
      Check<ErrorBodyView>(dto, input, {"error", "kind", true}, ParseErrorBody);
      return;
    case NaiveDto::kRevokeLeaseResult:
      Check<RevokeLeaseResultView>(dto, input, RevokedView{"before", "this"},
                                   ParseRevokeLeaseResult);
      return;
    case NaiveDto::kRenewLeaseResult:
      Check<RenewLeaseResult>(dto, input, {{42}}, ParseRenewLeaseResult);
      return;
    case NaiveDto::kClaimedResult: {
      ClaimedView untouched;
      untouched.lease_id.uuid = UuidOf(1);
      untouched.lease_epoch.value = 42;
      untouched.attempt_index.value = 43;
      untouched.attempt_id.uuid = UuidOf(2);
      untouched.attempt_type = AttemptType::kFallback;
      untouched.lease_expires_at.value = 44;
      untouched.handle = {HandleBackend::kSqlite, HandleKind::kReclaimed, "bytes"};
      Check<ClaimedView>(dto, input, untouched, ParseClaimedResult);
      return;
    }
    case NaiveDto::kLeaseFence:
      Check<LeaseFence>(dto, input, {{UuidOf(1)}, {42}, {UuidOf(2)}}, ParseLeaseFence);
      return;
    case NaiveDto::kPartitionConfig:
      Check<PartitionConfig>(dto, input, {41, 42, 43}, ParsePartitionConfig);
      return;
  }
}

}  // namespace
}  // namespace ffgrant::fuzz

using namespace ffgrant;
using namespace ffgrant::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const InputCopies input(data + 1, size - 1);
  CheckDto(ChosenDto(data[0]), input);
  return 0;
}

FFGRANT_FUZZ_CHOSEN_DTO_MUTATORS()
