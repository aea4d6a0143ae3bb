// SPDX-License-Identifier: Apache-2.0
//
// Test only: runs a cluster. What happens to real deployments also happens to this cluster, as a
// seed chooses. The nodes freeze, cannot be reached, and move to other addresses (strangers take
// over some of the old addresses). Nodes are killed and come back, sometimes without their
// functions. Primaries are cut off and their replicas take over, sometimes without their last
// writes. The cluster splits. Slots move, at once or key by key with ASK. Nodes leave and join
// another cluster, and new nodes come. A witness sees every function that is executed.
//
//   SimulatedDeployment deployment(seed);
//   options.servers = {deployment.name()};
//   options.make_network = [&] { return deployment.NewNetwork(); };
//   deployment.Begin();
//   ... calls, with deployment.MayHappen() before each ...
//   deployment.Heal();

#ifndef FFGRANT_TESTING_SIMULATION_SIMULATED_DEPLOYMENT_H_
#define FFGRANT_TESTING_SIMULATION_SIMULATED_DEPLOYMENT_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "testing/simulation/claim_witness.h"
#include "testing/simulation/simulated_cluster.h"

namespace ffgrant::valkey::testing {

class SimulatedDeployment {
 public:
  explicit SimulatedDeployment(std::uint64_t seed);
  SimulatedDeployment(const SimulatedDeployment&) = delete;

  SimulatedWorld& world() { return world_; }
  SimulatedCluster& cluster() { return cluster_; }
  ClaimWitness& witness() { return witness_; }
  // Returns an endpoint that leads to some member, as a service's name does. (A client that is
  // configured with the address of a node instead follows this node wherever it goes, once all
  // other nodes that the client knew are gone: client_topology.cc, rule 2.)
  Endpoint name() const { return {.host = "cluster.example", .port = 6379}; }
  // Makes a network for a client. In this network connections break and bytes are held up.
  std::unique_ptr<Network> NewNetwork();

  // Things go wrong only between Begin() and Heal(). Heal() lets the planned events happen, mends
  // the cluster, and lets everything that is on its way arrive.
  void Begin() { calm_ = false; }
  void MayHappen();
  void Heal();

  // Returns how often each kind of event has happened. An event that was chosen but could do
  // nothing does not count.
  const std::map<std::string_view, std::uint64_t>& happened() const { return happened_; }

  std::uint64_t Below(std::uint64_t bound) {
    return std::uniform_int_distribution<std::uint64_t>(0, bound - 1)(random_);
  }
  bool OneIn(std::uint64_t n) { return Below(n) == 0; }
  std::int64_t Upto(std::uint64_t ms) { return static_cast<std::int64_t>(Below(ms + 1)); }

 private:
  // A slot whose keys are moved one by one.
  struct Migration {
    std::uint16_t slot;
    SimulatedServer* from;
    SimulatedServer* to;
  };

  Fault Mischief(Operation operation);
  void Happen();
  // Each of these is an event. It returns false if it has done nothing, because the cluster is not
  // fit for it.
  bool FreezeNode();
  bool CutOffNode();
  bool MoveNode();
  bool MoveSomeSlots();
  bool KillNode();
  bool FailOver();
  bool Split();
  bool BeginMigration();
  void MoveSomeKeys();
  void EndMigration();
  bool ReplaceNode();

  void Watch(SimulatedServer& server, bool member);
  void GossipAfter(std::int64_t ms);
  void Point();
  std::int64_t Soon() { return world_.now() + 50 + Upto(1200); }
  Endpoint NewAddress();
  std::size_t AnyNode() { return static_cast<std::size_t>(Below(cluster_.size())); }
  std::size_t AnyPrimary();
  std::size_t IndexOf(const SimulatedServer& server);
  bool Serves(std::size_t i);
  void MoveAllSlots(std::size_t from, std::size_t to);
  // Moves up to `most` + 1 consecutive slots of `from`, beginning with `first`. `from` must have
  // `first`.
  void MoveSlots(std::size_t from, std::size_t to, std::uint16_t first, std::uint64_t most);
  bool TakeOver(SimulatedServer& replica);

  std::mt19937_64 random_;
  SimulatedWorld world_;
  SimulatedCluster cluster_{world_, {.primaries = 3, .replicas = 1}};
  SimulatedCluster other_{world_, {.primaries = 1, .network = "10.9.0."}};
  ClaimWitness witness_;
  std::vector<ScriptedNetwork*> networks_;
  std::optional<Migration> migration_;
  std::map<std::string_view, std::uint64_t> happened_;
  bool calm_ = true;
  std::int64_t held_until_ = 0;
  std::uint64_t addresses_ = 0;
};

}  // namespace ffgrant::valkey::testing

#endif  // FFGRANT_TESTING_SIMULATION_SIMULATED_DEPLOYMENT_H_
