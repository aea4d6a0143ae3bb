// SPDX-License-Identifier: Apache-2.0
//
// The ways to read a claim response. What is usual in length and order both
// ParseClaimResponse and ParseClaimGrant read at once; the rest goes to the
// sequential path, and only this one rejects documents. ParseClaimGrant has a
// further path in front.

#ifndef FFGRANT_JSON_INTERNAL_CLAIM_RESPONSE_PATHS_H_
#define FFGRANT_JSON_INTERNAL_CLAIM_RESPONSE_PATHS_H_

#include <string_view>

#include "ffgrant/internal/cpu.h"
#include "ffgrant/json/claim_response.h"
#include "ffgrant/json/json_error.h"
#include "ffgrant/json/json_scratch.h"

namespace ffgrant::internal {

// Canonical documents: what SerializeClaimResponse writes for texts of plain
// bytes. Of use where the scratch has no memory, or too little. Any size; `out` may be written in
// part if the answer is no.
bool ParseClaimResponseCanonical(std::string_view json, ClaimResponseView& out) noexcept;

// All documents that fit the scratch, and canonical ones that don't.
JsonResult ParseClaimResponseSequential(std::string_view json, JsonScratch& scratch,
                                        ClaimResponseView& out) noexcept;

// ParseClaimGrant on machines without AVX2, and for what the next one refuses.
GrantJsonResult ParseAnyClaimGrant(std::string_view json, JsonScratch& scratch,
                                   ClaimGrantView& out) noexcept;

// Canonical documents with the id's own tag as partition key and the grant key
// that follows from it: what is claimed from Valkey. Writes `out` only if the
// answer is yes.
#ifdef FFGRANT_HAS_AVX2_PATHS
FFGRANT_AVX2 bool ParseIssuedGrantAvx2(std::string_view json, ClaimGrantView& out) noexcept;

// ParseClaimGrant on machines with AVX2.
FFGRANT_AVX2 GrantJsonResult ParseClaimGrantAvx2(std::string_view json, JsonScratch& scratch,
                                                 ClaimGrantView& out) noexcept;
#endif

}  // namespace ffgrant::internal

#endif  // FFGRANT_JSON_INTERNAL_CLAIM_RESPONSE_PATHS_H_
