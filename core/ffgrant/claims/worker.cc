// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/claims/worker.h"

#include <algorithm>
#include <utility>

#include "ffgrant/ingress.h"
#include "ffgrant/uuid_generator.h"

namespace ffgrant {
namespace {

WorkerClaim Refused(ClaimError error) noexcept {
  WorkerClaim claim;
  claim.error = error;
  return claim;
}

// Returns what a claim has led to. If there is a lease, the result has the permit; if not, the
// permit is given back.
WorkerClaim Settled(const ClaimOutcome& outcome, const LeaseId& lease_id,
                    WorkerPermit permit) noexcept {
  WorkerClaim claim;
  claim.error = outcome.error;
  if (outcome.error == ClaimError::kUnknownOutcome) claim.lease.fence.lease_id = lease_id;
  if (outcome) {
    claim.lease = outcome.lease;
    claim.permit = std::move(permit);
  }
  return claim;
}

// Makes those checks of CheckIngress() that work for ids and keys in any spelling: the checks of
// the partitions that the id and the key name. The grant key is not checked, because it can't be
// compared with an id of another spelling.
IngressError CheckNamed(const ClaimGrantView& grant, const PartitionConfig& config) noexcept {
  const PartitionKeyResult key = grant.partition();
  if (!key) return IngressError::kInvalidPartitionKey;
  if (key.partition.index >= config.CountFor(key.partition.family)) {
    return IngressError::kPartitionOutOfRange;
  }
  return key.partition == CollapseAlias(grant.execution_id.partition())
             ? IngressError::kNone
             : IngressError::kTagMismatch;
}

}  // namespace

WorkerPermit& WorkerPermit::operator=(WorkerPermit&& other) noexcept {
  if (this != &other) {
    Release();
    worker_ = std::exchange(other.worker_, nullptr);
  }
  return *this;
}

void WorkerPermit::Release() noexcept {
  if (Worker* worker = std::exchange(worker_, nullptr)) {
    // The order is release, so that what the holder did happens before the next holder starts.
    worker->in_use_.fetch_sub(1, std::memory_order_release);
  }
}

Worker::Worker(ClaimLedger& ledger, const Clock& clock, WorkerOptions options)
    : ledger_(ledger), clock_(clock), options_(std::move(options)) {}

WorkerPermit Worker::TakePermit() noexcept {
  std::uint32_t in_use = in_use_.load(std::memory_order_relaxed);
  while (in_use < options_.permits) {
    if (in_use_.compare_exchange_weak(in_use, in_use + 1, std::memory_order_acquire,
                                      std::memory_order_relaxed)) {
      return WorkerPermit(this);
    }
  }
  return WorkerPermit();
}

std::uint32_t Worker::permits_in_use() const noexcept {
  return in_use_.load(std::memory_order_relaxed);
}

WorkerIdentity Worker::identity() const noexcept {
  return {{options_.worker_id}, {options_.worker_instance_id}};
}

WorkerClaim Worker::CheckGrant(const ClaimGrantView& grant, ErrorDetails* details) const noexcept {
  WorkerClaim refused;
  if (!options_.partitions) {
    refused.ingress = grant.partition() ? IngressError::kNone : IngressError::kInvalidPartitionKey;
  } else if (options_.ingress == ParseMode::kStrict) {
    refused.ingress = CheckIngress(grant, *options_.partitions);
  } else {
    refused.ingress = CheckNamed(grant, *options_.partitions);
  }
  if (refused.ingress == IngressError::kNone) return refused;
  if (details != nullptr) (void)details->Add(ErrorName(refused.ingress));
  switch (refused.ingress) {
    case IngressError::kInvalidPartitionKey:
    case IngressError::kNonCanonicalPartitionKey:
      refused.error = ClaimError::kInvalidPartitionKey;
      break;
    case IngressError::kTagMismatch:
    case IngressError::kGrantKeyMismatch:
      refused.error = ClaimError::kGrantMismatch;
      break;
    default:
      refused.error = ClaimError::kInvalidInput;
      break;
  }
  return refused;
}

WorkerClaim Worker::ClaimFromGrant(const ClaimGrantView& grant, LaneIdView lane,
                                   ErrorDetails* details) noexcept {
  if (details != nullptr) {
    details->clear();
  }
  WorkerPermit permit = TakePermit();
  if (!permit) {
    return Refused(ClaimError::kWorkerAtCapacity);
  }
  if (WorkerClaim refused = CheckGrant(grant, details); !refused) return refused;
  const ClaimArgs args = {
      .execution_id = grant.execution_id,
      .worker = identity(),
      .lane = lane,
      .lease_id = {RandomUuid()},
      .lease_ttl_ms = options_.lease_ttl_ms,
      .attempt_id = {RandomUuid()},
  };
  ClaimOutcome outcome = ledger_.Claim(args, details);
  if (outcome.error == ClaimError::kUseClaimResumedExecution) {
    // The refusal left the grant in place. The lease id was never used.
    outcome = ledger_.ClaimResumed({.execution_id = args.execution_id,
                                    .worker = args.worker,
                                    .lane = lane,
                                    .lease_id = args.lease_id,
                                    .lease_ttl_ms = args.lease_ttl_ms},
                                   details);
  }
  return Settled(outcome, args.lease_id, std::move(permit));
}

WorkerClaim Worker::ClaimFromResumeGrant(const ResumeGrantView& grant,
                                         ErrorDetails* details) noexcept {
  if (details != nullptr) {
    details->clear();
  }
  WorkerPermit permit = TakePermit();
  if (!permit) {
    return Refused(ClaimError::kWorkerAtCapacity);
  }
  if (WorkerClaim refused = CheckGrant(grant.grant, details); !refused) return refused;
  const LeaseId lease_id = {RandomUuid()};
  const ClaimOutcome outcome = ledger_.ClaimResumed({.execution_id = grant.grant.execution_id,
                                                     .worker = identity(),
                                                     .lane = grant.lane_id,
                                                     .lease_id = lease_id,
                                                     .lease_ttl_ms = options_.lease_ttl_ms},
                                                    details);
  return Settled(outcome, lease_id, std::move(permit));
}

WorkerClaim Worker::ClaimFromReclaimGrant(const ReclaimGrantView& grant,
                                          const ReclaimTarget& target,
                                          ErrorDetails* details) noexcept {
  if (details != nullptr) {
    details->clear();
  }
  if (grant.grant.execution_id != target.execution_id || grant.lane_id != target.lane) {
    return Refused(ClaimError::kGrantMismatch);
  }
  // A clock before 1970 counts as 1970: the grant's time has no sign.
  const auto now = static_cast<std::uint64_t>(std::max<std::int64_t>(clock_.Now().value, 0));
  if (grant.grant.expires_at_ms <= now) {
    return Refused(ClaimError::kClaimGrantExpired);
  }
  WorkerPermit permit = TakePermit();
  if (!permit) {
    return Refused(ClaimError::kWorkerAtCapacity);
  }
  if (WorkerClaim refused = CheckGrant(grant.grant, details); !refused) return refused;
  const LeaseId lease_id = {RandomUuid()};
  const ClaimOutcome outcome = ledger_.Reclaim({.execution_id = target.execution_id,
                                                .worker = identity(),
                                                .lane = target.lane,
                                                .lease_id = lease_id,
                                                .lease_ttl_ms = options_.lease_ttl_ms,
                                                .attempt_id = {RandomUuid()},
                                                .max_reclaim_count = target.max_reclaim_count},
                                               details);
  return Settled(outcome, lease_id, std::move(permit));
}

}  // namespace ffgrant
