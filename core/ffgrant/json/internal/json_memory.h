// SPDX-License-Identifier: Apache-2.0

#ifndef FFGRANT_JSON_INTERNAL_JSON_MEMORY_H_
#define FFGRANT_JSON_INTERNAL_JSON_MEMORY_H_

#include <cstdint>

#include "ffgrant/json/json_scratch.h"

namespace ffgrant::internal {

// What the sequential reader works in, sized for the largest document.
struct JsonMemory {
  char* text = nullptr;              // unescaped strings and packed lists
  std::uint64_t* nesting = nullptr;  // one bit an open bracket: 1 for `{`
};

const JsonMemory& MemoryOf(JsonScratch& scratch) noexcept;

}  // namespace ffgrant::internal

#endif  // FFGRANT_JSON_INTERNAL_JSON_MEMORY_H_
