// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/partition_key.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "ffgrant/internal/concat.h"
#include "ffgrant/internal/decimal_digits.h"
#include "ffgrant/internal/index_text.h"
#include "ffgrant/internal/load.h"
#include "ffgrant/internal/paths.h"

namespace ffgrant {
namespace {

using internal::IndexSpelling;

PartitionKeyResult Fail(PartitionKeyError error, std::size_t offset,
                        std::string_view payload = {}) noexcept {
  return {.partition = {}, .error = error, .offset = offset, .payload = payload};
}

// Returns where the index begins after a known family; 0 if the family is unknown.
std::size_t IndexBegin(std::string_view text, PartitionFamily& family) noexcept {
  const char* const p = text.data();
  if (text.size() > 4 && internal::Load32(p) == internal::Word32('{', 'f', 'p', ':')) {
    family = PartitionFamily::kFlow;
    return 4;
  }
  if (text.size() > 3 && p[2] == ':' && (p[1] == 'b' || p[1] == 'q')) {
    family = p[1] == 'b' ? PartitionFamily::kBudget : PartitionFamily::kQuota;
    return 3;
  }
  return 0;
}

// Reads an index of up to eight digits, all of them at once. Returns false for any other text and
// for numbers above 65535. At least eight bytes before `end` can be read.
bool ReadDigits(const char* begin, const char* end, std::uint32_t& value) noexcept {
  const auto digits = static_cast<std::size_t>(end - begin);
  if (digits - 1 >= 8) return false;
  internal::TakePath(internal::Path::kKeyDigits, digits);
  bool ok = true;
  value = static_cast<std::uint32_t>(
      internal::ParseUpTo8Digits(internal::Load64(end - 8), static_cast<unsigned>(digits), ok));
  return ok && value <= 65535;
}

}  // namespace

// Checks the rules one by one, in the order in which they win.
PartitionKeyResult internal::ParseAnyPartitionKey(std::string_view text, ParseMode mode) noexcept {
  TakePath(Path::kAnyKey, text.size());
  if (text.empty() || text.front() != '{') return Fail(PartitionKeyError::kMissingBraces, 0);
  // The closing brace must come after the opening one: "{" has no closing brace.
  if (text.size() < 2 || text.back() != '}') {
    return Fail(PartitionKeyError::kMissingBraces, text.size());
  }
  Partition partition;
  const std::size_t index_begin = IndexBegin(text, partition.family);
  if (index_begin == 0) {
    const std::size_t colon = text.find(':');
    if (colon == std::string_view::npos) {
      return Fail(PartitionKeyError::kMalformedBody, text.size() - 1);
    }
    return Fail(PartitionKeyError::kUnknownFamilyPrefix, 1, text.substr(1, colon - 1));
  }
  const std::string_view index_text = text.substr(index_begin, text.size() - 1 - index_begin);
  const char* const end = text.data() + text.size() - 1;
  const char* const begin = text.data() + index_begin;
  const bool plus = *begin == '+';
  const char* const digits = begin + (plus ? 1 : 0);
  IndexSpelling spelling = plus                                 ? IndexSpelling::kPlusSign
                           : *digits == '0' && end - digits > 1 ? IndexSpelling::kLeadingZero
                                                                : IndexSpelling::kCanonical;
  std::uint32_t value = 0;
  if (text.size() < 9 || !ReadDigits(digits, end, value)) {
    const internal::IndexText index = internal::ParseIndexText(index_text);
    if (index.spelling == IndexSpelling::kInvalid) {
      return Fail(PartitionKeyError::kInvalidIndex, index_begin + index.offset, index_text);
    }
    value = index.value;
    spelling = index.spelling;
  }
  if (mode == ParseMode::kStrict && spelling != IndexSpelling::kCanonical) {
    return Fail(spelling == IndexSpelling::kPlusSign ? PartitionKeyError::kPlusSign
                                                     : PartitionKeyError::kLeadingZero,
                index_begin, index_text);
  }
  partition.index = static_cast<std::uint16_t>(value);
  return {.partition = partition, .error = PartitionKeyError::kNone, .offset = 0, .payload = {}};
}

PartitionKeysResult ParsePartitionKeys(std::span<const std::string_view> texts, ParseMode mode,
                                       std::span<Partition> out) noexcept {
  const std::size_t count = std::min(texts.size(), out.size());
  for (std::size_t i = 0; i < count; ++i) {
    Partition partition;
    if (!internal::ParseCanonicalPartitionKey(texts[i], partition)) [[unlikely]] {
      const PartitionKeyResult result = internal::ParseAnyPartitionKey(texts[i], mode);
      if (!result) return {i, result};
      partition = result.partition;
    }
    out[i] = partition;
  }
  return {count, {}};
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
  // Any number may be cast to an enumeration.
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
  // Any number may be cast to an enumeration.
  return {};
}

}  // namespace ffgrant
