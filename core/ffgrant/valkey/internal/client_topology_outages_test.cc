// SPDX-License-Identifier: Apache-2.0
//
// Tests the client with a cluster that changes: whom the client asks if members can't be reached,
// and how long it waits for these members.

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>

#include "testing/simulation/topology_test_fixture.h"

namespace ffgrant::valkey::testing {
namespace {

using Kind = Fault::Kind;

// ---- whom it asks ----------------------------------------------------------------

// If no member can be reached any more, the client begins anew with the servers that it was given.
TEST_F(Topology, TheConfiguredServersAreAskedWhereNoMemberCanTell) {
  ClientOptions options = Patient();
  options.servers = {At(1), At(11)};
  ClientRig rig(options);
  Meet(rig);
  LoseMembers(rig);
  // The client does not begin anew at once, because perhaps the members are only cut off. Time in
  // which nobody calls does not count.
  EXPECT_NE(rig.Get(true, 0), "a of 11");
  rig.Pass(60'000);
  ExpectAfterHalfAMinute(rig, "a of 11");
  EXPECT_EQ(rig.Get(true, 16'000), "a of 12");
  EXPECT_EQ(rig.client.nodes(), 2u);
}

// An outage ends when a member is found again, and the time of earlier outages does not count.
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

// All nodes get new ids, and their epochs begin at 1 again.
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

// Most nodes were replaced while nobody called. The table of a configured server still names one of
// the nodes that the client knows.
TEST_F(Topology, AClusterWithAMemberThatIsKnownIsBelievedAtOnce) {
  ClientOptions options = Patient();
  options.servers = {At(1), At(11)};
  ClientRig rig(options);
  Meet(rig);
  ReplaceMostNodes(rig);
  EXPECT_EQ(rig.Get(true, 0), "a of 11");
}

// A node may have no address in the table, for example because it has failed. The client does not
// wait for a table from such a node.
TEST_F(Topology, AMemberWithoutAnAddressIsNotWaitedFor) {
  A().members.push_back({"d", 0, 0, "slave,noaddr"});
  ClientOptions options = Patient();
  options.servers = {At(1), At(11)};
  ClientRig rig(options);
  Meet(rig);
  ReplaceMostNodes(rig);
  EXPECT_EQ(rig.Get(true, 0), "a of 11");
  for (std::size_t id = 1; id <= rig.network->connections(); ++id) {
    EXPECT_NE(rig.network->endpoint(static_cast<std::int64_t>(id)).port, 0);
  }
}

// Only the last of fifty members can be reached. The members are asked in turn, and not all at
// once.
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

// There are more nodes than the client has places for: a replica and a configured server have no
// place. The client asks the other nodes all the same.
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
  std::string slots = clusters.Slots(A());  // writing this text takes long, so it is kept
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

// If the only primary is gone, its replicas know its successor. The client finds the replicas at
// the addresses that CLUSTER SLOTS has for clients; those in CLUSTER NODES may be inner ones.
TEST_F(Topology, AReplicaTellsTooWhereNoPrimaryCan) {
  clusters.nodes[2].id = "r";
  clusters.nodes[3].id = "s";
  const FakeNode successor = clusters.nodes[3];
  for (const std::string inner_host : {"127.0.0.1", "10.9.9.9"}) {
    SCOPED_TRACE(inner_host);
    clusters.inner_host = inner_host;
    clusters.nodes[3] = successor;
    A().members = {{"a", 1}, {"r", 2, 1, "slave"}, {"s", 3, 1, "slave"}};
    A().ranges = {{0, 16383, {"a", "r", "s"}}};
    ClientRig rig(Patient());
    rig.play = clusters.play();
    ASSERT_EQ(rig.Get(), "a of 1");
    clusters.nodes[9] = successor;  // it has moved as well
    clusters.nodes.erase(3);
    A().members = {{"a", 1, 1, "master,fail"}, {"r", 2, 1, "slave"}, {"s", 9, 2}};
    A().ranges = {{0, 16383, {"s", "r"}}};
    rig.network->SetScript([&](Operation operation) -> Fault {
      const Endpoint& asked =
          rig.network->endpoint(static_cast<std::int64_t>(rig.network->connections()));
      const bool is_gone = asked.port == 1 || asked.port == 3 || asked.host == "10.9.9.9";
      return {operation == Operation::kOpen && is_gone ? Kind::kRefused : Kind::kNone};
    });
    HangUp(rig, 1);
    EXPECT_EQ(rig.Get(), "a of 9");
  }
}

// ---- time in which nobody calls --------------------------------------------------

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

// Poll() is not called for a long time after commands were sent. Meanwhile their answers arrive.
TEST_F(Topology, TimeInWhichNobodyCallsIsNoDelayOfACommandsAnswer) {
  ClientRig rig(Patient());
  Meet(rig);
  rig.network->SetScript([](Operation operation) -> Fault {
    return operation == Operation::kAnswer ? Fault{Kind::kLate, 10} : Fault{};
  });
  ASSERT_TRUE(rig.Submit(1, {"SET", "a", "b"}));
  ASSERT_TRUE(rig.Submit(2, {"SET", "a", "b"}, false, 5000));
  rig.client.Poll(0);
  rig.Pass(5000);
  for (int i = 0; i < 10; ++i) rig.client.Poll(20);
  EXPECT_EQ(rig.ends[1], "OK");
  EXPECT_EQ(rig.ends[2], "OK");
  EXPECT_EQ(rig.network->connections(), 3u);
}

// Poll() is not called for a long time. First no answer to the command comes meanwhile, so the
// command's outcome is unknown. Then the late answer to a cancelled command comes meanwhile, so the
// connection is kept.
TEST_F(Topology, TimeInWhichNobodyCallsBringsOnlyWhatCame) {
  ClientRig rig(Patient());
  Meet(rig);
  rig.network->SetScript(First(1, Operation::kAnswer, Kind::kSilence));
  ASSERT_TRUE(rig.Submit(1, {"SET", "a", "b"}));
  rig.client.Poll(0);
  rig.Pass(5000);
  for (int i = 0; i < 10; ++i) rig.client.Poll(20);
  EXPECT_EQ(rig.ends[1], "unknown: no reply in time");

  rig.network->SetScript(nullptr);
  ASSERT_EQ(rig.Get(true, 0), "a of 1");
  const std::size_t before = rig.network->connections();
  rig.network->SetScript([](Operation operation) -> Fault {
    return operation == Operation::kAnswer ? Fault{Kind::kLate, 500} : Fault{};
  });
  ASSERT_TRUE(rig.Submit(2, {"SET", "a", "b"}));
  rig.client.Poll(0);
  rig.client.Cancel();
  rig.client.Poll(0);
  ASSERT_EQ(rig.ends[2], "unknown: the call was cancelled");
  rig.network->SetScript(nullptr);
  rig.Pass(5000);
  EXPECT_EQ(rig.Get(true, 0), "a of 1");
  EXPECT_EQ(rig.network->connections(), before);
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
}  // namespace
}  // namespace ffgrant::valkey::testing
