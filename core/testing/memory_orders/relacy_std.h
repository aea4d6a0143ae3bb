// SPDX-License-Identifier: Apache-2.0
//
// Runs sources of the product under relacy, which tries the values that the C++ memory model lets
// each atomic load return. Inside ffgrant::internal, `std` becomes a namespace whose `atomic` and
// memory orders are relacy's, so that the sources themselves are verified and no copy of them.
//
// Included before the first header whose code is in ffgrant::internal. With FFGRANT_WEAK_ACQUIRE or
// FFGRANT_WEAK_RELEASE, the sources' acquire or release is taken away, to show that the tests
// notice it.

#ifndef FFGRANT_TESTING_MEMORY_ORDERS_RELACY_STD_H_
#define FFGRANT_TESTING_MEMORY_ORDERS_RELACY_STD_H_

// Whatever the product's sources include, before relacy's macros.
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

using namespace ::std;  // all that is not declared here

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

// Runs a test suite of relacy so many times, each with another schedule and other values. True if
// none of the runs found a data race, a failed RL_ASSERT, a deadlock or a livelock.
template <class Suite>
bool HoldsInRuns(unsigned runs) {
  ::std::ostream nowhere(nullptr);
  rl::test_params params;
  params.iteration_count = runs;
  params.execution_depth_limit = 100'000;
  params.collect_history = true;  // else a run that fails is run again
  params.output_stream = &nowhere;
  params.progress_stream = &nowhere;
  return rl::simulate<Suite>(params);
}

// The exit status of a test. It is not gtest's: relacy replaces operator new for the whole program,
// with one that serves only what begins and ends within a run.
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
