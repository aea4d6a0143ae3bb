// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/claims/lease_keeper.h"

#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <stdexcept>
#include <utility>

#include "ffgrant/internal/blocked_signals.h"
#include "ffgrant/internal/throw.h"
#include "ffgrant/uuid_generator.h"

namespace ffgrant {

namespace internal {

// A lease that a keeper keeps. The keeper's mutex guards all members except the atomic ones and
// those that never change.
struct KeptEntry {
  std::string id_text;
  ExecutionIdView id;  // points into id_text
  AttemptIndex attempt_index;
  LeaseFence fence;
  std::int64_t ttl_ms = 0;

  std::atomic<std::int64_t> held_until{0};  // on the keeper's clock, with the margin subtracted
  std::atomic<ClaimError> error{ClaimError::kNone};
  // True once the lease was released. From then on the keeper may be gone.
  std::atomic<bool> is_released{false};
  std::int64_t due = 0;
  bool renewing = false;

  // Marks the lease as lost. Returns why it is lost: the first reason stays.
  ClaimError SetLost(ClaimError why) noexcept {
    ClaimError first = ClaimError::kNone;
    return error.compare_exchange_strong(first, why) ? why : first;
  }
  // Returns how many ms longer the lease is held at `now`; 0 if it is lost. If the lease's time is
  // over, this call makes it lost for good, even if a renewal that was sent before succeeds just
  // now.
  std::int64_t LeftMs(std::int64_t now) noexcept {
    if (error.load() != ClaimError::kNone) return 0;
    const std::int64_t left = held_until.load() - now;
    if (left > 0) return left;
    SetLost(ClaimError::kLeaseExpired);
    return 0;
  }
};

}  // namespace internal

namespace {

// The keeper never waits longer than this, so that it notices a clock that went on while the
// machine slept.
constexpr std::int64_t kLongestWaitMs = 1000;

std::int64_t BootTimeMs() noexcept {
  timespec now;
#ifdef CLOCK_BOOTTIME
  (void)clock_gettime(CLOCK_BOOTTIME, &now);
#else
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
#endif
  return static_cast<std::int64_t>(now.tv_sec) * 1000 + now.tv_nsec / 1'000'000;
}

// Returns a random number in [0, 1).
double RandomPart() noexcept {
  std::uint32_t bits;
  std::memcpy(&bits, RandomUuid().bytes.data(), sizeof bits);
  return static_cast<double>(bits) / 4294967296.0;
}

const LeaseKeeperOptions& Checked(const LeaseKeeperOptions& o) {
  if (!(o.renew_after >= 0.05 && o.renew_after <= 0.9) || !(o.jitter >= 0 && o.jitter <= 0.5) ||
      o.margin_ms < 0 || o.retry_ms < 1 || o.renewers < 1 || o.renewers > 64) {
    internal::Throw<std::invalid_argument>("ffgrant: a LeaseKeeper's options are out of range");
  }
  return o;
}

}  // namespace

// ---- a kept lease ------------------------------------------------------------

KeptLease::KeptLease(LeaseKeeper* keeper, std::shared_ptr<internal::KeptEntry> entry) noexcept
    : keeper_(keeper), entry_(std::move(entry)) {}

KeptLease::KeptLease(KeptLease&& other) noexcept
    : keeper_(other.keeper_), entry_(std::move(other.entry_)) {}

KeptLease& KeptLease::operator=(KeptLease&& other) noexcept {
  if (this != &other) {
    Release();
    keeper_ = other.keeper_;
    entry_ = std::move(other.entry_);
  }
  return *this;
}

KeptLease::operator bool() const noexcept {
  return entry_ != nullptr && !entry_->is_released.load();
}

ClaimError KeptLease::error() const noexcept {
  if (!*this) return ClaimError::kNone;
  (void)entry_->LeftMs(keeper_->NowMs());
  return entry_->error.load();
}

bool KeptLease::lost() const noexcept { return error() != ClaimError::kNone; }

std::int64_t KeptLease::LeftMs() const noexcept {
  return *this ? entry_->LeftMs(keeper_->NowMs()) : 0;
}

void KeptLease::Release() noexcept {
  if (*this) keeper_->Release(entry_);
}

// ---- the keeper ----------------------------------------------------------------

LeaseKeeper::LeaseKeeper(ClaimLedger& ledger, LeaseKeeperOptions options)
    : ledger_(ledger), options_(Checked(options)) {
  if (!options_.has_threads) return;
  const internal::BlockedSignals blocked;
  for (std::size_t i = 0; i < options_.renewers; ++i) {
    threads_.all.emplace_back([this] { RenewLoop(); });
  }
  threads_.all.emplace_back([this] { WatchLoop(); });
}

LeaseKeeper::Threads::~Threads() {
  {
    const Lock lock(keeper.mutex_);
    keeper.ends_ = true;
  }
  keeper.changed_.notify_all();
  for (std::thread& thread : all) thread.join();
}

std::int64_t LeaseKeeper::NowMs() const {
  return options_.now_ms ? options_.now_ms() : BootTimeMs();
}

std::int64_t LeaseKeeper::Interval(std::int64_t ttl_ms) const {
  const double held = static_cast<double>(ttl_ms) - static_cast<double>(options_.margin_ms);
  const double full = std::min(static_cast<double>(ttl_ms) * options_.renew_after,
                               held * std::max(options_.renew_after, 0.5));
  return std::max<std::int64_t>(
      1, static_cast<std::int64_t>(full * (1 - options_.jitter * RandomPart()) + 0.5));
}

KeptLease LeaseKeeper::Keep(const ExecutionIdView& id, const Lease& lease, std::int64_t ttl_ms,
                            std::int64_t sent_ms) {
  auto entry = std::make_shared<Entry>();
  entry->id_text = std::string(id.text());
  entry->id = ParseExecutionId(entry->id_text, ParseMode::kLenient).id;
  entry->attempt_index = lease.attempt_index;
  entry->fence = lease.fence;
  entry->ttl_ms = ttl_ms;
  entry->held_until.store(sent_ms + ttl_ms - options_.margin_ms);
  entry->due = sent_ms + Interval(ttl_ms);
  {
    const Lock lock(mutex_);
    entries_.push_back(entry);
  }
  changed_.notify_all();
  return {this, std::move(entry)};
}

void LeaseKeeper::Release(const std::shared_ptr<Entry>& entry) noexcept {
  const Lock lock(mutex_);
  std::erase(entries_, entry);
  entry->is_released.store(true);
}

std::size_t LeaseKeeper::size() const {
  const Lock lock(mutex_);
  const std::int64_t now = NowMs();
  return static_cast<std::size_t>(std::count_if(
      entries_.begin(), entries_.end(), [&](const auto& entry) { return entry->LeftMs(now) > 0; }));
}

std::shared_ptr<LeaseKeeper::Entry> LeaseKeeper::FirstDue(std::int64_t now,
                                                          std::int64_t& next) const {
  std::shared_ptr<Entry> first;
  for (const auto& entry : entries_) {
    if (entry->renewing) continue;
    next = std::min(next, entry->due);
    if (entry->due <= now && (first == nullptr || entry->due < first->due)) first = entry;
  }
  return first;
}

void LeaseKeeper::Lose(Lock& lock, const std::shared_ptr<Entry>& entry, ClaimError why) {
  // If the lease was released meanwhile, or is lost already, on_lost is not called.
  if (std::erase(entries_, entry) == 0) return;
  why = entry->SetLost(why);
  if (!options_.on_lost) return;
  lock.unlock();
  options_.on_lost(entry->id, why);
  lock.lock();
}

void LeaseKeeper::LoseOverdue(Lock& lock, std::int64_t now, std::int64_t& next) {
  for (bool again = true; again;) {
    again = false;
    for (const auto& entry : entries_) {
      if (const std::int64_t left = entry->LeftMs(now); left > 0) {
        next = std::min(next, now + left);
        continue;
      }
      Lose(lock, std::shared_ptr<Entry>(entry), ClaimError::kLeaseExpired);
      again = true;  // the list may have changed
      break;
    }
  }
}

// The caller must hold the lock. The function releases it while it asks the ledger, and while
// `on_lost` runs.
void LeaseKeeper::Renew(Lock& lock, const std::shared_ptr<Entry>& entry) {
  const std::int64_t sent = NowMs();
  if (entry->LeftMs(sent) == 0) {
    Lose(lock, entry, ClaimError::kLeaseExpired);
    return;
  }
  entry->renewing = true;
  lock.unlock();
  const RenewOutcome outcome = ledger_.Renew({.execution_id = entry->id,
                                              .attempt_index = entry->attempt_index,
                                              .fence = entry->fence,
                                              .lease_ttl_ms = entry->ttl_ms});
  lock.lock();
  entry->renewing = false;
  const std::int64_t now = NowMs();
  // An answer that comes after the lease's time does not count, because lost() has been true since
  // then.
  if (entry->LeftMs(now) == 0) {
    Lose(lock, entry, ClaimError::kLeaseExpired);
  } else if (outcome) {
    entry->held_until.store(sent + entry->ttl_ms - options_.margin_ms);
    entry->due = sent + Interval(entry->ttl_ms);
  } else if (outcome.error == ClaimError::kUnavailable ||
             outcome.error == ClaimError::kUnknownOutcome) {
    entry->due = now + options_.retry_ms;
  } else {
    Lose(lock, entry, outcome.error);
  }
  // Another thread may have found, since this one has read the clock, that the time is over.
  if (entry->error.load() != ClaimError::kNone) Lose(lock, entry, ClaimError::kLeaseExpired);
  changed_.notify_all();
}

std::int64_t LeaseKeeper::RunDue() {
  Lock lock(mutex_);
  std::int64_t now = NowMs();
  for (const std::int64_t begin = now;; now = NowMs()) {
    std::int64_t next = now + kLongestWaitMs;
    LoseOverdue(lock, now, next);
    const std::shared_ptr<Entry> due = FirstDue(begin, next);
    if (due == nullptr) return std::clamp<std::int64_t>(next - now, 1, kLongestWaitMs);
    Renew(lock, due);
  }
}

void LeaseKeeper::RenewLoop() {
  Lock lock(mutex_);
  while (!ends_) {
    const std::int64_t now = NowMs();
    std::int64_t next = now + kLongestWaitMs;
    if (const std::shared_ptr<Entry> due = FirstDue(now, next)) {
      Renew(lock, due);
    } else {
      changed_.wait_for(lock, std::chrono::milliseconds(std::max<std::int64_t>(next - now, 1)));
    }
  }
}

void LeaseKeeper::WatchLoop() {
  Lock lock(mutex_);
  while (!ends_) {
    const std::int64_t now = NowMs();
    std::int64_t next = now + kLongestWaitMs;
    LoseOverdue(lock, now, next);
    if (ends_) return;
    changed_.wait_for(lock, std::chrono::milliseconds(std::max<std::int64_t>(next - now, 1)));
  }
}

}  // namespace ffgrant
