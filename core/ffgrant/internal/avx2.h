// SPDX-License-Identifier: Apache-2.0
//
// Which functions exist a second time for AVX2. They are compiled for it one by
// one and chosen when they are called, so that one build runs on every x86-64
// machine; only whole operations are worth the choice.

#ifndef FFGRANT_INTERNAL_AVX2_H_
#define FFGRANT_INTERNAL_AVX2_H_

#if defined(__x86_64__) && defined(__GNUC__)
#define FFGRANT_HAS_AVX2_PATHS 1
#define FFGRANT_AVX2 [[gnu::target("avx2")]]
#endif

#ifdef FFGRANT_HAS_AVX2_PATHS

namespace ffgrant::internal {

// A test of one word in memory. That word is filled in before the constructors
// of a program run; earlier than that, the answer is no.
inline bool HasAvx2() noexcept { return __builtin_cpu_supports("avx2") != 0; }

}  // namespace ffgrant::internal

#endif

#endif  // FFGRANT_INTERNAL_AVX2_H_
