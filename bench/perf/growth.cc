// SPDX-License-Identifier: Apache-2.0
//
// Makes a program in which two things grow by a known share: the memory that a benchmark takes, and
// a section of the program. The gate's tests of memory and size build this program with several
// shares (scripts/jobs/perf/metric_trials.py).

#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstring>
#include <memory>

#ifndef FFGRANT_GROWTH_PERCENT
#define FFGRANT_GROWTH_PERCENT 0
#endif

namespace {

constexpr std::size_t Grown(std::size_t size) {
  return size * (100 + FFGRANT_GROWTH_PERCENT) / 100;
}

void Fill(benchmark::State& state, std::size_t size) {
  for (auto _ : state) {
    const auto memory = std::make_unique<char[]>(size);
    std::memset(memory.get(), 1, size);
    benchmark::DoNotOptimize(memory.get());
    state.SetIterationTime(1e-3);  // the benchmark's time does not matter
  }
}

void BM_Grown_Growth(benchmark::State& state) { Fill(state, Grown(std::size_t{16} << 20)); }
BENCHMARK(BM_Grown_Growth)->UseManualTime();

void BM_Same_Growth(benchmark::State& state) { Fill(state, std::size_t{4} << 20); }
BENCHMARK(BM_Same_Growth)->UseManualTime();

}  // namespace

extern const unsigned char ffgrant_growth[];
__attribute__((used, section(".growth"))) const unsigned char ffgrant_growth[Grown(200'000)] = {1};

BENCHMARK_MAIN();
