// SPDX-License-Identifier: Apache-2.0
//
// simdjson: https://github.com/simdjson/simdjson/blob/master/doc/performance.md
// One parser for all documents, and input that is followed by its padding, so
// that nothing is copied. It writes no JSON.

#include <simdjson.h>

#include <string_view>

#include "bench/grant_baselines.h"
#include "bench/peers/add_peers.h"
#include "bench/peers/core_peer.h"

namespace ffgrant::bench::peers {
namespace {

static_assert(simdjson::SIMDJSON_PADDING <= TextSet::kPadding);

struct OnDemand {
  static constexpr std::string_view kImpl = "SimdjsonOnDemand";
  bool Read(std::string_view json, plain::GrantMembers& out) {
    return reader.ReadMembers(json, out);
  }
  plain::SimdjsonGrantReader reader;
};

struct Dom {
  static constexpr std::string_view kImpl = "SimdjsonDom";
  bool Read(std::string_view json, plain::GrantMembers& out) {
    simdjson::dom::object object;
    // The last argument: no copy, the padding is there.
    if (parser.parse(json.data(), json.size(), false).get_object().get(object) !=
        simdjson::SUCCESS) {
      return false;
    }
    return object["execution_id"].get_string().get(out.execution_id) == simdjson::SUCCESS &&
           object["partition_key"].get_string().get(out.partition_key) == simdjson::SUCCESS &&
           object["grant_key"].get_string().get(out.grant_key) == simdjson::SUCCESS &&
           object["expires_at_ms"].get_uint64().get(out.expires_at_ms) == simdjson::SUCCESS;
  }
  simdjson::dom::parser parser;
};

}  // namespace

void AddSimdjsonPeers(Registry& registry) {
  registry.AddVersion("simdjson", SIMDJSON_STRINGIFY(SIMDJSON_VERSION));
  AddGrantReader<OnDemand>(registry);
  AddGrantReader<Dom>(registry);
}

}  // namespace ffgrant::bench::peers
