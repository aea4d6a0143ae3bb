// SPDX-License-Identifier: Apache-2.0

#ifndef FFGRANT_FUZZ_HARNESS_MINIMISE_PROBE_H_
#define FFGRANT_FUZZ_HARNESS_MINIMISE_PROBE_H_

#include <string_view>

namespace ffgrant::fuzz {

// What an input holds that a probe (minimise_probe.cc) fails on.
inline constexpr std::string_view kNeedle = "NEED";

}  // namespace ffgrant::fuzz

#endif  // FFGRANT_FUZZ_HARNESS_MINIMISE_PROBE_H_
