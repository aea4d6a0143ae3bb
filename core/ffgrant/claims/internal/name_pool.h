// SPDX-License-Identifier: Apache-2.0
//
// A NamePool stores names, to which records refer by number.

#ifndef FFGRANT_CLAIMS_INTERNAL_NAME_POOL_H_
#define FFGRANT_CLAIMS_INTERNAL_NAME_POOL_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ffgrant/claims/internal/schedule_point.h"
#include "ffgrant/claims/internal/short_text.h"
#include "ffgrant/claims/internal/spin_lock.h"
#include "ffgrant/claims/internal/text_pool.h"

namespace ffgrant::internal {

// 0 is the empty name; it also stands for "no name".
using NameId = std::uint32_t;

// Room for a fixed number of names, each a pair of texts such as a worker's id and the id of its
// instance. Either text may be empty. A caller that refers to a name holds it. The holds are
// counted, and the release of the last one makes room for another name at once.
//
//   entry: |hash|sizes|place|text, up to 48 bytes, longer ones in a TextPool|
//
// Thread-safe. Only a caller that holds a name may release it or read its texts.
//
// Hold() finds a name without a lock. It raises the name's count of holds if the count is not 0.
// Only then does it compare the text, which nobody can change while the name is held. A search that
// runs while another thread changes the table may miss a name; Make() searches again under the
// lock.
class NamePool {
 public:
  static constexpr NameId kFull = 0xFFFFFFFF;

  // Makes room for `max_names`; names of more than kInlineBytes also take room in `long_texts`,
  // which must outlive the pool. Two pools with the same seed give the same hashes. Only somebody
  // who knows the seed can choose names that collide.
  NamePool(std::size_t max_names, std::uint64_t seed, TextPool& long_texts);

  // Holds the name once more and returns its number. Makes the name if it is not there; returns
  // kFull if there is no room for it.
  NameId Hold(std::string_view first, std::string_view second = {}) noexcept {
    return Hold(HashOf(first, second), first, second);
  }
  // `hash` must be HashOf(first, second).
  NameId Hold(std::uint32_t hash, std::string_view first, std::string_view second) noexcept {
    if (first.empty() && second.empty()) return 0;
    const NameId id = HoldFound(hash, first, second);
    return id != 0 ? id : Make(hash, first, second);
  }
  // Holds the name (first, "") once more and returns its number; 0 if there is no such name.
  NameId HoldIfThere(std::string_view first) noexcept;
  // Returns the number that the name (first, "") probably has, without a hold on it; 0 if none is
  // found. The number is found by the hash alone, so it may belong to another name, now or soon.
  NameId Guess(std::string_view first) const noexcept;

  // Adds `count`, which may be negative, to the number of holds on a name. If no hold is left, the
  // name is freed.
  void Add(NameId id, std::int32_t count) noexcept {
    if (Count(id, count)) FreeUnheld(id, true);
  }
  void Release(NameId id) noexcept { Add(id, -1); }
  // Releases a name that was held but then not needed. If this frees the name, freed() does not
  // grow.
  void Undo(NameId id) noexcept {
    if (Count(id, -1)) FreeUnheld(id, false);
  }

  bool Is(NameId id, std::string_view first, std::string_view second) const noexcept {
    const Entry& e = entries_[id];
    if (e.first_size != first.size() || e.second_size != second.size()) return false;
    if (e.place != 0) [[unlikely]]
      return long_texts_.Has(e.place, 0, first) && long_texts_.Has(e.place, e.first_size, second);
    return TextEqual({e.text.data(), e.first_size}, first) &&
           TextEqual({e.text.data() + e.first_size, e.second_size}, second);
  }
  bool FirstIs(NameId id, std::string_view first) const noexcept {
    const Entry& e = entries_[id];
    if (e.first_size != first.size()) return false;
    if (e.place != 0) [[unlikely]]
      return long_texts_.Has(e.place, 0, first);
    return TextEqual({e.text.data(), e.first_size}, first);
  }
  bool SecondIs(NameId id, std::string_view second) const noexcept {
    const Entry& e = entries_[id];
    if (e.second_size != second.size()) return false;
    if (e.place != 0) [[unlikely]]
      return long_texts_.Has(e.place, e.first_size, second);
    return TextEqual({e.text.data() + e.first_size, e.second_size}, second);
  }
  std::size_t FirstSize(NameId id) const noexcept { return entries_[id].first_size; }
  // Copies the first text, of FirstSize() bytes.
  void CopyFirst(NameId id, char* to) const noexcept { Copy(id, 0, FirstSize(id), to); }
  std::size_t SecondSize(NameId id) const noexcept { return entries_[id].second_size; }
  // Copies the second text, of SecondSize() bytes.
  void CopySecond(NameId id, char* to) const noexcept {
    Copy(id, FirstSize(id), SecondSize(id), to);
  }
  std::string First(NameId id) const { return Text(id, 0, entries_[id].first_size); }
  std::string Second(NameId id) const {
    return Text(id, entries_[id].first_size, entries_[id].second_size);
  }

  std::uint32_t HashOf(std::string_view first, std::string_view second) const noexcept {
    const std::uint64_t hash = HashText(first, seeds_[0], seeds_[1]);
    return static_cast<std::uint32_t>(HashText(second, hash, seeds_[1]));
  }

  std::size_t max_names() const noexcept { return counts_.size() - 1; }
  std::size_t free_names() const noexcept { return free_count_.load(std::memory_order_relaxed); }
  // The number of times that a name was freed other than by Undo(). The count grows before the
  // freed name's number is given to another name, so that a caller that holds the other name sees
  // the grown count.
  std::uint64_t freed() const noexcept { return freed_.load(std::memory_order_relaxed); }

 private:
  static constexpr std::size_t kInlineBytes = 48;
  struct alignas(64) Entry {
    std::atomic<std::uint32_t> hash{0};  // also read by searches that do not hold the name
    std::uint32_t first_size = 0;
    std::uint32_t second_size = 0;
    TextPool::Place place = 0;
    std::array<char, kInlineBytes> text;
  };
  static_assert(sizeof(Entry) == 64);

  NameId HoldFound(std::uint32_t hash, std::string_view first, std::string_view second) noexcept;
  // The caller must hold the lock. Returns the number of a name that is in the table, whether
  // somebody holds the name or not; 0 if there is none.
  NameId Find(std::uint32_t hash, std::string_view first, std::string_view second) const noexcept;
  // Make() is kept out of the hot path, which then needs fewer registers.
  [[gnu::noinline]] NameId Make(std::uint32_t hash, std::string_view first,
                                std::string_view second) noexcept;
  // Adds `count` to the holds. Returns true if nobody holds the name any more.
  bool Count(NameId id, std::int32_t count) noexcept {
    if (id == 0 || count == 0) return false;
    const auto added = static_cast<std::uint32_t>(count);
    return counts_[id].fetch_add(added, std::memory_order_acq_rel) + added == 0;
  }
  [[gnu::noinline]] void FreeUnheld(NameId id, bool counts) noexcept;
  void Link(NameId id) noexcept;
  void Unlink(NameId id) noexcept;
  void Copy(NameId id, std::size_t offset, std::size_t size, char* to) const noexcept;
  std::string Text(NameId id, std::size_t offset, std::size_t size) const;

  std::array<std::uint64_t, 2> seeds_;
  TextPool& long_texts_;
  // Entries and counts are indexed by the number of a name; number 0 is the
  // empty name. The counts stand apart, so that counting does not take the
  // texts from other processors' caches.
  std::unique_ptr<Entry[]> entries_;
  std::vector<std::atomic<std::uint32_t>> counts_;

  // The table uses open addressing and is at least half empty; 0 ends a search. The table is
  // written under the lock.
  std::unique_ptr<std::atomic<NameId>[]> table_;
  std::size_t table_mask_;

  std::vector<NameId> free_;  // free numbers; the last one is taken next
  std::atomic<std::size_t> free_count_;
  std::atomic<std::uint64_t> freed_{0};
  SpinLock lock_{LockKind::kNames};
};

}  // namespace ffgrant::internal

#endif  // FFGRANT_CLAIMS_INTERNAL_NAME_POOL_H_
