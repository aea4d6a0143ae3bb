// SPDX-License-Identifier: Apache-2.0
//
// A DeploymentWorker does all that a worker of a FlowFabric deployment does on Valkey: it learns
// the deployment's partition counts, registers itself, claims what it is granted, keeps the leases,
// and returns results or failures.
//
//   valkey::DeploymentWorker worker({.ledger = {.client = {.servers = {{"10.0.0.5", 6379}}}},
//                                    .worker = {.worker_id = "cpp", .worker_instance_id = "cpp-1"},
//                                    .lanes = {"default"}});
//   if (!worker.Start(&why)) return Report(why);
//   while (GetGrant(grant)) {                           // for example by http::IssuerClient
//     valkey::Work work = worker.Claim(grant.view(), lane, &why);
//     if (!work || !work.ReadInput(input)) continue;
//     if (DoIt(input, result)) (void)work.Complete(result);
//     else (void)work.Fail("no disk", "transient");
//   }
//   (void)worker.Stop();
//
// Reclaim() takes over an execution whose worker has died.
//
// The parts of a DeploymentWorker can also be used by themselves: Worker, LeaseKeeper,
// CompleteOnce(), FailOnce(), and ValkeyLedger's RegisterWorker() and FindClaim().

#ifndef FFGRANT_VALKEY_DEPLOYMENT_WORKER_H_
#define FFGRANT_VALKEY_DEPLOYMENT_WORKER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ffgrant/claims/lease_keeper.h"
#include "ffgrant/claims/worker.h"
#include "ffgrant/config.h"
#include "ffgrant/valkey/valkey_ledger.h"

FFGRANT_API_BEGIN
namespace ffgrant::valkey {

struct DeploymentWorkerOptions {
  // `ledger.defaults.partitions` must be valid, but is not used: Start() reads the deployment's
  // counts.
  ValkeyLedgerOptions ledger = {};
  // `worker.partitions` is not used either: each grant is checked against the counts that Start()
  // has read.
  WorkerOptions worker = {};
  LeaseKeeperOptions keeper = {};
  // The lanes and the capabilities that the worker registers; ask for grants with the same lanes
  // and capabilities. Without lanes the worker registers nothing, and the deployment may starve
  // executions that only this worker could run (worker_registration.h).
  std::vector<std::string> lanes = {};
  CapabilitySet offered = {};
  // How long the registration lives on after its last refresh, unless Stop() ends it. The
  // registration is refreshed after each third of this time. 1000..kMaxTtlMs.
  std::int64_t registration_ttl_ms = 60'000;
  // Whether a thread of the worker's own refreshes the registration. If this is false, or the
  // keeper has no threads, the caller must call RunDue().
  bool has_thread = true;
};

class DeploymentWorker;

// A claimed execution, or the error of a claim. The lease is kept until Complete() or Fail()
// returns. If the Work dies before that, the lease runs out, and some worker has to take the
// execution over with Reclaim(). A Work can be moved. Its DeploymentWorker must outlive it. Only
// one thread at a time may use it.
class [[nodiscard]] Work : public Outcome {
 public:
  Work() = default;

  ExecutionIdView id() const noexcept { return id_.view(); }
  const Lease& lease() const noexcept { return lease_; }
  // Says what is wrong with a grant that was refused before anything was sent; kNone if the grant
  // was not refused.
  IngressError ingress() const noexcept { return ingress_; }
  // Whether the lease is lost: another worker may have the execution by now. The call only reads a
  // clock and never waits. Work that takes long should call it now and then.
  bool lost() const noexcept { return kept_.lost(); }

  // Calls ValkeyLedger::ReadInput().
  Outcome ReadInput(ExecutionInput& out, ErrorDetails* details = nullptr) noexcept;
  // Complete() calls CompleteOnce(), and Fail() calls FailOnce(); errors and time limits are the
  // same. The lease is renewed until that function returns. Then the lease is no longer kept, and
  // the permit is given back.
  Outcome Complete(std::string_view result, ErrorDetails* details = nullptr) noexcept;
  FailOutcome Fail(std::string_view reason, std::string_view category,
                   ErrorDetails* details = nullptr) noexcept;

 private:
  friend class DeploymentWorker;
  void LetGo() noexcept;

  std::shared_ptr<const void> holds_;  // Start() is refused while any Work has it
  ValkeyLedger* ledger_ = nullptr;
  ExecutionId id_;
  Lease lease_;
  IngressError ingress_ = IngressError::kNone;
  WorkerPermit permit_;
  KeptLease kept_;
};

// Thread-safe except for Start(), Stop() and the destructor, during which no other call may be
// under way. Allocates.
class DeploymentWorker {
 public:
  // Throws std::invalid_argument for options out of range. Only Start() connects.
  explicit DeploymentWorker(const DeploymentWorkerOptions& options);
  // Calls Stop(), which does nothing after a Stop() that has returned kNone.
  ~DeploymentWorker();
  DeploymentWorker(const DeploymentWorker&) = delete;
  DeploymentWorker& operator=(const DeploymentWorker&) = delete;

  // Reads the partition counts, connects and registers. Calls Stop() first, so it may be called
  // again, once each Work of the worker has been completed or failed, or has died. Blocks for at
  // most six times the ledger's request_timeout_ms. Throws std::system_error if the system has no
  // thread left.
  //   kUnavailable, kUnknownOutcome   no server can be reached, or the server refuses to serve, for
  //                                   example because the user may not read the counts or may not
  //                                   register: see ValkeyLedger::Connect()
  //   kInvalidInput                   the stored counts or a lane are not valid, or another process
  //                                   has registered this instance id, or a Work of an earlier
  //                                   Start() still lives, and then nothing has changed; the detail
  //                                   says so
  //   kUnknownCode                    the server answers with another error, for example because a
  //                                   key holds something of another type
  Outcome Start(ErrorDetails* details = nullptr);

  // Calls Worker::ClaimFromGrant(), and has its errors. A Start() must have returned kNone before.
  // If the answer to the claim is lost, FindClaim() finds out what became of the claim:
  //   kNone            the claim has happened, and its lease is kept like any other
  //   kStaleLease      the claim has happened, and its lease has ended since
  //   kUnavailable     the claim has not happened and can't happen any more
  //   kUnknownOutcome  it can't be told whether the claim has happened
  // Blocks for at most three times the ledger's request_timeout_ms.
  Work Claim(const ClaimGrantView& grant, LaneIdView lane, ErrorDetails* details = nullptr);

  // Takes over an execution whose lease has expired or was revoked, with a grant from
  // http::IssuerClient::Reclaim(). FlowFabric's server only marks the lease, and does not offer the
  // execution to another worker, so somebody must ask for the grant. Calls
  // Worker::ClaimFromReclaimGrant(), and has its errors; all else is as with Claim().
  Work Reclaim(const ReclaimGrantView& grant, ErrorDetails* details = nullptr);

  // Ends the registration, so that the deployment need not wait until the registration runs out.
  // Leases that are kept stay kept. If a Start() has failed, also ends the registration that this
  // Start() may have made. Has the errors of UnregisterWorker(); after an error Stop() may be
  // called again. Returns kNone if nothing is registered.
  Outcome Stop(ErrorDetails* details = nullptr) noexcept;

  // How the last try to register or to refresh ended. A worker whose registration another process
  // has taken (kInvalidInput) goes on; the caller decides whether to stop it.
  Outcome registration() const noexcept;

  // Call this if `has_thread` is false or the keeper has no threads. Renews the leases that are
  // due, unless the keeper has threads. Refreshes the registration if that is due, unless
  // `has_thread` is true. Returns in how many ms to call RunDue() again, at most 1000.
  std::int64_t RunDue();

  // The next four functions may be called after a Start() that returned kNone. What they return is
  // valid until the next Start() or the end of this object; Stop() does not change it.
  ValkeyLedger& ledger() noexcept;
  LeaseKeeper& keeper() noexcept;
  // What the last Start() found out. `refused_calls` names the calls that the user may not make.
  // Start() itself makes no call about an execution, so it succeeds even if some of these calls are
  // refused.
  const ServerInfo& server() const noexcept;
  WorkerIdentity identity() const noexcept;

 private:
  class Impl;
  Work Begin(WorkerClaim claim, const ExecutionIdView& id, std::int64_t sent_ms,
             ErrorDetails* details);

  std::unique_ptr<Impl> impl_;
};

}  // namespace ffgrant::valkey
FFGRANT_API_END

#endif  // FFGRANT_VALKEY_DEPLOYMENT_WORKER_H_
