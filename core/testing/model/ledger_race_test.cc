// SPDX-License-Identifier: Apache-2.0
//
// Runs calls that meet where a ledger looks, releases a lock and looks again: in every schedule, or
// in every schedule in which the first thread is interrupted once. With real threads these cases
// would rarely happen; here they happen for certain.

#include "testing/model/ledger_race.h"

#include <gtest/gtest.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "testing/calls/ledger_calls.h"
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

// The first thread makes `steps` steps. Then the other threads run as far as they can without it.
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
  // Runs all schedules, and judges each different history once. Returns the number of histories.
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

  // Interrupts the first thread once in each run, for as long as the other threads take: after one
  // step, after two steps, and so on. Returns the first number of steps that the thread did not
  // make, or that led to a failure.
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

// By the time a maintenance has the partition's lock, the execution that it saw is gone. The place
// of the execution is empty, or holds another execution: one of another partition, or one that is
// delayed for longer.
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

// A scheduler chooses an execution, but another caller grants or claims the execution before the
// scheduler has granted it.
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

// A failure meets another call that ends or renews the same lease, or a maintenance. One of the two
// takes effect first, and a retry is promoted once.
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

// Both threads make the name of one lane, or of one worker, and one of them finds the name already
// made.
// The test has a larger ledger, in which the executions are in different regions.
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

// ClaimForWorker looks for a lane while another thread makes or gives up the lane's name. The call
// finds the lane or not, or finds a name that is only half made or half given up.
TEST_F(LedgerRaceTest, ALaneComesAndGoesWhileOneLooksForIt) {
  EXPECT_GT(
      RunAll(TwoThreads(S::kAbsent, {Call(CallKind::kClaimForWorker)}, {Call(CallKind::kCreate)})),
      1u);
  EXPECT_GT(RunAll(TwoThreads(S::kCompleted, {Call(CallKind::kClaimForWorker)},
                              {Call(CallKind::kForget)})),
            1u);
}

// Interrupts `first` after one step, after two steps, and so on, each time on a new ledger. Runs
// `second` in the interruption, and `judge` once both have ended.
void RunEachInterruption(const MemoryLedgerOptions& options,
                         const std::function<void(Calls&)>& prepare,
                         const std::function<void(Calls&)>& first,
                         const std::function<void(Calls&)>& second,
                         const std::function<void(Calls&)>& judge) {
  ManualClock clock(TimestampMs{kNow});
  for (int at = 1;; ++at) {
    SCOPED_TRACE(at);
    Scheduler scheduler;
    Scheduler::ResetLockNumbers();
    MemoryLedgerOptions own = options;
    own.clock = &clock;
    MemoryLedger ledger(own);
    Calls calls(ledger, clock);
    prepare(calls);
    Interruption interruption(at);
    const std::function<void()> bodies[] = {[&] { first(calls); }, [&] { second(calls); }};
    ASSERT_EQ(scheduler.Run(bodies, interruption), Scheduler::Result::kDone);
    judge(calls);
    if (interruption.too_late()) return;
  }
}

// While a scheduler works with its lane's number, this number becomes that of another lane. The
// scheduler gets an execution of its own lane, or none, and never one of the other lane.
TEST(NumbersThatChange, ASchedulerKeepsToItsLane) {
  ManualClock clock(TimestampMs{kNow});
  ClaimForWorkerOutcome found;
  int times = 0;
  RunEachInterruption(
      SmallOptions(clock),
      [](Calls& calls) {
        const Lease lease = calls.Leased(kA);
        ASSERT_EQ(calls.Complete(kA, lease.fence), ClaimError::kNone);
      },
      [&](Calls& calls) {
        found = calls.ledger.ClaimForWorker({.worker = kW1, .lane = kMain, .grant_ttl_ms = 100});
      },
      [](Calls& calls) {
        Calls own(calls.ledger, calls.clock);
        EXPECT_TRUE(static_cast<MemoryLedger&>(own.ledger).Forget(Id(kA)));
        EXPECT_TRUE(own.Create(kB, kOtherLane));
        EXPECT_TRUE(own.Create(kC, kMain));
      },
      [&](Calls& calls) {
        EXPECT_EQ(calls.State(kB).grant_expires_at, std::nullopt);
        if (!found) {
          EXPECT_EQ(found.error, ClaimError::kNoEligibleExecution);
          EXPECT_EQ(calls.State(kC).grant_expires_at, std::nullopt);
          return;
        }
        ++times;
        EXPECT_EQ(found.grant.view().execution_id.text(), kC);
      });
  EXPECT_GE(times, 2);
}

// While a call finds no room, another call makes room.
TEST(RoomThatComes, IsFoundOrNotButNeverHalfTaken) {
  ManualClock clock(TimestampMs{kNow});
  MemoryLedgerOptions options = SmallOptions(clock);
  options.max_names = 1;
  ClaimError issued = ClaimError::kNone;
  Lease lease;
  int with_room = 0;
  int without = 0;
  RunEachInterruption(
      options,
      [&](Calls& calls) {
        lease = calls.Leased(kA);
        ASSERT_TRUE(calls.Create(kB));
        // From now on names are scarce: no region keeps one for later.
        ASSERT_EQ(calls.Issue(kB, kW2), ClaimError::kLedgerFull);
      },
      [&](Calls& calls) { issued = calls.Issue(kB, kW2); },
      [&](Calls& calls) {
        Calls own(calls.ledger, calls.clock);
        EXPECT_EQ(own.Complete(kA, lease.fence), ClaimError::kNone);
      },
      [&](Calls& calls) {
        if (issued == ClaimError::kNone) {
          ++with_room;
          EXPECT_EQ(calls.Issue(kB, kW2), ClaimError::kGrantAlreadyExists);
          return;
        }
        ++without;
        EXPECT_EQ(issued, ClaimError::kLedgerFull);
        EXPECT_EQ(calls.Issue(kB, kW2), ClaimError::kNone) << "the room is still there";
      });
  EXPECT_GE(with_room, 3);
  EXPECT_GE(without, 1);
}

}  // namespace
}  // namespace ffgrant::testing
