// SPDX-License-Identifier: Apache-2.0
//
// Test only: checks what every writer promises about its buffer and its result (write_result.h).

#ifndef FFGRANT_TESTING_NAIVE_WRITE_CHECKS_H_
#define FFGRANT_TESTING_NAIVE_WRITE_CHECKS_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "ffgrant/write_result.h"

namespace ffgrant::testing {

// `write(std::span<char>)` must write exactly `expected` into any buffer that can hold it. Into a
// smaller buffer it must write nothing, and it must report the size needed.
template <class Write>
::testing::AssertionResult Writes(std::string_view expected, Write write) {
  constexpr char kUntouched = '\xA5';
  constexpr std::size_t kSpare = 9;
  for (std::size_t size = 0; size <= expected.size() + kSpare; ++size) {
    // The allocation has exactly this size, so that AddressSanitizer sees a write past its end.
    const std::unique_ptr<char[]> buffer(new char[size]);
    std::fill_n(buffer.get(), size, kUntouched);
    const WriteResult result = write(std::span<char>(buffer.get(), size));
    const bool fits = size >= expected.size();
    const WriteError error = fits ? WriteError::kNone : WriteError::kBufferTooSmall;
    const std::string want =
        fits ? std::string(expected) + std::string(size - expected.size(), kUntouched)
             : std::string(size, kUntouched);
    const std::string got(buffer.get(), size);
    if (result.error != error || result.size != expected.size() || got != want) {
      return ::testing::AssertionFailure()
             << "buffer of " << size << " bytes: " << ErrorName(result.error) << ", size "
             << result.size << ", holds " << ::testing::PrintToString(got) << ", expected size "
             << expected.size() << " and " << ::testing::PrintToString(want);
    }
  }
  return ::testing::AssertionSuccess();
}

}  // namespace ffgrant::testing

#endif  // FFGRANT_TESTING_NAIVE_WRITE_CHECKS_H_
