// SPDX-License-Identifier: Apache-2.0

#include "bench/bench_main.h"

#include <cstdio>
#include <cstdlib>

namespace ffgrant::bench {

void SelfCheckFailed(std::string_view what, std::string_view input) {
  std::fprintf(stderr, "self-check failed: %.*s\n  input: %.*s\n", static_cast<int>(what.size()),
               what.data(), static_cast<int>(input.size()), input.data());
  std::exit(1);
}

int RunBenchmarks(int argc, char** argv, void (*check)()) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  SelfCheck(AllocationCounterCounts(), "the allocation counter does not count", "");
  check();
  benchmark::AddCustomContext("self_check", "passed");
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}

}  // namespace ffgrant::bench
