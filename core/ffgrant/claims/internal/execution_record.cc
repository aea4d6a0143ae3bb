// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/claims/internal/execution_record.h"

namespace ffgrant::internal {
namespace {

struct StateWords {
  std::string_view lifecycle_phase;
  std::string_view ownership_state;
  std::string_view eligibility_state;
  std::string_view blocking_reason;
  std::string_view terminal_outcome;
  std::string_view attempt_state;
  std::string_view public_state;
};

// The rows are in the order of State.
constexpr StateWords kWords[] = {
    {"runnable", "unowned", "eligible_now", "waiting_for_worker", "none", "pending_first_attempt",
     "waiting"},
    {"runnable", "unowned", "eligible_now", "waiting_for_worker", "none", "pending_retry_attempt",
     "waiting"},
    {"runnable", "unowned", "eligible_now", "waiting_for_worker", "none", "attempt_interrupted",
     "waiting"},
    {"runnable", "unowned", "not_eligible_until_time", "waiting_for_delay", "none",
     "pending_first_attempt", "delayed"},
    {"runnable", "unowned", "not_eligible_until_time", "waiting_for_retry_backoff", "none",
     "pending_retry_attempt", "delayed"},
    {"runnable", "unowned", "not_eligible_until_time", "waiting_for_resume_delay", "none",
     "attempt_interrupted", "delayed"},
    {"active", "leased", "not_applicable", "none", "none", "running_attempt", "active"},
    {"active", "lease_expired_reclaimable", "not_applicable", "waiting_for_worker", "none",
     "attempt_interrupted", "active"},
    {"active", "lease_revoked", "not_applicable", "waiting_for_worker", "none",
     "attempt_interrupted", "active"},
    {"suspended", "unowned", "not_applicable", "waiting_for_signal", "none", "attempt_interrupted",
     "suspended"},
    {"terminal", "unowned", "not_applicable", "none", "success", "attempt_terminal", "completed"},
    {"terminal", "unowned", "not_applicable", "none", "failed", "attempt_terminal", "failed"},
    {"terminal", "unowned", "not_applicable", "none", "failed", "attempt_terminal", "failed"},
};

void DescribeLease(const ExecutionRecord& r, ExecutionState& out) noexcept {
  const State s = r.state;
  out.current_lease_epoch = {r.lease_epoch};
  if (r.total_attempt_count > 0) {
    if (!IsRetry(s)) out.current_attempt_id = r.attempt_id;
    out.current_attempt_index = {r.total_attempt_count - 1};
    out.lease_acquired_at = TimestampMs{r.lease_acquired_at};
  }
  if (IsActive(s)) out.current_lease_id = r.lease_id;
  // The hash of a revoked lease is deleted. An execution that fails at the reclaim cap keeps all of
  // the lease's times. A suspension, a completion and any other failure blank all of them but
  // lease_acquired_at.
  out.lease_current = s == State::kLeased || s == State::kLeaseExpired;
  if (IsActive(s) || s == State::kReclaimedTooOften) {
    out.lease_expires_at = TimestampMs{r.lease_expires_at};
    out.lease_last_renewed_at = TimestampMs{r.lease_last_renewed_at};
    out.lease_renewal_deadline = TimestampMs{
        r.lease_last_renewed_at + RenewBefore(r.lease_expires_at - r.lease_last_renewed_at)};
  }
  out.in_active = IsActive(s);
  out.in_lease_expiry = out.lease_current;
}

}  // namespace

ExecutionState Describe(const ExecutionRecord& r, const ExecutionExtra& extra,
                        std::int64_t now) noexcept {
  const StateWords& words = kWords[static_cast<std::size_t>(r.state)];
  ExecutionState out;
  out.lifecycle_phase = words.lifecycle_phase;
  out.ownership_state = words.ownership_state;
  out.eligibility_state = words.eligibility_state;
  out.blocking_reason = words.blocking_reason;
  out.terminal_outcome = words.terminal_outcome;
  out.attempt_state = words.attempt_state;
  out.public_state = words.public_state;
  out.priority = r.priority;
  out.created_at = {extra.created_at.Get()};
  out.total_attempt_count = r.total_attempt_count;
  out.lease_reclaim_count = r.lease_reclaim_count;
  out.retry_count = r.retry_count();
  DescribeLease(r, out);
  out.has_grant = r.GrantIsLive(now);
  if (out.has_grant) {
    out.grant_created_at = TimestampMs{r.grant_created_at};
    out.grant_expires_at = TimestampMs{r.grant_expires_at};
  }
  // A server stores the time of a delayed resume in the delayed set only, and not in the field
  // delay_until.
  if (IsDelayed(r.state) && !IsResumed(r.state)) out.delay_until = TimestampMs{r.delay_until()};
  const std::int64_t mismatch_at = extra.last_capability_mismatch_at.Get();
  if (mismatch_at != kNever) out.last_capability_mismatch_at = TimestampMs{mismatch_at};
  out.in_eligible = IsEligible(r.state);
  out.in_delayed = IsDelayed(r.state);
  out.in_suspended = r.state == State::kSuspended;
  out.in_terminal = IsTerminal(r.state);
  return out;
}

}  // namespace ffgrant::internal
