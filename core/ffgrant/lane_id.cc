// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/lane_id.h"

#include "ffgrant/internal/concat.h"

namespace ffgrant {

LaneIdResult ParseLaneId(std::string_view text) noexcept {
  if (text.empty()) return {.lane = {}, .error = LaneIdError::kEmpty, .offset = 0};
  if (text.size() > kMaxLaneIdSize) {
    return {.lane = {}, .error = LaneIdError::kTooLong, .offset = text.size()};
  }
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] < 0x20 || text[i] > 0x7E) {  // as a char, a byte above 0x7F is negative or large
      return {.lane = {}, .error = LaneIdError::kNotPrintable, .offset = i};
    }
  }
  return {.lane = LaneIdView::Unchecked(text), .error = LaneIdError::kNone, .offset = 0};
}

std::string_view ErrorName(LaneIdError error) noexcept {
  switch (error) {
    case LaneIdError::kNone:
      return "none";
    case LaneIdError::kEmpty:
      return "empty";
    case LaneIdError::kTooLong:
      return "too_long";
    case LaneIdError::kNotPrintable:
      return "not_printable";
  }
  // Any number may be cast to an enumeration.
  return "unknown";
}

WriteResult FormatLaneIdError(const LaneIdResult& result, std::span<char> out) noexcept {
  const internal::Decimal number(result.offset);
  switch (result.error) {
    case LaneIdError::kNone:
      return {};
    case LaneIdError::kEmpty:
      return internal::Concat(out, {"lane_id is empty"});
    case LaneIdError::kTooLong:
      return internal::Concat(out, {"lane_id exceeds 64 bytes (got ", number.view(), ")"});
    case LaneIdError::kNotPrintable:
      return internal::Concat(
          out, {"lane_id contains non-ASCII-printable byte at index ", number.view()});
  }
  // Any number may be cast to an enumeration.
  return {};
}

}  // namespace ffgrant
