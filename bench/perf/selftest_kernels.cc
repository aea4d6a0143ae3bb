// SPDX-License-Identifier: Apache-2.0
//
// Defines the benchmarks with which scripts/perf selftest measures the gate: five kinds of work in
// four sizes. An iteration does a hundred portions of its work, and SlowdownPercent() portions
// more. If two programs differ only in what SlowdownPercent() returns, their times differ by
// exactly this share.

#include <benchmark/benchmark.h>

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <numeric>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "bench/perf/slowdown.h"

namespace ffgrant::bench {
namespace {

std::string RandomText(std::size_t size, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::string text(size, '\0');
  for (char& letter : text) letter = static_cast<char>('a' + random() % 26);
  return text;
}

// Values are made once for each size: repetitions must be short, and making some values takes long.
template <class Made>
Made& Kept(std::size_t size, Made (*make)(std::size_t)) {
  static std::map<std::pair<std::size_t, Made (*)(std::size_t)>, Made> kept;
  const auto found = kept.find({size, make});
  if (found != kept.end()) return found->second;
  return kept.emplace(std::pair(size, make), make(size)).first->second;
}

// Runs `portion(number)` for each portion. The compiler must compute the results although nothing
// uses them. `name` is the benchmark's name without its argument.
template <class Portion>
void Run(benchmark::State& state, const char* name, Portion portion) {
  const int portions = 100 + SlowdownPercent(name, state.range(0));
  std::size_t number = 0;
  for (auto _ : state) {
    for (int i = 0; i < portions; ++i) benchmark::DoNotOptimize(portion(number++));
  }
}

// Runs vector code of the C library on memory in the cache. The text starts at the beginning of a
// cache line: at the place where the allocator happens to put a short text, the time would differ
// by a third from process to process.
void BM_Scan_Selftest(benchmark::State& state) {
  alignas(64) static char text[16384];
  const auto size = static_cast<std::size_t>(state.range(0));
  RandomText(size, 1).copy(text, size);
  Run(state, "BM_Scan_Selftest", [&](std::size_t) {
    benchmark::DoNotOptimize(&text[0]);
    return std::memchr(text, '#', size);
  });
}
BENCHMARK(BM_Scan_Selftest)->RangeMultiplier(4)->Range(256, 16384);

// Makes a chain of loads from a table, one load for each letter of the input.
void BM_Hash_Selftest(benchmark::State& state) {
  std::string text = RandomText(static_cast<std::size_t>(state.range(0)), 2);
  std::vector<std::uint32_t> table(256);
  std::iota(table.begin(), table.end(), 0x9E3779B9u);
  Run(state, "BM_Hash_Selftest", [&](std::size_t) {
    benchmark::DoNotOptimize(text.data());
    std::uint32_t hash = 0;
    for (const char letter : text) {
      hash = (hash >> 8) ^ table[(hash ^ static_cast<std::uint8_t>(letter)) & 0xFF];
    }
    return hash;
  });
}
BENCHMARK(BM_Hash_Selftest)->RangeMultiplier(2)->Range(16, 128);

std::vector<std::string> RandomNumbers(std::size_t count) {
  std::mt19937_64 random(3);
  std::vector<std::string> texts(count);
  for (auto& text : texts) {
    const std::uint64_t bits = random();
    text = std::to_string(bits >> (random() % 64));
  }
  return texts;
}

// Parses numbers of random lengths.
void BM_Digits_Selftest(benchmark::State& state) {
  const auto& texts = Kept(static_cast<std::size_t>(state.range(0)), RandomNumbers);
  Run(state, "BM_Digits_Selftest", [&](std::size_t number) {
    const std::string& text = texts[number % texts.size()];
    std::uint64_t value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
  });
}
BENCHMARK(BM_Digits_Selftest)->Arg(64)->Arg(512)->Arg(4096)->Arg(65536);

// Returns one cycle of all elements: every element names the next one.
std::vector<std::uint32_t> RandomCycle(std::size_t bytes) {
  std::vector<std::uint32_t> next(bytes / 4);
  std::iota(next.begin(), next.end(), 0u);
  std::mt19937 random(4);
  for (std::size_t i = next.size() - 1; i > 0; --i) std::swap(next[i], next[random() % i]);
  return next;
}

// Makes loads that depend on each other and are spread over a table. The smaller tables fit into a
// core's own caches, the larger ones do not.
void BM_Chase_Selftest(benchmark::State& state) {
  const auto& next = Kept(static_cast<std::size_t>(state.range(0)), RandomCycle);
  std::uint32_t at = 0;
  Run(state, "BM_Chase_Selftest", [&](std::size_t) {
    for (int i = 0; i < 8; ++i) at = next[at];
    return at;
  });
}
BENCHMARK(BM_Chase_Selftest)->Arg(1 << 14)->Arg(1 << 18)->Arg(1 << 21)->Arg(1 << 23);

// Measures the allocator.
void BM_Allocate_Selftest(benchmark::State& state) {
  const auto kept = static_cast<std::size_t>(state.range(0));
  std::vector<std::string> texts(kept);
  Run(state, "BM_Allocate_Selftest", [&](std::size_t number) {
    std::string& text = texts[number % kept];
    text = std::string(24 + number * 7 % 200, 'x');
    return text.data();
  });
}
BENCHMARK(BM_Allocate_Selftest)->RangeMultiplier(8)->Range(1, 512);

}  // namespace
}  // namespace ffgrant::bench

BENCHMARK_MAIN();
