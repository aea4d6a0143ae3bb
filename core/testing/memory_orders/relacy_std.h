// SPDX-License-Identifier: Apache-2.0
//
// Runs sources of the product under relacy, which tries the values that an atomic load may return
// in the C++ memory model. Inside ffgrant::internal, `std` becomes a namespace whose `atomic` and
// memory orders are relacy's. So the sources themselves are verified, not a copy of them.
//
// This file must be included before the first header whose code is in ffgrant::internal.
// FFGRANT_WEAK_ACQUIRE and FFGRANT_WEAK_RELEASE take the sources' acquire or release away, to show
// that the tests notice it.

#ifndef FFGRANT_TESTING_MEMORY_ORDERS_RELACY_STD_H_
#define FFGRANT_TESTING_MEMORY_ORDERS_RELACY_STD_H_

// These are the headers that the product's sources include; they must come before relacy's macros.
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <relacy/relacy.hpp>
#undef assert
#undef calloc
#undef delete
#undef errno
#undef free
#undef malloc
#undef new
#undef realloc

namespace ffgrant::internal::std {

using namespace ::std;  // everything that is not declared here

using rl::atomic;
using rl::mo_acq_rel;
using rl::mo_relaxed;
using rl::mo_seq_cst;
#ifdef FFGRANT_WEAK_ACQUIRE
inline constexpr rl::memory_order mo_acquire = rl::mo_relaxed;
#else
using rl::mo_acquire;
#endif
#ifdef FFGRANT_WEAK_RELEASE
inline constexpr rl::memory_order mo_release = rl::mo_relaxed;
#else
using rl::mo_release;
#endif

}  // namespace ffgrant::internal::std

namespace ffgrant::testing {

// Runs a test suite of relacy `runs` times, each time with a schedule and values chosen at random.
// Returns true if no run found a data race, a failed RL_ASSERT, a deadlock or a livelock.
template <class Suite>
bool HoldsInRuns(unsigned runs) {
  ::std::ostream nowhere(nullptr);
  rl::test_params params;
  params.iteration_count = runs;
  params.execution_depth_limit = 100'000;
  params.collect_history = true;  // else a failed run is repeated to collect its history
  params.output_stream = &nowhere;
  params.progress_stream = &nowhere;
  return rl::simulate<Suite>(params);
}

// Returns the exit status of a test. The tests do not use gtest, since relacy replaces operator new
// in the whole program with one that serves only allocations that begin and end within a run.
inline int Verdict(bool holds) {
#if defined(FFGRANT_WEAK_ACQUIRE) || defined(FFGRANT_WEAK_RELEASE)
  ::std::puts(holds ? "FAILED: an order was taken away, and nothing was noticed"
                    : "ok: an order was taken away, and it was noticed");
  return holds ? 1 : 0;
#else
  ::std::puts(holds ? "ok" : "FAILED: the orders do not suffice");
  return holds ? 0 : 1;
#endif
}

}  // namespace ffgrant::testing

#endif  // FFGRANT_TESTING_MEMORY_ORDERS_RELACY_STD_H_
