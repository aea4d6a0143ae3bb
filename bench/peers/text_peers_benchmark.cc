// SPDX-License-Identifier: Apache-2.0
//
// Times functions of core that read or write a text, beside their peers. CMakeLists.txt finds out
// which libraries are installed, and the report names the missing ones as left out.

#include "bench/peers/add_peers.h"
#include "bench/peers/registry.h"

namespace ffgrant::bench::peers {
namespace {

// Core is added first, so that its row is the first of each case.
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
  AddSimdjsonCheckedPeers(registry);
#if FFGRANT_HAVE_NEWEST_SIMDJSON
  AddNewestSimdjsonPeers(registry);
  AddNewestSimdjsonCheckedPeers(registry);
#else
  registry.AddLeftOut("newest simdjson", "PyPI; scripts/bootstrap --for peers");
#endif
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
