// SPDX-License-Identifier: Apache-2.0

#ifndef FFGRANT_CLAIMS_INTERNAL_SPIN_LOCK_H_
#define FFGRANT_CLAIMS_INTERNAL_SPIN_LOCK_H_

#include <sched.h>

#include <atomic>
#include <mutex>
#include <type_traits>

#include "ffgrant/claims/internal/schedule_point.h"

namespace ffgrant::internal {

// For sections of some tens of nanoseconds: a lock is one exchange, an unlock
// a plain store. Where the holder might have lost its processor, waiting
// yields instead of spinning on. Meets BasicLockable, for std::scoped_lock.
class SpinLock : private LockNumber {
 public:
  void lock() noexcept {
    ScheduleLock(number);
    while (locked_.exchange(true, std::memory_order_acquire)) [[unlikely]] Wait();
  }
  void unlock() noexcept {
    locked_.store(false, std::memory_order_release);
    ScheduleUnlock(number);
  }

 private:
  [[gnu::noinline, gnu::cold]] void Wait() noexcept {
    for (int spins = 0; locked_.load(std::memory_order_relaxed); ++spins) {
      if (spins >= kSpinsBeforeYield) sched_yield();
    }
  }

  static constexpr int kSpinsBeforeYield = 64;
  std::atomic<bool> locked_{false};
};

// For longer sections. A scheduler for tests knows SpinLocks only.
using SleepingLock = std::conditional_t<kScheduled, SpinLock, std::mutex>;

}  // namespace ffgrant::internal

#endif  // FFGRANT_CLAIMS_INTERNAL_SPIN_LOCK_H_
