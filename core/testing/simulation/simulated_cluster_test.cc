// SPDX-License-Identifier: Apache-2.0

#include "testing/simulation/simulated_cluster.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "testing/simulation/server_console.h"

namespace ffgrant::valkey::testing {
namespace {

class SimulatedClusterTest : public ::testing::Test {
 protected:
  explicit SimulatedClusterTest(std::size_t replicas = 1)
      : cluster_(world_, {.primaries = 3, .replicas = replicas}) {}

  // Returns what node i answers on a fresh connection, after the commands `before`.
  std::string Do(std::size_t i, const std::vector<std::string>& command,
                 const std::vector<std::vector<std::string>>& before = {}) {
    ServerConsole console(cluster_.node(i), ++clients_);
    console.now_ms = world_.now();
    for (const auto& first : before) console.Do(first);
    return console.Do(command);
  }
  std::string Address(std::size_t i) {
    const Endpoint& at = cluster_.node(i).address();
    return at.host + ":" + std::to_string(at.port);
  }

  SimulatedWorld world_;
  SimulatedCluster cluster_;
  std::int64_t clients_ = 1000;
  // Two keys of one slot in the middle third, which belongs to node 1.
  const std::string key_ = "{fp:1}:a";
  const std::string key2_ = "{fp:1}:b";
  const std::uint16_t slot_ = SlotOf(key_);
};

TEST_F(SimulatedClusterTest, CommandsAreSentToTheOwnerOfTheirSlot) {
  ASSERT_EQ(cluster_.PrimaryOf(slot_), 1u);
  EXPECT_EQ(Do(1, {"SET", key_, "v"}), "+OK");
  const std::string moved = "-MOVED " + std::to_string(slot_) + " " + Address(1);
  EXPECT_EQ(Do(0, {"GET", key_}), moved);
  EXPECT_EQ(Do(0, {"FCALL", "f", "1", key_}), moved);
  EXPECT_EQ(Do(4, {"GET", key_}), moved);
  EXPECT_EQ(Do(4, {"GET", key_}, {{"READONLY"}}), "v");
  EXPECT_EQ(Do(4, {"SET", key_, "v"}, {{"READONLY"}}), moved);
  EXPECT_EQ(Do(1, {"DEL", key_, "{fp:12}:a"}),
            "-CROSSSLOT Keys in request don't hash to the same slot");
  EXPECT_EQ(Do(1, {"CLUSTER", "KEYSLOT", key_}), ":" + std::to_string(slot_));
}

TEST_F(SimulatedClusterTest, NodesTellWhoHasWhichSlots) {
  const std::string slots = Do(2, {"CLUSTER", "SLOTS"});
  EXPECT_NE(slots.find("[:0, :5460, [10.0.0.1, :6379, " + cluster_.state(0).my_id()),
            std::string::npos)
      << slots;
  EXPECT_NE(slots.find("[:5461, :10921, [10.0.0.2, :6379, "), std::string::npos) << slots;
  EXPECT_EQ(Do(1, {"CLUSTER", "MYID"}), cluster_.state(1).my_id());
  const std::string nodes = Do(1, {"CLUSTER", "NODES"});
  EXPECT_NE(nodes.find("myself,master - 0 0 2 connected 5461-10921\n"), std::string::npos) << nodes;
  const std::string shards = Do(1, {"CLUSTER", "SHARDS"});
  EXPECT_NE(shards.find("[slots, [:5461, :10921], nodes, [[id, "), std::string::npos) << shards;
  cluster_.state(1).told_hosts[cluster_.state(0).my_id()] = "?";
  EXPECT_EQ(Do(1, {"GET", "{fp:7}:x"}).substr(0, 6), "-MOVED");
  EXPECT_TRUE(Do(1, {"GET", "{fp:7}:x"}).ends_with(" ?:6379")) << Do(1, {"GET", "{fp:7}:x"});
}

TEST_F(SimulatedClusterTest, AMigratingSlotAsks) {
  Do(1, {"SET", key_, "v"});
  cluster_.BeginMigration(slot_, 1, 2);
  const std::string slot = std::to_string(slot_);
  EXPECT_EQ(Do(1, {"GET", key_}), "v");
  EXPECT_EQ(Do(1, {"GET", key2_}), "-ASK " + slot + " " + Address(2));
  EXPECT_EQ(Do(1, {"DEL", key_, key2_}),
            "-TRYAGAIN Multiple keys request during rehashing of slot");
  EXPECT_EQ(Do(2, {"GET", key2_}), "-MOVED " + slot + " " + Address(1));
  EXPECT_EQ(Do(2, {"SET", key2_, "w"}, {{"ASKING"}}), "+OK");
  // ASKING holds for one command only.
  EXPECT_EQ(Do(2, {"GET", key2_}, {{"ASKING"}, {"PING"}}), "-MOVED " + slot + " " + Address(1));
  EXPECT_EQ(Do(2, {"DEL", key_, key2_}, {{"ASKING"}}),
            "-TRYAGAIN Multiple keys request during rehashing of slot");
  cluster_.MigrateKey(key_, 1, 2);
  EXPECT_EQ(Do(1, {"GET", key_}), "-ASK " + slot + " " + Address(2));
  EXPECT_EQ(Do(2, {"GET", key_}, {{"ASKING"}}), "v");
  cluster_.FinishMigration(slot_, 1, 2);
  cluster_.Gossip();
  EXPECT_EQ(Do(2, {"GET", key2_}), "w");
  EXPECT_EQ(Do(0, {"GET", key_}), "-MOVED " + slot + " " + Address(2));
  EXPECT_EQ(Do(1, {"GET", key_}), "-MOVED " + slot + " " + Address(2));
}

TEST_F(SimulatedClusterTest, AScriptThatReachesForAKeyThatHasMovedFails) {
  Do(1, {"FUNCTION", "LOAD",
         "#!lua name=t\nredis.register_function('f', function(keys, args)\n"
         "redis.call('SET', keys[1], 'half') return redis.call('GET', args[1]) end)"});
  Do(1, {"SET", key_, "v"});
  Do(1, {"SET", key2_, "v"});
  EXPECT_EQ(Do(1, {"FCALL", "f", "1", key_, key2_}), "v");
  cluster_.BeginMigration(slot_, 1, 2);
  cluster_.MigrateKey(key2_, 1, 2);
  EXPECT_EQ(Do(1, {"FCALL", "f", "1", key_, key2_}),
            "-ERR Script attempted to access a non local key in a cluster node script: on "
            "@user_function:3.");
  EXPECT_EQ(Do(1, {"GET", key_}), "half");
  EXPECT_EQ(Do(1, {"FCALL", "f", "1", key_, "{fp:7}:x"}),
            "-ERR Script attempted to access a non local key in a cluster node script: on "
            "@user_function:3.");
}

TEST_F(SimulatedClusterTest, AReplicaTakesOverWithoutTheLastWrites) {
  Do(1, {"SET", key_, "first"});
  cluster_.node(4).SetLinkOpen(false);
  Do(1, {"SET", key_, "last"});
  world_.Stop(cluster_.node(1));
  cluster_.Gossip();
  EXPECT_EQ(Do(0, {"GET", "{fp:7}:x"}), "-CLUSTERDOWN The cluster is down");
  EXPECT_EQ(cluster_.Failover(4), 1u);
  cluster_.Gossip();
  EXPECT_EQ(cluster_.PrimaryOf(slot_), 4u);
  EXPECT_EQ(Do(4, {"GET", key_}), "first");
  EXPECT_EQ(Do(0, {"GET", key_}), "-MOVED " + std::to_string(slot_) + " " + Address(4));
  world_.Restart(cluster_.node(1), true);
  cluster_.Gossip();
  EXPECT_TRUE(cluster_.node(1).is_replica());
  EXPECT_EQ(Do(1, {"GET", key_}, {{"READONLY"}}), "first");
  EXPECT_EQ(cluster_.Failover(1, true), 0u);
}

TEST_F(SimulatedClusterTest, MostPrimariesElectAReplica) {
  EXPECT_FALSE(cluster_.WinsElection(4)) << "its primary has not failed";
  cluster_.Separate({1});
  EXPECT_TRUE(cluster_.WinsElection(4));
  EXPECT_FALSE(cluster_.WinsElection(0)) << "it is a primary";
  world_.Stop(cluster_.node(2));
  EXPECT_FALSE(cluster_.WinsElection(4)) << "one of three primaries votes";
  world_.Restart(cluster_.node(2), true);
  EXPECT_TRUE(cluster_.WinsElection(4));
  cluster_.Separate({1, 4});
  EXPECT_FALSE(cluster_.WinsElection(4)) << "the voters can't talk to it";
}

TEST_F(SimulatedClusterTest, NobodyElectsAReplicaThatClaimsASlotOfSomebodyNewer) {
  cluster_.Separate({4});
  cluster_.MoveSlots(slot_, slot_, 1, 2);
  cluster_.Gossip();
  cluster_.Separate({1});
  ASSERT_TRUE(cluster_.WinsElection(4));
  cluster_.state(4).Give(slot_, cluster_.state(1).my_id());
  EXPECT_FALSE(cluster_.WinsElection(4));
}

TEST_F(SimulatedClusterTest, AShardThatGivesItsLastSlotAwayFollows) {
  Do(1, {"SET", key_, "v"});
  cluster_.MoveSlots(5461, 10'000, 1, 2);
  EXPECT_FALSE(cluster_.node(1).is_replica());
  cluster_.MoveSlots(10'001, 10'921, 1, 2);
  for (const std::size_t i : {1u, 4u, 5u}) {
    EXPECT_EQ(cluster_.state(i).me().primary_id, cluster_.state(2).my_id()) << i;
    EXPECT_EQ(Do(i, {"GET", key_}, {{"READONLY"}}), "v") << i;
  }
}

TEST_F(SimulatedClusterTest, BothSidesOfASplitMaySayThatTheyOwnASlot) {
  cluster_.Separate({1});
  EXPECT_EQ(Do(1, {"SET", key_, "v"}), "-CLUSTERDOWN The cluster is down");
  // Until the node has found out that it is cut off, it still takes writes, and these writes are
  // lost.
  cluster_.state(1).down = false;
  EXPECT_EQ(Do(1, {"SET", key_, "lost"}), "+OK");
  EXPECT_EQ(cluster_.Failover(4), 1u);
  cluster_.Gossip();
  EXPECT_EQ(Do(4, {"SET", key_, "kept"}), "+OK");
  EXPECT_EQ(Do(1, {"CLUSTER", "MYID"}), cluster_.state(1).my_id());
  cluster_.Separate({});
  EXPECT_TRUE(cluster_.node(1).is_replica());
  EXPECT_EQ(Do(1, {"GET", key_}, {{"READONLY"}}), "kept");
}

// The former primary rejoins a part of the cluster. This part has heard of the former primary's
// heir, the new primary, but cannot reach the heir.
TEST_F(SimulatedClusterTest, AFormerPrimaryHearsOfItsHeirFromOthers) {
  cluster_.Separate({1});
  EXPECT_EQ(cluster_.Failover(4), 0u);
  cluster_.Gossip();
  cluster_.Separate({4, 5});
  EXPECT_TRUE(cluster_.node(1).is_replica());
  EXPECT_EQ(Do(1, {"SET", key_, "v"}), "-CLUSTERDOWN The cluster is down");
  cluster_.Separate({});
  EXPECT_EQ(Do(1, {"SET", key_, "v"}), "-MOVED " + std::to_string(slot_) + " " + Address(4));
}

// The former primary (node 4) cannot talk to its heir (node 1) while the heir becomes its replica.
// Then the heir takes over, and is down when the former primary returns.
TEST_F(SimulatedClusterTest, AFormerPrimaryHearsOfAnHeirWhoseRoleItDidNotKnow) {
  cluster_.Separate({1});
  EXPECT_EQ(cluster_.Failover(4), 0u);
  cluster_.Gossip();
  cluster_.Separate({1, 2});
  ASSERT_TRUE(cluster_.node(1).is_replica());
  cluster_.Separate({4});
  EXPECT_EQ(cluster_.Failover(1), 0u);
  cluster_.Gossip();
  world_.Stop(cluster_.node(1));
  cluster_.Separate({});
  EXPECT_TRUE(cluster_.node(4).is_replica());
  EXPECT_EQ(cluster_.state(4).OwnerId(slot_), cluster_.state(1).my_id());
}

// Node 1 gives the slot away and gets a newer epoch with another slot. Node 0 hears of the newer
// epoch, but not of the slot's new owner.
TEST_F(SimulatedClusterTest, ANewEpochOfAFormerOwnerIsNoClaim) {
  cluster_.Separate({2, 5});
  cluster_.MoveSlots(slot_, slot_, 1, 2);
  cluster_.MoveSlots(0, 0, 0, 1);
  cluster_.Gossip();
  EXPECT_EQ(cluster_.state(0).OwnerId(slot_), cluster_.state(1).my_id());
  cluster_.Separate({});
  for (std::size_t i = 0; i < cluster_.size(); ++i) {
    EXPECT_EQ(cluster_.state(i).OwnerId(slot_), cluster_.state(2).my_id()) << i;
  }
  EXPECT_EQ(cluster_.state(2).OwnerId(0), cluster_.state(1).my_id());
}

// Node 1 returns with a slot of its own that its heir does not have, so it stays a primary.
TEST_F(SimulatedClusterTest, APrimaryDeletesTheKeysOfSlotsThatItHasLost) {
  Do(1, {"SET", key_, "v"});
  cluster_.Separate({1});
  cluster_.state(1).Take(0, 0);
  cluster_.state(1).me().epoch = 10;
  EXPECT_EQ(cluster_.Failover(4), 0u);
  cluster_.state(4).me().epoch = 11;
  Do(4, {"DEL", key_});
  cluster_.Separate({});
  EXPECT_FALSE(cluster_.node(1).is_replica());
  EXPECT_TRUE(cluster_.node(1).keys().Keys().empty());
}

TEST_F(SimulatedClusterTest, ANodeThatHasLeftKnowsNobody) {
  SimulatedServer& gone = cluster_.Remove(1);
  EXPECT_EQ(cluster_.size(), 5u);
  EXPECT_EQ(Do(0, {"GET", key_}), "-CLUSTERDOWN Hash slot not served");
  ServerConsole console(gone, 1);
  EXPECT_EQ(console.Do({"CLUSTER", "SLOTS"}), "[]");
  EXPECT_EQ(console.Do({"GET", key_}), "-CLUSTERDOWN Hash slot not served");

  SimulatedCluster other(world_, {.primaries = 2, .network = "10.1.0."});
  const std::size_t number = other.Add(gone);
  other.Gossip();
  other.MoveSlots(0, 100, 0, number);
  other.Gossip();
  const std::string slots = console.Do({"CLUSTER", "SLOTS"});
  EXPECT_NE(slots.find("10.1.0.2"), std::string::npos) << slots;
  EXPECT_EQ(slots.find("10.0.0.1"), std::string::npos) << slots;
  EXPECT_EQ(other.PrimaryOf(50), number);
}

TEST_F(SimulatedClusterTest, SlotsMoveWithTheirKeys) {
  Do(1, {"SET", key_, "v", "PX", "5000"});
  cluster_.MoveSlots(slot_, slot_, 1, 0);
  cluster_.Gossip();
  EXPECT_EQ(Do(0, {"GET", key_}), "v");
  EXPECT_EQ(Do(0, {"PTTL", key_}), ":5000");
  EXPECT_EQ(Do(1, {"GET", key_}), "-MOVED " + std::to_string(slot_) + " " + Address(0));
  // Node 3 is node 0's replica.
  EXPECT_EQ(Do(3, {"GET", key_}, {{"READONLY"}}), "v");
}

}  // namespace
}  // namespace ffgrant::valkey::testing
