// SPDX-License-Identifier: Apache-2.0
//
// Test only: parses execution ids as contract 1.6 and 1.8 say, step by step, without a fast path.
// This parser is the oracle of tests and fuzz targets.

#ifndef FFGRANT_TESTING_NAIVE_NAIVE_EXECUTION_ID_H_
#define FFGRANT_TESTING_NAIVE_NAIVE_EXECUTION_ID_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "ffgrant/execution_id.h"
#include "ffgrant/parse_mode.h"
#include "ffgrant/uuid.h"
#include "testing/naive/naive_index.h"
#include "testing/naive/naive_uuid.h"

namespace ffgrant::testing {

struct NaiveExecutionId {
  ExecutionIdError error = ExecutionIdError::kNone;
  std::size_t offset = 0;
  std::string_view payload;
  // These fields are set for an accepted id.
  std::uint16_t index = 0;
  Uuid uuid;
  bool canonical = false;
};

inline NaiveExecutionId NaiveIdFailure(ExecutionIdError error, std::size_t offset,
                                       std::string_view payload) {
  NaiveExecutionId id;
  id.error = error;
  id.offset = offset;
  id.payload = payload;
  return id;
}

inline NaiveExecutionId NaiveParseExecutionId(std::string_view text, ParseMode mode) {
  // Step 1.
  constexpr std::string_view kTag = "{fp:";
  for (std::size_t i = 0; i < kTag.size(); ++i) {
    if (i == text.size() || text[i] != kTag[i]) {
      return NaiveIdFailure(ExecutionIdError::kMissingTag, i, text);
    }
  }
  // Step 2.
  std::size_t end = kTag.size();
  while (end + 1 < text.size() && !(text[end] == '}' && text[end + 1] == ':')) {
    ++end;
  }
  if (end + 1 >= text.size()) {
    return NaiveIdFailure(ExecutionIdError::kMissingTag, text.size(), text);
  }
  // Step 3.
  const std::string_view index_text = text.substr(kTag.size(), end - kTag.size());
  const NaiveIndex index = NaiveParseIndex(index_text);
  if (!index.valid) {
    return NaiveIdFailure(ExecutionIdError::kInvalidPartitionIndex, kTag.size() + index.offset,
                          index_text);
  }
  // Step 4.
  const std::size_t uuid_begin = end + 2;
  const std::string_view uuid_text = text.substr(uuid_begin);
  const UuidResult uuid = NaiveParseUuid(uuid_text, ParseMode::kLenient);
  if (!uuid) {
    return NaiveIdFailure(ExecutionIdError::kInvalidUuid, uuid_begin + uuid.offset, uuid_text);
  }
  const UuidResult strict_uuid = NaiveParseUuid(uuid_text, ParseMode::kStrict);
  if (mode == ParseMode::kStrict) {
    if (index.plus_sign) {
      return NaiveIdFailure(ExecutionIdError::kPlusSign, kTag.size(), index_text);
    }
    if (index.leading_zero) {
      return NaiveIdFailure(ExecutionIdError::kLeadingZero, kTag.size(), index_text);
    }
    if (strict_uuid.error == UuidError::kNonCanonicalForm) {
      return NaiveIdFailure(ExecutionIdError::kNonCanonicalUuidForm, uuid_begin, uuid_text);
    }
    if (strict_uuid.error == UuidError::kUppercaseDigit) {
      return NaiveIdFailure(ExecutionIdError::kUppercaseUuid, uuid_begin + strict_uuid.offset,
                            uuid_text);
    }
  }
  NaiveExecutionId id;
  id.index = index.value;
  id.uuid = uuid.uuid;
  id.canonical = text == "{fp:" + std::to_string(index.value) + "}:" + NaiveUuidText(uuid.uuid);
  return id;
}

}  // namespace ffgrant::testing

#endif  // FFGRANT_TESTING_NAIVE_NAIVE_EXECUTION_ID_H_
