// SPDX-License-Identifier: Apache-2.0

#ifndef FFGRANT_BENCH_PERF_SLOWDOWN_H_
#define FFGRANT_BENCH_PERF_SLOWDOWN_H_

#include <cstdint>

namespace ffgrant::bench {

// Returns how much more work this program does for the benchmark with this name and argument, in
// percent of the normal work. The function is not defined in the source file of the kernels, so
// that the machine code of the kernels is the same in every program.
int SlowdownPercent(const char* name, std::int64_t argument);

}  // namespace ffgrant::bench

#endif  // FFGRANT_BENCH_PERF_SLOWDOWN_H_
