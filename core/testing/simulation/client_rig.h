// SPDX-License-Identifier: Apache-2.0
//
// Test only: runs the client alone, with servers that answer whatever a test wants. Each server has
// a port of its own.

#ifndef FFGRANT_TESTING_SIMULATION_CLIENT_RIG_H_
#define FFGRANT_TESTING_SIMULATION_CLIENT_RIG_H_

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ffgrant/valkey/internal/client.h"
#include "testing/simulation/scripted_network.h"
#include "testing/simulation/scripted_server.h"

namespace ffgrant::valkey::testing {

using internal::CallFailure;
using internal::CallTarget;
using internal::Client;
using internal::Reply;
using internal::RespCommand;

inline constexpr char kMissing[] = "-ERR Function not found\r\n";

// Returns what the server at `port` answers, in RESP. If the function returns no value, the server
// gives its usual answer.
using Play = std::function<std::optional<std::string>(std::uint16_t port, const Words& command)>;

inline Endpoint At(std::uint16_t port) { return {.host = "127.0.0.1", .port = port}; }

inline ClientOptions RigOptions() {
  ClientOptions options;
  options.servers = {At(1)};
  options.request_timeout_ms = 200;
  options.connect_timeout_ms = 100;
  options.max_in_flight = 16;
  options.max_reply_bytes = 1 << 16;
  return options;
}

class ClientRig {
 public:
  // The key of all commands that Submit() sends.
  static constexpr internal::CommandKey kKey = 77;

  explicit ClientRig(const ClientOptions& options = RigOptions(),
                     std::shared_ptr<internal::Deployment> shared = nullptr)
      : deployment(shared ? std::move(shared) : std::make_shared<internal::Deployment>()),
        client(
            options,
            [this] {
              auto made = std::make_unique<ScriptedNetwork>(server);
              network = made.get();
              return made;
            }(),
            deployment) {
    server.answer = [this](std::int64_t id, const Words& command) -> std::optional<std::string> {
      const std::uint16_t port = network->endpoint(id).port;
      std::string line = std::to_string(port);
      for (const std::string& word : command) line += " " + word.substr(0, 40);
      log.push_back(line);
      if (play) {
        if (auto reply = play(port, command)) return reply;
      }
      if (command[0] == "GET") return Bulk(command[1] + " of " + std::to_string(port));
      if (command[0] == "SET") return "+OK\r\n";
      return std::nullopt;
    };
  }

  bool Submit(std::uint64_t tag, const Words& words, bool read_only = false, std::uint16_t slot = 0,
              std::int64_t deadline = Client::kNever) {
    const CallTarget target = {
        .self = this, .on_reply = &OnReply, .on_failure = &OnFailure, .tag = tag};
    submitting = true;
    const bool taken = client.Submit(
        slot, read_only, target,
        [&](RespCommand& command) {
          command.Begin(words.size());
          for (const std::string& word : words) {
            const bool function = words[0] == "FCALL" && word.starts_with("ff_");
            function ? command.Function(word) : command.Arg(word);
          }
        },
        deadline, kKey);
    submitting = false;
    return taken;
  }

  // Sends a command and returns how the call ends.
  std::string Do(const Words& words, bool read_only = false, std::uint16_t slot = 0) {
    const std::uint64_t tag = 1000 + ends.size();
    EXPECT_TRUE(Submit(tag, words, read_only, slot));
    for (int i = 0; i < 10'000 && ends.count(tag) == 0; ++i) client.Poll(50);
    return ends[tag];
  }
  std::string Get(bool read_only = true, std::uint16_t slot = 0) {
    return Do({"GET", "a"}, read_only, slot);
  }

  // Tries for at most `ms` to shut the connections that may still carry a command with this key.
  // Returns whether none of them is left, and none was given up.
  bool Settle(std::int64_t ms, internal::CommandKey key = kKey) {
    std::optional<bool> ended;
    const CallTarget target = {.self = &ended,
                               .on_reply =
                                   [](void* self, std::uint64_t, const Reply& reply) noexcept {
                                     *static_cast<std::optional<bool>*>(self) = reply.integer == 1;
                                     return true;
                                   },
                               .on_failure = nullptr,
                               .tag = 0};
    client.SubmitSettling(key, network->NowMs() + std::min(ms, Client::kNever / 2), target);
    while (!ended) client.Poll(50);
    EXPECT_EQ(*ended, lost->IsSettled(key));
    return *ended;
  }

  // Moves the clock on by `ms`.
  void Pass(std::int64_t ms) { network->Wait({}, ms); }

  int Count(std::string_view begin) const {
    int count = 0;
    for (const std::string& line : log) count += line.starts_with(begin);
    return count;
  }

  static bool OnReply(void* self, std::uint64_t tag, const Reply& reply) noexcept {
    auto& rig = *static_cast<ClientRig*>(self);
    if (!rig.fits) return false;
    rig.End(tag, (reply.is(Reply::Type::kError) ? "error: " : "") + std::string(reply.text));
    return true;
  }
  static void OnFailure(void* self, std::uint64_t tag, CallFailure failure,
                        std::string_view text) noexcept {
    static_cast<ClientRig*>(self)->End(
        tag,
        (failure == CallFailure::kUnavailable ? "unavailable: " : "unknown: ") + std::string(text));
  }
  void End(std::uint64_t tag, const std::string& end) {
    EXPECT_FALSE(submitting) << "told from within Submit(): " << end;
    EXPECT_TRUE(ends.emplace(tag, end).second) << "ended twice";
  }

  ScriptedServer server;
  ScriptedNetwork* network = nullptr;
  Play play;
  std::vector<std::string> log;  // "PORT COMMAND" for each command that a server got, in order
  std::map<std::uint64_t, std::string> ends;
  bool fits = true;  // whether replies fit their commands
  bool submitting = false;
  std::shared_ptr<internal::Deployment> deployment;  // the rig's own, or that of another rig
  internal::LostConnections* const lost = &deployment->lost;
  Client client;  // is destroyed first, which ends the calls that are under way
};

// Returns a script with which the first `times` operations of the type `operation` have the fault
// `kind`.
inline ScriptedNetwork::Script First(int times, Operation operation, Fault::Kind kind) {
  return [=](Operation asked) mutable -> Fault {
    return asked == operation && times-- > 0 ? Fault{kind} : Fault{};
  };
}
inline ScriptedNetwork::Script Always(Operation operation, Fault::Kind kind) {
  return [=](Operation asked) { return asked == operation ? Fault{kind} : Fault{}; };
}
// Returns a script that refuses all connections to `port`.
inline ScriptedNetwork::Script Unreachable(const ClientRig& rig, std::uint16_t port) {
  return [&rig, port](Operation asked) -> Fault {
    const auto last = static_cast<std::int64_t>(rig.network->connections());
    const bool refused = asked == Operation::kOpen && rig.network->endpoint(last).port == port;
    return refused ? Fault{Fault::Kind::kRefused} : Fault{};
  };
}

inline std::string Info(std::string_view run_id, std::string_view role = "master",
                        std::string_view mode = "standalone", std::string_view more = "") {
  std::string text =
      "redis_version:7.2.4\r\nvalkey_version:9.9.9\r\nuptime_in_seconds:0\r\nredis_mode:";
  text.append(mode).append("\r\nrun_id:").append(run_id).append("\r\nrole:").append(role);
  return Bulk(text.append("\r\n").append(more));
}

// Returns a range, with one node, of the reply to CLUSTER SLOTS.
inline std::string Range(std::int64_t first, std::int64_t last, std::uint16_t port,
                         std::string_view host = "127.0.0.1") {
  return Array(
      {Integer(first), Integer(last), Array({Bulk(host), Integer(port), Bulk("node-id")})});
}

// Makes every server a node of one cluster with the table `slots`. `slots` must outlive the Play.
inline Play Cluster(const std::string& slots) {
  return [&slots](std::uint16_t port, const Words& command) -> std::optional<std::string> {
    if (command[0] == "INFO") return Info("run" + std::to_string(port), "master", "cluster");
    if (command[0] == "CLUSTER") return slots;
    return std::nullopt;
  };
}

// One of the servers that form clusters: its identity, and what it tells clients about its cluster.
struct FakeNode {
  std::string id;
  std::string run_id;
  std::string table;      // the name of the table that the node gives
  std::string info = "";  // more lines of INFO
};
struct FakeMember {
  std::string id;
  std::uint16_t port = 0;
  std::uint64_t epoch = 1;
  std::string flags = "master";
};
struct FakeTable {
  struct Range {
    std::int64_t first;
    std::int64_t last;
    std::vector<std::string> ids;  // the id of the primary, then those of the replicas
  };
  std::vector<FakeMember> members;
  std::vector<Range> ranges;
};
struct FakeClusters {
  std::map<std::uint16_t, FakeNode> nodes;  // by port
  std::map<std::string, FakeTable> tables;
  // The members' host in CLUSTER NODES. CLUSTER SLOTS always has 127.0.0.1.
  std::string inner_host = "127.0.0.1";

  std::uint16_t PortOf(const FakeTable& table, const std::string& id) const {
    for (const FakeMember& member : table.members) {
      if (member.id == id) return member.port;
    }
    return 0;
  }
  std::string Slots(const FakeTable& table) const {
    std::vector<std::string> ranges;
    for (const FakeTable::Range& range : table.ranges) {
      std::vector<std::string> all = {Integer(range.first), Integer(range.last)};
      for (const std::string& id : range.ids) {
        all.push_back(Array({Bulk("127.0.0.1"), Integer(PortOf(table, id)), Bulk(id)}));
      }
      ranges.push_back(Array(all));
    }
    return Array(ranges);
  }
  std::string Nodes(const FakeTable& table, const std::string& own_id) const {
    std::string text;
    for (const FakeMember& member : table.members) {
      text += member.id + " " + inner_host + ":" + std::to_string(member.port) + "@1" +
              std::to_string(member.port) + " " + (member.id == own_id ? "myself," : "") +
              member.flags + " - 0 0 " + std::to_string(member.epoch) + " connected\n";
    }
    return text;
  }
  std::optional<std::string> Answer(std::uint16_t port, const Words& command) const {
    const auto found = nodes.find(port);
    if (found == nodes.end()) return std::nullopt;
    const FakeNode& node = found->second;
    const FakeTable& table = tables.at(node.table);
    bool replica = false;
    for (const FakeMember& member : table.members) {
      replica |= member.id == node.id && member.flags.starts_with("slave");
    }
    if (command[0] == "INFO") {
      return Info(node.run_id, replica ? "slave" : "master", "cluster", node.info);
    }
    if (replica && command[0] == "FCALL") return "-READONLY You can't write against a replica.\r\n";
    if (command[0] != "CLUSTER") return std::nullopt;
    if (command[1] == "MYID") return Bulk(node.id);
    return command[1] == "NODES" ? Bulk(Nodes(table, node.id)) : Slots(table);
  }
  Play play() {
    return [this](std::uint16_t port, const Words& command) { return Answer(port, command); };
  }
};

// Plays servers on which the function `f` is missing until `server` has the library.
inline Play FunctionOf(ScriptedServer& server) {
  return [&server](std::uint16_t, const Words& command) -> std::optional<std::string> {
    if (command[0] != "FCALL" || command[1] != "f") return std::nullopt;
    return server.has_library ? Bulk("done") : kMissing;
  };
}

inline ClientOptions TwoServers() {
  ClientOptions options = RigOptions();
  options.servers = {At(1), At(2)};
  return options;
}

}  // namespace ffgrant::valkey::testing

#endif  // FFGRANT_TESTING_SIMULATION_CLIENT_RIG_H_
