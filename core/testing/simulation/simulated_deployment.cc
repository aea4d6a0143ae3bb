// SPDX-License-Identifier: Apache-2.0

#include "testing/simulation/simulated_deployment.h"

#include <algorithm>
#include <utility>

namespace ffgrant::valkey::testing {

SimulatedDeployment::SimulatedDeployment(std::uint64_t seed) : random_(seed) {
  for (std::size_t i = 0; i < cluster_.size(); ++i) Watch(cluster_.node(i), true);
  for (std::size_t i = 0; i < other_.size(); ++i) Watch(other_.node(i), false);
  world_.Name(name(), cluster_.node(0));
}

void SimulatedDeployment::Watch(SimulatedServer& server, bool member) {
  server.on_function = [this, member](const std::vector<std::string>& command,
                                      const std::string& reply) {
    member ? witness_.Saw(command, reply, world_.now()) : witness_.SawElsewhere(command);
  };
}

std::unique_ptr<Network> SimulatedDeployment::NewNetwork() {
  auto made = world_.NewNetwork();
  networks_.push_back(made.get());
  made->SetScript([this](Operation operation) { return Mischief(operation); });
  return made;
}

// Now and then a connection is refused or breaks, a read or write moves only some of its bytes, or
// a reply is late or lost. Sometimes all that clients send is held up for a while.
Fault SimulatedDeployment::Mischief(Operation operation) {
  if (calm_) return {};
  switch (operation) {
    case Operation::kOpen:
      return {OneIn(300) ? Fault::Kind::kRefused : Fault::Kind::kNone};
    case Operation::kRead:
    case Operation::kWrite:
      if (OneIn(40)) return {Fault::Kind::kPartial, 1 + Below(100)};
      return {OneIn(600) ? Fault::Kind::kReset : Fault::Kind::kNone};
    case Operation::kArrive:
      if (OneIn(300)) held_until_ = world_.now() + Upto(1500);
      return {world_.now() < held_until_ ? Fault::Kind::kHold : Fault::Kind::kNone};
    case Operation::kAnswer:
      if (OneIn(1500)) return {Fault::Kind::kSilence};
      if (OneIn(600)) return {Fault::Kind::kLate, 1 + Below(900)};
      return {};
  }
  return {};
}

void SimulatedDeployment::MayHappen() {
  if (calm_ || !OneIn(12)) return;
  world_.At(world_.now() + Upto(40), [this] { Happen(); });
}

void SimulatedDeployment::Happen() {
  using Event = bool (SimulatedDeployment::*)();
  static constexpr std::pair<std::string_view, Event> kEvents[] = {
      {"freeze", &SimulatedDeployment::FreezeNode},
      {"cut off", &SimulatedDeployment::CutOffNode},
      {"move", &SimulatedDeployment::MoveNode},
      {"move slots", &SimulatedDeployment::MoveSomeSlots},
      {"kill", &SimulatedDeployment::KillNode},
      {"fail over", &SimulatedDeployment::FailOver},
      {"split", &SimulatedDeployment::Split},
      {"migrate", &SimulatedDeployment::BeginMigration},
      {"leave", &SimulatedDeployment::ReplaceNode},
  };
  const auto& [name, event] = kEvents[Below(std::size(kEvents))];
  if (calm_) return;
  if ((this->*event)()) ++happened_[name];
  Point();
}

void SimulatedDeployment::Heal() {
  world_.Pass(10'000);  // by now all planned events have happened
  calm_ = true;
  for (std::size_t i = 0; i < cluster_.size(); ++i) {
    world_.Freeze(cluster_.node(i), false);
    world_.CutOff(cluster_.node(i), false);
    if (!world_.IsUp(cluster_.node(i))) world_.Restart(cluster_.node(i), true);
  }
  cluster_.Separate({});
  EndMigration();
  for (ScriptedNetwork* const network : networks_) network->DeliverAll();
  Point();
}

// ---- who is there ----------------------------------------------------------------

std::size_t SimulatedDeployment::AnyPrimary() {
  return cluster_.PrimaryOf(static_cast<std::uint16_t>(Below(kSlotCount)));
}

std::size_t SimulatedDeployment::IndexOf(const SimulatedServer& server) {
  for (std::size_t i = 0; i < cluster_.size(); ++i) {
    if (&cluster_.node(i) == &server) return i;
  }
  return cluster_.size();
}

// Returns whether keys can be moved from or to node i. A node that sees the cluster down refuses
// MIGRATE and RESTORE, and whoever moves slots with a tool then has to wait.
bool SimulatedDeployment::Serves(std::size_t i) {
  return i < cluster_.size() && world_.IsUp(cluster_.node(i)) && !cluster_.node(i).is_replica() &&
         !cluster_.state(i).down;
}

Endpoint SimulatedDeployment::NewAddress() {
  ++addresses_;
  return {"10.1." + std::to_string(addresses_ / 250) + "." + std::to_string(addresses_ % 250),
          6379};
}

// Makes the deployment's name lead to a member that is up.
void SimulatedDeployment::Point() {
  for (std::size_t i = 0; i < cluster_.size(); ++i) {
    if (world_.IsUp(cluster_.node(i))) return world_.Name(name(), cluster_.node(i));
  }
}

void SimulatedDeployment::GossipAfter(std::int64_t ms) {
  world_.At(world_.now() + ms, [this] { cluster_.Gossip(); });
}

// ---- what happens to one node ----------------------------------------------------

bool SimulatedDeployment::FreezeNode() {
  SimulatedServer& server = cluster_.node(AnyNode());
  world_.Freeze(server, true);
  world_.At(Soon(), [this, &server] { world_.Freeze(server, false); });
  return true;
}

bool SimulatedDeployment::CutOffNode() {
  SimulatedServer& server = cluster_.node(AnyNode());
  world_.CutOff(server, true);
  world_.At(Soon(), [this, &server] { world_.CutOff(server, false); });
  return true;
}

bool SimulatedDeployment::MoveNode() {
  SimulatedServer& server = cluster_.node(AnyNode());
  const Endpoint old = server.address();
  world_.Move(server, NewAddress(), OneIn(2));
  if (OneIn(3)) Watch(world_.Start(old), false);
  GossipAfter(20);
  return true;
}

bool SimulatedDeployment::KillNode() {
  SimulatedServer& server = cluster_.node(AnyNode());
  const bool loses_functions = OneIn(3) && !server.is_replica();
  world_.Stop(server);
  world_.At(world_.now() + 20 + Upto(300), [this, &server, loses_functions] {
    world_.Restart(server, true);
    if (loses_functions) (void)server.Execute(-1, {"FUNCTION", "FLUSH"}, 1000 * world_.now());
    cluster_.Gossip();
  });
  return true;
}

// Makes a node leave and join another cluster, and puts a new node in its place.
bool SimulatedDeployment::ReplaceNode() {
  const std::size_t leaver = AnyPrimary();
  if (migration_ || !Serves(leaver)) return false;
  cluster_.Separate({});  // nobody does this to a cluster that is split
  SimulatedServer& fresh = world_.Start(NewAddress());
  Watch(fresh, true);
  const std::size_t heir = cluster_.Add(fresh);
  cluster_.Gossip();
  MoveAllSlots(leaver, heir);
  cluster_.Gossip();
  SimulatedServer& gone = cluster_.Remove(leaver);
  Watch(gone, false);
  // The node is a new process from now on, so clients that were connected have to look again.
  world_.Restart(gone, true);
  const std::size_t there = other_.Add(gone);
  other_.Gossip();
  const std::uint16_t half = kSlotCount / 2;
  other_.MoveSlots(half, kSlotCount - 1, other_.PrimaryOf(half), there);
  other_.Gossip();
  cluster_.Gossip();
  return true;
}

// ---- primaries and replicas ------------------------------------------------------

// Separates the primary of `server` from the other nodes for a while. If these elect `server`, then
// `server` takes over, and the changes that its link still kept are lost.
bool SimulatedDeployment::TakeOver(SimulatedServer& server) {
  const std::size_t replica = IndexOf(server);
  if (replica == cluster_.size() || !server.is_replica() || !world_.IsUp(server)) return false;
  const std::string primary_id = cluster_.state(replica).me().primary_id;
  for (std::size_t primary = 0; primary < cluster_.size(); ++primary) {
    if (cluster_.state(primary).my_id() != primary_id) continue;
    if (migration_ && (&cluster_.node(primary) == migration_->from ||
                       &cluster_.node(primary) == migration_->to)) {
      return false;
    }
    cluster_.Separate({primary});
  }
  world_.At(Soon(), [this] { cluster_.Separate({}); });
  if (!server.is_replica() || !cluster_.WinsElection(replica)) return false;
  const ClusterState& state = cluster_.state(replica);
  if (cluster_.Failover(replica) > 0) {
    witness_.Lose([&](std::uint16_t slot) { return state.OwnerId(slot) == state.my_id(); });
  }
  cluster_.Gossip();
  return true;
}

bool SimulatedDeployment::FailOver() {
  for (std::size_t i = AnyNode(), tries = cluster_.size(); tries > 0; --tries) {
    SimulatedServer& server = cluster_.node(i++ % cluster_.size());
    if (!server.is_replica() || !world_.IsUp(server)) continue;
    if (OneIn(2)) return TakeOver(server);
    // The replica falls behind before its primary is lost.
    server.SetLinkOpen(false);
    world_.At(world_.now() + Upto(60), [this, &server] {
      if (TakeOver(server)) ++happened_["fail over"];
    });
    return false;  // it has not happened yet
  }
  return false;
}

// Separates some nodes from the others for a while; clients reach all nodes.
bool SimulatedDeployment::Split() {
  std::set<std::size_t> group;
  for (std::size_t i = 0; i < cluster_.size(); ++i) {
    if (OneIn(2)) group.insert(i);
  }
  cluster_.Separate(group);
  world_.At(Soon(), [this] { cluster_.Separate({}); });
  return !group.empty() && group.size() < cluster_.size();
}

// ---- slots -----------------------------------------------------------------------

void SimulatedDeployment::MoveSlots(std::size_t from, std::size_t to, std::uint16_t first,
                                    std::uint64_t most) {
  std::uint32_t last = first;
  while (last + 1 < kSlotCount && last - first < most &&
         cluster_.PrimaryOf(static_cast<std::uint16_t>(last + 1)) == from) {
    ++last;
  }
  cluster_.MoveSlots(first, static_cast<std::uint16_t>(last), from, to);
}

void SimulatedDeployment::MoveAllSlots(std::size_t from, std::size_t to) {
  for (std::uint32_t slot = 0; slot < kSlotCount; ++slot) {
    const auto first = static_cast<std::uint16_t>(slot);
    if (cluster_.PrimaryOf(first) == from) MoveSlots(from, to, first, kSlotCount);
  }
}

bool SimulatedDeployment::MoveSomeSlots() {
  const std::size_t from = AnyPrimary();
  const std::size_t to = AnyPrimary();
  if (migration_ || from == to || !Serves(from) || !Serves(to)) return false;
  auto first = static_cast<std::uint16_t>(Below(kSlotCount));
  while (cluster_.PrimaryOf(first) != from) {
    first = static_cast<std::uint16_t>((first + 1) % kSlotCount);
  }
  MoveSlots(from, to, first, Below(4000));
  GossipAfter(30);
  return true;
}

// Begins to move one slot that has keys, in steps; calls come between the steps.
bool SimulatedDeployment::BeginMigration() {
  const std::size_t from = AnyPrimary();
  const std::size_t to = AnyPrimary();
  if (migration_ || from == to || !Serves(from) || !Serves(to)) return false;
  const std::vector<std::string> keys = cluster_.node(from).keys().Keys();
  if (keys.empty()) return false;
  const std::uint16_t slot = SlotOf(keys[Below(keys.size())]);
  if (cluster_.PrimaryOf(slot) != from) return false;
  migration_ = Migration{slot, &cluster_.node(from), &cluster_.node(to)};
  cluster_.BeginMigration(slot, from, to);
  for (int step = 1; step <= 3; ++step) {
    world_.At(world_.now() + step * 80, [this] { MoveSomeKeys(); });
  }
  world_.At(world_.now() + 320, [this] { EndMigration(); });
  return true;
}

void SimulatedDeployment::MoveSomeKeys() {
  if (!migration_) return;
  const std::size_t from = IndexOf(*migration_->from);
  const std::size_t to = IndexOf(*migration_->to);
  if (!Serves(from) || !Serves(to)) return;
  for (const std::string& key : migration_->from->keys().Keys()) {
    if (SlotOf(key) == migration_->slot && OneIn(3)) cluster_.MigrateKey(key, from, to);
  }
}

void SimulatedDeployment::EndMigration() {
  if (!migration_) return;
  const std::size_t from = IndexOf(*migration_->from);
  const std::size_t to = IndexOf(*migration_->to);
  if (!Serves(from) || !Serves(to)) {
    world_.At(world_.now() + 50, [this] { EndMigration(); });
    return;
  }
  cluster_.FinishMigration(migration_->slot, from, to);
  migration_.reset();
  cluster_.Gossip();
}

}  // namespace ffgrant::valkey::testing
