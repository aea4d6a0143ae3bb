// SPDX-License-Identifier: Apache-2.0
//
// A ledger on a cluster whose nodes freeze, cannot be reached, move, restart, fail
// over, give slots away, and leave for another cluster, in an order that a seed
// decides. Whatever happens: each call ends within its limit, and what FindClaim()
// says for good stays so, also once everything that was on its way has arrived.
//
//   FFGRANT_MOVING_SEEDS=1000 moving_cluster_test   # more of it; 20 without

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "ffgrant/execution_id.h"
#include "ffgrant/uuid_generator.h"
#include "ffgrant/valkey/valkey_ledger.h"
#include "testing/simulation/simulated_cluster.h"

namespace ffgrant::valkey::testing {
namespace {

constexpr std::int64_t kLimitMs = 500;
// A wait that finds something to do takes a millisecond here; several may be needed
// once the time is over.
constexpr std::int64_t kTickMs = 30;
constexpr int kCalls = 150;

class MovingWorld {
 public:
  explicit MovingWorld(std::uint64_t seed) : ids_(seed), random_(seed) {
    ValkeyLedgerOptions options;
    options.client.servers = {cluster_.node(0).address()};
    options.client.request_timeout_ms = options.client.connect_timeout_ms = kLimitMs;
    options.connections = 3;
    options.client.make_network = [this] {
      auto made = world_.NewNetwork();
      networks_.push_back(made.get());
      made->SetScript([this](Operation operation) { return Mischief(operation); });
      return made;
    };
    ledger_ = std::make_unique<ValkeyLedger>(options);
    ServerInfo server;
    EXPECT_TRUE(ledger_->Connect(server));
    healed_ = false;
  }

  void Run() {
    for (int i = 0; i < kCalls; ++i) {
      if (OneIn(3)) world_.At(world_.now() + After(60), [this] { Happen(); });
      OneLife();
      if (OneIn(4)) world_.Pass(After(300));
    }
    Heal();
    for (const Settled& settled : settled_) {
      const FoundClaim found = ledger_->FindClaim(settled.id.view(), settled.lease_id);
      EXPECT_NE(found.fate, ClaimFate::kHeld);
      EXPECT_NE(found.fate, ClaimFate::kEnded);
    }
    for (SimulatedServer* const stranger : strangers_) {
      EXPECT_EQ(stranger->function_calls, 0u) << "called on a server of somebody else's";
      EXPECT_TRUE(stranger->keys().Keys().empty());
    }
    // All is well again, and so are the calls.
    world_.Pass(2000);
    EXPECT_EQ(Create(MintedExecutionId(3, ids_.Next())), ClaimError::kNone);
  }

  std::size_t unknown() const { return unknown_; }
  std::size_t settled() const { return settled_.size(); }
  std::size_t claimed() const { return claimed_; }

 private:
  struct Settled {
    MintedExecutionId id;
    LeaseId lease_id;
  };

  std::uint64_t Upto(std::uint64_t bound) {
    return std::uniform_int_distribution<std::uint64_t>(0, bound - 1)(random_);
  }
  std::int64_t After(std::uint64_t bound) { return static_cast<std::int64_t>(Upto(bound)); }
  bool OneIn(std::uint64_t n) { return Upto(n) == 0; }

  template <class Call>
  auto Timed(const char* what, const Call& call) {
    const std::int64_t begin = world_.now();
    auto outcome = call();
    EXPECT_LE(world_.now() - begin, kLimitMs + kTickMs) << what;
    return outcome;
  }

  ClaimError Create(const MintedExecutionId& id) {
    return Timed(
               "create",
               [&] { return ledger_->CreateExecution({.execution_id = id.view(), .lane = lane_}); })
        .error;
  }

  void OneLife() {
    const MintedExecutionId id(static_cast<std::uint16_t>(Upto(256)), ids_.Next());
    if (Create(id) != ClaimError::kNone) return;
    const LeaseId lease_id = {ids_.Next()};
    const ClaimArgs args = {.execution_id = id.view(),
                            .worker = worker_,
                            .lane = lane_,
                            .lease_id = lease_id,
                            .lease_ttl_ms = 3'600'000,
                            .attempt_id = {ids_.Next()}};
    const bool fused = OneIn(2);
    if (!fused && !Timed("issue", [&] {
          return ledger_->IssueClaimGrant({.execution_id = id.view(),
                                           .worker = worker_,
                                           .lane = lane_,
                                           .grant_ttl_ms = 3'600'000});
        })) {
      return;
    }
    // Now something happens, at the worst moment.
    if (OneIn(3)) world_.At(world_.now() + After(4), [this] { Happen(); });
    const ClaimOutcome claim = Timed(
        "claim", [&] { return fused ? ledger_->IssueGrantAndClaim(args) : ledger_->Claim(args); });
    claimed_ += static_cast<bool>(claim);
    if (claim.error == ClaimError::kUnavailable) {
      settled_.push_back({id, lease_id});  // it did not happen, and never will
    } else if (claim.error == ClaimError::kUnknownOutcome) {
      ++unknown_;
      Settle(id, lease_id);
    }
  }

  void Settle(const MintedExecutionId& id, const LeaseId& lease_id) {
    for (int i = 0; i < 6; ++i) {
      const FoundClaim found =
          Timed("find", [&] { return ledger_->FindClaim(id.view(), lease_id); });
      if (found && found.fate != ClaimFate::kNotClaimed) return;
      if (found && found.final) {
        settled_.push_back({id, lease_id});
        return;
      }
      world_.Pass(200);
    }
  }

  // ---- what happens ----------------------------------------------------------------

  std::size_t AnyNode() { return Upto(cluster_.size()); }
  std::size_t AnyPrimary() { return cluster_.PrimaryOf(static_cast<std::uint16_t>(Upto(16384))); }
  std::int64_t Soon() { return world_.now() + 50 + After(1200); }

  // Connections break now and then, and for a while nothing that was sent arrives.
  Fault Mischief(Operation operation) {
    if (healed_) return {};
    if (operation == Operation::kRead && OneIn(400)) return {Fault::Kind::kReset};
    if (operation == Operation::kWrite && OneIn(400)) return {Fault::Kind::kReset};
    if (operation == Operation::kArrive) {
      if (OneIn(200)) held_until_ = world_.now() + After(1500);
      if (world_.now() < held_until_) return {Fault::Kind::kHold};
    }
    return {};
  }

  void Happen() {
    switch (Upto(7)) {
      case 0: {
        SimulatedServer& server = cluster_.node(AnyNode());
        world_.Freeze(server, true);
        world_.At(Soon(), [this, &server] { world_.Freeze(server, false); });
        return;
      }
      case 1: {
        SimulatedServer& server = cluster_.node(AnyNode());
        world_.CutOff(server, true);
        world_.At(Soon(), [this, &server] { world_.CutOff(server, false); });
        return;
      }
      case 2: {
        SimulatedServer& server = cluster_.node(AnyNode());
        const Endpoint old = server.address();
        ++moves_;
        world_.Move(
            server,
            {"10.1." + std::to_string(moves_ / 250) + "." + std::to_string(moves_ % 250), 6379},
            OneIn(2));
        // A new server gets the old address.
        if (OneIn(3)) strangers_.push_back(&world_.Start(old));
        world_.At(world_.now() + 20, [this] { cluster_.Gossip(); });
        return;
      }
      case 3:
      case 4: {
        const std::size_t from = AnyPrimary();
        const std::size_t to = AnyPrimary();
        if (from == to) return;
        MoveSlots(from, to);
        world_.At(world_.now() + 30, [this] { cluster_.Gossip(); });
        return;
      }
      case 5:
        FailOver();
        return;
      default: {
        SimulatedServer& server = cluster_.node(AnyNode());
        world_.Stop(server);
        world_.At(world_.now() + 20 + After(300), [this, &server] {
          world_.Restart(server, true);
          cluster_.Gossip();
        });
        return;
      }
    }
  }

  // Some of those that `from` has, in one piece.
  void MoveSlots(std::size_t from, std::size_t to) {
    std::uint32_t first = static_cast<std::uint32_t>(Upto(16384));
    while (cluster_.PrimaryOf(static_cast<std::uint16_t>(first)) != from) {
      first = (first + 1) % 16384;
    }
    std::uint32_t last = first;
    const std::uint64_t most = Upto(4000);
    while (last < 16383 && last - first < most &&
           cluster_.PrimaryOf(static_cast<std::uint16_t>(last + 1)) == from) {
      ++last;
    }
    cluster_.MoveSlots(static_cast<std::uint16_t>(first), static_cast<std::uint16_t>(last), from,
                       to);
  }

  void FailOver() {
    for (std::size_t i = 0; i < cluster_.size(); ++i) {
      const std::size_t replica = (i + Upto(cluster_.size())) % cluster_.size();
      if (!cluster_.node(replica).is_replica() || !world_.IsUp(cluster_.node(replica))) continue;
      const std::string primary_id = cluster_.state(replica).me().primary_id;
      for (std::size_t primary = 0; primary < cluster_.size(); ++primary) {
        if (cluster_.state(primary).my_id() != primary_id) continue;
        cluster_.Separate({primary});
      }
      (void)cluster_.Failover(replica);
      cluster_.Gossip();
      world_.At(Soon(), [this] { cluster_.Separate({}); });
      return;
    }
  }

  void Heal() {
    world_.Pass(5000);  // all that was to end has ended
    cluster_.Separate({});
    cluster_.Gossip();
    healed_ = true;
    for (ScriptedNetwork* const network : networks_) network->DeliverAll();
  }

  SimulatedWorld world_;
  SimulatedCluster cluster_{world_, {.primaries = 3, .replicas = 1}};
  std::vector<ScriptedNetwork*> networks_;
  std::unique_ptr<ValkeyLedger> ledger_;
  UuidGenerator ids_;
  std::mt19937_64 random_;
  const LaneIdView lane_ = ParseLaneId("main").lane;
  const WorkerIdentity worker_ = {{"w1"}, {"w1-i1"}};
  std::vector<SimulatedServer*> strangers_;
  std::vector<Settled> settled_;
  std::size_t unknown_ = 0;
  std::size_t claimed_ = 0;
  std::int64_t held_until_ = 0;
  bool healed_ = true;  // nothing goes wrong any more, or yet
  int moves_ = 0;
};

TEST(MovingCluster, EveryCallEndsInTimeAndWhatIsFinalStaysSo) {
  const char* const more = std::getenv("FFGRANT_MOVING_SEEDS");
  const std::uint64_t seeds = more == nullptr ? 20 : std::strtoull(more, nullptr, 10);
  std::size_t claimed = 0;
  std::size_t unknown = 0;
  std::size_t settled = 0;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    MovingWorld moving(seed);
    moving.Run();
    claimed += moving.claimed();
    unknown += moving.unknown();
    settled += moving.settled();
    if (HasFailure()) break;
  }
  std::printf("claims %zu, unknown outcomes %zu, not claimed for good %zu\n", claimed, unknown,
              settled);
  EXPECT_GT(claimed, seeds * kCalls / 4);
  EXPECT_GT(unknown, seeds / 4);
  EXPECT_GT(settled, seeds / 4);
}

}  // namespace
}  // namespace ffgrant::valkey::testing
