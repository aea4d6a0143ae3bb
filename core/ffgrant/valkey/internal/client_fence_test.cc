// SPDX-License-Identifier: Apache-2.0
//
// Tests broken connections that may still carry a command: where the client shuts such a
// connection, and when the command counts as settled.

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "testing/simulation/client_rig.h"

namespace ffgrant::valkey::testing {
namespace {

using Kind = Fault::Kind;

// ---- fences ------------------------------------------------------------------------

// Loses a command that is on its way; the server may execute the command whenever it arrives. After
// this call nobody listens at port `gone`.
void LoseACommand(ClientRig& rig, std::uint16_t gone = 0) {
  rig.network->SetScript([&rig, gone](Operation operation) -> Fault {
    if (operation == Operation::kArrive) return {Kind::kHold};
    return Unreachable(rig, gone)(operation);
  });
  EXPECT_EQ(rig.Do({"SET", "a", "b"}), "unknown: no reply in time");
  rig.network->SetScript(Unreachable(rig, gone));
}

// Whether the client has tried to connect to `host`.
bool Tried(const ClientRig& rig, std::string_view host) {
  bool tried = false;
  for (std::size_t id = 1; id <= rig.network->connections(); ++id) {
    tried |= rig.network->endpoint(static_cast<std::int64_t>(id)).host == host;
  }
  return tried;
}

// Returns nodes a, b and c, which are at ports 1, 2 and 3; b has the first 100 slots.
FakeClusters ThreeNodes() {
  FakeClusters clusters;
  clusters.nodes = {{1, {"a", "run-a", "T"}}, {2, {"b", "run-b", "T"}}, {3, {"c", "run-c", "T"}}};
  clusters.tables["T"] = {{{"a", 1}, {"b", 2}, {"c", 3}},
                          {{0, 99, {"b"}}, {100, 9999, {"a"}}, {10'000, 16383, {"c"}}}};
  return clusters;
}

// A connection that was given up can't be shut any more, so its command stays open.
TEST(Fence, OfAConnectionGivenUpIsNotThere) {
  ClientRig rig;
  const internal::ServerIdentity server = {.run_id = "gone", .endpoint = {"10.0.0.1", 7000}};
  (void)rig.lost->Add(server, 1, 0, ClientRig::kKey, false);
  for (std::size_t i = 0; i < internal::LostConnections::kMaxEntries; ++i) {
    (void)rig.lost->Add(server, static_cast<std::int64_t>(i + 2), 0, 8, false);
  }
  EXPECT_FALSE(rig.Settle(300));
  EXPECT_TRUE(rig.Settle(300, 1)) << "another command, which was not lost";
}

// Whatever a table says, the server may still execute the command that is on its way, and may have
// the slot again by then.
TEST(Fence, IsNotDroppedByATable) {
  FakeClusters clusters = ThreeNodes();
  ClientRig rig;
  rig.play = clusters.play();
  ASSERT_EQ(rig.Get(true, 100), "a of 1");
  ASSERT_EQ(rig.Get(true, 0), "a of 2");
  LoseACommand(rig, 2);
  clusters.tables["T"].ranges = {{0, 9999, {"a"}}, {10'000, 16383, {"c"}}};
  EXPECT_FALSE(rig.Settle(300));
  ASSERT_EQ(rig.Get(true, 0), "a of 1");
  EXPECT_FALSE(rig.Settle(300));
  EXPECT_TRUE(rig.Settle(300, 1)) << "another command, which was not lost";
  // Once the node can be reached, the connection is shut there, though nothing else needs the node.
  rig.network->SetScript(nullptr);
  EXPECT_TRUE(rig.Settle(2000));
  EXPECT_EQ(rig.Count("2 CLIENT KILL ID"), 1);
  rig.network->DeliverAll();
  EXPECT_EQ(rig.Count("2 SET"), 0) << "executed after it was settled";
}

// Two cancelled commands are on one connection. An answer to the first does not settle the second.
TEST(Fence, IsNotDroppedByALateAnswerToAnEarlierCommand) {
  ClientRig rig;
  ASSERT_EQ(rig.Get(), "a of 1");
  rig.play = [](std::uint16_t, const Words& command) -> std::optional<std::string> {
    if (command.size() == 2 && command[1] == "late") return "";
    return std::nullopt;
  };
  ASSERT_TRUE(rig.Submit(1, {"GET", "late"}, true));
  rig.client.Poll(10);
  rig.network->SetScript(Always(Operation::kArrive, Kind::kHold));
  ASSERT_TRUE(rig.Submit(2, {"SET", "a", "b"}));
  rig.client.Poll(10);
  rig.client.Cancel();
  rig.client.Poll(10);
  EXPECT_EQ(rig.ends[1], "unavailable: the call was cancelled");
  EXPECT_EQ(rig.ends[2], "unknown: the call was cancelled");
  rig.network->Say(1, Bulk("at last"));
  rig.client.Poll(10);
  EXPECT_FALSE(rig.Settle(10)) << "its answer has not come";
  rig.network->SetScript(nullptr);
  rig.network->HangUp(1);
  EXPECT_TRUE(rig.Settle(1000));
  EXPECT_EQ(rig.Count("1 CLIENT KILL ID"), 1);
  rig.network->DeliverAll();
  EXPECT_EQ(rig.Count("1 SET"), 0) << "executed after it was settled";
}

TEST(Fence, IsPutUpWhereTheNodeIsFoundUnderAnotherAddress) {
  FakeClusters clusters = ThreeNodes();
  ClientRig rig;
  rig.play = clusters.play();
  ASSERT_EQ(rig.Get(true, 0), "a of 2");
  LoseACommand(rig, 2);
  // The same process is now at another address; another server may listen at the old one.
  clusters.nodes[7] = clusters.nodes[2];
  clusters.nodes[2] = {"z", "run-z", "T"};
  clusters.tables["T"].members[1].port = 7;
  EXPECT_TRUE(rig.Settle(1000));
  EXPECT_EQ(rig.Count("7 CLIENT KILL ID"), 1);
  EXPECT_EQ(rig.Count("2 CLIENT KILL ID"), 0) << "somebody else's connection";
  EXPECT_EQ(rig.Get(true, 0), "a of 7");
  rig.network->DeliverAll();
  EXPECT_EQ(rig.Count("2 SET"), 0);
}

// A member that has failed may have no address in the table. Its process may still be where it was.
TEST(Fence, IsPutUpAtTheOldAddressIfTheTableHasNone) {
  FakeClusters clusters = ThreeNodes();
  ClientRig rig;
  rig.play = clusters.play();
  ASSERT_EQ(rig.Get(true, 0), "a of 2");
  LoseACommand(rig, 2);
  clusters.tables["T"].members[1] = {"b", 0, 1, "slave,fail,noaddr"};
  clusters.tables["T"].ranges = {{0, 9999, {"a"}}, {10'000, 16383, {"c"}}};
  ASSERT_EQ(rig.Get(true, 0), "a of 1");
  EXPECT_FALSE(rig.Settle(300));
  rig.network->SetScript(nullptr);
  EXPECT_TRUE(rig.Settle(2000));
  EXPECT_EQ(rig.Count("2 CLIENT KILL ID"), 1);
  for (std::size_t id = 1; id <= rig.network->connections(); ++id) {
    EXPECT_NE(rig.network->endpoint(static_cast<std::int64_t>(id)).port, 0);
  }
}

// Another node is found at the old address. That does not show that the old node's process has
// ended, even if the other node is new and empty.
TEST(Fence, IsNotDroppedByAnotherNodeAtTheOldAddress) {
  FakeClusters clusters = ThreeNodes();
  ClientRig rig;
  rig.play = clusters.play();
  ASSERT_EQ(rig.Get(true, 0), "a of 2");
  LoseACommand(rig, 0);
  for (const std::int64_t id : {1, 2, 3}) {
    if (rig.network->connections() >= static_cast<std::size_t>(id)) rig.network->HangUp(id);
  }
  clusters.nodes[2] = {"z", "run-z", "T"};
  clusters.tables["T"].members.push_back({"z", 2});
  clusters.tables["T"].members[1].port = 8;  // nobody listens there
  rig.network->SetScript(Unreachable(rig, 8));
  EXPECT_FALSE(rig.Settle(1000));
  EXPECT_EQ(rig.Count("2 CLIENT KILL ID"), 0);
}

TEST(Fence, GoesWithItsProcess) {
  FakeClusters clusters = ThreeNodes();
  ClientRig rig;
  rig.play = clusters.play();
  ASSERT_EQ(rig.Get(true, 0), "a of 2");
  LoseACommand(rig, 2);
  EXPECT_FALSE(rig.Settle(300));
  clusters.nodes[2].run_id = "run-b2";
  rig.network->SetScript(nullptr);
  EXPECT_TRUE(rig.Settle(2000));
  EXPECT_EQ(rig.Count("2 CLIENT KILL"), 0);
  EXPECT_EQ(rig.lost->size(), 0u);
}

// The old primary may be promoted again before the command arrives.
TEST(Fence, OfANodeIsNeededThoughItsReplicaHasTakenOver) {
  for (const std::string inner_host : {"127.0.0.1", "10.9.9.9"}) {
    SCOPED_TRACE(inner_host);
    FakeClusters clusters = ThreeNodes();
    clusters.inner_host = inner_host;
    clusters.nodes[4] = {"d", "run-d", "T"};
    clusters.tables["T"].members.push_back({"d", 4, 1, "slave"});
    ClientRig rig;
    rig.play = clusters.play();
    ASSERT_EQ(rig.Get(true, 0), "a of 2");
    LoseACommand(rig, 2);
    EXPECT_FALSE(rig.Settle(300));
    clusters.tables["T"].members[1].flags = "slave";
    clusters.tables["T"].members[3] = {"d", 4, 9, "master"};
    clusters.tables["T"].ranges[0].ids = {"d", "b"};
    rig.Pass(100);
    EXPECT_FALSE(rig.Settle(300));
    EXPECT_EQ(rig.Get(true, 0), "a of 4");
    EXPECT_EQ(rig.Count("4 CLIENT KILL"), 0);
    // The connection can be shut on the old primary, which is a replica now.
    rig.network->SetScript(nullptr);
    EXPECT_TRUE(rig.Settle(2000));
    EXPECT_EQ(rig.Count("2 CLIENT KILL ID"), 1);
    EXPECT_FALSE(Tried(rig, "10.9.9.9")) << "clients can't reach that address";
  }
}

// While the slot is being moved, ASK leads the client to a node to which the table does not give
// the slot.
TEST(Fence, IsPutUpOnANodeThatWasAsked) {
  FakeClusters clusters = ThreeNodes();
  clusters.tables["T"].ranges = {{0, 9999, {"a"}}, {10'000, 16383, {"c"}}};
  ClientRig rig;
  bool silent = false;
  rig.play = [&](std::uint16_t port, const Words& command) -> std::optional<std::string> {
    const bool has_key = command[0] == "SET" || command[0] == "GET";
    if (has_key && port == 1) return "-ASK 0 127.0.0.1:2\r\n";
    if (command[0] == "SET" && port == 2 && silent) return "";
    return clusters.Answer(port, command);
  };
  ASSERT_EQ(rig.Get(), "a of 2");
  silent = true;
  rig.network->SetScript(Unreachable(rig, 2));
  ASSERT_EQ(rig.Do({"SET", "a", "b"}), "unknown: no reply in time");
  EXPECT_FALSE(rig.Settle(300));
  rig.network->SetScript(nullptr);
  EXPECT_TRUE(rig.Settle(2000));
  EXPECT_EQ(rig.Count("2 CLIENT KILL ID"), 1);
}

// Plays two servers that stand alone; their answers to INFO also have the texts given here.
Play TwoOf(const std::string& of_one, const std::string& of_two) {
  return [=](std::uint16_t port, const Words& command) -> std::optional<std::string> {
    if (command[0] != "INFO") return std::nullopt;
    return port == 1 ? Info("one", "master", "standalone", of_one)
                     : Info("two", "master", "standalone", of_two);
  };
}

// The lost command is not settled, whatever the other server says of the history of its data.
TEST(Fence, OfAServerIsNotLostOnTheWayToAnother) {
  const std::string of_one = "master_replid:aaa\r\n";
  for (const std::string of_two : {"", "master_replid:aaa\r\nmaster_replid2:ccc\r\n",
                                   "master_replid:bbb\r\nmaster_replid2:aaa\r\n"}) {
    ClientRig rig(TwoServers());
    rig.play = TwoOf(of_one, of_two);
    ASSERT_EQ(rig.Get(), "a of 1");
    LoseACommand(rig, 1);
    ASSERT_EQ(rig.Get(), "a of 2");
    EXPECT_FALSE(rig.Settle(300)) << of_two;
    EXPECT_EQ(rig.Count("2 CLIENT KILL"), 0) << "somebody else's connection";
    EXPECT_EQ(rig.Count("1 SET"), 0);
    // Once the client is back at the first server, it shuts the connection there before it sends a
    // caller's command.
    rig.network->SetScript(Unreachable(rig, 2));
    for (std::size_t id = 1; id <= rig.network->connections(); ++id) {
      if (rig.network->endpoint(static_cast<std::int64_t>(id)).port == 2) {
        rig.network->HangUp(static_cast<std::int64_t>(id));
      }
    }
    ASSERT_EQ(rig.Get(), "a of 1");
    EXPECT_EQ(rig.Count("1 CLIENT KILL ID 1"), 1);
    EXPECT_TRUE(rig.Settle(300)) << of_two;
    rig.network->DeliverAll();
    EXPECT_EQ(rig.Count("1 SET"), 0) << "executed after all";
  }
}

// A server that refuses the client for good can't be asked to shut the connection, and no other
// server is asked in its place.
TEST(Fence, OfAServerThatRefusesTheClientIsPutUpNowhereElse) {
  ClientOptions options = RigOptions();
  options.servers = {At(1), At(2), At(3)};
  ClientRig rig(options);
  bool refuses = false;
  rig.play = [&](std::uint16_t port, const Words& command) -> std::optional<std::string> {
    if (command[0] != "INFO") return std::nullopt;
    if (port == 1 && refuses) return "-NOAUTH Authentication required.\r\n";
    return Info("run" + std::to_string(port));
  };
  ASSERT_EQ(rig.Get(), "a of 1");
  LoseACommand(rig, 1);
  ASSERT_EQ(rig.Get(), "a of 2");
  refuses = true;
  rig.network->SetScript(nullptr);
  EXPECT_FALSE(rig.Settle(1000));
  EXPECT_EQ(rig.Count("3 "), 0) << "nobody needs this server";
  EXPECT_EQ(rig.Count("1 INFO"), 2);
  EXPECT_LE(rig.client.nodes(), 2u);
  EXPECT_EQ(rig.Get(), "a of 2");
}

// If a connection breaks while the client looks for the library, it counts as a connection that
// never worked, and the next server is tried.
TEST(Fence, IsOfTheServerThatWasLeft) {
  ClientRig rig(TwoServers());
  bool silent = false;
  rig.play = [&](std::uint16_t port, const Words& command) -> std::optional<std::string> {
    if (command[0] == "FCALL" && command[1] == "f") {
      silent |= port == 1;
      return port == 1 ? kMissing : Bulk("done");
    }
    if (port == 1 && silent) return "";
    return TwoOf("", "")(port, command);
  };
  ASSERT_EQ(rig.Get(), "a of 1");
  ASSERT_TRUE(rig.Submit(1, {"FCALL", "f", "0"}));
  ASSERT_TRUE(rig.Submit(2, {"SET", "a", "b"}));
  for (int i = 0; i < 100 && rig.ends.count(2) == 0; ++i) rig.client.Poll(50);
  EXPECT_EQ(rig.ends[2], "unknown: no connection in time");
  ASSERT_EQ(rig.Get(), "a of 2");
  EXPECT_FALSE(rig.Settle(300));
  EXPECT_EQ(rig.Count("2 CLIENT KILL"), 0);
}

// The connection is shut on the old primary, now a replica, though no call needs this server.
TEST(Fence, IsPutUpOnADemotedServer) {
  ClientRig rig(TwoServers());
  bool demoted = false;
  rig.play = [&](std::uint16_t port, const Words& command) -> std::optional<std::string> {
    if (command[0] != "INFO") return std::nullopt;
    return port == 1 ? Info("one", demoted ? "slave" : "master") : Info("two");
  };
  ASSERT_EQ(rig.Get(), "a of 1");
  LoseACommand(rig, 1);
  demoted = true;
  EXPECT_FALSE(rig.Settle(300));
  ASSERT_EQ(rig.Get(), "a of 2");
  rig.network->SetScript(nullptr);
  EXPECT_TRUE(rig.Settle(1000));
  EXPECT_EQ(rig.Count("1 CLIENT KILL ID 1"), 1);
  EXPECT_EQ(rig.Count("2 CLIENT KILL"), 0);
  EXPECT_EQ(rig.Get(), "a of 2");
  EXPECT_EQ(rig.client.nodes(), 1u) << "its connection is of no more use";
}

TEST(Fence, IsPutUpAlsoWhereTheServerHasAnotherName) {
  ClientRig rig(TwoServers());
  ASSERT_EQ(rig.Get(), "a of 1");  // both servers are the same process
  LoseACommand(rig, 1);
  EXPECT_TRUE(rig.Settle(1000));
  EXPECT_EQ(rig.Count("2 CLIENT KILL ID 1"), 1);
}

TEST(Fence, IsPutUpOnEachOfTwoServers) {
  ClientRig rig(TwoServers());
  rig.play = TwoOf("", "");
  ASSERT_EQ(rig.Get(), "a of 1");
  LoseACommand(rig, 1);
  ASSERT_EQ(rig.Get(), "a of 2");
  LoseACommand(rig, 1);
  EXPECT_FALSE(rig.Settle(300));
  EXPECT_EQ(rig.Count("2 CLIENT KILL"), 1);
  EXPECT_EQ(rig.Get(), "a of 2");
  EXPECT_FALSE(rig.Settle(300)) << "the one at the first server is open still";
  rig.network->SetScript(nullptr);
  EXPECT_TRUE(rig.Settle(2000));
  EXPECT_EQ(rig.Count("1 CLIENT KILL"), 1);
}

TEST(Fence, ThatCouldNotBePutUpIsNotForgottenForTheNext) {
  ClientRig rig;
  rig.server.forbidden = {"KILL"};
  ASSERT_EQ(rig.Get(), "a of 1");
  LoseACommand(rig);
  EXPECT_FALSE(rig.Settle(300));
  rig.server.forbidden = {};
  LoseACommand(rig);
  EXPECT_FALSE(rig.Settle(300)) << "the first one is open still";
  // When the process ends, all lost connections to it are settled.
  rig.server.Restart();
  rig.network->Say(static_cast<std::int64_t>(rig.network->connections()), "+what\r\n");
  EXPECT_EQ(rig.Get(), "a of 1");
  EXPECT_TRUE(rig.Settle(300));
}

// A script is running on the server, which takes no other command until the script has ended.
TEST(Fence, IsTriedAgainIfTheServerRefusesItForNow) {
  ClientRig rig;
  bool busy = true;
  rig.play = [&](std::uint16_t, const Words& command) -> std::optional<std::string> {
    if (command[0] == "INFO") return Info("x");
    if (busy && command[0] == "CLIENT" && command[1] == "KILL") return "-BUSY a script runs\r\n";
    return std::nullopt;
  };
  ASSERT_EQ(rig.Get(), "a of 1");
  const internal::ServerIdentity server = {.run_id = "x", .endpoint = At(1)};
  (void)rig.lost->Add(server, 99, 0, ClientRig::kKey, false);
  EXPECT_FALSE(rig.Settle(200));
  EXPECT_GT(rig.Count("1 CLIENT KILL ID 99"), 1);
  EXPECT_LE(rig.Count("1 CLIENT KILL ID 99"), 11) << "at most every 20 ms";
  busy = false;
  EXPECT_TRUE(rig.Settle(200));
  EXPECT_EQ(rig.network->connections(), 1u) << "the connection stands all the time";
}

TEST(Fence, OfAServerThatDoesNotSayWhoItIsStaysOpen) {
  ClientRig rig;
  std::string info = "-NOPERM no\r\n";
  rig.play = [&](std::uint16_t, const Words& command) -> std::optional<std::string> {
    if (command[0] == "INFO") return info;
    return std::nullopt;
  };
  ASSERT_EQ(rig.Get(), "a of 1");
  LoseACommand(rig);
  EXPECT_FALSE(rig.Settle(300));
  info = Info("a name at last");
  EXPECT_FALSE(rig.Settle(300));
  rig.network->Say(static_cast<std::int64_t>(rig.network->connections()), "+what\r\n");
  ASSERT_EQ(rig.Get(), "a of 1");
  EXPECT_FALSE(rig.Settle(300));

  // A server that no longer tells its run id need not be another process.
  ClientRig other;
  ASSERT_EQ(other.Get(), "a of 1");
  other.play = [](std::uint16_t, const Words& command) -> std::optional<std::string> {
    if (command[0] == "INFO") return "-NOPERM no\r\n";
    return std::nullopt;
  };
  LoseACommand(other);
  EXPECT_FALSE(other.Settle(300));
}

// An ACL was changed in between: the new connection tells less than the earlier one did. What the
// earlier one told does not hold for the new connection, which can't be shut by the earlier id.
TEST(Fence, OfAConnectionWithoutAnIdIsNotThatOfAnEarlierOne) {
  for (const std::string untold : {"CLIENT ID", "INFO server"}) {
    SCOPED_TRACE(untold);
    ClientRig rig;
    ASSERT_EQ(rig.Get(), "a of 1");
    rig.play = [&](std::uint16_t, const Words& command) -> std::optional<std::string> {
      const bool tells = command.size() < 2 || command[0] + " " + command[1] != untold;
      return tells ? std::nullopt : std::optional<std::string>("-NOPERM no permissions\r\n");
    };
    rig.network->HangUp(1);
    ASSERT_EQ(rig.Get(), "a of 1");
    ASSERT_EQ(rig.network->connections(), 2u);
    LoseACommand(rig);
    EXPECT_FALSE(rig.Settle(300));
    EXPECT_EQ(rig.Count("1 CLIENT KILL"), 0) << "somebody else's connection";
    rig.network->DeliverAll();
    EXPECT_EQ(rig.Count("1 SET"), 1) << "it was not shut";
  }
}

// Another node is found at the address, and does not tell its id. That the node which was there
// before has another process by now says nothing of this node's process.
TEST(Fence, OfANodeWithoutAnIdIsNotThatOfAnEarlierNode) {
  FakeClusters clusters = ThreeNodes();
  ClientRig rig;
  bool tells = true;
  rig.play = [&](std::uint16_t port, const Words& command) -> std::optional<std::string> {
    const bool asked = command[0] == "CLUSTER" && command[1] == "MYID";
    if (port == 2 && asked && !tells) return "-NOPERM no permissions\r\n";
    return clusters.Answer(port, command);
  };
  ASSERT_EQ(rig.Get(true, 0), "a of 2");
  tells = false;
  clusters.nodes[2] = {"z", "run-z", "T"};
  clusters.nodes[7] = {"b", "run-b2", "T"};
  FakeTable& table = clusters.tables["T"];
  table.members[1].port = 7;
  table.members.push_back({"z", 2});
  table.ranges = {{0, 99, {"z"}}, {100, 199, {"b"}}, {200, 9999, {"a"}}, {10'000, 16383, {"c"}}};
  rig.network->HangUp(static_cast<std::int64_t>(rig.network->connections()));
  ASSERT_EQ(rig.Get(true, 0), "a of 2");
  LoseACommand(rig, 2);
  ASSERT_EQ(rig.Get(true, 100), "a of 7");
  EXPECT_FALSE(rig.Settle(300));
  rig.network->DeliverAll();
  EXPECT_EQ(rig.Count("2 SET"), 1) << "it was not shut";
}

// ---- connections of other clients -----------------------------------------------------

// Notes that another client of the deployment, which had found the process `run_id` at `port`, has
// lost its connection `client_id` to that process.
void LoseElsewhere(ClientRig& rig, std::uint16_t port, std::int64_t client_id = 99,
                   std::string_view run_id = "process1") {
  (void)rig.lost->Add({.run_id = run_id, .endpoint = At(port)}, client_id, rig.network->NowMs(),
                      ClientRig::kKey, false);
}

// The connection is shut on the process that this client is connected to, at whatever address the
// other client had found that process.
TEST(Fence, OfAnotherClientIsPutUpOnAConnectionThatStands) {
  for (const std::uint16_t port : {std::uint16_t{1}, std::uint16_t{2}}) {
    ClientRig rig;
    ASSERT_EQ(rig.Get(), "a of 1");
    rig.network->SetScript(Unreachable(rig, 2));
    LoseElsewhere(rig, port);
    EXPECT_TRUE(rig.Settle(300)) << port;
    EXPECT_EQ(rig.Count("1 CLIENT KILL ID 99"), 1) << port;
    EXPECT_EQ(rig.network->connections(), port) << "no more tries than addresses";
    EXPECT_EQ(rig.Get(), "a of 1");
    EXPECT_EQ(rig.Count("1 FCALL ffgrant_version"), 1) << "the connection was greeted before";
  }
}

// The id of the lost connection is not known, or the connection led to another process. So this
// client can't shut the connection, and the settling does not wait for its deadline.
TEST(Fence, OfAnotherClientThatCantBePutUpIsToldSoAtOnce) {
  for (const std::uint16_t port : {std::uint16_t{1}, std::uint16_t{2}}) {
    for (const bool other_process : {false, true}) {
      ClientRig rig;
      ASSERT_EQ(rig.Get(), "a of 1");
      rig.network->SetScript(Unreachable(rig, 2));
      LoseElsewhere(rig, port, other_process ? 99 : 0, other_process ? "process2" : "process1");
      const std::int64_t begin = rig.network->NowMs();
      EXPECT_FALSE(rig.Settle(300)) << port << other_process;
      EXPECT_LE(rig.network->NowMs() - begin, 20) << port << other_process;
      EXPECT_EQ(rig.Count("1 CLIENT KILL"), 0) << port << other_process;
    }
  }
}

// A question of the client's own is under way on the connection, or a command that was given up.
// The server may be stuck while it answers that command.
TEST(Fence, WaitsForWhatIsUnderWayOnTheConnection) {
  for (const std::uint16_t port : {std::uint16_t{1}, std::uint16_t{2}}) {
    for (const bool asks : {true, false}) {
      SCOPED_TRACE(std::to_string(port) + (asks ? " a question" : " a command"));
      ClientOptions options = RigOptions();
      options.request_timeout_ms = 1000;
      options.probe_idle_ms = 1000;
      options.probe_limit_ms = 200;
      ClientRig rig(options);
      std::int64_t shut_at = 0;
      rig.play = [&](std::uint16_t, const Words& command) -> std::optional<std::string> {
        if (command[0] == "CLIENT" && command[1] == "KILL") shut_at = rig.network->NowMs();
        return std::nullopt;
      };
      ASSERT_EQ(rig.Get(), "a of 1");
      if (asks) rig.Pass(1000);  // by then the client asks whether the connection is alive
      bool late = true;
      rig.network->SetScript([&](Operation operation) -> Fault {
        if (operation != Operation::kAnswer) return Unreachable(rig, 2)(operation);
        return std::exchange(late, false) ? Fault{Kind::kLate, 100} : Fault{};
      });
      ASSERT_TRUE(rig.Submit(1, {"GET", "a"}, true));
      rig.client.Poll(0);
      if (!asks) {
        rig.client.Cancel();
        rig.client.Poll(0);
        EXPECT_EQ(rig.ends[1], "unavailable: the call was cancelled");
      }
      EXPECT_EQ(rig.Count("1 PING"), asks ? 1 : 0);
      LoseElsewhere(rig, port);
      const std::int64_t begin = rig.network->NowMs();
      EXPECT_TRUE(rig.Settle(500));
      EXPECT_GE(shut_at - begin, 90);
      EXPECT_EQ(rig.Count("1 CLIENT KILL ID 99"), 1);
      while (rig.client.in_flight() > 0) rig.client.Poll(50);
      EXPECT_EQ(rig.ends[1], asks ? "a of 1" : "unavailable: the call was cancelled");
      EXPECT_EQ(rig.Get(), "a of 1");
    }
  }
}

// ---- when a settling is given up -------------------------------------------------------

TEST(Fence, IsNotWaitedForIfTheNextTryComesTooLate) {
  ClientOptions options = RigOptions();
  options.reconnect = {10'000, 10'000};
  ClientRig rig(options);
  ASSERT_EQ(rig.Get(), "a of 1");
  LoseACommand(rig, 1);
  EXPECT_EQ(rig.Get(), "unavailable: can't connect");
  rig.network->SetScript(nullptr);  // the server is there again, but the client does not know
  const std::size_t before = rig.network->connections();
  const std::int64_t begin = rig.network->NowMs();
  EXPECT_FALSE(rig.Settle(300));
  EXPECT_LE(rig.network->NowMs() - begin, 20);
  EXPECT_EQ(rig.network->connections(), before);
  EXPECT_TRUE(rig.Settle(20'000));
  EXPECT_EQ(rig.Count("1 CLIENT KILL ID"), 1);
}

// A node stays as long as a settling looks there for a lost connection. Afterwards nobody needs the
// node, even if the connection could not be shut.
TEST(Fence, ThatWasGivenUpKeepsNoNode) {
  for (const bool reachable : {false, true}) {
    SCOPED_TRACE(reachable);
    FakeClusters clusters = ThreeNodes();
    ClientRig rig;
    rig.play = clusters.play();
    rig.server.forbidden = {"KILL"};
    ASSERT_EQ(rig.Get(true, 0), "a of 2");
    LoseACommand(rig, 2);
    FakeTable& table = clusters.tables["T"];
    table.members.erase(table.members.begin() + 1);
    table.ranges = {{0, 9999, {"a"}}, {10'000, 16383, {"c"}}};
    if (reachable) rig.network->SetScript(nullptr);
    EXPECT_FALSE(rig.Settle(300));
    ASSERT_EQ(rig.Get(true, 0), "a of 1");
    ASSERT_EQ(rig.Get(true, 10'000), "a of 3");
    EXPECT_EQ(rig.client.nodes(), 2u);
  }
  // The same outside of a cluster, where the server was demoted.
  ClientRig rig(TwoServers());
  bool demoted = false;
  rig.play = [&](std::uint16_t port, const Words& command) -> std::optional<std::string> {
    if (command[0] != "INFO") return std::nullopt;
    return port == 1 ? Info("one", demoted ? "slave" : "master") : Info("two");
  };
  rig.server.forbidden = {"KILL"};
  ASSERT_EQ(rig.Get(), "a of 1");
  LoseACommand(rig, 1);
  demoted = true;
  ASSERT_EQ(rig.Get(), "a of 2");
  rig.network->SetScript(nullptr);
  EXPECT_FALSE(rig.Settle(300));
  EXPECT_EQ(rig.Count("1 CLIENT KILL"), 1);
  ASSERT_EQ(rig.Get(), "a of 2");
  ASSERT_EQ(rig.Get(), "a of 2");
  EXPECT_EQ(rig.client.nodes(), 1u);
}

// The members have no ids, and neither has the server that the command was sent to. The client
// looks for the server at the address where it was.
TEST(Fence, InAClusterWithoutIdsIsPutUpAtTheOldAddress) {
  ClientRig rig;
  rig.play = [](std::uint16_t port, const Words& command) -> std::optional<std::string> {
    const auto node = [](std::uint16_t at) { return Array({Bulk("127.0.0.1"), Integer(at)}); };
    if (command[0] == "INFO") return Info("run" + std::to_string(port), "master", "cluster");
    if (command[0] != "CLUSTER") return std::nullopt;
    if (command[1] != "SLOTS") return "-NOPERM no\r\n";
    return Array({Array({Integer(100), Integer(16383), node(1)}),
                  Array({Integer(0), Integer(99), node(2)})});
  };
  ASSERT_EQ(rig.Get(true, 100), "a of 1");
  ASSERT_EQ(rig.Get(true, 0), "a of 2");
  LoseACommand(rig, 2);
  EXPECT_FALSE(rig.Settle(300));
  rig.network->SetScript(nullptr);
  EXPECT_TRUE(rig.Settle(2000));
  EXPECT_EQ(rig.Count("2 CLIENT KILL ID"), 1);
  EXPECT_EQ(rig.Count("1 CLIENT KILL"), 0) << "somebody else's connection";
}

// Another process is found at the address. That process may have been running before the command
// was lost. Its uptime tells whether it was, but only if the uptime is a number of seconds that is
// smaller than the time on the client's clock.
TEST(Fence, OfASingleServerGoesOnlyWithAProcessThatIsYounger) {
  const struct {
    std::string uptime;
    bool gone;
  } kCases[] = {{"0", true},    {"1", true},     {"3", false},
                {"999", false}, {"1001", false}, {"9223372036854775807", false},
                {"-1", false},  {"x", false},    {"", false}};
  for (const auto& c : kCases) {
    ClientRig rig;
    std::string run_id = "old";
    std::string uptime = "5";
    rig.play = [&](std::uint16_t, const Words& command) -> std::optional<std::string> {
      if (command[0] != "INFO") return std::nullopt;
      return Bulk("valkey_version:9\r\nredis_mode:standalone\r\nrole:master\r\nrun_id:" + run_id +
                  "\r\nuptime_in_seconds:" + uptime + "\r\n");
    };
    ASSERT_EQ(rig.Get(), "a of 1");
    LoseACommand(rig);
    run_id = "new";
    uptime = c.uptime;
    EXPECT_EQ(rig.Settle(300), c.gone) << c.uptime;
    EXPECT_EQ(rig.Count("1 CLIENT KILL"), 0) << c.uptime;
  }
}

}  // namespace
}  // namespace ffgrant::valkey::testing
