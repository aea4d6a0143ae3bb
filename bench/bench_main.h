// SPDX-License-Identifier: Apache-2.0
//
// Defines what the benchmark programs share: the check before the timing, the loops over a set of
// inputs, and the counters.

#ifndef FFGRANT_BENCH_BENCH_MAIN_H_
#define FFGRANT_BENCH_BENCH_MAIN_H_

#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "bench/inputs.h"
#include "testing/naive/allocation_counter.h"

namespace ffgrant::bench {

// Prints what differed and for which input, and ends the process with status 1.
[[noreturn]] void SelfCheckFailed(std::string_view what, std::string_view input);

inline void SelfCheck(bool agrees, std::string_view what, std::string_view input) {
  if (!agrees) SelfCheckFailed(what, input);
}

// Runs `check`, then the benchmarks that the command line asks for. If FFGRANT_BENCH_SKIP_CHECK is
// in the environment, `check` is left out: scripts/perf starts the same program a hundred times and
// lets it check itself only the first time.
int RunBenchmarks(int argc, char** argv, void (*check)());

// Counts the allocations of a timed loop. Reports items, `allocs_per_op` and, if Report() is told
// the bytes of an item, bytes. LoopCounters must be constructed before the loop.
class LoopCounters {
 public:
  explicit LoopCounters(benchmark::State& state)
      : state_(state), allocations_before_(testing::ThreadAllocations()) {}
  void Report(double bytes_per_item = 0) {
    const auto allocations =
        static_cast<double>(testing::ThreadAllocations() - allocations_before_);
    const auto items = static_cast<double>(state_.iterations());
    state_.SetItemsProcessed(static_cast<std::int64_t>(state_.iterations()));
    if (bytes_per_item > 0) {
      state_.SetBytesProcessed(static_cast<std::int64_t>(bytes_per_item * items));
    }
    state_.counters["allocs_per_op"] =
        benchmark::Counter(items > 0 ? allocations / items : 0, benchmark::Counter::kAvgThreads);
  }

 private:
  benchmark::State& state_;
  std::size_t allocations_before_;
};

// Times `operation` on the first `count` inputs of `set`, one after the other; the first input
// follows the last one. The compiler knows neither the input nor what becomes of the result.
template <class Set, class Operation>
void RunOverSet(benchmark::State& state, const Set& set, double bytes_per_item, Operation operation,
                std::size_t count = kInputCount) {
  std::size_t i = 0;
  LoopCounters counters(state);
  for (auto _ : state) {
    auto input = set[i];
    benchmark::DoNotOptimize(input);
    auto result = operation(input);
    benchmark::DoNotOptimize(result);
    i = i + 1 == count ? 0 : i + 1;
  }
  counters.Report(bytes_per_item);
}

// Wraps `function` in a lambda, so that the timed loop calls it directly and not through a pointer.
template <auto function>
inline constexpr auto kDirect = [](const auto& input) { return function(input); };

// Registers BM_<name>, which times `operation` over the set that `make_set()` returns. The
// benchmark asks for the set only when it runs. So with a filter, and without the check, only the
// sets of the selected benchmarks are made.
template <class MakeSet, class Operation>
void RegisterOverTexts(const std::string& name, MakeSet make_set, Operation operation) {
  benchmark::RegisterBenchmark(("BM_" + name).c_str(), [=](benchmark::State& state) {
    const TextSet& set = make_set();
    RunOverSet(state, set, set.average_size(), operation);
  });
}

template <class MakeSet, class Operation>
void RegisterOverValues(const std::string& name, MakeSet make_set, Operation operation) {
  benchmark::RegisterBenchmark(("BM_" + name).c_str(), [=](benchmark::State& state) {
    RunOverSet(state, make_set(), 0, operation);
  });
}

}  // namespace ffgrant::bench

#endif  // FFGRANT_BENCH_BENCH_MAIN_H_
