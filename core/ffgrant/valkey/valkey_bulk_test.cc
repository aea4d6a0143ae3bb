// SPDX-License-Identifier: Apache-2.0
//
// Tests batches in which some calls fail, and the expiries of the grants that a batch issues.

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "ffgrant/hash_slot.h"
#include "ffgrant/uuid_generator.h"
#include "testing/simulation/scripted_ledger.h"

namespace ffgrant::valkey::testing {
namespace {

using Way = ScriptedLedger::Way;

// ---- batches -----------------------------------------------------------------------

class Batches : public ::testing::Test {
 protected:
  explicit Batches(std::size_t size = 40) : ways_(WaysInOrder(size)) {
    for (const Way& way : ways_) {
      rig_.Create(way);
      issues_.push_back(rig_.IssueArgs(way));
      claims_.push_back(rig_.ArgsFor(way));
    }
    // Each outcome begins as an earlier call may have left it.
    IssueOutcome used;
    used.error = ClaimError::kLedgerFull;
    used.expires_at = {1};
    issued_.assign(size, used);
    ClaimOutcome claimed;
    claimed.error = ClaimError::kLedgerFull;
    claimed_.assign(size, claimed);
    rig_.commands.clear();
  }

  // Whether `function` was executed for the execution at `i`.
  bool Executed(const std::string& function, std::size_t i) const {
    return rig_.server.Executions(function, std::string(ways_[i].execution.text())) != 0;
  }

  ScriptedLedger rig_;
  const std::vector<Way> ways_;
  std::vector<IssueGrantArgs> issues_;
  std::vector<ClaimArgs> claims_;
  std::vector<IssueOutcome> issued_;
  std::vector<ClaimOutcome> claimed_;
};

TEST_F(Batches, EachCallHasItsOwnEnd) {
  issues_[3].grant_ttl_ms = kMaxTtlMs + 1;
  issues_[5].execution_id = UnaskedId(kUnaskedIds[0]);
  const Way unknown(1000);
  issues_[7].execution_id = claims_[7].execution_id = unknown.execution.view();
  claims_[3].lease_ttl_ms = -kMaxTtlMs - 1;
  claims_[5].execution_id = UnaskedId(kUnaskedIds[1]);
  rig_.ledger->IssueClaimGrants(issues_, issued_);
  for (ClaimOutcome& before : claimed_) before.lease.fence.lease_epoch = {42};
  rig_.ledger->ClaimBatch(claims_, claimed_);
  for (std::size_t i = 0; i < issues_.size(); ++i) {
    const ClaimError expected = i == 3             ? ClaimError::kInvalidInput
                                : i == 5 || i == 7 ? ClaimError::kExecutionNotFound
                                                   : ClaimError::kNone;
    EXPECT_EQ(issued_[i].error, expected) << i;
    EXPECT_EQ(issued_[i].expires_at, TimestampMs{expected == ClaimError::kNone ? 9000 : 0}) << i;
    EXPECT_EQ(claimed_[i].error, expected) << i;
    EXPECT_EQ(
        claimed_[i].lease.fence,
        claimed_[i] ? (LeaseFence{ways_[i].lease_id, {1}, ways_[i].attempt_id}) : LeaseFence{})
        << i;
  }
}

TEST_F(Batches, WhatIsNotAnsweredIsUnknownAndWhatIsRefusedDidNotHappen) {
  rig_.ledger->IssueClaimGrants({&issues_[20], 20}, {&issued_[20], 20});
  struct Half {
    std::string function;
    std::size_t at;
    std::function<void(std::size_t)> run;  // runs the four calls of the batch from this place on
    std::function<ClaimError(std::size_t)> error;
  };
  const Half kHalves[] = {
      {"ff_issue_claim_grant", 0,
       [&](std::size_t i) {
         rig_.ledger->IssueClaimGrants({&issues_[i], 4}, {&issued_[i], 4});
       },
       [&](std::size_t i) { return issued_[i].error; }},
      {"ff_claim_execution", 20,
       [&](std::size_t i) {
         rig_.ledger->ClaimBatch({&claims_[i], 4}, {&claimed_[i], 4});
       },
       [&](std::size_t i) { return claimed_[i].error; }},
  };
  for (const Half& half : kHalves) {
    const std::size_t at = half.at;
    const auto expect = [&](std::size_t first, const std::vector<ClaimError>& errors) {
      for (std::size_t i = 0; i < errors.size(); ++i) {
        EXPECT_EQ(half.error(at + first + i), errors[i]) << half.function << first + i;
        EXPECT_TRUE(errors[i] != ClaimError::kNone || Executed(half.function, at + first + i));
      }
    };
    constexpr ClaimError kOk = ClaimError::kNone;
    constexpr ClaimError kUnknown = ClaimError::kUnknownOutcome;
    rig_.Answer(half.function, "-NOPERM no permissions\r\n", 1, 1);
    half.run(at);
    expect(0, {kOk, ClaimError::kUnavailable, kOk, kOk});
    // All commands that are under way on a connection are lost with the connection.
    rig_.Restore();
    rig_.Silence(half.function, 1, 1);
    half.run(at + 4);
    expect(4, {kOk, kUnknown, kUnknown, kUnknown});
    rig_.Restore();
    rig_.Answer(half.function, "+OK\r\n", 2, 1);
    half.run(at + 8);
    expect(8, {kOk, kOk, kUnknown, kUnknown});
    rig_.Restore();
    rig_.unplugged = true;
    half.run(at + 12);
    expect(12, std::vector<ClaimError>(4, ClaimError::kUnavailable));
    rig_.unplugged = false;
    half.run(at + 16);
    expect(16, std::vector<ClaimError>(4, kOk));
  }
  for (std::size_t i = 0; i < 20; ++i) {
    EXPECT_EQ(issued_[i].expires_at.value, issued_[i] ? 9000 : 0) << i;
  }
}

TEST_F(Batches, ExpiriesAreThoseThatAreStoredOrElseTheServersTimeAndTheTtl) {
  const std::string kTime = Array({Bulk("1700000000"), Bulk("0")});
  constexpr std::int64_t kReckoned = 1'700'000'005'000;
  struct Case {
    std::string reply;
    std::int64_t expires_at;
  };
  const Case kCases[] = {
      {Bulk("1700000000001"), 1'700'000'000'001},
      {kNil, kReckoned},
      {kFault, kReckoned},
      {"-NOPERM no permissions\r\n", kReckoned},
      {Bulk("soon"), kReckoned},
      {":1700000000001\r\n", kReckoned},
      {"+1700000000001\r\n", kReckoned},
      {"*0\r\n", kReckoned},
  };
  for (std::size_t i = 0; i < std::size(kCases); ++i) {
    rig_.Restore();
    rig_.Answer("TIME", kTime);
    rig_.Answer("grant_expires_at", kCases[i].reply);
    rig_.ledger->IssueClaimGrants({&issues_[2 * i], 2}, {&issued_[2 * i], 2});
    for (const std::size_t place : {2 * i, 2 * i + 1}) {
      EXPECT_EQ(issued_[place].error, ClaimError::kNone) << kCases[i].reply;
      EXPECT_EQ(issued_[place].expires_at, TimestampMs{kCases[i].expires_at}) << kCases[i].reply;
    }
  }
  // Neither the expiry nor the time can be read.
  rig_.Restore();
  rig_.Answer("TIME", kFault);
  rig_.Answer("grant_expires_at", kNil);
  rig_.ledger->IssueClaimGrants({&issues_[30], 2}, {&issued_[30], 2});
  EXPECT_EQ(issued_[30].error, ClaimError::kNone);
  EXPECT_EQ(issued_[30].expires_at, TimestampMs{0});
  // A grant that was not issued gets no expiry.
  rig_.Restore();
  rig_.Answer("TIME", kTime);
  rig_.ledger->IssueClaimGrants({&issues_[30], 1}, {&issued_[30], 1});
  EXPECT_EQ(issued_[30].error, ClaimError::kGrantAlreadyExists);
  EXPECT_EQ(issued_[30].expires_at, TimestampMs{0});
}

// The server refuses the grant for now. Meanwhile it answers the read that follows, with the expiry
// of a grant that somebody else holds at that moment.
TEST_F(Batches, AGrantThatHadToWaitHasNotTheExpiryOfAnotherGrant) {
  rig_.server.refusals = {"TRYAGAIN Multiple keys request"};
  rig_.Answer("grant_expires_at", Bulk("1800000000000"), 0, 1);
  rig_.Answer("TIME", Array({Bulk("1700000000"), Bulk("0")}));
  rig_.ledger->IssueClaimGrants({issues_.data(), 2}, {issued_.data(), 2});
  EXPECT_EQ(issued_[0].error, ClaimError::kNone);
  EXPECT_EQ(issued_[0].expires_at, TimestampMs{1'700'000'005'000}) << "by the server's time";
  EXPECT_EQ(issued_[1].error, ClaimError::kNone);
  EXPECT_EQ(issued_[1].expires_at, TimestampMs{9000});
}

// Each node of a cluster has its own clock, and any node may fail to answer.
TEST(BatchesInACluster, AnExpiryThatCantBeReadIsReckonedByTheClockOfTheGrantsNode) {
  constexpr std::uint16_t kNodes = 3;
  constexpr std::int64_t kSeconds[] = {1'700'000'000, 1'800'000'000, 1'600'000'000};
  ScriptedServer server;
  server.mode = "cluster";
  ScriptedNetwork* network = nullptr;
  ValkeyLedgerOptions options;
  options.client = ScriptedOptions(server, network);
  options.client.servers = {{.host = "127.0.0.1", .port = 1}};
  options.connections = 1;
  std::uint16_t without_time = 0;
  std::vector<std::string> ranges;
  for (std::uint16_t node = 0; node < kNodes; ++node) {
    ranges.push_back(
        Array({Integer(16'384 * node / kNodes), Integer(16'384 * (node + 1) / kNodes - 1),
               Array({Bulk("127.0.0.1"), Integer(node + 1)})}));
  }
  server.answer = [&](std::int64_t id, const Words& command) -> std::optional<std::string> {
    const std::uint16_t port = network->endpoint(id).port;
    if (command[0] == "INFO") {
      return Bulk("redis_mode:cluster\r\nrole:master\r\nrun_id:run" + std::to_string(port) +
                  "\r\n");
    }
    if (command[0] == "CLUSTER") return Array(ranges);
    if (command[0] == "HGET" && command[2] == "grant_expires_at") return kNil;
    if (command[0] != "TIME") return std::nullopt;
    if (port == without_time) return kFault;
    return Array({Bulk(std::to_string(kSeconds[port - 1])), Bulk("0")});
  };
  ValkeyLedger ledger(options);
  const WorkerIdentity worker = {{"w1"}, {"w1-i1"}};
  const LaneIdView lane = ParseLaneId("main").lane;
  UuidGenerator ids(1);
  for (; without_time <= kNodes; ++without_time) {
    std::vector<MintedExecutionId> executions;
    for (std::uint16_t partition = 0; partition < 12; ++partition) {
      executions.emplace_back(partition, ids.Next());
    }
    std::vector<IssueGrantArgs> args;
    for (const MintedExecutionId& execution : executions) {
      ASSERT_TRUE(ledger.CreateExecution({.execution_id = execution.view(), .lane = lane}));
      args.push_back({.execution_id = execution.view(),
                      .worker = worker,
                      .lane = lane,
                      .grant_ttl_ms = 1000 + static_cast<std::int64_t>(args.size())});
    }
    std::vector<IssueOutcome> outcomes(args.size());
    ledger.IssueClaimGrants(args, outcomes);
    std::set<std::uint16_t> nodes;
    for (std::size_t i = 0; i < args.size(); ++i) {
      const auto node = static_cast<std::uint16_t>(
          (HashSlot(args[i].execution_id.partition()) * kNodes + kNodes - 1) / 16'384);
      nodes.insert(node);
      EXPECT_EQ(outcomes[i].error, ClaimError::kNone) << i;
      EXPECT_EQ(outcomes[i].expires_at.value,
                node + 1 == without_time ? 0 : 1000 * kSeconds[node] + args[i].grant_ttl_ms)
          << i << ", without the time of node " << without_time;
    }
    EXPECT_EQ(nodes.size(), kNodes);
  }
}

}  // namespace
}  // namespace ffgrant::valkey::testing
