// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/internal/cpu.h"

namespace ffgrant::internal {

constinit std::atomic<unsigned> cpu_features{0};

namespace {

unsigned ReadCpuid() noexcept {
  unsigned features = 0;
#ifdef FFGRANT_HAS_AVX2_PATHS
  __builtin_cpu_init();
  // Never false: `__builtin_cpu_supports("avx2")`: coverage is measured on machines that have all.
  // Never false: `__builtin_cpu_supports("bmi")`: as above.
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
      __builtin_cpu_supports("bmi2")) {  // Never false: as above
    features |= kCpuAvx2;
  }
  // Never false: `__builtin_cpu_supports("pclmul")`: as above.
  // Never false: `__builtin_cpu_supports("sse4.1")`: as above.
  if (__builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1")) features |= kCpuClmul;
#endif
  return features;
}

// The constructor has the highest priority that a library may take, so that other constructors
// find the features filled in.
[[gnu::constructor(101)]] void FillInCpuFeatures() noexcept { cpu_features.store(ReadCpuid()); }

}  // namespace

unsigned DetectCpuFeatures() noexcept {
  static const unsigned features = ReadCpuid();
  return features;
}

}  // namespace ffgrant::internal
