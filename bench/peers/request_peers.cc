// SPDX-License-Identifier: Apache-2.0
//
// Adds to the figures of claim requests and large grants: core, the limits, and as a peer a
// std::string that keeps its capacity.

#include <array>
#include <charconv>
#include <cstddef>
#include <string>
#include <string_view>

#include "bench/grant_baselines.h"
#include "bench/peers/add_peers.h"
#include "bench/peers/core_peer.h"
#include "bench/peers/request_figures.h"

namespace ffgrant::bench::peers {
namespace {

void AppendRequest(const RequestMembers& request, std::string& out) {
  out += "{\"lane_id\":";
  plain::AppendJsonText(request.lane_id, out);
  out += ",\"worker_instance_id\":";
  plain::AppendJsonText(request.worker_instance_id, out);
  out += ",\"capabilities\":[";
  for (std::size_t i = 0; i < request.capability_count; ++i) {
    if (i != 0) out += ',';
    plain::AppendJsonText(request.capabilities[i], out);
  }
  out += "],\"grant_ttl_ms\":";
  std::array<char, 20> digits;
  const char* const end =
      std::to_chars(digits.data(), digits.data() + digits.size(), request.grant_ttl_ms).ptr;
  out.append(digits.data(), static_cast<std::size_t>(end - digits.data()));
  out += '}';
}

class ReusedRequestWriter : public ResultIsValue<std::string_view> {
 public:
  static constexpr std::string_view kImpl = "StdStringReused";
  std::string_view operator()(std::size_t i) {
    json_.clear();
    AppendRequest(Requests().members[i], json_);
    return json_;
  }

 private:
  std::string json_;
};

}  // namespace

void AddRequestPeers(Registry& registry) {
  AddPeer<ParseRequest, CorePeer<ParseRequest>>(registry);
  AddPeer<SerializeRequest, CorePeer<SerializeRequest>>(registry);
  AddPeer<ParseLargeGrant, CorePeer<ParseLargeGrant>>(registry);
  AddLimit<ParseRequest>(registry);
  AddLimit<SerializeRequest>(registry);
  AddLimit<ParseLargeGrant>(registry);
  AddPeer<SerializeRequest, ReusedRequestWriter>(registry);
}

}  // namespace ffgrant::bench::peers
