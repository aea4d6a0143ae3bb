// SPDX-License-Identifier: Apache-2.0
//
// Tests the client with a cluster that changes: which node's table it believes.

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "testing/simulation/topology_test_fixture.h"

namespace ffgrant::valkey::testing {
namespace {

using Kind = Fault::Kind;

// Node c leaves for cluster B, softly (its id stays) or hard (it gets a new id), while the client's
// connections stand. Then the connections to the other nodes break.
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
      // At first the client can reach no other node that it could ask.
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

// A member is reset to a new id and takes part again, at the same address and with the same slots,
// while the client's connections stand.
TEST_F(Topology, AMemberMayGetANewIdOnTheSameConnection) {
  ClientRig rig(Patient());
  Meet(rig);
  clusters.nodes[3].id = A().members[2].id = "c-anew";
  A().ranges[2].ids = {"c-anew"};
  HangUp(rig, 1);
  rig.Pass(60);
  ASSERT_EQ(rig.Get(true, 0), "a of 1") << "which gives the client the new table";
  const std::int64_t begin = rig.network->NowMs();
  EXPECT_EQ(rig.Get(true, 10'000), "a of 3");
  EXPECT_EQ(rig.Get(true, 5000), "a of 2");
  EXPECT_LT(rig.network->NowMs(), begin + 200);
  EXPECT_EQ(rig.Count("3 INFO"), 2) << "asked anew who it is, once";
  EXPECT_EQ(rig.network->connections(), 4u) << "on the same connection";
}

// The only node of a cluster is reset. Its own table is the only one, so the client believes it
// after half a minute, and needs no new connection for this.
TEST_F(Topology, TheOnlyMemberMayGetANewIdOnTheSameConnection) {
  A() = {{{"a", 1}}, {{0, 16383, {"a"}}}};
  ClientRig rig(Patient());
  rig.play = clusters.play();
  ASSERT_EQ(rig.Get(true, 0), "a of 1");
  clusters.nodes[1].id = A().members[0].id = "a-anew";
  A().ranges[0].ids = {"a-anew"};
  // The node lost its slots and has them again.
  int missing = 1;
  rig.play = [&](std::uint16_t port, const Words& command) -> std::optional<std::string> {
    if (command[0] == "GET" && missing-- > 0) return "-CLUSTERDOWN Hash slot not served\r\n";
    return clusters.Answer(port, command);
  };
  const std::int64_t begin = rig.network->NowMs();
  while (rig.client.counts().slot_tables.value() < 2 && rig.network->NowMs() < begin + 60'000) {
    (void)rig.Get(true, 0);
    rig.Pass(100);
  }
  EXPECT_EQ(rig.client.counts().slot_tables.value(), 2u);
  EXPECT_EQ(rig.Get(true, 0), "a of 1");
  EXPECT_EQ(rig.network->connections(), 1u);
}

// A node that has left answers MOVED, which leads to its new cluster, before any table says that
// the node has left.
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

// A node answers ASK, which leads to a node of another cluster. The command goes back to the node
// that has its slot in the table.
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

// A table that names only half of the known nodes is not accepted, even if the primaries among the
// other nodes can't be reached.
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

// A node that was cut off while the others went on knows an older configuration. The client does
// not accept its table, even if the table is older by only one epoch.
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

// A primary becomes the replica of a primary with a smaller epoch, and has that smaller epoch from
// then on. The configured server is not there to confirm the new table.
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

  clusters.nodes[1] = {"z", "run-z", "B"};  // by now the node at port 1 is in another cluster
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

// An ACL forbids INFO and tables to this client, so the client knows only what redirections told
// it. The client still knows this after it has learnt of the members from another client.
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

// An ACL forbids tables to this client, and perhaps INFO. Any server tells by a redirection where a
// slot is.
TEST_F(Topology, WithoutTheRightForTablesRedirectionsTellWhereSlotsAre) {
  for (const bool tells_info : {true, false}) {
    SCOPED_TRACE(tells_info);
    ClientRig rig(Patient());
    bool forbids = true;
    A().ranges = {{0, 4999, {"a"}}, {5000, 9999, {"b"}}, {10'000, 16383, {"c"}}};
    // A key is the number of its slot.
    rig.play = [&](std::uint16_t port, const Words& command) -> std::optional<std::string> {
      if (command[0] == "CLUSTER" && command[1] != "MYID" && forbids) return "-NOPERM no\r\n";
      if (command[0] == "INFO" && !tells_info) return "-NOPERM no\r\n";
      if (command[0] != "GET") return clusters.Answer(port, command);
      for (const FakeTable::Range& range : A().ranges) {
        if (range.last < std::stoi(command[1])) continue;
        const std::uint16_t owner = clusters.PortOf(A(), range.ids[0]);
        if (owner == port) return std::nullopt;
        return "-MOVED " + command[1] + " 127.0.0.1:" + std::to_string(owner) + "\r\n";
      }
      return std::nullopt;
    };
    const auto get = [&rig](int slot) {
      return rig.Do({"GET", std::to_string(slot)}, true, static_cast<std::uint16_t>(slot));
    };
    for (int round = 0; round < 2; ++round) {
      EXPECT_EQ(get(0), "0 of 1");
      EXPECT_EQ(get(4999), "4999 of 1");
      EXPECT_EQ(get(5000), "5000 of 2");
      EXPECT_EQ(get(9999), "9999 of 2");
      EXPECT_EQ(get(10'000), "10000 of 3");
      EXPECT_EQ(get(16'383), "16383 of 3");
      EXPECT_EQ(rig.client.redirections(), 4u) << "each is followed once";
    }
    // What is forbidden is not asked for on and on: a server keeps a log of this.
    for (int i = 0; i < 100; ++i) {
      rig.Pass(100);
      EXPECT_EQ(get(5000), "5000 of 2");
    }
    for (const char* const port : {"1", "2", "3"}) {
      EXPECT_EQ(rig.Count(std::string(port) + " CLUSTER SLOTS"), 1) << port;
    }
    // Another node takes over the slots of one that is gone.
    rig.network->SetScript(AllUnreachable(rig, {2}));
    HangUp(rig, 2);
    A().ranges = {{0, 9999, {"a"}}, {10'000, 16383, {"c"}}};
    EXPECT_EQ(get(5000), "5000 of 1");
    // The right is noticed without a new connection.
    forbids = false;
    rig.Pass(31'000);
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(get(0), "0 of 1");
      rig.Pass(60);
    }
    const std::uint64_t redirections = rig.client.redirections();
    EXPECT_EQ(get(12'000), "12000 of 3");
    EXPECT_EQ(get(9999), "9999 of 1");
    EXPECT_EQ(rig.client.redirections(), redirections);
  }
}

// A replica redirects commands with keys, and refuses those without. So what may go to any server
// goes to a primary if there is one.
// A connection that was idle is probed first. Meanwhile no server that refuses the client is asked.
TEST_F(Topology, WithoutTheRightForTablesAServerThatRefusesIsNotTheOneToAsk) {
  ClientOptions options = Patient();
  options.probe_idle_ms = 1000;
  ClientRig rig(options);
  A().ranges = {{0, 4999, {"a"}}, {5000, 9999, {"b"}}, {10'000, 16383, {"c"}}};
  bool refuses = false;
  rig.play = [&](std::uint16_t port, const Words& command) -> std::optional<std::string> {
    if (command[0] == "CLUSTER" && command[1] != "MYID") return "-NOPERM no\r\n";
    if (command[0] == "INFO" && port == 1 && refuses) return "-NOAUTH no\r\n";
    if (command[0] == "GET" && port == 1) return "-MOVED 5000 127.0.0.1:2\r\n";
    return clusters.Answer(port, command);
  };
  ASSERT_EQ(rig.Get(true, 5000), "a of 2");
  refuses = true;
  HangUp(rig, 1);
  rig.Pass(2000);
  EXPECT_EQ(rig.Get(true, 9999), "a of 2");
  rig.Pass(2000);
  EXPECT_EQ(rig.Get(true, 9998), "a of 2");
  EXPECT_GT(rig.Count("2 PING"), 0);
}

TEST_F(Topology, WithoutTheRightForTablesAReplicaIsAskedIfThereIsNoPrimary) {
  A().members.push_back({"a2", 4, 1, "slave"});
  A().ranges[0].ids.push_back("a2");
  clusters.nodes[4] = {"a2", "run-a2", "A"};
  for (const bool is_alone : {true, false}) {
    SCOPED_TRACE(is_alone);
    ClientOptions options = Patient();
    options.servers = {At(4)};
    if (!is_alone) options.servers.push_back(At(1));
    ClientRig rig(options);
    rig.play = [&](std::uint16_t port, const Words& command) -> std::optional<std::string> {
      if (command[0] == "CLUSTER" && command[1] != "MYID") return "-NOPERM no\r\n";
      if (command[0] == "SET" && port != 2) return "-MOVED 5000 127.0.0.1:2\r\n";
      return clusters.Answer(port, command);
    };
    EXPECT_EQ(rig.Do({"SET", "a", "b"}, false, 5000), "OK");
    EXPECT_EQ(rig.Count("4 SET"), 1);
    rig.Pass(100);
    EXPECT_EQ(rig.Do({"SET", "a", "b"}, false, 5000), "OK");
    rig.Pass(100);
    EXPECT_EQ(rig.Get(true, 1), is_alone ? "a of 2" : "a of 1");
    EXPECT_EQ(rig.Count("4 GET"), 0);
  }
}

// The connection to a node stands while the node is reset and joins again, under a new id. The
// node's table also names the old id, but at another address. So the table is not accepted before
// the node has said who it is now.
TEST_F(Topology, ATellerThatHasAnotherIdByNowIsAskedWhoItIs) {
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
  const int tables = rig.Count("3 CLUSTER SLOTS");
  EXPECT_EQ(rig.Count("3 CLUSTER MYID"), 1);
  EXPECT_EQ(rig.Get(true, 0), "a of 3");
  EXPECT_EQ(rig.Count("3 CLUSTER MYID"), 2);
  EXPECT_GT(rig.Count("3 CLUSTER SLOTS"), tables + 1);
  EXPECT_EQ(rig.Count("3 GET"), 2);
}

// The client does not believe a server about a cluster that the server does not belong to.
TEST_F(Topology, ATableWithoutTheNodeThatGaveItIsNone) {
  clusters.nodes[4] = {"z", "run-z", "B"};  // no member of the cluster that its table names
  ClientOptions options = Patient();
  options.servers = {At(4), At(1)};
  ClientRig rig(options);
  rig.play = clusters.play();
  EXPECT_EQ(rig.Get(true, 0), "a of 1");
  EXPECT_EQ(rig.Count("11 "), 0);
}

// A node leaves the cluster while two commands are under way there. The function that the first one
// calls is missing, so the client looks for the functions. The second one is never answered. The
// client keeps the node until the second command has ended, too.
TEST_F(Topology, ANodeIsNotForgottenWhileItGreetsAgain) {
  ClientRig rig(Patient());
  Meet(rig);
  rig.play = [this](std::uint16_t port, const Words& command) -> std::optional<std::string> {
    if (command[0] == "FCALL" && command[1] == "ff_f") return port == 3 ? kMissing : Bulk("done");
    return clusters.Answer(port, command);
  };
  int answers = 0;
  rig.network->SetScript([&answers](Operation operation) -> Fault {
    if (operation != Operation::kAnswer) return {};
    ++answers;
    return answers == 1 ? Fault{Kind::kLate, 200}
                        : Fault{answers == 2 ? Kind::kSilence : Kind::kNone};
  });
  ASSERT_TRUE(rig.Submit(1, {"FCALL", "ff_f", "0"}, false, 10'000));
  ASSERT_TRUE(rig.Submit(2, {"SET", "a", "b"}, false, 10'000));
  rig.client.Poll(0);
  A().members.pop_back();
  A().ranges = {{0, 4999, {"a"}}, {5000, 16383, {"b"}}};
  HangUp(rig, 1);
  rig.Pass(60);
  EXPECT_EQ(rig.Get(true, 0), "a of 1");
  EXPECT_EQ(rig.Get(true, 10'000), "a of 2") << "the table was adopted";
  for (int i = 0; i < 1000 && rig.ends.count(2) == 0; ++i) rig.client.Poll(20);
  EXPECT_EQ(rig.ends[1], "done");
  EXPECT_EQ(rig.ends[2], "unknown: no connection in time") << "the greeting's limit is the shorter";
  EXPECT_EQ(rig.Count("3 SET"), 1);
  for (int i = 0; i < 5; ++i) {  // meanwhile the client gets the table again
    rig.Pass(60);
    EXPECT_EQ(rig.Get(true, 0), "a of 1");
  }
  EXPECT_EQ(rig.client.nodes(), 2u) << "and then it is forgotten";
}
}  // namespace
}  // namespace ffgrant::valkey::testing
