// SPDX-License-Identifier: Apache-2.0
//
// Manages the embedded ledger's room for names and texts.

#include <algorithm>
#include <mutex>

#include "ffgrant/claims/internal/memory_ledger_impl.h"

namespace ffgrant {

using internal::NameId;
using internal::NamePool;
using RecentName = internal::ExecutionTable::RecentName;

NameId MemoryLedger::Impl::HoldOtherWorker(Region& region, std::string_view id,
                                           std::string_view instance) noexcept {
  const std::uint32_t hash = workers.HashOf(id, instance);
  for (RecentName& recent : region.recent) {
    if (recent.hash != hash || !workers.Is(recent.name, id, instance)) continue;
    ++recent.holds;
    return recent.name;
  }
  const NameId name = workers.Hold(hash, id, instance);
  if (name == NamePool::kFull || name == 0) return name;
  if (names_are_scarce.load(std::memory_order_relaxed)) {
    if (workers.free_names() <= workers.max_names() / 2) return name;
    names_are_scarce.store(false, std::memory_order_relaxed);
  }
  // The hold that was just taken is the region's own. The record's hold is counted in `holds`.
  RecentName& recent = region.recent[region.next_recent];
  region.next_recent = static_cast<std::uint8_t>((region.next_recent + 1) % region.recent.size());
  ForgetRecent(recent);
  recent = {.name = name, .holds = 1, .hash = hash};
  return name;
}

void MemoryLedger::Impl::ForgetRecent(RecentName& recent) noexcept {
  workers.Add(recent.name, recent.holds - 1);
  recent = {};
}

void MemoryLedger::Impl::DropGrant(Record& record, Region& region) noexcept {
  record.has_grant = false;
  ReleaseWorker(region, record.grant_worker);
  record.grant_worker = 0;
  if (record.texts != 0) texts.DropGrant(record.texts);
}

std::size_t MemoryLedger::Impl::SearchForRoom(Missing missing) noexcept {
  internal::ScheduleWrite(internal::Shared::kCursor);
  InVain& vain = in_vain[missing == Missing::kText];
  const std::uint64_t freed = Freed(missing);
  // The difference is unsigned, so that a clock that was set back ends the pause, too.
  const auto since = static_cast<std::uint64_t>(Now()) -
                     static_cast<std::uint64_t>(vain.at.load(std::memory_order_relaxed));
  if (freed == vain.freed.load(std::memory_order_relaxed) && since < kSearchPauseMs) {
    return table.slot_count();
  }
  if (missing == Missing::kName) {
    names_are_scarce.store(true, std::memory_order_relaxed);
    for (std::size_t i = 0; i < table.region_count(); ++i) {
      Region& region = table.region(i);
      const std::scoped_lock lock(region.lock);
      for (RecentName& recent : region.recent) ForgetRecent(recent);
    }
  }
  const std::size_t parts = PartsOfRegion();
  std::int64_t now = 0;
  std::size_t visited = 0;
  for (std::size_t i = 0; i < SearchParts() && Freed(missing) == freed; ++i) {
    const std::size_t part = search_cursor.fetch_add(1, std::memory_order_relaxed);
    const std::size_t index = part / parts % table.region_count();
    const std::size_t begin = part % parts * kSlotsUnderLock;
    const std::size_t end = std::min(begin + kSlotsUnderLock, table.region_slots());
    Region& region = table.region(index);
    const std::scoped_lock lock(region.lock);
    now = Now();
    for (std::size_t k = begin; k < end; ++k) {
      const auto slot = static_cast<Slot>(index * table.region_slots() + k);
      if (!table.IsTaken(slot)) continue;
      Record& record = table[slot];
      if (record.has_grant && !record.GrantIsLive(now)) DropGrant(record, region);
    }
    visited += end - begin;
  }
  if (Freed(missing) != freed) return visited;
  vain.at.store(now, std::memory_order_relaxed);
  vain.freed.store(freed, std::memory_order_relaxed);
  return table.slot_count();
}

}  // namespace ffgrant
