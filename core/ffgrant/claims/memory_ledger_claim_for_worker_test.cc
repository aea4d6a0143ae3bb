// SPDX-License-Identifier: Apache-2.0
//
// Tests which execution ClaimForWorker() chooses, on the embedded ledger and on the model.

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "ffgrant/routing.h"

#include "testing/model/ledger_test_fixture.h"

namespace ffgrant::testing {
namespace {

// Returns the id of execution `n`, from 0 to 9, of partition 1.
std::string IdOf(int n) { return "{fp:1}:dddddddd-0000-4000-8000-00000000000" + std::to_string(n); }

class ScheduleTest : public LedgerTest {
 protected:
  static std::string Placed(int partition, int n) {
    return "{fp:" + std::to_string(partition) + "}:dddddddd-0000-4000-8000-00000000000" +
           std::to_string(n);
  }
  // Creates executions of one partition, in the order in which they are to be taken.
  std::vector<std::string> CreateInOrder(int count) {
    std::vector<std::string> ids;
    for (int i = 0; i < count; ++i) {
      ids.push_back(IdOf(i));
      EXPECT_TRUE(Create(ids.back(), kMain, 9 - i));
    }
    return ids;
  }
  // Claims an execution with its grant, and completes and forgets it, so that its id can be used
  // again.
  void End(const std::string& id, WorkerIdentity worker) {
    const ClaimOutcome claimed = Claim(id, worker);
    ASSERT_TRUE(claimed);
    EXPECT_EQ(Complete(id, claimed.lease.fence), ClaimError::kNone);
    if (GetParam()) {
      EXPECT_TRUE(static_cast<ModelLedger&>(ledger).Forget(Id(id)));
    } else {
      EXPECT_TRUE(static_cast<MemoryLedger&>(ledger).Forget(Id(id)));
    }
  }
  // Returns the execution that the worker is given; empty if there is none.
  std::string Next(const CapabilitySet* offered = nullptr, LaneIdView lane = kMain,
                   std::int64_t ttl = 100) {
    const ClaimForWorkerOutcome outcome = ledger.ClaimForWorker({kW1, lane, ttl, offered});
    if (!outcome) {
      EXPECT_EQ(outcome.error, ClaimError::kNoEligibleExecution);
      return "";
    }
    return std::string(outcome.grant.view().execution_id.text());
  }
  // Does what Next() does, and claims the execution at once, so that the next call gets the next
  // execution.
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

// Once no execution is in a lane any more, another lane gets its internal number.
TEST_P(ScheduleTest, ALaneThatTookOverANumber) {
  const LaneIdView other = ParseLaneId("other").lane;
  ASSERT_TRUE(Create(kA));
  ASSERT_EQ(Next(), kA);
  End(std::string(kA), kW1);
  ASSERT_TRUE(Create(kB, other));
  EXPECT_EQ(Next(), "");
  EXPECT_EQ(Next(nullptr, other), kB);
}

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

// A grant that nobody claims does not hold up the executions behind it.
TEST_P(ScheduleTest, GrantsHoldUpNobodyElse) {
  const std::vector<std::string> ids = CreateInOrder(5);
  for (const std::string& id : ids) EXPECT_EQ(Next(), id);
  EXPECT_EQ(Next(), "");
  // Whatever became of the other grants, an execution whose grant has ended is in its place again.
  EXPECT_TRUE(Claim(ids[1]));
  clock.Advance(101);
  EXPECT_EQ(Issue(ids[2], kW2, 1000), ClaimError::kNone);
  EXPECT_EQ(Next(), ids[0]);
  EXPECT_EQ(Next(), ids[3]);
  EXPECT_EQ(Next(), ids[4]);
  EXPECT_EQ(Next(), "");
  clock.Advance(100);  // at its very end a grant is still good
  EXPECT_EQ(Next(), "");
  clock.Advance(1);
  EXPECT_EQ(Next(), ids[0]);
}

TEST_P(ScheduleTest, GrantsOfOthersAreStoodBehind) {
  const std::vector<std::string> ids = CreateInOrder(4);
  EXPECT_EQ(Issue(ids[0], kW2, 50), ClaimError::kNone);
  EXPECT_EQ(Issue(ids[1], kW2, 20), ClaimError::kNone);
  EXPECT_EQ(Issue(ids[2], kW2, 70), ClaimError::kNone);
  EXPECT_EQ(Next(nullptr, kMain, 1000), ids[3]);
  EXPECT_EQ(Next(), "");
  clock.Advance(21);
  EXPECT_EQ(Next(nullptr, kMain, 1000), ids[1]);
  EXPECT_EQ(Next(), "");
  clock.Advance(50);
  EXPECT_EQ(Next(nullptr, kMain, 1000), ids[0]);
  EXPECT_EQ(Next(nullptr, kMain, 1000), ids[2]);
  EXPECT_EQ(Next(), "");
}

// If an execution with a grant is claimed, suspended and resumed, it is in the queue again at once,
// long before the grant would have ended.
TEST_P(ScheduleTest, AGrantThatIsUsedEndsAtOnce) {
  const std::vector<std::string> ids = CreateInOrder(2);
  EXPECT_EQ(Next(nullptr, kMain, 1000), ids[0]);
  EXPECT_EQ(Next(nullptr, kMain, 1000), ids[1]);
  EXPECT_EQ(Next(), "");  // both have been passed over
  const ClaimOutcome claimed = Claim(ids[0]);
  ASSERT_TRUE(claimed);
  EXPECT_TRUE(ledger.Suspend({Id(ids[0]), claimed.lease.fence}));
  EXPECT_EQ(Next(), "");
  EXPECT_TRUE(ledger.Resume({Id(ids[0]), 0}));
  EXPECT_EQ(Next(), ids[0]);
  EXPECT_EQ(Next(), "");
}

TEST_P(ScheduleTest, RequirementsAndGrantsTogether) {
  const CapabilitySet gpu = Caps("gpu");
  EXPECT_TRUE(Create(kA, kMain, 9, &gpu));
  EXPECT_TRUE(Create(kB, kMain, 8));
  EXPECT_TRUE(Create(kC, kMain, 7, &gpu));
  EXPECT_EQ(Next(&gpu), kA);
  EXPECT_EQ(Next(), kB);
  EXPECT_EQ(Next(), "");
  EXPECT_EQ(Next(&gpu), kC);
  EXPECT_EQ(Next(&gpu), "");
}

TEST_P(ScheduleTest, AnswersSayWhatWasSeen) {
  EXPECT_TRUE(Create(kA));
  const auto seen = [](const ClaimForWorkerOutcome& o) {
    return std::vector<std::uint32_t>{o.partitions, o.partitions_seen, o.partitions_unreachable};
  };
  using Seen = std::vector<std::uint32_t>;
  const auto claim = [&](std::uint16_t max_partitions, LaneIdView lane) {
    return ledger.ClaimForWorker({kW1, lane, 100, nullptr, max_partitions});
  };
  EXPECT_EQ(seen(ledger.ClaimForWorker({kW1, kMain, kMaxTtlMs + 1, nullptr})), (Seen{0, 0, 0}));
  EXPECT_FALSE(ledger.ClaimForWorker({kW1, kMain, kMaxTtlMs + 1, nullptr}).saw_all());
  const ClaimForWorkerOutcome found = claim(kAllPartitions, kMain);
  ASSERT_TRUE(found);
  EXPECT_GE(found.partitions_seen, 1u);
  for (const std::uint16_t all : {kAllPartitions, std::uint16_t{4}, std::uint16_t{65535}}) {
    for (const LaneIdView lane : {kMain, kOtherLane}) {
      const ClaimForWorkerOutcome none = claim(all, lane);
      EXPECT_EQ(none.error, ClaimError::kNoEligibleExecution);
      EXPECT_EQ(seen(none), (Seen{4, 4, 0}));
      EXPECT_TRUE(none.saw_all());
    }
  }
  for (const std::uint16_t some : {std::uint16_t{1}, std::uint16_t{3}}) {
    for (const LaneIdView lane : {kMain, kOtherLane}) {
      const ClaimForWorkerOutcome none = claim(some, lane);
      EXPECT_EQ(none.error, ClaimError::kNothingInWindow);
      EXPECT_EQ(seen(none), (Seen{4, some, 0}));
      EXPECT_FALSE(none.saw_all());
    }
  }
}

// Windows follow one another, wherever the execution is and whatever the size of the windows is.
TEST_P(ScheduleTest, EveryPartitionComesRound) {
  for (const std::uint16_t window : {std::uint16_t{1}, std::uint16_t{2}, std::uint16_t{3}}) {
    const std::size_t calls = (4u + window - 1u) / window;
    for (int partition = 0; partition < 4; ++partition) {
      for (const std::string instance : {"i1", "i2", "i3"}) {
        const std::string id = Placed(partition, 1);
        EXPECT_TRUE(Create(id));
        std::size_t needed = 0;
        ClaimForWorkerOutcome outcome;
        do {
          outcome = ledger.ClaimForWorker({{{"w"}, {instance}}, kMain, 100, nullptr, window});
          ++needed;
          if (!outcome) {
            ASSERT_EQ(outcome.error, ClaimError::kNothingInWindow);
          }
        } while (!outcome && needed < calls);
        ASSERT_TRUE(outcome) << window << " " << partition;
        EXPECT_EQ(outcome.grant.view().execution_id.text(), id);
        End(id, {{"w"}, {instance}});
      }
    }
  }
}

// A partition that always has something does not keep the partitions behind it waiting.
TEST_P(ScheduleTest, ABusyPartitionStarvesNoOther) {
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(Create(Placed(1, i), kMain, 9));
  for (const int partition : {0, 2, 3}) EXPECT_TRUE(Create(Placed(partition, 0)));
  std::set<std::string> first_four;
  for (int i = 0; i < 4; ++i) first_four.insert(Next());
  EXPECT_EQ(first_four,
            (std::set<std::string>{Placed(0, 0), Placed(1, 0), Placed(2, 0), Placed(3, 0)}));
  EXPECT_EQ(Next(), Placed(1, 1));
}

// Each worker instance has a round of its own on each lane. The rounds begin at ScanStart(), which
// is not the same for all instances.
TEST_P(ScheduleTest, RoundsAreTheWorkersOwn) {
  for (int partition = 0; partition < 4; ++partition) {
    EXPECT_TRUE(Create(Placed(partition, 0)));
    EXPECT_TRUE(Create(Placed(partition, 1), kOtherLane));
  }
  const auto first = [&](std::string_view instance, LaneIdView lane) {
    const ClaimForWorkerOutcome outcome =
        ledger.ClaimForWorker({{{"w"}, {instance}}, lane, 0, nullptr, 1});
    EXPECT_TRUE(outcome);
    return outcome.grant.view().execution_id.partition().index;
  };
  // A grant with a ttl of 0 does not stay.
  for (const std::string_view instance : {"i1", "i2", "i3", "i4"}) {
    const std::uint16_t start = ScanStart({instance}, 4);
    for (const LaneIdView lane : {kMain, kOtherLane}) {
      for (std::uint16_t i = 0; i < 6; ++i) EXPECT_EQ(first(instance, lane), (start + i) % 4);
    }
  }
}

// ---- the embedded ledger alone -----------------------------------------------------

class LookAheadTest : public ::testing::Test, public Calls {
 protected:
  explicit LookAheadTest(std::size_t max_candidates = 2)
      : Calls(ledger_, clock_), ledger_(Options(max_candidates, clock_)) {}
  static MemoryLedgerOptions Options(std::size_t max_candidates, const Clock& clock) {
    MemoryLedgerOptions options = SmallOptions(clock);
    options.max_candidates = max_candidates;
    return options;
  }
  ManualClock clock_{TimestampMs{kNow}};
  MemoryLedger ledger_;
};

// A call passes over `max_candidates` executions and says that it has not seen all. The next call
// goes on after them.
TEST_F(LookAheadTest, IsBoundedAndGoesOn) {
  for (int i = 0; i < 6; ++i) {
    EXPECT_TRUE(Create(IdOf(i), kMain, 9 - i));
    if (i < 5) {
      EXPECT_EQ(Issue(IdOf(i), kW2, 1000), ClaimError::kNone);
    }
  }
  const ClaimForWorkerArgs args = {kW1, kMain, 100, nullptr};
  for (int i = 0; i < 2; ++i) {
    const ClaimForWorkerOutcome cut = ledger.ClaimForWorker(args);
    EXPECT_EQ(cut.error, ClaimError::kNothingInWindow);
    EXPECT_EQ(cut.partitions_seen, 3u);
    EXPECT_FALSE(cut.saw_all());
  }
  const ClaimForWorkerOutcome found = ledger.ClaimForWorker(args);
  ASSERT_TRUE(found);
  EXPECT_EQ(found.grant.view().execution_id.text(), IdOf(5));
  EXPECT_EQ(ledger.ClaimForWorker(args).error, ClaimError::kNoEligibleExecution);
}

// A partition that a call has left unfinished does not count as seen, although the call goes on to
// other partitions and finds something there.
TEST(LookAheadOfSeveralPartitions, CountsWhatWasFinished) {
  const auto placed = [](std::uint32_t partition, int n) {
    return "{fp:" + std::to_string(partition) + "}:dddddddd-0000-4000-8000-00000000000" +
           std::to_string(n);
  };
  for (std::uint32_t unfinished = 0; unfinished < 4; ++unfinished) {
    ManualClock clock(TimestampMs{kNow});
    MemoryLedgerOptions options = SmallOptions(clock);
    options.max_candidates = 1;
    MemoryLedger ledger(options);
    Calls calls(ledger, clock);
    const std::uint32_t start = ScanStart(kW1.worker_instance_id, 4);
    for (std::uint32_t i = 0; i < unfinished; ++i) {
      for (const int n : {0, 1}) {
        const std::string id = placed((start + i) % 4, n);
        EXPECT_TRUE(calls.Create(id));
        EXPECT_EQ(calls.Issue(id, kW2, 1000), ClaimError::kNone);
      }
    }
    EXPECT_TRUE(calls.Create(placed((start + unfinished) % 4, 2)));
    const ClaimForWorkerOutcome found = ledger.ClaimForWorker({kW1, kMain, 100, nullptr});
    ASSERT_TRUE(found) << unfinished;
    EXPECT_EQ(found.grant.view().execution_id.text(), placed((start + unfinished) % 4, 2));
    EXPECT_EQ(found.partitions, 4u);
    EXPECT_EQ(found.partitions_seen, 1u) << unfinished;
    EXPECT_FALSE(found.saw_all()) << unfinished;
  }
}

// There are as many executions as may be passed over, and none behind them.
TEST_F(LookAheadTest, ThatEndsWithTheQueueHasSeenAll) {
  for (int i = 0; i < 2; ++i) {
    EXPECT_TRUE(Create(IdOf(i)));
    EXPECT_EQ(Issue(IdOf(i), kW2, 1000), ClaimError::kNone);
  }
  EXPECT_EQ(ledger.ClaimForWorker({kW1, kMain, 100, nullptr}).error,
            ClaimError::kNoEligibleExecution);
}

// Tests what memory_ledger.h says of a clock that is set back.
TEST_F(LookAheadTest, AfterAStepBackOneThatWasPassedOverWaits) {
  ASSERT_TRUE(Create(IdOf(0)));
  ASSERT_EQ(Issue(IdOf(0), kW1, 5000), ClaimError::kNone);
  const auto ask = [&] { return ledger.ClaimForWorker({kW1, kMain, 100, nullptr}).error; };
  EXPECT_EQ(ask(), ClaimError::kNoEligibleExecution);
  clock.Set({kNow + 5001});
  (void)ledger_.RunMaintenance(64);
  clock.Set({kNow + 1000});
  EXPECT_FALSE(State(IdOf(0)).has_grant);
  EXPECT_EQ(ask(), ClaimError::kNoEligibleExecution);
  EXPECT_EQ(Issue(IdOf(0), kW1, 100), ClaimError::kNone);
  clock.Set({kNow + 5001});
  EXPECT_EQ(ask(), ClaimError::kNone);
}

// If executions were created in the same millisecond, their ids decide, whichever bits differ.
TEST(MemoryLedgerOrderTest, EqualScoresGoByTheWholeId) {
  ManualClock clock(TimestampMs{1000});
  MemoryLedgerOptions options;
  options.max_executions = 256;
  options.partitions.num_flow_partitions = 2;
  options.clock = &clock;
  MemoryLedger ledger(options);
  std::vector<std::string> ids;
  for (int i = 0; i < 200; ++i) {
    // Half of the ids have the same first byte; every id has a last byte of its own.
    const int mixed = i * 77 % 200;
    std::array<char, 64> text;
    std::snprintf(text.data(), text.size(), "{fp:1}:%02x%02x0000-0000-4000-8000-0000000000%02x",
                  mixed % 2 == 0 ? 0x11 : mixed, mixed % 3, mixed);
    ids.emplace_back(text.data());
    CreateExecutionArgs create;
    create.execution_id = Id(ids.back());
    create.lane = kMain;
    ASSERT_TRUE(ledger.CreateExecution(create));
  }
  std::sort(ids.begin(), ids.end());
  for (const std::string& id : ids) {
    const ClaimForWorkerOutcome outcome = ledger.ClaimForWorker({kW1, kMain, 100});
    ASSERT_TRUE(outcome);
    ASSERT_EQ(outcome.grant.view().execution_id.text(), id);
  }
}

TEST(MemoryLedgerOptionsTest, NoCandidatesAreRefused) {
  MemoryLedgerOptions options;
  options.max_candidates = 0;
  EXPECT_THROW(MemoryLedger ledger(options), std::invalid_argument);
}

}  // namespace
}  // namespace ffgrant::testing
