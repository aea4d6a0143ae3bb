// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/claims/internal/spin_lock.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <sched.h>
#include <time.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

namespace ffgrant::internal {
namespace {

using std::chrono::milliseconds;

std::int64_t ThreadCpuMs() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return std::int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

TEST(SpinLockTest, OneAtATime) {
  constexpr int kThreads = 4;
  constexpr int kRounds = 20'000;
  SpinLock lock(LockKind::kTexts);
  int plain = 0;  // if the lock does not order the accesses, a sanitizer sees a race
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < kRounds; ++i) {
        const std::scoped_lock hold(lock);
        ++plain;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(plain, kThreads * kRounds);
}

// A thread that has to wait long goes to sleep.
TEST(SpinLockTest, WaitingTakesNoProcessor) {
  SpinLock lock(LockKind::kTexts);
  lock.lock();
  std::atomic<bool> waits{false};
  std::int64_t cpu_ms = 0;
  std::thread waiter([&] {
    const std::int64_t before = ThreadCpuMs();
    waits.store(true);
    lock.lock();
    cpu_ms = ThreadCpuMs() - before;
    lock.unlock();
  });
  while (!waits.load()) std::this_thread::yield();
  std::this_thread::sleep_for(milliseconds(600));
  lock.unlock();
  waiter.join();
  EXPECT_LT(cpu_ms, 200);
}

// The owner has the lowest priority and runs on the only processor that the waiter uses. The owner
// finishes soon only because the waiter sleeps.
TEST(SpinLockTest, AnOwnerOfIdlePriorityGoesOn) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(sched_getcpu(), &one);
  const auto pin = [&one] { return pthread_setaffinity_np(pthread_self(), sizeof one, &one) == 0; };
  SpinLock lock(LockKind::kTexts);
  std::atomic<bool> owned{false};
  std::atomic<bool> is_idle{false};
  std::thread owner([&] {
    const sched_param none{};
    is_idle.store(pin() && sched_setscheduler(0, SCHED_IDLE, &none) == 0);
    lock.lock();
    owned.store(true);
    const std::int64_t begin = ThreadCpuMs();
    while (ThreadCpuMs() - begin < 2) {
    }
    lock.unlock();
  });
  while (!owned.load()) std::this_thread::sleep_for(milliseconds(1));
  std::int64_t cpu_ms = 0;
  std::thread waiter([&] {
    pin();
    const std::int64_t before = ThreadCpuMs();
    lock.lock();
    cpu_ms = ThreadCpuMs() - before;
    lock.unlock();
  });
  owner.join();
  waiter.join();
  if (!is_idle.load()) GTEST_SKIP() << "the system does not let a thread be idle";
  EXPECT_LT(cpu_ms, 200);
}

#ifdef FFGRANT_CHECKS_LOCKS
TEST(SpinLockDeathTest, WhatIsNotHeldIsNoticed) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  SpinLock lock(LockKind::kTexts);
  EXPECT_DEATH(lock.AssertHeld(), "without the lock");
  lock.lock();
  lock.AssertHeld();
  EXPECT_DEATH(std::thread([&] { lock.AssertHeld(); }).join(), "without the lock");
  EXPECT_DEATH(std::thread([&] { lock.unlock(); }).join(), "without the lock");
  lock.unlock();
  EXPECT_DEATH(lock.unlock(), "without the lock");
}

TEST(SpinLockDeathTest, LocksAreTakenInOneOrder) {
  if (kScheduled) GTEST_SKIP() << "the scheduler finds deadlocks";
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  SpinLock queue(LockKind::kQueue);
  SpinLock other_queue(LockKind::kQueue);
  SpinLock region(LockKind::kRegion);
  {
    const std::scoped_lock first(queue);
    const std::scoped_lock second(region);
    EXPECT_DEATH(other_queue.lock(), "in the wrong order");
    std::thread([&] { const std::scoped_lock hold(other_queue); }).join();
  }
  {
    const std::scoped_lock first(region);
    EXPECT_DEATH(queue.lock(), "in the wrong order");
  }
  const std::scoped_lock again(queue);
}
#endif

}  // namespace
}  // namespace ffgrant::internal
