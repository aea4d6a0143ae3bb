// SPDX-License-Identifier: Apache-2.0
//
// Names that records refer to by number.

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

// 0 is the empty name and "none".
using NameId = std::uint32_t;

// A fixed number of names, each a pair of texts such as a worker's id and its
// instance's; the second one may be empty. Who refers to a name holds it: it is
// counted, and the last one that lets go makes room for another name at once.
//
//   entry: |hash|sizes|place|text, up to 48 bytes, longer ones in a TextPool|
//
// Hold(), Add() and Release() may come from any thread. The texts of a name are
// read by who holds it.
//
// Hold() finds a name without a lock: it counts itself in if the count is not 0,
// and compares the text then, when nobody can change it any more. A search that
// runs beside a change may miss a name; Make() searches again under the lock.
class NamePool {
 public:
  static constexpr NameId kFull = 0xFFFFFFFF;

  // Room for `max_names`; names of more than kInlineBytes also take room in
  // `long_texts`, which must outlive the pool. Two pools with one seed hash
  // alike; nobody who does not know it finds names that collide.
  NamePool(std::size_t max_names, std::uint64_t seed, TextPool& long_texts);

  // The name's number, once more held, and made if need be. kFull if there is no room.
  NameId Hold(std::string_view first, std::string_view second = {}) noexcept {
    return Hold(HashOf(first, second), first, second);
  }
  // With HashOf() both texts.
  NameId Hold(std::uint32_t hash, std::string_view first, std::string_view second) noexcept {
    if (first.empty() && second.empty()) return 0;
    const NameId id = HoldFound(hash, first, second);
    return id != 0 ? id : Make(hash, first, second);
  }
  // The same, but 0 if there is no such name.
  NameId HoldIfThere(std::string_view first) noexcept;
  // A number that the name probably has, which the caller does not hold; 0 if none is found. By
  // the hash alone: the number may be another name's, or soon be.
  NameId Guess(std::string_view first) const noexcept;

  // Changes how often a name is held that the caller holds; the last one frees it.
  void Add(NameId id, std::int32_t count) noexcept {
    if (Count(id, count)) FreeUnheld(id, true);
  }
  void Release(NameId id) noexcept { Add(id, -1); }
  // The same for a name that was held for nothing: does not count as freed.
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
  // How many names were ever freed. The number of a name that somebody could see
  // becomes another's only after this has grown, and who holds the other sees it grown.
  std::uint64_t freed() const noexcept { return freed_.load(std::memory_order_relaxed); }

 private:
  static constexpr std::size_t kInlineBytes = 48;
  struct alignas(64) Entry {
    std::atomic<std::uint32_t> hash{0};  // read by searches that hold nothing
    std::uint32_t first_size = 0;
    std::uint32_t second_size = 0;
    TextPool::Place place = 0;
    std::array<char, kInlineBytes> text;
  };
  static_assert(sizeof(Entry) == 64);

  NameId HoldFound(std::uint32_t hash, std::string_view first, std::string_view second) noexcept;
  // Under the lock: a name that is linked, held or not; 0 if there is none.
  NameId Find(std::uint32_t hash, std::string_view first, std::string_view second) const noexcept;
  // Out of the hot path, which then needs fewer registers.
  [[gnu::noinline]] NameId Make(std::uint32_t hash, std::string_view first,
                                std::string_view second) noexcept;
  // True if nobody holds it any more.
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
  // By number; the first is the empty name. The counts stand apart, so that
  // counting does not take the texts from other processors' caches.
  std::unique_ptr<Entry[]> entries_;
  std::vector<std::atomic<std::uint32_t>> counts_;

  // Open addressing, half empty at the least; 0 ends a search. Written under the lock.
  std::unique_ptr<std::atomic<NameId>[]> table_;
  std::size_t table_mask_;

  std::vector<NameId> free_;  // numbers, used from the back
  std::atomic<std::size_t> free_count_;
  std::atomic<std::uint64_t> freed_{0};
  SpinLock lock_;
};

}  // namespace ffgrant::internal

#endif  // FFGRANT_CLAIMS_INTERNAL_NAME_POOL_H_
