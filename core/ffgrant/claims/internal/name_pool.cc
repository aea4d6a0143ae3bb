// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/claims/internal/name_pool.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <mutex>

namespace ffgrant::internal {

NamePool::NamePool(std::size_t max_names, std::size_t max_bytes)
    : entries_(max_names + 1),
      bytes_(new char[max_bytes]),
      max_bytes_(max_bytes),
      order_(max_names),
      table_mask_(std::bit_ceil(2 * (max_names + 1)) - 1) {
  table_.reset(new std::atomic<NameId>[table_mask_ + 1]());
  free_.reserve(max_names);
  for (std::size_t id = max_names; id >= 1; --id) free_.push_back(static_cast<NameId>(id));
}

void NamePool::Link(NameId id) noexcept {
  std::size_t at = entries_[id].hash & table_mask_;
  while (table_[at].load(std::memory_order_relaxed) != 0) at = (at + 1) & table_mask_;
  table_[at].store(id, std::memory_order_release);
}

NameId NamePool::Make(std::uint32_t hash, std::string_view first,
                      std::string_view second) noexcept {
  const std::scoped_lock lock(interning_);
  ScheduleWrite(Shared::kNames);
  // Somebody else may have made it meanwhile.
  if (const NameId id = Find(hash, first, second); id != 0) return id;
  const std::size_t left = max_bytes_ - used_bytes_;
  if (free_.empty() || first.size() > left || second.size() > left - first.size()) return kFull;
  const NameId id = free_.back();
  free_.pop_back();
  Entry& entry = entries_[id];
  entry = {static_cast<std::uint32_t>(used_bytes_), hash, static_cast<std::uint32_t>(first.size()),
           static_cast<std::uint32_t>(second.size())};
  char* const to = bytes_.get() + used_bytes_;
  if (!first.empty()) std::memcpy(to, first.data(), first.size());
  if (!second.empty()) std::memcpy(to + first.size(), second.data(), second.size());
  used_bytes_ += first.size() + second.size();
  made_.fetch_add(1, std::memory_order_relaxed);
  ++made_by_thread_;
  SchedulePoint(Shared::kNames);
  Link(id);
  return id;
}

void NamePool::Keep(std::span<const std::uint8_t> in_use) noexcept {
  const std::scoped_lock lock(interning_);
  ScheduleWrite(Shared::kNames);
  for (std::size_t id = 1; id < entries_.size(); ++id) {
    if (!IsUsed(entries_[id]) || in_use[id]) continue;
    entries_[id] = {};
    free_.push_back(static_cast<NameId>(id));
    freed_.fetch_add(1, std::memory_order_relaxed);
  }
  for (std::size_t i = 0; i <= table_mask_; ++i) table_[i].store(0, std::memory_order_relaxed);
  // Texts move towards the front in the order in which they stand, so that
  // none overwrites one that has yet to move.
  std::size_t count = 0;
  for (std::size_t id = 1; id < entries_.size(); ++id) {
    if (IsUsed(entries_[id])) order_[count++] = static_cast<NameId>(id);
  }
  std::sort(order_.begin(), order_.begin() + static_cast<std::ptrdiff_t>(count),
            [this](NameId a, NameId b) { return entries_[a].begin < entries_[b].begin; });
  std::size_t to = 0;
  for (const NameId id : std::span(order_).first(count)) {
    Entry& entry = entries_[id];
    const std::size_t size = std::size_t{entry.first_size} + entry.second_size;
    std::memmove(bytes_.get() + to, bytes_.get() + entry.begin, size);
    entry.begin = static_cast<std::uint32_t>(to);
    to += size;
    Link(id);
  }
  used_bytes_ = to;
}

}  // namespace ffgrant::internal
