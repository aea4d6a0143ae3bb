// SPDX-License-Identifier: Apache-2.0

#ifndef FFGRANT_FUZZ_HARNESS_ALLOCATION_TRAP_H_
#define FFGRANT_FUZZ_HARNESS_ALLOCATION_TRAP_H_

#include <cstddef>
#include <string_view>

#include "harness/failure.h"
#include "testing/naive/allocation_counter.h"

namespace ffgrant::fuzz {

// Returns the result of `call`. An allocation during the call is a finding. `call` should be only
// the call under test: oracles may allocate.
template <class Call>
auto WithoutAllocation(std::string_view input, Call&& call) {
  const std::size_t before = testing::ThreadAllocations();
  auto result = call();
  if (testing::ThreadAllocations() != before) [[unlikely]] {
    Fail("a call that must not allocate allocated", input);
  }
  return result;
}

}  // namespace ffgrant::fuzz

#endif  // FFGRANT_FUZZ_HARNESS_ALLOCATION_TRAP_H_
