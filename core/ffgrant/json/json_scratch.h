// SPDX-License-Identifier: Apache-2.0
//
// Holds the memory that a parse works in.

#ifndef FFGRANT_JSON_JSON_SCRATCH_H_
#define FFGRANT_JSON_JSON_SCRATCH_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "ffgrant/config.h"

FFGRANT_API_BEGIN
namespace ffgrant {

namespace internal {
struct JsonMemory;
}

// The reference limits bodies to 64 KiB (contract 6).
inline constexpr std::size_t kDefaultMaxDocumentSize = 65536;

// Holds strings that had escapes in them, lists, and the nesting of brackets. The first parse that
// needs this memory allocates it. The memory is allocated once, and has about 9/8 of
// `max_document_size` bytes, 72 KiB by default. Only canonical claim responses (claim_response.h)
// need no scratch. A parse that cannot allocate the memory reports kOutOfMemory. Reserve()
// allocates the memory ahead of all parses, which then allocate none. A document larger than
// `max_document_size` is refused with kDocumentTooLarge, unless it is a canonical claim response.
// One scratch serves one thread at a time.
//
//   JsonScratch scratch;
//   scratch.Reserve();  // from here on parsing allocates nothing
//
// The texts that a parse returns point into the document or into the scratch: they are valid until
// one of these two dies or the scratch is used again. A moved-from scratch may only be assigned to
// or destroyed. A document must not lie in the scratch that parses it.
class JsonScratch {
 public:
  // Allocates nothing. Throws std::bad_alloc if `max_document_size` is larger than any memory. A
  // library compiled without exceptions ends the process wherever a comment here says "throws".
  explicit JsonScratch(std::size_t max_document_size = kDefaultMaxDocumentSize);

  std::size_t max_document_size() const noexcept { return max_document_size_; }

  // Allocates what parsing will need, unless it is already allocated. Throws std::bad_alloc.
  void Reserve();

 private:
  friend struct internal::JsonMemory;

  std::size_t max_document_size_;
  // The block holds first the nesting bits, then the text.
  std::unique_ptr<std::uint64_t[]> block_;
};

}  // namespace ffgrant
FFGRANT_API_END

#endif  // FFGRANT_JSON_JSON_SCRATCH_H_
