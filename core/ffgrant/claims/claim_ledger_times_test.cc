// SPDX-License-Identifier: Apache-2.0
//
// Tests times and durations at the ends of their ranges, also with a clock at these ends, on the
// embedded ledger and on the model.

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "ffgrant/claims/claim_ledger.h"
#include "testing/model/ledger_test_fixture.h"

namespace ffgrant::testing {
namespace {

INSTANTIATE_TEST_SUITE_P(Ledgers, LedgerTest, ::testing::Bool(),
                         [](const auto& run) { return run.param ? "Model" : "Memory"; });

// Returns the id of execution `n`, from 0 to 9.
std::string IdOf(int n) { return "{fp:1}:dddddddd-0000-4000-8000-00000000000" + std::to_string(n); }

// Nothing is added to the time until which an execution is delayed, so any value of the time's type
// is allowed.
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

// Every ttl and the delay of Resume() have the same bounds; a call beyond them changes nothing.
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

// A clock that reads a time outside +-kMaxTtlMs counts as standing at the nearer bound.
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

}  // namespace
}  // namespace ffgrant::testing
