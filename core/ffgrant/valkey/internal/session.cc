// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/valkey/internal/session.h"

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <utility>

#include "ffgrant/internal/throw.h"

namespace ffgrant::valkey::internal {
namespace {

constexpr std::int64_t kMaxWaitMs = 60'000;  // the longest single wait on a condition variable

}  // namespace

SharedClient::SharedClient(const ClientOptions& options, std::unique_ptr<Network> network,
                           std::shared_ptr<Deployment> deployment)
    : limit_ms_(options.request_timeout_ms),
      window_(options.max_in_flight),
      client_(options, std::move(network), std::move(deployment)) {}

SharedClient::~SharedClient() = default;

// ---- a call's place ----------------------------------------------------------------

void Session::Begin() noexcept {
  const std::int64_t now = NowMs();
  deadline_ = now + std::min(shared_.limit_ms_, Client::kNever - now);
  cancels_ = shared_.client_.cancels();
  const Lock lock(shared_.mutex_);
  leads_ = TryLead();
}

void Session::End() noexcept {
  if (!leads_ && !unsent_) return;
  if (!leads_) WaitFor(SIZE_MAX, kNoEnd);  // until all commands are sent
  Lock lock(shared_.mutex_);
  if (leads_ && unsent_) shared_.client_.Poll(0);
  unsent_ = false;
  if (!leads_) return;
  WakeTheDone(lock);
  HandOver(lock);
}

std::int64_t Session::SetDeadline(std::int64_t deadline) noexcept {
  const Lock lock(shared_.mutex_);
  return std::exchange(deadline_, deadline);
}

ServerInfo Session::server() const {
  const Lock lock(shared_.mutex_);
  return shared_.client_.server();
}

std::uint64_t Session::ends() const noexcept {
  const Lock lock(shared_.mutex_);
  return ends_;
}

bool Session::TryLead() noexcept {
  if (shared_.leader_ != nullptr) return false;
  shared_.leader_ = this;
  return true;
}

// Makes the session that has waited longest, and is not done, the leader. The next leader finds in
// the inbox what has been handed in meanwhile. If no call waits, only commands that nobody waits
// for are under way.
void Session::HandOver(Lock& lock) noexcept {
  leads_ = false;
  const auto next = std::find_if(shared_.waiting_.begin(), shared_.waiting_.end(),
                                 [](const Session* other) { return !other->IsDone(); });
  Session* const leader = next == shared_.waiting_.end() ? nullptr : *next;
  shared_.leader_ = leader;
  if (leader != nullptr) leader->leads_ = true;
  lock.unlock();
  if (leader != nullptr) leader->changed_.notify_one();
}

// Wakes the sessions that are done. Releases the lock while it wakes them, because their threads
// would otherwise only wait for the lock. A session outlives its call, so it does no harm to notify
// a thread that is awake already.
void Session::WakeTheDone(Lock& lock) noexcept {
  if (shared_.done_.empty()) return;
  lock.unlock();
  for (Session* const other : shared_.done_) other->changed_.notify_one();
  shared_.done_.clear();
  lock.lock();
}

Session::Written& Session::AddWritten(std::uint16_t slot, bool read_only, const CallTarget& target,
                                      CommandKey key) {
  if (written_size_ == written_.size()) written_.emplace_back();
  Written& written = written_[written_size_++];
  written.slot = slot;
  written.read_only = read_only;
  written.settles = false;
  written.key = key;
  written.deadline = deadline_;
  written.target = target;
  written.bytes.clear();
  return written;
}

void Session::SubmitSettling(CommandKey key, std::int64_t deadline, const CallTarget& target) {
  const Lock lock(shared_.mutex_);
  ++open_;
  if (leads_) {
    shared_.client_.SubmitSettling(key, std::min(deadline, DeadlineNow()), target);
    return;
  }
  Written& written = AddWritten(0, true, target, key);
  written.settles = true;
  written.deadline = deadline;
}

// Gives the client the commands that were written while another thread led.
void Session::HandIn() noexcept {
  for (std::size_t i = 0; i < written_size_; ++i) {
    Written& written = written_[i];
    if (DeadlineNow() == Client::kCancelledDeadline) written.deadline = DeadlineNow();
    if (written.settles) {
      shared_.client_.SubmitSettling(written.key, written.deadline, written.target);
      continue;
    }
    shared_.client_.MakeRoom();
    (void)shared_.client_.SubmitWritten(written.slot, written.read_only, written.target,
                                        written.bytes, written.function, written.deadline,
                                        written.key);
  }
  written_size_ = 0;
}

// OnEnd() is called with the lock held, by the leading thread or by that of TurnIdle().
void Session::OnEnd(std::size_t open) noexcept {
  open_ -= open;
  ++ends_;
  if (waits_ && IsDone()) shared_.done_.push_back(this);
}

// Sends what can be sent, and wakes the leader if there is something for it to do.
void Session::TellTheLeader() noexcept {
  bool wake = !shared_.client_.SendNow() || deadline_ < shared_.leader_waits_until_;
  if (written_size_ > 0) {
    shared_.inbox_.push_back(this);
    wake = true;
  }
  if (wake) shared_.client_.Wake();
}

void Session::WaitFor(std::size_t below, std::uint64_t after, std::int64_t until) noexcept {
  Lock lock(shared_.mutex_);
  wants_below_ = below;
  wants_after_ = after;
  if (!leads_) {
    if (IsDone() && !unsent_) return;
    leads_ = TryLead();
  }
  if (!leads_) {
    TellTheLeader();
    shared_.waiting_.push_back(this);
    waits_ = true;
    WaitForLeader(lock, until);
    waits_ = false;
    std::erase(shared_.waiting_, this);
    unsent_ = written_size_ > 0;  // true if the time was up before the leader took the commands
  }
  if (leads_) Lead(lock, until);
}

bool Session::WaitUntil(std::int64_t until) noexcept {
  WaitFor(1, kNoEnd, until);
  const Lock lock(shared_.mutex_);
  return open_ == 0;
}

void Session::WaitForLeader(Lock& lock, std::int64_t until) noexcept {
  const auto over = [this] { return leads_ || IsDone(); };
  if (until == Client::kNever) {
    changed_.wait(lock, over);
    return;
  }
  // The wait uses another clock than the network. So a caller that sets a limit looks at the
  // network's clock afterwards.
  const std::int64_t ms = std::clamp<std::int64_t>(until - NowMs(), 0, kMaxWaitMs);
  (void)changed_.wait_for(lock, std::chrono::milliseconds(ms), over);
}

void Session::Lead(Lock& lock, std::int64_t until) noexcept {
  Client& client = shared_.client_;
  HandIn();
  while (!HasWhatItWants() && (until == Client::kNever || client.NowMs() < until)) {
    for (Session* const other : shared_.inbox_) {
      other->HandIn();
      if (other->waits_ && other->IsDone()) shared_.done_.push_back(other);
    }
    shared_.inbox_.clear();
    std::int64_t wait_ms = client.BeginTurn();
    unsent_ = false;
    if (wait_ms < 0) {
      WakeTheDone(lock);
      continue;
    }
    if (until != Client::kNever) {
      wait_ms = std::clamp<std::int64_t>(until - client.NowMs(), 0, wait_ms);
    }
    shared_.leader_waits_until_ = client.NowMs() + std::min(wait_ms, Client::kNever / 2);
    WakeTheDone(lock);  // sessions that only had to hand in their commands, and need no answer
    lock.unlock();
    client.WaitInTurn(wait_ms);
    lock.lock();
    client.EndTurn();
    WakeTheDone(lock);
  }
}

// ---- the pool ----------------------------------------------------------------------

SessionPool::SessionPool(const ClientOptions& options, std::size_t size) {
  if (size == 0 || size > 1024)
    ffgrant::internal::Throw<std::invalid_argument>("ffgrant: 1 to 1024 connections");
  for (std::size_t i = 0; i < size; ++i) {
    clients_.push_back(std::make_unique<SharedClient>(options, MakeNetwork(options), deployment_));
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

void SessionPool::TurnIdle() noexcept {
  for (const auto& shared : clients_) {
    const std::scoped_lock lock(shared->mutex_);
    if (shared->leader_ != nullptr) continue;
    (void)shared->client_.BeginTurn();
    shared->client_.EndTurn();
  }
}

SessionPool::Lease::~Lease() {
  session.End();
  shared_.users_.fetch_sub(1, std::memory_order_relaxed);
  {
    const std::scoped_lock lock(shared_.mutex_);
    shared_.idle_.push_back(std::move(owned_));
  }
  shared_.client_.TellLog();
}

}  // namespace ffgrant::valkey::internal
