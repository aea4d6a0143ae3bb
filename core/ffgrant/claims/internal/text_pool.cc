// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/claims/internal/text_pool.h"

#include <algorithm>
#include <cstring>
#include <mutex>

namespace ffgrant::internal {

TextPool::TextPool(std::size_t max_bytes)
    : pieces_(new Piece[PiecesOf(max_bytes) + 1]()), free_count_(PiecesOf(max_bytes)) {
  for (std::size_t i = PiecesOf(max_bytes); i >= 1; --i) {
    pieces_[i].next = first_free_;
    first_free_ = static_cast<Place>(i);
  }
}

TextPool::Place TextPool::Take(std::size_t pieces) noexcept {
  const std::scoped_lock lock(lock_);
  ScheduleWrite(Shared::kTexts);
  const std::size_t left = free_count_.load(std::memory_order_relaxed);
  if (pieces > left) return kFull;
  const Place first = first_free_;
  Place last = first;
  for (std::size_t i = 1; i < pieces; ++i) last = pieces_[last].next;
  first_free_ = pieces_[last].next;
  pieces_[last].next = 0;
  free_count_.store(left - pieces, std::memory_order_relaxed);
  return first;
}

TextPool::Place TextPool::Keep(std::string_view text, std::string_view second) noexcept {
  if (text.empty() && second.empty()) return 0;
  if (!IsEnough(free_pieces(), text.size(), second.size())) return kFull;
  const Place first = Take(PiecesOf(text.size() + second.size()));
  if (first == kFull) return kFull;
  std::size_t used = 0;
  Place at = first;
  for (std::string_view rest : {text, second}) {
    while (!rest.empty()) {
      if (used == kPieceBytes) {
        at = pieces_[at].next;
        used = 0;
      }
      const std::size_t part = std::min(rest.size(), kPieceBytes - used);
      std::memcpy(pieces_[at].bytes.data() + used, rest.data(), part);
      rest.remove_prefix(part);
      used += part;
    }
  }
  return first;
}

void TextPool::Overwrite(Place place, std::string_view bytes) noexcept {
  std::memcpy(pieces_[place].bytes.data(), bytes.data(), bytes.size());
}

void TextPool::Free(Place place) noexcept {
  if (place == 0) return;
  std::size_t count = 1;
  Place last = place;
  for (; pieces_[last].next != 0; last = pieces_[last].next) ++count;
  const std::scoped_lock lock(lock_);
  ScheduleWrite(Shared::kTexts);
  pieces_[last].next = first_free_;
  first_free_ = place;
  free_count_.store(free_count_.load(std::memory_order_relaxed) + count, std::memory_order_relaxed);
}

// Calls work(bytes, done) for the parts of a text in order, until `work` returns false; `done` is
// the size of all earlier parts.
template <class Work>
void TextPool::ForEachPart(Place place, std::size_t offset, std::size_t size,
                           Work work) const noexcept {
  for (; offset >= kPieceBytes; offset -= kPieceBytes) place = pieces_[place].next;
  for (std::size_t done = 0; done < size; place = pieces_[place].next, offset = 0) {
    const std::size_t part = std::min(size - done, kPieceBytes - offset);
    if (!work(std::string_view(pieces_[place].bytes.data() + offset, part), done)) return;
    done += part;
  }
}

bool TextPool::Has(Place place, std::size_t offset, std::string_view text) const noexcept {
  bool same = true;
  ForEachPart(place, offset, text.size(), [&](std::string_view part, std::size_t done) {
    same = part == text.substr(done, part.size());
    return same;
  });
  return same;
}

void TextPool::Copy(Place place, std::size_t offset, std::size_t size, char* to) const noexcept {
  ForEachPart(place, offset, size, [&](std::string_view part, std::size_t done) {
    std::memcpy(to + done, part.data(), part.size());
    return true;
  });
}

}  // namespace ffgrant::internal
