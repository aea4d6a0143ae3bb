// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/valkey/internal/session.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace ffgrant::valkey::internal {

SharedClient::SharedClient(const ClientOptions& options, std::unique_ptr<Network> network,
                           std::shared_ptr<LostConnections> lost)
    : limit_ms_(options.request_timeout_ms),
      window_(options.max_in_flight),
      client_(options, std::move(network), std::move(lost)) {}

SharedClient::~SharedClient() = default;

// ---- a call's place ----------------------------------------------------------------

void Session::Begin() noexcept {
  const std::int64_t now = NowMs();
  deadline_ = now + std::min(shared_.limit_ms_, Client::kNever - now);
  const std::scoped_lock lock(shared_.mutex_);
  leads_ = TryLead();
}

void Session::End() noexcept {
  if (!leads_) return;
  const std::scoped_lock lock(shared_.mutex_);
  HandOver();
}

bool Session::TryLead() noexcept {
  if (shared_.has_leader_) return false;
  shared_.has_leader_ = true;
  return true;
}

// Whoever takes over finds in the inbox what has been handed in meanwhile. If nobody
// waits, nothing is under way but what nobody waits for.
void Session::HandOver() noexcept {
  CopyServer();
  leads_ = false;
  const auto next = std::find_if(
      shared_.waiting_.begin(), shared_.waiting_.end(), [](const Session* other) {
        return other->open_.load(std::memory_order_relaxed) >= other->wants_below_;
      });
  shared_.has_leader_ = next != shared_.waiting_.end();
  if (!shared_.has_leader_) return;
  (*next)->leads_ = true;
  (*next)->changed_.notify_one();
}

void Session::CopyServer() {
  if (!(shared_.server_ == shared_.client_.server())) shared_.server_ = shared_.client_.server();
}

ServerInfo Session::server() const {
  if (leads_) return shared_.client_.server();
  const std::scoped_lock lock(shared_.mutex_);
  return shared_.server_;
}

Session::Written& Session::AddWritten(std::uint16_t slot, bool read_only,
                                      const CallTarget& target) {
  if (written_size_ == written_.size()) written_.emplace_back();
  Written& written = written_[written_size_++];
  written.slot = slot;
  written.read_only = read_only;
  written.settles = false;
  written.deadline = deadline_;
  written.target = target;
  written.bytes.clear();
  return written;
}

void Session::SubmitSettling(std::uint16_t slot, std::uint64_t before, std::int64_t deadline,
                             const CallTarget& target) {
  open_.fetch_add(1, std::memory_order_relaxed);
  if (leads_) {
    shared_.client_.SubmitSettling(slot, before, deadline, target);
    return;
  }
  Written& written = AddWritten(slot, true, target);
  written.settles = true;
  written.before = before;
  written.deadline = deadline;
}

// What was written while another led goes to the client.
void Session::HandIn() noexcept {
  for (std::size_t i = 0; i < written_size_; ++i) {
    Written& written = written_[i];
    if (written.settles) {
      shared_.client_.SubmitSettling(written.slot, written.before, written.deadline,
                                     written.target);
      continue;
    }
    shared_.client_.MakeRoom();
    (void)shared_.client_.SubmitWritten(written.slot, written.read_only, written.target,
                                        written.bytes, written.deadline);
  }
  written_size_ = 0;
}

void Session::Ended() noexcept {
  if (leads_) {
    open_.fetch_sub(1, std::memory_order_relaxed);
    return;
  }
  // With the lock: once its thread sees the last end, the session may be gone.
  const std::scoped_lock lock(shared_.mutex_);
  CopyServer();
  if (open_.fetch_sub(1, std::memory_order_relaxed) - 1 < wants_below_) changed_.notify_one();
}

void Session::WaitUntilBelow(std::size_t open) noexcept {
  if (!leads_) {
    std::unique_lock lock(shared_.mutex_);
    if (TryLead()) {
      leads_ = true;
    } else {
      if (written_size_ > 0) {
        shared_.inbox_.push_back(this);
        if (shared_.inbox_.size() == 1) shared_.client_.Wake();
      }
      shared_.waiting_.push_back(this);
      wants_below_ = open;
      changed_.wait(lock, [&] { return leads_ || open_.load(std::memory_order_relaxed) < open; });
      wants_below_ = 0;
      std::erase(shared_.waiting_, this);
      if (!leads_) return;
    }
  }
  Lead(open);
}

void Session::Lead(std::size_t open) noexcept {
  HandIn();
  while (open_.load(std::memory_order_relaxed) >= open) {
    {
      const std::scoped_lock lock(shared_.mutex_);
      for (Session* const other : shared_.inbox_) other->HandIn();
      shared_.inbox_.clear();
    }
    shared_.client_.Turn();
  }
}

// ---- the pool ----------------------------------------------------------------------

SessionPool::SessionPool(const ClientOptions& options, std::size_t size) {
  if (size == 0 || size > 1024) throw std::invalid_argument("ffgrant: 1 to 1024 connections");
  for (std::size_t i = 0; i < size; ++i) {
    clients_.push_back(std::make_unique<SharedClient>(
        options, options.make_network ? options.make_network() : MakeSocketNetwork(), lost_));
  }
}

SessionPool::Lease SessionPool::Take() noexcept {
  SharedClient* best = clients_.front().get();
  for (const auto& client : clients_) {
    if (client->users() < best->users()) best = client.get();
    if (best->users() == 0) break;
  }
  best->users_.fetch_add(1, std::memory_order_relaxed);
  std::unique_ptr<Session> session;
  {
    const std::scoped_lock lock(best->mutex_);
    if (!best->idle_.empty()) {
      session = std::move(best->idle_.back());
      best->idle_.pop_back();
    }
  }
  if (session == nullptr) session = std::make_unique<Session>(*best);
  return {*best, std::move(session)};
}

SessionPool::Lease::~Lease() {
  session.End();
  shared_.users_.fetch_sub(1, std::memory_order_relaxed);
  const std::scoped_lock lock(shared_.mutex_);
  shared_.idle_.push_back(std::move(owned_));
}

}  // namespace ffgrant::valkey::internal
