// SPDX-License-Identifier: Apache-2.0

#ifndef FFGRANT_JSON_INTERNAL_JSON_SCRATCH_STATE_H_
#define FFGRANT_JSON_INTERNAL_JSON_SCRATCH_STATE_H_

#include <simdjson.h>

#include <cstddef>
#include <cstdint>
#include <memory>

#include "ffgrant/json/internal/json_memory.h"
#include "ffgrant/json/json_scratch.h"

namespace ffgrant {

struct JsonScratch::State {
  explicit State(std::size_t max_document_size);

  std::size_t max_size;
  // Nesting bits, then text, then the padded copy that simdjson reads.
  std::unique_ptr<std::uint64_t[]> block;
  internal::JsonMemory memory;
  char* padded = nullptr;
  // Has no capacity if the documents may be larger than simdjson can take.
  simdjson::dom::parser parser;
};

}  // namespace ffgrant

#endif  // FFGRANT_JSON_INTERNAL_JSON_SCRATCH_STATE_H_
