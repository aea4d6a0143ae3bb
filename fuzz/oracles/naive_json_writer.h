// SPDX-License-Identifier: Apache-2.0
//
// Test only: writes the DTOs as JSON by naive concatenation (contract 4 "String output" and 5), and
// the bodies of the issuer's requests (contract/live-observed.md, 4, 6, 7).

#ifndef FFGRANT_FUZZ_ORACLES_NAIVE_JSON_WRITER_H_
#define FFGRANT_FUZZ_ORACLES_NAIVE_JSON_WRITER_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "ffgrant/json/claim_request.h"
#include "ffgrant/json/claim_response.h"
#include "ffgrant/json/error_body.h"
#include "ffgrant/json/issuer_bodies.h"
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

std::string NaiveCreateBody(const CreateRequest& request, std::uint16_t partition,
                            std::int64_t now_ms);
std::string NaiveCancelBody(std::string_view execution_id, const CancelRequest& request,
                            std::int64_t now_ms);
std::string NaiveSignalBody(std::string_view execution_id, const SignalRequest& request,
                            std::int64_t now_ms);

}  // namespace ffgrant::fuzz

#endif  // FFGRANT_FUZZ_ORACLES_NAIVE_JSON_WRITER_H_
