// SPDX-License-Identifier: Apache-2.0
//
// Bodies of the issuer's routes that are no grant (core/contract/live-observed.md, 4, 6, 7):
// creations, cancellations and signals, and what is answered to them.

#ifndef FFGRANT_JSON_ISSUER_BODIES_H_
#define FFGRANT_JSON_ISSUER_BODIES_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "ffgrant/config.h"
#include "ffgrant/ids.h"
#include "ffgrant/json/json_error.h"
#include "ffgrant/json/json_scratch.h"

FFGRANT_API_BEGIN
namespace ffgrant {

struct CreateRequest {
  std::string_view execution_id = {};
  std::string_view ns = "default";
  std::string_view lane_id = {};
  std::string_view execution_kind = "task";
  std::string_view payload = {};  // any bytes; the body may have 1 MiB, each byte up to 4 in it
  std::int32_t priority = 0;
  std::string_view creator_identity = "ffgrant";
  std::span<const std::pair<std::string_view, std::string_view>> tags = {};
  // FlowFabric's ExecutionPolicy as JSON, sent as it is. Empty: none.
  std::string_view policy_json = {};
  std::optional<TimestampMs> delay_until = {};
};

struct CancelRequest {
  std::string_view reason = {};
  std::string_view source = "operator_override";
};

struct SignalRequest {
  std::string_view waitpoint_id = {};
  std::string_view signal_id = {};
  std::string_view name = {};
  std::string_view category = "external";
  std::string_view source_type = "worker";
  std::string_view source_identity = "ffgrant";
  std::string_view target_scope = "waitpoint";
  std::string_view waitpoint_token = {};
  std::string_view payload = {};  // any bytes; empty: none
};

// Each writes the body into `out`, which keeps its memory from one to the next. False, and
// `out` is empty, if a text is no UTF-8. `partition` is the id's; `now_ms` the caller's time.
bool WriteCreateBody(const CreateRequest& request, std::uint16_t partition, std::int64_t now_ms,
                     std::string& out);
bool WriteCancelBody(std::string_view execution_id, const CancelRequest& request,
                     std::int64_t now_ms, std::string& out);
bool WriteSignalBody(std::string_view execution_id, const SignalRequest& request,
                     std::int64_t now_ms, std::string& out);

// {"Created":{"execution_id":...,"public_state":...}} or {"Duplicate":{"execution_id":...}}
JsonResult ParseCreated(std::string_view json, JsonScratch& scratch, bool& created);
// {"Cancelled":{"execution_id":...,"public_state":...}}
JsonResult ParseCancelled(std::string_view json, JsonScratch& scratch);
// {"Accepted":{"signal_id":...,"effect":...}} or {"Duplicate":{"existing_signal_id":...}}:
// then `effect` is empty.
JsonResult ParseSignalled(std::string_view json, JsonScratch& scratch, std::string& effect);
// A text alone, as a public state is.
JsonResult ParseTextBody(std::string_view json, JsonScratch& scratch, std::string& out);

}  // namespace ffgrant
FFGRANT_API_END

#endif  // FFGRANT_JSON_ISSUER_BODIES_H_
