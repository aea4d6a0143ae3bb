// SPDX-License-Identifier: Apache-2.0
//
// Tests the embedded ledger's lock under relacy.

#include "testing/memory_orders/relacy_std.h"

// Here the lock's pause and its system call only let another thread run. A sleeper may wake at any
// time: the wake-up call saves time but is not needed.
#define _mm_pause() rl::yield(1, $)
namespace ffgrant::internal {
template <class... Args>
long syscall(long, const void*, int, Args...) noexcept {
  rl::yield(1, $);
  return 0;
}
}  // namespace ffgrant::internal

#include "ffgrant/claims/internal/spin_lock.cc"

namespace ffgrant::testing {
namespace {

// Each thread changes the guarded value twice. `owners` orders nothing between the threads: it only
// shows whether the lock has two owners at the same time.
struct TwoOwners : rl::test_suite<TwoOwners, 2> {
  internal::SpinLock lock{internal::LockKind::kTexts};
  rl::var<int> guarded;
  rl::atomic<int> owners;

  void before() {
    guarded($) = 0;
    owners.store(0, rl::mo_relaxed, $);
  }
  void thread(unsigned) {
    for (int i = 0; i < 2; ++i) {
      lock.lock();
      RL_ASSERT(owners.fetch_add(1, rl::mo_relaxed, $) == 0);
      guarded($) = guarded($) + 1;
      owners.fetch_sub(1, rl::mo_relaxed, $);
      lock.unlock();
    }
  }
  void after() { RL_ASSERT(guarded($) == 4); }
};

// An owner must see what the owner before it wrote, whichever thread it was.
struct ThreeOwners : rl::test_suite<ThreeOwners, 3> {
  internal::SpinLock lock{internal::LockKind::kTexts};
  rl::var<int> guarded;

  void before() { guarded($) = 0; }
  void thread(unsigned) {
    lock.lock();
    guarded($) = guarded($) + 1;
    lock.unlock();
  }
  void after() { RL_ASSERT(guarded($) == 3); }
};

}  // namespace
}  // namespace ffgrant::testing

int main() {
  using namespace ffgrant::testing;
  const int two = Verdict(HoldsInRuns<TwoOwners>(2000));
  const int three = Verdict(HoldsInRuns<ThreeOwners>(2000));
  return two | three;
}
