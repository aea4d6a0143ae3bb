// SPDX-License-Identifier: Apache-2.0
//
// A worker of a FlowFabric deployment, from its start to its end: it learns the deployment's
// partition counts, registers itself, claims what it is granted, keeps the leases, and returns
// results or failures.
//
//   valkey::DeploymentWorker worker({.ledger = {.client = {.servers = {{"10.0.0.5", 6379}}}},
//                                    .worker = {.worker_id = "cpp", .worker_instance_id = "cpp-1"},
//                                    .lanes = {"default"}});
//   if (!worker.Start(&why)) return Report(why);
//   while (GetGrant(grant)) {                           // as from http::IssuerClient
//     valkey::Work work = worker.Claim(grant.view(), lane, &why);
//     if (!work || !work.ReadInput(input)) continue;
//     if (DoIt(input, result)) (void)work.Complete(result);
//     else (void)work.Fail("no disk", "transient");
//   }
//   (void)worker.Stop();
//
// What it is made of can be had by itself: Worker, LeaseKeeper, CompleteOnce(), FailOnce(), and
// ValkeyLedger's RegisterWorker() and FindClaim().

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
  // `defaults.partitions` are not looked at: Start() reads the deployment's.
  ValkeyLedgerOptions ledger = {};
  // `partitions` likewise; each grant is checked against the counts that Start() has read.
  WorkerOptions worker = {};
  LeaseKeeperOptions keeper = {};
  // What it registers as able to do, which must be what it asks for grants with. Without lanes it
  // registers nothing, and the deployment starves executions that only it could run
  // (worker_registration.h).
  std::vector<std::string> lanes = {};
  CapabilitySet offered = {};
  // How long the registration outlives this process; it is refreshed after each third of that.
  // 1000..kMaxTtlMs.
  std::int64_t registration_ttl_ms = 60'000;
  // A thread of its own refreshes the registration. Without it, and without the keeper's, the
  // caller calls RunDue().
  bool has_thread = true;
};

class DeploymentWorker;

// An execution that is claimed, whose lease is kept, until it has ended or this dies; then the
// lease runs out, and the deployment gives the execution to somebody else. Moveable; its worker
// must outlive it. One thread at a time.
class [[nodiscard]] Work : public Outcome {
 public:
  Work() = default;

  ExecutionIdView id() const noexcept { return id_.view(); }
  const Lease& lease() const noexcept { return lease_; }
  // What is wrong with a grant that was refused on entry; else kNone.
  IngressError ingress() const noexcept { return ingress_; }
  // Whether the lease is lost: somebody else may have the execution by now. Reads a clock and
  // waits for nobody; work of any length asks now and then.
  bool lost() const noexcept { return kept_.lost(); }

  // ValkeyLedger::ReadInput().
  Outcome ReadInput(ExecutionInput& out, ErrorDetails* details = nullptr) noexcept;
  // CompleteOnce() and FailOnce(): their errors and their limits. The lease is renewed until they
  // return, and no longer kept then; the permit is given back.
  Outcome Complete(std::string_view result, ErrorDetails* details = nullptr) noexcept;
  FailOutcome Fail(std::string_view reason, std::string_view category,
                   ErrorDetails* details = nullptr) noexcept;

 private:
  friend class DeploymentWorker;
  void LetGo() noexcept;

  ValkeyLedger* ledger_ = nullptr;
  ExecutionId id_;
  Lease lease_;
  IngressError ingress_ = IngressError::kNone;
  WorkerPermit permit_;
  KeptLease kept_;
};

// Thread-safe but for Start(), Stop() and the destructor, during which no other call may be under
// way. Allocates.
class DeploymentWorker {
 public:
  // Throws std::invalid_argument for options out of range. Connects with Start().
  explicit DeploymentWorker(const DeploymentWorkerOptions& options);
  // Stop(), unless that was called.
  ~DeploymentWorker();
  DeploymentWorker(const DeploymentWorker&) = delete;
  DeploymentWorker& operator=(const DeploymentWorker&) = delete;

  // Reads the partition counts, connects, registers. Blocks for up to six limits of the ledger's.
  // May be called again after an error. Throws std::system_error if there are no threads to be had.
  //   kUnavailable, kUnknownOutcome   no server, or it refuses to serve: ValkeyLedger::Connect()
  //   kInvalidInput                   the stored counts are none, a lane is none, or another
  //                                   process has registered this instance id; the detail says so
  //   kUnknownCode                    the user may not read the counts, or not register
  Outcome Start(ErrorDetails* details = nullptr);

  // Worker::ClaimFromGrant(), after Start(): its errors. FindClaim() looks for a claim whose answer
  // was lost:
  //   kNone            the claim has happened, and its lease is kept like any other
  //   kStaleLease      the claim has happened, and its lease has ended since
  //   kUnavailable     the claim has not happened and can't happen any more
  //   kUnknownOutcome  that can't be told
  // Blocks for up to two limits.
  Work Claim(const ClaimGrantView& grant, LaneIdView lane, ErrorDetails* details = nullptr);

  // Ends the registration, so that the deployment need not wait for its end. Leases that are kept
  // stay kept. The errors of UnregisterWorker(); kNone if nothing is registered.
  Outcome Stop(ErrorDetails* details = nullptr) noexcept;

  // How the last try to register or to refresh ended. A worker whose registration another process
  // has taken (kInvalidInput) goes on: whoever runs it decides.
  Outcome registration() const noexcept;

  // Refreshes the registration and renews leases, if due, and returns in how many ms to call
  // again; at most 1000. For a worker without threads: what has a thread of its own is left to it.
  std::int64_t RunDue();

  // After Start(). Outlives all calls, and no Stop() changes it.
  ValkeyLedger& ledger() noexcept;
  LeaseKeeper& keeper() noexcept;
  WorkerIdentity identity() const noexcept;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ffgrant::valkey
FFGRANT_API_END

#endif  // FFGRANT_VALKEY_DEPLOYMENT_WORKER_H_
