// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/write_result.h"

namespace ffgrant {

std::string_view ErrorName(WriteError error) noexcept {
  switch (error) {
    case WriteError::kNone:
      return "none";
    case WriteError::kBufferTooSmall:
      return "buffer_too_small";
    case WriteError::kInvalidUtf8:
      return "invalid_utf8";
  }
  // Any number may be cast to an enumeration.
  return "unknown";
}

}  // namespace ffgrant
