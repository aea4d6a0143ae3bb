// SPDX-License-Identifier: Apache-2.0
//
// Test only: counts what the calling thread allocates. Linking it replaces
// malloc and its kin, which operator new calls; under a sanitizer, which has
// replaced them already, it hooks into the sanitizer's. With another C library
// than glibc it replaces operator new alone: kCountsMalloc says so.

#ifndef FFGRANT_TESTING_NAIVE_ALLOCATION_COUNTER_H_
#define FFGRANT_TESTING_NAIVE_ALLOCATION_COUNTER_H_

#include <cstddef>
#include <cstdlib>  // defines __GLIBC__

#if defined(__has_feature)
#define FFGRANT_HAS_FEATURE(feature) __has_feature(feature)
#else
#define FFGRANT_HAS_FEATURE(feature) 0
#endif

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) ||                   \
    FFGRANT_HAS_FEATURE(address_sanitizer) || FFGRANT_HAS_FEATURE(thread_sanitizer) || \
    FFGRANT_HAS_FEATURE(memory_sanitizer)
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

// Whether FailAllocation() works.
inline constexpr bool kFailsMalloc = FFGRANT_REPLACES_MALLOC != 0;

// All allocations that this thread ever made.
std::size_t ThreadAllocations() noexcept;

// The `nth` allocation from now on that this thread makes fails, and no other.
// 0 for none.
void FailAllocation(std::size_t nth) noexcept;

// How often `work` allocates on this thread.
template <class Work>
std::size_t CountAllocations(Work&& work) {
  const std::size_t before = ThreadAllocations();
  work();
  return ThreadAllocations() - before;
}

}  // namespace ffgrant::testing

#endif  // FFGRANT_TESTING_NAIVE_ALLOCATION_COUNTER_H_
