// SPDX-License-Identifier: Apache-2.0

#ifndef FFGRANT_BENCH_PERF_SLOWDOWN_H_
#define FFGRANT_BENCH_PERF_SLOWDOWN_H_

namespace ffgrant::bench {

// How much more work perf_selftest_<N> does, in percent of the plain one's. In
// a source of its own, so that the programs' machine code is the same.
extern const int kSlowdownPercent;

}  // namespace ffgrant::bench

#endif  // FFGRANT_BENCH_PERF_SLOWDOWN_H_
