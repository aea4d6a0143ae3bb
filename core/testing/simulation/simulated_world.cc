// SPDX-License-Identifier: Apache-2.0

#include "testing/simulation/simulated_world.h"

#include <algorithm>
#include <utility>

#include "testing/simulation/sha1.h"

namespace ffgrant::valkey::testing {

// The world as one client's network sees it. The gate keeps the connections of this network, by id.
class WorldGate final : public ServerEnd {
 public:
  explicit WorldGate(SimulatedWorld& world) : world_(world) {}

  Accept Connect(std::int64_t id, const Endpoint& endpoint) override {
    SimulatedServer* const server = world_.ListenerAt(endpoint);
    if (server == nullptr) return Accept::kNo;
    if (world_.IsCutOff(*server)) return Accept::kPending;
    const auto place = static_cast<std::size_t>(id);
    if (links_.size() <= place) links_.resize(place + 1);
    if (links_[place].server == nullptr) links_[place] = {server, ++world_.clients_};
    return Accept::kYes;
  }
  void Leave(std::int64_t id) override {
    const Link link = LinkOf(id);
    if (link.server != nullptr) link.server->CloseConnection(link.client);
  }
  bool Hears(std::int64_t id) override {
    const SimulatedServer* const server = LinkOf(id).server;
    return server == nullptr ||
           (SimulatedWorld::Has(world_.frozen_, *server) == 0 && !world_.IsCutOff(*server));
  }
  bool Stands(std::int64_t id) override {
    const Link link = LinkOf(id);
    return link.server != nullptr && !link.server->HasClosed(link.client);
  }
  std::string Execute(std::int64_t id, const Words& command, std::int64_t now,
                      std::set<std::int64_t>&) override {
    const Link link = LinkOf(id);
    return link.server == nullptr ? "" : link.server->Execute(link.client, command, 1000 * now);
  }
  std::int64_t TickMs() override { return world_.tick_ms; }
  void OnTime(std::int64_t) override { world_.Happen(); }
  std::int64_t NextEvent() override {
    return world_.events_.empty() ? INT64_MAX : world_.events_.begin()->first;
  }

 private:
  struct Link {
    SimulatedServer* server = nullptr;
    std::int64_t client = 0;
  };
  Link LinkOf(std::int64_t id) const {
    const auto place = static_cast<std::size_t>(id);
    return place < links_.size() ? links_[place] : Link{};
  }

  SimulatedWorld& world_;
  std::vector<Link> links_;
};

SimulatedServer& SimulatedWorld::Start(const Endpoint& address) {
  servers_.push_back(std::make_unique<SimulatedServer>(
      SimulatedServer::Options{.run_id = NewId(), .address = address}));
  SimulatedServer& server = *servers_.back();
  listeners_[{address.host, address.port}] = &server;
  return server;
}

SimulatedServer* SimulatedWorld::ListenerAt(const Endpoint& address) const {
  const auto found = listeners_.find({address.host, address.port});
  return found == listeners_.end() || !IsUp(*found->second) ? nullptr : found->second;
}

void SimulatedWorld::Stop(SimulatedServer& server) {
  Put(down_, server, true);
  Put(frozen_, server, false);
  server.CloseConnections();
}

void SimulatedWorld::Restart(SimulatedServer& server, bool keeps_data) {
  server.Restart(NewId(), keeps_data);
  Put(down_, server, false);
}

void SimulatedWorld::Move(SimulatedServer& server, const Endpoint& address, bool closes) {
  const auto old = listeners_.find({server.address().host, server.address().port});
  if (old != listeners_.end() && old->second == &server) listeners_.erase(old);
  listeners_[{address.host, address.port}] = &server;
  server.Move(address);
  if (closes) server.CloseConnections();
}

std::unique_ptr<ScriptedNetwork> SimulatedWorld::NewNetwork() {
  gates_.push_back(std::make_unique<WorldGate>(*this));
  return std::make_unique<ScriptedNetwork>(*gates_.back(), now_);
}

void SimulatedWorld::Pass(std::int64_t ms) {
  const std::int64_t end = now_ + ms;
  while (!events_.empty() && events_.begin()->first <= end) {
    now_ = std::max(now_, events_.begin()->first);
    Happen();
  }
  now_ = end;
}

void SimulatedWorld::Happen() {
  while (!events_.empty() && events_.begin()->first <= now_) {
    const auto event = std::move(events_.begin()->second);
    events_.erase(events_.begin());
    event();
  }
}

std::string SimulatedWorld::NewId() {
  const auto hex = Sha1Hex(std::to_string(++ids_));
  return {hex.data(), hex.size()};
}

}  // namespace ffgrant::valkey::testing
