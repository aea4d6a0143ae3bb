// SPDX-License-Identifier: Apache-2.0
//
// Reads and writes the body of POST /v1/workers/{worker_id}/claim (contract 5.1):
//
//   {"lane_id":"main","worker_instance_id":"w1-i1","capabilities":["gpu"],
//    "grant_ttl_ms":5000}

#ifndef FFGRANT_JSON_CLAIM_REQUEST_H_
#define FFGRANT_JSON_CLAIM_REQUEST_H_

#include <cstdint>
#include <span>
#include <string_view>

#include "ffgrant/config.h"
#include "ffgrant/json/json_error.h"
#include "ffgrant/json/json_scratch.h"
#include "ffgrant/json/string_list.h"
#include "ffgrant/write_result.h"

FFGRANT_API_BEGIN
namespace ffgrant {

// The decoder checks only the JSON and the types. The endpoint must check the lane, the instance
// id, the capabilities and the ttl (1..60000; contract 6).
struct ClaimRequestView {
  std::string_view lane_id;
  std::string_view worker_instance_id;
  StringList capabilities;  // empty if absent; order and repeats are kept
  std::uint64_t grant_ttl_ms = 0;

  friend bool operator==(const ClaimRequestView&, const ClaimRequestView&) = default;
};

// Decodes `json`, which may be any bytes. A `worker_id` in the body is an unknown member and is
// ignored. `out` is untouched on failure.
JsonResult ParseClaimRequest(std::string_view json, JsonScratch& scratch,
                             ClaimRequestView& out) noexcept;

// Writes compact JSON. `capabilities` is always written, in the caller's order. Fails with
// kInvalidUtf8 if a text isn't UTF-8.
WriteResult SerializeClaimRequest(const ClaimRequestView& request, std::span<char> out) noexcept;

}  // namespace ffgrant
FFGRANT_API_END

#endif  // FFGRANT_JSON_CLAIM_REQUEST_H_
