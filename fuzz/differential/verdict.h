// SPDX-License-Identifier: Apache-2.0
//
// Defines what a target does with the reference's answer.

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

// Returns the comparer of this process. The comparer asks the reference by itself, and knows which
// inputs the reference cannot be asked about.
inline reference::Comparer& TheComparer() {
  static reference::Comparer comparer;
  return comparer;
}

// How often each answer was given; verdict.cc reports the numbers.
inline std::uint64_t answer_counts[4] = {};

// Records the answer. A difference is a finding.
inline void Expect(std::string_view input, reference::Answer answer) {
  Observe(static_cast<std::uint64_t>(answer));
  ++answer_counts[static_cast<std::size_t>(answer)];
  if (answer != reference::Answer::kDifferent) [[likely]]
    return;
  const reference::Difference& difference = TheComparer().difference();
  Fail(difference.what, input, difference.reference, difference.ours);
}

// Returns a scratch for documents of `size` bytes. The scratch may have room for larger documents.
// The other targets use a scratch of exactly the document's size, to notice writes past it; here
// one scratch that stays in the cache is faster.
inline JsonScratch& WarmScratch(std::size_t size) {
  static std::unique_ptr<JsonScratch> scratch;
  if (scratch == nullptr || scratch->max_document_size() < size) {
    scratch = std::make_unique<JsonScratch>(std::max<std::size_t>(4096, 2 * size));
  }
  return *scratch;
}

}  // namespace ffgrant::fuzz

#endif  // FFGRANT_FUZZ_DIFFERENTIAL_VERDICT_H_
