// SPDX-License-Identifier: Apache-2.0
//
// The scheduler's choice, on the embedded ledger and on the model.

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "testing/model/ledger_test_fixture.h"

namespace ffgrant::testing {
namespace {

class ScheduleTest : public LedgerTest {
 protected:
  // Whom the worker is given; empty for nobody.
  std::string Next(const CapabilitySet* offered = nullptr, LaneIdView lane = kMain,
                   std::int64_t ttl = 100) {
    const ClaimForWorkerOutcome outcome = ledger.ClaimForWorker({kW1, lane, ttl, offered});
    if (!outcome) {
      EXPECT_EQ(outcome.error, ClaimError::kNoEligibleExecution);
      return "";
    }
    return std::string(outcome.grant.view().execution_id.text());
  }
  // The same, claimed at once, so that the next can follow.
  std::string Take(const CapabilitySet* offered = nullptr) {
    const std::string id = Next(offered);
    if (!id.empty()) {
      EXPECT_TRUE(Claim(id));
    }
    return id;
  }
};

INSTANTIATE_TEST_SUITE_P(Ledgers, ScheduleTest, ::testing::Bool(),
                         [](const auto& run) { return run.param ? "Model" : "Memory"; });

TEST_P(ScheduleTest, NothingToDo) {
  EXPECT_EQ(Next(), "");
  EXPECT_TRUE(Create(kA));
  EXPECT_EQ(Next(nullptr, kOtherLane), "");
  EXPECT_EQ(ledger.ClaimForWorker({kW1, kMain, kMaxTtlMs + 1, nullptr}).error,
            ClaimError::kInvalidInput);
  EXPECT_EQ(Next(), kA);
  EXPECT_EQ(Next(), "");  // the head has a live grant
  clock.Advance(101);
  EXPECT_EQ(Next(), kA);
}

TEST_P(ScheduleTest, TheGrantSaysWhatWasIssued) {
  EXPECT_TRUE(Create(kA));
  const ClaimForWorkerOutcome outcome = ledger.ClaimForWorker({kW1, kMain, 100, nullptr});
  ASSERT_TRUE(outcome);
  const ClaimGrantView grant = outcome.grant.view();
  EXPECT_EQ(grant.execution_id.text(), kA);
  EXPECT_EQ(grant.partition_key, "{fp:1}");
  EXPECT_EQ(grant.grant_key,
            "ff:exec:{fp:1}:{fp:1}:aaaaaaaa-0000-4000-8000-000000000001:claim_grant");
  EXPECT_EQ(grant.expires_at_ms, static_cast<std::uint64_t>(kNow + 100));
  EXPECT_TRUE(State(kA).has_grant);
  EXPECT_EQ(Claim(kA, kW2).error, ClaimError::kInvalidClaimGrant);
  EXPECT_TRUE(Claim(kA, kW1));
}

TEST_P(ScheduleTest, PriorityThenAgeThenId) {
  EXPECT_TRUE(Create(kC, kMain, 1));
  EXPECT_TRUE(Create(kB, kMain, 1));
  clock.Advance(1);
  EXPECT_TRUE(Create(kA, kMain, 1));
  constexpr std::string_view kUrgent = "{fp:1}:dddddddd-0000-4000-8000-000000000004";
  EXPECT_TRUE(Create(kUrgent, kMain, 2));
  EXPECT_EQ(Take(), kUrgent);
  EXPECT_EQ(Take(), kB);
  EXPECT_EQ(Take(), kC);
  EXPECT_EQ(Take(), kA);
  EXPECT_EQ(Take(), "");
}

TEST_P(ScheduleTest, RequirementsHoldUpNobodyElse) {
  const CapabilitySet gpu = Caps("gpu");
  const CapabilitySet both = Caps("arm,gpu");
  EXPECT_TRUE(Create(kA, kMain, 9, &both));
  EXPECT_TRUE(Create(kB, kMain, 5, &gpu));
  EXPECT_TRUE(Create(kC, kMain, 1));
  EXPECT_EQ(Next(), kC);
  EXPECT_EQ(Next(&gpu), kB);
  EXPECT_FALSE(State(kA).last_capability_mismatch_at.has_value());
  EXPECT_EQ(Next(&both), kA);
  EXPECT_EQ(Next(&both), "");
}

TEST_P(ScheduleTest, DelayedOnesAreNotTaken) {
  EXPECT_TRUE(Create(kA, kMain, 0, nullptr, kNow + 5));
  clock.Advance(10);
  EXPECT_EQ(Next(), "");  // nobody has promoted it yet
}

TEST_P(ScheduleTest, ResumedOnesComeBackInTheirPlace) {
  EXPECT_TRUE(Create(kA, kMain, 5));
  EXPECT_TRUE(Create(kB, kMain, 1));
  EXPECT_EQ(Issue(kA), ClaimError::kNone);
  const ClaimOutcome claimed = Claim(kA);
  ASSERT_TRUE(claimed);
  EXPECT_TRUE(ledger.Suspend({Id(kA), claimed.lease.fence}));
  EXPECT_TRUE(ledger.Resume({Id(kA), 0}));
  EXPECT_EQ(Next(), kA);
  EXPECT_TRUE(ClaimResumed(kA));
  EXPECT_EQ(Take(), kB);
}

}  // namespace
}  // namespace ffgrant::testing
