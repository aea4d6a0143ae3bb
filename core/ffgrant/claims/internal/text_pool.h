// SPDX-License-Identifier: Apache-2.0
//
// A TextPool is memory for texts of any size that come and go.

#ifndef FFGRANT_CLAIMS_INTERNAL_TEXT_POOL_H_
#define FFGRANT_CLAIMS_INTERNAL_TEXT_POOL_H_

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "ffgrant/claims/internal/spin_lock.h"

namespace ffgrant::internal {

// A fixed number of pieces of one size. A text takes as many pieces as it needs, in a chain. So
// pieces that were given back can be used again for any text, and there are no gaps of the wrong
// size.
//
// Any thread may call Keep(). Only the owner of a text may read, overwrite or free it.
class TextPool {
 public:
  static constexpr std::size_t kPieceBytes = 60;

  // The piece in which a text begins; the owner of the text remembers the size. 0 stands for an
  // empty text.
  using Place = std::uint32_t;
  static constexpr Place kFull = 0xFFFFFFFF;

  // Makes room for `max_bytes` (1..2^32), rounded up to whole pieces.
  explicit TextPool(std::size_t max_bytes);

  static constexpr std::size_t PiecesOf(std::size_t size) noexcept {
    return (size + kPieceBytes - 1) / kPieceBytes;
  }
  // Returns whether `pieces` pieces are enough for two texts of these sizes, in one chain. Owners
  // remember sizes in 32 bits, so no number of pieces is enough for longer texts.
  static constexpr bool IsEnough(std::size_t pieces, std::size_t size,
                                 std::size_t second) noexcept {
    // The sizes are compared separately, because their sum could overflow.
    const std::size_t most = std::min<std::size_t>(pieces * kPieceBytes, UINT32_MAX);
    return size <= most && second <= most - size;
  }

  // Keeps a copy of `text` followed by `second`, and returns its place; kFull
  // if there is not enough room.
  Place Keep(std::string_view text, std::string_view second = {}) noexcept;
  void Free(Place place) noexcept;

  // Returns whether the kept text has `text` at `offset`.
  bool Has(Place place, std::size_t offset, std::string_view text) const noexcept;
  // Replaces the kept bytes with `bytes`; both must fit in one piece.
  void Overwrite(Place place, std::string_view bytes) noexcept;
  // Copies `size` bytes of the kept text, from `offset` on, to `to`.
  void Copy(Place place, std::size_t offset, std::size_t size, char* to) const noexcept;

  std::size_t free_pieces() const noexcept { return free_count_.load(std::memory_order_relaxed); }

 private:
  struct Piece {
    Place next;
    std::array<char, kPieceBytes> bytes;
  };
  static_assert(sizeof(Piece) == 64);

  // Takes a chain of `pieces` pieces off the free list, and returns its first piece; kFull if there
  // are not enough.
  Place Take(std::size_t pieces) noexcept;
  template <class Work>
  void ForEachPart(Place place, std::size_t offset, std::size_t size, Work work) const noexcept;

  std::unique_ptr<Piece[]> pieces_;  // numbered from 1
  Place first_free_ = 0;
  std::atomic<std::size_t> free_count_;
  SpinLock lock_{LockKind::kTexts};  // guards the free list
};

}  // namespace ffgrant::internal

#endif  // FFGRANT_CLAIMS_INTERNAL_TEXT_POOL_H_
