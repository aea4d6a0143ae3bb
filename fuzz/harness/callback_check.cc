// SPDX-License-Identifier: Apache-2.0

#include "harness/callback_check.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "harness/engine.h"
#include "harness/failure.h"
#include "harness/own_engine.h"
#include "harness/random.h"
#include "testing/naive/guarded_buffer.h"

namespace ffgrant::fuzz {
namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr std::size_t kMostBytes = 4200;  // above every target's max_len
constexpr std::size_t kSmall = 96;        // all sizes up to this one are tried
constexpr std::size_t kFence = 64;        // bytes before a buffer that are checked
constexpr std::uint8_t kFenceByte = 0xFE;

// A buffer of exactly the size that is passed to the callback.
class Exact {
 public:
  // The buffer ends at the end of a page or of an allocation.
  explicit Exact(bool at_page_end) {
    if (at_page_end) pages_ = std::make_unique<testing::GuardedBuffer>(kMostBytes + kFence);
  }

  // Makes `capacity` bytes: a copy of `content`, then `filler`. If capacity is 0, no byte may be
  // touched.
  void Hold(std::span<const std::uint8_t> content, std::size_t capacity, std::uint8_t filler) {
    size_ = capacity;
    if (pages_ != nullptr) {
      const std::span<char> room = pages_->LastBytes(kFence + capacity);
      data_ = reinterpret_cast<std::uint8_t*>(room.data()) + kFence;
      std::fill(data_ - kFence, data_, kFenceByte);
    } else {
      allocated_.reset(capacity == 0 ? nullptr : new std::uint8_t[capacity]);
      data_ = allocated_.get();
    }
    std::copy(content.begin(), content.end(), data_);
    std::fill(data_ + content.size(), data_ + capacity, filler);
  }
  std::uint8_t* data() const { return data_; }
  std::span<const std::uint8_t> bytes() const { return {data_, size_}; }
  bool FenceStands() const {
    return pages_ == nullptr ||
           std::all_of(data_ - kFence, data_, [](std::uint8_t byte) { return byte == kFenceByte; });
  }

 private:
  std::unique_ptr<testing::GuardedBuffer> pages_;
  std::unique_ptr<std::uint8_t[]> allocated_;
  std::uint8_t* data_ = nullptr;
  std::size_t size_ = 0;
};

std::string_view Text(std::span<const std::uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

[[noreturn]] void Broken(std::string_view rule, std::span<const std::uint8_t> input,
                         std::size_t max_size, unsigned int seed, std::string_view got) {
  std::string call = std::to_string(input.size()) + " bytes, room for " + std::to_string(max_size) +
                     ", seed " + std::to_string(seed);
  if (!got.empty()) call.append(": ").append(got);
  Fail(rule, Text(input), {}, call);
}

// The buffers of one call, all at the end of a page or all at the end of an allocation.
struct Place {
  explicit Place(bool at_page_end) : first(at_page_end), second(at_page_end), out(at_page_end) {}
  Exact first, second, out;
};

class Check {
 public:
  Check() {
    // Generates inputs that make sense to the target, of many sizes.
    Bytes buffer(kMostBytes);
    std::size_t size = 0;
    for (unsigned int seed = 1; seed <= 64; ++seed) {
      if (seed % 4 == 1) size = 0;
      size = LLVMFuzzerCustomMutator(buffer.data(), size, kMostBytes, seed);
      if (size > kMostBytes) Broken("a mutator returns more than fits", {}, kMostBytes, seed, "");
      made_.emplace_back(buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(size));
    }
  }

  std::size_t calls() const { return calls_; }

  // Returns an input of this size: one that the mutator made, cut or repeated to fit, or any bytes.
  Bytes Content(std::size_t size) {
    Bytes content(size);
    const Bytes& made = made_[random_.Below(made_.size())];
    const bool any = made.empty() || random_.OneIn(4);
    for (std::size_t i = 0; i < size; ++i) {
      content[i] = any ? static_cast<std::uint8_t>(random_.Next()) : made[i % made.size()];
    }
    return content;
  }

  Bytes Mutate(const Bytes& input, std::size_t max_size, unsigned int seed) {
    Bytes result;
    for (Place& place : places_) {
      StartStretching(seed);
      const bool again = &place != places_;
      place.first.Hold(input, std::max(input.size(), max_size), again ? 0xA5 : 0x31);
      const std::size_t size =
          LLVMFuzzerCustomMutator(place.first.data(), input.size(), max_size, seed);
      ++calls_;
      if (size > max_size) {
        Broken("a mutator returns more than fits", input, max_size, seed, std::to_string(size));
      }
      if (size == 0 && max_size > 0) Broken("a mutator gives up", input, max_size, seed, "");
      if (input.size() > max_size &&
          !std::equal(input.begin() + static_cast<std::ptrdiff_t>(max_size), input.end(),
                      place.first.data() + max_size)) {
        Broken("a mutator writes behind what it may fill", input, max_size, seed, "");
      }
      if (!place.first.FenceStands()) {
        Broken("a mutator writes before its buffer", input, max_size, seed, "");
      }
      Compare("mutator", place.first.bytes().first(size), again, result, input, max_size, seed);
    }
    return result;
  }

  void CrossOver(const Bytes& a, const Bytes& b, std::size_t max_size, unsigned int seed) {
    Bytes result;
    for (Place& place : places_) {
      StartStretching(seed);
      const bool again = &place != places_;
      place.first.Hold(a, a.size(), 0);
      place.second.Hold(b, b.size(), 0);
      place.out.Hold({}, max_size, again ? 0xA5 : 0x31);
      const std::size_t size =
          LLVMFuzzerCustomCrossOver(place.first.data(), a.size(), place.second.data(), b.size(),
                                    place.out.data(), max_size, seed);
      ++calls_;
      if (size > max_size) {
        Broken("a crossover returns more than fits", a, max_size, seed, std::to_string(size));
      }
      if (size == 0 && max_size > 0 && a.size() + b.size() > 0) {
        Broken("a crossover gives up", a, max_size, seed, Quoted(Text(b)));
      }
      if (!std::ranges::equal(place.first.bytes(), a) ||
          !std::ranges::equal(place.second.bytes(), b)) {
        Broken("a crossover changes its input", a, max_size, seed, Quoted(Text(b)));
      }
      if (!place.first.FenceStands() || !place.second.FenceStands() || !place.out.FenceStands()) {
        Broken("a crossover writes before a buffer", a, max_size, seed, Quoted(Text(b)));
      }
      Compare("crossover", place.out.bytes().first(size), again, result, a, max_size, seed);
    }
  }

  // Minimises as libFuzzer does. An input counts as a crash if it has the first byte and the last
  // two bytes of `whole`; each shorter crash that is found is then made shorter. Mutators that take
  // parts out need 10 to 120 calls for this; others need many more.
  void Minimise(const Bytes& whole, unsigned int seed) {
    constexpr unsigned int kAttempts = 240;
    constexpr std::size_t kEnd = 2;
    constexpr std::size_t kSmallEnough = 8;
    Bytes input = whole;
    for (unsigned int i = 0; i < kAttempts && input.size() > kEnd + 1; ++i) {
      const Bytes shorter = Mutate(input, input.size() - 1, seed + i);
      if (shorter.size() > kEnd && shorter.front() == input.front() &&
          std::equal(shorter.end() - kEnd, shorter.end(), input.end() - kEnd)) {
        input = shorter;
      }
    }
    if (input.size() > kSmallEnough) {
      Broken("a mutator does not minimise", whole, kSmallEnough, seed,
             std::to_string(input.size()) + " bytes left");
    }
  }

  Random& random() { return random_; }
  const std::vector<Bytes>& made() const { return made_; }

 private:
  void Compare(std::string_view what, std::span<const std::uint8_t> got, bool again, Bytes& result,
               const Bytes& input, std::size_t max_size, unsigned int seed) {
    if (!again) {
      result.assign(got.begin(), got.end());
    } else if (!std::ranges::equal(got, result)) {
      Broken("a " + std::string(what) + " depends on more than its input and its seed", input,
             max_size, seed, Quoted(Text(result)) + " and " + Quoted(Text(got)));
    }
  }

  Random random_{1};
  std::vector<Bytes> made_;
  Place places_[2] = {Place(false), Place(true)};
  std::size_t calls_ = 0;
};

void CheckSizes(Check& check, std::size_t size, std::size_t max_size, unsigned int seeds) {
  for (unsigned int seed = 0; seed < seeds; ++seed) {
    const auto number = static_cast<unsigned int>(check.random().Next());
    check.Mutate(check.Content(size), max_size, number);
    // The second input of a crossover is short, as long as the first one, or long.
    const std::size_t other = seed % 3 == 0   ? check.random().Below(kSmall)
                              : seed % 3 == 1 ? size
                                              : check.random().Below(2 * kSmall + size);
    check.CrossOver(check.Content(size), check.Content(std::min(other, kMostBytes)), max_size,
                    number);
  }
}

}  // namespace

std::size_t CheckCallbacks() {
  Check check;
  for (std::size_t size = 0; size <= kSmall; ++size) {
    for (std::size_t max_size = 0; max_size <= kSmall; ++max_size) {
      const bool near = size + 2 >= max_size && max_size + 2 >= size;
      CheckSizes(check, size, max_size, near ? 32 : 2);
    }
  }
  // Each of these sizes is some target's max_len, or lies near or between such sizes.
  for (std::size_t size : {96, 128, 256, 257, 320, 386, 512, 1024, 1025, 2048, 4096}) {
    for (std::size_t max_size : {size - 2, size - 1, size, size + 1, size + 2, 2 * size / 3}) {
      CheckSizes(check, size, max_size, 4);
    }
  }
  for (int i = 0; i < 2000; ++i) {
    CheckSizes(check, check.random().Below(1200), check.random().Below(1200), 1);
  }
  std::size_t minimised = 0;
  for (const Bytes& made : check.made()) {
    if (made.size() < 16 || made.size() > 400 || minimised == 8) continue;
    check.Minimise(made, static_cast<unsigned int>(++minimised * 100000));
  }
  if (minimised == 0) Fail("a mutator makes no input of 16 to 400 bytes", {});
  return check.calls();
}

}  // namespace ffgrant::fuzz
