// SPDX-License-Identifier: Apache-2.0
//
// Makes copies of an input, in places where reads past the end of a copy are noticed. One copy is
// in an allocation of exactly the input's size, for AddressSanitizer and valgrind; the other ends
// at a page that nobody may touch, for every build.

#ifndef FFGRANT_FUZZ_HARNESS_INPUT_COPIES_H_
#define FFGRANT_FUZZ_HARNESS_INPUT_COPIES_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>

#include "testing/naive/guarded_buffer.h"

namespace ffgrant::fuzz {

class InputCopies {
 public:
  InputCopies(const std::uint8_t* data, std::size_t size)
      : InputCopies({reinterpret_cast<const char*>(data), size}) {}
  explicit InputCopies(std::string_view input)
      : exact_(new char[input.size()]), size_(input.size()) {
    if (!input.empty()) std::memcpy(exact_.get(), input.data(), input.size());
    static thread_local std::unique_ptr<testing::GuardedBuffer> buffer;
    static thread_local std::size_t capacity = 0;
    if (buffer == nullptr || capacity < size_) {
      capacity = size_ < kPage ? kPage : 2 * size_;
      buffer = std::make_unique<testing::GuardedBuffer>(capacity);
    }
    at_page_end_ = buffer->AtEnd(input);
  }

  std::string_view exact() const { return {exact_.get(), size_}; }
  // The copy is valid until the thread makes the next InputCopies.
  std::string_view at_page_end() const { return at_page_end_; }
  // Returns the two copies in an order that depends on the input. shuffled() is for two calls of
  // which each should see another copy: making both calls on both copies would double the target's
  // time.
  std::array<std::string_view, 2> shuffled() const {
    const std::size_t sum =
        size_ + (size_ == 0 ? 0 : static_cast<unsigned char>(exact_[size_ / 2]));
    if (sum % 2 == 0) return {exact(), at_page_end_};
    return {at_page_end_, exact()};
  }

 private:
  static constexpr std::size_t kPage = 4096;

  std::unique_ptr<char[]> exact_;
  std::size_t size_;
  std::string_view at_page_end_;
};

}  // namespace ffgrant::fuzz

#endif  // FFGRANT_FUZZ_HARNESS_INPUT_COPIES_H_
