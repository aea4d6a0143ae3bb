// SPDX-License-Identifier: Apache-2.0
//
// simdjson: https://github.com/simdjson/simdjson/blob/master/doc/performance.md
// One parser for all documents, and input that is followed by its padding, so
// that nothing is copied. It writes no JSON.

#include <simdjson.h>

#include <string_view>

#include "bench/peers/add_peers.h"
#include "bench/peers/core_peer.h"
#include "bench/peers/simdjson_readers.h"

namespace ffgrant::bench::peers {
void AddSimdjsonPeers(Registry& registry) {
  registry.AddVersion("simdjson", SIMDJSON_STRINGIFY(SIMDJSON_VERSION));
  AddGrantReader<SimdjsonOnDemandReader>(registry);
  AddGrantReader<SimdjsonDomReader>(registry);
}

}  // namespace ffgrant::bench::peers
