// SPDX-License-Identifier: Apache-2.0
//
// Compares how our code and the reference parse the DTOs other than claim responses. The first byte
// chooses a DTO; the rest is the document, which the reference decodes either as its client or as
// its server does. Verdict, class, error, member and values must be the same.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "chosen_dto.h"
#include "differential/verdict.h"
#include "ffgrant/json/claim_request.h"
#include "ffgrant/json/error_body.h"
#include "ffgrant/json/lease_results.h"
#include "ffgrant/json/partition_config.h"
#include "ffgrant/json/reclaim_request.h"
#include "ffgrant/json/reclaim_response.h"
#include "harness/engine.h"

namespace ffgrant::fuzz {
namespace {

template <class View, class Parse>
void Check(std::string_view json, Parse parse) {
  static reference::DtoValues values;
  View view = {};
  const JsonResult result = parse(json, WarmScratch(json.size()), view);
  reference::Fill(view, values);
  Observe(static_cast<std::uint64_t>(result.error) << 32 | result.offset);
  const ffref_reader reader = ObservedOneIn(2) ? FFREF_AS_SERVER : FFREF_AS_CLIENT;
  Expect(json, TheComparer().Document(values.dto, reader, json, result, values));
}

void CheckDto(NaiveDto dto, std::string_view json) {
  switch (dto) {
    case NaiveDto::kClaimRequest:
      return Check<ClaimRequestView>(json, ParseClaimRequest);
    case NaiveDto::kClaimResponse:
      return;  // grant_parse_reference_fuzzer covers claim responses
    case NaiveDto::kReclaimRequest:
      return Check<ReclaimRequestView>(json, ParseReclaimRequest);
    case NaiveDto::kReclaimResponse:
      return Check<ReclaimResponseView>(json, ParseReclaimResponse);
    case NaiveDto::kErrorBody:
      return Check<ErrorBodyView>(json, ParseErrorBody);
    case NaiveDto::kRevokeLeaseResult:
      return Check<RevokeLeaseResultView>(json, ParseRevokeLeaseResult);
    case NaiveDto::kRenewLeaseResult:
      return Check<RenewLeaseResult>(json, ParseRenewLeaseResult);
    case NaiveDto::kClaimedResult:
      return Check<ClaimedView>(json, ParseClaimedResult);
    case NaiveDto::kLeaseFence:
      return Check<LeaseFence>(json, ParseLeaseFence);
    case NaiveDto::kPartitionConfig:
      return Check<PartitionConfig>(json, ParsePartitionConfig);
  }
}

}  // namespace
}  // namespace ffgrant::fuzz

using namespace ffgrant::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  CheckDto(ChosenDto(data[0]), {reinterpret_cast<const char*>(data) + 1, size - 1});
  return 0;
}

FFGRANT_FUZZ_CHOSEN_DTO_MUTATORS()
