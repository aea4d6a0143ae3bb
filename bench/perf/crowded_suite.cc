// SPDX-License-Identifier: Apache-2.0
//
// Makes the program perf_crowded, which has the self-test's kernels and three benchmarks that are
// too noisy for any gate. Two environment variables make one of the kernels slower:
//
//   FFGRANT_SLOW=BM_Hash_Selftest/64  FFGRANT_SLOW_PERCENT=05
//
// Base and head are the same program, so they differ in nothing but this slowdown.

#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <random>
#include <string>

#include "bench/perf/slowdown.h"

namespace ffgrant::bench {
namespace {

std::string Setting(const char* name) {
  const char* text = std::getenv(name);
  return text ? text : "";
}

// Each process draws its own amount of work. The time therefore differs by up to a factor of two
// from one process to the next, and repetitions inside a process never show this.
void BM_Noise_Crowded(benchmark::State& state) {
  static std::random_device device;
  static const std::uint32_t portions[] = {60 + device() % 60, 60 + device() % 60,
                                           60 + device() % 60};
  const std::uint32_t mine = portions[static_cast<std::size_t>(state.range(0)) % 3];
  std::uint32_t hash = 1;
  for (auto _ : state) {
    for (std::uint32_t i = 0; i < mine * 16; ++i) hash = (hash ^ i) * 0x9E3779B1u;
    benchmark::DoNotOptimize(hash);
  }
}
BENCHMARK(BM_Noise_Crowded)->DenseRange(0, 2);

}  // namespace

int SlowdownPercent(const char* name, std::int64_t argument) {
  static const std::string slow = Setting("FFGRANT_SLOW");
  static const int percent = std::atoi(Setting("FFGRANT_SLOW_PERCENT").c_str());
  return slow == std::string(name) + "/" + std::to_string(argument) ? percent : 0;
}

}  // namespace ffgrant::bench
