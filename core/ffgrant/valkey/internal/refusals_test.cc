// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/valkey/internal/refusals.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "testing/simulation/client_rig.h"

namespace ffgrant::valkey::testing {
namespace {

using internal::Refusals;

TEST(Refusals, LastForTheirTimeEachForItsServer) {
  Refusals refusals;
  EXPECT_FALSE(refusals.Find(At(1), 0));
  refusals.Add(At(1), 100, 200, "one");
  refusals.Add(At(2), 110, 210, "two");
  EXPECT_FALSE(refusals.Find(At(3), 150));
  EXPECT_EQ(refusals.Find(At(1), 199)->text, "one");
  EXPECT_FALSE(refusals.Find(At(1), 200));
  EXPECT_EQ(refusals.Find(At(2), 209)->until, 210);
  refusals.Add(At(2), 150, 300, "again");
  EXPECT_EQ(refusals.Find(At(2), 250)->text, "again");
}

// ---- what the client makes of them -------------------------------------------------

struct ForGood {
  std::string first_word;  // the first word of the commands that the server refuses
  std::string text;
};
const ForGood kForGood[] = {
    {"AUTH", "WRONGPASS invalid username-password pair or user is disabled."},
    {"AUTH", "ERR AUTH <password> called without any password configured"},
    {"AUTH", "ERR wrong number of arguments for 'auth' command"},
    {"INFO", "NOAUTH Authentication required."},
};

TEST(Client, ARefusalForGoodEndsTheCallAtOnceAndIsNotRepeated) {
  for (const ForGood& refusal : kForGood) {
    ClientOptions options = RigOptions();
    options.username = refusal.first_word == "AUTH" ? "me" : "";
    ClientRig rig(options);
    bool refused = true;
    rig.play = [&](std::uint16_t, const Words& command) -> std::optional<std::string> {
      if (command[0] == refusal.first_word && refused) return "-" + refusal.text + "\r\n";
      return command[0] == "AUTH" ? std::optional<std::string>("+OK\r\n") : std::nullopt;
    };
    const std::string asked = "1 " + refusal.first_word;
    const std::int64_t begin = rig.network->NowMs();
    EXPECT_EQ(rig.Get(), "unavailable: " + refusal.text);
    for (const bool read_only : {true, false}) {
      EXPECT_EQ(rig.Get(read_only), "unavailable: " + refusal.text);
    }
    EXPECT_LE(rig.network->NowMs() - begin, 20) << refusal.text;
    EXPECT_EQ(rig.Count(asked), 1) << refusal.text;
    rig.Pass(29'900 - (rig.network->NowMs() - begin));
    EXPECT_EQ(rig.Get(), "unavailable: " + refusal.text);
    EXPECT_EQ(rig.Count(asked), 1) << refusal.text;
    rig.Pass(200);
    refused = false;
    EXPECT_EQ(rig.Get(), "a of 1") << refusal.text;
    EXPECT_EQ(rig.Count(asked), 2) << refusal.text;
  }
}

TEST(Client, ManyCallsAreRefusedTogether) {
  ClientOptions options = RigOptions();
  options.password = "pw";
  options.refusal_pause_ms = 1000;
  ClientRig rig(options);
  rig.play = [](std::uint16_t, const Words& command) -> std::optional<std::string> {
    return command[0] == "AUTH" ? std::optional<std::string>("-WRONGPASS no\r\n") : std::nullopt;
  };
  for (std::uint64_t tag = 0; tag < 16; ++tag) ASSERT_TRUE(rig.Submit(tag, {"GET", "a"}));
  for (int i = 0; i < 5 && rig.client.in_flight() > 0; ++i) rig.client.Poll(50);
  for (std::uint64_t tag = 0; tag < 16; ++tag)
    EXPECT_EQ(rig.ends[tag], "unavailable: WRONGPASS no");
  EXPECT_EQ(rig.Count("1 AUTH"), 1);
  rig.Pass(1001);
  EXPECT_EQ(rig.Get(), "unavailable: WRONGPASS no");
  EXPECT_EQ(rig.Count("1 AUTH"), 2);
}

TEST(Client, AnotherServerMayTakeThePasswordThatOneRefuses) {
  ClientOptions options = TwoServers();
  options.password = "pw";
  ClientRig rig(options);
  std::uint16_t refuses = 1;
  rig.play = [&](std::uint16_t port, const Words& command) -> std::optional<std::string> {
    if (command[0] != "AUTH") return std::nullopt;
    return port == refuses || refuses == 3 ? "-WRONGPASS no\r\n" : "+OK\r\n";
  };
  EXPECT_EQ(rig.Get(), "a of 2");
  EXPECT_EQ(rig.Get(), "a of 2");
  EXPECT_EQ(rig.Count("1 AUTH"), 1);
  // If the next server refuses too, no server is left.
  refuses = 3;
  rig.network->HangUp(2);
  const std::int64_t begin = rig.network->NowMs();
  EXPECT_EQ(rig.Get(), "unavailable: WRONGPASS no");
  EXPECT_EQ(rig.Get(), "unavailable: WRONGPASS no");
  EXPECT_LE(rig.network->NowMs() - begin, 20);
  EXPECT_EQ(rig.Count("1 AUTH"), 1);
  EXPECT_EQ(rig.Count("2 AUTH"), 2);
}

// The server that takes the client can't be reached for a moment. The client tries the servers in
// turn, and passes over those that refuse.
TEST(Client, AServerThatRefusesIsPassedOverForTheNextOne) {
  ClientOptions options = RigOptions();
  options.servers = {At(1), At(2), At(3)};
  options.password = "pw";
  options.request_timeout_ms = 1000;
  ClientRig rig(options);
  rig.play = [](std::uint16_t port, const Words& command) -> std::optional<std::string> {
    if (command[0] != "AUTH") return std::nullopt;
    return port == 3 ? "+OK\r\n" : "-WRONGPASS no\r\n";
  };
  ASSERT_EQ(rig.Get(), "a of 3");
  EXPECT_EQ(rig.Count("1 AUTH") + rig.Count("2 AUTH"), 2);
  const std::size_t before = rig.network->connections();
  int failures = 1;
  rig.network->SetScript([&](Operation operation) -> Fault {
    const bool fails = operation == Operation::kOpen && failures-- > 0;
    return fails ? Fault{Fault::Kind::kRefused} : Fault{};
  });
  rig.network->HangUp(static_cast<std::int64_t>(before));
  EXPECT_EQ(rig.Get(), "a of 3");
  EXPECT_EQ(rig.network->connections(), before + 2);
  for (std::size_t id = before; id <= rig.network->connections(); ++id) {
    EXPECT_EQ(rig.network->endpoint(static_cast<std::int64_t>(id)).port, 3) << id;
  }
  EXPECT_EQ(rig.Count("1 AUTH") + rig.Count("2 AUTH"), 2) << "their refusals still hold";
}

// A server that is passed over has had its turn, so the server after it is not asked twice in a
// row.
TEST(Client, ServersGoOnInTurnBehindTheOneThatRefuses) {
  ClientOptions options = RigOptions();
  options.servers = {At(1), At(2), At(3)};
  options.password = "pw";
  options.request_timeout_ms = 1000;
  options.reconnect = {10, 10};
  ClientRig rig(options);
  rig.play = [](std::uint16_t port, const Words& command) -> std::optional<std::string> {
    if (command[0] != "AUTH") return std::nullopt;
    return port == 1 ? "-WRONGPASS no\r\n" : "+OK\r\n";
  };
  ASSERT_EQ(rig.Get(), "a of 2");
  const std::size_t before = rig.network->connections();
  rig.network->SetScript(First(3, Operation::kOpen, Fault::Kind::kRefused));
  rig.network->HangUp(static_cast<std::int64_t>(before));
  EXPECT_EQ(rig.Get(), "a of 3");
  std::vector<std::uint16_t> ports;
  for (std::size_t id = before + 1; id <= rig.network->connections(); ++id) {
    ports.push_back(rig.network->endpoint(static_cast<std::int64_t>(id)).port);
  }
  EXPECT_EQ(ports, (std::vector<std::uint16_t>{2, 3, 2, 3}));
}

TEST(Client, ProtectedModeIsARefusalForGood) {
  ClientRig rig;
  rig.network->SetScript([&](Operation operation) -> Fault {
    if (operation == Operation::kOpen) {
      rig.network->Say(static_cast<std::int64_t>(rig.network->connections()),
                       "-DENIED Redis is running in protected mode\r\n");
    }
    return {};
  });
  EXPECT_EQ(rig.Get(), "unavailable: DENIED Redis is running in protected mode");
  EXPECT_EQ(rig.Get(), "unavailable: DENIED Redis is running in protected mode");
  EXPECT_EQ(rig.network->connections(), 1u);
}

// The server's refusal is read as the answer to the first command of the greeting, whichever it is.
TEST(Client, ProtectedModeIsARefusalForGoodWhateverWasAsked) {
  for (const std::string name : {"", "worker-7"}) {
    for (const std::string password : {"", "pw"}) {
      ClientOptions options = RigOptions();
      options.connection_name = name;
      options.password = password;
      ClientRig rig(options);
      rig.play = [](std::uint16_t, const Words&) -> std::optional<std::string> {
        return "-DENIED Redis is running in protected mode\r\n";
      };
      EXPECT_EQ(rig.Get(), "unavailable: DENIED Redis is running in protected mode");
      EXPECT_EQ(rig.Get(), "unavailable: DENIED Redis is running in protected mode");
      EXPECT_EQ(rig.log.size(), 1u) << name << password;
    }
  }
}

// The client has the members of a table that another client has accepted, and no slots yet. Every
// member refuses it, so nobody will ever say who has a slot.
TEST(Client, EveryMembersRefusalEndsTheCallAtOnce) {
  FakeClusters clusters;
  clusters.nodes = {{1, {"a", "run-a", "T"}}, {2, {"b", "run-b", "T"}}};
  clusters.tables["T"] = {{{"a", 1}, {"b", 2}}, {{0, 99, {"a"}}, {100, 16383, {"b"}}}};
  ClientRig first;
  first.play = clusters.play();
  ASSERT_EQ(first.Get(true, 100), "a of 2");
  ClientOptions options = RigOptions();
  options.password = "old";
  options.request_timeout_ms = 2000;
  ClientRig rig(options, first.deployment);
  std::set<std::uint16_t> refusing = {1, 2};
  rig.play = [&](std::uint16_t port, const Words& command) -> std::optional<std::string> {
    if (command[0] != "AUTH") return clusters.Answer(port, command);
    return refusing.count(port) != 0 ? "-WRONGPASS no\r\n" : "+OK\r\n";
  };
  std::int64_t begin = rig.network->NowMs();
  EXPECT_EQ(rig.Get(true, 100), "unavailable: WRONGPASS no");
  EXPECT_LT(rig.network->NowMs(), begin + 500);
  EXPECT_EQ(rig.Count("1 AUTH"), 1);
  EXPECT_EQ(rig.Count("2 AUTH"), 1);
  begin = rig.network->NowMs();
  EXPECT_EQ(rig.Get(true, 100), "unavailable: WRONGPASS no");
  EXPECT_LT(rig.network->NowMs(), begin + 50);
  EXPECT_EQ(rig.network->connections(), 2u);
  // A server that takes the client may say who has the slot.
  refusing = {1};
  rig.Pass(options.refusal_pause_ms);
  EXPECT_EQ(rig.Get(true, 100), "a of 2");
}

TEST(Client, ClientsThatShareTheirRefusalsAskOnce) {
  ClientOptions options = RigOptions();
  options.password = "pw";
  const auto deployment = std::make_shared<internal::Deployment>();
  ScriptedServer server;
  int logins = 0;
  server.answer = [&](std::int64_t, const Words& command) -> std::optional<std::string> {
    logins += command[0] == "AUTH";
    return "-WRONGPASS no\r\n";
  };
  for (int i = 0; i < 3; ++i) {
    Client client(options, std::make_unique<ScriptedNetwork>(server), deployment);
    std::string end;
    const CallTarget target = {
        .self = &end,
        .on_reply = [](void*, std::uint64_t, const Reply&) noexcept { return true; },
        .on_failure =
            [](void* self, std::uint64_t, CallFailure, std::string_view text) noexcept {
              static_cast<std::string*>(self)->assign(text);
            }};
    ASSERT_TRUE(client.Submit(0, true, target, [](RespCommand& command) {
      command.Begin(1);
      command.Arg("PING");
    }));
    for (int j = 0; j < 5 && client.in_flight() > 0; ++j) client.Poll(50);
    EXPECT_EQ(end, "WRONGPASS no");
  }
  EXPECT_EQ(logins, 1);
}

}  // namespace
}  // namespace ffgrant::valkey::testing
