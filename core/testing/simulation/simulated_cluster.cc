// SPDX-License-Identifier: Apache-2.0

#include "testing/simulation/simulated_cluster.h"

#include <algorithm>
#include <utility>

namespace ffgrant::valkey::testing {

SimulatedCluster::SimulatedCluster(SimulatedWorld& world, Options options)
    : world_(world), options_(std::move(options)) {
  const std::size_t count = options_.primaries * (1 + options_.replicas);
  for (std::size_t i = 0; i < count; ++i) {
    Add(world_.Start({options_.network + std::to_string(i + 1), options_.port}));
  }
  for (std::size_t i = 0; i < options_.primaries; ++i) {
    const std::size_t first = i * kSlotCount / options_.primaries;
    const std::size_t end = (i + 1) * kSlotCount / options_.primaries;
    state(i).me().epoch = ++epoch_;
    state(i).Take(static_cast<std::uint16_t>(first), static_cast<std::uint16_t>(end - 1));
    for (std::size_t r = 0; r < options_.replicas; ++r) {
      Follow(options_.primaries + i * options_.replicas + r, state(i).my_id());
    }
  }
  Gossip();
}

std::size_t SimulatedCluster::Add(SimulatedServer& server) {
  server.cluster.emplace(world_.NewId(), server.address());
  nodes_.push_back(&server);
  return nodes_.size() - 1;
}

std::size_t SimulatedCluster::IndexOf(std::string_view id) const {
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (nodes_[i]->cluster->my_id() == id) return i;
  }
  return nodes_.size();
}

std::size_t SimulatedCluster::PrimaryOf(std::uint16_t slot) const {
  std::size_t best = nodes_.size();
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    const ClusterState& state = *nodes_[i]->cluster;
    if (state.OwnerId(slot) != state.my_id()) continue;
    if (best == nodes_.size() || nodes_[best]->cluster->me().epoch < state.me().epoch) best = i;
  }
  return best;
}

// ---- what nodes know -----------------------------------------------------------

bool SimulatedCluster::CanTalk(std::size_t a, std::size_t b) const {
  return world_.IsUp(*nodes_[a]) && world_.IsUp(*nodes_[b]) && group_.count(a) == group_.count(b);
}

void SimulatedCluster::Follow(std::size_t replica, const std::string& primary_id) {
  const std::size_t primary = IndexOf(primary_id);
  if (primary == nodes_.size() || primary == replica) return;
  state(replica).me().primary_id = primary_id;
  nodes_[replica]->BecomeReplicaOf(*nodes_[primary]);
}

// If a node's primary has become a replica itself, the node now follows that primary's primary.
void SimulatedCluster::FollowPromotions() {
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    const std::string primary_id = state(i).me().primary_id;
    const auto known = state(i).members().find(primary_id);
    if (primary_id.empty() || known == state(i).members().end()) continue;
    const std::string above = known->second.primary_id;
    if (!above.empty()) Follow(i, above);
  }
}

void SimulatedCluster::Obey(std::size_t i, const ClusterState::Change& change) {
  if (!change.follow.empty()) return Follow(i, change.follow);
  if (change.lost.empty()) return;
  const std::set<std::uint16_t> lost(change.lost.begin(), change.lost.end());
  for (const std::string& key : nodes_[i]->keys().Keys()) {
    if (lost.count(SlotOf(key)) != 0) nodes_[i]->keys().Remove(key);
  }
  nodes_[i]->Resync();
}

void SimulatedCluster::Gossip() {
  // There are two rounds, so that what one node has just learnt gets to all nodes.
  for (int round = 0; round < 2; ++round) {
    for (std::size_t to = 0; to < nodes_.size(); ++to) {
      for (std::size_t from = 0; from < nodes_.size(); ++from) {
        if (from == to || !CanTalk(from, to)) continue;
        Obey(to, state(to).Learn(state(from)));
        Obey(from, state(from).LearnOfOwner(state(to)));
      }
    }
    FollowPromotions();
  }
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    Judge(i);
    const std::size_t primary = IndexOf(state(i).me().primary_id);
    if (nodes_[i]->is_replica() && primary < nodes_.size()) {
      nodes_[i]->SetLinkOpen(CanTalk(i, primary));
    }
  }
}

// Decides which nodes node i believes to have failed, and whether it serves.
void SimulatedCluster::Judge(std::size_t i) {
  ClusterState& mine = state(i);
  std::size_t primaries = 0;
  std::size_t seen = 0;
  std::size_t covered = 0;
  for (auto& [id, member] : mine.members()) {
    const std::size_t other = IndexOf(id);
    const bool can_see = other < nodes_.size() && (other == i || CanTalk(i, other));
    member.failed = !can_see;
    const std::size_t slots = mine.CountSlots(id);
    if (slots == 0) continue;
    ++primaries;
    seen += can_see;
    covered += can_see ? slots : 0;
  }
  const bool majority = 2 * seen > primaries;
  mine.down = !majority || (options_.full_coverage && covered < kSlotCount);
}

void SimulatedCluster::Separate(std::set<std::size_t> group) {
  group_ = std::move(group);
  Gossip();
}

// ---- slots ---------------------------------------------------------------------

void SimulatedCluster::BeginMigration(std::uint16_t slot, std::size_t from, std::size_t to) {
  state(from).SetMigrating(slot, state(to).my_id());
  state(to).SetImporting(slot, state(from).my_id());
}

void SimulatedCluster::MoveKeys(const std::vector<std::string>& moved, std::size_t from,
                                std::size_t to) {
  KeySpace& keys = nodes_[from]->keys();
  keys.SetNow(world_.now());
  for (const std::string& key : moved) {
    KeySpace::Entry* const entry = keys.Find(key);
    if (entry == nullptr) continue;
    nodes_[to]->keys().Put(key, std::move(entry->value), entry->expires_at);
    keys.Remove(key);
  }
  nodes_[from]->Resync();
  nodes_[to]->Resync();
}

void SimulatedCluster::MigrateKey(std::string_view key, std::size_t from, std::size_t to) {
  MoveKeys({std::string(key)}, from, to);
}

void SimulatedCluster::MigrateKeys(std::uint16_t slot, std::size_t from, std::size_t to) {
  MoveKeys(KeysIn(slot, slot, from), from, to);
}

std::vector<std::string> SimulatedCluster::KeysIn(std::uint16_t first, std::uint16_t last,
                                                  std::size_t node) {
  std::vector<std::string> keys = nodes_[node]->keys().Keys();
  std::erase_if(keys, [&](const std::string& key) {
    const std::uint16_t slot = SlotOf(key);
    return slot < first || slot > last;
  });
  return keys;
}

// Returns whether node i is `primary`, or is a replica of `primary` that can talk to it.
bool SimulatedCluster::Hears(std::size_t i, std::size_t primary) const {
  const ClusterState& state = *nodes_[i]->cluster;
  const bool follows = state.me().primary_id == nodes_[primary]->cluster->my_id();
  return i == primary || (follows && CanTalk(i, primary));
}

// Does SETSLOT NODE: the operator tells both nodes, and each tells those of its replicas that it
// can reach. All other nodes hear of it when nodes talk. valkey-cli tells the other primaries too,
// but only to spare clients some redirections.
void SimulatedCluster::MarkSlot(std::uint16_t slot, std::size_t from, std::size_t to) {
  state(from).SetStable(slot);
  state(to).SetStable(slot);
  const std::string& new_owner = state(to).my_id();
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (Hears(i, from) || Hears(i, to)) state(i).Give(slot, new_owner);
  }
}

void SimulatedCluster::EndMove(std::size_t from, std::size_t to) {
  state(to).me().epoch = ++epoch_;
  if (state(from).CountSlots(state(from).my_id()) > 0) return;
  // A shard without slots joins the shard that has got its last slot, as long as
  // cluster-allow-replica-migration has its default.
  std::vector<std::size_t> empty;
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (Hears(i, from)) empty.push_back(i);
  }
  for (const std::size_t i : empty) Follow(i, state(to).my_id());
}

void SimulatedCluster::FinishMigration(std::uint16_t slot, std::size_t from, std::size_t to) {
  MigrateKeys(slot, from, to);
  MarkSlot(slot, from, to);
  EndMove(from, to);
}

void SimulatedCluster::MoveSlots(std::uint16_t first, std::uint16_t last, std::size_t from,
                                 std::size_t to) {
  MoveKeys(KeysIn(first, last, from), from, to);
  for (std::uint32_t slot = first; slot <= last; ++slot) {
    MarkSlot(static_cast<std::uint16_t>(slot), from, to);
  }
  EndMove(from, to);
}

// ---- members -------------------------------------------------------------------

bool SimulatedCluster::WinsElection(std::size_t replica) const {
  const ClusterState& mine = *nodes_[replica]->cluster;
  const auto primary = mine.members().find(mine.me().primary_id);
  if (primary == mine.members().end()) return false;
  const auto refuses = [&](const ClusterState& voter) {
    const auto known = voter.members().find(primary->first);
    if (known == voter.members().end() || !known->second.failed) return true;
    for (std::uint32_t s = 0; s < kSlotCount; ++s) {
      const auto slot = static_cast<std::uint16_t>(s);
      if (mine.OwnerId(slot) != primary->first || voter.IsUnclaimed(slot)) continue;
      const ClusterMember* const owner = voter.Owner(slot);
      if (owner != nullptr && owner->epoch > primary->second.epoch) return true;
    }
    return false;
  };
  std::size_t primaries = 0;
  for (const auto& [id, member] : mine.members()) primaries += mine.CountSlots(id) > 0;
  std::size_t votes = 0;
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    const ClusterState& voter = *nodes_[i]->cluster;
    const bool may_vote = voter.me().primary_id.empty() && voter.CountSlots(voter.my_id()) > 0;
    votes += may_vote && CanTalk(i, replica) && !refuses(voter);
  }
  return 2 * votes > primaries;
}

std::size_t SimulatedCluster::Failover(std::size_t replica, bool planned) {
  SimulatedServer& server = *nodes_[replica];
  ClusterState& mine = state(replica);
  if (!server.is_replica()) return 0;
  if (planned) server.SetLinkOpen(true);
  const std::size_t lost = server.waiting_changes();
  const std::string old = mine.me().primary_id;
  server.Promote();
  mine.me().primary_id.clear();
  mine.me().epoch = ++epoch_;
  for (std::uint32_t slot = 0; slot < kSlotCount; ++slot) {
    const auto s = static_cast<std::uint16_t>(slot);
    if (mine.OwnerId(s) == old) mine.Take(s, s);
  }
  return lost;
}

SimulatedServer& SimulatedCluster::Remove(std::size_t i) {
  SimulatedServer& server = *nodes_[i];
  const std::string id = state(i).my_id();
  nodes_.erase(nodes_.begin() + static_cast<std::ptrdiff_t>(i));
  std::set<std::size_t> group;
  for (const std::size_t member : group_) {
    if (member != i) group.insert(member - (member > i ? 1 : 0));
  }
  group_ = std::move(group);
  for (SimulatedServer* const other : nodes_) other->cluster->Forget(id);
  if (server.is_replica()) server.Promote();
  server.keys().Clear();
  server.cluster.emplace(world_.NewId(), server.address());
  server.cluster->down = true;  // the server has no slots
  return server;
}

}  // namespace ffgrant::valkey::testing
