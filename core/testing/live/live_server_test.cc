// SPDX-License-Identifier: Apache-2.0
//
// Tests the client with a real server, alone or as a cluster (live_cluster_test.cc).
// scripts/claim-server starts the server and says where it is:
//
//   scripts/claim-server --engine redis -- live_server_test --gtest_filter=-Cluster*
//   scripts/claim-server --cluster -- live_server_test

#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "ffgrant/claims/worker.h"
#include "ffgrant/valkey/function_library.h"
#include "testing/live/live_server.h"

namespace ffgrant::valkey::testing {
namespace {

TEST_F(LiveServer, SaysWhoItIs) {
  ServerInfo server;
  ASSERT_TRUE(ledger_.Connect(server));
  EXPECT_TRUE(server.name == "valkey" || server.name == "redis") << server.name;
  EXPECT_EQ(Variable("FFGRANT_SERVER_NAME").find(server.version) != std::string::npos, true)
      << server.version << " is not in " << Variable("FFGRANT_SERVER_NAME");
  EXPECT_EQ(server.cluster, !Variable("FFGRANT_CLUSTER").empty());
  EXPECT_EQ(server.contract_version, kFunctionContractVersion);
}

TEST_F(LiveServer, AWorkerResumesWithTheGrantItHas) {
  const MintedExecutionId id = Create();
  ASSERT_TRUE(Issue(id));
  const ClaimOutcome first = ledger_.Claim(ArgsFor(id));
  ASSERT_TRUE(first);
  ErrorDetails details;
  const Outcome suspended =
      ledger_.Suspend({.execution_id = id.view(), .fence = first.lease.fence}, &details);
  ASSERT_TRUE(suspended) << ErrorName(suspended.error) << (details.size() ? details[0] : "");
  EXPECT_TRUE(ledger_.Inspect(id.view())->in_suspended);
  ASSERT_TRUE(ledger_.Resume({.execution_id = id.view()}));
  ASSERT_TRUE(Issue(id));
  Worker worker(ledger_, SystemClock(), {.worker_id = "w1", .worker_instance_id = "w1-i2"});
  const WorkerClaim again = worker.ClaimFromGrant({id.view(), "{fp:7}", "", 0}, lane_);
  ASSERT_TRUE(again) << ErrorName(again.error);
  EXPECT_EQ(again.lease.kind, LeaseKind::kResumed);
  EXPECT_EQ(again.lease.fence.attempt_id, first.lease.fence.attempt_id);
  EXPECT_EQ(again.lease.fence.lease_epoch, LeaseEpoch{2});
}

TEST_F(LiveServer, ALostLeaseIsReclaimed) {
  const MintedExecutionId id = Create();
  ASSERT_TRUE(Issue(id));
  const ClaimOutcome first = ledger_.Claim(ArgsFor(id));
  ASSERT_TRUE(first);
  EXPECT_EQ(ledger_.MarkLeaseExpiredIfDue(id.view()).already, AlreadySatisfied::kNotYetExpired);
  const RevokeOutcome revoked = ledger_.Revoke({.execution_id = id.view()});
  ASSERT_TRUE(revoked);
  EXPECT_EQ(revoked.lease_id, first.lease.fence.lease_id);
  EXPECT_EQ(ledger_.MarkLeaseExpiredIfDue(id.view()).already, AlreadySatisfied::kAlreadyRevoked);
  const IssueOutcome grant = ledger_.IssueReclaimGrant(
      {.execution_id = id.view(), .worker = worker_, .lane = lane_, .grant_ttl_ms = 5000});
  ASSERT_TRUE(grant);
  EXPECT_GT(grant.expires_at.value, 1'600'000'000'000);
  const ReclaimArgs args = {.execution_id = id.view(),
                            .worker = worker_,
                            .lane = lane_,
                            .lease_id = {RandomUuid()},
                            .lease_ttl_ms = 60'000,
                            .attempt_id = {RandomUuid()}};
  ErrorDetails details;
  const ClaimOutcome second = ledger_.Reclaim(args, &details);
  ASSERT_TRUE(second) << (details.size() ? details[0] : "");
  EXPECT_EQ(second.lease.kind, LeaseKind::kReclaim);
  EXPECT_EQ(second.lease.attempt_index, AttemptIndex{1});
  EXPECT_EQ(ledger_.Complete({.execution_id = id.view(), .fence = first.lease.fence}).error,
            ClaimError::kStaleLease);
  const FoundClaim old = ledger_.FindClaim(id.view(), first.lease.fence.lease_id);
  EXPECT_EQ(old.fate, ClaimFate::kEnded);
  const FoundClaim now = ledger_.FindClaim(id.view(), args.lease_id);
  EXPECT_EQ(now.fate, ClaimFate::kHeld);
  EXPECT_EQ(now.lease, second.lease);
  EXPECT_EQ(ledger_.FindClaim(id.view(), {RandomUuid()}).fate, ClaimFate::kNotClaimed);
}

TEST_F(LiveServer, GrantAndClaimAtOnce) {
  const MintedExecutionId id = Create();
  const ClaimArgs args = ArgsFor(id);
  const ClaimOutcome claim = ledger_.IssueGrantAndClaim(args);
  ASSERT_TRUE(claim);
  EXPECT_EQ(claim.lease.fence, (LeaseFence{args.lease_id, {1}, args.attempt_id}));
  EXPECT_EQ(ledger_.Inspect(id.view())->lease_expires_at, claim.lease.expires_at);
  EXPECT_EQ(ledger_.IssueGrantAndClaim(ArgsFor(id)).error, ClaimError::kExecutionNotEligible);
}

TEST_F(LiveServer, DelayedExecutionsBecomeEligibleInTime) {
  const auto now = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::system_clock::now().time_since_epoch());
  const MintedExecutionId past(7, RandomUuid());
  EXPECT_EQ(ledger_
                .CreateExecution({.execution_id = past.view(),
                                  .lane = lane_,
                                  .delay_until = TimestampMs{now.count() - 1000}})
                .status,
            CreateOutcome::Status::kWaiting);
  EXPECT_TRUE(ledger_.Inspect(past.view())->in_eligible);
  const MintedExecutionId soon(7, RandomUuid());
  EXPECT_EQ(ledger_
                .CreateExecution({.execution_id = soon.view(),
                                  .lane = lane_,
                                  .delay_until = TimestampMs{now.count() + 300}})
                .status,
            CreateOutcome::Status::kDelayed);
  bool promoted = true;
  ASSERT_TRUE(ledger_.PromoteDelayedIfDue(soon.view(), lane_, promoted));
  EXPECT_FALSE(promoted);
  EXPECT_EQ(Issue(soon).error, ClaimError::kExecutionNotEligible);
  while (!promoted) ASSERT_TRUE(ledger_.PromoteDelayedIfDue(soon.view(), lane_, promoted));
  EXPECT_TRUE(Issue(soon));
}

TEST_F(LiveServer, TheSchedulersChoice) {
  const ClaimForWorkerArgs args = {.worker = worker_, .lane = lane_, .grant_ttl_ms = 60'000};
  EXPECT_EQ(ledger_.ClaimForWorker(args).error, ClaimError::kNoEligibleExecution);
  CapabilitySet gpu;
  ASSERT_EQ(gpu.AssignOfferedCsv("gpu"), CapabilityError::kNone);
  // The execution `plain` stands behind a head that is granted, and behind forty executions that
  // this worker can't do.
  const MintedExecutionId head = Create(200, 9000);
  ASSERT_TRUE(Issue(head));
  for (int i = 0; i < 40; ++i) Create(200, 5000, &gpu);
  const MintedExecutionId plain = Create(200, 1);
  const ClaimForWorkerOutcome found = ledger_.ClaimForWorker(args);
  ASSERT_TRUE(found) << ErrorName(found.error);
  EXPECT_EQ(found.grant.view().execution_id, plain.view());
  EXPECT_EQ(found.grant.view().partition_key, "{fp:200}");
  EXPECT_EQ(found.grant.view().expires_at_ms,
            static_cast<std::uint64_t>(ledger_.Inspect(plain.view())->grant_expires_at->value));
  EXPECT_EQ(ledger_.ClaimForWorker(args).error, ClaimError::kNoEligibleExecution);
  ClaimForWorkerArgs with_gpu = args;
  with_gpu.offered = &gpu;
  EXPECT_TRUE(ledger_.ClaimForWorker(with_gpu));
}

TEST_F(LiveServer, BatchesInOneGo) {
  std::vector<MintedExecutionId> ids;
  std::vector<IssueGrantArgs> issues;
  std::vector<ClaimArgs> claims;
  ids.reserve(500);
  for (std::uint16_t i = 0; i < 500; ++i) {
    ids.push_back(i == 250 ? MintedExecutionId(i, RandomUuid()) : Create(i % 256));
    issues.push_back({.execution_id = ids.back().view(),
                      .worker = worker_,
                      .lane = lane_,
                      .grant_ttl_ms = i == 100 ? kMaxTtlMs + 1 : 60'000});
    claims.push_back(ArgsFor(ids.back()));
  }
  std::vector<IssueOutcome> issued(500);
  ledger_.IssueClaimGrants(issues, issued);
  std::vector<ClaimOutcome> claimed(500);
  ledger_.ClaimBatch(claims, claimed);
  for (std::size_t i = 0; i < 500; ++i) {
    const ClaimError expected = i == 100   ? ClaimError::kInvalidInput
                                : i == 250 ? ClaimError::kExecutionNotFound
                                           : ClaimError::kNone;
    EXPECT_EQ(issued[i].error, expected) << i;
    EXPECT_EQ(issued[i].expires_at.value > 0, i != 100 && i != 250) << i;
    EXPECT_EQ(claimed[i].error, i == 100 ? ClaimError::kInvalidClaimGrant : expected) << i;
  }
}

TEST_F(LiveServer, ManyThreadsAtOnceClaimEachOnce) {
  constexpr int kExecutions = 120;
  constexpr int kThreads = 6;  // more than there are connections
  std::vector<MintedExecutionId> ids;
  for (int i = 0; i < kExecutions; ++i) {
    ids.push_back(Create(static_cast<std::uint16_t>(i % 7)));
    ASSERT_TRUE(Issue(ids.back()));
  }
  std::atomic<int> claimed{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (const MintedExecutionId& id : ids) claimed += bool(ledger_.Claim(ArgsFor(id)));
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(claimed, kExecutions);
}

TEST_F(LiveServer, AFlushedLibraryComesBack) {
  const MintedExecutionId id = Create();
  for (const std::string& node :
       Split(Variable("FFGRANT_CLUSTER").empty() ? Variable("FFGRANT_SERVER")
                                                 : Variable("FFGRANT_CLUSTER"))) {
    EXPECT_EQ(Operator(node).Do({"FUNCTION", "FLUSH"}), "OK");
  }
  EXPECT_TRUE(Issue(id));
  EXPECT_TRUE(ledger_.Claim(ArgsFor(id)));
}

TEST_F(LiveServer, AConnectionThatWasClosedMeanwhileIsNoticedBeforeSending) {
  const MintedExecutionId id = Create();
  for (const std::string& node :
       Split(Variable("FFGRANT_CLUSTER").empty() ? Variable("FFGRANT_SERVER")
                                                 : Variable("FFGRANT_CLUSTER"))) {
    Operator(node).Do({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"});
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_TRUE(Issue(id));
}

TEST_F(LiveServer, AFaultOfTheServerIsAnErrorWithItsText) {
  const MintedExecutionId id(7, RandomUuid());
  if (!Variable("FFGRANT_CLUSTER").empty()) GTEST_SKIP() << "a server of its own is asked";
  Operator admin(Variable("FFGRANT_SERVER"));
  admin.Do({"SET", "ff:exec:{fp:7}:" + std::string(id.text()) + ":core", "x"});
  ErrorDetails details;
  EXPECT_EQ(
      ledger_
          .IssueClaimGrant(
              {.execution_id = id.view(), .worker = worker_, .lane = lane_, .grant_ttl_ms = 5000},
              &details)
          .error,
      ClaimError::kUnknownCode);
  ASSERT_EQ(details.size(), 1u);
  EXPECT_NE(details[0].find("WRONGTYPE"), std::string_view::npos) << details[0];
}

// The user lacks a command that the claim's function uses, so the function ends with an error in
// its middle. By then the function may have written something.
TEST_F(LiveServer, AClaimThatEndsWithAnErrorMayHaveHappenedAndIsFoundOut) {
  if (!Variable("FFGRANT_CLUSTER").empty()) GTEST_SKIP() << "users are a server's own";
  Operator admin(Variable("FFGRANT_SERVER"));
  ClientOptions as_user = Where();
  as_user.username = lane_text_;
  as_user.password = "p";
  std::size_t held = 0;
  for (const std::string command : {"xadd", "zrem", "zadd", "hset"}) {
    const MintedExecutionId id = Create();
    ASSERT_TRUE(Issue(id));
    ASSERT_EQ(admin.Do({"ACL", "SETUSER", lane_text_, "reset", "on", ">p", "~*", "&*", "+@all",
                        "-" + command}),
              "OK");
    ValkeyLedger restricted({.client = as_user, .defaults = {}});
    const ClaimArgs args = ArgsFor(id);
    ErrorDetails details;
    EXPECT_EQ(restricted.Claim(args, &details).error, ClaimError::kUnknownOutcome) << command;
    ASSERT_EQ(details.size(), 1u);
    EXPECT_NE(details[0].find("script"), std::string_view::npos) << command << ": " << details[0];
    const FoundClaim found = restricted.FindClaim(id.view(), args.lease_id);
    ASSERT_TRUE(found) << ErrorName(found.error);
    EXPECT_TRUE(found.final) << command;
    const auto state = ledger_.Inspect(id.view());
    ASSERT_TRUE(state);
    EXPECT_EQ(found.fate == ClaimFate::kHeld, state->ownership_state == "leased") << command;
    held += found.fate == ClaimFate::kHeld;
  }
  admin.Do({"ACL", "DELUSER", lane_text_});
  EXPECT_GT(held, 0u) << "no error came behind the lease";
}

// The server is stopped, so the reply does not come in time; when the server goes on, the reply
// comes too late.
class ImpatientClient : public LiveServer {
 protected:
  ImpatientClient() : LiveServer(400) {}
};

TEST_F(ImpatientClient, AClaimWithoutReplyIsFoundOut) {
  const std::vector<std::string> pids = Split(Variable("FFGRANT_SERVER_PIDS"));
  ASSERT_FALSE(pids.empty());
  const MintedExecutionId id = Create();
  ASSERT_TRUE(Issue(id));
  const ClaimArgs args = ArgsFor(id);
  for (const std::string& pid : pids) ASSERT_EQ(kill(std::atoi(pid.c_str()), SIGSTOP), 0);
  const ClaimOutcome claim = ledger_.Claim(args);
  const FoundClaim early = ledger_.FindClaim(id.view(), args.lease_id);
  for (const std::string& pid : pids) ASSERT_EQ(kill(std::atoi(pid.c_str()), SIGCONT), 0);
  EXPECT_EQ(claim.error, ClaimError::kUnknownOutcome);
  EXPECT_EQ(early.error, ClaimError::kUnavailable);
  EXPECT_FALSE(early.final);
  FoundClaim found = ledger_.FindClaim(id.view(), args.lease_id);
  for (int i = 0; i < 50 && !found; ++i) found = ledger_.FindClaim(id.view(), args.lease_id);
  ASSERT_TRUE(found);
  ASSERT_TRUE(found.final);
  // The claim's fate, once it was found, must not change any more.
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_EQ(ledger_.FindClaim(id.view(), args.lease_id).fate, found.fate);
  const bool held = found.fate == ClaimFate::kHeld;
  EXPECT_EQ(ledger_.Claim(ArgsFor(id)).error,
            held ? ClaimError::kExecutionNotLeaseable : ClaimError::kNone);
}

}  // namespace
}  // namespace ffgrant::valkey::testing
