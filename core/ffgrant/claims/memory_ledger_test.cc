// SPDX-License-Identifier: Apache-2.0
//
// Tests what the embedded ledger has beyond the claim path: bounded room, forgetting and
// maintenance. The scenarios (core/testing/scenarios/cases) test the claim path.

#include "ffgrant/claims/memory_ledger.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <iterator>
#include <new>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "testing/calls/ledger_calls.h"
#include "testing/naive/sanitized.h"

namespace ffgrant::testing {
namespace {

class MemoryLedgerTest : public ::testing::Test {
 protected:
  ManualClock clock_{TimestampMs{kNow}};
  MemoryLedger ledger_{SmallOptions(clock_)};
  Calls calls_{ledger_, clock_};
};

std::string NumberedId(int number) {
  std::string id = "{fp:1}:aaaaaaaa-0000-4000-8000-000000000000";
  id[id.size() - 1] = static_cast<char>('0' + number % 10);
  id[id.size() - 2] = static_cast<char>('0' + number / 10);
  return id;
}

TEST_F(MemoryLedgerTest, RefusesOptionsOutOfRange) {
  const auto with = [this](void (*change)(MemoryLedgerOptions&)) {
    MemoryLedgerOptions options = SmallOptions(clock_);
    change(options);
    return options;
  };
  using O = MemoryLedgerOptions;
  EXPECT_NO_THROW(MemoryLedger(with([](O&) {})));
  EXPECT_THROW(MemoryLedger(with([](O& o) { o.max_executions = 0; })), std::invalid_argument);
  EXPECT_THROW(MemoryLedger(with([](O& o) { o.max_lanes = 0; })), std::invalid_argument);
  EXPECT_THROW(MemoryLedger(with([](O& o) { o.max_lanes = 4097; })), std::invalid_argument);
  EXPECT_THROW(MemoryLedger(with([](O& o) { o.max_executions = (std::size_t{1} << 31) + 1; })),
               std::invalid_argument);
  EXPECT_THROW(MemoryLedger(with([](O& o) { o.max_names = 0; })), std::invalid_argument);
  EXPECT_THROW(MemoryLedger(with([](O& o) { o.max_names = (std::size_t{1} << 24) + 1; })),
               std::invalid_argument);
  EXPECT_THROW(MemoryLedger(with([](O& o) { o.max_name_bytes = 0; })), std::invalid_argument);
  EXPECT_THROW(MemoryLedger(with([](O& o) { o.max_name_bytes = (std::size_t{1} << 32) + 1; })),
               std::invalid_argument);
  EXPECT_THROW(MemoryLedger(with([](O& o) { o.max_capability_sets = 0; })), std::invalid_argument);
  EXPECT_THROW(MemoryLedger(with([](O& o) { o.max_capability_sets = 65536; })),
               std::invalid_argument);
  EXPECT_THROW(MemoryLedger(with([](O& o) { o.max_text_bytes = 0; })), std::invalid_argument);
  EXPECT_THROW(MemoryLedger(with([](O& o) { o.max_text_bytes = (std::size_t{1} << 32) + 1; })),
               std::invalid_argument);
  EXPECT_THROW(MemoryLedger(with([](O& o) { o.clock = nullptr; })), std::invalid_argument);
  EXPECT_THROW(MemoryLedger(with([](O& o) { o.partitions.num_flow_partitions = 0; })),
               std::invalid_argument);
}

#if !FFGRANT_IS_SANITIZED
// Most of these ledgers need more memory than the child may have: their constructors throw
// bad_alloc.
TEST_F(MemoryLedgerTest, TakesOptionsAtTheirLimits) {
  const pid_t child = fork();
  if (child == 0) {
    rlimit limit = {std::size_t{1} << 29, std::size_t{1} << 29};
    if (setrlimit(RLIMIT_AS, &limit) != 0) _exit(2);
    using O = MemoryLedgerOptions;
    void (*const kLargest[])(O&) = {[](O& o) { o.max_executions = std::size_t{1} << 31; },
                                    [](O& o) { o.max_lanes = 4096; },
                                    [](O& o) { o.max_names = std::size_t{1} << 24; },
                                    [](O& o) { o.max_name_bytes = std::size_t{1} << 32; },
                                    [](O& o) { o.max_capability_sets = 65535; },
                                    [](O& o) { o.max_text_bytes = std::size_t{1} << 32; }};
    for (std::size_t i = 0; i < std::size(kLargest); ++i) {
      MemoryLedgerOptions options = SmallOptions(clock_);
      kLargest[i](options);
      try {
        const MemoryLedger ledger(options);
      } catch (const std::bad_alloc&) {
        continue;
      } catch (const std::invalid_argument&) {
        _exit(10 + static_cast<int>(i));
      }
    }
    _exit(0);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0) << "10 and more: this one of the options is refused";
}
#endif

TEST_F(MemoryLedgerTest, FullOfExecutions) {
  EXPECT_EQ(ledger_.capacity(), 8u);
  for (int i = 0; i < 8; ++i) {
    EXPECT_TRUE(calls_.Create(NumberedId(i)));
    EXPECT_EQ(ledger_.size(), static_cast<std::size_t>(i + 1));
  }
  EXPECT_EQ(calls_.Create(NumberedId(8)).error, ClaimError::kLedgerFull);
  // An execution that exists already is still no error.
  EXPECT_EQ(calls_.Create(NumberedId(3)).status, CreateOutcome::Status::kDuplicate);
  EXPECT_FALSE(ledger_.Inspect(Id(NumberedId(8))).has_value());
  EXPECT_EQ(ledger_.size(), 8u);
}

TEST_F(MemoryLedgerTest, FullOfLanes) {
  EXPECT_TRUE(calls_.Create(kA, LaneIdView::Unchecked("one")));
  EXPECT_TRUE(calls_.Create(kB, LaneIdView::Unchecked("two")));
  EXPECT_EQ(calls_.Create(kC, LaneIdView::Unchecked("three")).error, ClaimError::kLedgerFull);
  EXPECT_TRUE(calls_.Create(kC, LaneIdView::Unchecked("two")));
}

// A lane is given back together with its last execution, however the lane was
// used. A worker that asks for work on the lane does not keep the lane.
TEST_F(MemoryLedgerTest, LanesAreGivenBack) {
  for (int round = 0; round < 200; ++round) {
    const std::string text = "lane " + std::to_string(round);
    const LaneIdView lane = LaneIdView::Unchecked(text);
    for (const std::string_view id : {kA, kB}) {
      ASSERT_TRUE(calls_.Create(id, lane)) << round;
      ASSERT_TRUE(ledger_.ClaimForWorker({kW1, lane, 100, nullptr}));
      const ClaimOutcome claimed = calls_.Claim(id, kW1, 1000, lane);
      ASSERT_TRUE(claimed);
      ASSERT_EQ(ledger_.InspectNames(Id(id))->current_lane, text);
      ASSERT_EQ(calls_.Complete(id, claimed.lease.fence), ClaimError::kNone);
    }
    ASSERT_TRUE(ledger_.Forget(Id(kA)));
    ASSERT_TRUE(ledger_.Forget(Id(kB)));
    ASSERT_EQ(ledger_.ClaimForWorker({kW1, lane, 100, nullptr}).error,
              ClaimError::kNoEligibleExecution);
  }
}

// The number of a lane that is gone may be the number of another lane. A worker that asks for the
// lane that is gone is not given the other lane's work.
TEST_F(MemoryLedgerTest, ALaneThatWentIsEmpty) {
  const LaneIdView one = LaneIdView::Unchecked("one");
  const LaneIdView two = LaneIdView::Unchecked("two");
  EXPECT_TRUE(calls_.Create(kA, one));
  EXPECT_EQ(calls_.Issue(kA, kW1, 100, nullptr, one), ClaimError::kNone);
  const Lease lease = calls_.Claim(kA, kW1, 1000, one).lease;
  EXPECT_EQ(calls_.Complete(kA, lease.fence), ClaimError::kNone);
  EXPECT_TRUE(ledger_.Forget(Id(kA)));
  EXPECT_TRUE(calls_.Create(kB, two));
  EXPECT_EQ(ledger_.ClaimForWorker({kW1, one, 100, nullptr}).error,
            ClaimError::kNoEligibleExecution);
  EXPECT_TRUE(ledger_.ClaimForWorker({kW1, two, 100, nullptr}));
}

TEST_F(MemoryLedgerTest, FullOfCapabilitySets) {
  std::vector<CapabilitySet> sets(9);
  for (std::size_t i = 0; i < sets.size(); ++i) sets[i] = Caps("cap" + std::to_string(i));
  MemoryLedgerOptions options = SmallOptions(clock_);
  options.max_executions = 16;
  MemoryLedger ledger(options);
  Calls calls(ledger, clock_);
  for (int i = 0; i < 8; ++i) {
    EXPECT_TRUE(calls.Create(NumberedId(i), kMain, 0, &sets[static_cast<std::size_t>(i)]));
  }
  EXPECT_EQ(calls.Create(NumberedId(8), kMain, 0, &sets[8]).error, ClaimError::kLedgerFull);
  EXPECT_EQ(calls.details[0], "capability sets");
  EXPECT_TRUE(calls.Create(NumberedId(8), kMain, 0, &sets[3]));
  EXPECT_TRUE(calls.Create(NumberedId(9)));
  EXPECT_EQ(ledger.size(), 10u);
  // When a set's last execution is forgotten, there is room for another set, and a verdict on the
  // first set is not taken for a verdict on the other.
  EXPECT_EQ(calls.Issue(NumberedId(0), kW1, 100, &sets[0]), ClaimError::kNone);
  EXPECT_EQ(calls.Issue(NumberedId(1), kW1, 100, &sets[0]), ClaimError::kCapabilityMismatch);
  const Lease lease = calls.Claim(NumberedId(0)).lease;
  EXPECT_EQ(calls.Complete(NumberedId(0), lease.fence), ClaimError::kNone);
  EXPECT_TRUE(ledger.Forget(Id(NumberedId(0))));
  EXPECT_TRUE(calls.Create(NumberedId(10), kMain, 0, &sets[8]));
  EXPECT_EQ(calls.Issue(NumberedId(10), kW1, 100, &sets[0]), ClaimError::kCapabilityMismatch);
  EXPECT_EQ(calls.details[0], "cap8");
  EXPECT_EQ(calls.Issue(NumberedId(10), kW1, 100, &sets[8]), ClaimError::kNone);
}

TEST_F(MemoryLedgerTest, Forgetting) {
  EXPECT_EQ(ledger_.Forget(Id(kA)).error, ClaimError::kExecutionNotFound);
  const Lease lease = calls_.Leased(kA);
  EXPECT_EQ(ledger_.Forget(Id(kA)).error, ClaimError::kInvalidInput);
  EXPECT_EQ(calls_.Complete(kA, lease.fence), ClaimError::kNone);
  EXPECT_EQ(ledger_.Forget(Id("{fp:01}:aaaaaaaa-0000-4000-8000-000000000001")).error,
            ClaimError::kExecutionNotFound);
  EXPECT_EQ(ledger_.Forget(Id("{fp:4}:aaaaaaaa-0000-4000-8000-000000000001")).error,
            ClaimError::kExecutionNotFound);
  EXPECT_TRUE(ledger_.Forget(Id(kA)));
  EXPECT_EQ(ledger_.size(), 0u);
  EXPECT_FALSE(ledger_.Inspect(Id(kA)).has_value());
  EXPECT_EQ(ledger_.Forget(Id(kA)).error, ClaimError::kExecutionNotFound);
  // The new execution has nothing of the old one.
  EXPECT_TRUE(calls_.Create(kA));
  EXPECT_EQ(calls_.State(kA).total_attempt_count, 0u);
  EXPECT_FALSE(calls_.State(kA).current_attempt_id.has_value());
  EXPECT_EQ(calls_.Issue(kA), ClaimError::kNone);
  EXPECT_EQ(calls_.Claim(kA).lease.fence.lease_epoch.value, 1u);
}

TEST_F(MemoryLedgerTest, RoomIsUsedAgainAndAgain) {
  for (int round = 0; round < 200; ++round) {
    const std::string id = NumberedId(round % 100);
    const Lease lease = calls_.Leased(id);
    ASSERT_EQ(calls_.Complete(id, lease.fence), ClaimError::kNone);
    ASSERT_TRUE(ledger_.Forget(Id(id)));
  }
  EXPECT_EQ(ledger_.size(), 0u);
}

// Names of grants that are gone make room for new names.
TEST_F(MemoryLedgerTest, NamesAreUsedAgain) {
  EXPECT_TRUE(calls_.Create(kA));
  for (int round = 0; round < 200; ++round) {
    const std::string worker = "worker-" + std::to_string(round);
    ASSERT_EQ(calls_.Issue(kA, {{worker}, {worker}}, 10), ClaimError::kNone) << round;
    ASSERT_EQ(calls_.Claim(kA, {{"other"}, {"other"}}).error, ClaimError::kInvalidClaimGrant);
    clock_.Advance(11);
  }
}

TEST_F(MemoryLedgerTest, FullOfNames) {
  // There are 16 names, and live grants refer to all of them.
  MemoryLedgerOptions options = SmallOptions(clock_);
  options.max_executions = 32;
  MemoryLedger ledger(options);
  Calls calls(ledger, clock_);
  int granted = 0;
  ClaimError error = ClaimError::kNone;
  while (error == ClaimError::kNone) {
    ASSERT_LT(granted, 32);
    const std::string id = NumberedId(granted);
    const std::string worker = "worker-" + std::to_string(granted);
    ASSERT_TRUE(calls.Create(id));
    const ExecutionState before = calls.State(id);
    error = calls.Issue(id, {{worker}, {worker}}, 10);
    if (error == ClaimError::kNone) {
      ++granted;
    } else {
      EXPECT_EQ(error, ClaimError::kLedgerFull);
      EXPECT_EQ(calls.State(id), before);
    }
  }
  EXPECT_EQ(granted, 16);
  // The earlier grants still know their workers.
  for (int i = 0; i < granted; ++i) {
    const std::string worker = "worker-" + std::to_string(i);
    EXPECT_EQ(calls.Claim(NumberedId(i), kW1).error, ClaimError::kInvalidClaimGrant);
    EXPECT_TRUE(calls.Claim(NumberedId(i), {{worker}, {worker}}));
  }
}

// Each grant has texts of its own. The texts take no names, and are freed with the grant, whatever
// ends the grant.
TEST_F(MemoryLedgerTest, OpaqueTextsDoNotWearOut) {
  MemoryLedgerOptions options = SmallOptions(clock_);
  options.max_names = 1;
  options.max_text_bytes = 5 * 60;
  MemoryLedger ledger(options);
  Calls calls(ledger, clock_);
  for (int round = 0; round < 500; ++round) {
    const std::string number = std::to_string(round);
    ASSERT_TRUE(calls.Create(kA));
    IssueGrantArgs args = calls.IssueArgs(kA, kW1, 10, nullptr, kMain);
    const std::string hash = number + " hash";
    args.capability_hash = hash;
    const std::string route = number + " route " + std::string(50, 'r');  // up to 60 bytes: a piece
    args.route_snapshot_json = route;
    args.admission_summary = number;
    ASSERT_TRUE(ledger.IssueClaimGrant(args)) << round;
    if (round % 2 == 0) {
      clock_.Advance(11);
      args.admission_summary = "again";
      ASSERT_TRUE(ledger.IssueClaimGrant(args)) << round;
    }
    const ExecutionNames names = ledger.InspectNames(Id(kA)).value();
    ASSERT_EQ(names.capability_hash, hash);
    ASSERT_EQ(names.route_snapshot_json, route);
    ASSERT_EQ(names.admission_summary, round % 2 == 0 ? "again" : number);
    ASSERT_EQ(names.grant_lane_id, "main");
    const ClaimOutcome claimed = calls.Claim(kA, kW1, 1000, round % 3 == 0 ? kOtherLane : kMain);
    ASSERT_TRUE(claimed);
    ASSERT_EQ(ledger.InspectNames(Id(kA))->current_lane, round % 3 == 0 ? "other" : "main");
    ASSERT_EQ(calls.Complete(kA, claimed.lease.fence), ClaimError::kNone);
    ASSERT_TRUE(ledger.Forget(Id(kA)));
  }
}

// Without room for its texts a grant is not issued at all. A claim that ends
// another execution's grant makes room at once.
TEST_F(MemoryLedgerTest, FullOfTexts) {
  MemoryLedgerOptions options = SmallOptions(clock_);
  options.max_names = 1;
  options.max_text_bytes = 120;
  MemoryLedger ledger(options);
  Calls calls(ledger, clock_);
  EXPECT_TRUE(calls.Create(kA));
  EXPECT_TRUE(calls.Create(kB));
  IssueGrantArgs a = calls.IssueArgs(kA, kW1, 100, nullptr, kMain);
  a.capability_hash = "one";
  EXPECT_TRUE(ledger.IssueClaimGrant(a));
  IssueGrantArgs b = calls.IssueArgs(kB, kW1, 100, nullptr, kMain);
  b.capability_hash = "two";
  EXPECT_EQ(ledger.IssueClaimGrant(b, &calls.details).error, ClaimError::kLedgerFull);
  EXPECT_EQ(calls.details[0], "texts");
  EXPECT_FALSE(calls.State(kB).has_grant);
  EXPECT_TRUE(calls.Claim(kA));
  EXPECT_TRUE(ledger.IssueClaimGrant(b));
  EXPECT_EQ(ledger.InspectNames(Id(kB))->capability_hash, "two");
}

// The ledger searches for room as long as it finds grants that ran out.
TEST_F(MemoryLedgerTest, RoomForALongTextIsMadeOfShortOnes) {
  MemoryLedgerOptions options = SmallOptions(clock_);
  options.max_executions = 64;
  options.max_text_bytes = 40 * 60;
  MemoryLedger ledger(options);
  Calls calls(ledger, clock_);
  for (int i = 0; i < 20; ++i) {
    EXPECT_TRUE(calls.Create(NumberedId(i)));
    IssueGrantArgs args = calls.IssueArgs(NumberedId(i), kW1, 10, nullptr, kMain);
    args.capability_hash = "short";
    EXPECT_TRUE(ledger.IssueClaimGrant(args));
  }
  clock_.Advance(11);
  EXPECT_TRUE(calls.Create(kA));
  const std::string text(39 * 60, 't');
  IssueGrantArgs args = calls.IssueArgs(kA, kW1, 10, nullptr, kMain);
  args.route_snapshot_json = text;
  EXPECT_TRUE(ledger.IssueClaimGrant(args));
  EXPECT_EQ(ledger.InspectNames(Id(kA))->route_snapshot_json, text);
}

// A lease may need room that its grant did not need: for the name of another instance, or for the
// text of another lane. If there is no such room, the grant stays as it is.
TEST_F(MemoryLedgerTest, ALeaseWithoutRoomForItsNames) {
  MemoryLedgerOptions options = SmallOptions(clock_);
  options.max_names = 1;
  options.max_text_bytes = 60;
  MemoryLedger ledger(options);
  Calls calls(ledger, clock_);
  EXPECT_TRUE(calls.Create(kA));
  EXPECT_EQ(calls.Issue(kA), ClaimError::kNone);
  const ExecutionState granted = calls.State(kA);
  EXPECT_EQ(calls.Claim(kA, kW1Other).error, ClaimError::kLedgerFull);
  EXPECT_EQ(calls.Claim(kA, kW1, 1000, kOtherLane).error, ClaimError::kLedgerFull);
  const ClaimArgs args[] = {{Id(kA), kW1Other, kMain, {UuidOf(1)}, 1000, {UuidOf(2)}},
                            {Id(kA), kW1, kOtherLane, {UuidOf(3)}, 1000, {UuidOf(4)}}};
  ClaimOutcome outcomes[2];
  ledger.ClaimBatch(args, outcomes);
  EXPECT_EQ(outcomes[0].error, ClaimError::kLedgerFull);
  EXPECT_EQ(outcomes[1].error, ClaimError::kLedgerFull);
  EXPECT_EQ(calls.State(kA), granted);
  const Lease lease = calls.Claim(kA).lease;

  EXPECT_TRUE(ledger.Suspend({Id(kA), lease.fence}));
  EXPECT_TRUE(ledger.Resume({Id(kA), 0}));
  EXPECT_EQ(calls.Issue(kA), ClaimError::kNone);
  const ExecutionState resumed = calls.State(kA);
  EXPECT_EQ(calls.ClaimResumed(kA, kW1Other).error, ClaimError::kLedgerFull);
  EXPECT_EQ(calls.State(kA), resumed);
  EXPECT_TRUE(calls.ClaimResumed(kA, kW1, 10));

  clock_.Advance(10);
  EXPECT_TRUE(ledger.MarkLeaseExpiredIfDue(Id(kA)));
  EXPECT_EQ(calls.IssueReclaim(kA, kW1), ClaimError::kNone);
  const ExecutionState expired = calls.State(kA);
  EXPECT_EQ(calls.Reclaim(kA, kW1Other).error, ClaimError::kLedgerFull);
  EXPECT_EQ(calls.State(kA), expired);
  EXPECT_TRUE(calls.Reclaim(kA, kW1));
}

// Names that nothing needs any more make room for a lease's names.
TEST_F(MemoryLedgerTest, ALeaseForWhichRoomIsMade) {
  MemoryLedgerOptions options = SmallOptions(clock_);
  options.max_names = 2;
  MemoryLedger ledger(options);
  Calls calls(ledger, clock_);
  for (const bool batch : {false, true}) {
    EXPECT_TRUE(calls.Create(batch ? kC : kA));
    const ExecutionIdView id = Id(batch ? kC : kA);
    const std::string other = batch ? "second" : "first";
    // A grant to another worker runs out.
    EXPECT_TRUE(batch || calls.Create(kB));
    EXPECT_EQ(calls.Issue(kB, {{other}, {other}}, 10), ClaimError::kNone);
    clock_.Advance(11);
    EXPECT_EQ(calls.Issue(id.text()), ClaimError::kNone);
    const ClaimArgs args = {id, kW1Other, kMain, {UuidOf(1)}, 1000, {UuidOf(2)}};
    ClaimOutcome outcome;
    if (batch) {
      ledger.ClaimBatch({&args, 1}, {&outcome, 1});
    } else {
      outcome = ledger.Claim(args);
    }
    EXPECT_TRUE(outcome) << ErrorName(outcome.error);
    EXPECT_EQ(ledger.InspectNames(id)->current_worker_instance_id, "w1-i2");
    EXPECT_EQ(calls.Complete(id.text(), outcome.lease.fence), ClaimError::kNone);
  }
}

TEST_F(MemoryLedgerTest, DetailsNeedNotBeAskedFor) {
  calls_.Leased(kA, 10, 0);
  clock_.Advance(10);
  EXPECT_TRUE(ledger_.MarkLeaseExpiredIfDue(Id(kA)));
  EXPECT_EQ(calls_.IssueReclaim(kA), ClaimError::kNone);
  EXPECT_EQ(ledger_.Reclaim({Id(kA), kW2, kMain, {UuidOf(8)}, 100, {UuidOf(9)}, {}}).error,
            ClaimError::kMaxRetriesExhausted);
  EXPECT_EQ(calls_.State(kA).lifecycle_phase, "terminal");
  EXPECT_EQ(ledger_.Fail({.execution_id = Id(kB), .fence = {}}).error,
            ClaimError::kExecutionNotFound);
  const Lease lease = calls_.Leased(kB);
  EXPECT_EQ(ledger_.Fail({.execution_id = Id(kB), .fence = {}}).error, ClaimError::kFenceRequired);
  EXPECT_TRUE(ledger_.Fail({.execution_id = Id(kB), .fence = lease.fence}));
  EXPECT_EQ(calls_.State(kB).public_state, "failed");
}

// A grant for 10 ms takes the only name of a ledger, and a second worker finds none.
void GrantTheOnlyName(Calls& calls) {
  EXPECT_TRUE(calls.Create(kA));
  EXPECT_TRUE(calls.Create(kB));
  EXPECT_EQ(calls.Issue(kA, kW1, 10), ClaimError::kNone);
  EXPECT_EQ(calls.Issue(kB, kW2), ClaimError::kLedgerFull);
}

// After a search that found nothing, the ledger does not at once search again for grants that have
// run out, unless something was freed.
TEST_F(MemoryLedgerTest, RoomIsNotLookedForAtOnceAgain) {
  MemoryLedgerOptions options = SmallOptions(clock_);
  options.max_names = 1;
  MemoryLedger ledger(options);
  Calls calls(ledger, clock_);
  GrantTheOnlyName(calls);
  clock_.Advance(99);
  EXPECT_FALSE(calls.State(kA).has_grant);
  EXPECT_EQ(calls.Issue(kB, kW2), ClaimError::kLedgerFull);
  clock_.Advance(1);
  EXPECT_EQ(calls.Issue(kB, kW2), ClaimError::kNone);
}

class CountingClock final : public Clock {
 public:
  TimestampMs Now() const noexcept override {
    ++readings;
    return {kNow};
  }
  mutable std::size_t readings = 0;
};

// A search reads the clock each time it takes a lock to visit slots. So the number of readings
// shows that the search visits each slot once, no more than 64 under one lock, and is not repeated.
TEST_F(MemoryLedgerTest, ASearchForRoomHoldsNoLockForLong) {
  CountingClock clock;
  MemoryLedgerOptions options = SmallOptions(clock);
  options.max_executions = 100'000;
  options.max_names = 1;
  MemoryLedger ledger(options);
  Calls calls(ledger, clock_);
  EXPECT_TRUE(calls.Create(kA));
  EXPECT_TRUE(calls.Create(kB));
  EXPECT_EQ(calls.Issue(kA, kW1), ClaimError::kNone);
  clock.readings = 0;
  EXPECT_EQ(calls.Issue(kB, kW2), ClaimError::kLedgerFull);
  EXPECT_GE(clock.readings, options.max_executions / 64);
  EXPECT_LE(clock.readings, options.max_executions / 64 * 2);
  clock.readings = 0;
  EXPECT_EQ(calls.Issue(kB, kW2), ClaimError::kLedgerFull);
  EXPECT_LE(clock.readings, 4u);
}

// A call that holds a name and finds no room for its text releases the name.
TEST_F(MemoryLedgerTest, WhatACallMadeInVainIsInNobodysWay) {
  MemoryLedgerOptions options = SmallOptions(clock_);
  options.max_names = 1;
  options.max_text_bytes = 60;
  MemoryLedger ledger(options);
  Calls calls(ledger, clock_);
  EXPECT_TRUE(calls.Create(kA));
  IssueGrantArgs args = calls.IssueArgs(kA, kW2, 100, nullptr, kMain);
  args.route_snapshot_json = "too much";
  EXPECT_EQ(ledger.IssueClaimGrant(args).error, ClaimError::kLedgerFull);
  EXPECT_EQ(calls.Issue(kA, kW1), ClaimError::kNone);
}

TEST_F(MemoryLedgerTest, WhatAClaimMadeInVainIsInNobodysWay) {
  MemoryLedgerOptions options = SmallOptions(clock_);
  options.max_names = 2;
  options.max_text_bytes = 60;
  MemoryLedger ledger(options);
  Calls calls(ledger, clock_);
  EXPECT_TRUE(calls.Create(kA));
  EXPECT_TRUE(calls.Create(kB));
  EXPECT_EQ(calls.Issue(kA, kW1), ClaimError::kNone);
  EXPECT_EQ(calls.Claim(kA, kW1Other, 1000, kOtherLane).error, ClaimError::kLedgerFull);
  EXPECT_EQ(calls.Issue(kB, kW2), ClaimError::kNone);
}

// Names to which nothing refers any more do not stand in the way, even if each
// region of the table has used another name last.
TEST_F(MemoryLedgerTest, ANameThatWasUsedLastIsInNobodysWay) {
  MemoryLedgerOptions options = SmallOptions(clock_);
  options.max_executions = 64;
  options.max_names = 2;
  MemoryLedger ledger(options);
  Calls calls(ledger, clock_);
  for (int round = 0; round < 300; ++round) {
    const std::string id = NumberedId(round % 64);
    const std::string worker = "worker-" + std::to_string(round);
    ASSERT_TRUE(calls.Create(id));
    ASSERT_EQ(calls.Issue(id, {{worker}, {worker}}), ClaimError::kNone) << round;
    const ClaimOutcome claimed = calls.Claim(id, {{worker}, {"other instance"}});
    ASSERT_TRUE(claimed) << round;
    ASSERT_EQ(calls.Complete(id, claimed.lease.fence), ClaimError::kNone);
    ASSERT_TRUE(ledger.Forget(Id(id)));
  }
}

// Maintenance, too, finds grants that ran out.
TEST_F(MemoryLedgerTest, MaintenanceMakesRoom) {
  MemoryLedgerOptions options = SmallOptions(clock_);
  options.max_names = 1;
  MemoryLedger ledger(options);
  Calls calls(ledger, clock_);
  GrantTheOnlyName(calls);
  clock_.Advance(11);
  EXPECT_EQ(calls.Issue(kB, kW2), ClaimError::kLedgerFull);
  (void)ledger.RunMaintenance(1000);
  EXPECT_EQ(calls.Issue(kB, kW2), ClaimError::kNone);
}

TEST_F(MemoryLedgerTest, ANameThatWasFreedIsNobodys) {
  MemoryLedgerOptions options = SmallOptions(clock_);
  options.max_names = 2;
  MemoryLedger ledger(options);
  Calls calls(ledger, clock_);
  for (int i = 0; i < 6; ++i) ASSERT_TRUE(calls.Create(NumberedId(i)));
  // Three grants to two workers run out. The grant to a third worker finds no free name, and the
  // search for room then frees both names.
  ASSERT_EQ(calls.Issue(NumberedId(0), kW1, 10), ClaimError::kNone);
  ASSERT_EQ(calls.Issue(NumberedId(1), kW2, 10), ClaimError::kNone);
  ASSERT_EQ(calls.Issue(NumberedId(2), kW1, 10), ClaimError::kNone);
  clock_.Advance(11);
  const WorkerIdentity third = {{"w3"}, {"w3-i1"}};
  ASSERT_EQ(calls.Issue(NumberedId(5), third), ClaimError::kNone);
  // A worker whose ids are empty is not taken for a worker whose name is stored later.
  const WorkerIdentity nameless = {{""}, {""}};
  ASSERT_EQ(calls.Issue(NumberedId(3), nameless), ClaimError::kNone);
  ASSERT_EQ(calls.Issue(NumberedId(4), kW2), ClaimError::kNone);
  EXPECT_EQ(calls.Claim(NumberedId(3), kW2).error, ClaimError::kInvalidClaimGrant);
  EXPECT_EQ(calls.Claim(NumberedId(5), nameless).error, ClaimError::kInvalidClaimGrant);
  EXPECT_TRUE(calls.Claim(NumberedId(3), nameless));
  EXPECT_TRUE(calls.Claim(NumberedId(4), kW2));
  EXPECT_TRUE(calls.Claim(NumberedId(5), third));
}

TEST_F(MemoryLedgerTest, ANameThatIsTooLarge) {
  EXPECT_TRUE(calls_.Create(kA));
  // The ledger has room for 512 bytes, which is rounded up to nine pieces of 60 bytes: 540 bytes.
  const std::string huge(541, 'w');
  EXPECT_EQ(calls_.Issue(kA, {{huge}, {""}}), ClaimError::kLedgerFull);
  EXPECT_FALSE(calls_.State(kA).has_grant);
  EXPECT_EQ(calls_.Issue(kA), ClaimError::kNone);
}

TEST_F(MemoryLedgerTest, MaintenanceMarksAndPromotes) {
  calls_.Leased(kA, 10);
  EXPECT_TRUE(calls_.Create(kB, kMain, 0, nullptr, kNow + 11));
  clock_.Advance(9);
  auto result = ledger_.RunMaintenance(100);
  EXPECT_EQ(result.leases_expired, 0u);
  clock_.Advance(1);
  result = ledger_.RunMaintenance(100);
  EXPECT_EQ(result.leases_expired, 1u);
  EXPECT_EQ(result.promoted, 0u);
  EXPECT_EQ(calls_.State(kA).ownership_state, "lease_expired_reclaimable");
  clock_.Advance(1);
  result = ledger_.RunMaintenance(100);
  EXPECT_EQ(result.leases_expired, 0u);
  EXPECT_EQ(result.promoted, 1u);
  EXPECT_TRUE(calls_.State(kB).in_eligible);
  EXPECT_FALSE(calls_.State(kB).delay_until.has_value());
  EXPECT_EQ(calls_.State(kB).public_state, "waiting");
  EXPECT_TRUE(ledger_.ClaimForWorker({kW1, kMain, 100, nullptr}));
}

// Each call of RunMaintenance() looks at a bounded number of places and goes on where the last call
// stopped.
TEST_F(MemoryLedgerTest, MaintenanceInSteps) {
  for (int i = 0; i < 8; ++i) {
    calls_.Leased(NumberedId(i), 10);
  }
  clock_.Advance(10);
  std::size_t marked = 0;
  int steps = 0;
  while (marked < 8) {
    const auto result = ledger_.RunMaintenance(1);
    EXPECT_LE(result.leases_expired, 1u);
    marked += result.leases_expired;
    ASSERT_LT(++steps, 10'000);
  }
  EXPECT_EQ(ledger_.RunMaintenance(0).leases_expired, 0u);
}

// All partitions are visited, wherever a worker's round starts.
TEST_F(MemoryLedgerTest, EveryPartitionIsServed) {
  for (int i = 0; i < 8; ++i) {
    std::string id = NumberedId(i);
    id[4] = static_cast<char>('0' + i % 4);
    EXPECT_TRUE(calls_.Create(id));
  }
  std::vector<int> taken(4);
  for (int i = 0; i < 8; ++i) {
    const ClaimForWorkerOutcome outcome = ledger_.ClaimForWorker({kW1, kMain, 100, nullptr});
    ASSERT_TRUE(outcome);
    ++taken[outcome.grant.view().execution_id.partition().index];
    EXPECT_TRUE(calls_.Claim(outcome.grant.view().execution_id.text()));
  }
  EXPECT_EQ(taken, (std::vector<int>{2, 2, 2, 2}));
}

// There are more partitions than a word has bits.
TEST_F(MemoryLedgerTest, PartitionsFarApartAreServed) {
  MemoryLedgerOptions options = SmallOptions(clock_);
  options.partitions.num_flow_partitions = 200;
  MemoryLedger ledger(options);
  Calls calls(ledger, clock_);
  std::set<std::string> left;
  for (const int partition : {0, 63, 64, 130, 199}) {
    const std::string id =
        "{fp:" + std::to_string(partition) + "}:aaaaaaaa-0000-4000-8000-000000000000";
    EXPECT_TRUE(calls.Create(id));
    left.insert(id);
  }
  while (!left.empty()) {
    const ClaimForWorkerOutcome outcome = ledger.ClaimForWorker({kW1, kMain, 100, nullptr});
    ASSERT_TRUE(outcome);
    EXPECT_EQ(left.erase(std::string(outcome.grant.view().execution_id.text())), 1u);
  }
  EXPECT_EQ(ledger.ClaimForWorker({kW1, kMain, 100, nullptr}).error,
            ClaimError::kNoEligibleExecution);
}

}  // namespace
}  // namespace ffgrant::testing
