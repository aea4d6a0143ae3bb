// SPDX-License-Identifier: Apache-2.0
//
// Tests which of several servers the client goes to, and how it greets a server.

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "testing/simulation/client_rig.h"

namespace ffgrant::valkey::testing {
namespace {

using Kind = Fault::Kind;

// ---- several servers -------------------------------------------------------------

TEST(Client, GoesOnToTheNextServer) {
  ClientRig rig(TwoServers());
  rig.network->SetScript(Unreachable(rig, 1));
  EXPECT_EQ(rig.Get(), "a of 2");
  EXPECT_EQ(rig.Count("1 "), 0);
  // The client goes back to the first server.
  rig.network->SetScript(Unreachable(rig, 2));
  rig.play = [](std::uint16_t port, const Words& command) -> std::optional<std::string> {
    if (port == 2 && command[0] == "GET") return "";
    return std::nullopt;
  };
  EXPECT_EQ(rig.Get(), "unavailable: no reply in time");
  EXPECT_EQ(rig.Get(), "a of 1");
}

// The first server does not answer. If the client knows this server by a name, it may also be the
// name server that is silent.
TEST(Client, AServerThatNeverConnectsLeavesTimeForTheNext) {
  for (const std::int64_t connect_timeout_ms : {50, 200, 1000}) {
    ClientOptions options = TwoServers();
    options.connect_timeout_ms = connect_timeout_ms;
    ClientRig rig(options);
    rig.network->SetScript([&](Operation asked) -> Fault {
      const auto last = static_cast<std::int64_t>(rig.network->connections());
      const bool hangs = asked == Operation::kOpen && rig.network->endpoint(last).port == 1;
      return {hangs ? Kind::kWouldBlock : Kind::kNone};
    });
    EXPECT_EQ(rig.Get(), "a of 2") << connect_timeout_ms;
    EXPECT_EQ(rig.Get(), "a of 2") << connect_timeout_ms;
    EXPECT_EQ(rig.network->connections(), 2u) << connect_timeout_ms;
  }
}

// The first server takes the connection, and then leaves one of the greeting's commands unanswered,
// or answers each command late.
TEST(Client, AServerThatDoesNotGreetLeavesTimeForTheNext) {
  for (const std::string_view silent : {"INFO", "CLIENT", "FCALL"}) {
    for (const std::int64_t connect_timeout_ms : {200, 1000, 2000}) {
      ClientOptions options = TwoServers();
      options.connect_timeout_ms = connect_timeout_ms;
      ClientRig rig(options);
      rig.play = [&](std::uint16_t port, const Words& command) -> std::optional<std::string> {
        if (port == 1 && command[0] == silent) return "";
        return std::nullopt;
      };
      EXPECT_EQ(rig.Get(), "a of 2") << silent << " " << connect_timeout_ms;
      EXPECT_EQ(rig.Count("1 GET"), 0) << silent << " " << connect_timeout_ms;
    }
  }
  ClientRig rig(TwoServers());
  rig.play = [&](std::uint16_t port, const Words&) -> std::optional<std::string> {
    if (port == 1) rig.Pass(60);
    return std::nullopt;
  };
  EXPECT_EQ(rig.Get(), "a of 2");
}

TEST(Client, LooksForThePrimary) {
  bool demoted = false;
  const auto play = [&](std::uint16_t port, const Words& command) -> std::optional<std::string> {
    if (port == 1 && command[0] == "INFO") return Info("one", demoted ? "slave" : "master");
    if (port == 1 && command[0] == "SET" && demoted) return "-READONLY a replica\r\n";
    return std::nullopt;
  };
  ClientRig rig(TwoServers());
  rig.play = play;
  EXPECT_EQ(rig.Get(), "a of 1");
  demoted = true;
  EXPECT_EQ(rig.Do({"SET", "a", "b"}), "OK");
  EXPECT_EQ(rig.Count("1 SET"), 1);
  EXPECT_EQ(rig.Count("2 SET"), 1);

  ClientRig first(TwoServers());
  first.play = play;
  EXPECT_EQ(first.Get(), "a of 2");

  ClientRig alone;
  alone.play = play;
  EXPECT_EQ(alone.Get(), "unavailable: the server is a replica");
}

// No INFO says that the server is a replica now; only its refusal of a command does.
TEST(Client, LooksForThePrimaryWhereInfoIsForbidden) {
  bool demoted = false;
  ClientRig rig(TwoServers());
  rig.play = [&](std::uint16_t port, const Words& command) -> std::optional<std::string> {
    if (command[0] == "INFO") return "-NOPERM no\r\n";
    if (port == 1 && command[0] == "SET" && demoted) return "-READONLY a replica\r\n";
    return std::nullopt;
  };
  EXPECT_EQ(rig.Get(), "a of 1");
  demoted = true;
  EXPECT_EQ(rig.Do({"SET", "a", "b"}), "OK");
  EXPECT_EQ(rig.Count("1 SET"), 1);
  EXPECT_EQ(rig.Count("2 SET"), 1);
  EXPECT_EQ(rig.Get(), "a of 2");
}

// ---- the greeting ----------------------------------------------------------------

TEST(Client, Greets) {
  struct Case {
    std::string what;
    std::string username;
    std::string password;
    std::map<std::string, std::string> answers;  // by the command's first word
    std::string end;
    std::vector<std::string> first;  // the first commands that the server gets
  };
  const std::string info = "1 INFO server replication";
  const std::vector<Case> cases = {
      {"nobody in particular", "", "", {}, "a of 1", {info, "1 CLIENT ID"}},
      {"a name alone", "me", "", {{"AUTH", "+OK\r\n"}}, "a of 1", {"1 AUTH me ", info}},
      {"a password", "", "pw", {{"AUTH", "+OK\r\n"}}, "a of 1", {"1 AUTH pw", info}},
      {"both", "me", "pw", {{"AUTH", "+OK\r\n"}}, "a of 1", {"1 AUTH me pw", info}},
      {"a wrong password",
       "",
       "pw",
       {{"AUTH", "-WRONGPASS invalid\r\n"}},
       "unavailable: WRONGPASS invalid",
       {"1 AUTH pw"}},
      {"a server that loads its data",
       "",
       "pw",
       {{"AUTH", "-LOADING data\r\n"}},
       "unavailable: LOADING data",
       {"1 AUTH pw", "1 AUTH pw"}},
      {"no password where one is asked for",
       "",
       "",
       {{"INFO", "-NOAUTH Authentication required.\r\n"}},
       "unavailable: NOAUTH Authentication required.",
       {info}},
      {"INFO is forbidden", "", "", {{"INFO", "-NOPERM no\r\n"}}, "a of 1", {info, "1 CLIENT ID"}},
      {"a name that begins like a replica's role",
       "",
       "",
       {{"INFO", Bulk("role_before:slave\r\nrole:master\r\n")}},
       "a of 1",
       {info}},
      {"a name that begins like a primary's role",
       "",
       "",
       {{"INFO", Bulk("role_before:master\r\nrole:slave\r\n")}},
       "unavailable: the server is a replica",
       {info}},
  };
  for (const Case& c : cases) {
    ClientOptions options = RigOptions();
    options.username = c.username;
    options.password = c.password;
    ClientRig rig(options);
    rig.play = [&](std::uint16_t, const Words& command) -> std::optional<std::string> {
      const auto found = c.answers.find(command[0]);
      if (found == c.answers.end()) return std::nullopt;
      return found->second;
    };
    EXPECT_EQ(rig.Get(), c.end) << c.what;
    ASSERT_GE(rig.log.size(), c.first.size()) << c.what;
    for (std::size_t i = 0; i < c.first.size(); ++i) EXPECT_EQ(rig.log[i], c.first[i]) << c.what;
  }
}

// Each answer to the greeting may take as long as connecting may, so all answers together may take
// longer.
TEST(Client, EachAnswerToTheGreetingHasTheWholeLimit) {
  const std::string slots = Array({Range(0, 16383, 1)});
  for (const bool cluster : {false, true}) {
    for (const std::size_t late_ms : {60, 90, 120}) {
      ClientOptions options = RigOptions();
      options.connect_timeout_ms = 100;
      options.request_timeout_ms = 5000;
      ClientRig rig(options);
      if (cluster) rig.play = Cluster(slots);
      rig.network->SetScript([&](Operation operation) -> Fault {
        return operation == Operation::kAnswer ? Fault{Kind::kLate, late_ms} : Fault{};
      });
      const bool in_time = late_ms < 100;
      EXPECT_EQ(rig.Get(), in_time ? "a of 1" : "unavailable: no connection in time")
          << cluster << " " << late_ms;
      EXPECT_EQ(rig.network->connections() == 1, in_time) << cluster << " " << late_ms;
    }
  }
}

TEST(Client, NamesItsConnectionsAfterTheLogin) {
  ClientOptions options = RigOptions();
  options.password = "pw";
  options.connection_name = "worker-7";
  ClientRig rig(options);
  rig.play = [](std::uint16_t, const Words& command) -> std::optional<std::string> {
    if (command[0] == "AUTH") return "+OK\r\n";
    if (command[1] == "SETNAME") return "-NOPERM no\r\n";  // the greeting still goes on
    return std::nullopt;
  };
  ASSERT_EQ(rig.Get(), "a of 1");
  ASSERT_GE(rig.log.size(), 3u);
  EXPECT_EQ(rig.log[0], "1 AUTH pw");
  EXPECT_EQ(rig.log[1], "1 CLIENT SETNAME worker-7");
  EXPECT_EQ(rig.log[2], "1 INFO server replication");
}

TEST(Client, AServerThatIsReadyInTheEndIsUsed) {
  ClientRig rig;
  int left = 3;
  rig.play = [&](std::uint16_t, const Words& command) -> std::optional<std::string> {
    if (command[0] == "INFO" && left-- > 0) return "-LOADING data\r\n";
    return std::nullopt;
  };
  EXPECT_EQ(rig.Get(), "a of 1");
  EXPECT_EQ(rig.Count("1 INFO"), 4);
}

TEST(Client, NothingIsKnownOfAServerThatWillNotSay) {
  for (const std::string refusal : {"NOPERM no INFO for you", "ERR unknown command 'INFO'"}) {
    ClientRig rig;
    rig.play = [&](std::uint16_t, const Words& command) -> std::optional<std::string> {
      return command[0] == "INFO" ? std::optional("-" + refusal + "\r\n") : std::nullopt;
    };
    EXPECT_EQ(rig.Get(), "a of 1") << refusal;
    EXPECT_EQ(rig.client.server().name, "");
    EXPECT_EQ(rig.client.server().version, "");
  }
  for (const std::string answer : {":1\r\n", "*0\r\n", "$-1\r\n", "+OK\r\n"}) {
    ClientRig rig;
    rig.play = [&](std::uint16_t, const Words& command) -> std::optional<std::string> {
      return command[0] == "INFO" ? std::optional(answer) : std::nullopt;
    };
    EXPECT_EQ(rig.Get(), "unavailable: INFO was answered by what is no text") << answer;
  }
}
}  // namespace
}  // namespace ffgrant::valkey::testing
