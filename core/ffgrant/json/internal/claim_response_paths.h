// SPDX-License-Identifier: Apache-2.0
//
// Declares the ways to read a claim response. ParseClaimResponse and ParseClaimGrant both read a
// document with the usual lengths and order of members in one step. All other documents go to the
// sequential path. That path finds all faults, except for two that may be found before it runs: a
// first byte that begins no document, and a wrong last byte after the usual form. On machines with
// AVX2, ParseClaimGrant first tries a third path.

#ifndef FFGRANT_JSON_INTERNAL_CLAIM_RESPONSE_PATHS_H_
#define FFGRANT_JSON_INTERNAL_CLAIM_RESPONSE_PATHS_H_

#include <array>
#include <string_view>

#include "ffgrant/internal/cpu.h"
#include "ffgrant/json/claim_response.h"
#include "ffgrant/json/internal/json_memory.h"
#include "ffgrant/json/json_error.h"
#include "ffgrant/json/json_scratch.h"

namespace ffgrant::internal {

// True for each byte with which no document can begin. A document can begin with a blank.
inline constexpr std::array<bool, 256> kBeginsNothing = [] {
  std::array<bool, 256> begins_nothing{};
  begins_nothing.fill(true);
  for (const char c : std::string_view(" \t\n\r{[\"-0123456789tfn")) {
    begins_nothing[static_cast<unsigned char>(c)] = false;
  }
  return begins_nothing;
}();

// Returns true if the document's first byte is at fault; this fault is then the whole result. A
// scratch that is too small or can't be allocated leads to another error, so the result is true
// only if the scratch is large enough and has its memory already.
inline bool IsRejectedAtOnce(std::string_view json, const JsonScratch& scratch) noexcept {
  return !json.empty() && kBeginsNothing[static_cast<unsigned char>(json.front())] &&
         json.size() <= scratch.max_document_size() && JsonMemory::IsThere(scratch);
}

// Reads canonical documents of any size: the text that SerializeClaimResponse writes if all texts
// are plain. This path is needed where the scratch has no memory or too little memory. If the
// result is false, `out` may be partly written.
bool ParseClaimResponseCanonical(std::string_view json, ClaimResponseView& out) noexcept;

// Reads all documents that fit the scratch, and canonical documents that don't.
JsonResult ParseClaimResponseSequential(std::string_view json, JsonScratch& scratch,
                                        ClaimResponseView& out) noexcept;

// Does the work of ParseClaimGrant on machines without AVX2. On other machines it gets the
// documents that ParseIssuedGrantAvx2 does not read and IsRejectedAtOnce does not reject.
GrantJsonResult ParseAnyClaimGrant(std::string_view json, JsonScratch& scratch,
                                   ClaimGrantView& out) noexcept;

// Reads canonical documents in the form that a Valkey-backed issuer writes: the partition key is
// the id's own tag, the grant key follows from the id, and the time has 13 digits. Writes `out`
// only if the result is true.
#ifdef FFGRANT_HAS_AVX2_PATHS
FFGRANT_AVX2 bool ParseIssuedGrantAvx2(std::string_view json, ClaimGrantView& out) noexcept;

// Does the work of ParseClaimGrant on machines with AVX2.
FFGRANT_AVX2 GrantJsonResult ParseClaimGrantAvx2(std::string_view json, JsonScratch& scratch,
                                                 ClaimGrantView& out) noexcept;
#endif

}  // namespace ffgrant::internal

#endif  // FFGRANT_JSON_INTERNAL_CLAIM_RESPONSE_PATHS_H_
