// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/valkey/internal/lost_connections.h"

#include <algorithm>
#include <utility>

namespace ffgrant::valkey::internal {

bool LostConnections::Entry::Has(CommandKey key) const noexcept {
  return every_key || keys.count(key) != 0;
}

// Whether `server` shows that the process to which the entry's connection led has ended.
//
// In a cluster, this is shown by a `server` that is another process of the same node: a node has
// one process at a time, because its process holds a lock on the file that has the node's id.
//
// For a server that stands alone, the same address by itself proves nothing. The old process counts
// as ended if another process is found at the address, and that other process started after the old
// one was last heard of: a restart looks like this. A new server that was given the address of a
// server that lives on elsewhere looks the same. To mistake such a server for a restart does no
// harm. The old server's commands can't reach the new server's data, and the client reads no other
// data, because it does not follow a server that stands alone to another address. A server that was
// running before the old process was last heard of (behind a proxy, or moved to this address) is
// told apart by its uptime. INFO gives the uptime in whole seconds. So a server that started less
// than two seconds before the old process was last heard of may count as started later, because a
// quick restart must be recognised.
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

void LostConnections::AddTo(Entry& entry, CommandKey key) {
  if (key == kEveryKey) {
    entry.every_key = true;
  } else if (key == kNoKey || entry.Has(key)) {
    return;
  } else if (keys_ >= kMaxKeys) {
    GiveUp(key);
  } else {
    entry.keys.insert(key);
    ++keys_;
  }
}

std::uint64_t LostConnections::Add(const ServerIdentity& server, std::int64_t client_id,
                                   std::int64_t heard_at, CommandKey key, bool open) {
  const std::scoped_lock lock(mutex_);
  // A client id means something only together with the run id of the process.
  const std::int64_t id = server.run_id.empty() || client_id < 0 ? 0 : client_id;
  // Connections that can't be told apart share one entry.
  const auto same = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& e) {
    return id == 0 && !open && e.client_id == 0 && !e.open && e.run_id == server.run_id &&
           e.node_id == server.node_id && e.cluster == server.cluster &&
           e.endpoint == server.endpoint;
  });
  if (same != entries_.end()) {
    AddTo(*same, key);
    same->heard_at = std::max(same->heard_at, heard_at);
    return same->number;
  }
  while (entries_.size() >= kMaxEntries || keys_ >= kMaxKeys) {
    GiveUpTheOldest();
  }
  Entry entry;
  entry.number = next_number_++;
  entry.node_id = server.node_id;
  entry.run_id = server.run_id;
  entry.endpoint = server.endpoint;
  entry.cluster = server.cluster;
  entry.client_id = id;
  entry.heard_at = heard_at;
  entry.open = open;
  AddTo(entry, key);
  entries_.push_back(std::move(entry));
  return entries_.back().number;
}

void LostConnections::AddKey(std::uint64_t number, CommandKey key) {
  const std::scoped_lock lock(mutex_);
  if (Entry* const entry = Find(number)) {
    AddTo(*entry, key);
  } else {
    GiveUp(key);
  }
}

void LostConnections::GiveUp(CommandKey key) noexcept {
  if (key == kEveryKey) {
    given_up_.set();
  } else if (key != kNoKey) {
    given_up_.set(key % kGivenUpBits);
  }
}

bool LostConnections::IsGivenUp(CommandKey key) const noexcept {
  return given_up_.test(key % kGivenUpBits);
}

void LostConnections::GiveUpTheOldest() {
  const Entry& oldest = entries_.front();
  if (oldest.every_key) GiveUp(kEveryKey);
  for (const CommandKey key : oldest.keys) GiveUp(key);
  Remove(oldest);
  entries_.pop_front();
}

void LostConnections::Close(std::uint64_t number) {
  const std::scoped_lock lock(mutex_);
  if (Entry* const entry = Find(number)) entry->open = false;
}

void LostConnections::Resolve(std::uint64_t number) {
  const std::scoped_lock lock(mutex_);
  std::erase_if(entries_, [&](const Entry& e) {
    if (e.number != number) return false;
    Remove(e);
    return true;
  });
}

void LostConnections::SetUnfenceable(std::uint64_t number) {
  const std::scoped_lock lock(mutex_);
  if (Entry* const entry = Find(number)) entry->client_id = 0;
}

void LostConnections::OnServer(const ServerIdentity& server) {
  const std::scoped_lock lock(mutex_);
  std::erase_if(entries_, [&](const Entry& e) {
    if (!IsGone(e, server)) return false;
    Remove(e);
    return true;
  });
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

void LostConnections::List(CommandKey key, std::vector<Target>& targets) const {
  targets.clear();
  const std::scoped_lock lock(mutex_);
  for (const Entry& entry : entries_) {
    if (!entry.Has(key)) continue;
    targets.push_back({.number = entry.number,
                       .node_id = entry.node_id,
                       .run_id = entry.run_id,
                       .endpoint = entry.endpoint,
                       .fenceable = entry.client_id != 0 && !entry.open,
                       .open = entry.open});
  }
}

bool LostConnections::IsSettled(CommandKey key) const {
  const std::scoped_lock lock(mutex_);
  return !IsGivenUp(key) && std::none_of(entries_.begin(), entries_.end(),
                                         [key](const Entry& e) { return e.Has(key); });
}

std::size_t LostConnections::size() const {
  const std::scoped_lock lock(mutex_);
  return entries_.size();
}

}  // namespace ffgrant::valkey::internal
