// SPDX-License-Identifier: Apache-2.0

#include "bench/bench_main.h"

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <new>

namespace ffgrant::bench {
namespace {

// Returns whether the allocation counter counts. A counter that never counted would report zeros
// that look good.
bool AllocationCounterCounts() {
  // The pointer is volatile: otherwise the compiler would drop both the allocation and the release.
  void* volatile kept = nullptr;
  const std::size_t by_malloc = testing::CountAllocations([&] { kept = std::malloc(24); });
  std::free(kept);
  const std::size_t by_new = testing::CountAllocations([&] { kept = ::operator new(24); });
  ::operator delete(kept);
  const std::size_t by_nothing = testing::CountAllocations([&] { kept = nullptr; });
  return testing::kCountsMalloc && by_malloc == 1 && by_new == 1 && by_nothing == 0;
}

}  // namespace

void SelfCheckFailed(std::string_view what, std::string_view input) {
  std::fprintf(stderr, "self-check failed: %.*s\n  input: %.*s\n", static_cast<int>(what.size()),
               what.data(), static_cast<int>(input.size()), input.data());
  std::exit(1);
}

int RunBenchmarks(int argc, char** argv, void (*check)()) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  SelfCheck(AllocationCounterCounts(), "the allocation counter does not count", "");
  const bool skips = std::getenv("FFGRANT_BENCH_SKIP_CHECK") != nullptr;
  if (!skips) check();
  benchmark::AddCustomContext("self_check", skips ? "skipped" : "passed");
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}

}  // namespace ffgrant::bench
