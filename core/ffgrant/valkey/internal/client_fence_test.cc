// SPDX-License-Identifier: Apache-2.0
//
// Broken connections that may still carry a command: whether one is shut before
// anything else is asked, and when it need not be.

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "testing/simulation/client_rig.h"

namespace ffgrant::valkey::testing {
namespace {

using Kind = Fault::Kind;

// ---- fences ------------------------------------------------------------------------

// A command is on its way, and may be executed whenever it arrives. From then on
// nobody listens at port `gone`.
void LoseACommand(ClientRig& rig, std::uint16_t gone = 0) {
  rig.network->SetScript([&rig, gone](Operation operation) -> Fault {
    if (operation == Operation::kArrive) return {Kind::kHold};
    return Unreachable(rig, gone)(operation);
  });
  EXPECT_EQ(rig.Do({"SET", "a", "b"}), "unknown: no reply in time");
  rig.network->SetScript(Unreachable(rig, gone));
}

TEST(Fence, IsDroppedByATableOfTheWholeClusterOnly) {
  const auto with = [](std::vector<std::string> more) {
    more.insert(more.begin(), Range(0, 16383, 1));
    return Array(more);
  };
  const auto range = [](const std::string& first, const std::string& last,
                        const std::vector<std::string>& node) {
    return Array({first, last, Array(node)});
  };
  const std::string host = Bulk("127.0.0.1");
  struct Case {
    std::string what;
    std::string table;
    bool settled;
  };
  const std::vector<Case> cases = {
      {"the whole", with({}), true},
      {"the whole in parts", Array({Range(0, 1, 1), Range(2, 16383, 1)}), true},
      {"nothing", "*0\r\n", false},
      {"no table", "-ERR no\r\n", false},
      {"all but the first", Array({Range(1, 16383, 1)}), false},
      {"all but the last", Array({Range(0, 16382, 1)}), false},
      {"all but one", Array({Range(0, 99, 1), Range(101, 16383, 1)}), false},
      {"a range that is none", with({Integer(0)}), false},
      {"a range of nothing", with({"*0\r\n"}), false},
      {"a range without nodes", with({Array({Integer(1), Integer(2)})}), false},
      {"a node that is none", with({Array({Integer(1), Integer(2), host})}), false},
      {"a node without a port", with({range(Integer(1), Integer(2), {host})}), false},
      {"a text as first", with({range(Bulk("1"), Integer(2), {host, Integer(2)})}), false},
      {"a text as last", with({range(Integer(0), Bulk("0"), {host, Integer(2)})}), false},
      {"a text as port", with({range(Integer(1), Integer(2), {host, Bulk("2")})}), false},
      {"a number as host", with({range(Integer(1), Integer(2), {Integer(1), Integer(2)})}), false},
      {"an unknown host", with({Range(1, 2, 2, "?")}), false},
      {"a negative slot", with({Range(-1, 2, 2)}), false},
      {"a slot too many", with({Range(1, 16384, 2)}), false},
      {"a range backwards", with({Range(2, 1, 2)}), false},
      {"port 0", with({Range(1, 2, 0)}), false},
      {"port 65536", with({range(Integer(1), Integer(2), {host, Integer(65536)})}), false},
  };
  for (const Case& c : cases) {
    std::string slots = Array({Range(0, 99, 2), Range(100, 16383, 1)});
    ClientRig rig;
    rig.play = Cluster(slots);
    ASSERT_EQ(rig.Get(true, 100), "a of 1");
    ASSERT_EQ(rig.Get(true, 0), "a of 2");
    LoseACommand(rig, 2);
    slots = c.table;
    EXPECT_EQ(rig.client.Settle(300), c.settled) << c.what;
    // Where the node can be reached, it is shut there in any case.
    rig.network->SetScript(nullptr);
    EXPECT_TRUE(rig.client.Settle(2000)) << c.what;
    EXPECT_EQ(rig.Count("2 CLIENT KILL ID"), c.settled ? 0 : 1) << c.what;
  }
}

// The table that says so may be an old one.
TEST(Fence, IsPutUpOnceItsNodeIsAskedAgain) {
  std::string slots = Array({Range(0, 99, 2), Range(100, 16383, 1)});
  ClientRig rig;
  bool moved = false;
  rig.play = [&](std::uint16_t port, const Words& command) -> std::optional<std::string> {
    if (port == 1 && command[0] == "GET" && moved) return "-MOVED 0 :2\r\n";
    return Cluster(slots)(port, command);
  };
  ASSERT_EQ(rig.Get(true, 0), "a of 2");
  LoseACommand(rig, 2);
  slots = Array({Range(0, 16383, 1)});
  ASSERT_TRUE(rig.client.Settle(300));
  EXPECT_TRUE(rig.client.HasWaivedFenceAt(At(2)));
  EXPECT_FALSE(rig.client.HasWaivedFenceAt(At(1)));
  const std::size_t connections = rig.network->connections();
  ASSERT_EQ(rig.Get(true, 0), "a of 1");
  rig.Pass(5000);
  ASSERT_EQ(rig.Get(true, 0), "a of 1");
  EXPECT_EQ(rig.network->connections(), connections) << "nobody needs that node";
  moved = true;
  rig.network->SetScript(nullptr);
  EXPECT_EQ(rig.Get(true, 0), "a of 2");
  EXPECT_EQ(rig.Count("2 CLIENT KILL ID"), 1);
  EXPECT_FALSE(rig.client.HasWaivedFenceAt(At(2)));
  rig.network->DeliverAll();
  EXPECT_EQ(rig.Count("2 SET"), 0) << "executed after it was read";
}

// A node that a slot is moved to has none before it is there.
TEST(Fence, OfANodeThatWasAskedIsNoneThatATableDrops) {
  const std::string slots = Array({Range(0, 16383, 1)});
  ClientRig rig;
  rig.play = [&](std::uint16_t port, const Words& command) -> std::optional<std::string> {
    const bool has_key = command[0] == "SET" || command[0] == "GET";
    if (has_key && port == 1) return "-ASK 0 :2\r\n";
    return Cluster(slots)(port, command);
  };
  ASSERT_EQ(rig.Get(), "a of 2");
  rig.play = [&, before = rig.play](std::uint16_t port, const Words& command) {
    if (command[0] == "SET" && port == 2) return std::optional<std::string>("");
    return before(port, command);
  };
  rig.network->SetScript(Unreachable(rig, 2));
  ASSERT_EQ(rig.Do({"SET", "a", "b"}), "unknown: no reply in time");
  EXPECT_FALSE(rig.client.Settle(300));
  rig.network->SetScript(nullptr);
  EXPECT_TRUE(rig.client.Settle(2000));
  EXPECT_EQ(rig.Count("2 CLIENT KILL ID"), 1);
}

// Two servers, each its own, and what their INFOs say besides.
Play TwoOf(const std::string& of_one, const std::string& of_two) {
  return [=](std::uint16_t port, const Words& command) -> std::optional<std::string> {
    if (command[0] != "INFO") return std::nullopt;
    return port == 1 ? Info("one", "master", "standalone", of_one)
                     : Info("two", "master", "standalone", of_two);
  };
}

TEST(Fence, OfAServerIsNotLostOnTheWayToAnother) {
  const std::string of_one = "master_replid:aaa\r\n";
  const std::vector<std::pair<std::string, std::string>> histories = {
      {"", ""},
      {of_one, ""},
      {of_one, "master_replid:bbb\r\nmaster_replid2:000\r\n"},
      {of_one, "master_replid:aaa\r\nmaster_replid2:ccc\r\n"}};
  for (const auto& [one, of_two] : histories) {
    ClientRig rig(TwoServers());
    rig.play = TwoOf(one, of_two);
    ASSERT_EQ(rig.Get(), "a of 1");
    LoseACommand(rig, 1);
    ASSERT_EQ(rig.Get(), "a of 2");
    EXPECT_FALSE(rig.client.Settle(300)) << of_two;
    EXPECT_EQ(rig.Count("2 CLIENT KILL"), 0) << "somebody else's connection";
    EXPECT_EQ(rig.Count("1 SET"), 0);
    // Back at the first it can be shut.
    rig.network->SetScript(Unreachable(rig, 2));
    rig.network->Say(static_cast<std::int64_t>(rig.network->connections()), "+what\r\n");
    ASSERT_EQ(rig.Get(), "a of 1");
    EXPECT_EQ(rig.Count("1 CLIENT KILL ID 1"), 1);
    EXPECT_TRUE(rig.client.Settle(300)) << of_two;
    rig.network->DeliverAll();
    EXPECT_EQ(rig.Count("1 SET"), 0) << "executed after all";
  }
}

// A connection that breaks while its library is looked after is taken for one
// that was never any good, and the next server is tried at once.
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
  EXPECT_FALSE(rig.client.Settle(300));
  EXPECT_EQ(rig.Count("2 CLIENT KILL"), 0);
}

TEST(Fence, IsNotNeededWhereAReplicaHasTakenOver) {
  ClientRig rig(TwoServers());
  rig.play = TwoOf("master_replid:aaa\r\n", "master_replid:bbb\r\nmaster_replid2:aaa\r\n");
  ASSERT_EQ(rig.Get(), "a of 1");
  LoseACommand(rig, 1);
  EXPECT_TRUE(rig.client.Settle(1000));
  EXPECT_EQ(rig.Count("2 CLIENT KILL"), 0);
}

TEST(Fence, IsPutUpAlsoWhereTheServerHasAnotherName) {
  ClientRig rig(TwoServers());
  ASSERT_EQ(rig.Get(), "a of 1");  // both are the same process
  LoseACommand(rig, 1);
  EXPECT_TRUE(rig.client.Settle(1000));
  EXPECT_EQ(rig.Count("2 CLIENT KILL ID 1"), 1);
}

TEST(Fence, OfTwoServersIsNone) {
  ClientRig rig(TwoServers());
  rig.play = TwoOf("", "");
  ASSERT_EQ(rig.Get(), "a of 1");
  LoseACommand(rig, 1);
  ASSERT_EQ(rig.Get(), "a of 2");
  LoseACommand(rig);
  EXPECT_FALSE(rig.client.Settle(300));
  EXPECT_EQ(rig.Get(), "a of 2");
  EXPECT_FALSE(rig.client.Settle(300)) << "the one at the first server is open still";
}

TEST(Fence, ThatCouldNotBePutUpIsNotForgottenForTheNext) {
  ClientRig rig;
  rig.server.forbidden = {"KILL"};
  ASSERT_EQ(rig.Get(), "a of 1");
  LoseACommand(rig);
  EXPECT_FALSE(rig.client.Settle(300));
  rig.server.forbidden = {};
  LoseACommand(rig);
  EXPECT_FALSE(rig.client.Settle(300)) << "the first one is open still";
  // With the process go all of them.
  rig.server.Restart();
  rig.network->Say(static_cast<std::int64_t>(rig.network->connections()), "+what\r\n");
  EXPECT_EQ(rig.Get(), "a of 1");
  EXPECT_TRUE(rig.client.Settle(300));
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
  EXPECT_FALSE(rig.client.Settle(300));
  info = Info("a name at last");
  EXPECT_FALSE(rig.client.Settle(300));
  rig.network->Say(static_cast<std::int64_t>(rig.network->connections()), "+what\r\n");
  ASSERT_EQ(rig.Get(), "a of 1");
  EXPECT_FALSE(rig.client.Settle(300));

  // Nor does one that says it no more show that it is another process.
  ClientRig other;
  ASSERT_EQ(other.Get(), "a of 1");
  other.play = [](std::uint16_t, const Words& command) -> std::optional<std::string> {
    if (command[0] == "INFO") return "-NOPERM no\r\n";
    return std::nullopt;
  };
  LoseACommand(other);
  EXPECT_FALSE(other.client.Settle(300));
}

}  // namespace
}  // namespace ffgrant::valkey::testing
