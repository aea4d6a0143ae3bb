// SPDX-License-Identifier: Apache-2.0
//
// simdjson: https://github.com/simdjson/simdjson/blob/master/doc/performance.md
// There is one parser for all documents, and the input is followed by simdjson's padding, so
// nothing is copied. simdjson writes no JSON.

#include <simdjson.h>

#include <string_view>

#include "bench/peers/add_peers.h"
#include "bench/peers/core_peer.h"
#include "bench/peers/simdjson_readers.h"

namespace ffgrant::bench::peers {
void AddSimdjsonPeers(Registry& registry) {
  registry.AddVersion("simdjson", SIMDJSON_STRINGIFY(SIMDJSON_VERSION));
  AddGrantReader<SimdjsonOnDemandReader>(registry);
  AddGrantReader<SimdjsonCheckedReader>(registry);
  AddGrantReader<SimdjsonDomReader>(registry);
}

}  // namespace ffgrant::bench::peers
