// SPDX-License-Identifier: Apache-2.0
//
// Test only: makes simulated servers form one cluster, and does what operators and failures do to a
// cluster. Each node knows only what it was told. Gossip() lets the nodes that can talk to each
// other exchange all they know.
//
//   SimulatedCluster cluster(world, {.primaries = 3, .replicas = 1});
//   cluster.Separate({0});          // node 0 is alone
//   cluster.Failover(3);            // its replica takes over, without its last writes
//   cluster.Gossip();
//   cluster.Separate({});           // node 0 is back, and learns that node 3 has its slots

#ifndef FFGRANT_TESTING_SIMULATION_SIMULATED_CLUSTER_H_
#define FFGRANT_TESTING_SIMULATION_SIMULATED_CLUSTER_H_

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "testing/simulation/simulated_world.h"

namespace ffgrant::valkey::testing {

class SimulatedCluster {
 public:
  struct Options {
    std::size_t primaries = 3;
    std::size_t replicas = 0;         // of each primary
    std::string network = "10.0.0.";  // node i is at <network>(i + 1)
    std::uint16_t port = 6379;
    bool full_coverage = true;  // whether the whole cluster is down if a slot has no live owner
  };

  // Each node i < primaries has an equal share of the slots. Its replicas are the nodes from
  // primaries + i * replicas on.
  SimulatedCluster(SimulatedWorld& world, Options options);

  std::size_t size() const { return nodes_.size(); }
  SimulatedServer& node(std::size_t i) { return *nodes_[i]; }
  ClusterState& state(std::size_t i) { return *nodes_[i]->cluster; }
  // Returns the node that calls itself primary of the slot, with the greatest epoch if there are
  // several such nodes; size() if there is none.
  std::size_t PrimaryOf(std::uint16_t slot) const;

  // Nodes tell each other what they know. A primary that has lost all its slots becomes a replica.
  // A node is down if it sees no majority, or, with full_coverage, if it lacks the owner of a slot.
  // Replication links are open between nodes that can talk.
  void Gossip();
  // From now on the nodes of `group` can talk to each other, and so can the other nodes, but no
  // node of `group` can talk to a node outside it. Clients reach both parts, unless the world cuts
  // them off.
  void Separate(std::set<std::size_t> group);

  // These functions move a slot with its keys. Between BeginMigration() and FinishMigration() each
  // key is on `from` or on `to`, as MigrateKey() and MigrateKeys() decide.
  void BeginMigration(std::uint16_t slot, std::size_t from, std::size_t to);
  void MigrateKey(std::string_view key, std::size_t from, std::size_t to);
  void MigrateKeys(std::uint16_t slot, std::size_t from, std::size_t to);
  void FinishMigration(std::uint16_t slot, std::size_t from, std::size_t to);
  // Moves each slot of [first, last] with its keys in one step.
  void MoveSlots(std::uint16_t first, std::uint16_t last, std::size_t from, std::size_t to);

  // Returns whether the other primaries would elect the replica. They do if most of the primaries
  // that have slots can talk to the replica, believe that its primary has failed, and know no newer
  // owner of a slot that the replica would take.
  bool WinsElection(std::size_t replica) const;
  // Makes the replica take its primary's slots, elected or not. Changes that the replica's link
  // still keeps are lost, unless the failover is `planned`. Returns how many commands' changes are
  // lost.
  std::size_t Failover(std::size_t replica, bool planned = false);

  // Removes a node by FORGET on all other nodes, and by RESET: the node is then alone, with a new
  // node id, without slots and keys. It keeps its functions.
  SimulatedServer& Remove(std::size_t i);
  // Adds a server that stood alone, as MEET does: it becomes a primary without slots. Returns its
  // index.
  std::size_t Add(SimulatedServer& server);

 private:
  bool CanTalk(std::size_t a, std::size_t b) const;
  std::size_t IndexOf(std::string_view id) const;
  void Follow(std::size_t replica, const std::string& primary_id);
  void Obey(std::size_t i, const ClusterState::Change& change);
  void FollowPromotions();
  void Judge(std::size_t i);
  std::vector<std::string> KeysIn(std::uint16_t first, std::uint16_t last, std::size_t node);
  void MoveKeys(const std::vector<std::string>& keys, std::size_t from, std::size_t to);
  bool Hears(std::size_t i, std::size_t primary) const;
  void MarkSlot(std::uint16_t slot, std::size_t from, std::size_t to);
  void EndMove(std::size_t from, std::size_t to);

  SimulatedWorld& world_;
  Options options_;
  std::vector<SimulatedServer*> nodes_;
  std::set<std::size_t> group_;
  std::uint64_t epoch_ = 0;  // the last epoch; no two nodes get the same
};

}  // namespace ffgrant::valkey::testing

#endif  // FFGRANT_TESTING_SIMULATION_SIMULATED_CLUSTER_H_
