// SPDX-License-Identifier: Apache-2.0

#include "bench/allocation_counter.h"

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <new>

#ifndef __GLIBC__
#error "The allocation counter wraps glibc's malloc"
#endif

namespace {
// constinit and trivially destructible: malloc runs before any constructor.
constinit thread_local std::uint64_t allocation_count = 0;
}  // namespace

// glibc keeps its functions under these names for such wrappers. free() stays
// glibc's own, since every pointer comes from there.
extern "C" {
void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* pointer, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);

void* malloc(std::size_t size) {
  ++allocation_count;
  return __libc_malloc(size);
}

void* calloc(std::size_t count, std::size_t size) {
  ++allocation_count;
  return __libc_calloc(count, size);
}

void* realloc(void* pointer, std::size_t size) {
  ++allocation_count;
  return __libc_realloc(pointer, size);
}

void* aligned_alloc(std::size_t alignment, std::size_t size) {
  ++allocation_count;
  return __libc_memalign(alignment, size);
}

int posix_memalign(void** out, std::size_t alignment, std::size_t size) {
  ++allocation_count;
  void* const pointer = __libc_memalign(alignment, size);
  if (pointer == nullptr) return ENOMEM;
  *out = pointer;
  return 0;
}
}  // extern "C"

namespace ffgrant::bench {

std::uint64_t AllocationCount() noexcept { return allocation_count; }

bool AllocationCounterCounts() noexcept {
  // Volatile, or the compiler drops pairs of allocate and free.
  void* volatile kept = nullptr;
  bool counts = true;
  auto moved = [last = AllocationCount()]() mutable {
    const std::uint64_t now = AllocationCount();
    const bool result = now == last + 1;
    last = now;
    return result;
  };
  kept = std::malloc(24);
  counts = moved() && counts;
  kept = std::realloc(kept, 48);
  counts = moved() && counts;
  std::free(kept);
  kept = std::calloc(3, 8);
  counts = moved() && counts;
  std::free(kept);
  kept = ::operator new(24);
  counts = moved() && counts;
  ::operator delete(kept);
  kept = ::operator new (64, std::align_val_t{64});
  counts = moved() && counts;
  ::operator delete (kept, std::align_val_t{64});
  return counts && !moved();
}

}  // namespace ffgrant::bench
