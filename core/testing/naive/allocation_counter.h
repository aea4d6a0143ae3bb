// SPDX-License-Identifier: Apache-2.0
//
// Test only: counts the allocations of the calling thread. Linking this library replaces malloc and
// its relatives, which operator new calls. If a sanitizer has already replaced these functions, the
// counter uses the sanitizer's hooks. With a C library other than glibc only operator new is
// replaced, and kCountsMalloc is false.

#ifndef FFGRANT_TESTING_NAIVE_ALLOCATION_COUNTER_H_
#define FFGRANT_TESTING_NAIVE_ALLOCATION_COUNTER_H_

#include <cstddef>
#include <cstdlib>  // defines __GLIBC__

#include "testing/naive/sanitized.h"

#if FFGRANT_IS_SANITIZED
#define FFGRANT_HOOKS_MALLOC 1
#define FFGRANT_REPLACES_MALLOC 0
#elif defined(__GLIBC__)
#define FFGRANT_HOOKS_MALLOC 0
#define FFGRANT_REPLACES_MALLOC 1
#else
#define FFGRANT_HOOKS_MALLOC 0
#define FFGRANT_REPLACES_MALLOC 0
#endif

namespace ffgrant::testing {

inline constexpr bool kCountsMalloc = FFGRANT_HOOKS_MALLOC != 0 || FFGRANT_REPLACES_MALLOC != 0;

// True if FailAllocation() works.
inline constexpr bool kFailsMalloc = FFGRANT_REPLACES_MALLOC != 0;

// Returns the number of all allocations that this thread has made.
std::size_t ThreadAllocations() noexcept;

// Makes the `nth` allocation that this thread makes from now on fail, and no other. With 0, no
// allocation fails.
void FailAllocation(std::size_t nth) noexcept;

// Returns how often `work` allocates on this thread.
template <class Work>
std::size_t CountAllocations(Work&& work) {
  const std::size_t before = ThreadAllocations();
  work();
  return ThreadAllocations() - before;
}

}  // namespace ffgrant::testing

#endif  // FFGRANT_TESTING_NAIVE_ALLOCATION_COUNTER_H_
