// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/json/json_scratch.h"

#include <limits>
#include <new>

#include "ffgrant/internal/throw.h"
#include "ffgrant/json/internal/json_memory.h"

namespace ffgrant {

JsonScratch::JsonScratch(std::size_t max_document_size) : max_document_size_(max_document_size) {
  if (max_document_size > std::numeric_limits<std::ptrdiff_t>::max() / 2)
    internal::Throw<std::bad_alloc>();
}

void JsonScratch::Reserve() {
  if (internal::JsonMemory::Of(*this).text == nullptr) internal::Throw<std::bad_alloc>();
}

[[gnu::noinline]] bool internal::JsonMemory::Allocate(JsonScratch& scratch) noexcept {
  const std::size_t nesting = NestingWords(scratch.max_document_size_);
  const std::size_t words = nesting + kGapWords + TextWords(scratch.max_document_size_);
  scratch.block_.reset(new (std::nothrow) std::uint64_t[words]);
  if (scratch.block_ == nullptr) return false;
  Poison(scratch.block_.get() + nesting, kGapBytes);
  return true;
}

}  // namespace ffgrant
