// SPDX-License-Identifier: Apache-2.0

#ifndef FFGRANT_CLAIMS_INTERNAL_SPIN_LOCK_H_
#define FFGRANT_CLAIMS_INTERNAL_SPIN_LOCK_H_

#include <atomic>
#include <cstdint>

#include "ffgrant/claims/internal/schedule_point.h"

// Only in these builds does AssertHeld() check anything: in debug builds, under the deterministic
// scheduler, and with AddressSanitizer or ThreadSanitizer.
#if !defined(NDEBUG) || defined(FFGRANT_SCHEDULE_POINTS) || defined(__SANITIZE_ADDRESS__) || \
    defined(__SANITIZE_THREAD__)
#define FFGRANT_CHECKS_LOCKS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define FFGRANT_CHECKS_LOCKS 1
#endif
#endif
// These builds also check the order of the locks. Builds with FFGRANT_SCHEDULE_POINTS do not: their
// scheduler finds deadlocks by itself, and runs all its fibers on one thread of the system.
#if defined(FFGRANT_CHECKS_LOCKS) && !defined(FFGRANT_SCHEDULE_POINTS)
#define FFGRANT_CHECKS_LOCK_ORDER 1
#endif

namespace ffgrant::internal {

// What a lock guards. A thread takes locks in this order: while it holds a lock, it takes none of
// the same kind or of an earlier kind. So no two threads can wait for each other. Builds that check
// the order of the locks end a program that takes them in another order.
enum class LockKind : std::uint8_t { kQueue, kRegion, kVerdicts, kNames, kTexts };

// A lock for sections of some tens of nanoseconds: to lock is one exchange, to
// unlock is a store and a load. A thread that finds the lock taken spins for
// about a microsecond (kSpins) and then sleeps in the kernel, so that the owner
// gets the processor whatever the two threads' priorities are.
//
// If no thread sleeps, the possibility to sleep costs the owner no more than a read of the number
// of sleepers. The owner reads this number without a memory barrier, and so may miss a thread that
// is just going to sleep. Such a sleeper wakes by itself after kSleepNs. The class meets the
// requirements of BasicLockable, for std::scoped_lock.
class SpinLock : private LockNumber {
 public:
#ifdef FFGRANT_CHECKS_LOCK_ORDER
  explicit SpinLock(LockKind kind) noexcept : kind_(static_cast<unsigned>(kind)) {}
#else
  explicit SpinLock(LockKind) noexcept {}
#endif

  void lock() noexcept {
#ifdef FFGRANT_CHECKS_LOCK_ORDER
    if (HeldKinds() >> kind_ != 0) WrongOrder();
#endif
    ScheduleLock(number);
    if (state_.exchange(kTaken, std::memory_order_acquire) != kFree) [[unlikely]]
      Wait();
#ifdef FFGRANT_CHECKS_LOCKS
    owner_.store(ThisThread(), std::memory_order_relaxed);
#endif
#ifdef FFGRANT_CHECKS_LOCK_ORDER
    HeldKinds() |= 1u << kind_;
#endif
  }
  void unlock() noexcept {
    AssertHeld();
#ifdef FFGRANT_CHECKS_LOCKS
    owner_.store(nullptr, std::memory_order_relaxed);
#endif
#ifdef FFGRANT_CHECKS_LOCK_ORDER
    HeldKinds() &= ~(1u << kind_);
#endif
    state_.store(kFree, std::memory_order_release);
    if (sleepers_.load(std::memory_order_relaxed) != 0) [[unlikely]]
      Wake();
    ScheduleUnlock(number);
  }

  // With FFGRANT_CHECKS_LOCKS, ends the program unless the calling thread holds the lock. Does
  // nothing in other builds. The call stands at the beginning of functions that use what a lock
  // guards.
  void AssertHeld() const noexcept {
#ifdef FFGRANT_CHECKS_LOCKS
    // Never true: `owner_.load(std::memory_order_relaxed) != ThisThread()`: the program ends there.
    // Never true: `!ScheduleHolds(number)`: as above.
    if (owner_.load(std::memory_order_relaxed) != ThisThread() || !ScheduleHolds(number)) NotHeld();
#endif
  }

 private:
  [[gnu::noinline, gnu::cold]] void Wait() noexcept;
  [[gnu::noinline, gnu::cold]] void Wake() noexcept;

  static constexpr std::uint32_t kFree = 0;
  static constexpr std::uint32_t kTaken = 1;
  static constexpr int kSpins = 64;
  static constexpr long kSleepNs = 1'000'000;

  std::atomic<std::uint32_t> state_{kFree};
  std::atomic<std::uint32_t> sleepers_{0};

#ifdef FFGRANT_CHECKS_LOCKS
  static const void* ThisThread() noexcept {
    static thread_local const char here = 0;
    return &here;
  }
  [[noreturn]] static void NotHeld() noexcept;
  std::atomic<const void*> owner_{nullptr};
#endif
#ifdef FFGRANT_CHECKS_LOCK_ORDER
  // The kinds of the locks that the calling thread holds, as bits.
  static unsigned& HeldKinds() noexcept {
    static thread_local unsigned kinds = 0;
    return kinds;
  }
  [[noreturn]] static void WrongOrder() noexcept;
  const unsigned kind_;
#endif
};

}  // namespace ffgrant::internal

#endif  // FFGRANT_CLAIMS_INTERNAL_SPIN_LOCK_H_
