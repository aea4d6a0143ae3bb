// SPDX-License-Identifier: Apache-2.0
//
// The claim path, case by case as contract 7 lists them, on the embedded
// ledger and on the model: the cases anchor the oracle of the property test.

#include "ffgrant/claims/claim_ledger.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "testing/model/ledger_test_fixture.h"

namespace ffgrant::testing {
namespace {

using Texts = std::vector<std::string>;

INSTANTIATE_TEST_SUITE_P(Ledgers, LedgerTest, ::testing::Bool(),
                         [](const auto& run) { return run.param ? "Model" : "Memory"; });

TEST_P(LedgerTest, CreateRefusesWhatItCannotKeep) {
  EXPECT_EQ(Create("{fp:01}:aaaaaaaa-0000-4000-8000-000000000001").error,
            ClaimError::kInvalidInput);
  EXPECT_EQ(Details(), Texts{"execution_id is not canonical"});
  EXPECT_EQ(Create("{fp:4}:aaaaaaaa-0000-4000-8000-000000000001").error, ClaimError::kInvalidInput);
  EXPECT_EQ(Details(), Texts{"partition index is out of range"});
  EXPECT_EQ(Create(kA, LaneIdView::Unchecked("")).error, ClaimError::kInvalidInput);
  EXPECT_EQ(Details(), Texts{"lane_id is empty"});
  const std::string long_lane(65, 'x');
  EXPECT_EQ(Create(kA, LaneIdView::Unchecked(long_lane)).error, ClaimError::kInvalidInput);
  EXPECT_EQ(Details(), Texts{"lane_id exceeds 64 bytes (got 65)"});
  EXPECT_EQ(Create(kA, LaneIdView::Unchecked("a\x7F")).error, ClaimError::kInvalidInput);
  EXPECT_EQ(Details(), Texts{"lane_id contains non-ASCII-printable byte at index 1"});
  EXPECT_FALSE(ledger.Inspect(Id(kA)).has_value());
}

TEST_P(LedgerTest, CreatedState) {
  EXPECT_EQ(Create(kA, kMain, 9001).status, CreateOutcome::Status::kWaiting);
  ExecutionState expected;
  expected.lifecycle_phase = "runnable";
  expected.ownership_state = "unowned";
  expected.eligibility_state = "eligible_now";
  expected.blocking_reason = "waiting_for_worker";
  expected.terminal_outcome = "none";
  expected.attempt_state = "pending_first_attempt";
  expected.public_state = "waiting";
  expected.priority = 9000;
  expected.created_at = {kNow};
  expected.in_eligible = true;
  EXPECT_EQ(State(kA), expected);
}

TEST_P(LedgerTest, CreatingAgainChangesNothing) {
  const CapabilitySet gpu = Caps("gpu");
  EXPECT_TRUE(Create(kA, kMain, 3));
  const ExecutionState before = State(kA);
  clock.Advance(5);
  const CreateOutcome again = Create(kA, kOtherLane, 7, &gpu, kNow + 50, 0);
  EXPECT_TRUE(again);
  EXPECT_EQ(again.status, CreateOutcome::Status::kDuplicate);
  EXPECT_EQ(State(kA), before);
}

TEST_P(LedgerTest, DelayMustLieAhead) {
  EXPECT_EQ(Create(kA, kMain, 0, nullptr, kNow).status, CreateOutcome::Status::kWaiting);
  EXPECT_FALSE(State(kA).delay_until.has_value());
  EXPECT_EQ(Create(kB, kMain, 0, nullptr, kNow + 1).status, CreateOutcome::Status::kDelayed);
  EXPECT_EQ(State(kB).public_state, "delayed");
  EXPECT_EQ(State(kB).blocking_reason, "waiting_for_delay");
  EXPECT_TRUE(State(kB).in_delayed);
  EXPECT_FALSE(State(kB).in_eligible);
  // Edges 5 of valkey-functions.
  EXPECT_EQ(Issue(kB), ClaimError::kExecutionNotEligible);
  EXPECT_EQ(Claim(kB).error, ClaimError::kExecutionNotLeaseable);
}

// The n-th of up to ten executions.
std::string IdOf(int n) { return "{fp:1}:dddddddd-0000-4000-8000-00000000000" + std::to_string(n); }

// A delay is a time that nothing is added to: every one that its type holds.
TEST_P(LedgerTest, DelaysReachAsFarAsTheirType) {
  constexpr std::int64_t kFar[] = {kMaxTtlMs + 1, INT64_MAX - 1, INT64_MAX};
  int number = 0;
  for (const std::int64_t time : kFar) {
    const std::string id = IdOf(number++);
    EXPECT_EQ(Create(id, kMain, 0, nullptr, time).status, CreateOutcome::Status::kDelayed);
    EXPECT_EQ(State(id).delay_until, TimestampMs{time});
    EXPECT_TRUE(State(id).in_delayed);
    const std::string past = IdOf(number++);
    EXPECT_EQ(Create(past, kMain, 0, nullptr, -time).status, CreateOutcome::Status::kWaiting);
    EXPECT_FALSE(State(past).delay_until.has_value());
  }
  EXPECT_EQ(Create(IdOf(number), kMain, 0, nullptr, INT64_MIN).status,
            CreateOutcome::Status::kWaiting);
}

// Every duration has the same bounds; what is beyond them changes nothing.
TEST_P(LedgerTest, DurationsBeyondTheirBoundsChangeNothing) {
  EXPECT_TRUE(Create(kA));
  const ExecutionState before = State(kA);
  for (const std::int64_t ttl : {kMaxTtlMs + 1, -kMaxTtlMs - 1, INT64_MAX, INT64_MIN}) {
    EXPECT_EQ(Issue(kA, kW1, ttl), ClaimError::kInvalidInput);
    EXPECT_EQ(ledger.ClaimForWorker({kW1, kMain, ttl, nullptr}).error, ClaimError::kInvalidInput);
    EXPECT_EQ(Claim(kA, kW1, ttl).error, ClaimError::kInvalidInput);
    EXPECT_EQ(ClaimResumed(kA, kW1, ttl).error, ClaimError::kInvalidInput);
    EXPECT_EQ(ledger.Renew({Id(kA), {0}, {}, ttl}).error, ClaimError::kInvalidInput);
    EXPECT_EQ(IssueReclaim(kA, kW2, ttl), ClaimError::kInvalidInput);
    EXPECT_EQ(Reclaim(kA, kW2, ttl).error, ClaimError::kInvalidInput);
    EXPECT_EQ(ledger.Resume({Id(kA), ttl}).error, ClaimError::kInvalidInput);
    EXPECT_EQ(State(kA), before);
  }
}

// A clock beyond what a sum of times can hold stands at the end of that.
TEST_P(LedgerTest, ClocksOutOfRangeStandAtItsEnd) {
  const struct {
    std::int64_t reading;
    std::int64_t now;
  } kCases[] = {{INT64_MAX, kMaxTtlMs},
                {kMaxTtlMs + 1, kMaxTtlMs},
                {kMaxTtlMs, kMaxTtlMs},
                {-kMaxTtlMs - 1, -kMaxTtlMs},
                {INT64_MIN, -kMaxTtlMs}};
  int number = 0;
  for (const auto& c : kCases) {
    const std::string id = IdOf(number++);
    clock.Set({c.reading});
    EXPECT_TRUE(Create(id, kMain, 9000));
    EXPECT_EQ(State(id).created_at, TimestampMs{c.now});
    EXPECT_EQ(Issue(id, kW1, kMaxTtlMs), ClaimError::kNone);
    EXPECT_EQ(State(id).grant_expires_at, TimestampMs{c.now + kMaxTtlMs});
    const ClaimOutcome claimed = Claim(id, kW1, kMaxTtlMs);
    ASSERT_TRUE(claimed);
    EXPECT_EQ(claimed.lease.expires_at, TimestampMs{c.now + kMaxTtlMs});
    EXPECT_EQ(ledger.Renew({Id(id), {0}, claimed.lease.fence, -kMaxTtlMs}).expires_at,
              TimestampMs{c.now - kMaxTtlMs});
  }
}

TEST_P(LedgerTest, IssueChecksInOrder) {
  const CapabilitySet gpu = Caps("arm,gpu,zz");
  const CapabilitySet arm = Caps("arm");
  // ttl, existence, state, grant, lane, capabilities.
  EXPECT_EQ(Issue(kA, kW1, kMaxTtlMs + 1), ClaimError::kInvalidInput);
  EXPECT_EQ(Details(), Texts{"grant_ttl_ms is out of range"});
  EXPECT_EQ(Issue(kA), ClaimError::kExecutionNotFound);
  EXPECT_TRUE(Create(kA, kMain, 0, &gpu));
  EXPECT_EQ(Issue(kA, kW1, 100, &arm, kOtherLane), ClaimError::kExecutionNotInEligibleSet);
  EXPECT_FALSE(State(kA).last_capability_mismatch_at.has_value());
  clock.Advance(3);
  EXPECT_EQ(Issue(kA, kW1, 100, &arm), ClaimError::kCapabilityMismatch);
  EXPECT_EQ(Details(), Texts{"gpu,zz"});
  EXPECT_EQ(State(kA).last_capability_mismatch_at, TimestampMs{kNow + 3});
  EXPECT_EQ(Issue(kA), ClaimError::kCapabilityMismatch);
  EXPECT_EQ(Details(), Texts{"arm,gpu,zz"});
  EXPECT_EQ(Issue(kA, kW1, 100, &gpu), ClaimError::kNone);
  EXPECT_EQ(Issue(kA, kW1, 100, &arm, kOtherLane), ClaimError::kGrantAlreadyExists);
  EXPECT_EQ(Issue(kA, kW1, -kMaxTtlMs - 1), ClaimError::kInvalidInput);
  EXPECT_TRUE(Claim(kA));
  EXPECT_EQ(Issue(kA, kW1, 100, &arm, kOtherLane), ClaimError::kExecutionNotEligible);
}

TEST_P(LedgerTest, GrantIsKeptAndTheExecutionStaysEligible) {
  EXPECT_TRUE(Create(kA));
  const IssueOutcome issued =
      ledger.IssueClaimGrant(IssueArgs(kA, kW1, 100, nullptr, kMain), &details);
  EXPECT_EQ(issued.expires_at.value, kNow + 100);
  const ExecutionState state = State(kA);
  EXPECT_TRUE(state.has_grant);
  EXPECT_EQ(state.grant_created_at, TimestampMs{kNow});
  EXPECT_EQ(state.grant_expires_at, TimestampMs{kNow + 100});
  EXPECT_TRUE(state.in_eligible);
  EXPECT_EQ(state.public_state, "waiting");
}

// A grant is good at its very expiry, and gone after it (edge 1).
TEST_P(LedgerTest, GrantExpiry) {
  EXPECT_TRUE(Create(kA));
  EXPECT_TRUE(Create(kB));
  EXPECT_EQ(Issue(kA), ClaimError::kNone);
  EXPECT_EQ(Issue(kB), ClaimError::kNone);
  clock.Advance(100);
  EXPECT_EQ(Issue(kA, kW2), ClaimError::kGrantAlreadyExists);
  EXPECT_TRUE(Claim(kA));
  clock.Advance(1);
  EXPECT_FALSE(State(kB).has_grant);
  EXPECT_EQ(Claim(kB).error, ClaimError::kInvalidClaimGrant);
  EXPECT_EQ(Issue(kB, kW2), ClaimError::kNone);
  EXPECT_TRUE(Claim(kB, kW2));
}

TEST_P(LedgerTest, GrantWithoutTime) {
  EXPECT_TRUE(Create(kA));
  for (const std::int64_t ttl : {std::int64_t{0}, std::int64_t{-1}, -kMaxTtlMs}) {
    EXPECT_EQ(Issue(kA, kW1, ttl), ClaimError::kNone);
    EXPECT_FALSE(State(kA).has_grant);
    EXPECT_EQ(Claim(kA).error, ClaimError::kInvalidClaimGrant);
  }
  EXPECT_EQ(Issue(kA, kW1, kMaxTtlMs), ClaimError::kNone);
  EXPECT_EQ(State(kA).grant_expires_at, TimestampMs{kNow + kMaxTtlMs});
}

// Edges 2 and 3: only the worker id binds.
TEST_P(LedgerTest, WhoMayClaim) {
  EXPECT_TRUE(Create(kA));
  EXPECT_EQ(Claim(kA).error, ClaimError::kInvalidClaimGrant);
  EXPECT_EQ(Issue(kA), ClaimError::kNone);
  EXPECT_EQ(Claim(kA, kW2).error, ClaimError::kInvalidClaimGrant);
  EXPECT_TRUE(State(kA).has_grant);
  EXPECT_TRUE(Claim(kA, kW1Other, 1000, kOtherLane));
  EXPECT_FALSE(State(kA).in_eligible);
  // Edge 4.
  EXPECT_EQ(Claim(kA).error, ClaimError::kExecutionNotLeaseable);
  EXPECT_EQ(Issue(kA), ClaimError::kExecutionNotEligible);
}

TEST_P(LedgerTest, ClaimChecksInOrder) {
  EXPECT_EQ(Claim(kA, kW1, kMaxTtlMs + 1).error, ClaimError::kInvalidInput);
  EXPECT_EQ(Details(), Texts{"lease_ttl_ms is out of range"});
  EXPECT_EQ(Claim(kA).error, ClaimError::kExecutionNotFound);
  EXPECT_EQ(Claim("{fp:01}:aaaaaaaa-0000-4000-8000-000000000001").error,
            ClaimError::kExecutionNotFound);
  // State before grant.
  EXPECT_TRUE(Create(kA, kMain, 0, nullptr, kNow + 1));
  EXPECT_EQ(Claim(kA).error, ClaimError::kExecutionNotLeaseable);
  EXPECT_EQ(ClaimResumed(kA).error, ClaimError::kNotAResumedExecution);
}

TEST_P(LedgerTest, LeasedState) {
  EXPECT_TRUE(Create(kA));
  EXPECT_EQ(Issue(kA), ClaimError::kNone);
  clock.Advance(7);
  const ClaimOutcome claimed = Claim(kA, kW1, 1000);
  ASSERT_TRUE(claimed);
  EXPECT_EQ(claimed.lease.kind, LeaseKind::kInitial);
  EXPECT_EQ(claimed.lease.fence.lease_id.uuid, UuidOf(1));
  EXPECT_EQ(claimed.lease.fence.attempt_id.uuid, UuidOf(2));
  EXPECT_EQ(claimed.lease.fence.lease_epoch.value, 1u);
  EXPECT_EQ(claimed.lease.attempt_index.value, 0u);
  EXPECT_EQ(claimed.lease.expires_at.value, kNow + 1007);
  ExecutionState expected;
  expected.lifecycle_phase = "active";
  expected.ownership_state = "leased";
  expected.eligibility_state = "not_applicable";
  expected.blocking_reason = "none";
  expected.terminal_outcome = "none";
  expected.attempt_state = "running_attempt";
  expected.public_state = "active";
  expected.created_at = {kNow};
  expected.total_attempt_count = 1;
  expected.current_lease_epoch = {1};
  expected.lease_current = true;
  expected.current_lease_id = LeaseId{UuidOf(1)};
  expected.current_attempt_id = AttemptId{UuidOf(2)};
  expected.lease_acquired_at = TimestampMs{kNow + 7};
  expected.lease_expires_at = TimestampMs{kNow + 1007};
  expected.lease_last_renewed_at = TimestampMs{kNow + 7};
  expected.lease_renewal_deadline = TimestampMs{kNow + 7 + 666};
  expected.in_active = true;
  expected.in_lease_expiry = true;
  EXPECT_EQ(State(kA), expected);
}

TEST_P(LedgerTest, FenceChecksInOrder) {
  const Lease lease = Leased(kA);
  OptionalFence partial = lease.fence;
  partial.attempt_id.reset();
  OptionalFence stale = lease.fence;
  stale.lease_epoch->value += 1;
  EXPECT_EQ(ledger.Renew({Id(kA), {0}, lease.fence, kMaxTtlMs + 1}).error,
            ClaimError::kInvalidInput);
  EXPECT_EQ(ledger.Renew({Id(kB), {0}, {}, 1000}).error, ClaimError::kExecutionNotFound);
  EXPECT_EQ(ledger.Renew({Id(kA), {0}, {}, 1000}).error, ClaimError::kFenceRequired);
  EXPECT_EQ(ledger.Renew({Id(kA), {0}, partial, 1000}).error, ClaimError::kPartialFenceTriple);
  EXPECT_EQ(ledger.Renew({Id(kA), {0}, stale, 1000}).error, ClaimError::kStaleLease);
  EXPECT_EQ(ledger.Renew({Id(kA), {1}, lease.fence, 1000}).error, ClaimError::kStaleLease);
  EXPECT_EQ(Complete(kA, {}), ClaimError::kFenceRequired);
  EXPECT_EQ(Complete(kA, partial, true), ClaimError::kPartialFenceTriple);
  EXPECT_EQ(Complete(kA, stale, true), ClaimError::kStaleLease);
  EXPECT_EQ(ledger.Suspend({Id(kA), {}}).error, ClaimError::kFenceRequired);
  EXPECT_EQ(ledger.Suspend({Id(kA), stale}).error, ClaimError::kStaleLease);
  // Expiry wins over a wrong fence, revocation over expiry.
  clock.Advance(1000);
  EXPECT_TRUE(ledger.Revoke({Id(kA), {}}));
  EXPECT_EQ(Complete(kA, stale), ClaimError::kLeaseRevoked);
  EXPECT_EQ(Complete(kA, partial), ClaimError::kPartialFenceTriple);
  const Lease other = Leased(kB);
  clock.Advance(1000);
  EXPECT_EQ(ledger.Suspend({Id(kB), lease.fence}).error, ClaimError::kLeaseExpired);
  EXPECT_EQ(ledger.Renew({Id(kB), {0}, other.fence, 9}).error, ClaimError::kLeaseExpired);
}

TEST_P(LedgerTest, RenewalIsFromNow) {
  const Lease lease = Leased(kA, 1000);
  clock.Advance(999);
  const RenewOutcome renewed = ledger.Renew({Id(kA), {0}, lease.fence, 100});
  ASSERT_TRUE(renewed);
  EXPECT_EQ(renewed.expires_at.value, kNow + 1099);
  EXPECT_EQ(State(kA).lease_expires_at, TimestampMs{kNow + 1099});
  EXPECT_EQ(State(kA).lease_last_renewed_at, TimestampMs{kNow + 999});
  EXPECT_EQ(State(kA).lease_renewal_deadline, TimestampMs{kNow + 999 + 66});
  EXPECT_EQ(State(kA).lease_acquired_at, TimestampMs{kNow});
  EXPECT_EQ(State(kA).current_lease_epoch.value, 1u);
  // To nothing: it expires at once.
  EXPECT_TRUE(ledger.Renew({Id(kA), {0}, lease.fence, 0}));
  EXPECT_EQ(Complete(kA, lease.fence), ClaimError::kLeaseExpired);
}

// Edges 6 and 7: a lease is good until just before its expiry.
TEST_P(LedgerTest, LateOwnerMarksTheLease) {
  const Lease lease = Leased(kA, 1000);
  clock.Advance(1000);
  EXPECT_EQ(State(kA).ownership_state, "leased");
  EXPECT_EQ(IssueReclaim(kA), ClaimError::kExecutionNotReclaimable);
  EXPECT_EQ(Complete(kA, lease.fence), ClaimError::kLeaseExpired);
  const ExecutionState state = State(kA);
  EXPECT_EQ(state.lifecycle_phase, "active");
  EXPECT_EQ(state.ownership_state, "lease_expired_reclaimable");
  EXPECT_EQ(state.blocking_reason, "waiting_for_worker");
  EXPECT_EQ(state.attempt_state, "attempt_interrupted");
  EXPECT_EQ(state.public_state, "active");
  EXPECT_TRUE(state.lease_current);
  EXPECT_TRUE(state.in_active);
  EXPECT_TRUE(state.in_lease_expiry);
  EXPECT_EQ(state.current_lease_id, lease.fence.lease_id);
  EXPECT_EQ(Issue(kA), ClaimError::kExecutionNotEligible);
  EXPECT_EQ(Claim(kA).error, ClaimError::kExecutionNotLeaseable);
  EXPECT_EQ(IssueReclaim(kA), ClaimError::kNone);
}

TEST_P(LedgerTest, LeaseWithoutTime) {
  const Lease lease = Leased(kA, 0);
  EXPECT_EQ(lease.expires_at.value, kNow);
  EXPECT_EQ(Complete(kA, lease.fence), ClaimError::kLeaseExpired);
}

TEST_P(LedgerTest, MarkExpiredSaysWhyNot) {
  const auto mark = [this](std::string_view id) {
    return ReasonWord(ledger.MarkLeaseExpiredIfDue(Id(id)).already);
  };
  EXPECT_EQ(mark(kA), "execution_not_found");
  EXPECT_TRUE(Create(kB));
  EXPECT_EQ(mark(kB), "not_active");
  Leased(kA, 10);
  clock.Advance(9);
  EXPECT_EQ(mark(kA), "not_yet_expired");
  clock.Advance(1);
  EXPECT_EQ(mark(kA), "");
  EXPECT_EQ(mark(kA), "already_expired");
  Leased(kC, 10);
  EXPECT_TRUE(ledger.Revoke({Id(kC), {}}));
  EXPECT_EQ(mark(kC), "already_revoked");
}

TEST_P(LedgerTest, Revoking) {
  EXPECT_EQ(ledger.Revoke({Id(kA), {}}).error, ClaimError::kExecutionNotFound);
  EXPECT_TRUE(Create(kB));
  EXPECT_EQ(ledger.Revoke({Id(kB), {}}, &details).error, ClaimError::kExecutionNotActive);
  EXPECT_EQ(Details(), (Texts{"none", "0", "runnable", ""}));
  const Lease lease = Leased(kA);
  EXPECT_EQ(ledger.Revoke({Id(kA), LeaseId{UuidOf(99)}}, &details).error, ClaimError::kStaleLease);
  EXPECT_EQ(Details(), Texts{"expected 00000000-0000-0000-0000-000000000063 but current is "
                             "00000000-0000-0000-0000-000000000001"});
  const RevokeOutcome revoked = ledger.Revoke({Id(kA), lease.fence.lease_id}, &details);
  ASSERT_TRUE(revoked);
  EXPECT_EQ(revoked.already, AlreadySatisfied::kNo);
  EXPECT_EQ(revoked.lease_id, lease.fence.lease_id);
  EXPECT_EQ(revoked.lease_epoch.value, 1u);
  EXPECT_EQ(details.size(), 0u);
  const ExecutionState state = State(kA);
  EXPECT_EQ(state.ownership_state, "lease_revoked");
  EXPECT_EQ(state.attempt_state, "attempt_interrupted");
  EXPECT_FALSE(state.lease_current);
  EXPECT_FALSE(state.in_lease_expiry);
  EXPECT_TRUE(state.in_active);
  EXPECT_EQ(state.current_lease_id, lease.fence.lease_id);
  // Already revoked, whatever lease is expected.
  EXPECT_EQ(ledger.Revoke({Id(kA), LeaseId{UuidOf(99)}}).already,
            AlreadySatisfied::kAlreadyRevoked);
  EXPECT_EQ(IssueReclaim(kA), ClaimError::kNone);
}

TEST_P(LedgerTest, ReclaimChecksInOrder) {
  const CapabilitySet gpu = Caps("gpu");
  EXPECT_EQ(IssueReclaim(kA, kW2, kMaxTtlMs + 1), ClaimError::kInvalidInput);
  EXPECT_EQ(IssueReclaim(kA), ClaimError::kExecutionNotFound);
  EXPECT_EQ(Reclaim(kA, kW2, -kMaxTtlMs - 1).error, ClaimError::kInvalidInput);
  EXPECT_EQ(Reclaim(kA).error, ClaimError::kExecutionNotFound);
  EXPECT_TRUE(Create(kA, kMain, 0, &gpu));
  EXPECT_EQ(IssueReclaim(kA), ClaimError::kExecutionNotReclaimable);
  EXPECT_EQ(Reclaim(kA).error, ClaimError::kExecutionNotReclaimable);
  EXPECT_EQ(Issue(kA, kW1, 100, &gpu), ClaimError::kNone);
  EXPECT_TRUE(Claim(kA));
  EXPECT_EQ(Reclaim(kA, kW2, 1000, 0).error, ClaimError::kExecutionNotReclaimable);
  EXPECT_TRUE(ledger.Revoke({Id(kA), {}}));
  EXPECT_EQ(Reclaim(kA).error, ClaimError::kInvalidClaimGrant);
  EXPECT_EQ(IssueReclaim(kA), ClaimError::kCapabilityMismatch);
  EXPECT_EQ(Details(), Texts{"gpu"});
  EXPECT_EQ(IssueReclaim(kA, kW2, 100, &gpu), ClaimError::kNone);
  EXPECT_EQ(IssueReclaim(kA), ClaimError::kGrantAlreadyExists);
  EXPECT_EQ(Reclaim(kA, kW1).error, ClaimError::kInvalidClaimGrant);
  EXPECT_TRUE(State(kA).has_grant);
  EXPECT_TRUE(Reclaim(kA));
}

TEST_P(LedgerTest, AfterAReclaimTheOldFenceIsStale) {
  const Lease old_lease = Leased(kA, 10);
  clock.Advance(10);
  EXPECT_TRUE(ledger.MarkLeaseExpiredIfDue(Id(kA)));
  EXPECT_EQ(IssueReclaim(kA), ClaimError::kNone);
  const ClaimOutcome reclaimed = Reclaim(kA);
  ASSERT_TRUE(reclaimed);
  EXPECT_EQ(reclaimed.lease.kind, LeaseKind::kReclaim);
  EXPECT_EQ(reclaimed.lease.attempt_index.value, 1u);
  EXPECT_EQ(reclaimed.lease.fence.lease_epoch.value, 2u);
  EXPECT_EQ(State(kA).lease_reclaim_count, 1u);
  EXPECT_EQ(State(kA).total_attempt_count, 2u);
  EXPECT_EQ(ledger.Renew({Id(kA), {0}, old_lease.fence, 10}).error, ClaimError::kStaleLease);
  EXPECT_EQ(ledger.Suspend({Id(kA), old_lease.fence}).error, ClaimError::kStaleLease);
  EXPECT_EQ(Complete(kA, old_lease.fence), ClaimError::kStaleLease);
  EXPECT_EQ(Complete(kA, reclaimed.lease.fence), ClaimError::kNone);
}

// The cap comes before the grant, and a grant is left behind.
TEST_P(LedgerTest, ReclaimedTooOften) {
  const Lease lease = Leased(kA, 10, 0);
  clock.Advance(10);
  EXPECT_TRUE(ledger.MarkLeaseExpiredIfDue(Id(kA)));
  EXPECT_EQ(IssueReclaim(kA), ClaimError::kNone);
  EXPECT_EQ(Reclaim(kA, kW1, 1000, 5).error, ClaimError::kMaxRetriesExhausted);
  EXPECT_EQ(Details(), Texts{"0"});
  const ExecutionState state = State(kA);
  EXPECT_EQ(state.lifecycle_phase, "terminal");
  EXPECT_EQ(state.ownership_state, "unowned");
  EXPECT_EQ(state.terminal_outcome, "failed");
  EXPECT_EQ(state.attempt_state, "attempt_terminal");
  EXPECT_EQ(state.public_state, "failed");
  EXPECT_TRUE(state.has_grant);
  EXPECT_FALSE(state.lease_current);
  EXPECT_FALSE(state.current_lease_id.has_value());
  EXPECT_EQ(state.lease_expires_at, TimestampMs{kNow + 10});
  EXPECT_TRUE(state.in_terminal);
  EXPECT_FALSE(state.in_active);
  EXPECT_FALSE(state.in_lease_expiry);
  EXPECT_EQ(Reclaim(kA).error, ClaimError::kExecutionNotReclaimable);
  EXPECT_EQ(Complete(kA, lease.fence), ClaimError::kExecutionNotActive);
  EXPECT_EQ(Details(), (Texts{"failed", "1", "terminal", "00000000-0000-0000-0000-000000000002"}));
}

TEST_P(LedgerTest, ReclaimCaps) {
  Leased(kA, 10);
  Leased(kB, 10, 2);
  EXPECT_TRUE(ledger.Revoke({Id(kA), {}}));
  EXPECT_TRUE(ledger.Revoke({Id(kB), {}}));
  // The execution's own wins over the call's; the default is 1000.
  EXPECT_EQ(Reclaim(kB, kW2, 10, 0).error, ClaimError::kInvalidClaimGrant);
  EXPECT_EQ(Reclaim(kA, kW2, 10).error, ClaimError::kInvalidClaimGrant);
  for (int i = 0; i < 1000; ++i) {
    ASSERT_EQ(IssueReclaim(kA), ClaimError::kNone);
    ASSERT_TRUE(Reclaim(kA, kW2, 10));
    ASSERT_TRUE(ledger.Revoke({Id(kA), {}}));
  }
  EXPECT_EQ(Reclaim(kA, kW2, 10, 1001).error, ClaimError::kInvalidClaimGrant);
  EXPECT_EQ(Reclaim(kA, kW2, 10).error, ClaimError::kMaxRetriesExhausted);
  EXPECT_EQ(Details(), Texts{"1000"});
}

// Requirements stand in a policy, and a policy is never without a cap.
TEST_P(LedgerTest, ReclaimCapOfRequirements) {
  const CapabilitySet gpu = Caps("gpu");
  EXPECT_TRUE(Create(kA, kMain, 0, &gpu));
  EXPECT_EQ(Issue(kA, kW1, 100, &gpu), ClaimError::kNone);
  EXPECT_TRUE(Claim(kA));
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(ledger.Revoke({Id(kA), {}}));
    ASSERT_EQ(IssueReclaim(kA, kW2, 100, &gpu), ClaimError::kNone);
    ASSERT_TRUE(Reclaim(kA, kW2, 10, 1));
  }
  ASSERT_TRUE(ledger.Revoke({Id(kA), {}}));
  EXPECT_EQ(Reclaim(kA, kW2, 10, 1000).error, ClaimError::kMaxRetriesExhausted);
  EXPECT_EQ(Details(), Texts{"100"});
  // None are required: no policy.
  const CapabilitySet none;
  EXPECT_TRUE(Create(kB, kMain, 0, &none));
  EXPECT_EQ(Issue(kB), ClaimError::kNone);
  EXPECT_TRUE(Claim(kB));
  ASSERT_TRUE(ledger.Revoke({Id(kB), {}}));
  EXPECT_EQ(Reclaim(kB, kW2, 10, 0).error, ClaimError::kMaxRetriesExhausted);
}

TEST_P(LedgerTest, SuspendResumeClaim) {
  const Lease lease = Leased(kA, 1000);
  EXPECT_EQ(ledger.Resume({Id(kA), 0}).error, ClaimError::kExecutionNotSuspended);
  EXPECT_TRUE(ledger.Suspend({Id(kA), lease.fence}));
  ExecutionState state = State(kA);
  EXPECT_EQ(state.lifecycle_phase, "suspended");
  EXPECT_EQ(state.public_state, "suspended");
  EXPECT_EQ(state.blocking_reason, "waiting_for_signal");
  EXPECT_EQ(state.attempt_state, "attempt_interrupted");
  EXPECT_FALSE(state.current_lease_id.has_value());
  EXPECT_FALSE(state.lease_expires_at.has_value());
  EXPECT_EQ(state.lease_acquired_at, TimestampMs{kNow});
  EXPECT_EQ(state.current_attempt_id, lease.fence.attempt_id);
  EXPECT_TRUE(state.in_suspended);
  EXPECT_FALSE(state.in_active);
  EXPECT_EQ(ledger.Resume({Id(kA), kMaxTtlMs + 1}).error, ClaimError::kInvalidInput);
  EXPECT_EQ(ledger.Resume({Id(kB), 0}).error, ClaimError::kExecutionNotFound);
  EXPECT_TRUE(ledger.Resume({Id(kA), -1}));
  EXPECT_TRUE(State(kA).in_eligible);
  EXPECT_EQ(ClaimResumed(kA).error, ClaimError::kInvalidClaimGrant);
  EXPECT_EQ(Issue(kA), ClaimError::kNone);
  EXPECT_EQ(Claim(kA).error, ClaimError::kUseClaimResumedExecution);
  EXPECT_TRUE(State(kA).has_grant);
  EXPECT_EQ(ClaimResumed(kA, kW2).error, ClaimError::kInvalidClaimGrant);
  const ClaimOutcome resumed = ClaimResumed(kA);
  ASSERT_TRUE(resumed);
  EXPECT_EQ(resumed.lease.kind, LeaseKind::kResumed);
  EXPECT_EQ(resumed.lease.fence.attempt_id, lease.fence.attempt_id);
  EXPECT_EQ(resumed.lease.attempt_index.value, 0u);
  EXPECT_EQ(resumed.lease.fence.lease_epoch.value, 2u);
  EXPECT_EQ(State(kA).total_attempt_count, 1u);
  EXPECT_EQ(ClaimResumed(kA).error, ClaimError::kExecutionNotLeaseable);
}

TEST_P(LedgerTest, ResumeWithDelay) {
  const Lease lease = Leased(kA, 1000);
  EXPECT_TRUE(ledger.Suspend({Id(kA), lease.fence}));
  EXPECT_TRUE(ledger.Resume({Id(kA), 5}).delayed);
  EXPECT_EQ(State(kA).public_state, "delayed");
  EXPECT_EQ(State(kA).blocking_reason, "waiting_for_resume_delay");
  EXPECT_TRUE(State(kA).in_delayed);
  EXPECT_EQ(Issue(kA), ClaimError::kExecutionNotEligible);
  EXPECT_EQ(Claim(kA).error, ClaimError::kExecutionNotLeaseable);
}

TEST_P(LedgerTest, Completion) {
  const Lease lease = Leased(kA, 1000);
  clock.Advance(999);
  EXPECT_EQ(Complete(kA, lease.fence), ClaimError::kNone);
  const ExecutionState state = State(kA);
  EXPECT_EQ(state.lifecycle_phase, "terminal");
  EXPECT_EQ(state.terminal_outcome, "success");
  EXPECT_EQ(state.public_state, "completed");
  EXPECT_EQ(state.attempt_state, "attempt_terminal");
  EXPECT_FALSE(state.current_lease_id.has_value());
  EXPECT_FALSE(state.lease_expires_at.has_value());
  EXPECT_FALSE(state.lease_current);
  EXPECT_TRUE(state.in_terminal);
  EXPECT_EQ(Complete(kA, lease.fence), ClaimError::kExecutionNotActive);
  EXPECT_EQ(Details(), (Texts{"success", "1", "terminal", "00000000-0000-0000-0000-000000000002"}));
  EXPECT_EQ(Claim(kA).error, ClaimError::kExecutionNotLeaseable);
  EXPECT_EQ(Issue(kA), ClaimError::kExecutionNotEligible);
}

TEST_P(LedgerTest, OperatorOverride) {
  Leased(kA, 1000);
  EXPECT_EQ(Complete(kA, {}, true), ClaimError::kNone);
  EXPECT_EQ(Complete(kA, {}, true), ClaimError::kExecutionNotActive);
  Leased(kB, 10);
  clock.Advance(10);
  EXPECT_EQ(Complete(kB, {}, true), ClaimError::kLeaseExpired);
}

TEST_P(LedgerTest, NonCanonicalSpellingsAreNotFound) {
  const Lease lease = Leased(kA);
  constexpr std::string_view kAlias = "{fp:+1}:aaaaaaaa-0000-4000-8000-000000000001";
  EXPECT_FALSE(ledger.Inspect(Id(kAlias)).has_value());
  EXPECT_FALSE(ledger.Inspect(ExecutionIdView()).has_value());
  EXPECT_EQ(Issue(kAlias), ClaimError::kExecutionNotFound);
  EXPECT_EQ(Complete(kAlias, lease.fence), ClaimError::kExecutionNotFound);
  EXPECT_EQ(ledger.Revoke({Id(kAlias), {}}).error, ClaimError::kExecutionNotFound);
  EXPECT_EQ(ledger.MarkLeaseExpiredIfDue(Id(kAlias)).already, AlreadySatisfied::kExecutionNotFound);
}

TEST_P(LedgerTest, BatchesAnswerAsSingleCallsDo) {
  EXPECT_TRUE(Create(kA));
  EXPECT_TRUE(Create(kB));
  const std::vector<IssueGrantArgs> issues = {
      IssueArgs(kA, kW1, 100, nullptr, kMain), IssueArgs(kC, kW1, 100, nullptr, kMain),
      IssueArgs(kA, kW1, 100, nullptr, kMain), IssueArgs(kB, kW2, kMaxTtlMs + 1, nullptr, kMain),
      IssueArgs(kB, kW2, 50, nullptr, kMain)};
  std::vector<IssueOutcome> issued(issues.size());
  ledger.IssueClaimGrants(issues, issued);
  EXPECT_EQ(issued[0].expires_at.value, kNow + 100);
  EXPECT_EQ(issued[1].error, ClaimError::kExecutionNotFound);
  EXPECT_EQ(issued[2].error, ClaimError::kGrantAlreadyExists);
  EXPECT_EQ(issued[3].error, ClaimError::kInvalidInput);
  EXPECT_EQ(issued[4].expires_at.value, kNow + 50);
  const auto claim = [](std::string_view id, WorkerIdentity worker, std::uint8_t n) {
    return ClaimArgs{Id(id), worker, kMain, {UuidOf(n)}, 10, {UuidOf(n)}};
  };
  const std::vector<ClaimArgs> claims = {claim(kB, kW1, 1), claim(kB, kW2, 2), claim(kA, kW1, 3),
                                         claim(kA, kW1, 4)};
  std::vector<ClaimOutcome> claimed(claims.size());
  ledger.Claims(claims, claimed);
  EXPECT_EQ(claimed[0].error, ClaimError::kInvalidClaimGrant);
  EXPECT_EQ(claimed[1].lease.fence.lease_id.uuid, UuidOf(2));
  EXPECT_EQ(claimed[2].lease.fence.lease_id.uuid, UuidOf(3));
  EXPECT_EQ(claimed[3].error, ClaimError::kExecutionNotLeaseable);
  ledger.IssueClaimGrants({}, {});
  ledger.Claims({}, {});
}

TEST(LeaseKindTest, Names) {
  EXPECT_EQ(LeaseKindName(LeaseKind::kInitial), "initial");
  EXPECT_EQ(LeaseKindName(LeaseKind::kRetry), "retry");
  EXPECT_EQ(LeaseKindName(LeaseKind::kReplay), "replay");
  EXPECT_EQ(LeaseKindName(LeaseKind::kResumed), "resumed");
  EXPECT_EQ(LeaseKindName(LeaseKind::kReclaim), "reclaim");
}

TEST(AlreadySatisfiedTest, ReasonWords) {
  EXPECT_EQ(ReasonWord(AlreadySatisfied::kNo), "");
  EXPECT_EQ(ReasonWord(AlreadySatisfied::kExecutionNotFound), "execution_not_found");
  EXPECT_EQ(ReasonWord(AlreadySatisfied::kNotActive), "not_active");
  EXPECT_EQ(ReasonWord(AlreadySatisfied::kAlreadyExpired), "already_expired");
  EXPECT_EQ(ReasonWord(AlreadySatisfied::kAlreadyRevoked), "already_revoked");
  EXPECT_EQ(ReasonWord(AlreadySatisfied::kUnowned), "unowned");
  EXPECT_EQ(ReasonWord(AlreadySatisfied::kNotYetExpired), "not_yet_expired");
}

}  // namespace
}  // namespace ffgrant::testing
