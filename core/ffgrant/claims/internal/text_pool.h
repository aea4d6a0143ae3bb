// SPDX-License-Identifier: Apache-2.0
//
// Memory for texts of any size that come and go.

#ifndef FFGRANT_CLAIMS_INTERNAL_TEXT_POOL_H_
#define FFGRANT_CLAIMS_INTERNAL_TEXT_POOL_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "ffgrant/claims/internal/spin_lock.h"

namespace ffgrant::internal {

// A fixed number of pieces of one size. A text takes as many as it needs, in a
// chain, so that whatever was given back can be used again for any text: there
// are no gaps of the wrong size.
//
// Keep() and Free() may come from any thread. A text is read by who owns it.
class TextPool {
 public:
  static constexpr std::size_t kPieceBytes = 60;

  // Where a text begins; its owner remembers the size. 0: an empty text.
  using Place = std::uint32_t;
  static constexpr Place kFull = 0xFFFFFFFF;

  // Room for `max_bytes` (1..2^32), up to the next piece.
  explicit TextPool(std::size_t max_bytes);

  static constexpr std::size_t PiecesOf(std::size_t size) noexcept {
    return (size + kPieceBytes - 1) / kPieceBytes;
  }

  // The place of a copy of `text` and, behind it, `second`; kFull if there is
  // not enough room.
  Place Keep(std::string_view text, std::string_view second = {}) noexcept;
  void Free(Place place) noexcept;

  // Whether the kept text has `text` at `offset`.
  bool Has(Place place, std::size_t offset, std::string_view text) const noexcept;
  // Puts `bytes`, of one piece, over those that were kept.
  void Overwrite(Place place, std::string_view bytes) noexcept;
  // Copies `size` bytes from `offset` on.
  void Copy(Place place, std::size_t offset, std::size_t size, char* to) const noexcept;

  std::size_t free_pieces() const noexcept { return free_count_.load(std::memory_order_relaxed); }

 private:
  struct Piece {
    Place next;
    std::array<char, kPieceBytes> bytes;
  };
  static_assert(sizeof(Piece) == 64);

  // Takes a chain of so many pieces off the free list.
  Place Take(std::size_t pieces) noexcept;
  template <class Work>
  void ForEachPart(Place place, std::size_t offset, std::size_t size, Work work) const noexcept;

  std::unique_ptr<Piece[]> pieces_;  // from 1 on
  Place first_free_ = 0;
  std::atomic<std::size_t> free_count_;
  SpinLock lock_;  // guards the free list
};

}  // namespace ffgrant::internal

#endif  // FFGRANT_CLAIMS_INTERNAL_TEXT_POOL_H_
