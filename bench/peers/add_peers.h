// SPDX-License-Identifier: Apache-2.0
//
// Declares the functions that add peers to the figures. The functions of a library are defined in
// its xyz_peer.cc, and add the library to figures in which it can take part.

#ifndef FFGRANT_BENCH_PEERS_ADD_PEERS_H_
#define FFGRANT_BENCH_PEERS_ADD_PEERS_H_

#include "bench/peers/registry.h"

namespace ffgrant::bench::peers {

void AddCoreAndLimits(Registry& registry);
void AddAbslPeers(Registry& registry);
void AddNewestSimdjsonPeers(Registry& registry);
void AddNewestSimdjsonCheckedPeers(Registry& registry);
void AddNlohmannPeers(Registry& registry);
void AddPlainPeers(Registry& registry);
void AddRapidjsonPeers(Registry& registry);
void AddRe2Peers(Registry& registry);
void AddReferencePeers(Registry& registry);
void AddRequestPeers(Registry& registry);
void AddSimdjsonCheckedPeers(Registry& registry);
void AddSimdjsonPeers(Registry& registry);

}  // namespace ffgrant::bench::peers

#endif  // FFGRANT_BENCH_PEERS_ADD_PEERS_H_
