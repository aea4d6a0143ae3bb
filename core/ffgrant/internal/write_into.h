// SPDX-License-Identifier: Apache-2.0

#ifndef FFGRANT_INTERNAL_WRITE_INTO_H_
#define FFGRANT_INTERNAL_WRITE_INTO_H_

#include <span>
#include <string>

#include "ffgrant/write_result.h"

namespace ffgrant::internal {

// Lets one of core's serializers, `write(span<char>)`, fill `out`. The string grows as far as it
// must and keeps its memory from one text to the next. If the serializer refuses, the result is
// false and `out` is empty.
template <class Write>
bool WriteInto(std::string& out, const Write& write) {
  if (out.size() < 256) out.resize(256);
  for (;;) {
    const WriteResult written = write(std::span<char>(out.data(), out.size()));
    if (written.error == WriteError::kBufferTooSmall) {
      out.resize(written.size);
      continue;
    }
    out.resize(written ? written.size : 0);
    return static_cast<bool>(written);
  }
}

}  // namespace ffgrant::internal

#endif  // FFGRANT_INTERNAL_WRITE_INTO_H_
