// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/json/json_scratch.h"

#include <cstddef>
#include <cstdint>
#include <new>

#include "ffgrant/internal/packed_string.h"
#include "ffgrant/json/internal/json_memory.h"
#include "ffgrant/json/internal/json_scratch_state.h"

namespace ffgrant {
namespace {

constexpr std::size_t kBitsPerWord = 64;
constexpr std::size_t kBytesPerWord = 8;

}  // namespace

JsonScratch::State::State(std::size_t max_document_size) : max_size(max_document_size) {
  // A document can't open more brackets than it has bytes.
  const std::size_t nesting_words = max_size / kBitsPerWord + 1;
  const std::size_t text_size = internal::PackedCapacity(max_size);
  const std::size_t bytes = text_size + max_size + simdjson::SIMDJSON_PADDING;
  if (bytes < max_size) throw std::bad_alloc();
  const std::size_t words = nesting_words + bytes / kBytesPerWord + 1;
  block = std::make_unique_for_overwrite<std::uint64_t[]>(words);
  memory.nesting = block.get();
  memory.text = reinterpret_cast<char*>(block.get() + nesting_words);
  padded = memory.text + text_size;

  if (max_size > simdjson::SIMDJSON_MAXSIZE_BYTES) return;
  // simdjson never works with less than this, and would grow to it later.
  const std::size_t capacity = max_size < simdjson::dom::MINIMAL_DOCUMENT_CAPACITY
                                   ? simdjson::dom::MINIMAL_DOCUMENT_CAPACITY
                                   : max_size;
  if (parser.allocate(capacity) != simdjson::SUCCESS ||
      parser.doc.allocate(capacity) != simdjson::SUCCESS) {
    throw std::bad_alloc();
  }
  // From now on nothing is allocated, whatever is parsed.
  parser.set_max_capacity(capacity);
}

JsonScratch::JsonScratch(std::size_t max_document_size)
    : state_(std::make_unique<State>(max_document_size)) {}
JsonScratch::~JsonScratch() = default;
JsonScratch::JsonScratch(JsonScratch&&) noexcept = default;
JsonScratch& JsonScratch::operator=(JsonScratch&&) noexcept = default;

std::size_t JsonScratch::max_document_size() const noexcept { return state_->max_size; }

namespace internal {

const JsonMemory& MemoryOf(JsonScratch& scratch) noexcept { return scratch.state().memory; }

}  // namespace internal
}  // namespace ffgrant
