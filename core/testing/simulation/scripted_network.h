// SPDX-License-Identifier: Apache-2.0
//
// Test only: plays a network between a client and a ServerEnd. Every operation can go wrong, and
// the clock moves only when somebody waits.
//
// Bytes that the client has written are on their way until the server takes them. Such bytes may
// still arrive when the client has long closed the connection. So a command can be executed late,
// unless the server kills the connection before.

#ifndef FFGRANT_TESTING_SIMULATION_SCRIPTED_NETWORK_H_
#define FFGRANT_TESTING_SIMULATION_SCRIPTED_NETWORK_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ffgrant/valkey/network.h"
#include "testing/simulation/scripted_server.h"
#include "testing/simulation/server_end.h"

namespace ffgrant::valkey::testing {

// The fault that one operation has.
struct Fault {
  enum class Kind : std::uint8_t {
    kNone,
    kPartial,      // moves `size` bytes at most (at least 1)
    kWouldBlock,   // nothing moves this time
    kInterrupted,  // EINTR
    kReset,        // the connection breaks; bytes on their way stay on their way
    kPipeBroken,   // the operation fails, but the connection stays; bytes that came can be read
    kRefused,      // for kOpen: can't connect
    // For kAnswer, when the server is about to answer a command:
    kTwice,      // the reply comes twice
    kSilence,    // neither the reply nor anything after it ever comes
    kLate,       // the reply and everything after it come `size` ms later
    kOversized,  // a text of `size` bytes comes instead
    kGarbage,    // bytes that are not RESP come instead
    // For kArrive, when bytes are about to reach the server:
    kHold,  // the bytes stay on their way
  };
  Kind kind = Kind::kNone;
  std::size_t size = 1;
};

enum class Operation : std::uint8_t { kOpen, kRead, kWrite, kArrive, kAnswer };

class ScriptedNetwork final : public Network {
 public:
  // Is called before every operation. Without a script nothing goes wrong.
  using Script = std::function<Fault(Operation)>;

  explicit ScriptedNetwork(ServerEnd& server) : server_(server), now_(own_clock_) {}
  // Uses a clock, in ms, that the network shares with others. `clock` must outlive the network.
  ScriptedNetwork(ServerEnd& server, std::int64_t& clock) : server_(server), now_(clock) {}

  std::unique_ptr<Stream> NewStream() override;
  void Wait(std::span<const StreamInterest> interests, std::int64_t timeout_ms) noexcept override;
  std::int64_t NowMs() noexcept override { return now_; }
  std::uint64_t Random() noexcept override { return ++random_ * 0x9E3779B97F4A7C15; }

  void SetScript(Script script) { script_ = std::move(script); }
  // Lets everything that is on its way arrive and be executed, also on closed connections, but not
  // on connections that were killed.
  void DeliverAll();
  // bytes_to_server() returns how many bytes the client has written so far, bytes_to_client() how
  // many the server has answered.
  std::size_t bytes_to_server() const { return bytes_to_server_; }
  std::size_t bytes_to_client() const { return bytes_to_client_; }
  std::size_t connections() const { return connections_.size(); }
  // Returns the endpoint that connection `id`, 1..connections(), was opened to. By the endpoint one
  // ScriptedServer can play several servers.
  const Endpoint& endpoint(std::int64_t id) const {
    return connections_[static_cast<std::size_t>(id - 1)]->endpoint;
  }
  // Makes the server send bytes that nobody asked for.
  void Say(std::int64_t id, std::string_view bytes) {
    connections_[static_cast<std::size_t>(id - 1)]->to_client += bytes;
  }
  // Makes the server close the connection.
  void HangUp(std::int64_t id) { connections_[static_cast<std::size_t>(id - 1)]->killed = true; }

 private:
  friend class ScriptedStream;
  struct Connection {
    std::int64_t id = 0;
    Endpoint endpoint;
    std::string to_server;
    std::string unread;  // arrived at the server, but no whole command yet
    std::string to_client;
    std::int64_t readable_at = 0;
    bool silent = false;
    bool pending = false;  // nobody has accepted the connection yet
    bool closed = false;   // the client has closed the connection, or it broke
    bool killed = false;   // the server has closed the connection, and reads no more from it
  };

  Fault Ask(Operation operation) { return script_ ? script_(operation) : Fault{}; }
  void Arrive(Connection& connection, bool without_faults);
  void Answer(Connection& connection, const std::string& reply, const Fault& fault);

  ServerEnd& server_;
  Script script_;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::int64_t own_clock_ = 1'000'000;
  std::int64_t& now_;
  std::uint64_t random_ = 0;
  std::size_t bytes_to_server_ = 0;
  std::size_t bytes_to_client_ = 0;
};

}  // namespace ffgrant::valkey::testing

#endif  // FFGRANT_TESTING_SIMULATION_SCRIPTED_NETWORK_H_
