// SPDX-License-Identifier: Apache-2.0
//
// Reads a fuzzer's bytes as a stream of choices, for targets whose input is not a text. After the
// last byte, every choice is 0.

#ifndef FFGRANT_FUZZ_HARNESS_CHOICES_H_
#define FFGRANT_FUZZ_HARNESS_CHOICES_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ffgrant::fuzz {

class Choices {
 public:
  explicit Choices(std::string_view bytes) : bytes_(bytes) {}
  Choices(const std::uint8_t* data, std::size_t size)
      : bytes_(reinterpret_cast<const char*>(data), size) {}

  bool empty() const { return bytes_.empty(); }

  // Returns a number below `bound`. `bound` must not be 0. The choice takes as many bytes as the
  // bound needs, so that an edit of one byte changes one choice.
  std::uint32_t Below(std::uint32_t bound) {
    std::uint32_t value = Byte();
    for (std::uint32_t rest = (bound - 1) >> 8; rest != 0; rest >>= 8) {
      value = value << 8 | Byte();
    }
    return value % bound;
  }
  bool OneIn(std::uint32_t n) { return Below(n) == 0; }

  std::uint8_t Byte() {
    if (bytes_.empty()) return 0;
    const auto byte = static_cast<std::uint8_t>(bytes_.front());
    bytes_.remove_prefix(1);
    return byte;
  }
  std::uint64_t Word() {
    std::uint64_t word = 0;
    for (int i = 0; i < 8; ++i) word = word << 8 | Byte();
    return word;
  }
  // Takes up to `size` bytes; fewer if the input ends.
  std::string_view Take(std::size_t size) {
    const std::string_view taken = bytes_.substr(0, std::min(size, bytes_.size()));
    bytes_.remove_prefix(taken.size());
    return taken;
  }

 private:
  std::string_view bytes_;
};

template <class T, std::size_t kSize>
T OneOf(Choices& choices, const T (&values)[kSize]) {
  return values[choices.Below(kSize)];
}

}  // namespace ffgrant::fuzz

#endif  // FFGRANT_FUZZ_HARNESS_CHOICES_H_
