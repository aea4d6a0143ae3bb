// SPDX-License-Identifier: Apache-2.0
//
// Tests the client with a cluster that changes: members that join, move to other addresses and
// leave, and when the client forgets them.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "testing/simulation/topology_test_fixture.h"

namespace ffgrant::valkey::testing {
namespace {

using Kind = Fault::Kind;

// ---- joining and leaving ---------------------------------------------------------

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

// The client was configured with the address of a server that does not belong to the client's
// cluster. No call is sent to this server until the members' table names it. Then the client
// greets the server to the end on the same connection, even if it has just asked this server for a
// table.
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
    // No call goes to this server before the client has looked which functions the server has.
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

// A member is slow to tell its table. Meanwhile another member tells a table that does not name the
// slow one. The answer of the slow member comes too late to matter, and is no reason to give up the
// connection to that member.
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

// The connection to a node that the cluster no longer has is closed when the node is forgotten.
TEST_F(Topology, EachConnectionThatEndsIsCounted) {
  ClientRig rig(Patient());
  Meet(rig);
  A().members.pop_back();
  A().ranges = {{0, 4999, {"a"}}, {5000, 16383, {"b"}}};
  HangUp(rig, 1);
  for (int i = 0; i < 100 && rig.client.nodes() > 2; ++i) {
    rig.Pass(60);
    EXPECT_EQ(rig.Get(true, 0), "a of 1");
  }
  ASSERT_EQ(rig.client.nodes(), 2u);
  EXPECT_EQ(rig.Get(true, 5000), "a of 2");
  const internal::Counts& counts = rig.client.counts();
  EXPECT_EQ(counts.connects_failed.value(), 0u);
  EXPECT_EQ(counts.connections_lost.value(), 2u) << "one broke, and one is not needed any more";
  EXPECT_EQ(counts.connects.value(), 4u) << "those, and two that stand";
}

// ---- addresses -------------------------------------------------------------------

// A stranger at a member's address forbids tables. This is no reason to look for a slot's node by
// asking any server, because the members may be asked for the table.
TEST_F(Topology, AStrangerThatForbidsTablesChangesNothing) {
  ClientRig rig(Patient());
  Meet(rig);
  const FakeNode c = clusters.nodes[3];
  clusters.nodes[3] = {"x", "run-x", "B"};
  clusters.nodes[33] = c;
  rig.play = [this](std::uint16_t port, const Words& command) -> std::optional<std::string> {
    const bool forbids = port == 3 && command[0] == "CLUSTER" && command[1] != "MYID";
    return forbids ? std::optional<std::string>("-NOPERM no\r\n") : clusters.Answer(port, command);
  };
  HangUp(rig, 3);
  ASSERT_TRUE(rig.Submit(1, {"SET", "a", "b"}, false, 10'000));
  for (int i = 0; i < 20; ++i) rig.client.Poll(20);
  EXPECT_GE(rig.Count("3 CLUSTER SLOTS"), 1);
  EXPECT_EQ(rig.ends.count(1), 0u);
  A().members[2].port = 33;  // now the other nodes know the new address
  for (int i = 0; i < 100 && rig.ends.count(1) == 0; ++i) rig.client.Poll(20);
  EXPECT_EQ(rig.ends[1], "OK");
  EXPECT_EQ(rig.Count("33 SET"), 1);
  EXPECT_EQ(rig.Count("1 SET") + rig.Count("2 SET") + rig.Count("3 SET"), 0);
}

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
  A().members[2].port = 33;  // now the other nodes know the new address
  for (int i = 0; i < 100 && rig.ends.count(1) == 0; ++i) rig.client.Poll(20);
  EXPECT_EQ(rig.ends[1], "OK");
  EXPECT_EQ(rig.Count("33 SET"), 1);
  EXPECT_EQ(rig.Count("3 SET"), 0);
}

// A server that is no node of any cluster is found at a member's address. The client sends it no
// call.
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
    const auto port = static_cast<std::uint16_t>(100 + i);
    GiveAnotherPort(rig, place, port);
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
    const auto port = static_cast<std::uint16_t>(100 + i);
    GiveAnotherPort(rig, place, port);
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
// forbids CLUSTER NODES and maybe CLUSTER MYID, and the table may be without ids, at first or
// later.
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
          // The new table does not name the first node any more, so it has only two members.
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
}  // namespace
}  // namespace ffgrant::valkey::testing
