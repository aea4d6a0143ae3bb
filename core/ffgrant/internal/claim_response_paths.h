// SPDX-License-Identifier: Apache-2.0
//
// The three ways to read a claim response. ParseClaimResponse tries them from
// top to bottom; the first two say no to all that they aren't sure of, so that
// only the last one ever rejects a document.

#ifndef FFGRANT_INTERNAL_CLAIM_RESPONSE_PATHS_H_
#define FFGRANT_INTERNAL_CLAIM_RESPONSE_PATHS_H_

#include <string_view>

#include "ffgrant/json/claim_response.h"
#include "ffgrant/json/json_error.h"
#include "ffgrant/json/json_scratch.h"

namespace ffgrant::internal {

// Canonical documents: what SerializeClaimResponse writes for texts of plain
// bytes. Any size; `out` may be written in part if the answer is no.
bool ParseClaimResponseCanonical(std::string_view json, ClaimResponseView& out) noexcept;

// Documents that simdjson accepts and whose meaning its DOM holds without
// doubt. The other two need the document to fit the scratch.
bool ParseClaimResponseSimdjson(std::string_view json, JsonScratch& scratch,
                                ClaimResponseView& out) noexcept;

// All documents.
JsonResult ParseClaimResponseSequential(std::string_view json, JsonScratch& scratch,
                                        ClaimResponseView& out) noexcept;

}  // namespace ffgrant::internal

#endif  // FFGRANT_INTERNAL_CLAIM_RESPONSE_PATHS_H_
