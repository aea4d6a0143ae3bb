// SPDX-License-Identifier: Apache-2.0
//
// Tests which execution the embedded ledger's scheduler chooses after long
// histories, and whether its table still finds every execution after many were
// created and forgotten.

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <random>
#include <string_view>
#include <tuple>
#include <vector>

#include "ffgrant/claims/clock.h"
#include "ffgrant/claims/memory_ledger.h"

namespace ffgrant {
namespace {

constexpr LaneIdView kLane = LaneIdView::Unchecked("main");
constexpr WorkerIdentity kWorker = {{"w"}, {"w-i1"}};
constexpr std::int64_t kLongTtl = 1'000'000'000;

MemoryLedgerOptions Options(const Clock& clock, std::size_t max_executions) {
  MemoryLedgerOptions options;
  options.max_executions = max_executions;
  options.max_lanes = 2;
  options.max_names = 64;
  options.max_name_bytes = 4096;
  options.partitions.num_flow_partitions = 4;
  options.clock = &clock;
  return options;
}

Uuid NumberedUuid(std::uint32_t number) {
  Uuid uuid;
  for (std::size_t i = 0; i < 4; ++i) {
    uuid.bytes[i] = static_cast<std::uint8_t>(number >> (24 - 8 * i));
  }
  return uuid;
}

CreateExecutionArgs CreateArgs(const MintedExecutionId& id) {
  CreateExecutionArgs args;
  args.execution_id = id.view();
  args.lane = kLane;
  return args;
}

IssueGrantArgs IssueArgs(const MintedExecutionId& id, std::int64_t ttl_ms) {
  IssueGrantArgs args;
  args.execution_id = id.view();
  args.worker = kWorker;
  args.lane = kLane;
  args.grant_ttl_ms = ttl_ms;
  return args;
}

ClaimForWorkerArgs ScheduleArgs(std::int64_t ttl_ms) {
  ClaimForWorkerArgs args;
  args.worker = kWorker;
  args.lane = kLane;
  args.grant_ttl_ms = ttl_ms;
  return args;
}

// ---- the order -----------------------------------------------------------------

// The executions of one lane and partition. A History knows about these executions only what the
// calls have answered. To find the execution that ClaimForWorker() has to choose, it looks at all
// of them.
class History {
 public:
  explicit History(std::uint32_t seed) : random_(seed) {
    for (Execution& execution : executions_) {
      Uuid uuid;
      for (std::uint8_t& byte : uuid.bytes) byte = static_cast<std::uint8_t>(random_());
      execution.id = MintedExecutionId(1, uuid);
    }
    const std::array<std::vector<std::string_view>, kNeeds> tokens = {
        {{}, {"a"}, {"b"}, {"a", "b"}}};
    for (std::size_t i = 0; i < kNeeds; ++i) {
      EXPECT_EQ(required_[i].AssignRequired(tokens[i]), CapabilityError::kNone);
      EXPECT_EQ(offered_[i].AssignOffered(tokens[i]), CapabilityError::kNone);
    }
  }

  void Step() {
    if (Below(3) == 0) clock_.Advance(Below(3));
    if (Below(5) < 2) {
      Schedule();
      return;
    }
    Execution& e = executions_[Below(executions_.size())];
    switch (e.state) {
      case State::kAbsent:
        return Create(e);
      case State::kEligible:
        return IssueAndClaim(e);
      case State::kLeased:
        return Below(2) == 0 ? Suspend(e) : Complete(e);
      case State::kSuspended:
        return Resume(e);
      case State::kCompleted:
        return Forget(e);
    }
  }

  // The number of calls that chose an execution, and of calls that chose none.
  int chosen() const { return chosen_; }
  int nobody() const { return nobody_; }

 private:
  // The number of sets of the two tokens. As an index, a set has one bit for each token.
  static constexpr std::size_t kNeeds = 4;

  enum class State { kAbsent, kEligible, kLeased, kSuspended, kCompleted };
  struct Execution {
    MintedExecutionId id{0, {}};
    State state = State::kAbsent;
    std::size_t needs = 0;
    std::int64_t score = 0;
    bool resumed = false;
    std::int64_t granted_until = std::numeric_limits<std::int64_t>::min();
    LeaseFence fence;
  };

  template <class Int>
  Int Below(Int bound) {
    return static_cast<Int>(random_() % static_cast<std::uint64_t>(bound));
  }
  Uuid NextUuid() { return NumberedUuid(++uuids_); }
  bool IsGranted(const Execution& e) const { return clock_.Now().value <= e.granted_until; }
  static auto Rank(const Execution& e) { return std::tuple(e.score, e.id.view().uuid()); }

  // Of the eligible executions that have no live grant and whose requirements the worker meets,
  // returns the first in order; null if there is none.
  Execution* Expected(std::size_t offer) {
    Execution* best = nullptr;
    for (Execution& e : executions_) {
      if (e.state != State::kEligible || (e.needs & ~offer) != 0 || IsGranted(e)) continue;
      if (best == nullptr || Rank(e) < Rank(*best)) best = &e;
    }
    return best;
  }

  void Schedule() {
    const std::size_t offer = Below(kNeeds);
    ClaimForWorkerArgs args = ScheduleArgs(1 + Below(std::int64_t{3}));
    args.offered = &offered_[offer];
    Execution* const expected = Expected(offer);
    const ClaimForWorkerOutcome outcome = ledger_.ClaimForWorker(args);
    if (expected == nullptr) {
      ++nobody_;
      ASSERT_EQ(outcome.error, ClaimError::kNoEligibleExecution);
      return;
    }
    ++chosen_;
    ASSERT_TRUE(outcome);
    ASSERT_EQ(outcome.grant.view().execution_id.text(), expected->id.text());
    expected->granted_until = clock_.Now().value + args.grant_ttl_ms;
    if (Below(4) != 0) Claim(*expected);
  }

  void Create(Execution& e) {
    CreateExecutionArgs args = CreateArgs(e.id);
    args.priority = Below(std::int64_t{4});
    e.needs = Below(kNeeds);
    args.required = e.needs == 0 ? nullptr : &required_[e.needs];
    const CreateOutcome outcome = ledger_.CreateExecution(args);
    ASSERT_TRUE(outcome);
    ASSERT_EQ(outcome.status, CreateOutcome::Status::kWaiting);
    e.state = State::kEligible;
    e.resumed = false;
    e.score = clock_.Now().value - args.priority * 1'000'000'000'000;
  }

  void IssueAndClaim(Execution& e) {
    IssueGrantArgs args = IssueArgs(e.id, 1);
    args.offered = &offered_[kNeeds - 1];
    ASSERT_EQ(ledger_.IssueClaimGrant(args).error,
              IsGranted(e) ? ClaimError::kGrantAlreadyExists : ClaimError::kNone);
    Claim(e);
  }

  void Claim(Execution& e) {
    const ExecutionIdView id = e.id.view();
    const ClaimOutcome outcome =
        e.resumed ? ledger_.ClaimResumed({id, kWorker, kLane, {NextUuid()}, kLongTtl})
                  : ledger_.Claim({id, kWorker, kLane, {NextUuid()}, kLongTtl, {NextUuid()}});
    ASSERT_TRUE(outcome) << ErrorName(outcome.error);
    e.state = State::kLeased;
    e.fence = outcome.lease.fence;
    e.granted_until = std::numeric_limits<std::int64_t>::min();
  }

  void Suspend(Execution& e) {
    ASSERT_TRUE(ledger_.Suspend({e.id.view(), e.fence}));
    e.state = State::kSuspended;
  }
  void Resume(Execution& e) {
    ASSERT_TRUE(ledger_.Resume({e.id.view(), 0}));
    e.state = State::kEligible;
    e.resumed = true;
  }
  void Complete(Execution& e) {
    ASSERT_TRUE(ledger_.Complete({e.id.view(), e.fence}));
    e.state = State::kCompleted;
  }
  void Forget(Execution& e) {
    ASSERT_TRUE(ledger_.Forget(e.id.view()));
    e.state = State::kAbsent;
  }

  std::mt19937_64 random_;
  ManualClock clock_{TimestampMs{1'700'000'000'000}};
  MemoryLedger ledger_{Options(clock_, 400)};
  std::array<CapabilitySet, kNeeds> required_;
  std::array<CapabilitySet, kNeeds> offered_;
  std::array<Execution, 300> executions_;
  std::uint32_t uuids_ = 0;
  int chosen_ = 0;
  int nobody_ = 0;
};

TEST(ReadyOrderTest, TheFirstInOrderIsChosen) {
  constexpr int kSteps = 10'000;
  int chosen = 0;
  int nobody = 0;
  for (std::uint32_t seed = 1; seed <= 10; ++seed) {
    History history(seed);
    for (int step = 0; step < kSteps; ++step) {
      ASSERT_NO_FATAL_FAILURE(history.Step()) << "seed " << seed << ", step " << step;
    }
    chosen += history.chosen();
    nobody += history.nobody();
  }
  // Some calls must have chosen an execution, and some must have chosen none.
  EXPECT_GT(chosen, kSteps);
  EXPECT_GT(nobody, 100);
}

// The order is by priority, then by age, whatever the clock says.
TEST(ReadyOrderTest, EveryClockAndEveryPriority) {
  for (const std::int64_t begin : {-kMaxTtlMs, std::int64_t{-1}, std::int64_t{0}, kMaxTtlMs}) {
    for (const bool first : {true, false}) {
      ManualClock clock{TimestampMs{begin}};
      MemoryLedger ledger(Options(clock, 400));
      std::vector<std::int64_t> priorities = {9000, 8999, 1, 0};
      if (!first) std::reverse(priorities.begin(), priorities.end());
      for (const std::int64_t priority : priorities) {
        // By the first bits of their uuids, the executions of low priority would go first.
        const MintedExecutionId id(1, NumberedUuid(static_cast<std::uint32_t>(priority) << 16));
        CreateExecutionArgs args = CreateArgs(id);
        args.priority = priority;
        ASSERT_TRUE(ledger.CreateExecution(args));
        clock.Advance(1);
      }
      for (const std::int64_t priority : {9000, 8999, 1, 0}) {
        const ClaimForWorkerOutcome chosen = ledger.ClaimForWorker({kWorker, kLane, 100});
        ASSERT_TRUE(chosen) << begin << " " << priority;
        EXPECT_EQ(chosen.grant.view().execution_id.uuid(),
                  NumberedUuid(static_cast<std::uint32_t>(priority) << 16))
            << begin << " " << priority;
      }
    }
  }
}

// Executions that were claimed by id stay queued until a scheduler looks at
// them: one call has to get past all of them.
TEST(ReadyOrderTest, ManyClaimedDirectly) {
  constexpr std::uint32_t kCount = 20'000;
  ManualClock clock{TimestampMs{1'700'000'000'000}};
  MemoryLedger ledger(Options(clock, kCount + 2));
  for (std::uint32_t i = 0; i <= kCount; ++i) {
    const MintedExecutionId id(1, NumberedUuid(i));
    clock.Advance(1);
    ASSERT_TRUE(ledger.CreateExecution(CreateArgs(id)));
    if (i == kCount) break;
    ASSERT_TRUE(ledger.IssueClaimGrant(IssueArgs(id, 10)));
    ASSERT_TRUE(
        ledger.Claim({id.view(), kWorker, kLane, {NumberedUuid(i)}, kLongTtl, {NumberedUuid(i)}}));
  }
  const MintedExecutionId last(1, NumberedUuid(kCount));
  const ClaimForWorkerOutcome outcome = ledger.ClaimForWorker(ScheduleArgs(10));
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome.grant.view().execution_id.text(), last.text());
  // Once this last execution is claimed too, the scheduler finds nothing.
  ASSERT_TRUE(ledger.Claim({last.view(), kWorker, kLane, {}, kLongTtl, {}}));
  EXPECT_EQ(ledger.ClaimForWorker(ScheduleArgs(10)).error, ClaimError::kNoEligibleExecution);
}

// ---- the table -----------------------------------------------------------------

// The ledger is full all the time. Every slot changes hands, no execution is lost, and no forgotten
// execution stays.
TEST(ReadyOrderTest, FullLedgerChangesHands) {
  constexpr std::uint32_t kCapacity = 2048;
  constexpr std::uint32_t kRounds = 5;
  ManualClock clock{TimestampMs{1'700'000'000'000}};
  MemoryLedger ledger(Options(clock, kCapacity));
  std::mt19937_64 random(7);
  const auto id_of = [](std::uint32_t number) {
    return MintedExecutionId(static_cast<std::uint16_t>(number % 4), NumberedUuid(number));
  };
  const auto refused = [&](std::uint32_t number) {
    const MintedExecutionId id = id_of(number);
    return ledger.CreateExecution(CreateArgs(id)).error == ClaimError::kLedgerFull;
  };

  std::vector<std::uint32_t> present;
  for (std::uint32_t number = 0; number < kCapacity; ++number) {
    const MintedExecutionId id = id_of(number);
    ASSERT_TRUE(ledger.CreateExecution(CreateArgs(id))) << number;
    present.push_back(number);
  }
  std::uint32_t next = kCapacity;
  for (std::uint32_t round = 0; round < kRounds; ++round) {
    std::shuffle(present.begin(), present.end(), random);
    for (std::uint32_t& number : present) {
      const MintedExecutionId id = id_of(number);
      ASSERT_TRUE(ledger.IssueClaimGrant(IssueArgs(id, 10))) << number;
      const ClaimOutcome claimed = ledger.Claim(
          {id.view(), kWorker, kLane, {NumberedUuid(number)}, kLongTtl, {NumberedUuid(number)}});
      ASSERT_TRUE(claimed) << number;
      ASSERT_TRUE(ledger.Complete({id.view(), claimed.lease.fence})) << number;
      if (number % 64 == 0) {
        ASSERT_TRUE(refused(next));
      }
      ASSERT_TRUE(ledger.Forget(id.view())) << number;
      number = next++;
      const MintedExecutionId new_id = id_of(number);
      ASSERT_TRUE(ledger.CreateExecution(CreateArgs(new_id))) << number;
    }
    EXPECT_EQ(ledger.size(), kCapacity);
    EXPECT_TRUE(refused(next));
    // Each execution was replaced once a round, so of all executions so far only the newest
    // kCapacity are there.
    for (std::uint32_t number = 0; number < next; ++number) {
      const MintedExecutionId id = id_of(number);
      ASSERT_EQ(ledger.Inspect(id.view()).has_value(), number >= next - kCapacity) << number;
    }
  }
}

// Clients choose ids, and so can give all ids the same half, kHalf. This half once cancelled a
// constant of the hash, so that all such ids had the same place, whatever the seed was.
TEST(ReadyOrderTest, ChosenIdsFillTheLedger) {
  constexpr std::uint32_t kCapacity = 2048;
  constexpr std::array<std::uint8_t, 8> kHalf = {0x15, 0x7C, 0x4A, 0x7F, 0xB9, 0x79, 0x37, 0x9E};
  for (const std::size_t at : {std::size_t{0}, std::size_t{8}}) {
    ManualClock clock{TimestampMs{1'700'000'000'000}};
    MemoryLedger ledger(Options(clock, kCapacity));
    for (std::uint32_t i = 0; i < kCapacity; ++i) {
      Uuid uuid;
      for (std::size_t byte = 0; byte < 4; ++byte) {
        uuid.bytes[8 - at + byte] = static_cast<std::uint8_t>(i >> (8 * byte));
      }
      std::copy(kHalf.begin(), kHalf.end(), uuid.bytes.begin() + static_cast<std::ptrdiff_t>(at));
      const MintedExecutionId id(1, uuid);
      ASSERT_TRUE(ledger.CreateExecution(CreateArgs(id))) << i;
    }
    EXPECT_EQ(ledger.size(), kCapacity);
  }
}

}  // namespace
}  // namespace ffgrant
