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

std::string Handle(const HandleView& view) {
  constexpr const char* kBackends[] = {"Valkey", "Postgres", "Sqlite"};
  constexpr const char* kKinds[] = {"Fresh", "Resumed", "Suspended", "Reclaimed"};
  std::string json = "{\"backend\":\"";
  json += kBackends[static_cast<std::size_t>(view.backend)];
  json += "\",\"kind\":\"";
  json += kKinds[static_cast<std::size_t>(view.kind)];
  json += "\",\"opaque\":[";
  for (std::size_t i = 0; i < view.opaque.size(); ++i) {
    if (i > 0) json += ',';
    json += to_string(static_cast<unsigned char>(view.opaque[i]));
  }
  return json + "]}";
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

}  // namespace ffgrant::fuzz
