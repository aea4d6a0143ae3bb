// SPDX-License-Identifier: Apache-2.0
//
// Tests the keeper on a clock that the test moves, with a ledger that answers from a script.

#include "ffgrant/claims/lease_keeper.h"

#include <gtest/gtest.h>

#include <chrono>
#include <deque>
#include <functional>
#include <future>
#include <initializer_list>
#include <limits>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "testing/calls/calling_ledger.h"
#include "testing/calls/leases_to_keep.h"

namespace ffgrant::testing {
namespace {

constexpr std::int64_t kMargin = 100;

class Renewals final : public CallingLedger {
 public:
  Answer Do(const Call& call) override {
    const auto* renew = call.As<calls::Renew>();
    EXPECT_NE(renew, nullptr);
    asked.emplace_back(call.execution().text());
    EXPECT_EQ(renew->args.attempt_index.value, 2u);
    EXPECT_EQ(renew->args.lease_ttl_ms, ttl_ms);
    if (during) during();
    Answer answer;
    if (!answers.empty()) {
      answer.error = answers.front();
      answers.pop_front();
    }
    // `expires_at` is a time of the server's clock, which the keeper must not compare with its own
    // clock.
    if (answer.ok()) answer.expires_at = TimestampMs{1};
    return answer;
  }

  std::deque<ClaimError> answers;
  std::vector<std::string> asked;
  std::int64_t ttl_ms = kTtl;
  std::function<void()> during;
};

class Keeping : public ::testing::Test {
 protected:
  LeaseKeeperOptions Options() {
    LeaseKeeperOptions options;
    options.jitter = 0;
    options.margin_ms = kMargin;
    options.retry_ms = 250;
    options.has_threads = false;
    options.now_ms = [this] { return now_; };
    options.on_lost = [this](const ExecutionIdView& id, ClaimError why) {
      told_.emplace_back(std::string(id.text()), why);
    };
    return options;
  }

  std::int64_t now_ = 50'000;
  Renewals ledger_;
  std::vector<std::pair<std::string, ClaimError>> told_;
  LeaseKeeper keeper_{ledger_, Options()};
};

TEST_F(Keeping, RenewsAfterAThirdOfTheTtl) {
  const KeptLease kept = keeper_.Keep(Id(), LeaseOf(), kTtl, now_);
  EXPECT_EQ(keeper_.RunDue(), 1000);
  EXPECT_TRUE(ledger_.asked.empty());
  now_ += 999;
  EXPECT_EQ(keeper_.RunDue(), 1);
  now_ += 1;
  EXPECT_EQ(keeper_.RunDue(), 1000);
  EXPECT_EQ(ledger_.asked, std::vector<std::string>{std::string(Id().text())});
  EXPECT_EQ(kept.LeftMs(), kTtl - kMargin);
  for (int i = 0; i < 20; ++i) {
    now_ += 1000;
    EXPECT_EQ(keeper_.RunDue(), 1000);
    EXPECT_FALSE(kept.lost());
  }
  EXPECT_EQ(ledger_.asked.size(), 21u);
  EXPECT_TRUE(told_.empty());
}

// However large the margin is below the ttl, a lease is renewed before it counts as lost.
TEST_F(Keeping, RenewsBeforeTheMarginBegins) {
  struct Case {
    double renew_after;
    std::int64_t margin_ms;
    std::int64_t due_ms;
  };
  for (const auto& [renew_after, margin_ms, due_ms] :
       std::initializer_list<Case>{{1.0 / 3, 0, 10'000},
                                   {1.0 / 3, 10'000, 10'000},
                                   {1.0 / 3, 11'000, 9500},
                                   {1.0 / 3, 25'000, 2500},
                                   {1.0 / 3, 29'996, 2},
                                   {0.05, 25'000, 1500},
                                   {0.9, 0, 27'000},
                                   {0.9, 25'000, 4500}}) {
    SCOPED_TRACE(::testing::Message() << renew_after << ", " << margin_ms);
    ledger_.ttl_ms = 30'000;
    ledger_.asked.clear();
    LeaseKeeperOptions options = Options();
    options.renew_after = renew_after;
    options.margin_ms = margin_ms;
    LeaseKeeper keeper(ledger_, options);
    const KeptLease kept = keeper.Keep(Id(), LeaseOf(), 30'000, now_);
    now_ += due_ms - 1;
    (void)keeper.RunDue();
    EXPECT_TRUE(ledger_.asked.empty());
    now_ += 1;
    (void)keeper.RunDue();
    EXPECT_EQ(ledger_.asked.size(), 1u);
    EXPECT_EQ(kept.LeftMs(), 30'000 - margin_ms);
  }
  EXPECT_TRUE(told_.empty());
}

// Renewals may take their time, so the lease that has waited longest comes first.
TEST_F(Keeping, RenewsInTheOrderInWhichLeasesAreDue) {
  for (const bool turned : {false, true}) {
    ledger_.asked.clear();
    // The leases are kept in this order, and count from these moments.
    const KeptLease one = keeper_.Keep(Id('1'), LeaseOf(), kTtl, now_ - (turned ? 300 : 100));
    const KeptLease two = keeper_.Keep(Id('2'), LeaseOf(), kTtl, now_ - 200);
    now_ += 1000;
    (void)keeper_.RunDue();
    std::vector<std::string> wanted = {std::string(Id('2').text()), std::string(Id('1').text())};
    if (turned) std::swap(wanted[0], wanted[1]);
    EXPECT_EQ(ledger_.asked, wanted);
  }
}

// The keeper counts from the moment before the claim was sent, not from when the answer to the
// claim came.
TEST_F(Keeping, CountsFromWhatWasSent) {
  const std::int64_t sent = now_;
  now_ += 700;
  const KeptLease kept = keeper_.Keep(Id(), LeaseOf(), kTtl, sent);
  EXPECT_EQ(kept.LeftMs(), kTtl - kMargin - 700);
  now_ += 300;
  ledger_.during = [this] { now_ += 400; };
  (void)keeper_.RunDue();
  ledger_.during = nullptr;
  EXPECT_EQ(kept.LeftMs(), kTtl - kMargin - 400);
}

TEST_F(Keeping, IsLostWithEveryAnswerThatIsARefusal) {
  for (const ClaimError error :
       {ClaimError::kStaleLease, ClaimError::kLeaseExpired, ClaimError::kLeaseRevoked,
        ClaimError::kExecutionNotActive, ClaimError::kExecutionNotFound, ClaimError::kUnknownCode,
        ClaimError::kInvalidInput}) {
    const KeptLease kept = keeper_.Keep(Id(), LeaseOf(), kTtl, now_);
    ledger_.asked.clear();
    ledger_.answers = {error};
    now_ += 1000;
    (void)keeper_.RunDue();
    EXPECT_TRUE(kept.lost());
    EXPECT_EQ(kept.error(), error);
    EXPECT_EQ(kept.LeftMs(), 0);
    ASSERT_EQ(told_.size(), 1u);
    EXPECT_EQ(told_[0].second, error);
    // The lease is lost for good.
    for (int i = 0; i < 10; ++i) {
      now_ += 1000;
      (void)keeper_.RunDue();
    }
    EXPECT_EQ(ledger_.asked.size(), 1u);
    EXPECT_EQ(told_.size(), 1u);
    told_.clear();
  }
}

TEST_F(Keeping, TriesAgainWhatDidNotGetThroughUntilTimeIsOver) {
  const KeptLease kept = keeper_.Keep(Id(), LeaseOf(), kTtl, now_);
  const std::int64_t began = now_;
  ledger_.answers.assign(100, ClaimError::kUnavailable);
  ledger_.answers[1] = ClaimError::kUnknownOutcome;
  while (now_ < began + kTtl - kMargin) {
    EXPECT_FALSE(kept.lost()) << now_ - began;
    now_ += keeper_.RunDue();
  }
  EXPECT_TRUE(kept.lost());  // by the clock, before RunDue() has looked
  EXPECT_EQ(kept.error(), ClaimError::kLeaseExpired);
  EXPECT_EQ(keeper_.size(), 0u);
  EXPECT_TRUE(told_.empty());
  (void)keeper_.RunDue();
  ASSERT_EQ(told_.size(), 1u);
  EXPECT_EQ(told_[0], (std::pair<std::string, ClaimError>(Id().text(), ClaimError::kLeaseExpired)));
  const std::size_t asked = ledger_.asked.size();
  EXPECT_EQ(asked, 1u + (kTtl - kMargin - 1000 - 1) / 250);
  now_ += 5000;
  (void)keeper_.RunDue();
  EXPECT_EQ(ledger_.asked.size(), asked);
  EXPECT_EQ(keeper_.size(), 0u);
}

TEST_F(Keeping, RecoversFromAFewThatDidNotGetThrough) {
  const KeptLease kept = keeper_.Keep(Id(), LeaseOf(), kTtl, now_);
  ledger_.answers = {ClaimError::kUnavailable, ClaimError::kUnknownOutcome};
  for (int i = 0; i < 30; ++i) now_ += keeper_.RunDue();
  EXPECT_FALSE(kept.lost());
  EXPECT_TRUE(told_.empty());
}

// An answer that comes after the lease's time comes too late: the worker has stopped by then.
TEST_F(Keeping, ARenewalThatTakesTooLongDoesNotBringItBack) {
  const KeptLease kept = keeper_.Keep(Id(), LeaseOf(), kTtl, now_);
  now_ += 1000;
  ledger_.during = [this] { now_ += kTtl; };
  (void)keeper_.RunDue();
  EXPECT_EQ(kept.error(), ClaimError::kLeaseExpired);
  EXPECT_EQ(told_.size(), 1u);
}

// The returned wait counts from the end of the renewals. RunDue() leaves to the next call the
// leases that fall due while it renews another lease.
TEST_F(Keeping, ARenewalThatTakesItsTimeDelaysNoOther) {
  const KeptLease first = keeper_.Keep(Id('1'), LeaseOf(), kTtl, now_);
  const KeptLease second = keeper_.Keep(Id('2'), LeaseOf(), kTtl, now_ + 700);
  now_ += 1000;
  ledger_.during = [this] { now_ += ledger_.asked.size() == 1 ? 600 : 0; };
  EXPECT_EQ(keeper_.RunDue(), 100) << "until the second one is due";
  now_ += 100;
  EXPECT_EQ(keeper_.RunDue(), 300) << "until the first one is due again";
  EXPECT_EQ(ledger_.asked.size(), 2u);
  ledger_.during = [this] { now_ += ledger_.asked.size() == 3 ? 800 : 0; };
  now_ += 300;
  EXPECT_EQ(keeper_.RunDue(), 1) << "the second one fell due while the first was renewed";
  EXPECT_EQ(ledger_.asked.size(), 3u);
  (void)keeper_.RunDue();
  ASSERT_EQ(ledger_.asked.size(), 4u);
  EXPECT_EQ(ledger_.asked[3], Id('2').text());
}

// Each call of RunDue() renews a lease once, even if the server does not answer and the other
// leases' renewals take longer than the pause between two tries, or the time between two renewals.
TEST_F(Keeping, ACallRenewsEachLeaseOnce) {
  for (const ClaimError answer : {ClaimError::kUnavailable, ClaimError::kNone}) {
    ledger_.ttl_ms = 30'000;
    ledger_.asked.clear();
    ledger_.answers.assign(10, answer);
    const std::int64_t takes_ms = answer == ClaimError::kNone ? 9900 : 2000;
    ledger_.during = [&] { now_ += ledger_.asked.size() <= 4 ? takes_ms : 0; };
    const KeptLease first = keeper_.Keep(Id('1'), LeaseOf(), 30'000, now_);
    const KeptLease second = keeper_.Keep(Id('2'), LeaseOf(), 30'000, now_ + 1);
    now_ += 10'001;
    const std::int64_t begin = now_;
    EXPECT_EQ(keeper_.RunDue(), 1);
    EXPECT_EQ(now_ - begin, 2 * takes_ms);
    EXPECT_EQ(ledger_.asked.size(), 2u);
    EXPECT_FALSE(first.lost() || second.lost());
  }
}

// on_lost may ask the keeper, and may give it another lease.
TEST_F(Keeping, HoldsNoLockWhileItTells) {
  std::future<std::size_t> left;
  KeptLease next;
  LeaseKeeperOptions options = Options();
  LeaseKeeper* keeper = nullptr;
  options.on_lost = [&](const ExecutionIdView&, ClaimError) {
    left = std::async(std::launch::async, [&] { return keeper->size(); });
    ASSERT_EQ(left.wait_for(std::chrono::seconds(10)), std::future_status::ready);
    next = keeper->Keep(Id('2'), LeaseOf(), kTtl, now_);
  };
  LeaseKeeper own(ledger_, options);
  keeper = &own;
  const KeptLease kept = own.Keep(Id('1'), LeaseOf(), kTtl, now_);
  now_ += kTtl;
  (void)own.RunDue();
  EXPECT_EQ(left.get(), 0u);
  EXPECT_EQ(own.size(), 1u);
  EXPECT_FALSE(next.lost());
  next.Release();  // a lease that is kept must not outlive its keeper
}

// An answer that comes after the lease's time does not count. The lease counts as lost by then,
// even if the answer says that it was renewed.
TEST_F(Keeping, AnAnswerCountsIfItComesWhileTheLeaseIsHeld) {
  for (const bool late : {false, true}) {
    const KeptLease kept = keeper_.Keep(Id(), LeaseOf(), kTtl, now_);
    const std::int64_t held_until = now_ + kTtl - kMargin;
    now_ += 1000;
    ledger_.during = [&] { now_ = late ? held_until : held_until - 1; };
    (void)keeper_.RunDue();
    EXPECT_EQ(kept.lost(), late);
    EXPECT_EQ(kept.error(), late ? ClaimError::kLeaseExpired : ClaimError::kNone);
    EXPECT_EQ(told_.size(), late ? 1u : 0u);
    ledger_.during = nullptr;
  }
}

// A thread asks whether the lease is lost when its time is just over. At this moment another thread
// has an answer in its hands that came in time by the clock as it has read it. The lease is lost
// for good, since the first thread's work has stopped.
TEST_F(Keeping, WhatWasCalledLostIsNotHeldAgain) {
  for (const bool asks_how_long : {false, true}) {
    told_.clear();
    ledger_.asked.clear();
    bool is_answered = false;
    const KeptLease* asked = nullptr;
    LeaseKeeperOptions options = Options();
    options.now_ms = [&] {
      const std::int64_t read = now_;
      if (std::exchange(is_answered, false)) {
        now_ += 1;
        EXPECT_TRUE(asks_how_long ? asked->LeftMs() == 0 : asked->lost());
      }
      return read;
    };
    LeaseKeeper keeper(ledger_, options);
    const KeptLease kept = keeper.Keep(Id(), LeaseOf(), kTtl, now_);
    const std::int64_t held_until = now_ + kTtl - kMargin;
    asked = &kept;
    ledger_.during = [&] {
      now_ = held_until - 1;
      is_answered = true;
    };
    now_ += 1000;
    (void)keeper.RunDue();
    ledger_.during = nullptr;
    EXPECT_EQ(kept.error(), ClaimError::kLeaseExpired);
    EXPECT_EQ(kept.LeftMs(), 0);
    EXPECT_EQ(keeper.size(), 0u);
    now_ += 1000;
    (void)keeper.RunDue();
    EXPECT_EQ(ledger_.asked.size(), 1u) << "a lost lease is renewed again";
    ASSERT_EQ(told_.size(), 1u);
    EXPECT_EQ(told_[0].second, ClaimError::kLeaseExpired);
  }
}

// The reason that error() has given stays, even if the server refuses the lease at that moment.
TEST_F(Keeping, TheFirstReasonStays) {
  const KeptLease kept = keeper_.Keep(Id(), LeaseOf(), kTtl, now_);
  ledger_.answers = {ClaimError::kStaleLease};
  ledger_.during = [&] {
    now_ += kTtl;
    EXPECT_EQ(kept.error(), ClaimError::kLeaseExpired);
    now_ -= kTtl;  // the other thread has read the clock before
  };
  now_ += 1000;
  (void)keeper_.RunDue();
  EXPECT_EQ(kept.error(), ClaimError::kLeaseExpired);
  ASSERT_EQ(told_.size(), 1u);
  EXPECT_EQ(told_[0].second, ClaimError::kLeaseExpired);
}

// lost() may call a lease lost right after a renewal. Then the keeper drops it at its next look.
TEST_F(Keeping, WhatWasCalledLostIsNotRenewed) {
  const KeptLease kept = keeper_.Keep(Id(), LeaseOf(), kTtl, now_);
  now_ += kTtl - kMargin;
  EXPECT_TRUE(kept.lost());
  now_ -= kTtl - kMargin - 1000;  // stands for a renewal that makes the lease last longer
  (void)keeper_.RunDue();
  EXPECT_TRUE(ledger_.asked.empty());
  EXPECT_TRUE(kept.lost());
  EXPECT_EQ(told_.size(), 1u);
  EXPECT_EQ(keeper_.size(), 0u);
}

// The clock has gone on for an hour, because the machine slept or the process was stopped.
TEST_F(Keeping, AClockThatWentOnLosesWithoutAsking) {
  const KeptLease kept = keeper_.Keep(Id(), LeaseOf(), kTtl, now_);
  now_ += 3'600'000;
  EXPECT_TRUE(kept.lost());
  (void)keeper_.RunDue();
  EXPECT_TRUE(ledger_.asked.empty());
  EXPECT_EQ(told_.size(), 1u);
}

// The lease's time ends between the look at the list and the renewal.
TEST_F(Keeping, ARenewalThatComesTooLateIsNotSent) {
  std::int64_t step = 0;
  LeaseKeeperOptions options = Options();
  options.now_ms = [&] { return now_ += step; };
  LeaseKeeper keeper(ledger_, options);
  const KeptLease kept = keeper.Keep(Id(), LeaseOf(), kTtl, now_);
  now_ += kTtl - kMargin - 2;
  step = 1;
  (void)keeper.RunDue();
  EXPECT_TRUE(ledger_.asked.empty());
  ASSERT_EQ(told_.size(), 1u);
  EXPECT_EQ(told_[0].second, ClaimError::kLeaseExpired);
  EXPECT_EQ(kept.error(), ClaimError::kLeaseExpired);
  EXPECT_EQ(keeper.size(), 0u);
}

TEST_F(Keeping, ALeaseThatIsMovedToItselfStaysKept) {
  KeptLease kept = keeper_.Keep(Id(), LeaseOf(), kTtl, now_);
  KeptLease& same = kept;
  kept = std::move(same);
  EXPECT_TRUE(kept);
  EXPECT_EQ(keeper_.size(), 1u);
  KeptLease other = keeper_.Keep(Id('2'), LeaseOf(), kTtl, now_);
  kept = std::move(other);
  EXPECT_EQ(keeper_.size(), 1u) << "the lease that was kept before is released";
  now_ += 1000;
  (void)keeper_.RunDue();
  EXPECT_EQ(ledger_.asked, std::vector<std::string>{std::string(Id('2').text())});
}

TEST_F(Keeping, WhatIsOverAlreadyIsLostAtOnce) {
  const KeptLease kept = keeper_.Keep(Id(), LeaseOf(), kTtl, now_ - kTtl);
  EXPECT_TRUE(kept.lost());
  const KeptLease none = keeper_.Keep(Id(), LeaseOf(), 0, now_);
  EXPECT_TRUE(none.lost());
  (void)keeper_.RunDue();
  EXPECT_EQ(told_.size(), 2u);
  EXPECT_TRUE(ledger_.asked.empty());
}

TEST_F(Keeping, AReleasedLeaseIsNeitherRenewedNorLost) {
  KeptLease kept = keeper_.Keep(Id(), LeaseOf(), kTtl, now_);
  KeptLease moved = std::move(kept);
  EXPECT_FALSE(kept);  // NOLINT: a moved-from lease is empty
  EXPECT_EQ(keeper_.size(), 1u);
  moved.Release();
  moved.Release();
  EXPECT_EQ(keeper_.size(), 0u);
  EXPECT_FALSE(moved.lost());
  EXPECT_EQ(moved.LeftMs(), 0);
  {
    const KeptLease short_lived = keeper_.Keep(Id(), LeaseOf(), kTtl, now_);
    EXPECT_EQ(keeper_.size(), 1u);
  }
  EXPECT_EQ(keeper_.size(), 0u);
  now_ += 100'000;
  (void)keeper_.RunDue();
  EXPECT_TRUE(ledger_.asked.empty());
  EXPECT_TRUE(told_.empty());
}

// After the release nothing asks the keeper any more, whatever has become of the lease before.
TEST_F(Keeping, AReleasedLeaseMayOutliveItsKeeper) {
  using Change = std::function<void(LeaseKeeper&)>;
  const struct {
    std::string_view what;
    ClaimError error;
    Change change;
  } kCases[] = {
      {"held", ClaimError::kNone, [](LeaseKeeper&) {}},
      {"renewed", ClaimError::kNone,
       [&](LeaseKeeper& keeper) {
         now_ += 1000;
         (void)keeper.RunDue();
       }},
      {"refused", ClaimError::kStaleLease,
       [&](LeaseKeeper& keeper) {
         ledger_.answers = {ClaimError::kStaleLease};
         now_ += 1000;
         (void)keeper.RunDue();
       }},
      {"its time is over", ClaimError::kLeaseExpired,
       [&](LeaseKeeper& keeper) {
         now_ += kTtl;
         (void)keeper.RunDue();
       }},
      {"its time is over, and the keeper has not looked", ClaimError::kLeaseExpired,
       [&](LeaseKeeper&) { now_ += kTtl; }},
  };
  for (const auto& c : kCases) {
    for (const bool is_asked : {true, false}) {
      SCOPED_TRACE(::testing::Message() << c.what << (is_asked ? ", asked" : ""));
      KeptLease kept;
      {
        LeaseKeeper keeper(ledger_, Options());
        kept = keeper.Keep(Id(), LeaseOf(), kTtl, now_);
        c.change(keeper);
        EXPECT_TRUE(kept) << "lost or not";
        if (is_asked) {
          EXPECT_EQ(kept.error(), c.error);
          EXPECT_EQ(kept.lost(), c.error != ClaimError::kNone);
        }
        kept.Release();
        ASSERT_FALSE(kept);
        EXPECT_EQ(keeper.size(), 0u);
        const std::size_t asked = ledger_.asked.size();
        now_ += 1000;
        (void)keeper.RunDue();
        EXPECT_EQ(ledger_.asked.size(), asked);
      }
      now_ += kTtl;
      EXPECT_FALSE(kept);
      EXPECT_FALSE(kept.lost());
      EXPECT_EQ(kept.error(), ClaimError::kNone);
      EXPECT_EQ(kept.LeftMs(), 0);
      kept.Release();
    }
  }
}

TEST_F(Keeping, ReleasedWhileItIsRenewedNobodyIsTold) {
  KeptLease kept = keeper_.Keep(Id(), LeaseOf(), kTtl, now_);
  ledger_.answers = {ClaimError::kExecutionNotActive};
  ledger_.during = [&] { kept.Release(); };  // the execution was completed first
  now_ += 1000;
  (void)keeper_.RunDue();
  EXPECT_TRUE(told_.empty());
}

TEST_F(Keeping, OneThatIsLostLeavesTheOthers) {
  const KeptLease first = keeper_.Keep(Id('1'), LeaseOf(), kTtl, now_);
  now_ += 10;
  const KeptLease second = keeper_.Keep(Id('2'), LeaseOf(), kTtl, now_);
  ledger_.answers = {ClaimError::kStaleLease};
  now_ += 1000;
  (void)keeper_.RunDue();
  EXPECT_TRUE(first.lost());
  EXPECT_FALSE(second.lost());
  EXPECT_EQ(ledger_.asked.size(), 2u);
  EXPECT_EQ(keeper_.size(), 1u);
}

TEST_F(Keeping, WhatRunsOutLeavesTheOthers) {
  for (const char runs_out : {'1', '2'}) {
    told_.clear();
    const auto sent = [&](char last) { return last == runs_out ? now_ - kTtl : now_; };
    const KeptLease first = keeper_.Keep(Id('1'), LeaseOf(), kTtl, sent('1'));
    const KeptLease second = keeper_.Keep(Id('2'), LeaseOf(), kTtl, sent('2'));
    (void)keeper_.RunDue();
    EXPECT_EQ(first.error() != ClaimError::kNone, runs_out == '1');
    EXPECT_EQ(second.error() != ClaimError::kNone, runs_out == '2');
    ASSERT_EQ(told_.size(), 1u);
    EXPECT_EQ(told_[0].first, Id(runs_out).text());
    EXPECT_EQ(keeper_.size(), 1u);
  }
}

TEST_F(Keeping, JitterComesBeforeTheTime) {
  LeaseKeeperOptions options = Options();
  options.jitter = 0.5;
  LeaseKeeper keeper(ledger_, options);
  std::vector<KeptLease> kept;
  for (int i = 0; i < 200; ++i) kept.push_back(keeper.Keep(Id(), LeaseOf(), kTtl, now_));
  now_ += 499;
  (void)keeper.RunDue();
  EXPECT_TRUE(ledger_.asked.empty());
  now_ += 251;
  (void)keeper.RunDue();
  EXPECT_GT(ledger_.asked.size(), 50u);
  EXPECT_LT(ledger_.asked.size(), 150u);
  now_ += 251;
  (void)keeper.RunDue();
  EXPECT_EQ(ledger_.asked.size(), 200u);
}

TEST_F(Keeping, OptionsOutOfRangeAreRefused) {
  const auto refused = [&](auto change) {
    LeaseKeeperOptions options = Options();
    change(options);
    EXPECT_THROW(LeaseKeeper(ledger_, options), std::invalid_argument);
  };
  refused([](LeaseKeeperOptions& o) { o.renew_after = 0.0499; });
  refused([](LeaseKeeperOptions& o) { o.renew_after = 0.901; });
  refused([](LeaseKeeperOptions& o) { o.renew_after = std::numeric_limits<double>::quiet_NaN(); });
  refused([](LeaseKeeperOptions& o) { o.jitter = -0.1; });
  refused([](LeaseKeeperOptions& o) { o.jitter = 0.501; });
  refused([](LeaseKeeperOptions& o) { o.margin_ms = -1; });
  refused([](LeaseKeeperOptions& o) { o.retry_ms = 0; });
  refused([](LeaseKeeperOptions& o) { o.renewers = 0; });
  refused([](LeaseKeeperOptions& o) { o.renewers = 65; });
  const auto taken = [&](auto change) {
    LeaseKeeperOptions options = Options();
    change(options);
    EXPECT_NO_THROW(LeaseKeeper(ledger_, options));
  };
  taken([](LeaseKeeperOptions& o) { o.renew_after = 0.05; });
  taken([](LeaseKeeperOptions& o) { o.renew_after = 0.9; });
  taken([](LeaseKeeperOptions& o) { o.jitter = 0.5; });
  taken([](LeaseKeeperOptions& o) { o.margin_ms = 0; });
  taken([](LeaseKeeperOptions& o) { o.retry_ms = 1; });
  taken([](LeaseKeeperOptions& o) { o.renewers = 1; });
  taken([](LeaseKeeperOptions& o) { o.renewers = 64; });
}

}  // namespace
}  // namespace ffgrant::testing
