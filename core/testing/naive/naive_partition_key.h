// SPDX-License-Identifier: Apache-2.0
//
// Test only: parses partition keys as contract 1.3 and 1.8 say, step by step, without a fast path.
// This parser is the oracle of tests and fuzz targets.

#ifndef FFGRANT_TESTING_NAIVE_NAIVE_PARTITION_KEY_H_
#define FFGRANT_TESTING_NAIVE_NAIVE_PARTITION_KEY_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "ffgrant/parse_mode.h"
#include "ffgrant/partition.h"
#include "ffgrant/partition_key.h"
#include "testing/naive/naive_index.h"

namespace ffgrant::testing {

inline PartitionKeyResult NaiveKeyFailure(PartitionKeyError error, std::size_t offset,
                                          std::string_view payload) {
  PartitionKeyResult result;
  result.error = error;
  result.offset = offset;
  result.payload = payload;
  return result;
}

inline PartitionKeyResult NaiveParsePartitionKey(std::string_view text, ParseMode mode) {
  // Step 1: the closing brace must come after the opening brace.
  if (text.empty() || text[0] != '{') {
    return NaiveKeyFailure(PartitionKeyError::kMissingBraces, 0, "");
  }
  if (text.size() == 1 || text[text.size() - 1] != '}') {
    return NaiveKeyFailure(PartitionKeyError::kMissingBraces, text.size(), "");
  }
  // Step 2.
  const std::size_t closing = text.size() - 1;
  std::size_t colon = 1;
  while (colon < closing && text[colon] != ':') {
    ++colon;
  }
  if (colon == closing) {
    return NaiveKeyFailure(PartitionKeyError::kMalformedBody, closing, "");
  }
  // Step 3.
  const std::string_view family = text.substr(1, colon - 1);
  PartitionKeyResult result;
  if (family == "fp") {
    result.partition.family = PartitionFamily::kFlow;
  } else if (family == "b") {
    result.partition.family = PartitionFamily::kBudget;
  } else if (family == "q") {
    result.partition.family = PartitionFamily::kQuota;
  } else {
    return NaiveKeyFailure(PartitionKeyError::kUnknownFamilyPrefix, 1, family);
  }
  // Step 4.
  const std::size_t begin = colon + 1;
  const std::string_view digits = text.substr(begin, closing - begin);
  const NaiveIndex index = NaiveParseIndex(digits);
  if (!index.valid) {
    return NaiveKeyFailure(PartitionKeyError::kInvalidIndex, begin + index.offset, digits);
  }
  if (mode == ParseMode::kStrict && index.plus_sign) {
    return NaiveKeyFailure(PartitionKeyError::kPlusSign, begin, digits);
  }
  if (mode == ParseMode::kStrict && index.leading_zero) {
    return NaiveKeyFailure(PartitionKeyError::kLeadingZero, begin, digits);
  }
  result.partition.index = index.value;
  return result;
}

// Returns the tag text (contract 1.2).
inline std::string NaivePartitionTag(Partition partition) {
  std::string prefix = "fp";
  if (partition.family == PartitionFamily::kBudget) prefix = "b";
  if (partition.family == PartitionFamily::kQuota) prefix = "q";
  return "{" + prefix + ":" + std::to_string(partition.index) + "}";
}

}  // namespace ffgrant::testing

#endif  // FFGRANT_TESTING_NAIVE_NAIVE_PARTITION_KEY_H_
