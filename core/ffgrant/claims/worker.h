// SPDX-License-Identifier: Apache-2.0
//
// A Worker is the consumer of grants. It does what a worker process does with a grant (contract
// 7.2, worker side; 7.6 for the checks before a reclaim).

#ifndef FFGRANT_CLAIMS_WORKER_H_
#define FFGRANT_CLAIMS_WORKER_H_

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>

#include "ffgrant/claims/claim_ledger.h"
#include "ffgrant/claims/clock.h"
#include "ffgrant/config.h"
#include "ffgrant/grant.h"
#include "ffgrant/ingress.h"
#include "ffgrant/parse_mode.h"
#include "ffgrant/partition.h"

FFGRANT_API_BEGIN
namespace ffgrant {

class Worker;

// A permit of a worker, which is given back when this object dies. The object
// is moveable; it must not outlive its worker.
class WorkerPermit {
 public:
  WorkerPermit() = default;
  WorkerPermit(WorkerPermit&& other) noexcept : worker_(other.worker_) { other.worker_ = nullptr; }
  WorkerPermit& operator=(WorkerPermit&& other) noexcept;
  ~WorkerPermit() { Release(); }
  explicit operator bool() const noexcept { return worker_ != nullptr; }
  void Release() noexcept;

 private:
  friend class Worker;
  explicit WorkerPermit(Worker* worker) noexcept : worker_(worker) {}
  Worker* worker_ = nullptr;
};

struct [[nodiscard]] WorkerClaim : Outcome {
  // With kUnknownOutcome the fence of `lease` has the lease id that was asked
  // for. FindClaim() of a ledger on a server takes this id to find out what
  // became of the claim.
  Lease lease;
  WorkerPermit permit;  // keep it for as long as the execution runs
  // What is wrong with a grant that was refused on entry, before the ledger was asked.
  IngressError ingress = IngressError::kNone;
};

struct WorkerOptions {
  std::string worker_id;
  std::string worker_instance_id;
  std::uint32_t permits = 1;  // how many executions may run at once
  std::int64_t lease_ttl_ms = 30'000;
  // The deployment's partition counts. With these counts each grant is checked on entry, as
  // CheckIngress() does (ingress.h), before the ledger is asked. Without the counts only the
  // partition key is parsed.
  std::optional<PartitionConfig> partitions = {};
  // With kLenient, execution ids and partition keys also pass in spellings that the reference
  // accepts and strict mode refuses (contract 1.8). The partitions that they name are still
  // checked; the grant key is not.
  ParseMode ingress = ParseMode::kStrict;
};

// Thread-safe. Allocates in the constructor only.
class Worker {
 public:
  // `ledger` and `clock` must outlive the worker. The clock serves the worker's own early check of
  // reclaim grants; the ledger decides by its own clock.
  Worker(ClaimLedger& ledger, const Clock& clock, WorkerOptions options);

  // Takes a permit first: if there is none, the error is kWorkerAtCapacity, and the grant is not
  // touched. Then checks the grant. The error is kInvalidPartitionKey if the partition key does not
  // parse or, with options.partitions, is in a spelling that options.ingress refuses. With
  // options.partitions there are two more errors: kInvalidInput, if the execution id is in a
  // spelling that options.ingress refuses or the partition does not exist; kGrantMismatch, if the
  // partition key names another partition than the execution id, or (with ParseMode::kStrict) the
  // grant key begins with `ff:exec:` but is not this grant's key. The claim's `ingress` says which
  // check failed, and so does the detail, which is ErrorName(IngressError). Then claims with fresh
  // ids. If the ledger answers kUseClaimResumedExecution, calls ClaimResumed() at once with the
  // same grant. `lane` is the lane in which the worker asked for the grant.
  WorkerClaim ClaimFromGrant(const ClaimGrantView& grant, LaneIdView lane,
                             ErrorDetails* details = nullptr) noexcept;

  // Does what ClaimFromGrant() does, but calls only ClaimResumed().
  WorkerClaim ClaimFromResumeGrant(const ResumeGrantView& grant,
                                   ErrorDetails* details = nullptr) noexcept;

  // Claims with a reclaim grant. First checks that the execution id and the lane are those of
  // `target` (kGrantMismatch), and that the time on the worker's clock is less than expires_at_ms
  // (kClaimGrantExpired). Then takes a permit, checks the grant as ClaimFromGrant() does, and calls
  // Reclaim() with fresh ids.
  struct ReclaimTarget {
    ExecutionIdView execution_id;
    LaneIdView lane;
    std::optional<std::uint32_t> max_reclaim_count;
  };
  WorkerClaim ClaimFromReclaimGrant(const ReclaimGrantView& grant, const ReclaimTarget& target,
                                    ErrorDetails* details = nullptr) noexcept;

  // Takes a permit and returns it; returns an empty one if all permits are taken. The permit is for
  // an execution that was claimed in another way, for example by a claim whose answer was lost.
  WorkerPermit TakePermit() noexcept;

  std::uint32_t permits_in_use() const noexcept;
  WorkerIdentity identity() const noexcept;

 private:
  friend class WorkerPermit;
  // Returns a refusal, or a claim without an error if the grant is in order.
  WorkerClaim CheckGrant(const ClaimGrantView& grant, ErrorDetails* details) const noexcept;

  ClaimLedger& ledger_;
  const Clock& clock_;
  WorkerOptions options_;
  std::atomic<std::uint32_t> in_use_{0};
};

}  // namespace ffgrant
FFGRANT_API_END

#endif  // FFGRANT_CLAIMS_WORKER_H_
