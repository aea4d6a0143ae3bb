// SPDX-License-Identifier: Apache-2.0
//
// Tests the client with a cluster of three primaries, whose slots move.

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "ffgrant/hash_slot.h"
#include "ffgrant/valkey/claim_pipeline.h"
#include "testing/live/live_server.h"

namespace ffgrant::valkey::testing {
namespace {

class ClusterServer : public LiveServer {
 protected:
  ClusterServer() : nodes_(Split(Variable("FFGRANT_CLUSTER"))) {
    EXPECT_EQ(nodes_.size(), 3u);
    for (const std::string& node : nodes_) {
      admins_.push_back(std::make_unique<Operator>(node));
      ids_.push_back(admins_.back()->Do({"CLUSTER", "MYID"}));
    }
  }
  std::string Port(std::size_t node) const {
    return nodes_[node].substr(nodes_[node].rfind(':') + 1);
  }
  // Returns the index of the first node that does not redirect a read of `slot` to another node.
  std::size_t OwnerOf(std::uint16_t slot) {
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      const std::string reply = admins_[i]->Do({"GET", KeyIn(slot)});
      if (!reply.starts_with("MOVED")) return i;
    }
    ADD_FAILURE() << "no node owns slot " << slot;
    return 0;
  }
  std::string KeyIn(std::uint16_t slot) const {
    for (std::uint16_t p = 0; p < 256; ++p) {
      if (HashSlot(Partition{PartitionFamily::kExecution, p}) == slot) {
        return "{fp:" + std::to_string(p) + "}";
      }
    }
    return "";
  }
  void Announce(std::uint16_t slot, std::size_t from, std::size_t to) {
    const std::string text = std::to_string(slot);
    EXPECT_EQ(admins_[to]->Do({"CLUSTER", "SETSLOT", text, "IMPORTING", ids_[from]}), "OK");
    EXPECT_EQ(admins_[from]->Do({"CLUSTER", "SETSLOT", text, "MIGRATING", ids_[to]}), "OK");
  }
  void MoveKeys(std::uint16_t slot, std::size_t from, std::size_t to) {
    const std::string text = std::to_string(slot);
    for (;;) {
      std::string keys = admins_[from]->Do({"CLUSTER", "GETKEYSINSLOT", text, "100"});
      if (keys.empty()) return;
      std::vector<std::string> command = {"MIGRATE", "127.0.0.1", Port(to), "",
                                          "0",       "5000",      "KEYS"};
      for (std::size_t space = 0; !keys.empty(); keys.erase(0, space + 1)) {
        space = std::min(keys.find(' '), keys.size());
        command.push_back(keys.substr(0, space));
        if (space == keys.size()) break;
      }
      EXPECT_EQ(admins_[from]->Do(command), "OK");
    }
  }
  void Assign(std::uint16_t slot, std::size_t to) {
    for (const std::size_t node : {to, std::size_t{0}, std::size_t{1}, std::size_t{2}}) {
      admins_[node]->Do({"CLUSTER", "SETSLOT", std::to_string(slot), "NODE", ids_[to]});
    }
  }

  std::vector<std::string> nodes_;
  std::vector<std::unique_ptr<Operator>> admins_;
  std::vector<std::string> ids_;
};

TEST_F(ClusterServer, EveryPartitionIsReachedThroughOneNode) {
  ClaimPipeline pipeline(Where());
  std::vector<MintedExecutionId> ids;
  for (std::uint16_t p = 0; p < 256; ++p) ids.emplace_back(p, RandomUuid());
  std::size_t created = 0;
  std::size_t sent = 0;
  while (created < 256) {
    while (sent < 256 &&
           pipeline.SubmitCreate({.execution_id = ids[sent].view(), .lane = lane_}, "", sent)) {
      ++sent;
    }
    for (const auto& done : pipeline.Poll(1000)) {
      ASSERT_TRUE(done) << ErrorName(done.error) << " " << pipeline.last_error();
      ++created;
    }
  }
  EXPECT_EQ(pipeline.redirections(), 0u) << "the map was known before the first call";
  // All three primaries have the library and some of the executions. The number of connects is not
  // fixed: the client leaves a server that is slow to greet, and tries it again.
  std::vector<int> found(admins_.size());
  for (std::uint16_t p = 0; p < 256; ++p) {
    EXPECT_TRUE(ledger_.Inspect(ids[p].view())) << p;
    const std::string tag = "{fp:" + std::to_string(p) + "}";
    const std::string key = "ff:exec:" + tag + ":" + std::string(ids[p].text()) + ":core";
    for (std::size_t i = 0; i < admins_.size(); ++i) {
      found[i] += admins_[i]->Do({"EXISTS", key}) == "1" ? 1 : 0;
    }
  }
  EXPECT_EQ(found[0] + found[1] + found[2], 256);
  for (const int count : found) EXPECT_GT(count, 0);
}

// A cluster does not spread functions, so some of its nodes may have FlowFabric's functions and
// others not.
TEST_F(ClusterServer, EachPrimaryHasItsOwnFunctions) {
  ServerInfo server;
  ASSERT_TRUE(ledger_.Connect(server));
  for (const auto& admin : admins_) {
    EXPECT_EQ(admin->Do({"FCALL", "ffgrant_version", "0"}), kFunctionLibraryVersion);
  }
  EXPECT_EQ(admins_[0]->Do({"FUNCTION", "LOAD", FlowFabricStandIn()}), "flowfabric");
  EXPECT_EQ(admins_[0]->Do({"FUNCTION", "DELETE", "ffgrant"}), "OK");
  EXPECT_EQ(admins_[1]->Do({"FUNCTION", "FLUSH"}), "OK");
  for (const bool is_new : {false, true}) {
    ValkeyLedger other({.client = Where()});
    ValkeyLedger& ledger = is_new ? other : ledger_;
    if (is_new) {
      EXPECT_TRUE(ledger.Connect(server));
    }
    for (std::uint16_t p = 0; p < 256; p += 5) {
      const MintedExecutionId id(p, RandomUuid());
      ASSERT_TRUE(ledger.CreateExecution({.execution_id = id.view(), .lane = lane_})) << p;
    }
  }
  EXPECT_EQ(admins_[0]->Do({"FUNCTION", "LIST", "LIBRARYNAME", "ffgrant"}), "");
  EXPECT_EQ(admins_[1]->Do({"FUNCTION", "LIST", "LIBRARYNAME", "flowfabric"}), "");
  EXPECT_EQ(admins_[0]->Do({"FUNCTION", "FLUSH"}), "OK");
}

TEST_F(ClusterServer, AMovedSlotIsFollowed) {
  constexpr std::uint16_t kPartition = 11;
  const std::uint16_t slot = HashSlot(Partition{PartitionFamily::kExecution, kPartition});
  const MintedExecutionId id = Create(kPartition);
  const std::size_t from = OwnerOf(slot);
  const std::size_t to = (from + 1) % 3;
  Announce(slot, from, to);
  MoveKeys(slot, from, to);
  Assign(slot, to);
  ASSERT_TRUE(Issue(id));
  ASSERT_TRUE(ledger_.Claim(ArgsFor(id)));
  EXPECT_TRUE(ledger_.Inspect(id.view())->in_active);
  // The slot moves back, and its new home has no library.
  Announce(slot, to, from);
  MoveKeys(slot, to, from);
  Assign(slot, from);
  EXPECT_EQ(admins_[from]->Do({"FUNCTION", "FLUSH"}), "OK");
  EXPECT_EQ(ledger_.Claim(ArgsFor(id)).error, ClaimError::kExecutionNotLeaseable);
}

TEST_F(ClusterServer, AskedElsewhereWhileASlotIsUnderWay) {
  constexpr std::uint16_t kPartition = 12;
  const std::uint16_t slot = HashSlot(Partition{PartitionFamily::kExecution, kPartition});
  const MintedExecutionId id = Create(kPartition);
  ASSERT_TRUE(Issue(id));
  const std::size_t from = OwnerOf(slot);
  const std::size_t to = (from + 1) % 3;
  Announce(slot, from, to);
  MoveKeys(slot, from, to);
  // The keys are on the new node, but the slot still belongs to the old one. Reads of one key are
  // redirected to the new node by ASK; calls that also name keys which don't exist yet are answered
  // with TRYAGAIN.
  const auto state = ledger_.Inspect(id.view());
  ASSERT_TRUE(state);
  EXPECT_TRUE(state->has_grant);
  std::thread finisher([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    Assign(slot, to);
  });
  const auto begin = std::chrono::steady_clock::now();
  const ClaimOutcome claim = ledger_.Claim(ArgsFor(id));
  const auto took = std::chrono::steady_clock::now() - begin;
  finisher.join();
  EXPECT_TRUE(claim) << ErrorName(claim.error);
  EXPECT_GE(took, std::chrono::milliseconds(100)) << "claimed before the slot was stable";
}

}  // namespace
}  // namespace ffgrant::valkey::testing
