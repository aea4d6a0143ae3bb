// SPDX-License-Identifier: Apache-2.0

#include "testing/model/lease_observer.h"

#include <algorithm>

namespace ffgrant::testing {

const std::string& LeaseObserver::Saw(const Call& call, const Answer& answer, TimestampMs now) {
  now_ = now.value;
  const std::string_view id = call.execution().text();
  const IssueGrantArgs* issue = nullptr;
  if (const auto* c = call.As<calls::Issue>()) issue = &c->args;
  if (const auto* c = call.As<calls::IssueReclaim>()) issue = &c->args;
  if (issue != nullptr && answer.expires_at) {
    GrantIssued(id, issue->worker, issue->grant_ttl_ms, answer.expires_at->value);
  } else if (const auto* scan = call.As<calls::ClaimForWorker>();
             scan != nullptr && answer.chosen) {
    // A time on the wire is never before 1970.
    const std::int64_t expires_at = now_ + scan->args.grant_ttl_ms;
    Check(answer.chosen->expires_at_ms ==
              static_cast<std::uint64_t>(std::max<std::int64_t>(expires_at, 0)),
          answer.chosen->execution_id.text(), "a grant's expiry is not now + ttl");
    GrantIssued(answer.chosen->execution_id.text(), scan->args.worker, scan->args.grant_ttl_ms,
                expires_at);
  } else if (const auto* claim = call.As<calls::Claim>(); claim != nullptr && answer.lease) {
    LeaseCreated(call, claim->args.lease_ttl_ms, *answer.lease);
  } else if (const auto* claim_resumed = call.As<calls::ClaimResumed>();
             claim_resumed != nullptr && answer.lease) {
    LeaseCreated(call, claim_resumed->args.lease_ttl_ms, *answer.lease);
  } else if (const auto* reclaim = call.As<calls::Reclaim>()) {
    if (answer.lease) LeaseCreated(call, reclaim->args.lease_ttl_ms, *answer.lease);
    if (answer.error == ClaimError::kMaxRetriesExhausted) Failed(id);
  } else if (const auto* renew = call.As<calls::Renew>()) {
    if (answer.error != ClaimError::kInvalidInput) Fenced(call, renew->args.fence, answer);
  } else if (const auto* suspend = call.As<calls::Suspend>()) {
    Fenced(call, suspend->args.fence, answer);
  } else if (const auto* complete = call.As<calls::Complete>()) {
    Fenced(call, complete->args.fence, answer, complete->args.operator_override);
  } else if (const auto* fail = call.As<calls::Fail>()) {
    Fenced(call, fail->args.fence, answer, fail->args.operator_override);
  } else if (answer.revoked) {
    Revoked(id, *answer.revoked);
  } else if (call.As<calls::MarkExpired>() != nullptr && Word(answer) == "none") {
    MarkedExpired(id);
  } else if (call.As<calls::Forget>() != nullptr && answer.ok()) {
    executions_.erase(std::string(id));
  }
  return problem_;
}

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

void LeaseObserver::GrantIssued(std::string_view id, const WorkerIdentity& worker,
                                std::int64_t ttl_ms, std::int64_t expires_at) {
  Execution& execution = executions_[std::string(id)];
  Check(!execution.grant.has_value() || now_ > execution.grant->expires_at, id,
        "a second live grant");
  Check(expires_at == now_ + ttl_ms, id, "a grant's expiry is not now + ttl");
  Check(!execution.lease.has_value() || now_ >= execution.lease->expires_at.value, id,
        "a grant while a lease lives");
  Check(!execution.over, id, "a grant of what is over");
  Check(!execution.retry_at || now_ >= *execution.retry_at, id, "a retry was granted too early");
  execution.grant.reset();
  if (ttl_ms > 0) {
    execution.grant = {std::string(worker.worker_id.text), expires_at};
  }
}

void LeaseObserver::LeaseCreated(const Call& call, std::int64_t ttl_ms, const Lease& lease) {
  const std::string_view id = call.execution().text();
  Execution& execution = executions_[std::string(id)];
  Check(execution.grant.has_value(), id, "a lease without a grant, or a grant consumed twice");
  if (execution.grant.has_value()) {
    Check(execution.grant->worker_id == call.worker().worker_id.text, id,
          "another worker's grant was consumed");
    Check(now_ <= execution.grant->expires_at, id, "an elapsed grant was consumed");
  }
  execution.grant.reset();
  Check(!execution.lease.has_value() || now_ >= execution.lease->expires_at.value, id,
        "two live leases");
  Check(lease.fence.lease_epoch.value == execution.last_epoch + 1, id,
        "the epoch did not grow by one");
  Check(lease.expires_at.value == now_ + ttl_ms, id, "a lease's expiry is not now + ttl");
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
  Check((lease.kind == LeaseKind::kRetry) == execution.retry_at.has_value(), id,
        "a retry is no retry, or what is none is");
  execution.retry_at.reset();
  EndLease(execution);
  execution.lease = lease;
  execution.revoked = false;
  execution.last_epoch = lease.fence.lease_epoch.value;
  execution.last_attempt_index = lease.attempt_index;
  execution.last_attempt_id = lease.fence.attempt_id;
}

void LeaseObserver::Fenced(const Call& call, const OptionalFence& fence, const Answer& answer,
                           bool operator_override) {
  const std::string_view id = call.execution().text();
  const ClaimError error = answer.error;
  Execution& execution = executions_[std::string(id)];
  const bool live = execution.lease.has_value() && now_ < execution.lease->expires_at.value;
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
  if (call.kind() == CallKind::kRenew) {
    Check(answer.expires_at.has_value(), id, "a renewal without an expiry");
    execution.lease->expires_at = answer.expires_at.value_or(TimestampMs{});
  } else {
    EndLease(execution);
    if (answer.retry_at) {
      Check(answer.retry_at->value >= now_, id, "a retry in the past");
      execution.retry_at = answer.retry_at->value;
    } else {
      execution.over = call.kind() != CallKind::kSuspend;
    }
  }
}

void LeaseObserver::Revoked(std::string_view id, const LeaseFence& revoked) {
  Execution& execution = executions_[std::string(id)];
  Check(execution.lease.has_value() && revoked.lease_id == execution.lease->fence.lease_id &&
            revoked.lease_epoch == execution.lease->fence.lease_epoch,
        id, "revoked what was not leased");
  EndLease(execution);
  execution.revoked = true;
}

void LeaseObserver::MarkedExpired(std::string_view id) {
  const Execution& execution = executions_[std::string(id)];
  Check(execution.lease.has_value() && now_ >= execution.lease->expires_at.value, id,
        "a lease was marked expired before its time");
}

void LeaseObserver::Failed(std::string_view id) {
  Execution& execution = executions_[std::string(id)];
  Check(execution.revoked ||
            (execution.lease.has_value() && now_ >= execution.lease->expires_at.value),
        id, "failed while its lease lives");
  EndLease(execution);
  execution.over = true;
}

}  // namespace ffgrant::testing
