// SPDX-License-Identifier: Apache-2.0
//
// Checks histories that are made by hand: those that the checker must accept, and above all those
// that it must reject.

#include "testing/model/linearizability.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "testing/calls/make.h"

namespace ffgrant::testing {
namespace {

constexpr std::int64_t kNow = 1'700'000'000'000;

class LinearizabilityTest : public ::testing::Test {
 protected:
  LinearizabilityTest() : clock_({kNow}), start_(clock_, Partitions()) {}

  static PartitionConfig Partitions() {
    PartitionConfig partitions;
    partitions.num_flow_partitions = kPartitions;
    return partitions;
  }
  static Call CallTo(CallKind kind, std::uint8_t number, std::int64_t ms = 3,
                     std::uint8_t worker = 0) {
    return CallOf({.kind = kind, .worker = worker, .ms = ms}, number);
  }
  static HistoryEntry Entry(const Call& call, const Answer& answer, std::uint32_t from,
                            std::uint32_t to, int fiber = 0) {
    HistoryEntry entry;
    entry.call = call;
    entry.answer = answer;
    entry.execution = NumberOf(call.execution());
    entry.called_at = from;
    entry.returned_at = to;
    entry.acted_at = to;
    entry.fiber = fiber;
    return entry;
  }
  Answer Do(ModelLedger& model, const Call& call) { return Make(model, call); }
  // Creates the first execution, and grants and claims it as the arguments say.
  void Start(bool granted, bool leased) {
    Do(start_, CallTo(CallKind::kCreate, 1));
    if (granted || leased) Do(start_, CallTo(CallKind::kIssue, 2));
    if (leased) lease_ = *Do(start_, CallTo(CallKind::kClaim, 3)).lease;
  }
  bool Linearizable(const History& history, bool few_names = false) {
    Circumstances circumstances;
    circumstances.names_may_run_out = few_names;
    const bool good = CheckLinearizable(history, start_, clock_, circumstances).empty();
    EXPECT_EQ(clock_.Now(), TimestampMs{kNow});
    return good;
  }
  Call Renew(std::int64_t ms) { return CallOf({.kind = CallKind::kRenew, .ms = ms}, 10, lease_); }
  Answer Inspected(const ModelLedger& model) {
    ModelLedger copy(model);
    return Do(copy, CallTo(CallKind::kInspect, 0));
  }

  ManualClock clock_;
  ModelLedger start_;
  Lease lease_;
};

TEST_F(LinearizabilityTest, TakesWhatHappenedInOrder) {
  Start(false, false);
  ModelLedger model(start_);
  const Call issue = CallTo(CallKind::kIssue, 10);
  const Call claim = CallTo(CallKind::kClaim, 11);
  const Answer issued = Do(model, issue);
  const Answer claimed = Do(model, claim);
  ASSERT_TRUE(claimed.lease.has_value());
  EXPECT_TRUE(Linearizable({Entry(issue, issued, 1, 2), Entry(claim, claimed, 3, 4)}));
  // The other order is possible only if the two calls overlapped.
  EXPECT_FALSE(Linearizable({Entry(issue, issued, 3, 4), Entry(claim, claimed, 1, 2, 1)}));
  EXPECT_TRUE(Linearizable({Entry(issue, issued, 2, 4), Entry(claim, claimed, 1, 3, 1)}));
}

TEST_F(LinearizabilityTest, RejectsAStaleRead) {
  Start(true, true);
  const Answer before = Inspected(start_);
  ModelLedger model(start_);
  const Call revoke = CallTo(CallKind::kRevoke, 10);
  const Answer revoked = Do(model, revoke);
  const Call inspect = CallTo(CallKind::kInspect, 11);
  EXPECT_FALSE(Linearizable({Entry(revoke, revoked, 1, 2), Entry(inspect, before, 3, 4, 1)}));
  EXPECT_TRUE(Linearizable({Entry(revoke, revoked, 1, 3), Entry(inspect, before, 2, 4, 1)}));
  EXPECT_TRUE(
      Linearizable({Entry(revoke, revoked, 1, 2), Entry(inspect, Inspected(model), 3, 4, 1)}));
}

TEST_F(LinearizabilityTest, RejectsALostUpdate) {
  Start(true, true);
  ModelLedger model(start_);
  const Call renew = Renew(500);
  const Answer renewed = Do(model, renew);
  ASSERT_EQ(renewed.error, ClaimError::kNone);
  const Call inspect = CallTo(CallKind::kInspect, 11);
  EXPECT_FALSE(
      Linearizable({Entry(renew, renewed, 1, 2), Entry(inspect, Inspected(start_), 3, 4)}));
  EXPECT_TRUE(Linearizable({Entry(renew, renewed, 1, 2), Entry(inspect, Inspected(model), 3, 4)}));
}

TEST_F(LinearizabilityTest, RejectsAGrantThatTwoGot) {
  Start(false, false);
  ModelLedger model(start_);
  const Call issue = CallTo(CallKind::kIssue, 10);
  const Call other = CallTo(CallKind::kIssue, 11, 3, 1);
  const Answer issued = Do(model, issue);
  EXPECT_FALSE(Linearizable({Entry(issue, issued, 1, 4), Entry(other, issued, 2, 3, 1)}));
  EXPECT_TRUE(Linearizable({Entry(issue, issued, 1, 4), Entry(other, Do(model, other), 2, 3, 1)}));
}

TEST_F(LinearizabilityTest, RejectsTwoLiveLeases) {
  Start(true, false);
  ModelLedger model(start_);
  const Call first = CallTo(CallKind::kClaim, 10);
  const Call second = CallTo(CallKind::kClaim, 11);
  const Answer claimed = Do(model, first);
  Answer both = claimed;
  both.lease->fence.lease_id.uuid.bytes[15] = 11;
  both.lease->fence.attempt_id.uuid.bytes[15] = 11;
  for (const std::uint64_t epoch : {1, 2}) {
    both.lease->fence.lease_epoch.value = epoch;
    both.lease->attempt_index.value = static_cast<std::uint32_t>(epoch - 1);
    const History history = {Entry(CallTo(CallKind::kIssue, 9), {}, 0, 0),
                             Entry(first, claimed, 1, 4), Entry(second, both, 2, 3, 1)};
    EXPECT_FALSE(Linearizable({history[1], history[2]})) << epoch;
    EXPECT_FALSE(CheckInvariants(history).empty()) << epoch;
  }
  // Even with a grant for each of the claims, there are two leases at a time.
  const History twice = {Entry(CallTo(CallKind::kIssue, 8), {}, 0, 0),
                         Entry(CallTo(CallKind::kIssue, 9), {}, 0, 0), Entry(first, claimed, 1, 4),
                         Entry(second, both, 2, 3, 1)};
  EXPECT_EQ(CheckInvariants(twice).substr(0, 21), "two leases at a time:");
}

TEST_F(LinearizabilityTest, AnEpochMustGrow) {
  Start(true, true);
  HistoryEntry first = Entry(CallTo(CallKind::kClaim, 10), {}, 1, 2);
  first.answer.lease = lease_;
  HistoryEntry revoke = Entry(CallTo(CallKind::kRevoke, 11), {}, 3, 4);
  revoke.answer.revoked = lease_.fence;
  HistoryEntry second = Entry(CallTo(CallKind::kReclaim, 12), {}, 5, 6);
  second.answer.lease = lease_;
  second.answer.lease->attempt_index.value += 1;
  const HistoryEntry issue = Entry(CallTo(CallKind::kIssue, 9), {}, 0, 0);
  EXPECT_FALSE(CheckInvariants({issue, issue, first, revoke, second}).empty());
  second.answer.lease->fence.lease_epoch.value += 1;
  EXPECT_EQ(CheckInvariants({issue, issue, first, revoke, second}), "");
  EXPECT_FALSE(CheckInvariants({issue, first, revoke, second}).empty());  // one grant, two leases
  EXPECT_FALSE(CheckInvariants({issue, issue, first, second}).empty());   // the first still lives
}

TEST_F(LinearizabilityTest, ACallSeesTheTimeOfItsPlace) {
  Start(true, false);
  const Call advance = CallTo(CallKind::kAdvance, 10, 2);
  const Call claim = CallTo(CallKind::kClaim, 11, 50);
  ModelLedger model(start_);
  const Answer early = Do(model, claim);
  EXPECT_FALSE(Linearizable({Entry(advance, {}, 1, 2), Entry(claim, early, 3, 4, 1)}));
  EXPECT_TRUE(Linearizable({Entry(advance, {}, 1, 3), Entry(claim, early, 2, 4, 1)}));
  Answer late = early;
  late.lease->expires_at.value += 2;
  EXPECT_TRUE(Linearizable({Entry(advance, {}, 1, 2), Entry(claim, late, 3, 4, 1)}));
  EXPECT_FALSE(Linearizable({Entry(claim, late, 1, 2, 1), Entry(advance, {}, 3, 4)}));
}

TEST_F(LinearizabilityTest, AScanInVainNeedsAReason) {
  Start(false, false);
  const Call scan = CallTo(CallKind::kClaimForWorker, 10);
  Answer none;
  none.error = ClaimError::kNoEligibleExecution;
  EXPECT_FALSE(Linearizable({Entry(scan, none, 1, 2)}));
  ModelLedger model(start_);
  const Call issue = CallTo(CallKind::kIssue, 11);
  const Answer issued = Do(model, issue);
  EXPECT_TRUE(Linearizable({Entry(scan, none, 1, 3), Entry(issue, issued, 2, 4, 1)}));
  EXPECT_FALSE(Linearizable({Entry(scan, none, 1, 2), Entry(issue, issued, 3, 4, 1)}));
  // A choice must be one of the executions that may be chosen.
  Answer chosen;
  chosen.chosen = {ExecutionId(ExecutionAt(0)), "", "", kNow + 3};
  EXPECT_TRUE(Linearizable({Entry(scan, chosen, 1, 2)}));
  chosen.chosen->execution_id = ExecutionId(ExecutionAt(1));
  EXPECT_FALSE(Linearizable({Entry(scan, chosen, 1, 2)}));
}

TEST_F(LinearizabilityTest, MaintenanceCountsWhatItDid) {
  Start(true, true);
  const Call advance = CallTo(CallKind::kAdvance, 10, 3);
  const Call maintain = CallTo(CallKind::kMaintain, 11);
  Answer one;
  one.maintained = {1, 0};
  Answer nothing;
  nothing.maintained = {0, 0};
  EXPECT_TRUE(Linearizable({Entry(advance, {}, 1, 2), Entry(maintain, one, 3, 4, 1)}));
  EXPECT_FALSE(Linearizable({Entry(advance, {}, 1, 2), Entry(maintain, nothing, 3, 4, 1)}));
  EXPECT_TRUE(Linearizable({Entry(advance, {}, 1, 3), Entry(maintain, nothing, 2, 4, 1)}));
  EXPECT_FALSE(Linearizable({Entry(maintain, one, 1, 2, 1), Entry(advance, {}, 3, 4)}));
}

TEST_F(LinearizabilityTest, ABatchIsInOrder) {
  Start(false, false);
  Call first = CallTo(CallKind::kIssue, 10);
  Call second = CallTo(CallKind::kIssue, 11);
  first.in_batch = second.in_batch = true;
  ModelLedger model(start_);
  const Answer good = Do(model, first);
  const Answer refused = Do(model, second);
  ASSERT_EQ(refused.error, ClaimError::kGrantAlreadyExists);
  EXPECT_TRUE(Linearizable({Entry(first, good, 1, 2), Entry(second, refused, 1, 2)}));
  EXPECT_FALSE(Linearizable({Entry(first, refused, 1, 2), Entry(second, good, 1, 2)}));
}

TEST_F(LinearizabilityTest, ARefusalForWantOfRoomNeedsAReason) {
  Start(false, false);
  Answer full;
  full.error = ClaimError::kLedgerFull;
  full.details = {"names"};
  EXPECT_FALSE(Linearizable({Entry(CallTo(CallKind::kIssue, 10), full, 1, 2)}));
  EXPECT_TRUE(Linearizable({Entry(CallTo(CallKind::kIssue, 10), full, 1, 2)}, true));
  EXPECT_FALSE(Linearizable({Entry(CallTo(CallKind::kSuspend, 10), full, 1, 2)}, true));
}

}  // namespace
}  // namespace ffgrant::testing
