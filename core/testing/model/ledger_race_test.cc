// SPDX-License-Identifier: Apache-2.0
//
// Runs every schedule of calls that meet where a ledger looks, releases a lock and looks again.
// Threads would show these cases only once in a long time; here they happen for certain.

#include "testing/model/ledger_race.h"

#include <gtest/gtest.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "testing/model/schedule_search.h"

namespace ffgrant::testing {
namespace {

using S = StartState;

PlannedCall Call(CallKind kind, std::uint8_t execution = 0, std::uint8_t worker = 0,
                 std::int64_t ms = 3) {
  PlannedCall call;
  call.kind = kind;
  call.execution = execution;
  call.worker = worker;
  call.ms = ms;
  return call;
}

// The first thread makes `steps` steps; then the other threads run to their ends.
class Interruption final : public Chooser {
 public:
  explicit Interruption(int steps) : left_(steps) {}
  int Choose(int /*current*/, std::uint32_t runnable) override {
    if ((runnable & 1) != 0 && (left_ > 0 || runnable == 1)) {
      --left_;
      return 0;
    }
    return std::countr_zero(runnable & ~1u);
  }
  // Whether the first thread had ended before it could be interrupted.
  bool too_late() const { return left_ > 0; }

 private:
  int left_;
};

class LedgerRaceTest : public ::testing::Test {
 protected:
  // Judges all schedules. Returns the number of different histories.
  std::size_t RunAll(const Race& race) {
    LedgerRace runner;
    runner.Prepare(race);
    ScheduleSearch search;
    std::unordered_set<std::uint64_t> judged;
    while (search.NextRun()) {
      const std::string problem = runner.Run(search);
      EXPECT_EQ(problem, "");
      if (!problem.empty()) break;
      if (search.redundant()) continue;
      runner.LookAtTheEnd();
      if (!judged.insert(runner.HistoryHash()).second) continue;
      const std::string wrong = runner.Check();
      EXPECT_EQ(wrong, "");
      if (!wrong.empty()) break;
    }
    return judged.size();
  }

  // Interrupts the first thread once, at each place where it can be, for as long as the other
  // threads take. Returns the last place.
  int RunInterrupted(const Race& race) {
    LedgerRace runner;
    runner.Prepare(race);
    for (int at = 1;; ++at) {
      Interruption interruption(at);
      EXPECT_EQ(runner.Run(interruption), "") << at;
      runner.LookAtTheEnd();
      EXPECT_EQ(runner.Check(), "") << at;
      if (HasFailure() || interruption.too_late()) return at;
    }
  }

  static Race TwoThreads(S start, std::vector<PlannedCall> first, std::vector<PlannedCall> second) {
    Race race;
    race.start = {start, S::kAbsent, S::kAbsent};
    race.points_after_unlock = false;
    race.threads[0] = std::move(first);
    race.threads[1] = std::move(second);
    return race;
  }
};

// One maintenance sees a delayed execution that is due. By the time it also has the partition's
// lock, another maintenance has made the execution eligible.
TEST_F(LedgerRaceTest, TwoMaintainersPromoteOnce) {
  Race race =
      TwoThreads(S::kDelayed, {Call(CallKind::kAdvance, 0, 0, 10), Call(CallKind::kMaintain)},
                 {Call(CallKind::kMaintain)});
  race.max_executions = 1;
  EXPECT_GT(RunInterrupted(race), 3);
}

// Or the execution is gone by then, and its place is empty or holds another execution: one of
// another partition, or one that is delayed itself, and for longer.
TEST_F(LedgerRaceTest, PromotionMeetsAnotherInThePlace) {
  const std::vector<PlannedCall> end = {Call(CallKind::kMaintain), Call(CallKind::kIssue),
                                        Call(CallKind::kClaim), Call(CallKind::kComplete),
                                        Call(CallKind::kForget)};
  PlannedCall delayed = Call(CallKind::kCreate, 2, 0, 5000);
  delayed.flag = true;
  for (const std::optional<PlannedCall>& next :
       {std::optional<PlannedCall>(), std::optional(Call(CallKind::kCreate, 1)),
        std::optional(delayed)}) {
    Race race = TwoThreads(S::kDelayed,
                           {Call(CallKind::kAdvance, 0, 0, 10), Call(CallKind::kMaintain)}, end);
    race.max_executions = 1;
    if (next) race.threads[1].push_back(*next);
    EXPECT_GT(RunInterrupted(race), 3);
  }
}

// A scheduler chooses an execution, and before it grants it, another caller has granted or claimed
// it.
TEST_F(LedgerRaceTest, TheChoiceIsTakenMeanwhile) {
  EXPECT_GT(RunAll(TwoThreads(S::kEligible, {Call(CallKind::kClaimForWorker)},
                              {Call(CallKind::kIssue, 0, 1)})),
            1u);
  EXPECT_GT(RunAll(TwoThreads(S::kEligible, {Call(CallKind::kClaimForWorker)},
                              {Call(CallKind::kIssue, 0, 1), Call(CallKind::kClaim, 0, 1)})),
            1u);
  EXPECT_GT(RunAll(TwoThreads(S::kGranted,
                              {Call(CallKind::kAdvance, 0, 0, 4), Call(CallKind::kClaimForWorker)},
                              {Call(CallKind::kClaim)})),
            1u);
}

// A scheduler passes over an execution that holds a grant, and this grant ends before the scheduler
// has granted the execution behind it. The choice must have been right at one moment.
TEST_F(LedgerRaceTest, TheGrantThatWasPassedOverEnds) {
  // The third execution stands before the first in their partition.
  Race race = TwoThreads(S::kEligible, {Call(CallKind::kClaimForWorker)},
                         {Call(CallKind::kAdvance, 0, 0, 4)});
  race.start[2] = S::kGranted;
  EXPECT_GT(RunAll(race), 1u);
  race.threads[1].push_back(Call(CallKind::kIssue, 2, 1));
  EXPECT_GT(RunAll(race), 1u);
}

// A failure meets another call that ends the lease or takes it over. One of the two wins, and a
// retry is promoted once and claimed as a retry.
TEST_F(LedgerRaceTest, AFailureMeetsAnotherEnd) {
  for (const CallKind other : {CallKind::kComplete, CallKind::kFail, CallKind::kSuspend,
                               CallKind::kRevoke, CallKind::kRenew, CallKind::kMaintain}) {
    for (const std::uint8_t execution : {std::uint8_t{0}, std::uint8_t{2}}) {
      Race race = TwoThreads(S::kAbsent, {Call(CallKind::kFail, execution, execution)},
                             {Call(other, execution, execution)});
      race.start[execution] = S::kLeased;
      EXPECT_GT(RunAll(race), 1u) << static_cast<int>(other);
    }
  }
}

TEST_F(LedgerRaceTest, ARetryIsPromotedWhileOthersLook) {
  Race race = TwoThreads(S::kAbsent, {Call(CallKind::kAdvance, 0, 0, 2), Call(CallKind::kMaintain)},
                         {Call(CallKind::kMaintain), Call(CallKind::kIssue, 2, 2),
                          Call(CallKind::kClaim, 2, 2), Call(CallKind::kFail, 2, 2)});
  race.start[2] = S::kFailed;
  EXPECT_GT(RunInterrupted(race), 3);
  race.threads[1][1] = Call(CallKind::kClaimForWorker, 2, 2);
  EXPECT_GT(RunInterrupted(race), 3);
}

// Both threads make the lane and the worker's name, and one of them finds the name already made.
// This runs in a larger ledger, in which the executions are in different regions.
TEST_F(LedgerRaceTest, TwoMakeOneName) {
  for (const std::uint8_t other : {std::uint8_t{0}, std::uint8_t{2}}) {
    Race race =
        TwoThreads(S::kAbsent, {Call(CallKind::kCreate, 1)}, {Call(CallKind::kCreate, other)});
    race.max_executions = 16;
    EXPECT_GT(RunAll(race), 1u);
    race = TwoThreads(S::kEligible, {Call(CallKind::kIssue, 1)}, {Call(CallKind::kIssue, other)});
    race.start[1] = race.start[2] = S::kEligible;
    race.max_executions = 16;
    EXPECT_GT(RunAll(race), 1u);
  }
}

}  // namespace
}  // namespace ffgrant::testing
