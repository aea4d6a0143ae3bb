// SPDX-License-Identifier: Apache-2.0
//
// Reports quantiles of many single calls as counters of a benchmark.

#ifndef FFGRANT_BENCH_LATENCIES_H_
#define FFGRANT_BENCH_LATENCIES_H_

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "bench/inputs.h"
#include "bench/tick_clock.h"

namespace ffgrant::bench {

// This many calls are enough for a p99.9 in each thread.
inline constexpr std::size_t kLatencySample = 131072;

inline std::uint32_t ShortTicks(std::uint64_t ticks) {
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(ticks, UINT32_MAX));
}

// Returns, in nanoseconds, the value of `sorted` that is nearest to the quantile `share`.
inline double Percentile(const std::vector<std::uint32_t>& sorted, double share) {
  const auto last = static_cast<double>(sorted.size() - 1);
  return sorted[static_cast<std::size_t>(share * last + 0.5)] * NanosecondsPerTick();
}

// Sorts `ticks` and reports their quantiles. The counters of several threads are averaged.
inline void ReportPercentiles(benchmark::State& state, std::vector<std::uint32_t>& ticks) {
  if (ticks.empty()) return;
  std::sort(ticks.begin(), ticks.end());
  const auto average = benchmark::Counter::kAvgThreads;
  state.counters["p50_ns"] = benchmark::Counter(Percentile(ticks, 0.50), average);
  state.counters["p99_ns"] = benchmark::Counter(Percentile(ticks, 0.99), average);
  state.counters["p999_ns"] = benchmark::Counter(Percentile(ticks, 0.999), average);
  state.counters["timer_ns"] = benchmark::Counter(TimerOverheadNs(), average);
  state.counters["samples"] = benchmark::Counter(static_cast<double>(ticks.size()), average);
}

// Times `operation` on each text of the set separately. The time that is reported includes reading
// the timer.
template <class Operation>
void RunLatencyOverTexts(benchmark::State& state, const TextSet& set, Operation operation) {
  std::vector<std::uint32_t> ticks;
  const double ns_per_tick = NanosecondsPerTick();
  TimerOverheadNs();
  while (state.KeepRunningBatch(static_cast<benchmark::IterationCount>(set.size()))) {
    std::uint64_t total = 0;
    for (std::size_t i = 0; i < set.size(); ++i) {
      auto text = set[i];
      benchmark::DoNotOptimize(text);
      const std::uint64_t before = TicksBefore();
      auto result = operation(text);
      benchmark::DoNotOptimize(result);
      const std::uint64_t elapsed = TicksAfter() - before;
      total += elapsed;
      ticks.push_back(ShortTicks(elapsed));
    }
    state.SetIterationTime(static_cast<double>(total) * ns_per_tick * 1e-9);
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()));
  ReportPercentiles(state, ticks);
}

}  // namespace ffgrant::bench

#endif  // FFGRANT_BENCH_LATENCIES_H_
