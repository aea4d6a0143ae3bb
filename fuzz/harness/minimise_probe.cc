// SPDX-License-Identifier: Apache-2.0
//
// Replaces a target's oracle, so that the target has a crash that can be minimised. The probe is
// linked with --wrap=LLVMFuzzerTestOneInput, so it gets the engine's calls. The probe fails if the
// input contains kNeedle. The target's mutator stays as it is.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "harness/failure.h"
#include "harness/minimise_probe.h"

extern "C" int __wrap_LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  if (input.find(ffgrant::fuzz::kNeedle) != std::string_view::npos) {
    ffgrant::fuzz::Fail("the input holds what is looked for", input);
  }
  return 0;
}
