// SPDX-License-Identifier: Apache-2.0
//
// The memory that parsing works in, allocated once.

#ifndef FFGRANT_JSON_JSON_SCRATCH_H_
#define FFGRANT_JSON_JSON_SCRATCH_H_

#include <cstddef>
#include <memory>

namespace ffgrant {

// The reference caps bodies at 64 KiB (contract 6).
inline constexpr std::size_t kDefaultMaxDocumentSize = 65536;

// Holds strings that had escapes in them, and the state of the parsers. The
// constructor allocates all of it; parsing then allocates nothing. Documents
// larger than `max_document_size` are refused with kDocumentTooLarge, unless
// they need no scratch. One scratch serves one thread at a time. It takes about
// 16 bytes a byte of `max_document_size`, 1 MiB by default, most of which is
// simdjson's; the constructor throws std::bad_alloc if there is no memory.
//
// What a parse returns points into the document or into the scratch: it is
// valid until either dies or the next parse with the same scratch. One that
// was moved from can be assigned to and destroyed, nothing else. A document must
// not lie in the scratch that parses it.
class JsonScratch {
 public:
  explicit JsonScratch(std::size_t max_document_size = kDefaultMaxDocumentSize);
  ~JsonScratch();
  JsonScratch(JsonScratch&&) noexcept;
  JsonScratch& operator=(JsonScratch&&) noexcept;

  std::size_t max_document_size() const noexcept;

  struct State;
  State& state() noexcept { return *state_; }

 private:
  std::unique_ptr<State> state_;
};

}  // namespace ffgrant

#endif  // FFGRANT_JSON_JSON_SCRATCH_H_
