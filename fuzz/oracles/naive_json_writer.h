// SPDX-License-Identifier: Apache-2.0
//
// Test only: writes the DTOs as JSON by naive concatenation (contract 4 "String output" and 5).

#ifndef FFGRANT_FUZZ_ORACLES_NAIVE_JSON_WRITER_H_
#define FFGRANT_FUZZ_ORACLES_NAIVE_JSON_WRITER_H_

#include <string>
#include <string_view>

#include "ffgrant/json/claim_request.h"
#include "ffgrant/json/claim_response.h"
#include "ffgrant/json/error_body.h"
#include "ffgrant/json/lease_results.h"
#include "ffgrant/json/reclaim_request.h"
#include "ffgrant/json/reclaim_response.h"
#include "ffgrant/partition.h"

namespace ffgrant::fuzz {

// Returns the text in quotes, with escapes.
std::string NaiveQuoted(std::string_view text);

std::string NaiveJson(const ClaimRequestView& view);
std::string NaiveJson(const ClaimResponseView& view);
std::string NaiveJson(const ReclaimRequestView& view);
std::string NaiveJson(const ReclaimResponseView& view);
std::string NaiveJson(const ErrorBodyView& view);
std::string NaiveJson(const RevokeLeaseResultView& view);
std::string NaiveJson(const RenewLeaseResult& view);
std::string NaiveJson(const ClaimedView& view);
std::string NaiveJson(const LeaseFence& view);
std::string NaiveJson(const PartitionConfig& view);

}  // namespace ffgrant::fuzz

#endif  // FFGRANT_FUZZ_ORACLES_NAIVE_JSON_WRITER_H_
