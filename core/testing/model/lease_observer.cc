// SPDX-License-Identifier: Apache-2.0

#include "testing/model/lease_observer.h"

#include <algorithm>

namespace ffgrant::testing {

void LeaseObserver::Check(bool good, std::string_view id, const char* what) {
  if (!good && problem_.empty()) {
    problem_ = std::string(what) + ": " + std::string(id);
  }
}

void LeaseObserver::EndLease(Execution& execution) {
  if (execution.lease.has_value()) {
    execution.ended.push_back(execution.lease->fence);
    execution.lease.reset();
  }
}

void LeaseObserver::GrantIssued(std::string_view id, std::string_view worker_id,
                                std::int64_t ttl_ms, std::int64_t now, TimestampMs expires_at) {
  Execution& execution = executions_[std::string(id)];
  Check(!execution.grant.has_value() || now > execution.grant->expires_at, id,
        "a second live grant");
  Check(expires_at.value == now + ttl_ms, id, "a grant's expiry is not now + ttl");
  Check(!execution.lease.has_value() || now >= execution.lease->expires_at.value, id,
        "a grant while a lease lives");
  execution.grant.reset();
  if (ttl_ms > 0) {
    execution.grant = {std::string(worker_id), expires_at.value};
  }
}

void LeaseObserver::LeaseCreated(std::string_view id, std::string_view worker_id,
                                 std::int64_t ttl_ms, std::int64_t now, const Lease& lease) {
  Execution& execution = executions_[std::string(id)];
  Check(execution.grant.has_value(), id, "a lease without a grant, or a grant consumed twice");
  if (execution.grant.has_value()) {
    Check(execution.grant->worker_id == worker_id, id, "another worker's grant was consumed");
    Check(now <= execution.grant->expires_at, id, "an elapsed grant was consumed");
  }
  execution.grant.reset();
  Check(!execution.lease.has_value() || now >= execution.lease->expires_at.value, id,
        "two live leases");
  Check(lease.fence.lease_epoch.value == execution.last_epoch + 1, id,
        "the epoch did not grow by one");
  Check(lease.expires_at.value == now + ttl_ms, id, "a lease's expiry is not now + ttl");
  Check(lease_ids_.insert(lease.fence.lease_id.uuid).second, id, "a lease id came twice");
  if (lease.kind == LeaseKind::kResumed) {
    Check(execution.last_attempt_index == lease.attempt_index, id,
          "resuming changed the attempt index");
    Check(execution.last_attempt_id == lease.fence.attempt_id, id,
          "resuming changed the attempt id");
  } else {
    const std::uint32_t next =
        execution.last_attempt_index.has_value() ? execution.last_attempt_index->value + 1 : 0;
    Check(lease.attempt_index.value == next, id, "the attempt index did not grow by one");
  }
  const bool interrupted = execution.lease.has_value() || execution.revoked;
  Check((lease.kind == LeaseKind::kReclaim) == interrupted, id, "the lease's kind is wrong");
  EndLease(execution);
  execution.lease = lease;
  execution.revoked = false;
  execution.last_epoch = lease.fence.lease_epoch.value;
  execution.last_attempt_index = lease.attempt_index;
  execution.last_attempt_id = lease.fence.attempt_id;
}

void LeaseObserver::Fenced(FencedCall call, std::string_view id, const OptionalFence& fence,
                           bool operator_override, std::int64_t now, ClaimError error,
                           std::optional<TimestampMs> new_expiry) {
  Execution& execution = executions_[std::string(id)];
  const bool live = execution.lease.has_value() && now < execution.lease->expires_at.value;
  const bool whole =
      fence.lease_id.has_value() && fence.lease_epoch.has_value() && fence.attempt_id.has_value();
  const LeaseFence given =
      whole ? LeaseFence{*fence.lease_id, *fence.lease_epoch, *fence.attempt_id} : LeaseFence{};
  if (live && whole && std::count(execution.ended.begin(), execution.ended.end(), given) != 0) {
    Check(error == ClaimError::kStaleLease, id, "an old fence was not answered with stale_lease");
  }
  if (error == ClaimError::kLeaseExpired) {
    Check(!live, id, "a live lease was called expired");
  }
  if (error != ClaimError::kNone) {
    return;
  }
  Check(live, id, "a fenced call succeeded without a live lease");
  if (!live) {
    return;
  }
  Check(whole ? given == execution.lease->fence : operator_override, id,
        "a fenced call succeeded without the lease's fence");
  if (call == FencedCall::kRenew) {
    Check(new_expiry.has_value(), id, "a renewal without an expiry");
    execution.lease->expires_at = new_expiry.value_or(TimestampMs{});
  } else {
    EndLease(execution);
  }
}

void LeaseObserver::Revoked(std::string_view id, const RevokeOutcome& outcome) {
  if (!outcome || outcome.already != AlreadySatisfied::kNo) {
    return;
  }
  Execution& execution = executions_[std::string(id)];
  Check(execution.lease.has_value() && outcome.lease_id == execution.lease->fence.lease_id &&
            outcome.lease_epoch == execution.lease->fence.lease_epoch,
        id, "revoked what was not leased");
  EndLease(execution);
  execution.revoked = true;
}

void LeaseObserver::MarkedExpired(std::string_view id, std::int64_t now) {
  const Execution& execution = executions_[std::string(id)];
  Check(execution.lease.has_value() && now >= execution.lease->expires_at.value, id,
        "a lease was marked expired before its time");
}

void LeaseObserver::Failed(std::string_view id, std::int64_t now) {
  Execution& execution = executions_[std::string(id)];
  Check(execution.revoked ||
            (execution.lease.has_value() && now >= execution.lease->expires_at.value),
        id, "failed while its lease lives");
  EndLease(execution);
}

}  // namespace ffgrant::testing
