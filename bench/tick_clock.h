// SPDX-License-Identifier: Apache-2.0
//
// Defines a clock for single operations of some tens of nanoseconds.

#ifndef FFGRANT_BENCH_TICK_CLOCK_H_
#define FFGRANT_BENCH_TICK_CLOCK_H_

#include <chrono>
#include <cstdint>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace ffgrant::bench {

// Reads the time stamp counter on x86-64, and steady_clock elsewhere. On x86-64 no instruction of
// the measured code can move across the reading.
inline std::uint64_t TicksBefore() noexcept {
#if defined(__x86_64__)
  _mm_lfence();
  const std::uint64_t ticks = __rdtsc();
  _mm_lfence();
  return ticks;
#else
  return static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
#endif
}

inline std::uint64_t TicksAfter() noexcept {
#if defined(__x86_64__)
  unsigned processor = 0;
  const std::uint64_t ticks = __rdtscp(&processor);
  _mm_lfence();
  return ticks;
#else
  return TicksBefore();
#endif
}

// Returns the length of a tick. The first call measures it with steady_clock, which takes 20 ms.
double NanosecondsPerTick();

// Returns the time of an empty measurement, the median of many, in nanoseconds. Reported latencies
// include this time, and ReportPercentiles() reports it beside them.
double TimerOverheadNs();

}  // namespace ffgrant::bench

#endif  // FFGRANT_BENCH_TICK_CLOCK_H_
