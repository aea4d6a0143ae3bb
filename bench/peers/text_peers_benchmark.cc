// SPDX-License-Identifier: Apache-2.0
//
// Everything that reads or writes a text, beside its peers. Which libraries
// there are is found out by CMakeLists.txt; the others are named as left out.

#include "bench/peers/add_peers.h"
#include "bench/peers/registry.h"

namespace ffgrant::bench::peers {
namespace {

// Core first: it leads each case's rows.
void AddAll(Registry& registry) {
  AddCoreAndLimits(registry);
  AddRequestPeers(registry);
#if FFGRANT_HAVE_REFERENCE
  AddReferencePeers(registry);
#else
  registry.AddLeftOut("the reference", "ff-core; scripts/bootstrap --with-reference");
#endif
  AddPlainPeers(registry);
  AddSimdjsonPeers(registry);
#if FFGRANT_HAVE_RAPIDJSON
  AddRapidjsonPeers(registry);
#else
  registry.AddLeftOut("RapidJSON", "rapidjson-dev");
#endif
#if FFGRANT_HAVE_NLOHMANN
  AddNlohmannPeers(registry);
#else
  registry.AddLeftOut("nlohmann JSON", "nlohmann-json3-dev");
#endif
#if FFGRANT_HAVE_RE2
  AddRe2Peers(registry);
#else
  registry.AddLeftOut("RE2", "libre2-dev");
#endif
  AddAbslPeers(registry);
}

}  // namespace
}  // namespace ffgrant::bench::peers

int main(int argc, char** argv) {
  using namespace ffgrant::bench::peers;
  return RunPeers(argc, argv, AddAll);
}
