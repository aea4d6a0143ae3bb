// SPDX-License-Identifier: Apache-2.0

#include "oracles/naive_json_writer.h"

#include <cstddef>
#include <variant>

#include "testing/naive/naive_uuid.h"

namespace ffgrant::fuzz {
namespace {

using std::to_string;

std::string QuotedUuid(const Uuid& uuid) { return '"' + testing::NaiveUuidText(uuid) + '"'; }

std::string List(const StringList& texts) {
  std::string json = "[";
  for (const std::string_view text : texts) {
    if (json.size() > 1) json += ',';
    json += NaiveQuoted(text);
  }
  return json + "]";
}

std::string GrantMembers(const ClaimResponseView& view) {
  return "\"execution_id\":" + NaiveQuoted(view.execution_id) +
         ",\"partition_key\":" + NaiveQuoted(view.partition_key) +
         ",\"grant_key\":" + NaiveQuoted(view.grant_key) +
         ",\"expires_at_ms\":" + to_string(view.expires_at_ms);
}

std::string ByteList(std::string_view bytes) {
  std::string json = "[";
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i > 0) json += ',';
    json += to_string(static_cast<unsigned char>(bytes[i]));
  }
  return json + "]";
}

std::string Handle(const HandleView& view) {
  constexpr const char* kBackends[] = {"Valkey", "Postgres", "Sqlite"};
  constexpr const char* kKinds[] = {"Fresh", "Resumed", "Suspended", "Reclaimed"};
  std::string json = "{\"backend\":\"";
  json += kBackends[static_cast<std::size_t>(view.backend)];
  json += "\",\"kind\":\"";
  json += kKinds[static_cast<std::size_t>(view.kind)];
  return json + "\",\"opaque\":" + ByteList(view.opaque) + "}";
}

}  // namespace

std::string NaiveQuoted(std::string_view text) {
  std::string json = "\"";
  for (const char c : text) {
    constexpr std::string_view kSpecial = "\"\\\b\t\n\f\r";
    constexpr std::string_view kLetters = "\"\\btnfr";
    const std::size_t short_form = kSpecial.find(c);
    if (short_form != std::string_view::npos) {
      json += '\\';
      json += kLetters[short_form];
    } else if (static_cast<unsigned char>(c) < 0x20) {
      constexpr char kHex[] = "0123456789abcdef";
      json += "\\u00";
      json += kHex[c / 16];
      json += kHex[c % 16];
    } else {
      json += c;
    }
  }
  return json + "\"";
}

std::string NaiveJson(const ClaimRequestView& view) {
  return "{\"lane_id\":" + NaiveQuoted(view.lane_id) +
         ",\"worker_instance_id\":" + NaiveQuoted(view.worker_instance_id) +
         ",\"capabilities\":" + List(view.capabilities) +
         ",\"grant_ttl_ms\":" + to_string(view.grant_ttl_ms) + "}";
}

std::string NaiveJson(const ClaimResponseView& view) { return "{" + GrantMembers(view) + "}"; }

std::string NaiveJson(const ReclaimRequestView& view) {
  std::string json = "{\"worker_id\":" + NaiveQuoted(view.worker_id) +
                     ",\"worker_instance_id\":" + NaiveQuoted(view.worker_instance_id) +
                     ",\"lane_id\":" + NaiveQuoted(view.lane_id);
  if (view.capability_hash) json += ",\"capability_hash\":" + NaiveQuoted(*view.capability_hash);
  json += ",\"grant_ttl_ms\":" + to_string(view.grant_ttl_ms);
  if (view.route_snapshot_json) {
    json += ",\"route_snapshot_json\":" + NaiveQuoted(*view.route_snapshot_json);
  }
  if (view.admission_summary) {
    json += ",\"admission_summary\":" + NaiveQuoted(*view.admission_summary);
  }
  return json + ",\"worker_capabilities\":" + List(view.worker_capabilities) + "}";
}

std::string NaiveJson(const ReclaimResponseView& view) {
  if (const auto* granted = std::get_if<ReclaimGrantedView>(&view)) {
    return "{\"status\":\"granted\"," + GrantMembers(granted->grant) +
           ",\"lane_id\":" + NaiveQuoted(granted->lane_id) + "}";
  }
  if (const auto* refused = std::get_if<NotReclaimableView>(&view)) {
    return "{\"status\":\"not_reclaimable\",\"execution_id\":" +
           NaiveQuoted(refused->execution_id) + ",\"detail\":" + NaiveQuoted(refused->detail) + "}";
  }
  const auto& exceeded = std::get<ReclaimCapExceededView>(view);
  return "{\"status\":\"reclaim_cap_exceeded\",\"execution_id\":" +
         NaiveQuoted(exceeded.execution_id) +
         ",\"reclaim_count\":" + to_string(exceeded.reclaim_count) + "}";
}

std::string NaiveJson(const ErrorBodyView& view) {
  std::string json = "{\"error\":" + NaiveQuoted(view.error);
  if (view.kind) json += ",\"kind\":" + NaiveQuoted(*view.kind);
  if (view.retryable) json += *view.retryable ? ",\"retryable\":true" : ",\"retryable\":false";
  return json + "}";
}

std::string NaiveJson(const RevokeLeaseResultView& view) {
  if (const auto* revoked = std::get_if<RevokedView>(&view)) {
    return "{\"Revoked\":{\"lease_id\":" + NaiveQuoted(revoked->lease_id) +
           ",\"lease_epoch\":" + NaiveQuoted(revoked->lease_epoch) + "}}";
  }
  return "{\"AlreadySatisfied\":{\"reason\":" +
         NaiveQuoted(std::get<AlreadySatisfiedView>(view).reason) + "}}";
}

std::string NaiveJson(const RenewLeaseResult& view) {
  return "{\"Renewed\":{\"expires_at\":" + to_string(view.expires_at.value) + "}}";
}

std::string NaiveJson(const ClaimedView& view) {
  constexpr const char* kTypes[] = {"initial", "retry", "reclaim", "replay", "fallback"};
  std::string json = "{\"Claimed\":{\"execution_id\":" + NaiveQuoted(view.execution_id.text()) +
                     ",\"lease_id\":" + QuotedUuid(view.lease_id.uuid) +
                     ",\"lease_epoch\":" + to_string(view.lease_epoch.value) +
                     ",\"attempt_index\":" + to_string(view.attempt_index.value) +
                     ",\"attempt_id\":" + QuotedUuid(view.attempt_id.uuid) + ",\"attempt_type\":\"";
  json += kTypes[static_cast<std::size_t>(view.attempt_type)];
  return json + "\",\"lease_expires_at\":" + to_string(view.lease_expires_at.value) +
         ",\"handle\":" + Handle(view.handle) + "}}";
}

std::string NaiveJson(const LeaseFence& view) {
  return "{\"lease_id\":" + QuotedUuid(view.lease_id.uuid) +
         ",\"lease_epoch\":" + to_string(view.lease_epoch.value) +
         ",\"attempt_id\":" + QuotedUuid(view.attempt_id.uuid) + "}";
}

std::string NaiveJson(const PartitionConfig& view) {
  return "{\"num_flow_partitions\":" + to_string(view.num_flow_partitions) +
         ",\"num_budget_partitions\":" + to_string(view.num_budget_partitions) +
         ",\"num_quota_partitions\":" + to_string(view.num_quota_partitions) + "}";
}

std::string NaiveCreateBody(const CreateRequest& request, std::uint16_t partition,
                            std::int64_t now_ms) {
  std::string tags;
  for (const auto& [name, value] : request.tags) {
    tags += (tags.empty() ? "" : ",") + NaiveQuoted(name) + ":" + NaiveQuoted(value);
  }
  std::string json =
      "{\"execution_id\":" + NaiveQuoted(request.execution_id) +
      ",\"namespace\":" + NaiveQuoted(request.ns) + ",\"lane_id\":" + NaiveQuoted(request.lane_id) +
      ",\"execution_kind\":" + NaiveQuoted(request.execution_kind) +
      ",\"input_payload\":" + ByteList(request.payload) +
      ",\"payload_encoding\":null,\"priority\":" + to_string(request.priority) +
      ",\"creator_identity\":" + NaiveQuoted(request.creator_identity) + ",\"tags\":{" + tags + "}";
  if (!request.policy_json.empty()) json += ",\"policy\":" + std::string(request.policy_json);
  if (request.delay_until) json += ",\"delay_until\":" + to_string(request.delay_until->value);
  return json + ",\"partition_id\":" + to_string(partition) + ",\"now\":" + to_string(now_ms) + "}";
}

std::string NaiveCancelBody(std::string_view execution_id, const CancelRequest& request,
                            std::int64_t now_ms) {
  return "{\"execution_id\":" + NaiveQuoted(execution_id) +
         ",\"reason\":" + NaiveQuoted(request.reason) +
         ",\"source\":" + NaiveQuoted(request.source) + ",\"now\":" + to_string(now_ms) + "}";
}

std::string NaiveSignalBody(std::string_view execution_id, const SignalRequest& request,
                            std::int64_t now_ms) {
  std::string json = "{\"execution_id\":" + NaiveQuoted(execution_id) +
                     ",\"waitpoint_id\":" + NaiveQuoted(request.waitpoint_id) +
                     ",\"signal_id\":" + NaiveQuoted(request.signal_id) +
                     ",\"signal_name\":" + NaiveQuoted(request.name) +
                     ",\"signal_category\":" + NaiveQuoted(request.category) +
                     ",\"source_type\":" + NaiveQuoted(request.source_type) +
                     ",\"source_identity\":" + NaiveQuoted(request.source_identity);
  if (!request.payload.empty()) json += ",\"payload\":" + ByteList(request.payload);
  return json + ",\"target_scope\":" + NaiveQuoted(request.target_scope) +
         ",\"waitpoint_token\":" + NaiveQuoted(request.waitpoint_token) +
         ",\"now\":" + to_string(now_ms) + "}";
}

}  // namespace ffgrant::fuzz
