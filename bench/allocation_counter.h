// SPDX-License-Identifier: Apache-2.0
//
// Counts what the calling thread allocates: malloc and its kin, and so
// operator new, which calls malloc.

#ifndef FFGRANT_BENCH_ALLOCATION_COUNTER_H_
#define FFGRANT_BENCH_ALLOCATION_COUNTER_H_

#include <cstdint>

namespace ffgrant::bench {

// Allocations of the calling thread since it began. A growing realloc is one.
std::uint64_t AllocationCount() noexcept;

// True if operator new, malloc, calloc and realloc each move the count, and
// freeing does not. A counter that never moves would show nice zeros.
bool AllocationCounterCounts() noexcept;

}  // namespace ffgrant::bench

#endif  // FFGRANT_BENCH_ALLOCATION_COUNTER_H_
