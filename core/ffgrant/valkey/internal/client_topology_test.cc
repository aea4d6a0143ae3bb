// SPDX-License-Identifier: Apache-2.0
//
// Tests the client with a cluster that changes: which node's table it believes, and which nodes it
// forgets.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "testing/simulation/client_rig.h"

namespace ffgrant::valkey::testing {
namespace {

using Kind = Fault::Kind;

ClientOptions Patient() {
  ClientOptions options = RigOptions();
  options.request_timeout_ms = 2000;
  options.max_reply_bytes = 1 << 20;
  return options;
}

// Cluster A has the nodes a, b and c at ports 1, 2 and 3. Cluster B has x and y at 11 and 12.
class Topology : public ::testing::Test {
 protected:
  Topology() {
    clusters.nodes = {{1, {"a", "run-a", "A"}},
                      {2, {"b", "run-b", "A"}},
                      {3, {"c", "run-c", "A"}},
                      {11, {"x", "run-x", "B"}},
                      {12, {"y", "run-y", "B"}}};
    clusters.tables["A"] = {{{"a", 1}, {"b", 2}, {"c", 3}},
                            {{0, 4999, {"a"}}, {5000, 9999, {"b"}}, {10'000, 16383, {"c"}}}};
    clusters.tables["B"] = {{{"x", 11}, {"y", 12}}, {{0, 8191, {"x"}}, {8192, 16383, {"y"}}}};
  }
  FakeTable& A() { return clusters.tables["A"]; }
  FakeTable& B() { return clusters.tables["B"]; }

  // Connects the client to all three nodes of A.
  void Meet(ClientRig& rig) {
    rig.play = clusters.play();
    ASSERT_EQ(rig.Get(true, 0), "a of 1");
    ASSERT_EQ(rig.Get(true, 5000), "a of 2");
    ASSERT_EQ(rig.Get(true, 10'000), "a of 3");
  }
  // Closes the newest connection to `port`.
  static void HangUp(ClientRig& rig, std::uint16_t port) {
    for (std::size_t i = rig.network->connections(); i > 0; --i) {
      const auto id = static_cast<std::int64_t>(i);
      if (rig.network->endpoint(id).port != port) continue;
      rig.network->HangUp(id);
      return;
    }
  }
  // Returns a script that refuses all connections to these ports.
  static ScriptedNetwork::Script AllUnreachable(const ClientRig& rig,
                                                const std::set<std::uint16_t>& ports) {
    return [&rig, ports](Operation operation) -> Fault {
      const auto last = static_cast<std::int64_t>(rig.network->connections());
      const bool refused =
          operation == Operation::kOpen && ports.count(rig.network->endpoint(last).port) != 0;
      return refused ? Fault{Kind::kRefused} : Fault{};
    };
  }
  // Connects a client to cluster A, with three primaries and three replicas; then lets these of
  // them, c among them, join cluster B.
  void LeaveTogether(ClientRig& rig, const std::vector<FakeMember>& left) {
    A().members = {{"a", 1},
                   {"b", 2},
                   {"c", 3},
                   {"a2", 4, 1, "slave"},
                   {"b2", 5, 1, "slave"},
                   {"c2", 6, 1, "slave"}};
    A().ranges = {{0, 4999, {"a", "a2"}}, {5000, 9999, {"b", "b2"}}, {10'000, 16383, {"c", "c2"}}};
    Meet(rig);
    B().members = {{"x", 11, 50}, {"y", 12, 50}};
    B().ranges = {{0, 8191, {"c"}}, {8192, 16383, {"y"}}};
    for (const FakeMember& member : left) {
      clusters.nodes[member.port].table = "B";
      B().members.push_back(member);
      std::erase_if(A().members, [&](const FakeMember& other) { return other.id == member.id; });
    }
    A().ranges = {{0, 4999, {"a", "a2"}}, {5000, 16383, {"b"}}};
  }
  // Sends a command for every slot, and expects that none goes to a server beyond `last`.
  static void ExpectNothingBeyond(ClientRig& rig, int last) {
    rig.log.clear();
    for (const int slot : {0, 4999, 5000, 9999, 10'000, 16'383}) {
      (void)rig.Do({"SET", "a", "b"}, false, static_cast<std::uint16_t>(slot));
    }
    for (const std::string& line : rig.log) {
      if (line.find(" SET ") == std::string::npos) continue;
      EXPECT_LE(std::stoi(line), last) << line;
    }
  }

  // Breaks the connections to the three nodes of A, which can't be reached from now on.
  static void LoseMembers(ClientRig& rig) {
    rig.network->SetScript([&rig](Operation operation) -> Fault {
      const auto last = static_cast<std::int64_t>(rig.network->connections());
      const bool refused = operation == Operation::kOpen && rig.network->endpoint(last).port < 10;
      return refused ? Fault{Kind::kRefused} : Fault{};
    });
    for (std::uint16_t port = 1; port <= 3; ++port) HangUp(rig, port);
  }
  // Calls until slot 0 gives `answer`. This must take about 30 s, less the time that earlier calls
  // took. Until then another answer may come.
  static void ExpectAfterHalfAMinute(ClientRig& rig, const std::string& answer) {
    const std::int64_t begin = rig.network->NowMs();
    while (rig.Get(true, 0) != answer) {
      ASSERT_LT(rig.network->NowMs() - begin, 40'000);
    }
    EXPECT_GE(rig.network->NowMs() - begin, 25'000);
  }

  FakeClusters clusters;
};

// ---- whose table is believed -------------------------------------------------------

// c leaves for cluster B, softly (its id stays) or hard (it gets a new id), while the client's
// connections stand; then a connection to another node breaks.
TEST_F(Topology, AMemberThatLeftForAnotherClusterHasNoSay) {
  for (const bool soft : {true, false}) {
    for (const bool is_configured : {true, false}) {
      ClientOptions options = Patient();
      options.servers = {At(static_cast<std::uint16_t>(is_configured ? 3 : 1))};
      const FakeClusters before = clusters;
      ClientRig rig(options);
      Meet(rig);
      const std::string id = soft ? "c" : "c2";
      clusters.nodes[3] = {id, "run-c", "B"};
      B().members.push_back({id, 3, 50});
      B().ranges = {{0, 8191, {id}}, {8192, 16383, {"y"}}};
      A().members.pop_back();
      A().ranges = {{0, 4999, {"a"}}, {5000, 16383, {"b"}}};
      // At first the client can reach nobody else to ask.
      const std::int64_t until = rig.network->NowMs() + 300;
      rig.network->SetScript([&rig, until](Operation operation) -> Fault {
        const bool refused = operation == Operation::kOpen && rig.network->NowMs() < until;
        return refused ? Fault{Kind::kRefused} : Fault{};
      });
      for (int round = 0; round < 20; ++round) {
        HangUp(rig, 1);
        HangUp(rig, 2);
        rig.Pass(60);
        EXPECT_EQ(rig.Get(true, 0), "a of 1") << soft << is_configured;
        EXPECT_EQ(rig.Get(true, 10'000), "a of 2") << soft << is_configured;
      }
      ExpectNothingBeyond(rig, 2);
      EXPECT_EQ(rig.Count("11 "), 0);
      EXPECT_EQ(rig.Count("12 "), 0);
      clusters = before;
    }
  }
}

// The node answers MOVED to its new cluster before any table says that it has left.
TEST_F(Topology, AMemberThatLeftSendsNobodyElsewhere) {
  ClientRig rig(Patient());
  Meet(rig);
  clusters.nodes[3] = {"c", "run-c", "B"};
  B().members.push_back({"c", 3, 50});
  A().members.pop_back();
  A().ranges = {{0, 4999, {"a"}}, {5000, 16383, {"b"}}};
  rig.play = [this](std::uint16_t port, const Words& command) -> std::optional<std::string> {
    if (port == 3 && command[0] == "SET") return "-MOVED 10000 127.0.0.1:11\r\n";
    return clusters.Answer(port, command);
  };
  EXPECT_EQ(rig.Do({"SET", "a", "b"}, false, 10'000), "OK");
  EXPECT_EQ(rig.Count("2 SET"), 1);
  EXPECT_EQ(rig.Count("11 SET"), 0);
  EXPECT_EQ(rig.Count("11 FUNCTION"), 0) << "nothing is loaded there either";
  ExpectNothingBeyond(rig, 3);
}

// A node that asks for a slot to be asked elsewhere leads to another cluster. The command goes back
// to where the table has its slot.
TEST_F(Topology, ANodeThatIsAskedMayBelongToAnotherCluster) {
  ClientRig rig(Patient());
  Meet(rig);
  int redirections = 1;
  rig.play = [&](std::uint16_t port, const Words& command) -> std::optional<std::string> {
    if (port == 1 && command[0] == "SET" && redirections-- > 0) return "-ASK 0 127.0.0.1:11\r\n";
    return clusters.Answer(port, command);
  };
  EXPECT_EQ(rig.Do({"SET", "a", "b"}), "OK");
  EXPECT_EQ(rig.Count("1 SET"), 2);
  EXPECT_GE(rig.Count("11 CLUSTER SLOTS"), 1) << "it was asked who it is";
  EXPECT_EQ(rig.Count("11 ASKING") + rig.Count("11 SET") + rig.Count("11 FCALL"), 0);
  redirections = 1'000'000;
  EXPECT_TRUE(rig.Do({"SET", "a", "b"}).starts_with("unavailable: "));
  EXPECT_EQ(rig.Count("11 ASKING") + rig.Count("11 SET") + rig.Count("11 FCALL"), 0);
}

TEST_F(Topology, ATableIsNotOursForSharingAFewNodes) {
  ClientRig rig(Patient());
  LeaveTogether(rig, {{"c", 3, 50}, {"c2", 6, 50, "slave"}});
  HangUp(rig, 1);
  HangUp(rig, 2);
  rig.Pass(60);
  EXPECT_EQ(rig.Get(true, 0), "a of 1");
  EXPECT_EQ(rig.Get(true, 10'000), "a of 2");
  ExpectNothingBeyond(rig, 2);
}

// Half of the nodes that are known are not enough, even if none of the others can be reached.
TEST_F(Topology, ATableIsNotOursForSharingHalfOfTheNodes) {
  ClientRig rig(Patient());
  LeaveTogether(rig, {{"c", 3, 50}, {"c2", 6, 50, "slave"}, {"b2", 5, 50, "slave"}});
  rig.network->SetScript([&rig](Operation operation) -> Fault {
    const auto last = static_cast<std::int64_t>(rig.network->connections());
    const bool refused = operation == Operation::kOpen && rig.network->endpoint(last).port < 3;
    return refused ? Fault{Kind::kRefused} : Fault{};
  });
  for (const std::uint16_t port : std::vector<std::uint16_t>{1, 2, 3}) HangUp(rig, port);
  for (int round = 0; round < 20; ++round) {
    rig.Pass(60);
    ExpectNothingBeyond(rig, 3);
  }
}

// A node that was cut off while the others went on knows an older configuration, if only by one
// epoch.
TEST_F(Topology, NoTableGoesBackInTime) {
  const FakeTable first = A();
  for (const int epoch : {2, 7}) {
    SCOPED_TRACE(epoch);
    A() = clusters.tables["old"] = first;
    clusters.nodes[3].table = "A";
    ClientRig rig(Patient());
    Meet(rig);
    A().members[0].epoch = epoch;
    A().ranges = {{0, 9999, {"a"}}, {10'000, 16383, {"c"}}};
    HangUp(rig, 1);
    ASSERT_EQ(rig.Get(true, 0), "a of 1");
    ASSERT_EQ(rig.Get(true, 5000), "a of 1");
    clusters.nodes[3].table = "old";
    for (int round = 0; round < 10; ++round) {
      HangUp(rig, 1);
      rig.Pass(60);
      EXPECT_EQ(rig.Get(true, 5000), "a of 1") << round;
    }
    EXPECT_EQ(rig.Count("2 GET"), 1);
  }
}

// The greatest epoch may disappear together with its node.
TEST_F(Topology, ANodeMayLeaveWhateverItsEpoch) {
  A().members[2].epoch = 100;
  ClientRig rig(Patient());
  Meet(rig);
  A().members.pop_back();
  A().ranges = {{0, 4999, {"a"}}, {5000, 16383, {"b"}}};
  clusters.nodes.erase(3);
  rig.network->SetScript(Unreachable(rig, 3));
  HangUp(rig, 3);
  EXPECT_EQ(rig.Get(true, 10'000), "a of 2");
}

// A primary becomes the replica of one with a smaller epoch, which is its own epoch from then on.
// The server that the client was told of is not there to confirm the new table.
TEST_F(Topology, APrimaryMayBecomeAReplicaOfASmallerEpoch) {
  A().members[1].epoch = 9;
  ClientRig rig(Patient());
  Meet(rig);
  A().members[1] = {"b", 2, 3, "slave"};
  A().ranges = {{0, 4999, {"a"}}, {5000, 16383, {"c", "b"}}};
  A().members[2].epoch = 3;
  rig.network->SetScript(Unreachable(rig, 1));
  HangUp(rig, 1);
  HangUp(rig, 2);
  for (int round = 0; round < 5; ++round) {
    rig.Pass(60);
    EXPECT_EQ(rig.Get(true, 5000), "a of 3") << round;
  }
  EXPECT_EQ(rig.Do({"SET", "a", "b"}, false, 5000), "OK");
}

// Every node is replaced, one after the other, and none of the first nodes is left.
TEST_F(Topology, ARollingReplacementIsFollowed) {
  ClientRig rig(Patient());
  Meet(rig);
  std::set<std::uint16_t> gone;
  rig.network->SetScript([&](Operation operation) -> Fault {
    const auto last = static_cast<std::int64_t>(rig.network->connections());
    const bool refused =
        operation == Operation::kOpen && gone.count(rig.network->endpoint(last).port) != 0;
    return refused ? Fault{Kind::kRefused} : Fault{};
  });
  for (std::uint16_t i = 0; i < 60; ++i) {
    const std::size_t place = i % 3;
    const std::string old_id = A().members[place].id;
    const std::uint16_t old_port = A().members[place].port;
    const std::string id = "n" + std::to_string(i);
    const auto port = static_cast<std::uint16_t>(100 + i);
    clusters.nodes[port] = {id, "run-" + id, "A"};
    clusters.nodes.erase(old_port);
    A().members[place] = {id, port, i + 2u};
    for (FakeTable::Range& range : A().ranges) {
      if (range.ids[0] == old_id) range.ids[0] = id;
    }
    gone.insert(old_port);
    HangUp(rig, old_port);
    ASSERT_EQ(rig.Get(true, 0), "a of " + std::to_string(A().members[0].port)) << i;
    ASSERT_EQ(rig.Get(true, 5000), "a of " + std::to_string(A().members[1].port)) << i;
    ASSERT_EQ(rig.Get(true, 10'000), "a of " + std::to_string(A().members[2].port)) << i;
    ASSERT_LE(rig.client.nodes(), 5u) << i;
  }
}

// A client that slept meanwhile begins anew with the servers that it was given.
TEST_F(Topology, TheConfiguredServersAreAskedWhereNoMemberCanTell) {
  ClientOptions options = Patient();
  options.servers = {At(1), At(11)};
  ClientRig rig(options);
  Meet(rig);
  LoseMembers(rig);
  // The client does not begin anew at once, and time in which nobody calls does not count: the
  // members may be cut off.
  EXPECT_NE(rig.Get(true, 0), "a of 11");
  rig.Pass(60'000);
  ExpectAfterHalfAMinute(rig, "a of 11");
  EXPECT_EQ(rig.Get(true, 16'000), "a of 12");
  EXPECT_EQ(rig.client.nodes(), 2u);
}

// A member that is found again ends the outage, however many outages there were.
TEST_F(Topology, SeveralShortOutagesAreNoLongOne) {
  ClientOptions options = Patient();
  options.servers = {At(1), At(11)};
  ClientRig rig(options);
  Meet(rig);
  for (int outage = 0; outage < 5; ++outage) {
    LoseMembers(rig);
    const std::int64_t begin = rig.network->NowMs();
    while (rig.network->NowMs() - begin < 12'000) EXPECT_NE(rig.Get(true, 0), "a of 11") << outage;
    rig.network->SetScript(nullptr);
    for (int port = 1; port <= 3; ++port) {
      std::string answer;
      for (int i = 0; i < 10 && answer.find("a of ") != 0; ++i) {
        answer = rig.Get(true, static_cast<std::uint16_t>(5000 * (port - 1)));
      }
      EXPECT_EQ(answer, "a of " + std::to_string(port)) << outage;
    }
  }
  LoseMembers(rig);
  ExpectAfterHalfAMinute(rig, "a of 11");
}

// All nodes get new ids, and their epochs begin again.
TEST_F(Topology, AClusterThatWasResetIsFoundByTheConfiguredServers) {
  for (FakeMember& member : A().members) member.epoch = 50;
  ClientRig rig(Patient());
  Meet(rig);
  for (std::uint16_t port = 1; port <= 3; ++port) {
    const std::string id = "new" + std::to_string(port);
    clusters.nodes[port].id = id;
    A().members[port - 1u] = {id, port, 1};
    A().ranges[port - 1u].ids[0] = id;
    HangUp(rig, port);
  }
  ExpectAfterHalfAMinute(rig, "a of 1");
  EXPECT_EQ(rig.Get(true, 5000), "a of 2");
  EXPECT_EQ(rig.Get(true, 10'000), "a of 3");
}

// Most nodes were replaced while nobody called; a configured server still knows one of the nodes
// that are left.
TEST_F(Topology, AClusterWithAMemberThatIsKnownIsBelievedAtOnce) {
  ClientOptions options = Patient();
  options.servers = {At(1), At(11)};
  ClientRig rig(options);
  Meet(rig);
  clusters.nodes[11].table = clusters.nodes[12].table = "A";
  A() = {{{"x", 11}, {"y", 12}, {"c", 3}}, {{0, 8191, {"x"}}, {8192, 16383, {"y"}}}};
  LoseMembers(rig);
  EXPECT_EQ(rig.Get(true, 0), "a of 11");
}

// A ledger makes its connections when they are needed, maybe long after its configured servers have
// gone.
TEST_F(Topology, ATableOfAnotherClientOfTheLedgerIsAsGood) {
  const auto deployment = std::make_shared<internal::Deployment>();
  ClientRig first(Patient(), deployment);
  Meet(first);
  clusters.nodes[11].table = "A";
  clusters.nodes[11].id = "a";
  A().members[0].port = 11;
  HangUp(first, 1);
  first.network->SetScript(Unreachable(first, 1));
  ASSERT_EQ(first.Get(true, 0), "a of 11");

  clusters.nodes[1] = {"z", "run-z", "B"};  // by now this node is in another cluster
  B() = {{{"z", 1}}, {{0, 16383, {"z"}}}};
  ClientRig second(Patient(), deployment);
  second.play = clusters.play();
  second.network->SetScript(Unreachable(second, 1));
  EXPECT_EQ(second.Get(true, 0), "a of 11");
  EXPECT_EQ(second.Get(true, 5000), "a of 2");
}

// Every node was replaced while this client slept, and the server that it was given is gone, too.
// Another client of the ledger has followed the cluster.
TEST_F(Topology, AClientThatSleptGoesOnFromTheTableOfAnother) {
  const auto deployment = std::make_shared<internal::Deployment>();
  ClientRig awake(Patient(), deployment);
  ClientRig asleep(Patient(), deployment);
  Meet(awake);
  Meet(asleep);
  std::set<std::uint16_t> gone;
  for (std::uint16_t place = 0; place < 3; ++place) {
    const auto old_port = static_cast<std::uint16_t>(place + 1);
    const auto port = static_cast<std::uint16_t>(place + 21);
    const std::string id = "n" + std::to_string(port);
    clusters.nodes[port] = {id, "run-" + id, "A"};
    clusters.nodes.erase(old_port);
    A().members[place] = {id, port, place + 2u};
    A().ranges[place].ids[0] = id;
    gone.insert(old_port);
    for (ClientRig* const rig : {&awake, &asleep}) {
      rig->network->SetScript(AllUnreachable(*rig, gone));
      HangUp(*rig, old_port);
    }
    ASSERT_EQ(awake.Get(true, static_cast<std::uint16_t>(5000 * place)),
              "a of " + std::to_string(port));
  }
  asleep.Pass(60'000);
  EXPECT_EQ(asleep.Get(true, 0), "a of 21");
  EXPECT_EQ(asleep.Get(true, 5000), "a of 22");
  EXPECT_EQ(asleep.Get(true, 10'000), "a of 23");
}

// An ACL forbids INFO and tables to this client, so it knows only what redirections told. When it
// learns of the members from another client, it still knows this.
TEST_F(Topology, WhatARedirectionToldIsNotForgottenForTheMembersOfAnother) {
  const auto deployment = std::make_shared<internal::Deployment>();
  ClientRig other(Patient(), deployment);
  ClientRig rig(Patient(), deployment);
  rig.play = [&](std::uint16_t port, const Words& command) -> std::optional<std::string> {
    if (command[0] == "INFO" || command[0] == "CLUSTER") return "-NOPERM no\r\n";
    if (command[0] != "SET" || port == 2) return std::nullopt;
    if (port == 1) return "-MOVED 7 127.0.0.1:3\r\n";
    Meet(other);
    return "-MOVED 7 127.0.0.1:2\r\n";
  };
  EXPECT_EQ(rig.Do({"SET", "a", "b"}, false, 7), "OK");
  EXPECT_EQ(rig.Count("1 SET"), 1);
  EXPECT_EQ(rig.Count("3 SET"), 1);
  EXPECT_EQ(rig.Count("2 SET"), 1);
}

// A node that has just been met, or has failed, may have no address in the table. So nobody waits
// for a table from this node.
TEST_F(Topology, AMemberWithoutAnAddressIsNotWaitedFor) {
  A().members.push_back({"d", 0, 0, "slave,noaddr"});
  ClientOptions options = Patient();
  options.servers = {At(1), At(11)};
  ClientRig rig(options);
  Meet(rig);
  clusters.nodes[11].table = clusters.nodes[12].table = "A";
  A() = {{{"x", 11}, {"y", 12}, {"c", 3}}, {{0, 8191, {"x"}}, {8192, 16383, {"y"}}}};
  LoseMembers(rig);
  EXPECT_EQ(rig.Get(true, 0), "a of 11");
  for (std::size_t id = 1; id <= rig.network->connections(); ++id) {
    EXPECT_NE(rig.network->endpoint(static_cast<std::int64_t>(id)).port, 0);
  }
}

// The connection to a node stands while the node is reset and joins again, under a new id. Its
// table still names the node that the client knew, which is somewhere else.
TEST_F(Topology, ATableIsNoneIfItsTellerHasAnotherIdByNow) {
  ClientOptions options = Patient();
  options.servers = {At(1), At(3)};
  ClientRig rig(options);
  Meet(rig);
  clusters.nodes[9] = clusters.nodes[3];
  clusters.nodes[3] = {"c2", "run-c2", "A"};
  A().members[2].port = 9;
  A().members.push_back({"c2", 3});
  A().ranges[0].ids = {"c2"};
  rig.network->SetScript(AllUnreachable(rig, {1, 2, 9}));
  HangUp(rig, 1);
  HangUp(rig, 2);
  const int before = rig.Count("3 CLUSTER SLOTS");
  EXPECT_EQ(rig.Get(true, 0), "unavailable: can't connect");
  EXPECT_GT(rig.Count("3 CLUSTER SLOTS"), before);
  // On a new connection the client learns who the node is now.
  HangUp(rig, 3);
  EXPECT_EQ(rig.Get(true, 0), "a of 3");
}

// Nobody but the last of fifty members can be reached. The members are asked in turn, and not all
// at once.
TEST_F(Topology, NotAllMembersAreAskedAtOnce) {
  A() = {};
  for (std::uint16_t i = 0; i < 50; ++i) {
    const auto port = static_cast<std::uint16_t>(100 + i);
    const std::string id = (i < 40 ? "p" : "r") + std::to_string(port);
    clusters.nodes[port] = {id, "run-" + id, "A"};
    A().members.push_back({id, port, 1, i < 40 ? "master" : "slave"});
    if (i < 40) A().ranges.push_back({400 * i, 400 * i + 399, {id}});
  }
  ClientOptions options = Patient();
  options.servers = {At(100)};
  options.reconnect = {20, 20};
  ClientRig rig(options);
  rig.play = clusters.play();
  ASSERT_EQ(rig.Get(true, 0), "a of 100");
  std::set<std::uint16_t> asked;
  rig.network->SetScript([&](Operation operation) -> Fault {
    if (operation != Operation::kOpen) return {};
    const auto last = static_cast<std::int64_t>(rig.network->connections());
    asked.insert(rig.network->endpoint(last).port);
    return {rig.network->endpoint(last).port == 149 ? Kind::kNone : Kind::kWouldBlock};
  });
  A().members.back().flags = "master";
  A().ranges = {{0, 16383, {"r149"}}};
  HangUp(rig, 100);
  ASSERT_TRUE(rig.Submit(1, {"GET", "a"}, true, 0));
  const std::int64_t begin = rig.network->NowMs();
  while (rig.network->NowMs() - begin < 90) rig.client.Poll(5);
  EXPECT_EQ(asked.size(), 32u) << "in the time that one connection has";
  EXPECT_EQ(rig.client.nodes(), 40u) << "no replica has a place yet";
  for (int i = 0; i < 1000 && rig.ends.count(1) == 0; ++i) rig.client.Poll(20);
  EXPECT_EQ(rig.ends[1], "a of 149");
}

// There are more nodes than the client has places for, and a replica and a configured server have
// none. The others are asked all the same.
TEST_F(Topology, MembersBeyondTheLastPlaceArePassedOver) {
  A() = {};
  for (std::uint16_t i = 0; i <= 1024; ++i) {
    const auto port = static_cast<std::uint16_t>(i == 0 ? 50 : 100 + i);
    const std::string id = (i == 0 ? "a" : "p") + std::to_string(port);
    clusters.nodes[port] = {id, "run-" + id, "A"};
    A().members.push_back({id, port, 1, i == 0 ? "slave" : "master"});
    if (i > 0) A().ranges.push_back({i, i == 1024 ? 16383 : i, {id}});
  }
  A().ranges.front().first = 0;
  ClientOptions options = Patient();
  options.servers = {At(101), At(51)};
  ClientRig rig(options);
  std::string slots = clusters.Slots(A());  // it takes long to write
  rig.play = [&](std::uint16_t port, const Words& command) -> std::optional<std::string> {
    if (command[0] == "CLUSTER" && command[1] == "SLOTS") return slots;
    return clusters.Answer(port, command);
  };
  ASSERT_EQ(rig.Get(true, 0), "a of 101");
  ASSERT_EQ(rig.client.nodes(), 1024u);
  std::set<std::uint16_t> asked;
  rig.network->SetScript([&](Operation operation) -> Fault {
    if (operation != Operation::kOpen) return {};
    const std::uint16_t port =
        rig.network->endpoint(static_cast<std::int64_t>(rig.network->connections())).port;
    asked.insert(port);
    return {port == 102 ? Kind::kNone : Kind::kRefused};
  });
  A().ranges.front().ids = {"p102"};
  slots = clusters.Slots(A());
  HangUp(rig, 101);
  EXPECT_EQ(rig.Get(true, 0), "a of 102");
  EXPECT_EQ(asked.count(50) + asked.count(51), 0u);
  EXPECT_LE(asked.size(), 33u);
}

// The client does not believe a server about a cluster that the server does not belong to.
TEST_F(Topology, ATableWithoutTheNodeThatGaveItIsNone) {
  clusters.nodes[4] = {"z", "run-z", "B"};  // no member of the cluster that it names
  ClientOptions options = Patient();
  options.servers = {At(4), At(1)};
  ClientRig rig(options);
  rig.play = clusters.play();
  EXPECT_EQ(rig.Get(true, 0), "a of 1");
  EXPECT_EQ(rig.Count("11 "), 0);
}

// If the only primary is gone, its replicas know its successor.
TEST_F(Topology, AReplicaTellsTooWhereNoPrimaryCan) {
  A().members = {{"a", 1}, {"r", 2, 1, "slave"}, {"s", 3, 1, "slave"}};
  A().ranges = {{0, 16383, {"a", "r", "s"}}};
  clusters.nodes[2].id = "r";
  clusters.nodes[3].id = "s";
  ClientRig rig(Patient());
  rig.play = clusters.play();
  ASSERT_EQ(rig.Get(), "a of 1");
  clusters.nodes[9] = clusters.nodes[3];  // the successor has moved as well
  clusters.nodes.erase(3);
  A().members = {{"a", 1, 1, "master,fail"}, {"r", 2, 1, "slave"}, {"s", 9, 2}};
  A().ranges = {{0, 16383, {"s", "r"}}};
  rig.network->SetScript([&](Operation operation) -> Fault {
    const auto last = static_cast<std::int64_t>(rig.network->connections());
    const std::uint16_t port = rig.network->endpoint(last).port;
    const bool refused = operation == Operation::kOpen && (port == 1 || port == 3);
    return refused ? Fault{Kind::kRefused} : Fault{};
  });
  HangUp(rig, 1);
  EXPECT_EQ(rig.Get(), "a of 9");
}

// ---- addresses ---------------------------------------------------------------------

// A pod gets the address that another pod had.
TEST_F(Topology, AnotherServerAtAMembersAddressIsSentNothing) {
  ClientRig rig(Patient());
  Meet(rig);
  const FakeNode c = clusters.nodes[3];
  clusters.nodes[3] = {"x", "run-x", "B"};
  clusters.nodes[33] = c;
  rig.network->SetScript(Unreachable(rig, 11));
  HangUp(rig, 3);
  ASSERT_TRUE(rig.Submit(1, {"SET", "a", "b"}, false, 10'000));
  for (int i = 0; i < 20; ++i) rig.client.Poll(20);
  EXPECT_EQ(rig.ends.count(1), 0u);
  A().members[2].port = 33;  // now the other nodes hear of it
  for (int i = 0; i < 100 && rig.ends.count(1) == 0; ++i) rig.client.Poll(20);
  EXPECT_EQ(rig.ends[1], "OK");
  EXPECT_EQ(rig.Count("33 SET"), 1);
  EXPECT_EQ(rig.Count("3 SET"), 0);
}

// The client also sends nothing to a server that is no node of any cluster.
TEST_F(Topology, AServerAloneAtAMembersAddressIsSentNothing) {
  ClientRig rig(Patient());
  Meet(rig);
  clusters.nodes[33] = clusters.nodes[3];
  clusters.nodes.erase(3);
  HangUp(rig, 3);
  rig.log.clear();
  ASSERT_TRUE(rig.Submit(1, {"SET", "a", "b"}, false, 10'000));
  for (int i = 0; i < 20; ++i) rig.client.Poll(20);
  EXPECT_EQ(rig.ends.count(1), 0u);
  A().members[2].port = 33;
  for (int i = 0; i < 100 && rig.ends.count(1) == 0; ++i) rig.client.Poll(20);
  EXPECT_EQ(rig.ends[1], "OK");
  EXPECT_EQ(rig.Count("3 SET") + rig.Count("3 FCALL") + rig.Count("3 FUNCTION"), 0);
}

// The client was given the address of a server that is in no cluster of the client's. Nothing is
// sent there until the members' table names it. Then it is greeted to the end on the same
// connection, also if it has just been asked for a table itself.
TEST_F(Topology, AConfiguredServerThatJoinsIsGreetedToTheEnd) {
  for (const bool asked : {false, true}) {
    SCOPED_TRACE(asked);
    const FakeClusters before = clusters;
    clusters.nodes[4] = {"d", "run-d", "D"};
    clusters.tables["D"] = {{{"d", 4}}, {{0, 16383, {"d"}}}};
    ClientOptions options = Patient();
    options.servers = {At(1), At(4)};
    options.connect_timeout_ms = 1000;
    ClientRig rig(options);
    Meet(rig);  // a client without a table asks each configured server
    rig.log.clear();
    const std::size_t connections = rig.network->connections();
    bool away = true;
    bool late = false;
    rig.network->SetScript([&](Operation operation) -> Fault {
      if (operation == Operation::kOpen) {
        const auto last = static_cast<std::int64_t>(rig.network->connections());
        const bool refused = away && rig.network->endpoint(last).port < 4;
        return {refused ? Kind::kRefused : Kind::kNone};
      }
      const bool is_late =
          operation == Operation::kAnswer && late && rig.log.back() == "4 CLUSTER NODES";
      return is_late ? Fault{Kind::kLate, 400} : Fault{};
    });
    for (std::uint16_t port = 1; port <= 3; ++port) HangUp(rig, port);
    ASSERT_TRUE(rig.Submit(1, {"GET", "a"}, true, 0));
    const auto poll_until = [&rig](const auto& over) {
      for (int i = 0; i < 100 && !over(); ++i) rig.client.Poll(10);
    };
    poll_until([&] { return rig.Count("4 CLUSTER SLOTS") > 0; });
    rig.client.Poll(10);
    late = asked;
    if (asked) {
      const int so_far = rig.Count("4 CLUSTER NODES");
      poll_until([&] { return rig.Count("4 CLUSTER NODES") > so_far; });
    }
    EXPECT_EQ(rig.Count("4 FCALL") + rig.Count("4 GET"), 0);
    clusters.nodes[4].table = "A";
    A().members.push_back({"d", 4});
    A().ranges[0].ids = {"d"};
    away = false;
    poll_until([&] { return rig.ends.count(1) != 0; });
    EXPECT_EQ(rig.ends[1], "a of 4");
    // No command goes there before the client has looked which functions there are.
    const auto place = [&rig](std::string_view begin) {
      return std::find_if(rig.log.begin(), rig.log.end(),
                          [begin](const std::string& line) { return line.starts_with(begin); }) -
             rig.log.begin();
    };
    EXPECT_LT(place("4 FCALL ff_version"), place("4 GET"));
    int to_it = 0;
    for (std::size_t id = connections + 1; id <= rig.network->connections(); ++id) {
      to_it += rig.network->endpoint(static_cast<std::int64_t>(id)).port == 4;
    }
    EXPECT_EQ(to_it, 1);
    clusters = before;
  }
}

// Poll() is not called for a long time while a connection is being made. Meanwhile the answers on
// this connection arrive.
TEST_F(Topology, TimeInWhichNobodyCallsIsNoDelayOfTheServers) {
  ClientRig rig(Patient());
  rig.play = clusters.play();
  ASSERT_TRUE(rig.Submit(1, {"GET", "a"}, true, 0));
  rig.client.Poll(0);
  rig.Pass(1000);
  while (rig.ends.count(1) == 0) rig.client.Poll(20);
  EXPECT_EQ(rig.ends[1], "a of 1");
  EXPECT_EQ(rig.network->connections(), 1u);
}

// A connection is made while calls to another server run. After `steps` of these calls, Poll() is
// not called for a long time.
TEST_F(Topology, TimeInWhichNobodyCallsIsNoDelayOfAConnectionMadeBesideCalls) {
  for (int steps = 0; steps < 10; ++steps) {
    ClientRig rig(Patient());
    rig.play = clusters.play();
    ASSERT_EQ(rig.Get(true, 0), "a of 1");
    ASSERT_TRUE(rig.Submit(1, {"GET", "a"}, true, 5000));
    rig.client.Poll(0);
    rig.client.Cancel();
    rig.client.Poll(0);
    ASSERT_EQ(rig.ends.count(1), 1u);
    for (int step = 0; step < steps; ++step) ASSERT_EQ(rig.Get(true, 0), "a of 1");
    rig.Pass(1000);
    ASSERT_EQ(rig.Get(true, 0), "a of 1");
    EXPECT_EQ(rig.Get(true, 5000), "a of 2");
    EXPECT_EQ(rig.network->connections(), 2u) << steps;
  }
}

// The client begins a connection in the same turn in which its last call ends.
TEST_F(Topology, AConnectionBegunAsACallEndsIsNoSilentOne) {
  ClientRig rig(Patient());
  rig.play = clusters.play();
  ASSERT_EQ(rig.Get(true, 0), "a of 1");
  rig.network->SetScript(Unreachable(rig, 2));
  ASSERT_TRUE(rig.Submit(1, {"GET", "a"}, true, 5000));
  for (int i = 0; i < 10; ++i) rig.client.Poll(20);
  rig.network->SetScript(nullptr);
  rig.Pass(5000);
  rig.client.Poll(0);
  ASSERT_EQ(rig.ends.count(1), 1u);
  const std::size_t before = rig.network->connections();
  ASSERT_EQ(rig.network->endpoint(static_cast<std::int64_t>(before)).port, 2);
  rig.Pass(1000);
  EXPECT_EQ(rig.Get(true, 5000), "a of 2");
  EXPECT_EQ(rig.network->connections(), before);
}

TEST_F(Topology, AddressesMayChangeForEver) {
  ClientRig rig(Patient());
  Meet(rig);
  rig.network->SetScript([&](Operation operation) -> Fault {
    const auto last = static_cast<std::int64_t>(rig.network->connections());
    const bool refused = operation == Operation::kOpen &&
                         clusters.nodes.count(rig.network->endpoint(last).port) == 0;
    return refused ? Fault{Kind::kRefused} : Fault{};
  });
  for (int i = 0; i < 3000; ++i) {
    const std::size_t place = static_cast<std::size_t>(i) % 3;
    const std::uint16_t old_port = A().members[place].port;
    const auto port = static_cast<std::uint16_t>(100 + i);
    clusters.nodes[port] = clusters.nodes[old_port];
    clusters.nodes.erase(old_port);
    A().members[place].port = port;
    HangUp(rig, old_port);
    const auto slot = static_cast<std::uint16_t>(place * 5000);
    ASSERT_EQ(rig.Get(true, slot), "a of " + std::to_string(port)) << i;
    ASSERT_LE(rig.client.nodes(), 5u) << i;
    rig.log.clear();
  }
}

// One shard never comes back, and there is always a call that waits for it.
TEST_F(Topology, AddressesMayChangeForEverWithoutAWholeTable) {
  ClientRig rig(Patient());
  Meet(rig);
  A().ranges.pop_back();
  HangUp(rig, 1);
  HangUp(rig, 3);
  rig.network->SetScript([&](Operation operation) -> Fault {
    const auto last = static_cast<std::int64_t>(rig.network->connections());
    const std::uint16_t port = rig.network->endpoint(last).port;
    const bool refused = operation == Operation::kOpen && clusters.nodes.count(port) == 0;
    return refused ? Fault{Kind::kRefused} : Fault{};
  });
  std::uint64_t unowned = 5000;
  ASSERT_TRUE(rig.Submit(unowned, {"GET", "a"}, true, 10'000));
  for (int i = 0; i < 300; ++i) {
    const std::size_t place = static_cast<std::size_t>(i) % 2;
    const std::uint16_t old_port = A().members[place].port;
    const auto port = static_cast<std::uint16_t>(100 + i);
    clusters.nodes[port] = clusters.nodes[old_port];
    clusters.nodes.erase(old_port);
    A().members[place].port = port;
    HangUp(rig, old_port);
    ASSERT_EQ(rig.Get(true, static_cast<std::uint16_t>(place * 5000)),
              "a of " + std::to_string(port))
        << i;
    if (rig.ends.count(unowned) != 0) {
      ASSERT_TRUE(rig.Submit(++unowned, {"GET", "a"}, true, 10'000));
    }
    ASSERT_LE(rig.client.nodes(), 8u) << i;
    rig.log.clear();
  }
}

// The number of nodes stays bounded also if no server tells who it is.
TEST(TopologyWithoutIds, AddressesMayChangeForEver) {
  std::uint16_t port = 1;
  ClientRig rig(Patient());
  rig.play = [&](std::uint16_t, const Words& command) -> std::optional<std::string> {
    if (command[0] == "INFO") return Info("run", "master", "cluster");
    if (command[0] != "CLUSTER") return std::nullopt;
    if (command[1] != "SLOTS") return "-NOPERM no\r\n";
    return Array({Array({Integer(0), Integer(16383), Array({Bulk("127.0.0.1"), Integer(port)})})});
  };
  for (int i = 0; i < 2000; ++i) {
    port = static_cast<std::uint16_t>(1 + i);
    const auto last = static_cast<std::int64_t>(rig.network->connections());
    for (std::int64_t id = std::max<std::int64_t>(last - 3, 1); id <= last; ++id) {
      rig.network->HangUp(id);
    }
    rig.Pass(60);
    ASSERT_EQ(rig.Get(), "a of " + std::to_string(port)) << i;
    ASSERT_LE(rig.client.nodes(), 4u) << i;
    rig.log.clear();
  }
}

// Servers that tell only a part of the ids, or none, are known by their addresses. Here an ACL
// forbids CLUSTER NODES and maybe CLUSTER MYID, and the table may lose its ids.
TEST(TopologyWithoutIds, AMemberIsKnownByItsAddress) {
  for (const bool own_id : {false, true}) {
    for (const bool ids_at_first : {false, true}) {
      for (const bool ids_later : {false, true}) {
        SCOPED_TRACE(std::to_string(own_id) + std::to_string(ids_at_first) +
                     std::to_string(ids_later));
        bool ids = ids_at_first;
        bool moved = false;
        ClientRig rig(Patient());
        rig.play = [&](std::uint16_t port, const Words& command) -> std::optional<std::string> {
          const auto range = [&](std::int64_t first, std::int64_t last, std::uint16_t at) {
            std::vector<std::string> node = {Bulk("127.0.0.1"), Integer(at)};
            if (ids) node.push_back(Bulk("id" + std::to_string(at)));
            return Array({Integer(first), Integer(last), Array(node)});
          };
          if (command[0] == "INFO") return Info("run" + std::to_string(port), "master", "cluster");
          if (command[0] != "CLUSTER") return std::nullopt;
          if (command[1] == "MYID" && own_id) return Bulk("id" + std::to_string(port));
          if (command[1] != "SLOTS") return "-NOPERM no\r\n";
          // No table names the first node any more: one that goes on naming it has more members.
          if (moved) return Array({range(0, 8191, 2), range(8192, 16383, 3)});
          return Array({range(0, 99, 1), range(100, 199, 2), range(200, 16383, 3)});
        };
        ASSERT_EQ(rig.Get(true, 0), "a of 1");
        ASSERT_EQ(rig.Get(true, 100), "a of 2");
        // Only a member can tell the new table, because the configured server is gone.
        moved = true;
        ids = ids_later;
        rig.network->SetScript(Unreachable(rig, 1));
        rig.network->HangUp(1);
        EXPECT_EQ(rig.Get(true, 0), "a of 2");
        EXPECT_EQ(rig.Get(true, 10'000), "a of 3");
      }
    }
  }
}

// A member is slow to tell its table. Meanwhile another member tells one that does not name it. The
// answer of the first comes too late to matter, and is no reason to give up its connection.
TEST(TopologyWithoutIds, AMemberThatHasLeftGetsItsLastCommandsAnswered) {
  ClientOptions options = Patient();
  options.servers = {At(3)};
  options.connect_timeout_ms = 1000;
  ClientRig rig(options);
  bool changed = false;
  std::uint16_t slow = 0;
  rig.play = [&](std::uint16_t port, const Words& command) -> std::optional<std::string> {
    const auto range = [](std::int64_t first, std::int64_t last, std::uint16_t at) {
      return Array({Integer(first), Integer(last), Array({Bulk("127.0.0.1"), Integer(at)})});
    };
    if (command[0] == "INFO") return Info("run" + std::to_string(port), "master", "cluster");
    if (command[0] != "CLUSTER") return std::nullopt;
    if (command[1] != "SLOTS") return "-NOPERM no\r\n";
    if (!changed) return Array({range(0, 99, 1), range(100, 199, 2), range(200, 16383, 3)});
    if (slow == 0) slow = port;
    return port == slow ? "-CLUSTERDOWN no table\r\n" : Array({range(0, 16383, port)});
  };
  ASSERT_EQ(rig.Get(true, 0), "a of 1");
  ASSERT_EQ(rig.Get(true, 100), "a of 2");
  rig.network->SetScript([&](Operation operation) -> Fault {
    if (operation != Operation::kAnswer) return Unreachable(rig, 3)(operation);
    const bool late = slow != 0 && rig.log.back() == std::to_string(slow) + " CLUSTER SLOTS";
    return late ? Fault{Kind::kLate, 300} : Fault{};
  });
  changed = true;
  ASSERT_EQ(rig.network->endpoint(1).port, 3);
  rig.network->HangUp(1);
  ASSERT_TRUE(rig.Submit(1, {"GET", "a"}, true, 200));
  for (int i = 0; i < 100 && slow == 0; ++i) rig.client.Poll(1);
  ASSERT_TRUE(slow == 1 || slow == 2) << slow;
  const auto slot = static_cast<std::uint16_t>(slow == 1 ? 0 : 100);
  const std::size_t before = rig.network->connections();
  ASSERT_TRUE(rig.Submit(2, {"SET", "a", "b"}, false, slot));
  for (int i = 0; i < 100 && rig.ends.count(2) == 0; ++i) rig.client.Poll(10);
  EXPECT_EQ(rig.ends[1], "a of " + std::to_string(3 - slow)) << "by the table of the other one";
  EXPECT_EQ(rig.ends[2], "OK");
  EXPECT_EQ(rig.Count(std::to_string(slow) + " SET"), 1);
  for (std::size_t id = before + 1; id <= rig.network->connections(); ++id) {
    EXPECT_EQ(rig.network->endpoint(static_cast<std::int64_t>(id)).port, 3) << "connected again";
  }
}

// ASK leads a command to a node that is in no table yet. The client gets a new table while it
// connects to this node.
TEST_F(Topology, ANodeIsNotForgottenWhileACommandIsToAskThere) {
  ClientOptions options = Patient();
  options.connect_timeout_ms = 1000;
  ClientRig rig(options);
  Meet(rig);
  clusters.tables["new"] = A();
  clusters.tables["new"].members.push_back({"d", 4});
  clusters.nodes[4] = {"d", "run-d", "new"};
  bool asks = true;
  bool is_down = false;
  rig.play = [&](std::uint16_t port, const Words& command) -> std::optional<std::string> {
    if (command[0] == "ASKING") return "+OK\r\n";
    if (port == 1 && command[0] == "SET" && std::exchange(asks, false)) {
      return "-ASK 0 127.0.0.1:4\r\n";
    }
    if (command[0] == "GET" && std::exchange(is_down, false)) return "-CLUSTERDOWN down\r\n";
    return clusters.Answer(port, command);
  };
  // After a refusal the client asks for the table.
  const auto get_a_table = [&] {
    const auto tables = [&rig] {
      ClientCounters sum;
      rig.client.counts().AddTo(sum);
      return sum.slot_tables;
    };
    const std::uint64_t before = tables();
    is_down = true;
    rig.Pass(100);
    EXPECT_EQ(rig.Get(true, 5000), "a of 2");
    for (int i = 0; i < 20 && tables() == before; ++i) rig.client.Poll(5);
    EXPECT_GT(tables(), before);
    rig.client.Poll(1);
  };
  bool open = false;
  rig.network->SetScript([&](Operation operation) -> Fault {
    return {operation == Operation::kOpen && !open ? Kind::kWouldBlock : Kind::kNone};
  });
  ASSERT_TRUE(rig.Submit(1, {"SET", "a", "b"}));
  for (int i = 0; i < 10; ++i) rig.client.Poll(1);
  ASSERT_EQ(rig.client.nodes(), 4u);
  get_a_table();
  EXPECT_EQ(rig.client.nodes(), 4u);
  EXPECT_EQ(rig.ends.count(1), 0u);
  open = true;
  for (int i = 0; i < 100 && rig.ends.count(1) == 0; ++i) rig.client.Poll(10);
  EXPECT_EQ(rig.ends[1], "OK");
  EXPECT_EQ(rig.Count("4 ASKING"), 1);
  EXPECT_EQ(rig.Count("4 SET"), 1);
  get_a_table();
  EXPECT_EQ(rig.client.nodes(), 3u) << "nobody asks there any more";
}

// A command under way on a node that the newest table does not name gets its answer.
TEST_F(Topology, ANodeIsForgottenOnlyOnceNothingIsUnderWayThere) {
  ClientRig rig(Patient());
  Meet(rig);
  rig.network->SetScript([&](Operation operation) -> Fault {
    const bool at_c = !rig.log.empty() && rig.log.back() == "3 SET a b";
    return operation == Operation::kAnswer && at_c ? Fault{Kind::kLate, 500} : Fault{};
  });
  ASSERT_TRUE(rig.Submit(1, {"SET", "a", "b"}, false, 10'000));
  rig.client.Poll(10);
  A().members.pop_back();
  A().ranges = {{0, 4999, {"a"}}, {5000, 16383, {"b"}}};
  HangUp(rig, 1);
  rig.Pass(60);
  ASSERT_EQ(rig.Get(true, 0), "a of 1");
  ASSERT_EQ(rig.Get(true, 10'000), "a of 2");
  EXPECT_EQ(rig.client.nodes(), 3u);
  for (int i = 0; i < 100 && rig.ends.count(1) == 0; ++i) rig.client.Poll(20);
  EXPECT_EQ(rig.ends[1], "OK");
  ASSERT_EQ(rig.Get(true, 0), "a of 1");
  EXPECT_EQ(rig.client.nodes(), 2u);
}

}  // namespace
}  // namespace ffgrant::valkey::testing
