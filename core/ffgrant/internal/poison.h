// SPDX-License-Identifier: Apache-2.0
//
// Keeps gaps between the areas of one memory block. AddressSanitizer finds overruns of a block by
// itself, but an overrun from one area of a block into the next only if it was told of a gap
// between the two. In builds without AddressSanitizer there are no gaps, and this file does
// nothing.

#ifndef FFGRANT_INTERNAL_POISON_H_
#define FFGRANT_INTERNAL_POISON_H_

#include <cstddef>

#ifdef __SANITIZE_ADDRESS__
#define FFGRANT_HAS_POISON 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FFGRANT_HAS_POISON 1
#endif
#endif

#ifdef FFGRANT_HAS_POISON
#include <sanitizer/asan_interface.h>
#endif

namespace ffgrant::internal {

// The size of a gap: a multiple of every alignment that the areas need.
#ifdef FFGRANT_HAS_POISON
inline constexpr std::size_t kGapBytes = 64;
#else
inline constexpr std::size_t kGapBytes = 0;
#endif

// Forbids any access to these bytes from now on.
inline void Poison([[maybe_unused]] const void* p, [[maybe_unused]] std::size_t size) noexcept {
#ifdef FFGRANT_HAS_POISON
  __asan_poison_memory_region(p, size);
#endif
}

// Undoes Poison(): these bytes are an area now.
inline void Unpoison([[maybe_unused]] const void* p, [[maybe_unused]] std::size_t size) noexcept {
#ifdef FFGRANT_HAS_POISON
  __asan_unpoison_memory_region(p, size);
#endif
}

// Returns, for tests, whether the byte at `p` may be accessed. Always returns true in builds
// without gaps.
inline bool MayTouch([[maybe_unused]] const void* p) noexcept {
#ifdef FFGRANT_HAS_POISON
  return __asan_address_is_poisoned(p) == 0;  // Never reached: coverage has no AddressSanitizer
#else
  return true;
#endif
}

}  // namespace ffgrant::internal

#endif  // FFGRANT_INTERNAL_POISON_H_
