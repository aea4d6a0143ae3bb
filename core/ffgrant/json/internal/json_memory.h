// SPDX-License-Identifier: Apache-2.0

#ifndef FFGRANT_JSON_INTERNAL_JSON_MEMORY_H_
#define FFGRANT_JSON_INTERNAL_JSON_MEMORY_H_

#include <cstddef>
#include <cstdint>

#include "ffgrant/internal/packed_string.h"
#include "ffgrant/internal/poison.h"
#include "ffgrant/json/json_scratch.h"

namespace ffgrant::internal {

// The memory that the reader works in, sized for the largest document that the scratch takes.
struct JsonMemory {
  // The reader copies in blocks, so it may write this many bytes past the end of a text.
  static constexpr std::size_t kSlack = 32;

  char* text = nullptr;              // unescaped strings and packed lists
  std::uint64_t* nesting = nullptr;  // one bit for each open bracket: 1 for `{`

  // Returns the memory of a scratch, and allocates it at first use. The pointers are null if the
  // allocation fails.
  static JsonMemory Of(JsonScratch& scratch) noexcept {
    if (scratch.block_ == nullptr && !Allocate(scratch)) [[unlikely]]
      return {};
    std::uint64_t* const block = scratch.block_.get();
    const std::size_t words = NestingWords(scratch.max_document_size()) + kGapWords;
    return {reinterpret_cast<char*>(block + words), block};
  }

  // Returns true if the scratch has its memory already.
  static bool IsThere(const JsonScratch& scratch) noexcept { return scratch.block_ != nullptr; }

 private:
  // The gap between the nesting and the text; see poison.h.
  static constexpr std::size_t kGapWords = kGapBytes / sizeof(std::uint64_t);

  // A document can't open more brackets than it has bytes.
  static constexpr std::size_t NestingWords(std::size_t document_size) noexcept {
    return document_size / 64 + 1;
  }
  static constexpr std::size_t TextWords(std::size_t document_size) noexcept {
    return (PackedCapacity(document_size) + kSlack) / 8 + 1;
  }
  static bool Allocate(JsonScratch& scratch) noexcept;
};

}  // namespace ffgrant::internal

#endif  // FFGRANT_JSON_INTERNAL_JSON_MEMORY_H_
