// SPDX-License-Identifier: Apache-2.0
//
// This file is linked into core's tests. If FFGRANT_TEST_PORTABLE_PATHS is in the environment, the
// whole program takes core's paths for processors without AVX2 and PCLMULQDQ, except in tests that
// force a set of features themselves.

#include <cstdlib>

#include "ffgrant/internal/cpu.h"

namespace {

// The library's own constructor, which detects the features, has priority 101 and so runs before
// this one.
[[gnu::constructor(102)]] void TakePortablePaths() noexcept {
  if (std::getenv("FFGRANT_TEST_PORTABLE_PATHS") != nullptr) {
    ffgrant::internal::cpu_features.store(0);
  }
}

}  // namespace
