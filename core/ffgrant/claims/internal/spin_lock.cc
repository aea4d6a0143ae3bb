// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/claims/internal/spin_lock.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace ffgrant::internal {
namespace {

void Pause() noexcept {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace

static_assert(sizeof(::std::atomic<std::uint32_t>) == sizeof(std::uint32_t));

void SpinLock::Wait() noexcept {
  for (;;) {
    for (int spins = 0; spins < kSpins; ++spins) {
      if (state_.load(std::memory_order_relaxed) == kFree &&
          state_.exchange(kTaken, std::memory_order_acquire) == kFree) {
        return;
      }
      Pause();
    }
    sleepers_.fetch_add(1, std::memory_order_relaxed);
    const timespec most = {0, kSleepNs};
    // The system call returns at once if the lock is free by now. If the lock is taken, the system
    // call returns when a release wakes this thread, or after `most`.
    syscall(SYS_futex, &state_, FUTEX_WAIT_PRIVATE, kTaken, &most, nullptr, 0);
    sleepers_.fetch_sub(1, std::memory_order_relaxed);
  }
}

void SpinLock::Wake() noexcept {
  syscall(SYS_futex, &state_, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
}

#ifdef FFGRANT_CHECKS_LOCKS
// Never reached: the program ends here, and writes no counts.
void SpinLock::NotHeld() noexcept {
  std::fputs("ffgrant: data is used without the lock that guards it\n", stderr);
  std::abort();
}
#endif

#ifdef FFGRANT_CHECKS_LOCK_ORDER
void SpinLock::WrongOrder() noexcept {
  std::fputs("ffgrant: a lock is taken in the wrong order\n", stderr);
  std::abort();
}
#endif

}  // namespace ffgrant::internal
