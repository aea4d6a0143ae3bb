// SPDX-License-Identifier: Apache-2.0
//
// Tests the client with a cluster: redirections, the table of slots, refusals.

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "testing/simulation/client_rig.h"

namespace ffgrant::valkey::testing {
namespace {

using Kind = Fault::Kind;

// ---- redirections ------------------------------------------------------------------

TEST(Client, FollowsRedirections) {
  struct Case {
    std::string refusal;
    std::string end;
    Endpoint to;
    int asking;
  };
  const std::vector<Case> cases = {
      {"MOVED 0 127.0.0.1:7", "a of 7", At(7), 0},
      {"MOVED 16383 127.0.0.2:7", "a of 7", {"127.0.0.2", 7}, 0},
      {"MOVED 0 ::1:7", "a of 7", {"::1", 7}, 0},
      {"MOVED 0 ::ffff:10.0.0.7:7", "a of 7", {"::ffff:10.0.0.7", 7}, 0},
      {"MOVED 0 fe80::1:7", "a of 7", {"fe80::1", 7}, 0},
      {"MOVED 0 :65535", "a of 65535", At(65535), 0},
      {"ASK 0 127.0.0.1:7", "a of 7", At(7), 1},
      {"ASK 0 ::1:7", "a of 7", {"::1", 7}, 1},
      {"ASK 0 :7", "a of 7", At(7), 1},
  };
  for (const Case& c : cases) {
    ClientRig rig;
    rig.server.mode = "cluster";
    rig.play = [&](std::uint16_t port, const Words& command) -> std::optional<std::string> {
      if (command[0] == "INFO") return Info("run", "master", "cluster");
      // Each node believes that all slots are its own.
      if (command[0] == "CLUSTER") return Array({Range(0, 16383, port, "")});
      if (command[0] == "ASKING") return "+OK\r\n";
      if (command[0] == "GET" && port == 1) return "-" + c.refusal + "\r\n";
      return std::nullopt;
    };
    const auto slot = static_cast<std::uint16_t>(c.refusal.find("16383") == 6 ? 16383 : 0);
    EXPECT_EQ(rig.Get(false, slot), c.end) << c.refusal;
    EXPECT_EQ(rig.client.redirections(), 1u) << c.refusal;
    ASSERT_EQ(rig.network->connections(), 2u) << c.refusal;
    EXPECT_EQ(rig.network->endpoint(2), c.to) << c.refusal;
    EXPECT_EQ(rig.Count(std::to_string(c.to.port) + " ASKING"), c.asking) << c.refusal;
  }
}

// The refusal was that of an earlier call, which succeeded in the end.
TEST(Client, AnEarlierRefusalExplainsNoLaterFailure) {
  for (const char* const refusal : {"TRYAGAIN Multiple keys request during rehashing of slot",
                                    "MOVED 0 127.0.0.1:1", "ASK 0 127.0.0.1:1"}) {
    ClientRig rig;
    rig.server.mode = "cluster";
    bool has_refused = false;
    rig.play = [&](std::uint16_t, const Words& command) -> std::optional<std::string> {
      if (command[0] == "INFO") return Info("run", "master", "cluster");
      if (command[0] == "CLUSTER") return Array({Range(0, 16383, 1)});
      if (command[0] == "ASKING") return "+OK\r\n";
      if (command[0] != "GET" || std::exchange(has_refused, true)) return std::nullopt;
      return "-" + std::string(refusal) + "\r\n";
    };
    EXPECT_EQ(rig.Get(), "a of 1") << refusal;
    EXPECT_TRUE(has_refused);
    for (std::size_t i = 1; i <= rig.network->connections(); ++i) {
      rig.network->HangUp(static_cast<std::int64_t>(i));
    }
    rig.network->SetScript(Always(Operation::kOpen, Fault::Kind::kRefused));
    (void)rig.Settle(10);
    EXPECT_EQ(rig.Get(), "unavailable: can't connect") << refusal;
  }
}

TEST(Client, RedirectionsWithoutEndAreFollowedSlowly) {
  ClientOptions options = RigOptions();
  options.retry = {10, 10};
  ClientRig rig(options);
  rig.server.mode = "cluster";
  rig.play = [](std::uint16_t port, const Words& command) -> std::optional<std::string> {
    if (command[0] == "INFO") return Info("run", "master", "cluster");
    if (command[0] == "CLUSTER") return Array({Range(0, 16383, 1)});
    if (command[0] != "GET") return std::nullopt;
    return port == 1 ? "-MOVED 0 :2\r\n" : "-MOVED 0 :1\r\n";
  };
  EXPECT_EQ(rig.Get().substr(0, 22), "unavailable: MOVED 0 :");
  EXPECT_GE(rig.client.redirections(), 10u);
  EXPECT_LE(rig.client.redirections(), 40u);
}

// Whatever else a redirection says, it says that the command was not executed.
TEST(Client, RedirectionsToNowhereMeanThatItDidNotHappen) {
  for (const std::string refusal : {"MOVED",
                                    "ASK",
                                    "MOVED ",
                                    "MOVED 0",
                                    "MOVED x 127.0.0.1:7",
                                    "MOVED 0x 127.0.0.1:7",
                                    "MOVED  127.0.0.1:7",
                                    "MOVED -1 127.0.0.1:7",
                                    "MOVED 16384 127.0.0.1:7",
                                    "MOVED 65536 127.0.0.1:7",
                                    "MOVED 0 127.0.0.1",
                                    "MOVED 0 127.0.0.1:",
                                    "MOVED 0 127.0.0.1:0",
                                    "MOVED 0 127.0.0.1:65536",
                                    "MOVED 0 ?:7",
                                    "MOVED 0 ",
                                    "MOVED 0 :",
                                    "MOVED 0 :0",
                                    "MOVED 0 :x",
                                    "MOVED 0 :7x",
                                    "MOVED 0 :65536",
                                    "ASK 0",
                                    "ASK 16384 127.0.0.1:7",
                                    "ASK 0 :0",
                                    "ASK 0 127.0.0.1:x"}) {
    ClientRig rig;
    rig.server.mode = "cluster";
    rig.play = [&](std::uint16_t, const Words& command) -> std::optional<std::string> {
      if (command[0] == "CLUSTER") return Array({Range(0, 16383, 1)});
      if (command[0] == "GET") return "-" + refusal + "\r\n";
      return std::nullopt;
    };
    EXPECT_EQ(rig.Get(false), "unavailable: " + refusal);
    EXPECT_EQ(rig.client.redirections(), 0u) << refusal;
    EXPECT_EQ(rig.network->connections(), 1u) << refusal;
    EXPECT_GE(rig.Count("1 GET"), 2) << refusal << ": the server may learn";
    EXPECT_LE(rig.Count("1 GET"), 20) << refusal;
  }
}

// A redirection that names no address does not show that there is a cluster, so the client does not
// ask the server about one.
TEST(Client, ARedirectionToNowhereMakesNoClusterOfAServer) {
  for (const std::string refusal : {"MOVED 0 ?:7", "ASK"}) {
    ClientRig rig;
    bool refused = false;
    rig.play = [&](std::uint16_t, const Words& command) -> std::optional<std::string> {
      if (command[0] == "INFO") return "-NOPERM no INFO for you\r\n";
      if (command[0] == "SET" && !std::exchange(refused, true)) return "-" + refusal + "\r\n";
      return std::nullopt;
    };
    EXPECT_EQ(rig.Do({"SET", "a", "b"}), "OK") << refusal;
    EXPECT_EQ(rig.Count("1 SET"), 2) << refusal;
    EXPECT_EQ(rig.Count("1 CLUSTER"), 0) << refusal;
  }
}

// If the client followed the redirection, it would send its password to the server that the
// redirection names.
TEST(Client, AServerThatCallsItselfStandaloneRedirectsNobody) {
  for (const std::string refusal : {"MOVED 0 127.0.0.1:7", "ASK 0 127.0.0.1:7"}) {
    ClientOptions options = RigOptions();
    options.password = "pw";
    ClientRig rig(options);
    rig.play = [&](std::uint16_t port, const Words& command) -> std::optional<std::string> {
      if (command[0] == "AUTH") return "+OK\r\n";
      if (command[0] == "GET" && port == 1) return "-" + refusal + "\r\n";
      return std::nullopt;
    };
    const std::int64_t begin = rig.network->NowMs();
    EXPECT_EQ(rig.Get(false),
              "unavailable: " + refusal + ", from a server that calls itself standalone");
    EXPECT_LE(rig.network->NowMs() - begin, 20) << "it will not change its mind";
    EXPECT_EQ(rig.network->connections(), 1u);
    EXPECT_EQ(rig.Count("7 "), 0);
    EXPECT_EQ(rig.client.redirections(), 0u);
  }
}

// An ACL may forbid INFO; then only a redirection tells that the server belongs to a cluster.
TEST(Client, AServerThatSaysNothingOfItselfMayRedirect) {
  ClientRig rig;
  rig.play = [](std::uint16_t port, const Words& command) -> std::optional<std::string> {
    if (command[0] == "INFO") return "-NOPERM no INFO for you\r\n";
    if (command[0] == "CLUSTER") return Array({Range(0, 16383, 7)});
    if (command[0] == "GET" && port == 1) return "-MOVED 0 127.0.0.1:7\r\n";
    return std::nullopt;
  };
  EXPECT_EQ(rig.Get(), "a of 7");
}

// ---- clusters ----------------------------------------------------------------------

TEST(Client, SendsWhereTheSlotIs) {
  // The table has all slots. Two of its ranges have no host: one has an empty text there, the other
  // nil. Both stand for the host of the server that was asked.
  const std::string no_host =
      Array({Integer(8192), Integer(16000), Array({"$-1\r\n", Integer(3), Bulk("id")})});
  const std::string slots =
      Array({Range(0, 8190, 1), Range(8191, 8191, 2, ""), no_host, Range(16001, 16383, 4)});
  ClientRig rig;
  rig.play = Cluster(slots);
  const std::vector<std::pair<std::uint16_t, std::string>> owners = {
      {0, "1"}, {8190, "1"}, {8191, "2"}, {8192, "3"}, {16000, "3"}, {16001, "4"}, {16383, "4"}};
  for (const auto& [slot, owner] : owners) EXPECT_EQ(rig.Get(false, slot), "a of " + owner) << slot;
  EXPECT_EQ(rig.client.redirections(), 0u);
  EXPECT_EQ(rig.network->connections(), 4u);
  // The client does not ask again for what it knows.
  rig.Pass(10'000);
  EXPECT_EQ(rig.Get(), "a of 1");
  EXPECT_EQ(rig.Count("1 CLUSTER SLOTS"), 1);
}

// Once the table is known, a node has as much time as a server that is the only one configured,
// because the other configured servers can't take the node's calls.
TEST(Client, ANodeHasItsWholeTimeHoweverManyServersAreConfigured) {
  const std::string slots = Array({Range(0, 99, 1), Range(100, 199, 2), Range(200, 16383, 4)});
  // `connecting` says how many ms it takes to connect to the node. `answering` says, by the first
  // word of a command, how many ms the node takes to answer the first such command.
  const struct {
    std::size_t connecting;
    std::map<std::string, std::size_t> answering;
  } kCases[] = {{550, {}},
                {0, {{"INFO", 550}}},
                {0, {{"CLIENT", 550}}},
                {0, {{"FCALL", 550}}},
                {300, {{"INFO", 300}}},
                {0, {{"INFO", 300}, {"FCALL", 300}}}};
  for (std::uint16_t servers = 1; servers <= 3; ++servers) {
    for (const std::uint16_t owner : {std::uint16_t{2}, std::uint16_t{4}}) {
      for (const auto& c : kCases) {
        ClientOptions options = RigOptions();
        options.servers.clear();
        for (std::uint16_t port = 1; port <= servers; ++port) options.servers.push_back(At(port));
        options.request_timeout_ms = 1000;
        options.connect_timeout_ms = 600;
        ClientRig rig(options);
        std::map<std::string, std::size_t> answering = c.answering;
        std::size_t late = 0;
        rig.play = [&](std::uint16_t port, const Words& command) {
          late = port == owner ? std::exchange(answering[command[0]], 0) : 0;
          return Cluster(slots)(port, command);
        };
        std::optional<std::int64_t> opened;
        rig.network->SetScript([&](Operation asked) -> Fault {
          if (asked == Operation::kAnswer && late > 0) return {Kind::kLate, late};
          const auto last = static_cast<std::int64_t>(rig.network->connections());
          if (asked != Operation::kOpen || rig.network->endpoint(last).port != owner) return {};
          const std::int64_t now = rig.network->NowMs();
          if (!opened) opened = now;
          const bool hangs = now < *opened + static_cast<std::int64_t>(c.connecting);
          return {hangs ? Kind::kWouldBlock : Kind::kNone};
        });
        ASSERT_EQ(rig.Get(), "a of 1");
        const std::string made = std::to_string(servers) + " servers, " +
                                 std::to_string(c.connecting) + " " +
                                 (c.answering.empty() ? "" : c.answering.begin()->first);
        EXPECT_EQ(rig.Get(false, owner == 2 ? 100 : 200), "a of " + std::to_string(owner)) << made;
        EXPECT_EQ(rig.Count(std::to_string(owner) + " INFO"), 1) << made;
      }
    }
  }
}

// If a node of a cluster refuses the client, the client leaves this node alone for a while. No
// other server has the node's slots, whatever other servers are configured. The calls for other
// slots go on.
TEST(Client, ANodeThatRefusesHasNoSubstitute) {
  ClientOptions options = RigOptions();
  options.servers = {At(1), At(3)};
  options.refusal_pause_ms = 5000;
  ClientRig rig(options);
  bool refuses = true;
  const std::string slots = Array({Range(0, 99, 1), Range(100, 16383, 2)});
  rig.play = [&](std::uint16_t port, const Words& command) -> std::optional<std::string> {
    if (port == 2 && command[0] == "INFO" && refuses) return "-NOAUTH Authentication required.\r\n";
    return Cluster(slots)(port, command);
  };
  ASSERT_EQ(rig.Get(), "a of 1");
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(rig.Get(true, 100), "unavailable: NOAUTH Authentication required.");
    EXPECT_EQ(rig.Get(), "a of 1");
  }
  EXPECT_EQ(rig.Count("2 INFO"), 1) << "it was asked again at once";
  EXPECT_EQ(rig.Count("3 GET"), 0);
  refuses = false;
  rig.Pass(5000);
  EXPECT_EQ(rig.Get(true, 100), "a of 2");
}

TEST(Client, AsksForTheTableWithTheGreeting) {
  const std::string slots = Array({Range(0, 16383, 1)});
  for (const std::string name : {"redis_mode", "server_mode"}) {
    ClientRig rig;
    rig.play = [&](std::uint16_t port, const Words& command) -> std::optional<std::string> {
      if (command[0] == "INFO") return Bulk(name + ":cluster\r\nrun_id:x\r\nrole:master\r\n");
      return Cluster(slots)(port, command);
    };
    const std::int64_t begin = rig.network->NowMs();
    EXPECT_EQ(rig.Get(), "a of 1") << name;
    EXPECT_LE(rig.network->NowMs() - begin, 20) << name << ": waited for the next turn";
    EXPECT_EQ(rig.Count("1 CLUSTER SLOTS"), 1) << name;
    EXPECT_TRUE(rig.client.server().cluster) << name;
  }
}

TEST(Client, ANodeWithoutATableIsNotTheOnlyOneAsked) {
  const std::string slots = Array({Range(0, 99, 1), Range(100, 16383, 2)});
  bool reset = false;
  ClientRig rig;
  rig.play = [&](std::uint16_t port, const Words& command) -> std::optional<std::string> {
    if (port == 1 && reset && command[0] == "CLUSTER") return "*0\r\n";
    if (port == 1 && reset && command[0] == "GET") return "-CLUSTERDOWN Hash slot not served\r\n";
    if (port == 2 && reset && command[0] == "CLUSTER") return Array({Range(0, 16383, 2)});
    return Cluster(slots)(port, command);
  };
  ASSERT_EQ(rig.Get(true, 0), "a of 1");
  ASSERT_EQ(rig.Get(true, 100), "a of 2");
  reset = true;
  EXPECT_EQ(rig.Get(true, 0), "a of 2");
}

// The server that is asked does not know the address of one range's primary, and another range is
// an empty list.
TEST(Client, ARangeThatCantBeReadLeavesTheOthers) {
  const std::string slots =
      Array({Range(0, 99, 1), Range(100, 199, 3, "?"), Array({}), Range(200, 16383, 2)});
  ClientRig rig;
  rig.play = Cluster(slots);
  EXPECT_EQ(rig.Get(true, 99), "a of 1");
  EXPECT_EQ(rig.Get(true, 200), "a of 2");
  EXPECT_EQ(rig.Get(true, 100), "unavailable: no reply in time");
  EXPECT_EQ(rig.Get(true, 199), "unavailable: no reply in time");
  EXPECT_EQ(rig.client.nodes(), 2u);
}

TEST(Client, ASlotThatNobodyHasIsWaitedFor) {
  std::string slots = Array({Range(0, 99, 1)});
  ClientRig rig;
  rig.play = Cluster(slots);
  EXPECT_EQ(rig.Get(true, 99), "a of 1");
  EXPECT_EQ(rig.Get(true, 100), "unavailable: no reply in time");
  const int asked = rig.Count("1 CLUSTER SLOTS");
  EXPECT_GE(asked, 3);
  EXPECT_LE(asked, 10) << "asked without pause";
  slots = Array({Range(0, 16383, 2)});
  EXPECT_EQ(rig.Get(true, 100), "a of 2");
}

TEST(Client, WhereNobodyHasATableItIsAskedForAgain) {
  const std::string whole = Array({Range(0, 16383, 1)});
  for (const std::string answer : {"-CLUSTERDOWN Hash slot not served\r\n", "-ERR no\r\n",
                                   "+OK\r\n", ":5\r\n", "$-1\r\n", "*0\r\n"}) {
    std::string slots = answer;
    ClientRig rig;
    rig.play = Cluster(slots);
    const bool is_error = answer.starts_with("-");
    EXPECT_EQ(rig.Get(), "unavailable: " + (is_error ? answer.substr(1, answer.size() - 3)
                                                     : "the server has no table of slots"))
        << answer;
    EXPECT_GE(rig.Count("1 CLUSTER SLOTS"), 3) << answer;
    EXPECT_EQ(rig.network->connections(), 1u) << answer;
    slots = whole;
    EXPECT_EQ(rig.Get(), "a of 1") << answer;
  }
}

TEST(Client, ATableThatDoesNotComeBreaksTheConnection) {
  std::string slots = Array({Range(0, 99, 1)});
  ClientOptions options = RigOptions();
  options.request_timeout_ms = 1000;
  ClientRig rig(options);
  rig.play = Cluster(slots);
  ASSERT_EQ(rig.Get(), "a of 1");
  slots = "";
  ASSERT_TRUE(rig.Submit(1, {"GET", "b"}, true, 100));
  const std::int64_t begin = rig.network->NowMs();
  while (rig.network->connections() == 1 && rig.network->NowMs() < begin + 900) rig.client.Poll(10);
  EXPECT_EQ(rig.Count("1 CLUSTER NODES"), 2) << "asked although asked for";
  EXPECT_GE(rig.network->NowMs() - begin, 100);
  slots = Array({Range(0, 16383, 1)});
  for (int i = 0; i < 100 && rig.ends.count(1) == 0; ++i) rig.client.Poll(10);
  EXPECT_EQ(rig.ends[1], "b of 1");
  EXPECT_EQ(rig.network->connections(), 2u);
}

TEST(Client, RefusalsOfACluster) {
  // Each row has the server's refusal of the first SET, and how often in all the client asks for
  // the table.
  const std::vector<std::pair<std::string, int>> cases = {{"READONLY a replica", 2},
                                                          {"CLUSTERDOWN The cluster is down", 2},
                                                          {"MASTERDOWN Link is down", 2},
                                                          {"TRYAGAIN Multiple keys", 1},
                                                          {"LOADING data", 1}};
  for (const auto& one : cases) {
    const std::string& refusal = one.first;
    const std::string slots = Array({Range(0, 16383, 1)});
    ClientRig rig;
    bool refused = false;
    rig.play = [&](std::uint16_t port, const Words& command) -> std::optional<std::string> {
      if (command[0] == "SET" && !std::exchange(refused, true)) return "-" + refusal + "\r\n";
      return Cluster(slots)(port, command);
    };
    EXPECT_EQ(rig.Do({"SET", "a", "b"}), "OK") << refusal;
    rig.Pass(60);
    EXPECT_EQ(rig.Get(), "a of 1");
    EXPECT_EQ(rig.Get(), "a of 1");
    EXPECT_EQ(rig.Count("1 CLUSTER SLOTS"), one.second) << refusal;
    EXPECT_EQ(rig.network->connections(), 1u) << refusal;
  }
}

TEST(Client, ALibraryIsLoadedAlsoWhileATableIsAskedFor) {
  const std::string slots = Array({Range(0, 16383, 1)});
  ClientRig rig;
  bool refused = false;
  rig.play = [&](std::uint16_t port, const Words& command) -> std::optional<std::string> {
    if (command[0] == "SET" && !std::exchange(refused, true)) return "-CLUSTERDOWN down\r\n";
    if (const auto reply = FunctionOf(rig.server)(port, command)) return reply;
    return Cluster(slots)(port, command);
  };
  ASSERT_EQ(rig.Do({"SET", "a", "b"}), "OK");
  rig.Pass(60);  // by then it is time to ask for the table
  rig.server.has_library = false;
  rig.log.clear();
  EXPECT_EQ(rig.Do({"FCALL", "f", "0"}), "done");
  ASSERT_GE(rig.log.size(), 2u);
  EXPECT_EQ(rig.log[0], "1 FCALL f 0");
  EXPECT_EQ(rig.log[1], "1 CLUSTER NODES");
  EXPECT_EQ(rig.server.loads, 1);
  EXPECT_EQ(rig.network->connections(), 1u);
}

TEST(Client, KnowsNoMoreThan1024Nodes) {
  // Each of the slots 0 to 1099 has a node of its own. The node on port 1 has all other slots.
  std::vector<std::string> ranges = {Range(1100, 16383, 1)};
  for (std::uint16_t i = 0; i < 1100; ++i) {
    ranges.push_back(Range(i, i, static_cast<std::uint16_t>(10'000 + i)));
  }
  const std::string slots = Array(ranges);
  ClientOptions options = RigOptions();
  options.max_reply_bytes = 1 << 20;
  ClientRig rig(options);
  int moves = 1;
  std::string refusal = "MOVED 2000 :10000";
  rig.play = [&](std::uint16_t port, const Words& command) -> std::optional<std::string> {
    if (command[0] == "SET" && moves-- > 0) return "-" + refusal + "\r\n";
    return Cluster(slots)(port, command);
  };
  EXPECT_EQ(rig.Get(true, 2000), "a of 1");
  EXPECT_EQ(rig.Get(true, 0), "a of 10000");
  EXPECT_EQ(rig.Get(true, 1022), "a of 11022");
  EXPECT_EQ(rig.Get(true, 1023), "unavailable: no reply in time") << "one too many";
  // A redirection to a known node is still followed.
  EXPECT_EQ(rig.Do({"SET", "a", "b"}, false, 2000), "OK");
  EXPECT_EQ(rig.Count("10000 SET"), 1);
  moves = 1000;
  refusal = "MOVED 2001 :9";
  EXPECT_EQ(rig.Do({"SET", "a", "b"}, false, 2001), "unavailable: MOVED 2001 :9");
  // The client has no place left for the server on which the lost connection could be shut.
  (void)rig.lost->Add({.run_id = "gone", .endpoint = At(8)}, 1, 0, ClientRig::kKey, false);
  const std::int64_t begin = rig.network->NowMs();
  EXPECT_FALSE(rig.Settle(300));
  EXPECT_LE(rig.network->NowMs() - begin, 20);
  // The table still serves for the nodes that are known.
  EXPECT_EQ(rig.Get(true, 500), "a of 10500");
}

}  // namespace
}  // namespace ffgrant::valkey::testing
