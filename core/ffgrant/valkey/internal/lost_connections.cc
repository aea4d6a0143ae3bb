// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/valkey/internal/lost_connections.h"

#include <algorithm>

namespace ffgrant::valkey::internal {

bool LostConnections::Entry::Has(std::uint16_t slot) const noexcept {
  return any_slot || std::find(slots.begin(), slots.end(), slot) != slots.end();
}

void LostConnections::Entry::AddSlot(std::optional<std::uint16_t> slot) {
  if (slot && Has(*slot)) return;
  if (slot && slots.size() < kMaxSlots) {
    slots.push_back(*slot);
    return;
  }
  any_slot = true;
  slots = {};
}

// Whether `server` shows that the process which the entry's connection led to has
// ended.
//
// In a cluster: a node has one process at a time, since a node holds a lock on the
// file that has its id.
//
// Alone: the same address is no proof. But a process that is found there and started
// after the old one was heard of for the last time is what a restart looks like.
// A new server that was given the address of one which lives on elsewhere looks
// the same. The old server's commands can't reach the new one's data, and the
// client reads nothing else: it does not follow a server that stands alone. A
// server that had been running already (behind a proxy, or moved there) is told
// apart by its uptime.
bool LostConnections::IsGone(const Entry& entry, const ServerIdentity& server) noexcept {
  if (entry.run_id.empty() || server.run_id.empty() || entry.run_id == server.run_id) return false;
  if (entry.cluster != server.cluster) return false;
  if (entry.cluster) return !entry.node_id.empty() && entry.node_id == server.node_id;
  return entry.endpoint == server.endpoint && server.latest_start >= entry.heard_at;
}

LostConnections::Entry* LostConnections::Find(std::uint64_t number) noexcept {
  const auto found = std::find_if(entries_.begin(), entries_.end(),
                                  [number](const Entry& e) { return e.number == number; });
  return found == entries_.end() ? nullptr : &*found;
}

std::uint64_t LostConnections::Add(const ServerIdentity& server, std::int64_t client_id,
                                   std::int64_t heard_at, std::optional<std::uint16_t> slot,
                                   bool open) {
  const std::scoped_lock lock(mutex_);
  // A client id is of a process; without the process it says nothing.
  const std::int64_t id = server.run_id.empty() || client_id < 0 ? 0 : client_id;
  // Connections that can't be told apart need one entry.
  const auto same = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& e) {
    return id == 0 && !open && e.client_id == 0 && !e.open && e.run_id == server.run_id &&
           e.node_id == server.node_id && e.history == server.history &&
           e.cluster == server.cluster && e.endpoint == server.endpoint;
  });
  if (same != entries_.end()) {
    same->AddSlot(slot);
    same->heard_at = std::max(same->heard_at, heard_at);
    return same->number;
  }
  if (entries_.size() >= kMaxEntries) {
    GiveUp(entries_.front());
    entries_.pop_front();
  }
  Entry entry;
  entry.number = next_number_++;
  entry.node_id = server.node_id;
  entry.run_id = server.run_id;
  entry.history = server.history;
  entry.endpoint = server.endpoint;
  entry.cluster = server.cluster;
  entry.client_id = id;
  entry.heard_at = heard_at;
  entry.open = open;
  entry.AddSlot(slot);
  entries_.push_back(std::move(entry));
  return entries_.back().number;
}

void LostConnections::GiveUp(const Entry& entry) {
  if (entry.any_slot) unresolved_.set();
  for (const std::uint16_t slot : entry.slots) unresolved_.set(slot);
}

void LostConnections::AddSlot(std::uint64_t number, std::optional<std::uint16_t> slot) {
  const std::scoped_lock lock(mutex_);
  if (Entry* const entry = Find(number)) {
    entry->AddSlot(slot);
    return;
  }
  // It was given up in the meantime.
  Entry gone;
  gone.AddSlot(slot);
  GiveUp(gone);
}

void LostConnections::Close(std::uint64_t number) {
  const std::scoped_lock lock(mutex_);
  if (Entry* const entry = Find(number)) entry->open = false;
}

void LostConnections::Resolve(std::uint64_t number) {
  const std::scoped_lock lock(mutex_);
  std::erase_if(entries_, [number](const Entry& e) { return e.number == number; });
}

void LostConnections::SetUnfenceable(std::uint64_t number) {
  const std::scoped_lock lock(mutex_);
  if (Entry* const entry = Find(number)) entry->client_id = 0;
}

void LostConnections::OnServer(const ServerIdentity& server) {
  const std::scoped_lock lock(mutex_);
  std::erase_if(entries_, [&](const Entry& e) { return IsGone(e, server); });
}

std::optional<LostConnections::Fence> LostConnections::NextFence(std::string_view run_id) const {
  const std::scoped_lock lock(mutex_);
  if (run_id.empty()) return std::nullopt;
  for (const Entry& entry : entries_) {
    if (entry.client_id != 0 && !entry.open && entry.run_id == run_id) {
      return Fence{entry.number, entry.client_id};
    }
  }
  return std::nullopt;
}

std::uint64_t LostConnections::next_number() const {
  const std::scoped_lock lock(mutex_);
  return next_number_;
}

bool LostConnections::List(std::uint16_t slot, std::uint64_t before,
                           std::vector<Target>& targets) const {
  targets.clear();
  const std::scoped_lock lock(mutex_);
  for (const Entry& entry : entries_) {
    if (entry.number >= before || !entry.Has(slot)) continue;
    targets.push_back({.number = entry.number,
                       .node_id = entry.node_id,
                       .run_id = entry.run_id,
                       .history = entry.history,
                       .endpoint = entry.endpoint,
                       .fenceable = entry.client_id != 0 && !entry.open,
                       .open = entry.open});
  }
  return !unresolved_.test(slot);
}

bool LostConnections::MayStillChange(const std::vector<Target>& lost,
                                     const ServerIdentity& reader) noexcept {
  return !std::all_of(lost.begin(), lost.end(), [&](const Target& target) {
    return !target.history.empty() && target.history == reader.former_history &&
           !reader.run_id.empty() && reader.run_id != target.run_id;
  });
}

std::size_t LostConnections::size() const {
  const std::scoped_lock lock(mutex_);
  return entries_.size();
}

}  // namespace ffgrant::valkey::internal
