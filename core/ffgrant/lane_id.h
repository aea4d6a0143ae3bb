// SPDX-License-Identifier: Apache-2.0
//
// Lane names (contract 1.7) have 1 to 64 bytes, each in 0x20..0x7E. Spaces, colons and braces are
// allowed anywhere.

#ifndef FFGRANT_LANE_ID_H_
#define FFGRANT_LANE_ID_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "ffgrant/config.h"
#include "ffgrant/write_result.h"

FFGRANT_API_BEGIN
namespace ffgrant {

inline constexpr std::size_t kMaxLaneIdSize = 64;

// The checks run in this order, and the first that fails is reported.
enum class LaneIdError : std::uint8_t { kNone, kEmpty, kTooLong, kNotPrintable };

// Returns "empty", "too_long" or "not_printable"; "none" for kNone.
std::string_view ErrorName(LaneIdError error) noexcept;

// A lane name that somebody else keeps alive. Unchecked() does not check the name, as one of the
// reference's constructors does not. An unchecked name can therefore reach any function, so each
// function that relies on the rules for names checks the name itself.
class LaneIdView {
 public:
  constexpr LaneIdView() = default;
  static constexpr LaneIdView Unchecked(std::string_view text) noexcept { return LaneIdView(text); }
  constexpr std::string_view text() const noexcept { return text_; }
  friend constexpr bool operator==(const LaneIdView&, const LaneIdView&) = default;

 private:
  constexpr explicit LaneIdView(std::string_view text) noexcept : text_(text) {}
  std::string_view text_;
};

struct [[nodiscard]] LaneIdResult {
  LaneIdView lane;
  LaneIdError error = LaneIdError::kNone;
  // The text's size for kTooLong, the offset of the first bad byte for kNotPrintable, else 0.
  std::size_t offset = 0;

  constexpr explicit operator bool() const noexcept { return error == LaneIdError::kNone; }
  friend constexpr bool operator==(const LaneIdResult&, const LaneIdResult&) = default;
};

// Checks `text`, which may be any bytes of any length. Allocates nothing. The result points into
// `text`.
LaneIdResult ParseLaneId(std::string_view text) noexcept;

// Writes the reference's message: `lane_id is empty`, `lane_id exceeds 64 bytes (got N)` or
// `lane_id contains non-ASCII-printable byte at index I`.
WriteResult FormatLaneIdError(const LaneIdResult& result, std::span<char> out) noexcept;

}  // namespace ffgrant
FFGRANT_API_END

template <>
struct std::hash<ffgrant::LaneIdView> {
  std::size_t operator()(const ffgrant::LaneIdView& lane) const noexcept {
    return std::hash<std::string_view>()(lane.text());
  }
};

#endif  // FFGRANT_LANE_ID_H_
