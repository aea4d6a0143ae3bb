// SPDX-License-Identifier: Apache-2.0
//
// Reads and writes the reclaim response, whose member `status` is its tag (contract 5.4). On output
// the tag comes first; on input it may stand anywhere.
//
//   {"status":"granted", execution_id, partition_key, grant_key,
//    expires_at_ms, lane_id}
//   {"status":"not_reclaimable", execution_id, detail}
//   {"status":"reclaim_cap_exceeded", execution_id, reclaim_count}

#ifndef FFGRANT_JSON_RECLAIM_RESPONSE_H_
#define FFGRANT_JSON_RECLAIM_RESPONSE_H_

#include <cstdint>
#include <span>
#include <string_view>
#include <variant>

#include "ffgrant/config.h"
#include "ffgrant/execution_id.h"
#include "ffgrant/grant.h"
#include "ffgrant/json/claim_response.h"
#include "ffgrant/json/json_error.h"
#include "ffgrant/json/json_scratch.h"
#include "ffgrant/lane_id.h"
#include "ffgrant/write_result.h"

FFGRANT_API_BEGIN
namespace ffgrant {

struct ReclaimGrantedView {
  ClaimResponseView grant;
  std::string_view lane_id;
  friend constexpr bool operator==(const ReclaimGrantedView&, const ReclaimGrantedView&) = default;
};

struct NotReclaimableView {
  std::string_view execution_id;
  std::string_view detail;
  friend constexpr bool operator==(const NotReclaimableView&, const NotReclaimableView&) = default;
};

struct ReclaimCapExceededView {
  std::string_view execution_id;
  std::uint32_t reclaim_count = 0;
  friend constexpr bool operator==(const ReclaimCapExceededView&,
                                   const ReclaimCapExceededView&) = default;
};

using ReclaimResponseView =
    std::variant<ReclaimGrantedView, NotReclaimableView, ReclaimCapExceededView>;

// Decodes `json`, which may be any bytes. The parser reads the whole response to find the tag, and
// judges the other members only then. So it also checks the values of ignored members in full
// (contract 4). `out` is untouched on failure.
JsonResult ParseReclaimResponse(std::string_view json, JsonScratch& scratch,
                                ReclaimResponseView& out) noexcept;

// Writes compact JSON. Fails with kInvalidUtf8 if a text isn't UTF-8.
WriteResult SerializeReclaimResponse(const ReclaimResponseView& response,
                                     std::span<char> out) noexcept;

// The conversion follows contract 5.5: it parses `execution_id` and, if that succeeds, checks
// `lane_id`. `out` is written only if both errors are kNone. The reference's message quotes the
// text that is wrong. The results of ParseExecutionId(granted.grant.execution_id,
// ParseMode::kLenient) and ParseLaneId(granted.lane_id) have all that this message needs.
struct [[nodiscard]] ReclaimGrantConversion {
  ExecutionIdError execution_id = ExecutionIdError::kNone;
  LaneIdError lane_id = LaneIdError::kNone;
  constexpr explicit operator bool() const noexcept {
    return execution_id == ExecutionIdError::kNone && lane_id == LaneIdError::kNone;
  }
};
ReclaimGrantConversion ToReclaimGrant(const ReclaimGrantedView& granted,
                                      ReclaimGrantView& out) noexcept;

}  // namespace ffgrant
FFGRANT_API_END

#endif  // FFGRANT_JSON_RECLAIM_RESPONSE_H_
