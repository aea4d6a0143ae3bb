// SPDX-License-Identifier: Apache-2.0

#include "harness/own_engine.h"

#include <algorithm>
#include <cstddef>
#include <string>

#include "harness/engine.h"
#include "harness/failure.h"
#include "harness/random.h"

namespace ffgrant::fuzz {
namespace {

Random engine_random(0);
bool stretching = false;

}  // namespace

void StartStretching(std::uint64_t seed) {
  engine_random = Random(seed);
  stretching = true;
}

}  // namespace ffgrant::fuzz

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size,
                                        std::size_t max_size) {
  using ffgrant::fuzz::engine_random;
  // libFuzzer asserts that max_size is not 0, and returns too many bytes if size is above max_size.
  if (max_size == 0 || size > max_size) {
    ffgrant::fuzz::Fail("a mutator calls LLVMFuzzerMutate with sizes that no engine takes",
                        std::to_string(size) + " of at most " + std::to_string(max_size));
  }
  if (ffgrant::fuzz::stretching && engine_random.OneIn(4)) {
    std::generate(data + size, data + max_size,
                  [] { return static_cast<std::uint8_t>(engine_random.Next()); });
    return max_size;
  }
  if (size == 0 || (size < max_size && engine_random.OneIn(3))) {
    const std::size_t at = engine_random.Below(size + 1);
    std::copy_backward(data + at, data + size, data + size + 1);
    data[at] = static_cast<std::uint8_t>(engine_random.Next());
    return size + 1;
  }
  const std::size_t at = engine_random.Below(size);
  if (size == 1 || engine_random.OneIn(2)) {
    data[at] = static_cast<std::uint8_t>(engine_random.Next());
    return size;
  }
  std::copy(data + at + 1, data + size, data + at);
  return size - 1;
}
