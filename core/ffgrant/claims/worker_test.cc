// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/claims/worker.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "testing/model/model_ledger.h"
#include "testing/model/scripted_ledger.h"

namespace ffgrant {
namespace {

using testing::ScriptedLedger;

constexpr std::string_view kId = "{fp:7}:11111111-1111-4111-8111-111111111111";
constexpr std::string_view kOtherId = "{fp:7}:22222222-2222-4222-8222-222222222222";
const LaneIdView kLane = LaneIdView::Unchecked("main");

ExecutionIdView Id(std::string_view text = kId) {
  return ParseExecutionId(text, ParseMode::kLenient).id;
}

ClaimGrantView Grant(std::string_view partition_key = "{fp:7}") {
  return {Id(), partition_key, "opaque", 5000};
}

class WorkerTest : public ::testing::Test {
 protected:
  explicit WorkerTest(std::uint32_t permits = 1)
      : worker_(ledger_, clock_, {"w1", "w1-i1", permits, 12345}) {
    ledger_.watched = &worker_;
  }

  ManualClock clock_{TimestampMs{1000}};
  ScriptedLedger ledger_;
  Worker worker_;
};

// The claim names the lease id of the call whose answer was lost, whichever call this was. Only
// with this id can anybody find out what has become of the claim.
TEST_F(WorkerTest, NamesTheLeaseWhoseFateIsUnknown) {
  const auto claim = [&] { return worker_.ClaimFromGrant(Grant(), kLane); };
  const auto resume = [&] { return worker_.ClaimFromResumeGrant({Grant(), kLane}); };
  const auto reclaim = [&] {
    return worker_.ClaimFromReclaimGrant({Grant(), kLane}, {Id(), kLane, {}});
  };
  const struct {
    std::string_view call;  // the last call of the ledger
    std::vector<ClaimError> before;
    std::function<WorkerClaim()> claim;
  } kCases[] = {{"claim", {}, claim},
                {"claim_resumed", {ClaimError::kUseClaimResumedExecution}, claim},
                {"claim_resumed", {}, resume},
                {"reclaim", {}, reclaim}};
  for (const auto& c : kCases) {
    for (const ClaimError last :
         {ClaimError::kUnknownOutcome, ClaimError::kUnavailable, ClaimError::kInvalidClaimGrant}) {
      SCOPED_TRACE(::testing::Message() << c.call << ": " << ErrorName(last));
      ledger_.calls.clear();
      ledger_.answers.assign(c.before.begin(), c.before.end());
      ledger_.answers.push_back(last);
      const WorkerClaim lost = c.claim();
      EXPECT_EQ(lost.error, last);
      ASSERT_EQ(ledger_.calls.size(), c.before.size() + 1);
      EXPECT_EQ(ledger_.calls.back().name, c.call);
      EXPECT_NE(ledger_.calls.back().lease_id.uuid, Uuid());
      if (last == ClaimError::kUnknownOutcome) {
        EXPECT_EQ(lost.lease.fence.lease_id, ledger_.calls.back().lease_id);
      } else {
        EXPECT_EQ(lost.lease, Lease{});
      }
      EXPECT_FALSE(lost.permit);
      EXPECT_EQ(worker_.permits_in_use(), 0u);
    }
  }
}

TEST_F(WorkerTest, ClaimsWithItsOwnIdentityAndFreshIds) {
  const WorkerClaim claim = worker_.ClaimFromGrant(Grant(), kLane);
  ASSERT_TRUE(claim);
  ASSERT_EQ(ledger_.calls.size(), 1u);
  const auto& call = ledger_.calls[0];
  EXPECT_EQ(call.name, "claim");
  EXPECT_EQ(call.id, kId);
  EXPECT_EQ(call.worker.worker_id.text, "w1");
  EXPECT_EQ(call.worker.worker_instance_id.text, "w1-i1");
  EXPECT_EQ(call.lane.text(), "main");
  EXPECT_EQ(call.lease_ttl_ms, 12345);
  EXPECT_EQ(call.permits_in_use, 1u);  // taken before the ledger is asked
  EXPECT_NE(call.lease_id.uuid, Uuid());
  EXPECT_NE(call.attempt_id.uuid, Uuid());
  EXPECT_NE(call.lease_id.uuid, call.attempt_id.uuid);
  EXPECT_EQ(claim.lease.fence.lease_epoch.value, 9u);
  EXPECT_TRUE(claim.permit);
  EXPECT_EQ(worker_.permits_in_use(), 1u);
}

TEST_F(WorkerTest, EveryClaimHasNewIds) {
  { const WorkerClaim first = worker_.ClaimFromGrant(Grant(), kLane); }
  { const WorkerClaim second = worker_.ClaimFromGrant(Grant(), kLane); }
  ASSERT_EQ(ledger_.calls.size(), 2u);
  EXPECT_NE(ledger_.calls[0].lease_id, ledger_.calls[1].lease_id);
  EXPECT_NE(ledger_.calls[0].attempt_id, ledger_.calls[1].attempt_id);
}

TEST_F(WorkerTest, AtCapacityDoesNotTouchTheGrant) {
  const WorkerClaim first = worker_.ClaimFromGrant(Grant(), kLane);
  ASSERT_TRUE(first);
  ErrorDetails details;
  details.Add("left over");
  EXPECT_EQ(worker_.ClaimFromGrant(Grant(), kLane, &details).error, ClaimError::kWorkerAtCapacity);
  EXPECT_EQ(details.size(), 0u);
  EXPECT_EQ(worker_.ClaimFromResumeGrant({Grant(), kLane}).error, ClaimError::kWorkerAtCapacity);
  EXPECT_EQ(worker_.ClaimFromReclaimGrant({Grant(), kLane}, {Id(), kLane, {}}).error,
            ClaimError::kWorkerAtCapacity);
  // The permit is checked before the partition key.
  EXPECT_EQ(worker_.ClaimFromGrant(Grant("{zz:0}"), kLane).error, ClaimError::kWorkerAtCapacity);
  EXPECT_EQ(ledger_.calls.size(), 1u);
}

TEST_F(WorkerTest, ThePermitComesBackWithTheClaim) {
  WorkerClaim claim = worker_.ClaimFromGrant(Grant(), kLane);
  claim.permit.Release();
  EXPECT_EQ(worker_.permits_in_use(), 0u);
  claim.permit.Release();
  EXPECT_EQ(worker_.permits_in_use(), 0u);
  { const WorkerClaim scoped = worker_.ClaimFromGrant(Grant(), kLane); }
  EXPECT_EQ(worker_.permits_in_use(), 0u);
}

TEST_F(WorkerTest, PermitsMove) {
  WorkerPermit kept;
  {
    WorkerClaim claim = worker_.ClaimFromGrant(Grant(), kLane);
    kept = std::move(claim.permit);
    EXPECT_FALSE(claim.permit);  // NOLINT(bugprone-use-after-move): it is empty
  }
  EXPECT_TRUE(kept);
  EXPECT_EQ(worker_.permits_in_use(), 1u);
  WorkerPermit& same = kept;
  kept = std::move(same);
  EXPECT_TRUE(kept);
  WorkerPermit last(std::move(kept));
  EXPECT_EQ(worker_.permits_in_use(), 1u);
  last = WorkerPermit();
  EXPECT_EQ(worker_.permits_in_use(), 0u);
}

TEST_F(WorkerTest, NoPermitsAtAll) {
  Worker none(ledger_, clock_, {"w", "i", 0, 1});
  EXPECT_EQ(none.ClaimFromGrant(Grant(), kLane).error, ClaimError::kWorkerAtCapacity);
}

TEST_F(WorkerTest, BadPartitionKeyFailsEarly) {
  for (const std::string_view bad : {"{zz:0}", "", "{fp:65536}", "fp:7"}) {
    ErrorDetails details;
    const WorkerClaim claim = worker_.ClaimFromGrant(Grant(bad), kLane, &details);
    EXPECT_EQ(claim.error, ClaimError::kInvalidPartitionKey);
    EXPECT_EQ(claim.ingress, IngressError::kInvalidPartitionKey);
    ASSERT_EQ(details.size(), 1u);
    EXPECT_EQ(details[0], ErrorName(IngressError::kInvalidPartitionKey));
    EXPECT_EQ(worker_.ClaimFromResumeGrant({Grant(bad), kLane}).error,
              ClaimError::kInvalidPartitionKey);
    EXPECT_EQ(worker_.ClaimFromReclaimGrant({Grant(bad), kLane}, {Id(), kLane, {}}).error,
              ClaimError::kInvalidPartitionKey);
  }
  EXPECT_TRUE(ledger_.calls.empty());
  EXPECT_EQ(worker_.permits_in_use(), 0u);
}

// Without the deployment's partition counts the worker parses the partition key leniently, and does
// not compare it with the execution's own partition.
TEST_F(WorkerTest, OtherPartitionKeysPass) {
  for (const std::string_view good : {"{fp:+007}", "{b:3}", "{fp:8}"}) {
    EXPECT_TRUE(worker_.ClaimFromGrant(Grant(good), kLane)) << good;
  }
}

TEST_F(WorkerTest, ElapsedGrantsAreTheLedgersBusiness) {
  clock_.Set({1'000'000});
  EXPECT_TRUE(worker_.ClaimFromGrant(Grant(), kLane));
}

TEST_F(WorkerTest, ARefusalGivesThePermitBack) {
  for (const ClaimError error :
       {ClaimError::kInvalidClaimGrant, ClaimError::kExecutionNotFound, ClaimError::kUnavailable,
        ClaimError::kUnknownOutcome, ClaimError::kNotAResumedExecution}) {
    ledger_.answers = {error};
    ErrorDetails details;
    const WorkerClaim claim = worker_.ClaimFromGrant(Grant(), kLane, &details);
    EXPECT_EQ(claim.error, error);
    EXPECT_FALSE(claim.permit);
    EXPECT_EQ(worker_.permits_in_use(), 0u);
    ASSERT_EQ(details.size(), 1u);
    EXPECT_EQ(details[0], "why");
  }
  EXPECT_EQ(ledger_.calls.size(), 5u);
}

TEST_F(WorkerTest, GoesOnThroughTheResumePath) {
  ledger_.answers = {ClaimError::kUseClaimResumedExecution, ClaimError::kNone};
  ErrorDetails details;
  const WorkerClaim claim = worker_.ClaimFromGrant(Grant(), kLane, &details);
  ASSERT_TRUE(claim);
  EXPECT_EQ(claim.lease.kind, LeaseKind::kResumed);
  EXPECT_TRUE(claim.permit);
  EXPECT_EQ(details.size(), 0u);
  ASSERT_EQ(ledger_.calls.size(), 2u);
  EXPECT_EQ(ledger_.calls[0].name, "claim");
  EXPECT_EQ(ledger_.calls[1].name, "claim_resumed");
  EXPECT_EQ(ledger_.calls[1].id, kId);
  EXPECT_EQ(ledger_.calls[1].worker.worker_id.text, "w1");
  EXPECT_EQ(ledger_.calls[1].worker.worker_instance_id.text, "w1-i1");
  EXPECT_EQ(ledger_.calls[1].lane.text(), "main");
  EXPECT_EQ(ledger_.calls[1].lease_ttl_ms, 12345);
  EXPECT_EQ(ledger_.calls[1].permits_in_use, 1u);
}

TEST_F(WorkerTest, TriesTheResumePathOnce) {
  ledger_.answers = {ClaimError::kUseClaimResumedExecution, ClaimError::kUseClaimResumedExecution};
  EXPECT_EQ(worker_.ClaimFromGrant(Grant(), kLane).error, ClaimError::kUseClaimResumedExecution);
  EXPECT_EQ(ledger_.calls.size(), 2u);
  EXPECT_EQ(worker_.permits_in_use(), 0u);
}

TEST_F(WorkerTest, ResumeGrantTakesTheResumePathAlone) {
  const WorkerClaim claim = worker_.ClaimFromResumeGrant({Grant(), LaneIdView::Unchecked("other")});
  ASSERT_TRUE(claim);
  ASSERT_EQ(ledger_.calls.size(), 1u);
  EXPECT_EQ(ledger_.calls[0].name, "claim_resumed");
  EXPECT_EQ(ledger_.calls[0].lane.text(), "other");
  EXPECT_NE(ledger_.calls[0].lease_id.uuid, Uuid());
  EXPECT_EQ(worker_.permits_in_use(), 1u);
}

TEST_F(WorkerTest, ResumeGrantRefused) {
  ledger_.answers = {ClaimError::kNotAResumedExecution};
  EXPECT_EQ(worker_.ClaimFromResumeGrant({Grant(), kLane}).error,
            ClaimError::kNotAResumedExecution);
  EXPECT_EQ(worker_.permits_in_use(), 0u);
}

TEST_F(WorkerTest, ResumeGrantRefusedWithDetails) {
  ErrorDetails details;
  details.Add("from before");
  const WorkerClaim held = worker_.ClaimFromResumeGrant({Grant(), kLane}, &details);
  ASSERT_TRUE(held);
  EXPECT_EQ(details.size(), 0u);
  details.Add("from before");
  EXPECT_EQ(worker_.ClaimFromResumeGrant({Grant(), kLane}, &details).error,
            ClaimError::kWorkerAtCapacity);
  EXPECT_EQ(details.size(), 0u);
  EXPECT_EQ(ledger_.calls.size(), 1u);
}

TEST_F(WorkerTest, Reclaims) {
  const WorkerClaim claim = worker_.ClaimFromReclaimGrant({Grant(), kLane}, {Id(), kLane, 4});
  ASSERT_TRUE(claim);
  EXPECT_EQ(claim.lease.kind, LeaseKind::kReclaim);
  ASSERT_EQ(ledger_.calls.size(), 1u);
  EXPECT_EQ(ledger_.calls[0].name, "reclaim");
  EXPECT_EQ(ledger_.calls[0].id, kId);
  EXPECT_EQ(ledger_.calls[0].worker.worker_id.text, "w1");
  EXPECT_EQ(ledger_.calls[0].lane.text(), "main");
  EXPECT_EQ(ledger_.calls[0].lease_ttl_ms, 12345);
  EXPECT_EQ(ledger_.calls[0].max_reclaim_count, 4u);
  EXPECT_NE(ledger_.calls[0].attempt_id.uuid, Uuid());
  EXPECT_EQ(worker_.permits_in_use(), 1u);
}

TEST_F(WorkerTest, ReclaimMismatches) {
  const ReclaimGrantView grant = {Grant(), kLane};
  EXPECT_EQ(worker_.ClaimFromReclaimGrant(grant, {Id(kOtherId), kLane, {}}).error,
            ClaimError::kGrantMismatch);
  // Ids are compared as texts: an id in another spelling counts as another execution's.
  EXPECT_EQ(worker_
                .ClaimFromReclaimGrant(
                    grant, {Id("{fp:07}:11111111-1111-4111-8111-111111111111"), kLane, {}})
                .error,
            ClaimError::kGrantMismatch);
  EXPECT_EQ(worker_.ClaimFromReclaimGrant(grant, {Id(), LaneIdView::Unchecked("other"), {}}).error,
            ClaimError::kGrantMismatch);
  // A mismatch wins over expiry.
  clock_.Set({9000});
  EXPECT_EQ(worker_.ClaimFromReclaimGrant(grant, {Id(kOtherId), kLane, {}}).error,
            ClaimError::kGrantMismatch);
  EXPECT_TRUE(ledger_.calls.empty());
  EXPECT_EQ(worker_.permits_in_use(), 0u);
}

TEST_F(WorkerTest, ReclaimGrantExpiresAtItsTime) {
  const ReclaimGrantView grant = {Grant(), kLane};
  clock_.Set({4999});
  EXPECT_TRUE(worker_.ClaimFromReclaimGrant(grant, {Id(), kLane, {}}));
  clock_.Set({5000});
  EXPECT_EQ(worker_.ClaimFromReclaimGrant(grant, {Id(), kLane, {}}).error,
            ClaimError::kClaimGrantExpired);
  clock_.Set({5001});
  EXPECT_EQ(worker_.ClaimFromReclaimGrant(grant, {Id(), kLane, {}}).error,
            ClaimError::kClaimGrantExpired);
  EXPECT_EQ(ledger_.calls.size(), 1u);
}

TEST_F(WorkerTest, ReclaimGrantTimesHaveNoSign) {
  ClaimGrantView grant = Grant();
  grant.expires_at_ms = 0xFFFFFFFFFFFFFFFF;
  EXPECT_TRUE(worker_.ClaimFromReclaimGrant({grant, kLane}, {Id(), kLane, {}}));
  clock_.Set({-5});
  grant.expires_at_ms = 1;
  EXPECT_TRUE(worker_.ClaimFromReclaimGrant({grant, kLane}, {Id(), kLane, {}}));
  grant.expires_at_ms = 0;
  EXPECT_EQ(worker_.ClaimFromReclaimGrant({grant, kLane}, {Id(), kLane, {}}).error,
            ClaimError::kClaimGrantExpired);
}

TEST_F(WorkerTest, ReclaimRefusedGivesThePermitBack) {
  ledger_.answers = {ClaimError::kMaxRetriesExhausted};
  ErrorDetails details;
  const WorkerClaim claim =
      worker_.ClaimFromReclaimGrant({Grant(), kLane}, {Id(), kLane, {}}, &details);
  EXPECT_EQ(claim.error, ClaimError::kMaxRetriesExhausted);
  EXPECT_EQ(details.size(), 1u);
  EXPECT_EQ(worker_.permits_in_use(), 0u);
}

class WorkerWithThreePermitsTest : public WorkerTest {
 protected:
  WorkerWithThreePermitsTest() : WorkerTest(3) {}
};

TEST_F(WorkerWithThreePermitsTest, HoldsThree) {
  std::vector<WorkerClaim> claims;
  for (int i = 0; i < 3; ++i) {
    claims.push_back(worker_.ClaimFromGrant(Grant(), kLane));
    EXPECT_TRUE(claims.back());
  }
  EXPECT_EQ(worker_.ClaimFromGrant(Grant(), kLane).error, ClaimError::kWorkerAtCapacity);
  claims.pop_back();
  EXPECT_EQ(worker_.permits_in_use(), 2u);
  EXPECT_TRUE(worker_.ClaimFromGrant(Grant(), kLane));
}

// Runs an execution on the model from create to its end, by way of suspension and reclaim.
TEST(WorkerLifecycleTest, AgainstTheModel) {
  ManualClock clock{TimestampMs{1'000'000}};
  testing::ModelLedger ledger(clock);
  Worker worker(ledger, clock, {"w1", "w1-i1", 1, 1000});
  CreateExecutionArgs create;
  create.execution_id = Id();
  create.lane = kLane;
  ASSERT_TRUE(ledger.CreateExecution(create));
  const auto issue = [&] {
    return IssueGrantArgs{.execution_id = Id(),
                          .worker = worker.identity(),
                          .lane = kLane,
                          .grant_ttl_ms = 500,
                          .offered = nullptr,
                          .capability_hash = "",
                          .route_snapshot_json = "",
                          .admission_summary = ""};
  };

  ASSERT_TRUE(ledger.IssueClaimGrant(issue()));
  WorkerClaim claim = worker.ClaimFromGrant(Grant(), kLane);
  ASSERT_TRUE(claim);
  EXPECT_EQ(claim.lease.kind, LeaseKind::kInitial);
  EXPECT_EQ(claim.lease.expires_at.value, 1'001'000);

  // The execution is suspended and resumed: the claim grant leads to a resumed lease.
  ASSERT_TRUE(ledger.Suspend({Id(), claim.lease.fence}));
  claim = {};
  ASSERT_TRUE(ledger.Resume({Id(), 0}));
  ASSERT_TRUE(ledger.IssueClaimGrant(issue()));
  const AttemptId attempt = ledger.Inspect(Id())->current_attempt_id.value();
  claim = worker.ClaimFromGrant(Grant(), kLane);
  ASSERT_TRUE(claim);
  EXPECT_EQ(claim.lease.kind, LeaseKind::kResumed);
  EXPECT_EQ(claim.lease.fence.attempt_id, attempt);
  EXPECT_EQ(claim.lease.fence.lease_epoch.value, 2u);

  // The lease expires, and another worker reclaims the execution.
  clock.Advance(1000);
  EXPECT_EQ(ledger.MarkLeaseExpiredIfDue(Id()).already, AlreadySatisfied::kNo);
  Worker other(ledger, clock, {"w2", "w2-i1", 1, 1000});
  IssueGrantArgs reclaim = issue();
  reclaim.worker = other.identity();
  const IssueOutcome issued = ledger.IssueReclaimGrant(reclaim);
  ASSERT_TRUE(issued);
  ClaimGrantView grant = Grant();
  grant.expires_at_ms = static_cast<std::uint64_t>(issued.expires_at.value);
  const WorkerClaim reclaimed = other.ClaimFromReclaimGrant({grant, kLane}, {Id(), kLane, {}});
  ASSERT_TRUE(reclaimed);
  EXPECT_EQ(reclaimed.lease.attempt_index.value, 1u);
  EXPECT_EQ(ledger.Complete({Id(), claim.lease.fence}).error, ClaimError::kStaleLease);
  EXPECT_TRUE(ledger.Complete({Id(), reclaimed.lease.fence}));
}

// ---- grants on entry ---------------------------------------------------------------

// Returns the error, with its detail, that a worker reports for a grant if it knows the
// deployment's partition counts.
std::string Entered(const ClaimGrantView& grant, ParseMode mode) {
  ManualClock clock{TimestampMs{1000}};
  ScriptedLedger ledger;
  WorkerOptions options = {"w1", "w1-i1"};
  options.partitions = PartitionConfig{8, 2, 2};
  options.ingress = mode;
  Worker worker(ledger, clock, options);
  ErrorDetails details;
  const ClaimError error = worker.ClaimFromGrant(grant, kLane, &details).error;
  EXPECT_EQ(ledger.calls.size(), error == ClaimError::kNone ? 1u : 0u);
  EXPECT_EQ(worker.permits_in_use(), 0u);
  EXPECT_EQ(worker.ClaimFromResumeGrant({grant, kLane}).error, error);
  ReclaimGrantView reclaim = {grant, kLane};
  EXPECT_EQ(worker.ClaimFromReclaimGrant(reclaim, {grant.execution_id, kLane, {}}).error, error);
  return std::string(ErrorName(error)) + (details.size() > 0 ? " " : "") +
         (details.size() > 0 ? std::string(details[0]) : "");
}

TEST(WorkerIngress, ChecksWhatComesIn) {
  const std::string key = "ff:exec:{fp:7}:{fp:7}:11111111-1111-4111-8111-111111111111:claim_grant";
  const struct {
    std::string_view id;
    std::string_view partition_key;
    std::string grant_key;
    std::string strict;
    std::string lenient;
  } kCases[] = {
      {kId, "{fp:7}", key, "none", "none"},
      {kId, "{fp:7}", "opaque", "none", "none"},
      {kId, "{fp:8}", "", "invalid_input partition_out_of_range",
       "invalid_input partition_out_of_range"},
      {kId, "{b:2}", "", "invalid_input partition_out_of_range",
       "invalid_input partition_out_of_range"},
      {kId, "{fp:6}", "", "grant_mismatch tag_mismatch", "grant_mismatch tag_mismatch"},
      {kId, "{b:1}", "", "grant_mismatch tag_mismatch", "grant_mismatch tag_mismatch"},
      {"{fp:1}:11111111-1111-4111-8111-111111111111", "{b:1}", "", "grant_mismatch tag_mismatch",
       "grant_mismatch tag_mismatch"},
      {"{fp:0}:11111111-1111-4111-8111-111111111111", "{q:0}", "", "grant_mismatch tag_mismatch",
       "grant_mismatch tag_mismatch"},
      {kId, "{zz:0}", "", "invalid_partition_key invalid_partition_key",
       "invalid_partition_key invalid_partition_key"},
      {kId, "{fp:07}", "", "invalid_partition_key non_canonical_partition_key", "none"},
      {kId, "{fp:7}", key + "x", "grant_mismatch grant_key_mismatch", "none"},
      {"{fp:07}:11111111-1111-4111-8111-111111111111", "{fp:7}", "",
       "invalid_input non_canonical_execution_id", "none"},
      {"{fp:7}:11111111111141118111111111111111", "{fp:6}", "",
       "invalid_input non_canonical_execution_id", "grant_mismatch tag_mismatch"},
  };
  for (const auto& c : kCases) {
    const ClaimGrantView grant = {Id(c.id), c.partition_key, c.grant_key, 5000};
    EXPECT_EQ(Entered(grant, ParseMode::kStrict), c.strict) << c.id << " " << c.partition_key;
    EXPECT_EQ(Entered(grant, ParseMode::kLenient), c.lenient) << c.id << " " << c.partition_key;
  }
}

}  // namespace
}  // namespace ffgrant
