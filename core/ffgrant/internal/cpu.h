// SPDX-License-Identifier: Apache-2.0
//
// Says which instructions core's functions may use. x86-64 always has SSE2, so SSE2 is chosen when
// core is compiled. Functions that use newer instructions are compiled one by one and chosen when
// they are called, so that one build runs on every x86-64 machine. The choice costs time, so it is
// made once for a whole operation.
//
// Each choice can also be forced, so that every path is tested on one machine: ForceCpuFeatures
// takes instructions away while a program runs, and the CMake option FFGRANT_PORTABLE compiles core
// without the paths for SSE2 and for newer instructions.

#ifndef FFGRANT_INTERNAL_CPU_H_
#define FFGRANT_INTERNAL_CPU_H_

#include <array>
#include <atomic>

#if defined(__SSE2__) && !defined(FFGRANT_PORTABLE)
#define FFGRANT_HAS_SSE2 1
#endif

#if defined(__x86_64__) && defined(__GNUC__) && !defined(FFGRANT_PORTABLE)
#define FFGRANT_HAS_AVX2_PATHS 1
#define FFGRANT_AVX2 [[gnu::target("avx2,bmi,bmi2")]]
#define FFGRANT_CLMUL [[gnu::target("pclmul,sse4.1")]]
#endif

namespace ffgrant::internal {

// Bits of a set of features.
inline constexpr unsigned kCpuAvx2 = 1;   // with BMI1 and BMI2
inline constexpr unsigned kCpuClmul = 2;  // PCLMULQDQ, with SSE4.1

// The features by which functions choose their path. The library sets them when it is loaded; until
// then they are 0.
extern std::atomic<unsigned> cpu_features;

inline bool HasAvx2() noexcept {
  return (cpu_features.load(std::memory_order_relaxed) & kCpuAvx2) != 0;
}
inline bool HasClmul() noexcept {
  return (cpu_features.load(std::memory_order_relaxed) & kCpuClmul) != 0;
}

// Returns the features that this machine has, even if others are forced; 0 in a build without the
// paths that need them.
unsigned DetectCpuFeatures() noexcept;

// Serves tests and fuzz targets that run in one thread: while the object lives, core uses no
// feature outside `allowed`.
class ForceCpuFeatures {
 public:
  explicit ForceCpuFeatures(unsigned allowed) noexcept
      : before_(cpu_features.exchange(DetectCpuFeatures() & allowed)) {}
  ~ForceCpuFeatures() { cpu_features.store(before_); }
  ForceCpuFeatures(const ForceCpuFeatures&) = delete;
  ForceCpuFeatures& operator=(const ForceCpuFeatures&) = delete;

 private:
  unsigned before_;
};

// The sets of features that the tests force: none, and all that core uses. With each set core
// chooses other paths.
inline constexpr std::array<unsigned, 2> kCpuFeatureSets = {0, kCpuAvx2 | kCpuClmul};

}  // namespace ffgrant::internal

#endif  // FFGRANT_INTERNAL_CPU_H_
