// SPDX-License-Identifier: Apache-2.0
//
// Runs one CounterClock in several threads; ThreadSanitizer judges the test. When a thread's call
// makes CounterClock ask the system, the call uses plain data that another thread's call may have
// written. A test under relacy (testing/memory_orders/counter_clock_orders_test.cc) judges the
// calls that CounterClock answers from memory.

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <thread>

#include "ffgrant/claims/internal/counter_clock.h"

namespace ffgrant {
namespace {

template <class SystemsClock>
std::int64_t Ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             SystemsClock::now().time_since_epoch())
      .count();
}

struct SteadySource {
  static std::uint64_t Ticks() { return static_cast<std::uint64_t>(SteadyNs()); }
  static std::int64_t RealNs() { return Ns<std::chrono::system_clock>(); }
  static std::int64_t SteadyNs() { return Ns<std::chrono::steady_clock>(); }
};

TEST(CounterClockThreadsTest, ThreadsAskInTurn) {
  const internal::CounterClock<SteadySource> clock;
  std::array<std::int64_t, 4> last = {};
  {
    std::array<std::jthread, last.size()> threads;
    for (std::size_t t = 0; t < threads.size(); ++t) {
      threads[t] = std::jthread([&clock, &mine = last[t]] {
        // The threads run for longer than it takes to find a rate, so that the clock also answers
        // from memory.
        const std::int64_t end = SteadySource::SteadyNs() + 60'000'000;
        while (SteadySource::SteadyNs() < end) mine = clock.Now().value;
      });
    }
  }
  for (const std::int64_t ms : last) EXPECT_GT(ms, 0);
}

}  // namespace
}  // namespace ffgrant
