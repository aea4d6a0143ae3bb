// SPDX-License-Identifier: Apache-2.0
//
// Test only: declares the other end of a ScriptedNetwork, which is one scripted server or a world
// of simulated ones.

#ifndef FFGRANT_TESTING_SIMULATION_SERVER_END_H_
#define FFGRANT_TESTING_SIMULATION_SERVER_END_H_

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "ffgrant/valkey/network.h"

namespace ffgrant::valkey::testing {

using Words = std::vector<std::string>;

class ServerEnd {
 public:
  enum class Accept : std::uint8_t {
    kYes,
    kNo,       // refused: nobody listens there
    kPending,  // there is no answer yet; ask again later
  };

  virtual ~ServerEnd() = default;

  // Returns whether connection `id` gets through to `endpoint`. Ids count from 1 in each network.
  virtual Accept Connect(std::int64_t /*id*/, const Endpoint& /*endpoint*/) { return Accept::kYes; }
  // Is called once the client has closed the connection and everything that the client sent has
  // arrived.
  virtual void Leave(std::int64_t /*id*/) {}
  // Returns false if bytes on their way to the server or back do not arrive for now.
  virtual bool Hears(std::int64_t /*id*/) { return true; }
  // Returns false if the server has closed the connection.
  virtual bool Stands(std::int64_t /*id*/) { return true; }
  // Executes a command and returns its reply. `killed` gets the connections that the command has
  // closed.
  virtual std::string Execute(std::int64_t id, const Words& command, std::int64_t now,
                              std::set<std::int64_t>& killed) = 0;
  // Returns the least time that a wait takes, in ms. A wait takes this long if a stream is ready.
  virtual std::int64_t TickMs() { return 1; }
  // OnTime() is called each time that a wait has moved the clock. NextEvent() returns the time up
  // to which the clock may move in one step.
  virtual void OnTime(std::int64_t /*now*/) {}
  virtual std::int64_t NextEvent() { return INT64_MAX; }
};

}  // namespace ffgrant::valkey::testing

#endif  // FFGRANT_TESTING_SIMULATION_SERVER_END_H_
