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
  const std::size_t words =
      NestingWords(scratch.max_document_size_) + TextWords(scratch.max_document_size_);
  scratch.block_.reset(new (std::nothrow) std::uint64_t[words]);
  return scratch.block_ != nullptr;
}

}  // namespace ffgrant
