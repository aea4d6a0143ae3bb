// SPDX-License-Identifier: Apache-2.0

#include "differential/verdict.h"

#include <cstdio>

#include "harness/engine.h"

// There are more answers than inputs, since an input is compared in several ways.
extern "C" void FfgrantFuzzReport(void) {
  const auto count = [](ffgrant::reference::Answer answer) {
    return static_cast<unsigned long long>(
        ffgrant::fuzz::answer_counts[static_cast<std::size_t>(answer)]);
  };
  using ffgrant::reference::Answer;
  std::printf("the reference: %llu times the same, %llu known to differ, %llu not asked\n",
              count(Answer::kSame), count(Answer::kKnown), count(Answer::kNotAsked));
}
