// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/valkey/deployment_worker.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <thread>
#include <utility>

#include "ffgrant/claims/ending.h"
#include "ffgrant/internal/blocked_signals.h"
#include "ffgrant/internal/throw.h"

namespace ffgrant::valkey {
namespace {

// A refresh that failed is tried again after this time, or after a third of the registration's ttl
// if that is sooner.
constexpr std::int64_t kRetryMs = 1000;
constexpr std::int64_t kMostMs = 1000;
// The longest single wait of the thread that refreshes. Without this limit the time, in ns, might
// not fit into 64 bits.
constexpr std::int64_t kMaxWaitMs = 60'000;

Outcome RefuseLane(ErrorDetails* details, const LaneIdResult& lane) {
  if (details != nullptr) {
    details->clear();
    std::array<char, 96> text;
    const WriteResult written = FormatLaneIdError(lane, text);
    (void)details->Add({text.data(), written.size});
  }
  return {ClaimError::kInvalidInput};
}

}  // namespace

class DeploymentWorker::Impl {
 public:
  explicit Impl(const DeploymentWorkerOptions& o) : options(o) {
    if (o.registration_ttl_ms < 1000 || o.registration_ttl_ms > kMaxTtlMs) {
      ffgrant::internal::Throw<std::invalid_argument>(
          "registration_ttl_ms must be in 1000..kMaxTtlMs");
    }
    // Checks the options of the ledger and the keeper now, rather than in Start().
    ValkeyLedger checked(o.ledger);
    LeaseKeeperOptions without_threads = o.keeper;
    without_threads.has_threads = false;
    const LeaseKeeper checked_too(checked, std::move(without_threads));
  }

  Outcome Start(ErrorDetails* details) {
    lanes.clear();
    for (const std::string& text : options.lanes) {
      const LaneIdResult lane = ParseLaneId(text);
      if (!lane) return RefuseLane(details, lane);
      lanes.push_back(lane.lane);
    }
    ValkeyLedgerOptions with_counts = options.ledger;
    with_counts.connections = 1;
    const StoredPartitions counts = ValkeyLedger(with_counts).ReadPartitions(details);
    if (!counts) return counts;
    with_counts.connections = options.ledger.connections;
    with_counts.defaults.partitions = counts.partitions;
    // The keeper and the worker use the ledger, so they are destroyed before it.
    keeper.reset();
    worker.reset();
    ledger.emplace(with_counts);
    server = {};
    if (const Outcome connected = ledger->Connect(server, details); !connected) return connected;
    WorkerOptions checking = options.worker;
    checking.partitions = counts.partitions;
    worker.emplace(*ledger, SystemClock(), checking);
    keeper.emplace(*ledger, options.keeper);
    if (lanes.empty()) return {};
    // Views `options`, not `worker`: if Stop() can't end the registration, `registered` is still
    // needed after the next Start() has replaced `worker`.
    registered = {.worker = {{options.worker.worker_id}, {options.worker.worker_instance_id}},
                  .lanes = lanes,
                  .offered = &options.offered,
                  .ttl_ms = options.registration_ttl_ms,
                  .token = registered.token};
    const Outcome outcome = ledger->RegisterWorker(registered, details);
    Note(outcome);
    is_registered = outcome.error == ClaimError::kNone;
    may_be_registered = outcome.error != ClaimError::kInvalidInput;
    if (is_registered && options.has_thread) {
      const ffgrant::internal::BlockedSignals blocked;
      refresher = std::thread([this] { Refresh(); });
    }
    return outcome;
  }

  Outcome Stop(ErrorDetails* details) noexcept {
    if (details != nullptr) details->clear();
    {
      const std::lock_guard lock(mutex);
      ends = true;
    }
    changed.notify_all();
    if (refresher.joinable()) refresher.join();
    {
      const std::lock_guard lock(mutex);
      ends = false;
    }
    is_registered = false;
    if (!may_be_registered) return {};
    const Outcome outcome = ledger->UnregisterWorker(registered, details);
    may_be_registered = !outcome;
    return outcome;
  }

  // Refreshes the registration if that is due. Returns in how many ms to call RefreshIfDue() again.
  std::int64_t RefreshIfDue() noexcept {
    if (const std::int64_t left = LeftMs(); left > 0) return left;
    Note(ledger->RefreshWorker(registered));
    return std::max<std::int64_t>(LeftMs(), 1);
  }

  std::int64_t LeftMs() noexcept {
    const std::lock_guard lock(mutex);
    return refresh_at - keeper->NowMs();
  }

  void Refresh() noexcept {
    std::unique_lock lock(mutex);
    while (!ends) {
      lock.unlock();
      const std::int64_t wait = std::min(RefreshIfDue(), kMaxWaitMs);
      lock.lock();
      changed.wait_for(lock, std::chrono::milliseconds(wait), [this] { return ends; });
    }
  }

  void Note(const Outcome& outcome) noexcept {
    const std::lock_guard lock(mutex);
    last = outcome;
    const std::int64_t third = options.registration_ttl_ms / 3;
    refresh_at = keeper->NowMs() + (outcome ? third : std::min(kRetryMs, third));
  }

  const DeploymentWorkerOptions options;
  std::vector<LaneIdView> lanes;  // views into options.lanes
  ServerInfo server;
  std::optional<ValkeyLedger> ledger;
  std::optional<Worker> worker;
  std::optional<LeaseKeeper> keeper;
  // Each Work that has a lease holds a copy until Work::LetGo(), so use_count() tells Start()
  // whether such a Work is left.
  const std::shared_ptr<const void> held = std::make_shared<char>();
  WorkerRegistration registered;
  bool is_registered = false;
  bool may_be_registered = false;  // also true if RegisterWorker() failed, but not with
                                   // kInvalidInput
  std::thread refresher;
  mutable std::mutex mutex;
  std::condition_variable changed;
  // The mutex protects these:
  bool ends = false;
  std::int64_t refresh_at = 0;
  Outcome last;
};

// ---- work --------------------------------------------------------------------------

void Work::LetGo() noexcept {
  kept_.Release();
  permit_.Release();
  holds_.reset();
}

Outcome Work::ReadInput(ExecutionInput& out, ErrorDetails* details) noexcept {
  return ledger_->ReadInput(id(), lease_.attempt_index, out, details);
}

Outcome Work::Complete(std::string_view result, ErrorDetails* details) noexcept {
  const Outcome outcome =
      CompleteOnce(*ledger_, {.execution_id = id(), .fence = lease_.fence}, result, details);
  LetGo();
  return outcome;
}

FailOutcome Work::Fail(std::string_view reason, std::string_view category,
                       ErrorDetails* details) noexcept {
  const FailOutcome outcome = FailOnce(
      *ledger_,
      {.execution_id = id(), .fence = lease_.fence, .reason = reason, .category = category},
      details);
  LetGo();
  return outcome;
}

// ---- the worker --------------------------------------------------------------------

DeploymentWorker::DeploymentWorker(const DeploymentWorkerOptions& options)
    : impl_(std::make_unique<Impl>(options)) {}

DeploymentWorker::~DeploymentWorker() { (void)Stop(); }

Outcome DeploymentWorker::Start(ErrorDetails* details) {
  // A new start would end the keeper and the worker that the Work still uses.
  if (impl_->held.use_count() > 1) {
    if (details != nullptr) {
      details->clear();
      (void)details->Add("a Work of an earlier Start() still lives");
    }
    return {ClaimError::kInvalidInput};
  }
  (void)Stop();
  return impl_->Start(details);
}

Outcome DeploymentWorker::Stop(ErrorDetails* details) noexcept { return impl_->Stop(details); }

Work DeploymentWorker::Claim(const ClaimGrantView& grant, LaneIdView lane, ErrorDetails* details) {
  const std::int64_t sent_ms = impl_->keeper->NowMs();
  return Begin(impl_->worker->ClaimFromGrant(grant, lane, details), grant.execution_id, sent_ms,
               details);
}

Work DeploymentWorker::Reclaim(const ReclaimGrantView& grant, ErrorDetails* details) {
  const std::int64_t sent_ms = impl_->keeper->NowMs();
  const Worker::ReclaimTarget target = {grant.grant.execution_id, grant.lane_id, {}};
  return Begin(impl_->worker->ClaimFromReclaimGrant(grant, target, details), target.execution_id,
               sent_ms, details);
}

Work DeploymentWorker::Begin(WorkerClaim claim, const ExecutionIdView& id, std::int64_t sent_ms,
                             ErrorDetails* details) {
  Impl& m = *impl_;
  Work work;
  work.error = claim.error;
  work.ingress_ = claim.ingress;
  if (claim.error == ClaimError::kUnknownOutcome) {
    ErrorDetails why;
    // Takes a permit for the execution that may have been claimed. If other calls have taken all
    // permits meanwhile, the execution has to do without one.
    claim.permit = m.worker->TakePermit();
    const FoundClaim found = m.ledger->FindClaim(id, claim.lease.fence.lease_id, &why);
    if (found && found.fate == ClaimFate::kHeld) {
      claim.lease = found.lease;
      work.error = ClaimError::kNone;
    } else if (found && found.fate == ClaimFate::kEnded) {
      work.error = ClaimError::kStaleLease;
    } else if (found && found.final) {
      work.error = ClaimError::kUnavailable;
    }
    // If FindClaim() gave no details, those of the claim still say what went wrong.
    if (details != nullptr && (work || why.size() != 0)) *details = why;
  }
  if (!work) return work;
  work.holds_ = m.held;
  work.ledger_ = &*m.ledger;
  work.id_ = ExecutionId(id);
  work.lease_ = claim.lease;
  work.permit_ = std::move(claim.permit);
  work.kept_ = m.keeper->Keep(work.id(), claim.lease, m.options.worker.lease_ttl_ms, sent_ms);
  return work;
}

Outcome DeploymentWorker::registration() const noexcept {
  const std::lock_guard lock(impl_->mutex);
  return impl_->last;
}

std::int64_t DeploymentWorker::RunDue() {
  Impl& m = *impl_;
  const std::int64_t renewed = m.options.keeper.has_threads ? kMostMs : m.keeper->RunDue();
  const bool refreshes = m.is_registered && !m.options.has_thread;
  const std::int64_t refreshed = refreshes ? m.RefreshIfDue() : kMostMs;
  return std::min({renewed, refreshed, kMostMs});
}

ValkeyLedger& DeploymentWorker::ledger() noexcept { return *impl_->ledger; }
LeaseKeeper& DeploymentWorker::keeper() noexcept { return *impl_->keeper; }
const ServerInfo& DeploymentWorker::server() const noexcept { return impl_->server; }
WorkerIdentity DeploymentWorker::identity() const noexcept { return impl_->worker->identity(); }

}  // namespace ffgrant::valkey
