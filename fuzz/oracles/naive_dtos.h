// SPDX-License-Identifier: Apache-2.0
//
// Test only: decodes the DTOs of contract 5, fences (1.7) and partition counts (1.4) naively, and
// compares the values with those of the library's views.

#ifndef FFGRANT_FUZZ_ORACLES_NAIVE_DTOS_H_
#define FFGRANT_FUZZ_ORACLES_NAIVE_DTOS_H_

#include <cstddef>
#include <string_view>
#include <vector>

#include "ffgrant/json/claim_request.h"
#include "ffgrant/json/claim_response.h"
#include "ffgrant/json/error_body.h"
#include "ffgrant/json/json_error.h"
#include "ffgrant/json/lease_results.h"
#include "ffgrant/json/reclaim_request.h"
#include "ffgrant/json/reclaim_response.h"
#include "ffgrant/partition.h"
#include "oracles/naive_json_struct.h"

namespace ffgrant::fuzz {

enum class NaiveDto {
  kClaimRequest,
  kClaimResponse,
  kReclaimRequest,
  kReclaimResponse,
  kErrorBody,
  kRevokeLeaseResult,
  kRenewLeaseResult,
  kClaimedResult,
  kLeaseFence,
  kPartitionConfig,
};
inline constexpr std::size_t kNaiveDtoCount = 10;

struct NaiveDocument {
  JsonResult result;
  // For an accepted document: its variant, and its members in the order in which the contract
  // declares them.
  std::size_t variant = 0;
  std::vector<NaiveValue> values;
};

NaiveDocument NaiveDecode(NaiveDto dto, std::string_view json);

// Returns the variants of `dto`, each as a struct with its members. A DTO that is a simple struct
// has one variant.
std::span<const NaiveField> NaiveVariants(NaiveDto dto);

// Each returns true if the accepted `document` has the same values as `view`, member by member.
bool Holds(const NaiveDocument& document, const ClaimRequestView& view);
bool Holds(const NaiveDocument& document, const ClaimResponseView& view);
bool Holds(const NaiveDocument& document, const ReclaimRequestView& view);
bool Holds(const NaiveDocument& document, const ReclaimResponseView& view);
bool Holds(const NaiveDocument& document, const ErrorBodyView& view);
bool Holds(const NaiveDocument& document, const RevokeLeaseResultView& view);
bool Holds(const NaiveDocument& document, const RenewLeaseResult& view);
bool Holds(const NaiveDocument& document, const ClaimedView& view);
bool Holds(const NaiveDocument& document, const LeaseFence& view);
bool Holds(const NaiveDocument& document, const PartitionConfig& view);

}  // namespace ffgrant::fuzz

#endif  // FFGRANT_FUZZ_ORACLES_NAIVE_DTOS_H_
