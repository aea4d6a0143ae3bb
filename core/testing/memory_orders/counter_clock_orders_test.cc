// SPDX-License-Identifier: Apache-2.0
//
// Tests under relacy what threads that read one CounterClock tell each other.

#include "ffgrant/claims/clock.h"  // declares nothing in ffgrant::internal, so it may come first

#include "testing/memory_orders/relacy_std.h"

#include "ffgrant/claims/internal/counter_clock.h"

namespace ffgrant::testing {
namespace {

// All threads share this time. They are fibers of one thread, so no memory order lets them see
// another time.
std::int64_t now_ns = 0;
constexpr std::int64_t kMsNs = 1'000'000;

struct TrueSource {
  static std::uint64_t Ticks() noexcept { return static_cast<std::uint64_t>(now_ns); }
  static std::int64_t RealNs() noexcept { return now_ns; }
  static std::int64_t SteadyNs() noexcept { return now_ns; }
};

// Every reading must be a time within its call, although threads use results of other threads.
struct Readings : rl::test_suite<Readings, 3> {
  internal::CounterClock<TrueSource> clock;

  void before() {
    now_ns = 500'000;
    // This loop moves the time on far enough for the clock to learn its rate. After the loop the
    // clock answers from memory.
    for (int i = 0; i < 3; ++i, now_ns += 15 * kMsNs) static_cast<void>(clock.Now());
  }
  void thread(unsigned) {
    for (int i = 0; i < 3; ++i) {
      const std::int64_t before = now_ns / kMsNs;
      const std::int64_t read = clock.Now().value;
      const std::int64_t after = now_ns / kMsNs;
      RL_ASSERT(before <= read && read <= after);
      now_ns += 400'000;
    }
  }
};

}  // namespace
}  // namespace ffgrant::testing

int main() {
  using namespace ffgrant::testing;
  return Verdict(HoldsInRuns<Readings>(5000));
}
