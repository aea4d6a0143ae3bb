// SPDX-License-Identifier: Apache-2.0

#ifndef FFGRANT_FUZZ_HARNESS_MINIMISE_PROBE_H_
#define FFGRANT_FUZZ_HARNESS_MINIMISE_PROBE_H_

#include <string_view>

namespace ffgrant::fuzz {

// The text in an input at which a probe (minimise_probe.cc) fails.
inline constexpr std::string_view kNeedle = "NEED";

}  // namespace ffgrant::fuzz

#endif  // FFGRANT_FUZZ_HARNESS_MINIMISE_PROBE_H_
