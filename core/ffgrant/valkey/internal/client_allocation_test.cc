// SPDX-License-Identifier: Apache-2.0
//
// Tests that the hot calls allocate nothing once the buffers have grown: not for the command, not
// for the reply, not for the completion.

#include <gtest/gtest.h>

#include <cstddef>
#include <new>
#include <string>
#include <vector>

#include "ffgrant/valkey/claim_pipeline.h"
#include "ffgrant/valkey/function_library.h"
#include "ffgrant/valkey/internal/stored_execution.h"
#include "ffgrant/valkey/valkey_ledger.h"
#include "testing/naive/allocation_counter.h"
#include "testing/simulation/scripted_server.h"

namespace ffgrant::valkey {
namespace {

// Answers every command with the first of `answers` whose word the command contains, and does not
// allocate itself. All calls are about the same execution.
class CannedNetwork final : public Network {
 public:
  class CannedStream final : public Stream {
   public:
    explicit CannedStream(CannedNetwork& network) : network_(network) {}
    IoStatus Open(const Endpoint&) noexcept override { return IoStatus::kDone; }
    IoStatus FinishOpen() noexcept override { return IoStatus::kDone; }
    IoResult Read(std::span<char> into) noexcept override {
      std::string& out = network_.out_;
      if (out.empty()) return {IoStatus::kWouldBlock, 0};
      const std::size_t size = std::min(out.size(), into.size());
      out.copy(into.data(), size);
      out.erase(0, size);
      return {IoStatus::kDone, size};
    }
    IoResult Write(std::string_view bytes) noexcept override {
      const std::size_t size = bytes.size();
      while (!bytes.empty()) {
        std::size_t next = bytes.find("\r\n*", 1);
        next = next == std::string_view::npos ? bytes.size() : next + 2;
        network_.Answer(bytes.substr(0, next));
        bytes.remove_prefix(next);
      }
      return {IoStatus::kDone, size};
    }
    void Close() noexcept override {}

   private:
    CannedNetwork& network_;
  };

  CannedNetwork() { out_.reserve(1 << 16); }
  std::unique_ptr<Stream> NewStream() override { return std::make_unique<CannedStream>(*this); }
  void Wait(std::span<const StreamInterest>, std::int64_t) noexcept override {}
  std::int64_t NowMs() noexcept override { return 1; }
  std::uint64_t Random() noexcept override { return 1; }

  void Answer(std::string_view command) noexcept {
    for (const auto& [word, answer] : answers) {
      if (command.find(word) != std::string_view::npos) {
        out_.append(answer);
        return;
      }
    }
    out_.append("-ERR unknown\r\n");
  }

  std::vector<std::pair<std::string, std::string>> answers;

 private:
  std::string out_;
};

class ClientAllocation : public ::testing::Test {
 protected:
  ClientAllocation() {
    using testing::Bulk;
    using testing::OkReply;
    options_.max_in_flight = 64;
    const std::string id(id_.text());
    const std::string zero = "00000000-0000-0000-0000-000000000000";
    const std::string hints =
        testing::Array({Bulk("main"), Bulk("0"), Bulk("i"), Bulk(""), Bulk("main")});
    std::vector<std::string> core(internal::kCoreFieldCount, Bulk("0"));
    core[internal::kLeaseId] = core[internal::kAttemptId] = Bulk(zero);
    options_.make_network = [=] {
      auto network = std::make_unique<CannedNetwork>();
      network->answers = {{"INFO", Bulk("redis_version:7.2\r\nrun_id:x\r\nrole:master\r\n")},
                          {"CLIENT", ":5\r\n"},
                          {"ffgrant_version", Bulk(kFunctionLibraryVersion)},
                          {"ff_version", Bulk("34")},
                          {"ff_create_execution", OkReply({id, "waiting"})},
                          {"ff_issue_claim_grant", OkReply({id})},
                          {"ff_claim_execution", OkReply({zero, "1", "99", zero, "0", "initial"})},
                          {"ff_issue_grant_and_claim", OkReply({zero, "1", "0"})},
                          {"ff_renew_lease", OkReply({"99"})},
                          {"ff_complete_execution", OkReply({"completed"})},
                          {"grant_expires_at", Bulk("99")},
                          {"lifecycle_phase", testing::Array(core)},
                          {"HMGET", hints},
                          {"PING", "+PONG\r\n"}};
      return network;
    };
  }

  const MintedExecutionId id_{7, Uuid{}};
  const LaneIdView lane_ = ParseLaneId("main").lane;
  const WorkerIdentity worker_ = {{"w1"}, {"w1-i1"}};
  const IssueGrantArgs issue_ = {
      .execution_id = id_.view(), .worker = worker_, .lane = lane_, .grant_ttl_ms = 5000};
  const ClaimArgs claim_ = {.execution_id = id_.view(),
                            .worker = worker_,
                            .lane = lane_,
                            .lease_id = {},
                            .lease_ttl_ms = 5000,
                            .attempt_id = {}};
  ClientOptions options_;
};

TEST_F(ClientAllocation, OfThePipelineInSteadyStateIsNone) {
  ClaimPipeline pipeline(options_);
  std::size_t ended = 0;
  const auto round = [&] {
    for (std::uint64_t i = 0; i < 10; ++i) {
      EXPECT_TRUE(pipeline.SubmitCreate({.execution_id = id_.view(), .lane = lane_}, "x", i));
      EXPECT_TRUE(pipeline.SubmitIssue(issue_, i));
      EXPECT_TRUE(pipeline.SubmitClaim(claim_, i));
      EXPECT_TRUE(pipeline.SubmitIssueAndClaim(claim_, i));
      EXPECT_TRUE(pipeline.SubmitRenew(
          {.execution_id = id_.view(), .attempt_index = {0}, .fence = {}, .lease_ttl_ms = 5}, i));
      EXPECT_TRUE(pipeline.SubmitComplete(
          {.execution_id = id_.view(), .fence = {}},
          {.attempt_index = {0}, .lane = lane_, .worker_instance_id = {"i"}}, i));
    }
    while (pipeline.in_flight() > 0) {
      for (const auto& done : pipeline.Poll(10)) {
        ended += done.error == ClaimError::kNone;
      }
    }
  };
  round();
  round();
  ended = 0;
  EXPECT_EQ(ffgrant::testing::CountAllocations([&] {
              for (int i = 0; i < 10; ++i) round();
            }),
            0u);
  EXPECT_EQ(ended, 600u);
}

TEST_F(ClientAllocation, OfTheLedgersCallsInSteadyStateIsNone) {
  ValkeyLedgerOptions options;
  options.client = options_;
  ValkeyLedger ledger(options);
  const std::vector<IssueGrantArgs> issues(20, issue_);
  const std::vector<ClaimArgs> claims(20, claim_);
  std::vector<IssueOutcome> issued(20);
  std::vector<ClaimOutcome> claimed(20);
  int right = 0;
  const auto round = [&] {
    right += bool(ledger.CreateExecution({.execution_id = id_.view(), .lane = lane_}));
    right += bool(ledger.IssueClaimGrant(issue_));
    right += bool(ledger.Claim(claim_));
    right += bool(ledger.IssueGrantAndClaim(claim_));
    right += bool(ledger.Renew(
        {.execution_id = id_.view(), .attempt_index = {0}, .fence = {}, .lease_ttl_ms = 5}));
    right += bool(ledger.Complete({.execution_id = id_.view(), .fence = {}}));
    ledger.IssueClaimGrants(issues, issued);
    ledger.ClaimBatch(claims, claimed);
    for (const auto& outcome : issued) right += outcome && outcome.expires_at.value == 99;
    for (const auto& outcome : claimed) right += bool(outcome);
  };
  round();
  round();
  right = 0;
  EXPECT_EQ(ffgrant::testing::CountAllocations([&] {
              for (int i = 0; i < 10; ++i) round();
            }),
            0u);
  EXPECT_EQ(right, 460);
}

TEST_F(ClientAllocation, ThatFailsAsAPipelineSubmitsTakesNoRoom) {
  if (!ffgrant::testing::kFailsMalloc) GTEST_SKIP() << "no allocation can be made to fail here";
  ClaimPipeline pipeline(options_);
  const std::string payload(10'000, 'x');
  for (std::size_t i = 0; i < 2 * pipeline.capacity(); ++i) {
    ffgrant::testing::FailAllocation(1);
    EXPECT_THROW(
        (void)pipeline.SubmitCreate({.execution_id = id_.view(), .lane = lane_}, payload, 1),
        std::bad_alloc);
    ffgrant::testing::FailAllocation(0);
    EXPECT_EQ(pipeline.in_flight(), 0u);
  }
  for (std::size_t i = 0; i < pipeline.capacity(); ++i) {
    EXPECT_TRUE(pipeline.SubmitIssue(issue_, i));
  }
  EXPECT_EQ(pipeline.in_flight(), pipeline.capacity());
}

// This test shows that the zeros of the tests above mean something.
TEST_F(ClientAllocation, OfTheFirstCallIsCounted) {
  if (!ffgrant::testing::kCountsMalloc) GTEST_SKIP() << "only operator new is counted here";
  ClaimPipeline pipeline(options_);
  EXPECT_GT(ffgrant::testing::CountAllocations([&] {
              (void)pipeline.SubmitIssue(issue_, 1);
              while (pipeline.in_flight() > 0) (void)pipeline.Poll(10);
            }),
            0u);
}

}  // namespace
}  // namespace ffgrant::valkey
