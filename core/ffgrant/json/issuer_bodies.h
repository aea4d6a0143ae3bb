// SPDX-License-Identifier: Apache-2.0
//
// Writes and reads the bodies of the issuer's routes that carry no grant
// (core/contract/live-observed.md, 4, 6, 7): requests to create, cancel and signal executions, the
// answers to them, and the answer to a request for a state.

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
  std::string_view payload = {};  // any bytes; each takes up to 4 in the body of at most 1 MiB
  std::int32_t priority = 0;
  std::string_view creator_identity = "ffgrant";
  std::span<const std::pair<std::string_view, std::string_view>> tags = {};
  // FlowFabric's ExecutionPolicy as JSON, sent as it is. Empty means no policy.
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
  std::string_view payload = {};  // any bytes; empty means no payload
};

// Each function writes the body into `out` and reuses the capacity of `out`. If a text other than
// `policy_json` and `payload` is not UTF-8, the function returns false and `out` is empty.
// `partition` is the index of the id's partition; `now_ms` is the caller's time in Unix
// milliseconds.
bool WriteCreateBody(const CreateRequest& request, std::uint16_t partition, std::int64_t now_ms,
                     std::string& out);
bool WriteCancelBody(std::string_view execution_id, const CancelRequest& request,
                     std::int64_t now_ms, std::string& out);
bool WriteSignalBody(std::string_view execution_id, const SignalRequest& request,
                     std::int64_t now_ms, std::string& out);

// Parses {"Created":{"execution_id":...,"public_state":...}}, for which `created` becomes true, or
// {"Duplicate":{"execution_id":...}}, for which `created` becomes false.
JsonResult ParseCreated(std::string_view json, JsonScratch& scratch, bool& created);
// Parses {"Cancelled":{"execution_id":...,"public_state":...}}.
JsonResult ParseCancelled(std::string_view json, JsonScratch& scratch);
// Parses {"Accepted":{"signal_id":...,"effect":...}} or {"Duplicate":{"existing_signal_id":...}}.
// `effect` becomes empty for a duplicate.
JsonResult ParseSignalled(std::string_view json, JsonScratch& scratch, std::string& effect);
// Parses a body that is one JSON string, such as a public state.
JsonResult ParseTextBody(std::string_view json, JsonScratch& scratch, std::string& out);

}  // namespace ffgrant
FFGRANT_API_END

#endif  // FFGRANT_JSON_ISSUER_BODIES_H_
