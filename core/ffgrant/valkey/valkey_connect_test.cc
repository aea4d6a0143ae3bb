// SPDX-License-Identifier: Apache-2.0
//
// Tests on scripted servers that Connect() tells the truth about what will work.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "ffgrant/valkey/internal/rights.h"
#include "ffgrant/valkey/valkey_ledger.h"
#include "testing/simulation/client_rig.h"
#include "testing/simulation/scripted_rig.h"

namespace ffgrant::valkey::testing {
namespace {

class ConnectTest : public ::testing::Test {
 protected:
  ConnectTest() {
    server.answer = [this](std::int64_t id, const Words& command) -> std::optional<std::string> {
      const std::uint16_t port = network->endpoint(id).port;
      log.push_back(std::to_string(port) + " " + command[0]);
      if (play) {
        if (auto reply = play(port, command)) return reply;
      }
      return std::nullopt;
    };
  }
  // Connects with a new ledger each time. Returns the name of Connect()'s error, which is "none" if
  // there is none, and the details.
  std::string Connect(void (*change)(ValkeyLedgerOptions&) = nullptr) {
    ValkeyLedgerOptions options;
    options.client = ScriptedOptions(server, network);
    options.client.servers = {At(1)};
    options.connections = 1;
    if (change != nullptr) change(options);
    ledger = std::make_unique<ValkeyLedger>(options);
    ErrorDetails details;
    const std::int64_t begin = network->NowMs();
    const Outcome connected = ledger->Connect(info, &details);
    took_ms = network->NowMs() - begin;
    std::string text(ErrorName(connected.error));
    for (std::size_t i = 0; i < details.size(); ++i) text += ": " + std::string(details[i]);
    return text;
  }
  // Plays a server whose user may not run these commands. The client asks, by a function or a
  // script, about some commands; the server names those of them that are in `commands`.
  Play Lacks(std::set<std::string> commands) {
    return [commands](std::uint16_t, const Words& command) -> std::optional<std::string> {
      const bool asks =
          command[0] == "EVAL" || (command[0] == "FCALL" && command[1] == "ff_refused_commands");
      if (!asks) return std::nullopt;
      std::vector<std::string> refused;
      for (std::size_t i = 4; i < command.size(); ++i) {
        if (commands.count(command[i]) != 0) refused.push_back(Bulk(command[i]));
      }
      return Array(refused);
    };
  }
  std::vector<std::string> CommandsOf(std::string_view call) const {
    for (const RefusedCall& refused : info.refused_calls) {
      if (refused.call == call) return refused.commands;
    }
    return {};
  }

  ScriptedServer server;
  ScriptedNetwork* network = nullptr;
  Play play;
  std::vector<std::string> log;
  std::unique_ptr<ValkeyLedger> ledger;
  ServerInfo info;
  std::int64_t took_ms = 0;
};

using Words = std::vector<std::string>;

TEST_F(ConnectTest, SaysWhoTheServerIsAndThatAllWillWork) {
  play = Lacks({});
  EXPECT_EQ(Connect(), "none");
  EXPECT_EQ(info.name, "valkey");
  EXPECT_EQ(info.version, "9.9.9");
  EXPECT_EQ(info.contract_version, "34");
  EXPECT_EQ(info.library_version, kFunctionLibraryVersion);
  EXPECT_EQ(info.function_prefix, "ffgrant_");
  EXPECT_TRUE(info.rights_known);
  EXPECT_TRUE(info.refused_calls.empty());
  server.foreign_library = true;
  EXPECT_EQ(Connect(), "none");
  EXPECT_EQ(info.library_version, "");
  EXPECT_EQ(info.function_prefix, "ff_");
  EXPECT_TRUE(info.rights_known);
}

// No call needs PING.
TEST_F(ConnectTest, NeedsNoRightToPing) {
  play = [](std::uint16_t, const Words& command) -> std::optional<std::string> {
    return command[0] == "PING" ? std::optional<std::string>("-NOPERM no\r\n") : std::nullopt;
  };
  EXPECT_EQ(Connect(), "none");
}

TEST_F(ConnectTest, SaysWhyNoCallWillWork) {
  struct Case {
    std::string what;
    Play play;
    std::string end;
  };
  const auto answer = [](std::string word, std::string reply) {
    return [word, reply](std::uint16_t, const Words& command) -> std::optional<std::string> {
      const bool is = std::find(command.begin(), command.end(), word) != command.end();
      return is ? std::optional("-" + reply + "\r\n") : std::nullopt;
    };
  };
  const std::vector<Case> cases = {
      {"no right to load", answer("LOAD", "NOPERM no FUNCTION for you"),
       "unavailable: NOPERM no FUNCTION for you"},
      {"no right to call", answer("FCALL", "NOPERM no FCALL for you"),
       "unavailable: NOPERM no FCALL for you"},
      {"no functions at all", answer("FCALL", "ERR unknown command 'FCALL'"),
       "unavailable: ERR unknown command 'FCALL'"},
      {"a library that is broken", answer("ff_version", "ERR it broke script: x, on @user:1"),
       "unavailable: ERR it broke script: x, on @user:1"},
      {"no room", answer("INFO", "ERR max number of clients reached"),
       "unavailable: ERR max number of clients reached"},
      {"keys of others", answer("ff_refused_commands", "NOPERM No permissions to access a key"),
       "unavailable: NOPERM No permissions to access a key"},
  };
  for (const Case& c : cases) {
    server.has_library = c.what.find("load") == std::string::npos;
    play = c.play;
    EXPECT_EQ(Connect(), c.end) << c.what;
    EXPECT_LE(took_ms, 200 + 10) << c.what;
    EXPECT_EQ(ledger->Connect(info).error, ClaimError::kUnavailable) << c.what;
  }
  server.has_library = true;
  server.foreign_library = true;
  server.contract_version = "12";
  play = nullptr;
  EXPECT_EQ(Connect(),
            "unavailable: the server's functions follow another contract: ff_version answers 12, "
            "not 34");
  EXPECT_EQ(info.contract_version, "");
  EXPECT_LE(took_ms, 20);
  server.foreign_library = server.has_library = false;
  EXPECT_EQ(Connect([](ValkeyLedgerOptions& options) { options.client.load_library = false; }),
            "unavailable: the server has no functions of the claim path");
  EXPECT_LE(took_ms, 20);
}

// The client has found the functions. Then ff_version answers with something that is no version.
TEST_F(ConnectTest, AnAnswerThatDoesNotFitIsNoVersion) {
  server.foreign_library = true;
  for (const std::string reply : {":34\r\n", "+34\r\n", "$-1\r\n", "*0\r\n"}) {
    int asked = 0;
    play = [&](std::uint16_t, const Words& command) -> std::optional<std::string> {
      const bool asks = command[0] == "FCALL" && command[1] == "ff_version";
      return asks && ++asked == 2 ? std::optional(reply) : std::nullopt;
    };
    EXPECT_EQ(Connect(), "unavailable: an answer that does not fit its command") << reply;
    EXPECT_EQ(asked, 2);
    EXPECT_FALSE(info.rights_known);
  }
}

TEST_F(ConnectTest, NamesTheCallsThatAUserCantMake) {
  for (const bool theirs : {false, true}) {
    server.foreign_library = theirs;
    play = Lacks({"XADD", "ZREM"});
    EXPECT_EQ(Connect(), "none");
    EXPECT_TRUE(info.rights_known);
    EXPECT_EQ(CommandsOf("Claim"), (Words{"XADD", "ZREM"}));
    EXPECT_EQ(CommandsOf("Renew"), (Words{"XADD"}));
    EXPECT_EQ(CommandsOf("CreateExecution"), (Words{"ZREM"}));
    EXPECT_EQ(CommandsOf("Inspect"), Words());
    play = Lacks({"ZRANGE"});
    EXPECT_EQ(Connect(), "none");
    EXPECT_EQ(info.refused_calls, (std::vector<RefusedCall>{{"ClaimForWorker", {"ZRANGE"}}}));
  }
  // Our functions read the fields of a hash that they need; FlowFabric's read the whole hash.
  play = Lacks({"HGETALL"});
  EXPECT_EQ(Connect(), "none");
  EXPECT_EQ(CommandsOf("Claim"), Words{"HGETALL"});
  server.foreign_library = false;
  EXPECT_EQ(Connect(), "none");
  EXPECT_EQ(CommandsOf("Claim"), Words());

  play = Lacks({"EXISTS", "HMGET", "HSET", "TIME"});
  EXPECT_EQ(Connect(),
            "unavailable: the user may not run what every call needs: EXISTS HMGET HSET TIME");
  EXPECT_EQ(ledger->Connect(info).error, ClaimError::kUnavailable);
}

TEST_F(ConnectTest, KnowsNoRightsWhereItMayNotAsk) {
  server.foreign_library = true;
  for (const std::string refusal :
       {"NOPERM User u has no permissions to run the 'eval' command",
        "NOPERM this user has no permissions to run the 'eval' command",
        "ERR unknown command 'EVAL'", "ERR Error running script: acl_check_cmd is nil"}) {
    play = [&](std::uint16_t, const Words& command) -> std::optional<std::string> {
      return command[0] == "EVAL" ? std::optional("-" + refusal + "\r\n") : std::nullopt;
    };
    EXPECT_EQ(Connect(), "none") << refusal;
    EXPECT_FALSE(info.rights_known) << refusal;
    EXPECT_TRUE(info.refused_calls.empty());
  }
}

// What one primary does not tell is not known, whatever the others tell.
TEST_F(ConnectTest, KnowsTheRightsOnlyIfEveryPrimaryTells) {
  server.foreign_library = true;
  server.mode = "cluster";
  const std::string slots =
      Array({Range(0, 5000, 1), Range(5001, 10'000, 2), Range(10'001, 16'383, 3)});
  for (const int silent : {0, 1, 2, 3}) {
    play = [&](std::uint16_t port, const Words& command) -> std::optional<std::string> {
      if (command[0] == "CLUSTER") return slots;
      if (port == silent && command[0] == "EVAL") return "-ERR unknown command 'EVAL'\r\n";
      return Lacks({})(port, command);
    };
    EXPECT_EQ(Connect(), "none") << silent;
    EXPECT_EQ(info.rights_known, silent == 0) << silent;
  }
}

TEST_F(ConnectTest, AsksEveryPrimaryThatHasPartitions) {
  server.mode = "cluster";
  std::string slots = Array({Range(0, 5000, 1), Range(5001, 10'000, 2), Range(10'001, 16'383, 3)});
  std::string last;  // what the third node answers to FCALL; empty: the usual
  play = [&](std::uint16_t port, const Words& command) -> std::optional<std::string> {
    if (command[0] == "CLUSTER") return slots;
    if (port == 3 && command[0] == "FCALL" && !last.empty()) return last;
    const std::set<std::string> lacking[] = {{}, {"XADD"}, {"ZADD"}, {"XADD"}};
    return Lacks(lacking[port])(port, command);
  };
  EXPECT_EQ(Connect(), "none");
  EXPECT_TRUE(info.cluster);
  for (const std::string port : {"1", "2", "3"}) {
    EXPECT_GE(std::count(log.begin(), log.end(), port + " FCALL"), 4) << port;
  }
  EXPECT_EQ(CommandsOf("Claim"), (Words{"XADD", "ZADD"})) << "on any of them";
  EXPECT_EQ(CommandsOf("MarkLeaseExpiredIfDue"), Words{"XADD"});
  last = "-NOPERM not here\r\n";
  EXPECT_EQ(Connect(), "unavailable: NOPERM not here");
  // Partitions whose slots no node has can't be served.
  slots = Array({Range(0, 5000, 1), Range(5001, 10'000, 2)});
  EXPECT_EQ(Connect(), "unavailable: no reply in time");
  EXPECT_LE(took_ms, 210);
}

TEST_F(ConnectTest, KeepsOneLimit) {
  server.mode = "cluster";
  const std::string slots = Array({Range(0, 8000, 1), Range(8001, 16'383, 2)});
  play = [&](std::uint16_t, const Words& command) -> std::optional<std::string> {
    if (command[0] == "CLUSTER") return slots;
    return std::nullopt;
  };
  EXPECT_EQ(Connect([](ValkeyLedgerOptions& options) {
              options.client.make_network = [make = options.client.make_network] {
                auto made = make();
                static_cast<ScriptedNetwork&>(*made).SetScript([](Operation operation) -> Fault {
                  return operation == Operation::kAnswer ? Fault{Fault::Kind::kLate, 25} : Fault{};
                });
                return made;
              };
            }),
            "unavailable: no reply in time");
  EXPECT_GE(took_ms, 195);
  EXPECT_LE(took_ms, 205);
  // The call after Connect() has a time limit of its own.
  network->SetScript(nullptr);
  network->Wait({}, 1000);
  const ScriptedRig::Way way(1);
  EXPECT_TRUE(ledger->CreateExecution(
      {.execution_id = way.execution.view(), .lane = ParseLaneId("main").lane}));
}

TEST(NeededRights, NameEachCallOnceAndCommandsInOrder) {
  std::set<std::string_view> calls;
  for (const internal::NeededRights& needed : internal::AllNeededRights()) {
    EXPECT_TRUE(calls.insert(needed.call).second) << needed.call;
    EXPECT_EQ(needed.function.empty(), needed.ours.empty() && needed.theirs.empty());
    EXPECT_TRUE(needed.function.empty() || needed.function.starts_with("ff_"));
  }
  for (const bool own : {true, false}) {
    const auto all = internal::AllNeededCommands(own);
    EXPECT_TRUE(std::is_sorted(all.begin(), all.end()));
    EXPECT_EQ(std::count(all.begin(), all.end(), "XRANGE"), own ? 0 : 1);
    EXPECT_EQ(std::count(all.begin(), all.end(), "XREVRANGE"), 1);
  }
}

}  // namespace
}  // namespace ffgrant::valkey::testing
