// SPDX-License-Identifier: Apache-2.0
//
// What a target makes of the reference's answer.

#ifndef FFGRANT_FUZZ_DIFFERENTIAL_VERDICT_H_
#define FFGRANT_FUZZ_DIFFERENTIAL_VERDICT_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "ffgrant/json/json_scratch.h"
#include "harness/failure.h"
#include "harness/observations.h"
#include "testing/reference/differences.h"

namespace ffgrant::fuzz {

// The comparer of this process knows what the reference says to run for itself, and what it
// can't be asked.
inline reference::Comparer& TheComparer() {
  static reference::Comparer comparer;
  return comparer;
}

// How many of each answer there were: verdict.cc reports it.
inline std::uint64_t answer_counts[4] = {};

// A difference is a finding.
inline void Expect(std::string_view input, reference::Answer answer) {
  Observe(static_cast<std::uint64_t>(answer));
  ++answer_counts[static_cast<std::size_t>(answer)];
  if (answer != reference::Answer::kDifferent) [[likely]]
    return;
  const reference::Difference& difference = TheComparer().difference();
  Fail(difference.what, input, difference.reference, difference.ours);
}

// For documents of `size` bytes and more: the other targets have one of each size, to notice what
// is written behind it; one that stays in the cache is faster.
inline JsonScratch& WarmScratch(std::size_t size) {
  static std::unique_ptr<JsonScratch> scratch;
  if (scratch == nullptr || scratch->max_document_size() < size) {
    scratch = std::make_unique<JsonScratch>(std::max<std::size_t>(4096, 2 * size));
  }
  return *scratch;
}

}  // namespace ffgrant::fuzz

#endif  // FFGRANT_FUZZ_DIFFERENTIAL_VERDICT_H_
