// SPDX-License-Identifier: Apache-2.0
//
// The frozen reference kernel. FROZEN: this file never changes, not even a
// comment; scripts/jobs/perf_reference_test.py checks its hash. The history
// states every benchmark's time as a multiple of this kernel's, so that points
// of one machine stay comparable while its clock and its neighbours change; a
// kernel that changed would look like a change of everything.
//
// A bit of what parsers do: bytes that depend on each other through a table in
// the first-level cache, multiplications, branches that are hard to foresee.

#include <benchmark/benchmark.h>

#include <array>
#include <cstddef>
#include <cstdint>

namespace {

constexpr std::size_t kBytes = 4096;

void BM_ReferenceKernel(benchmark::State& state) {
  std::array<std::uint8_t, kBytes> text{};
  std::array<std::uint32_t, 256> table{};
  std::uint64_t seed = 0x9E3779B97F4A7C15u;
  const auto next = [&seed] {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
  };
  for (auto& byte : text) byte = static_cast<std::uint8_t>(next());
  for (auto& word : table) word = static_cast<std::uint32_t>(next());

  for (auto _ : state) {
    benchmark::DoNotOptimize(text);
    std::uint32_t hash = 0;
    std::uint64_t digits = 0;
    for (const std::uint8_t byte : text) {
      hash = (hash >> 8) ^ table[(hash ^ byte) & 0xFF];
      if (byte < 77) {
        digits = digits * 10 + byte;
      } else if ((byte & 5) == 4) {
        digits ^= hash;
      }
    }
    benchmark::DoNotOptimize(hash);
    benchmark::DoNotOptimize(digits);
  }
}
BENCHMARK(BM_ReferenceKernel);

}  // namespace

BENCHMARK_MAIN();
