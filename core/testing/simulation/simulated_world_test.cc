// SPDX-License-Identifier: Apache-2.0
//
// Tests the client's calls, down to the shipped functions, and the things that a world can do to
// its servers meanwhile.

#include "testing/simulation/simulated_world.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "ffgrant/execution_id.h"
#include "ffgrant/uuid_generator.h"
#include "ffgrant/valkey/valkey_ledger.h"
#include "testing/simulation/simulated_cluster.h"

namespace ffgrant::valkey::testing {
namespace {

class Caller {
 public:
  Caller(SimulatedWorld& world, const Endpoint& server) : ids_(1) {
    ValkeyLedgerOptions options;
    options.client.servers = {server};
    options.client.request_timeout_ms = 500;
    options.client.make_network = [&world] { return world.NewNetwork(); };
    options.connections = 1;
    options.waitpoint_secret_hex = std::string(64, 'a');
    ledger = std::make_unique<ValkeyLedger>(options);
  }

  MintedExecutionId Create(std::uint16_t partition) {
    const MintedExecutionId id(partition, ids_.Next());
    EXPECT_TRUE(ledger->CreateExecution({.execution_id = id.view(), .lane = lane}));
    return id;
  }
  ClaimError Issue(const MintedExecutionId& id) {
    return ledger
        ->IssueClaimGrant(
            {.execution_id = id.view(), .worker = worker, .lane = lane, .grant_ttl_ms = 5000})
        .error;
  }
  ClaimOutcome Claim(const MintedExecutionId& id) {
    EXPECT_EQ(Issue(id), ClaimError::kNone);
    return ledger->Claim({.execution_id = id.view(),
                          .worker = worker,
                          .lane = lane,
                          .lease_id = {ids_.Next()},
                          .lease_ttl_ms = 5000,
                          .attempt_id = {ids_.Next()}});
  }

  // Leads one execution through most calls of the interface, and expects each call to succeed.
  void GoThrough(SimulatedWorld& world, std::uint16_t partition) {
    const MintedExecutionId id = Create(partition);
    ClaimOutcome claimed = Claim(id);
    ASSERT_TRUE(claimed);
    EXPECT_EQ(claimed.lease.fence.lease_epoch.value, 1u);
    EXPECT_TRUE(ledger->Renew({.execution_id = id.view(),
                               .attempt_index = {0},
                               .fence = claimed.lease.fence,
                               .lease_ttl_ms = 5000}));
    EXPECT_TRUE(ledger->Suspend({.execution_id = id.view(), .fence = claimed.lease.fence}));
    EXPECT_TRUE(ledger->Resume({.execution_id = id.view()}));
    EXPECT_EQ(Issue(id), ClaimError::kNone);
    claimed = ledger->ClaimResumed({.execution_id = id.view(),
                                    .worker = worker,
                                    .lane = lane,
                                    .lease_id = {ids_.Next()},
                                    .lease_ttl_ms = 10});
    ASSERT_TRUE(claimed);
    world.Pass(20);
    EXPECT_EQ(ledger->MarkLeaseExpiredIfDue(id.view()).already, AlreadySatisfied::kNo);
    claimed = Reclaim(id);
    ASSERT_TRUE(claimed);
    EXPECT_EQ(claimed.lease.fence.lease_epoch.value, 3u);
    EXPECT_TRUE(ledger->Revoke({.execution_id = id.view()}));
    claimed = Reclaim(id);
    ASSERT_TRUE(claimed);
    EXPECT_EQ(claimed.lease.attempt_index.value, 2u);
    const FoundClaim found = ledger->FindClaim(id.view(), claimed.lease.fence.lease_id);
    EXPECT_EQ(found.fate, ClaimFate::kHeld);
    EXPECT_TRUE(ledger->Complete({.execution_id = id.view(), .fence = claimed.lease.fence}));
    const auto state = ledger->Inspect(id.view());
    ASSERT_TRUE(state.has_value());
    EXPECT_EQ(state->terminal_outcome, "success");
    EXPECT_TRUE(state->in_terminal);
  }

  std::unique_ptr<ValkeyLedger> ledger;
  const LaneIdView lane = ParseLaneId("main").lane;
  const WorkerIdentity worker = {{"w1"}, {"w1-i1"}};

 private:
  ClaimOutcome Reclaim(const MintedExecutionId& id) {
    EXPECT_TRUE(ledger->IssueReclaimGrant(
        {.execution_id = id.view(), .worker = worker, .lane = lane, .grant_ttl_ms = 5000}));
    return ledger->Reclaim({.execution_id = id.view(),
                            .worker = worker,
                            .lane = lane,
                            .lease_id = {ids_.Next()},
                            .lease_ttl_ms = 5000,
                            .attempt_id = {ids_.Next()}});
  }

  UuidGenerator ids_;
};

class SimulatedWorldTest : public ::testing::Test {
 protected:
  SimulatedWorld world_;
  const Endpoint first_ = {"10.0.0.1", 6379};
  const Endpoint second_ = {"10.0.0.2", 6379};
};

TEST_F(SimulatedWorldTest, EveryCallReachesTheShippedFunctions) {
  SimulatedServer& server = world_.Start(first_);
  Caller caller(world_, first_);
  caller.GoThrough(world_, 7);
  EXPECT_GT(server.function_calls, 14u);
}

TEST_F(SimulatedWorldTest, EveryCallReachesTheFunctionsOfACluster) {
  SimulatedCluster cluster(world_, {.primaries = 3, .replicas = 1});
  Caller caller(world_, cluster.node(0).address());
  for (const int partition : {0, 1, 7})
    caller.GoThrough(world_, static_cast<std::uint16_t>(partition));
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_GT(cluster.node(i).function_calls, 14u) << i;
    cluster.node(3 + i).keys().SetNow(world_.now());
    EXPECT_EQ(cluster.node(i).keys().Dump(), cluster.node(3 + i).keys().Dump()) << i;
  }
}

TEST_F(SimulatedWorldTest, AFrozenServerExecutesLater) {
  SimulatedServer& server = world_.Start(first_);
  Caller caller(world_, first_);
  const MintedExecutionId id = caller.Create(7);
  world_.Freeze(server, true);
  const std::int64_t before = world_.now();
  EXPECT_EQ(caller.Issue(id), ClaimError::kUnknownOutcome);
  EXPECT_LE(world_.now() - before, 520);
  EXPECT_EQ(caller.Issue(id), ClaimError::kUnavailable);
  world_.At(world_.now() + 100, [&] { world_.Freeze(server, false); });
  EXPECT_NE(caller.Issue(id), ClaimError::kUnavailable);
}

TEST_F(SimulatedWorldTest, AServerThatIsCutOffIsWaitedFor) {
  SimulatedServer& server = world_.Start(first_);
  world_.CutOff(server, true);
  Caller caller(world_, first_);
  world_.At(world_.now() + 200, [&] { world_.CutOff(server, false); });
  (void)caller.Create(7);
  EXPECT_GT(server.function_calls, 0u);
}

TEST_F(SimulatedWorldTest, ARestartedProcessIsReachedAgain) {
  SimulatedServer& server = world_.Start(first_);
  Caller caller(world_, first_);
  const MintedExecutionId id = caller.Create(7);
  world_.Stop(server);
  EXPECT_EQ(caller.Issue(id), ClaimError::kUnavailable);
  world_.Restart(server, true);
  EXPECT_EQ(caller.Issue(id), ClaimError::kNone);
  const std::string run_id = server.run_id();
  world_.Stop(server);
  world_.Restart(server, false);
  EXPECT_NE(server.run_id(), run_id);
  EXPECT_EQ(caller.Issue(id), ClaimError::kExecutionNotFound);
}

TEST_F(SimulatedWorldTest, AnotherServerMayListenAtTheSameAddress) {
  SimulatedServer& server = world_.Start(first_);
  Caller caller(world_, first_);
  const MintedExecutionId id = caller.Create(7);
  world_.Move(server, second_, true);
  SimulatedServer& other = world_.Start(first_);
  EXPECT_EQ(caller.Issue(id), ClaimError::kExecutionNotFound);
  EXPECT_GT(other.function_calls, 0u);
  EXPECT_NE(other.run_id(), server.run_id());
}

TEST_F(SimulatedWorldTest, EventsHappenInTheirOrderAndAtTheirTime) {
  std::string order;
  world_.At(world_.now() + 20, [&] { order += 'c'; });
  world_.At(world_.now() + 10, [&] {
    order += 'a';
    world_.At(world_.now() + 5, [&] { order += 'b'; });
  });
  world_.Pass(9);
  EXPECT_EQ(order, "");
  world_.Pass(100);
  EXPECT_EQ(order, "abc");
}

}  // namespace
}  // namespace ffgrant::valkey::testing
