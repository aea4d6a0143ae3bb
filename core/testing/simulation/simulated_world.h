// SPDX-License-Identifier: Apache-2.0
//
// Test only: puts simulated servers at addresses, with one clock for all servers and for the
// networks of all clients. A world can stop a server, freeze it, move it, or make it unreachable.
//
//   SimulatedWorld world;
//   SimulatedServer& server = world.Start({"10.0.0.1", 6379});
//   ClientOptions options;
//   options.make_network = [&world] { return world.NewNetwork(); };
//   world.At(world.now() + 500, [&] { world.Freeze(server, true); });
//
// The clock moves when a network waits, and by Pass(). A world serves one thread at a time. It must
// outlive the networks that it has made.

#ifndef FFGRANT_TESTING_SIMULATION_SIMULATED_WORLD_H_
#define FFGRANT_TESTING_SIMULATION_SIMULATED_WORLD_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "testing/simulation/scripted_network.h"
#include "testing/simulation/simulated_server.h"

namespace ffgrant::valkey::testing {

class SimulatedWorld {
 public:
  SimulatedWorld() = default;
  SimulatedWorld(const SimulatedWorld&) = delete;

  // Starts a new process that listens at `address`, in place of the server that listened there
  // before. The new process has no functions and no keys. The returned reference is valid as long
  // as the world.
  SimulatedServer& Start(const Endpoint& address);
  // Kills the process: nobody listens, and its connections are gone. Restart() starts it again as a
  // new process, with or without what it had stored.
  void Stop(SimulatedServer& server);
  void Restart(SimulatedServer& server, bool keeps_data);
  bool IsUp(const SimulatedServer& server) const { return Has(down_, server) == 0; }
  // A frozen server accepts connections and executes nothing, until it thaws.
  void Freeze(SimulatedServer& server, bool frozen) { Put(frozen_, server, frozen); }
  // Clients cannot reach a server that is cut off: nothing arrives. But the server keeps running.
  void CutOff(SimulatedServer& server, bool cut) { Put(cut_, server, cut); }
  bool IsCutOff(const SimulatedServer& server) const { return Has(cut_, server) != 0; }
  // Makes the server listen at another address and announce this address to its cluster.
  // Connections stay as they are, unless `closes` is true.
  void Move(SimulatedServer& server, const Endpoint& address, bool closes);

  // Makes a name lead to `server` until the name is given to another server. The server's own
  // address leads to it as before.
  void Name(const Endpoint& name, SimulatedServer& server) {
    listeners_[{name.host, name.port}] = &server;
  }

  // Makes a network; each client needs its own.
  std::unique_ptr<ScriptedNetwork> NewNetwork();

  // The time in milliseconds since the Unix epoch; every network's clock shows it too.
  std::int64_t now() const { return now_; }
  std::int64_t& clock() { return now_; }
  void Pass(std::int64_t ms);
  // Runs `event` once the clock has reached `time`. Events for the same time run in the order in
  // which they were added.
  void At(std::int64_t time, std::function<void()> event) {
    events_.emplace(time, std::move(event));
  }

  // The time in ms that a wait takes if it finds something to do. With 0, time passes only where
  // somebody waits for time to pass, so no fault may be endless.
  std::int64_t tick_ms = 1;

  // Returns a text of 40 hexadecimal digits that no other call returns, for a run id or a node id.
  std::string NewId();
  const std::vector<std::unique_ptr<SimulatedServer>>& servers() const { return servers_; }

 private:
  friend class WorldGate;
  using Servers = std::set<const SimulatedServer*>;

  static std::size_t Has(const Servers& servers, const SimulatedServer& server) {
    return servers.count(&server);
  }
  static void Put(Servers& servers, const SimulatedServer& server, bool in) {
    in ? static_cast<void>(servers.insert(&server)) : static_cast<void>(servers.erase(&server));
  }
  SimulatedServer* ListenerAt(const Endpoint& address) const;
  void Happen();

  std::int64_t now_ = 1'700'000'000'000;
  std::int64_t clients_ = 0;
  std::uint64_t ids_ = 0;
  std::multimap<std::int64_t, std::function<void()>> events_;
  std::map<std::pair<std::string, std::uint16_t>, SimulatedServer*> listeners_;
  Servers down_;
  Servers frozen_;
  Servers cut_;
  std::vector<std::unique_ptr<ServerEnd>> gates_;
  std::vector<std::unique_ptr<SimulatedServer>> servers_;
};

}  // namespace ffgrant::valkey::testing

#endif  // FFGRANT_TESTING_SIMULATION_SIMULATED_WORLD_H_
