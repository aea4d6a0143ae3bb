// SPDX-License-Identifier: Apache-2.0

#include "testing/naive/allocation_counter.h"

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <new>

namespace {

// The counters are constinit, since malloc runs before any constructor.
constinit thread_local std::size_t allocations = 0;
constinit thread_local std::size_t allocations_until_failure = 0;

// Counts an allocation. Returns true if the allocation must fail.
[[maybe_unused]] bool CountAndFail() noexcept {
  ++allocations;
  return allocations_until_failure != 0 && --allocations_until_failure == 0;
}

}  // namespace

namespace ffgrant::testing {

std::size_t ThreadAllocations() noexcept { return allocations; }

void FailAllocation(std::size_t nth) noexcept { allocations_until_failure = nth; }

}  // namespace ffgrant::testing

#if FFGRANT_HOOKS_MALLOC

#include <sanitizer/allocator_interface.h>

namespace {

void CountMalloc(const volatile void* /*block*/, std::size_t /*size*/) { ++allocations; }
void IgnoreFree(const volatile void* /*block*/) {}

const bool hooked = [] {
  // The call returns 0 if all places for hooks are taken.
  if (__sanitizer_install_malloc_and_free_hooks(CountMalloc, IgnoreFree) == 0) std::abort();
  return true;
}();

}  // namespace

#elif FFGRANT_REPLACES_MALLOC

namespace {

void* OutOfMemory() noexcept {
  errno = ENOMEM;
  return nullptr;
}

}  // namespace

// The __libc_ functions are glibc's own, under the names that glibc keeps for replacements to call.
// free() stays as it is, since the replacements return glibc's memory.
extern "C" {

void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* block, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);

void* malloc(std::size_t size) noexcept {
  if (CountAndFail()) return OutOfMemory();
  return __libc_malloc(size);
}

void* calloc(std::size_t count, std::size_t size) noexcept {
  if (CountAndFail()) return OutOfMemory();
  return __libc_calloc(count, size);
}

void* realloc(void* block, std::size_t size) noexcept {
  if (CountAndFail()) return OutOfMemory();
  return __libc_realloc(block, size);
}

void* memalign(std::size_t alignment, std::size_t size) noexcept {
  if (CountAndFail()) return OutOfMemory();
  return __libc_memalign(alignment, size);
}

void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept {
  if (CountAndFail()) return OutOfMemory();
  return __libc_memalign(alignment, size);
}

int posix_memalign(void** block, std::size_t alignment, std::size_t size) noexcept {
  if (CountAndFail()) return ENOMEM;
  void* const result = __libc_memalign(alignment, size);
  if (result == nullptr) return ENOMEM;
  *block = result;
  return 0;
}

}  // extern "C"

#else

namespace {

void* Allocate(std::size_t size) noexcept {
  ++allocations;
  return std::malloc(size == 0 ? 1 : size);
}

void* AllocateAligned(std::size_t size, std::align_val_t alignment) noexcept {
  ++allocations;
  const auto align = static_cast<std::size_t>(alignment);
  return std::aligned_alloc(align, (size + align) / align * align);
}

void* OrThrow(void* block) {
  if (block == nullptr) throw std::bad_alloc();
  return block;
}

}  // namespace

void* operator new(std::size_t size) { return OrThrow(Allocate(size)); }
void* operator new[](std::size_t size) { return OrThrow(Allocate(size)); }
void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return Allocate(size); }
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept { return Allocate(size); }
void* operator new(std::size_t size, std::align_val_t alignment) {
  return OrThrow(AllocateAligned(size, alignment));
}
void* operator new[](std::size_t size, std::align_val_t alignment) {
  return OrThrow(AllocateAligned(size, alignment));
}
void operator delete(void* block) noexcept { std::free(block); }
void operator delete[](void* block) noexcept { std::free(block); }
void operator delete(void* block, std::size_t) noexcept { std::free(block); }
void operator delete[](void* block, std::size_t) noexcept { std::free(block); }
void operator delete(void* block, std::align_val_t) noexcept { std::free(block); }
void operator delete[](void* block, std::align_val_t) noexcept { std::free(block); }
void operator delete(void* block, std::size_t, std::align_val_t) noexcept { std::free(block); }
void operator delete[](void* block, std::size_t, std::align_val_t) noexcept { std::free(block); }

#endif
