// SPDX-License-Identifier: Apache-2.0
//
// Has the fixture for tests that use the client with a cluster that changes.

#ifndef FFGRANT_TESTING_SIMULATION_TOPOLOGY_TEST_FIXTURE_H_
#define FFGRANT_TESTING_SIMULATION_TOPOLOGY_TEST_FIXTURE_H_

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "testing/simulation/client_rig.h"

namespace ffgrant::valkey::testing {

inline ClientOptions Patient() {
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
  // Moves a member of A to another port, and breaks its connection.
  void GiveAnotherPort(ClientRig& rig, std::size_t place, std::uint16_t port) {
    const std::uint16_t old_port = std::exchange(A().members[place].port, port);
    clusters.nodes[port] = clusters.nodes[old_port];
    clusters.nodes.erase(old_port);
    HangUp(rig, old_port);
  }
  // Returns a script that refuses all connections to these ports.
  static ScriptedNetwork::Script AllUnreachable(const ClientRig& rig,
                                                const std::set<std::uint16_t>& ports) {
    return [&rig, ports](Operation operation) -> Fault {
      const auto last = static_cast<std::int64_t>(rig.network->connections());
      const bool refused =
          operation == Operation::kOpen && ports.count(rig.network->endpoint(last).port) != 0;
      return refused ? Fault{Fault::Kind::kRefused} : Fault{};
    };
  }
  // Connects a client to cluster A, which has three primaries and three replicas. Then lets the
  // members `left`, c among them, join cluster B.
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
  // Sends a command for the first and the last slot of each range that A has at the start, and
  // expects that none goes to a port above `last`.
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
      return refused ? Fault{Fault::Kind::kRefused} : Fault{};
    });
    for (std::uint16_t port = 1; port <= 3; ++port) HangUp(rig, port);
  }
  // Replaces the nodes a and b of A by x and y. From now on none of the nodes that A had before, c
  // among them, can be reached.
  void ReplaceMostNodes(ClientRig& rig) {
    clusters.nodes[11].table = clusters.nodes[12].table = "A";
    A() = {{{"x", 11}, {"y", 12}, {"c", 3}}, {{0, 8191, {"x"}}, {8192, 16383, {"y"}}}};
    LoseMembers(rig);
  }
  // Calls until slot 0 gives `answer`. This must take from 25 s to 40 s: about 30 s, less the time
  // that earlier calls took. Until then another answer may come.
  static void ExpectAfterHalfAMinute(ClientRig& rig, const std::string& answer) {
    const std::int64_t begin = rig.network->NowMs();
    while (rig.Get(true, 0) != answer) {
      ASSERT_LT(rig.network->NowMs() - begin, 40'000);
    }
    EXPECT_GE(rig.network->NowMs() - begin, 25'000);
  }

  FakeClusters clusters;
};

}  // namespace ffgrant::valkey::testing

#endif  // FFGRANT_TESTING_SIMULATION_TOPOLOGY_TEST_FIXTURE_H_
