// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/partition_key.h"

#include "ffgrant/internal/concat.h"
#include "ffgrant/internal/index_text.h"

namespace ffgrant {
namespace {

using internal::IndexSpelling;

PartitionKeyResult Fail(PartitionKeyError error, std::size_t offset,
                        std::string_view payload = {}) noexcept {
  return {.partition = {}, .error = error, .offset = offset, .payload = payload};
}

bool ParseFamily(std::string_view prefix, PartitionFamily& family) noexcept {
  if (prefix == "fp") {
    family = PartitionFamily::kFlow;
  } else if (prefix == "b") {
    family = PartitionFamily::kBudget;
  } else if (prefix == "q") {
    family = PartitionFamily::kQuota;
  } else {
    return false;
  }
  return true;
}

}  // namespace

// The rules one by one, in the order in which they win.
PartitionKeyResult internal::ParseAnyPartitionKey(std::string_view text, ParseMode mode) noexcept {
  if (text.empty() || text.front() != '{') return Fail(PartitionKeyError::kMissingBraces, 0);
  // The closing brace is looked for behind the opening one: "{" has none.
  if (text.size() < 2 || text.back() != '}') {
    return Fail(PartitionKeyError::kMissingBraces, text.size());
  }
  const std::string_view body = text.substr(1, text.size() - 2);
  const std::size_t colon = body.find(':');
  if (colon == std::string_view::npos) {
    return Fail(PartitionKeyError::kMalformedBody, text.size() - 1);
  }
  Partition partition;
  const std::string_view prefix = body.substr(0, colon);
  if (!ParseFamily(prefix, partition.family)) {
    return Fail(PartitionKeyError::kUnknownFamilyPrefix, 1, prefix);
  }
  const std::string_view index_text = body.substr(colon + 1);
  const std::size_t index_begin = colon + 2;
  const internal::IndexText index = internal::ParseIndexText(index_text);
  if (index.spelling == IndexSpelling::kInvalid) {
    return Fail(PartitionKeyError::kInvalidIndex, index_begin + index.offset, index_text);
  }
  if (mode == ParseMode::kStrict && index.spelling == IndexSpelling::kPlusSign) {
    return Fail(PartitionKeyError::kPlusSign, index_begin, index_text);
  }
  if (mode == ParseMode::kStrict && index.spelling == IndexSpelling::kLeadingZero) {
    return Fail(PartitionKeyError::kLeadingZero, index_begin, index_text);
  }
  partition.index = index.value;
  return {.partition = partition, .error = PartitionKeyError::kNone, .offset = 0, .payload = {}};
}

std::string_view ErrorName(PartitionKeyError error) noexcept {
  switch (error) {
    case PartitionKeyError::kNone:
      return "none";
    case PartitionKeyError::kMissingBraces:
      return "missing_braces";
    case PartitionKeyError::kMalformedBody:
      return "malformed_body";
    case PartitionKeyError::kUnknownFamilyPrefix:
      return "unknown_family_prefix";
    case PartitionKeyError::kInvalidIndex:
      return "invalid_index";
    case PartitionKeyError::kPlusSign:
      return "plus_sign";
    case PartitionKeyError::kLeadingZero:
      return "leading_zero";
  }
  // Never reached: every enumerator has a case.
  return "unknown";
}

WriteResult FormatPartitionKeyError(const PartitionKeyResult& result,
                                    std::span<char> out) noexcept {
  switch (result.error) {
    case PartitionKeyError::kNone:
      return {};
    case PartitionKeyError::kMissingBraces:
      return internal::Concat(out, {"partition key must be wrapped in '{...}'"});
    case PartitionKeyError::kMalformedBody:
      return internal::Concat(out, {"partition key body must be '<prefix>:<index>'"});
    case PartitionKeyError::kUnknownFamilyPrefix:
      return internal::Concat(out, {"unknown partition family prefix '", result.payload,
                                    "' (expected 'fp', 'b', 'q')"});
    case PartitionKeyError::kInvalidIndex:
      return internal::Concat(out, {"partition index '", result.payload, "' is not a valid u16"});
    case PartitionKeyError::kPlusSign:
      return internal::Concat(out,
                              {"partition index '", result.payload, "' begins with a plus sign"});
    case PartitionKeyError::kLeadingZero:
      return internal::Concat(out, {"partition index '", result.payload, "' has leading zeros"});
  }
  // Never reached: every enumerator has a case.
  return {};
}

}  // namespace ffgrant
