// SPDX-License-Identifier: Apache-2.0

#include "bench/simdjson_grant_reader.h"

namespace ffgrant::bench::plain {

bool SimdjsonGrantReader::ReadMembers(std::string_view json, GrantMembers& out) {
  const simdjson::padded_string_view padded(json.data(), json.size(),
                                            json.size() + simdjson::SIMDJSON_PADDING);
  simdjson::ondemand::document document;
  if (parser_.iterate(padded).get(document) != simdjson::SUCCESS) return false;
  simdjson::ondemand::object object;
  if (document.get_object().get(object) != simdjson::SUCCESS) return false;
  return object["execution_id"].get_string().get(out.execution_id) == simdjson::SUCCESS &&
         object["partition_key"].get_string().get(out.partition_key) == simdjson::SUCCESS &&
         object["grant_key"].get_string().get(out.grant_key) == simdjson::SUCCESS &&
         object["expires_at_ms"].get_uint64().get(out.expires_at_ms) == simdjson::SUCCESS;
}

bool SimdjsonGrantReader::ReadTyped(std::string_view json, TypedGrant& out) {
  return ReadMembers(json, out.members) && UnderstandMembers(out);
}

}  // namespace ffgrant::bench::plain
