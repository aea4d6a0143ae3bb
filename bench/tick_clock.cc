// SPDX-License-Identifier: Apache-2.0

#include "bench/tick_clock.h"

#include <algorithm>
#include <array>

namespace ffgrant::bench {
namespace {

double Calibrate() {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point start = Clock::now();
  const std::uint64_t first = TicksBefore();
  Clock::time_point end = start;
  while (end - start < std::chrono::milliseconds(20)) end = Clock::now();
  const std::uint64_t last = TicksAfter();
  const std::chrono::duration<double, std::nano> elapsed = end - start;
  return elapsed.count() / static_cast<double>(last - first);
}

}  // namespace

double NanosecondsPerTick() {
  static const double ns = Calibrate();
  return ns;
}

double TimerOverheadNs() {
  static const double overhead = [] {
    std::array<std::uint64_t, 4001> ticks;
    for (std::uint64_t& t : ticks) {
      const std::uint64_t before = TicksBefore();
      t = TicksAfter() - before;
    }
    std::nth_element(ticks.begin(), ticks.begin() + ticks.size() / 2, ticks.end());
    return static_cast<double>(ticks[ticks.size() / 2]) * NanosecondsPerTick();
  }();
  return overhead;
}

}  // namespace ffgrant::bench
