// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/claims/internal/name_pool.h"

#include <bit>
#include <cstring>
#include <mutex>

namespace ffgrant::internal {

NamePool::NamePool(std::size_t max_names, std::uint64_t seed, TextPool& long_texts)
    : seeds_{Mix(seed ^ kMixA, kMixB), Mix(seed ^ kMixB, kMixA)},
      long_texts_(long_texts),
      entries_(new Entry[max_names + 1]()),
      counts_(max_names + 1),
      table_mask_(std::bit_ceil(2 * (max_names + 1)) - 1),
      free_count_(max_names) {
  table_.reset(new std::atomic<NameId>[table_mask_ + 1]());
  free_.reserve(max_names);
  for (std::size_t id = max_names; id >= 1; --id) free_.push_back(static_cast<NameId>(id));
}

NameId NamePool::HoldFound(std::uint32_t hash, std::string_view first,
                           std::string_view second) noexcept {
  ScheduleRead(Shared::kNames);
  for (std::size_t at = hash & table_mask_;; at = (at + 1) & table_mask_) {
    const NameId id = table_[at].load(std::memory_order_acquire);
    if (id == 0) return 0;
    if (entries_[id].hash.load(std::memory_order_relaxed) != hash) continue;
    std::uint32_t count = counts_[id].load(std::memory_order_relaxed);
    do {
      if (count == 0) return 0;  // the name may be freed soon: the caller looks under the lock
    } while (!counts_[id].compare_exchange_weak(count, count + 1, std::memory_order_acq_rel,
                                                std::memory_order_relaxed));
    if (Is(id, first, second)) return id;
    Release(id);
  }
}

NameId NamePool::Guess(std::string_view first) const noexcept {
  ScheduleRead(Shared::kNames);
  const std::uint32_t hash = HashOf(first, {});
  for (std::size_t at = hash & table_mask_;; at = (at + 1) & table_mask_) {
    const NameId id = table_[at].load(std::memory_order_relaxed);
    if (id == 0 || entries_[id].hash.load(std::memory_order_relaxed) == hash) return id;
  }
}

NameId NamePool::HoldIfThere(std::string_view first) noexcept {
  if (first.empty()) return 0;
  const std::uint32_t hash = HashOf(first, {});
  if (const NameId id = HoldFound(hash, first, {}); id != 0) return id;
  const std::scoped_lock lock(lock_);
  const NameId id = Find(hash, first, {});
  if (id != 0) counts_[id].fetch_add(1, std::memory_order_acq_rel);
  return id;
}

NameId NamePool::Find(std::uint32_t hash, std::string_view first,
                      std::string_view second) const noexcept {
  lock_.AssertHeld();
  for (std::size_t at = hash & table_mask_;; at = (at + 1) & table_mask_) {
    const NameId id = table_[at].load(std::memory_order_relaxed);
    if (id == 0) return 0;
    if (entries_[id].hash.load(std::memory_order_relaxed) == hash && Is(id, first, second)) {
      return id;
    }
  }
}

NameId NamePool::Make(std::uint32_t hash, std::string_view first,
                      std::string_view second) noexcept {
  const std::scoped_lock lock(lock_);
  ScheduleWrite(Shared::kNames);
  // The name may be in the table after all: another thread has made it meanwhile, or has moved it
  // while HoldFound() searched, or nobody holds it any more but it is not yet freed.
  if (const NameId id = Find(hash, first, second); id != 0) {
    counts_[id].fetch_add(1, std::memory_order_acq_rel);
    return id;
  }
  if (free_.empty()) return kFull;
  // The sizes are compared separately, because their sum could overflow.
  TextPool::Place place = 0;
  const bool is_long = first.size() > kInlineBytes || second.size() > kInlineBytes - first.size();
  if (is_long) {
    place = long_texts_.Keep(first, second);
    if (place == TextPool::kFull) return kFull;
  }
  const NameId id = free_.back();
  free_.pop_back();
  free_count_.store(free_.size(), std::memory_order_relaxed);
  Entry& entry = entries_[id];
  entry.hash.store(hash, std::memory_order_relaxed);
  entry.first_size = static_cast<std::uint32_t>(first.size());
  entry.second_size = static_cast<std::uint32_t>(second.size());
  entry.place = place;
  if (!is_long) {
    if (!first.empty()) std::memcpy(entry.text.data(), first.data(), first.size());
    if (!second.empty()) {
      std::memcpy(entry.text.data() + first.size(), second.data(), second.size());
    }
  }
  SchedulePoint(Shared::kNames);
  counts_[id].store(1, std::memory_order_release);
  Link(id);
  return id;
}

void NamePool::FreeUnheld(NameId id, bool counts) noexcept {
  const std::scoped_lock lock(lock_);
  ScheduleWrite(Shared::kNames);
  // Since the count fell to 0, another thread may have held the name again, or may even have
  // released and freed it.
  Entry& entry = entries_[id];
  if (counts_[id].load(std::memory_order_acquire) != 0) return;
  if ((entry.first_size | entry.second_size) == 0) return;
  Unlink(id);
  long_texts_.Free(entry.place);
  entry.first_size = entry.second_size = 0;
  entry.place = 0;
  free_.push_back(id);
  free_count_.store(free_.size(), std::memory_order_relaxed);
  if (counts) freed_.fetch_add(1, std::memory_order_relaxed);
}

void NamePool::Link(NameId id) noexcept {
  lock_.AssertHeld();
  std::size_t at = entries_[id].hash.load(std::memory_order_relaxed) & table_mask_;
  while (table_[at].load(std::memory_order_relaxed) != 0) at = (at + 1) & table_mask_;
  table_[at].store(id, std::memory_order_release);
}

// Takes a name out of the table. Moves later names back to close the gap that the name leaves, so
// that no search ends at the gap.
void NamePool::Unlink(NameId id) noexcept {
  lock_.AssertHeld();
  const auto home = [this](NameId name) {
    return entries_[name].hash.load(std::memory_order_relaxed) & table_mask_;
  };
  std::size_t gap = home(id);
  while (table_[gap].load(std::memory_order_relaxed) != id) gap = (gap + 1) & table_mask_;
  for (std::size_t at = (gap + 1) & table_mask_;; at = (at + 1) & table_mask_) {
    const NameId moved = table_[at].load(std::memory_order_relaxed);
    if (moved == 0) break;
    // The search for this name begins after the gap, so the name stays.
    if (((at - home(moved)) & table_mask_) < ((at - gap) & table_mask_)) continue;
    table_[gap].store(moved, std::memory_order_release);
    gap = at;
  }
  table_[gap].store(0, std::memory_order_relaxed);
}

void NamePool::Copy(NameId id, std::size_t offset, std::size_t size, char* to) const noexcept {
  const Entry& e = entries_[id];
  if (e.place != 0) {
    long_texts_.Copy(e.place, offset, size, to);
  } else if (size != 0) {
    std::memcpy(to, e.text.data() + offset, size);
  }
}

std::string NamePool::Text(NameId id, std::size_t offset, std::size_t size) const {
  std::string text(size, '\0');
  Copy(id, offset, size, text.data());
  return text;
}

}  // namespace ffgrant::internal
