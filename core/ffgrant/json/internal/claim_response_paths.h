// SPDX-License-Identifier: Apache-2.0
//
// The ways to read a claim response. ParseClaimResponse tries the two for
// responses from top to bottom; the first says no to all that it isn't sure of,
// so that only the second ever rejects a document. ParseClaimGrant has a further
// one in front.

#ifndef FFGRANT_JSON_INTERNAL_CLAIM_RESPONSE_PATHS_H_
#define FFGRANT_JSON_INTERNAL_CLAIM_RESPONSE_PATHS_H_

#include <string_view>

#include "ffgrant/internal/cpu.h"
#include "ffgrant/json/claim_response.h"
#include "ffgrant/json/json_error.h"
#include "ffgrant/json/json_scratch.h"

namespace ffgrant::internal {

// Canonical documents: what SerializeClaimResponse writes for texts of plain
// bytes. Any size; `out` may be written in part if the answer is no.
bool ParseClaimResponseCanonical(std::string_view json, ClaimResponseView& out) noexcept;

// All documents that fit the scratch.
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
