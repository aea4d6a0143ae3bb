// SPDX-License-Identifier: Apache-2.0
//
// Adds the readers of simdjson_checked.h as peers. This file is compiled twice, as simdjson_peer.cc
// is.

#include <simdjson.h>

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>

#include "bench/peers/add_peers.h"
#include "bench/peers/core_peer.h"
#include "bench/peers/request_figures.h"
#include "bench/peers/simdjson_checked.h"

namespace ffgrant::bench::peers {
namespace {

class CheckedRequest {
 public:
  static constexpr std::string_view kImpl = kCheckedName;

  bool Read(std::string_view json, RequestMembers& out) {
    static constexpr std::array<std::string_view, 4> kNames = {"lane_id", "worker_instance_id",
                                                               "capabilities", "grant_ttl_ms"};
    return object_.ReadAll(json, kNames, [&](std::size_t place, simdjson::ondemand::value value) {
      switch (place) {
        case 0:
          return value.get_string().get(out.lane_id) == simdjson::SUCCESS;
        case 1:
          return value.get_string().get(out.worker_instance_id) == simdjson::SUCCESS;
        case 2:
          return ReadCapabilities(value, out);
        default:
          return value.get_uint64().get(out.grant_ttl_ms) == simdjson::SUCCESS;
      }
    });
  }

 private:
  static bool ReadCapabilities(simdjson::ondemand::value value, RequestMembers& out) {
    simdjson::ondemand::array capabilities;
    if (value.get_array().get(capabilities) != simdjson::SUCCESS) return false;
    for (auto capability : capabilities) {
      if (out.capability_count == RequestMembers::kMaxCapabilities ||
          capability.get_string().get(out.capabilities[out.capability_count++]) !=
              simdjson::SUCCESS) {
        return false;
      }
    }
    return true;
  }

  CheckedSimdjsonObject object_;
};

}  // namespace

#if FFGRANT_FOR_NEWEST_SIMDJSON
void AddNewestSimdjsonCheckedPeers(Registry& registry) {
#else
void AddSimdjsonCheckedPeers(Registry& registry) {
#endif
  AddGrantReader<SimdjsonCheckedReader>(registry);
  AddPeer<ParseRequest, RequestPeer<CheckedRequest>>(registry);
  AddPeer<ParseLargeGrant, MembersPeer<SimdjsonCheckedReader>>(registry);
}

}  // namespace ffgrant::bench::peers
