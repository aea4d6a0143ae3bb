// SPDX-License-Identifier: Apache-2.0
//
// Checks what every writer promises (ffgrant/write_result.h).

#ifndef FFGRANT_FUZZ_HARNESS_WRITE_CHECK_H_
#define FFGRANT_FUZZ_HARNESS_WRITE_CHECK_H_

#include <algorithm>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "ffgrant/write_result.h"
#include "harness/allocation_trap.h"
#include "harness/failure.h"
#include "testing/naive/guarded_buffer.h"

namespace ffgrant::fuzz {

// Calls `write(std::span<char>)` with a buffer of `room` bytes that ends at a page that nobody may
// touch. If `expected` fits, `write` must write exactly `expected`, else nothing. In both cases
// `write` must report the size of `expected`.
template <class Write>
void CheckWriteInto(std::size_t room, std::string_view what, std::string_view input,
                    std::string_view expected, Write& write) {
  constexpr char kUntouched = '\xA5';
  static thread_local std::unique_ptr<testing::GuardedBuffer> buffer;
  static thread_local std::size_t capacity = 0;
  if (buffer == nullptr || capacity < room) {
    capacity = std::max<std::size_t>(4096, 2 * room);
    buffer = std::make_unique<testing::GuardedBuffer>(capacity);
  }
  const std::span<char> out = buffer->LastBytes(room);
  std::fill(out.begin(), out.end(), kUntouched);
  const WriteResult result = WithoutAllocation(input, [&] { return write(out); });
  if (static_cast<bool>(result) != (result.error == WriteError::kNone)) {
    Fail(std::string(what) + ": whether it was written", input);
  }
  const bool fits = room >= expected.size();
  const std::string_view got(out.data(), out.size());
  const std::string_view text = fits ? expected : std::string_view();
  const bool rest_untouched = std::all_of(out.begin() + static_cast<std::ptrdiff_t>(text.size()),
                                          out.end(), [](char c) { return c == kUntouched; });
  if (result.error == (fits ? WriteError::kNone : WriteError::kBufferTooSmall) &&
      result.size == expected.size() && got.substr(0, text.size()) == text && rest_untouched) {
    return;
  }
  Fail(std::string(what) + ", into " + std::to_string(room) + " bytes", input,
       std::string(fits ? "" : "untouched, size of ") + Quoted(expected),
       std::string(ErrorName(result.error)) + ", size " + std::to_string(result.size) + ", " +
           Quoted(got));
}

// Writes into four buffers, or two if `expected` is empty: one of exactly the size that is needed,
// a larger one, one that is a byte too small, and one of a smaller size that `choice` picks.
template <class Write>
void CheckWrite(std::string_view what, std::string_view input, std::string_view expected,
                std::size_t choice, Write write) {
  CheckWriteInto(expected.size(), what, input, expected, write);
  CheckWriteInto(expected.size() + 9, what, input, expected, write);
  if (expected.empty()) return;
  CheckWriteInto(expected.size() - 1, what, input, expected, write);
  CheckWriteInto(choice % expected.size(), what, input, expected, write);
}

}  // namespace ffgrant::fuzz

#endif  // FFGRANT_FUZZ_HARNESS_WRITE_CHECK_H_
