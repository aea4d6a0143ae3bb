// SPDX-License-Identifier: Apache-2.0

#ifndef FFGRANT_FUZZ_HARNESS_ALLOCATION_TRAP_H_
#define FFGRANT_FUZZ_HARNESS_ALLOCATION_TRAP_H_

#include <cstddef>
#include <string_view>

#include "harness/failure.h"
#include "testing/naive/allocation_counter.h"

namespace ffgrant::fuzz {

// Returns what `call` does; an allocation on the way is a finding. Around the
// call under test alone: oracles may allocate.
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
