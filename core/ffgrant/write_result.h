// SPDX-License-Identifier: Apache-2.0
//
// Defines the result of functions whose text may not fit into the caller's buffer.

#ifndef FFGRANT_WRITE_RESULT_H_
#define FFGRANT_WRITE_RESULT_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "ffgrant/config.h"

FFGRANT_API_BEGIN
namespace ffgrant {

enum class WriteError : std::uint8_t {
  kNone,
  kBufferTooSmall,  // `size` says how many bytes the text needs
  kInvalidUtf8,     // a text is not UTF-8, as every text in JSON must be
};

// Returns "none", "buffer_too_small" or "invalid_utf8".
std::string_view ErrorName(WriteError error) noexcept;

// Writers never write past the buffer, never add a NUL and never allocate. A writer that fails
// leaves the buffer untouched. If kInvalidUtf8 and kBufferTooSmall both apply, kInvalidUtf8 is
// reported, with size 0.
struct [[nodiscard]] WriteResult {
  std::size_t size = 0;  // bytes written; bytes needed with kBufferTooSmall
  WriteError error = WriteError::kNone;

  constexpr explicit operator bool() const noexcept { return error == WriteError::kNone; }
  friend constexpr bool operator==(const WriteResult&, const WriteResult&) = default;
};

}  // namespace ffgrant
FFGRANT_API_END

#endif  // FFGRANT_WRITE_RESULT_H_
