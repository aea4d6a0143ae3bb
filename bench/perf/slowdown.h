// SPDX-License-Identifier: Apache-2.0

#ifndef FFGRANT_BENCH_PERF_SLOWDOWN_H_
#define FFGRANT_BENCH_PERF_SLOWDOWN_H_

#include <cstdint>

namespace ffgrant::bench {

// How much more work this program's benchmark does, in percent of the plain one's: of the benchmark
// with this name and argument. In a source of its own, so that the machine code of the kernels is
// the same in every program.
int SlowdownPercent(const char* name, std::int64_t argument);

}  // namespace ffgrant::bench

#endif  // FFGRANT_BENCH_PERF_SLOWDOWN_H_
