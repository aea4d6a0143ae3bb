// SPDX-License-Identifier: Apache-2.0
//
// The claim response is a grant on the wire (contract 5.2):
//
//   {"execution_id":"{fp:7}:11111111-1111-4111-8111-111111111111",
//    "partition_key":"{fp:7}",
//    "grant_key":"ff:exec:{fp:7}:{fp:7}:11111111-...:claim_grant",
//    "expires_at_ms":1700000000000}
//
// The real text has no white space. "No work" is status 204 with an empty body, which is no JSON.

#ifndef FFGRANT_JSON_CLAIM_RESPONSE_H_
#define FFGRANT_JSON_CLAIM_RESPONSE_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "ffgrant/config.h"
#include "ffgrant/execution_id.h"
#include "ffgrant/grant.h"
#include "ffgrant/json/json_error.h"
#include "ffgrant/json/json_scratch.h"
#include "ffgrant/write_result.h"

FFGRANT_API_BEGIN
namespace ffgrant {

// The members as decoded. Decoding does not check the grammar of the ids and keys (contract 4, end
// of 1.6).
struct ClaimResponseView {
  std::string_view execution_id;
  std::string_view partition_key;
  std::string_view grant_key;
  std::uint64_t expires_at_ms = 0;

  friend constexpr bool operator==(const ClaimResponseView&, const ClaimResponseView&) = default;
};

// Decodes `json`, which may be any bytes. A document is canonical if SerializeClaimResponse()
// writes it and its texts are ASCII and have no escapes. Most canonical documents take a fast path;
// the reader of contract 4 takes all other documents. The verdict does not depend on the path.
// `out` is untouched on failure. Canonical documents need no scratch, so the scratch's limit on the
// size does not apply to them.
JsonResult ParseClaimResponse(std::string_view json, JsonScratch& scratch,
                              ClaimResponseView& out) noexcept;

// Converts a response as contract 5.5 says: parses `execution_id` and checks nothing else.
ExecutionIdResult ToClaimGrant(const ClaimResponseView& response, ClaimGrantView& out) noexcept;

struct [[nodiscard]] GrantJsonResult {
  JsonResult json;                                          // the result of decoding
  ExecutionIdError execution_id = ExecutionIdError::kNone;  // the result of converting

  constexpr explicit operator bool() const noexcept {
    return static_cast<bool>(json) && execution_id == ExecutionIdError::kNone;
  }
};

// Decodes and converts in one call, as a worker needs it. The reference reports a failed conversion
// as `malformed_response`. A caller that wants the reference's message calls ParseClaimResponse and
// then ToClaimGrant, whose result has all that the message needs.
//
//   JsonScratch scratch;
//   ClaimGrantView grant;
//   if (ParseClaimGrant(body, scratch, grant)) use(grant, grant.partition());
GrantJsonResult ParseClaimGrant(std::string_view json, JsonScratch& scratch,
                                ClaimGrantView& out) noexcept;

// The bytes of member names, punctuation and a number of 20 digits. The bytes of the texts are not
// included.
inline constexpr std::size_t kClaimResponseJsonOverhead = 17 + 19 + 15 + 18 + 20 + 1;

// Returns a buffer size that always suffices for these texts: in JSON a byte becomes at most six
// bytes.
constexpr std::size_t MaxClaimResponseJsonSize(const ClaimResponseView& r) noexcept {
  return kClaimResponseJsonOverhead +
         6 * (r.execution_id.size() + r.partition_key.size() + r.grant_key.size());
}

// Writes compact JSON with the members in the order above, byte for byte as the reference writes
// it. Fails with kInvalidUtf8 if a text isn't UTF-8.
WriteResult SerializeClaimResponse(const ClaimResponseView& response, std::span<char> out) noexcept;
WriteResult SerializeClaimGrant(const ClaimGrantView& grant, std::span<char> out) noexcept;

}  // namespace ffgrant
FFGRANT_API_END

#endif  // FFGRANT_JSON_CLAIM_RESPONSE_H_
