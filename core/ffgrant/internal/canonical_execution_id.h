// SPDX-License-Identifier: Apache-2.0

#ifndef FFGRANT_INTERNAL_CANONICAL_EXECUTION_ID_H_
#define FFGRANT_INTERNAL_CANONICAL_EXECUTION_ID_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "ffgrant/internal/index_text.h"
#include "ffgrant/internal/load.h"
#include "ffgrant/internal/paths.h"
#include "ffgrant/internal/uuid_hex.h"
#include "ffgrant/uuid.h"

namespace ffgrant::internal {

inline constexpr std::size_t kExecutionTagBeginSize = 4;  // `{fp:`
// The size of all that is around the index: `{fp:`, `}:` and the uuid.
inline constexpr std::size_t kAroundExecutionIndex = kExecutionTagBeginSize + 2 + kUuidTextSize;

// Returns true for the sizes of canonical ids, whose indexes have 1 to 5 digits.
inline bool HasCanonicalIdSize(std::string_view text) noexcept {
  return text.size() - kAroundExecutionIndex - 1 < 5;
}

// Returns true if the four bytes at `p` are `{fp:`.
inline bool HasIdBegin(const char* p) noexcept { return Load32(p) == Word32('{', 'f', 'p', ':'); }

// Returns true if `text` is canonical; if it is not, `index` and `uuid` are unspecified. The number
// of digits follows from the size, so nothing has to be searched for.
inline bool ParseCanonicalExecutionId(std::string_view text, std::uint16_t& index,
                                      Uuid& uuid) noexcept {
  if (!HasCanonicalIdSize(text)) return false;
  const std::size_t digits = text.size() - kAroundExecutionIndex;
  TakePath(Path::kCanonicalId, text.size());
  const char* const p = text.data();
  const std::uint64_t after_tag = Load64(p + kExecutionTagBeginSize);
  const bool index_ok = ParseCanonicalIndex(after_tag, static_cast<unsigned>(digits), index);
  const bool uuid_ok = ParseCanonicalUuid(p + text.size() - kUuidTextSize, uuid);
  const bool begin_ok = HasIdBegin(p);
  const bool end_ok = (after_tag >> (8 * digits) & 0xFFFF) == Word32('}', ':', '\0', '\0');
  return index_ok & uuid_ok & begin_ok & end_ok;
}

}  // namespace ffgrant::internal

#endif  // FFGRANT_INTERNAL_CANONICAL_EXECUTION_ID_H_
