// SPDX-License-Identifier: Apache-2.0
//
// Reads and writes the body of POST /v1/executions/{execution_id}/reclaim (contract 5.3). The
// members below are in the order in which they are written; absent optional members are omitted.

#ifndef FFGRANT_JSON_RECLAIM_REQUEST_H_
#define FFGRANT_JSON_RECLAIM_REQUEST_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "ffgrant/config.h"
#include "ffgrant/json/json_error.h"
#include "ffgrant/json/json_scratch.h"
#include "ffgrant/json/string_list.h"
#include "ffgrant/write_result.h"

FFGRANT_API_BEGIN
namespace ffgrant {

struct ReclaimRequestView {
  std::string_view worker_id;
  std::string_view worker_instance_id;
  std::string_view lane_id;
  std::optional<std::string_view> capability_hash;  // null and absent mean the same
  std::uint64_t grant_ttl_ms = 0;
  std::optional<std::string_view> route_snapshot_json;  // opaque text
  std::optional<std::string_view> admission_summary;    // opaque text
  StringList worker_capabilities;                       // empty if absent

  friend bool operator==(const ReclaimRequestView&, const ReclaimRequestView&) = default;
};

// Decodes `json`, which may be any bytes. `out` is untouched on failure.
JsonResult ParseReclaimRequest(std::string_view json, JsonScratch& scratch,
                               ReclaimRequestView& out) noexcept;

// Writes compact JSON. Fails with kInvalidUtf8 if a text isn't UTF-8.
WriteResult SerializeReclaimRequest(const ReclaimRequestView& request,
                                    std::span<char> out) noexcept;

}  // namespace ffgrant
FFGRANT_API_END

#endif  // FFGRANT_JSON_RECLAIM_REQUEST_H_
