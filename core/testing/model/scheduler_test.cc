// SPDX-License-Identifier: Apache-2.0

#include "testing/model/scheduler.h"

#include <gtest/gtest.h>

#include <bit>
#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "ffgrant/claims/internal/spin_lock.h"
#include "ffgrant/claims/internal/text_pool.h"
#include "testing/model/schedule_search.h"

namespace ffgrant::testing {
namespace {

using internal::LockKind;
using internal::Shared;
using internal::SpinLock;
using Bodies = std::vector<std::function<void()>>;

// Always chooses the first fiber that can run, or always the last.
class Always final : public Chooser {
 public:
  explicit Always(bool first) : first_(first) {}
  int Choose(int /*current*/, std::uint32_t runnable) override {
    return first_ ? std::countr_zero(runnable) : 31 - std::countl_zero(runnable);
  }

 private:
  bool first_;
};

void Meet(std::string& log, char name, Shared what) {
  internal::SchedulePoint(what);
  internal::ScheduleWrite(what);
  log += name;
}

// Returns the orders that the search tries if each of two fibers writes to `log` twice.
std::multiset<std::string> Orders(bool reduce, Shared of_a, Shared of_b) {
  Scheduler scheduler;
  ScheduleSearch search(reduce);
  std::multiset<std::string> orders;
  std::string log;
  const Bodies bodies = {[&] {
                           Meet(log, 'a', of_a);
                           Meet(log, 'a', of_a);
                         },
                         [&] {
                           Meet(log, 'b', of_b);
                           Meet(log, 'b', of_b);
                         }};
  while (search.NextRun()) {
    log.clear();
    EXPECT_EQ(scheduler.Run(bodies, search), Scheduler::Result::kDone);
    if (!search.redundant()) orders.insert(log);
  }
  return orders;
}

TEST(SchedulerTest, TheChooserSaysWhoGoesOn) {
  Scheduler scheduler;
  for (const bool first : {true, false}) {
    std::string log;
    const Bodies bodies = {[&] {
                             Meet(log, 'a', Shared::kClock);
                             Meet(log, 'a', Shared::kClock);
                           },
                           [&] { Meet(log, 'b', Shared::kClock); }};
    Always chooser(first);
    EXPECT_EQ(scheduler.Run(bodies, chooser), Scheduler::Result::kDone);
    EXPECT_EQ(log, first ? "aab" : "baa");
  }
}

TEST(SchedulerTest, ALockKeepsOthersOut) {
  Scheduler scheduler;
  scheduler.SetPointsAfterUnlock(false);
  Scheduler::ResetLockNumbers();
  SpinLock lock(LockKind::kTexts);
  ScheduleSearch search(false);
  std::set<std::string> orders;
  std::string log;
  const auto locked = [&](char name) {
    return [&, name] {
      lock.lock();
      Meet(log, name, Shared::kClock);
      Meet(log, name, Shared::kClock);
      lock.unlock();
    };
  };
  const Bodies bodies = {locked('a'), locked('b')};
  while (search.NextRun()) {
    log.clear();
    ASSERT_EQ(scheduler.Run(bodies, search), Scheduler::Result::kDone);
    orders.insert(log);
  }
  EXPECT_EQ(orders, (std::set<std::string>{"aabb", "bbaa"}));
}

// Two threads want the last pieces of a pool at the same time, and one of the threads gets the
// pieces.
TEST(SchedulerTest, ThePoolOfTextsIsNeverOverdrawn) {
  Scheduler scheduler;
  std::set<std::string> results;
  ScheduleSearch search(false);
  const std::string text(internal::TextPool::kPieceBytes + 1, 'x');  // takes two pieces of three
  while (search.NextRun()) {
    Scheduler::ResetLockNumbers();
    internal::TextPool pool(3 * internal::TextPool::kPieceBytes);
    std::string result = "..";
    const auto keep = [&](std::size_t who) {
      return [&, who] { result[who] = pool.Keep(text) == internal::TextPool::kFull ? 'n' : 'y'; };
    };
    ASSERT_EQ(scheduler.Run(Bodies{keep(0), keep(1)}, search), Scheduler::Result::kDone);
    EXPECT_EQ(pool.free_pieces(), 1u);
    results.insert(result);
  }
  EXPECT_EQ(results, (std::set<std::string>{"ny", "yn"}));
}

TEST(SchedulerTest, FindsADeadlockAndGoesOnAfterIt) {
  Scheduler scheduler;
  int deadlocks = 0;
  int done = 0;
  ScheduleSearch search(false);
  while (search.NextRun()) {
    Scheduler::ResetLockNumbers();
    SpinLock first(LockKind::kTexts);
    SpinLock second(LockKind::kTexts);
    const Bodies bodies = {[&] {
                             first.lock();
                             second.lock();
                             second.unlock();
                             first.unlock();
                           },
                           [&] {
                             second.lock();
                             first.lock();
                             first.unlock();
                             second.unlock();
                           }};
    (scheduler.Run(bodies, search) == Scheduler::Result::kDeadlock ? deadlocks : done) += 1;
  }
  EXPECT_GT(deadlocks, 0);
  EXPECT_GT(done, 0);
}

TEST(SchedulerTest, EndsWhatDoesNotEnd) {
  Scheduler scheduler;
  const Bodies bodies = {[] {
    for (;;) internal::SchedulePoint(Shared::kClock);
  }};
  Always chooser(true);
  EXPECT_EQ(scheduler.Run(bodies, chooser), Scheduler::Result::kTooManySteps);
}

TEST(SchedulerTest, CallsBeginAtTheirFirstPoint) {
  Scheduler scheduler;
  std::vector<Scheduler::CallEvents> calls(2);
  const auto call = [&](std::size_t i) {
    return [&, i] {
      scheduler.CallBegins();
      internal::SchedulePoint(Shared::kClock);
      calls[i] = scheduler.CallEnds();
    };
  };
  const Bodies bodies = {call(0), call(1)};
  Always chooser(true);
  ASSERT_EQ(scheduler.Run(bodies, chooser), Scheduler::Result::kDone);
  EXPECT_LT(calls[0].called_at, calls[0].returned_at);
  EXPECT_LT(calls[0].returned_at, calls[1].called_at);
}

TEST(ScheduleSearchTest, FindsAllOrders) {
  const std::multiset<std::string> orders = Orders(false, Shared::kClock, Shared::kClock);
  EXPECT_EQ(std::set<std::string>(orders.begin(), orders.end()),
            (std::set<std::string>{"aabb", "abab", "abba", "baab", "baba", "bbaa"}));
}

TEST(ScheduleSearchTest, TriesOrdersThatDifferInNothingOnce) {
  // These steps touch the same thing: each order is tried once.
  EXPECT_EQ(Orders(true, Shared::kClock, Shared::kClock),
            (std::multiset<std::string>{"aabb", "abab", "abba", "baab", "baba", "bbaa"}));
  // These steps have nothing in common: one order stands for all of them.
  EXPECT_EQ(Orders(true, Shared::kClock, Shared::kNames).size(), 1u);
}

}  // namespace
}  // namespace ffgrant::testing
