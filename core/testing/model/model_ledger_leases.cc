// SPDX-License-Identifier: Apache-2.0
//
// Has the model's calls about leases, from claim to completion.

#include <set>

#include "testing/model/model_ledger.h"
#include "testing/model/model_texts.h"

namespace ffgrant::testing {

using namespace model;  // NOLINT(google-build-using-namespace): the helpers are the model's

// ---- leases ------------------------------------------------------------------

ClaimOutcome ModelLedger::Claim(const ClaimArgs& args, ErrorDetails* details) noexcept {
  Clear(details);
  if (!TtlInRange(args.lease_ttl_ms, "lease_ttl_ms", details)) {
    return Refuse<ClaimOutcome>(ClaimError::kInvalidInput);
  }
  Hash* core = Core(args.execution_id);
  if (core == nullptr) {
    return Refuse<ClaimOutcome>(ClaimError::kExecutionNotFound);
  }
  if ((*core)["lifecycle_phase"] != "runnable") {
    return Refuse<ClaimOutcome>(ClaimError::kExecutionNotLeaseable);
  }
  if ((*core)["ownership_state"] != "unowned") {
    return Refuse<ClaimOutcome>(ClaimError::kLeaseConflict);
  }
  if ((*core)["eligibility_state"] != "eligible_now") {
    return Refuse<ClaimOutcome>(ClaimError::kExecutionNotLeaseable);
  }
  if ((*core)["terminal_outcome"] != "none") {
    return Refuse<ClaimOutcome>(ClaimError::kExecutionNotLeaseable);
  }
  if ((*core)["attempt_state"] == "running_attempt") {
    return Refuse<ClaimOutcome>(ClaimError::kActiveAttemptExists);
  }
  if ((*core)["attempt_state"] == "attempt_interrupted") {
    return Refuse<ClaimOutcome>(ClaimError::kUseClaimResumedExecution);
  }
  const std::string id = IdText(args.execution_id);
  Hash* grant = Grant(id);
  if (grant == nullptr) {
    return Refuse<ClaimOutcome>(ClaimError::kInvalidClaimGrant);
  }
  if ((*grant)["worker_id"] != args.worker.worker_id.text) {
    return Refuse<ClaimOutcome>(ClaimError::kInvalidClaimGrant);
  }
  grants_.erase(id);

  const bool is_retry = (*core)["attempt_state"] == "pending_retry_attempt";
  ClaimOutcome outcome;
  outcome.lease =
      WriteLease(*core, {.worker_id = std::string(args.worker.worker_id.text),
                         .worker_instance_id = std::string(args.worker.worker_instance_id.text),
                         .lane = std::string(args.lane.text()),
                         .lease_id = Text(args.lease_id.uuid),
                         .attempt_id = Text(args.attempt_id.uuid),
                         .attempt_index = (*core)["total_attempt_count"],
                         .ttl_ms = args.lease_ttl_ms,
                         .kind = is_retry ? LeaseKind::kRetry : LeaseKind::kInitial});
  (*core)["total_attempt_count"] = Text(Number((*core)["total_attempt_count"]) + 1);
  return outcome;
}

ClaimOutcome ModelLedger::ClaimResumed(const ClaimResumedArgs& args,
                                       ErrorDetails* details) noexcept {
  Clear(details);
  if (!TtlInRange(args.lease_ttl_ms, "lease_ttl_ms", details)) {
    return Refuse<ClaimOutcome>(ClaimError::kInvalidInput);
  }
  Hash* core = Core(args.execution_id);
  if (core == nullptr) {
    return Refuse<ClaimOutcome>(ClaimError::kExecutionNotFound);
  }
  if ((*core)["lifecycle_phase"] != "runnable") {
    return Refuse<ClaimOutcome>(ClaimError::kExecutionNotLeaseable);
  }
  if ((*core)["attempt_state"] != "attempt_interrupted") {
    return Refuse<ClaimOutcome>(ClaimError::kNotAResumedExecution);
  }
  const std::string id = IdText(args.execution_id);
  Hash* grant = Grant(id);
  if (grant == nullptr) {
    return Refuse<ClaimOutcome>(ClaimError::kInvalidClaimGrant);
  }
  if ((*grant)["worker_id"] != args.worker.worker_id.text) {
    return Refuse<ClaimOutcome>(ClaimError::kInvalidClaimGrant);
  }
  grants_.erase(id);

  ClaimOutcome outcome;
  outcome.lease =
      WriteLease(*core, {.worker_id = std::string(args.worker.worker_id.text),
                         .worker_instance_id = std::string(args.worker.worker_instance_id.text),
                         .lane = std::string(args.lane.text()),
                         .lease_id = Text(args.lease_id.uuid),
                         .attempt_id = (*core)["current_attempt_id"],
                         .attempt_index = (*core)["current_attempt_index"],
                         .ttl_ms = args.lease_ttl_ms,
                         .kind = LeaseKind::kResumed});
  return outcome;
}

Lease ModelLedger::WriteLease(Hash& core, const NewLease& lease) {
  const std::int64_t now = Now();
  const std::string epoch = Text(Number(core["current_lease_epoch"]) + 1);
  const std::string expires_at = Text(now + lease.ttl_ms);
  const std::string deadline = Text(now + FloorTwoThirds(lease.ttl_ms));
  const std::string& id = core["execution_id"];
  leases_[id] = {{"lease_id", lease.lease_id},   {"lease_epoch", epoch},
                 {"execution_id", id},           {"attempt_id", lease.attempt_id},
                 {"worker_id", lease.worker_id}, {"worker_instance_id", lease.worker_instance_id},
                 {"acquired_at", Text(now)},     {"expires_at", expires_at},
                 {"last_renewed_at", Text(now)}, {"renewal_deadline", deadline}};
  Set(core, {{"lifecycle_phase", "active"},
             {"ownership_state", "leased"},
             {"eligibility_state", "not_applicable"},
             {"blocking_reason", "none"},
             {"terminal_outcome", "none"},
             {"attempt_state", "running_attempt"},
             {"public_state", "active"},
             {"current_attempt_index", lease.attempt_index},
             {"current_attempt_id", lease.attempt_id},
             {"current_lease_id", lease.lease_id},
             {"current_lease_epoch", epoch},
             {"current_worker_id", lease.worker_id},
             {"current_worker_instance_id", lease.worker_instance_id},
             {"current_lane", lease.lane},
             {"lease_acquired_at", Text(now)},
             {"lease_expires_at", expires_at},
             {"lease_last_renewed_at", Text(now)},
             {"lease_renewal_deadline", deadline}});
  SetsOf(core).eligible.scores.erase(id);
  LeaseExpiry(core).scores[id] = Number(expires_at);
  SetsOf(core).active.scores[id] = Number(expires_at);
  return {{{UuidOf(lease.lease_id)},
           {static_cast<std::uint64_t>(Number(epoch))},
           {UuidOf(lease.attempt_id)}},
          {static_cast<std::uint32_t>(Number(lease.attempt_index))},
          {Number(expires_at)},
          lease.kind};
}

ModelLedger::FenceTexts ModelLedger::TextsOf(const OptionalFence& fence) {
  FenceTexts texts;
  if (fence.lease_id.has_value()) {
    texts.lease_id = Text(fence.lease_id->uuid);
    ++texts.present;
  }
  if (fence.lease_epoch.has_value()) {
    texts.lease_epoch = std::to_string(fence.lease_epoch->value);
    ++texts.present;
  }
  if (fence.attempt_id.has_value()) {
    texts.attempt_id = Text(fence.attempt_id->uuid);
    ++texts.present;
  }
  return texts;
}

ClaimError ModelLedger::CheckLease(Hash& core, const FenceTexts& fence, ErrorDetails* details) {
  if (core["lifecycle_phase"] != "active") {
    AddDetails(details, {core["terminal_outcome"], core["current_lease_epoch"],
                         core["lifecycle_phase"], core["current_attempt_id"]});
    return ClaimError::kExecutionNotActive;
  }
  if (core["ownership_state"] == "lease_revoked") {
    return ClaimError::kLeaseRevoked;
  }
  if (Number(core["lease_expires_at"]) <= Now()) {
    MarkExpired(core);
    return ClaimError::kLeaseExpired;
  }
  if (core["current_lease_id"] != fence.lease_id) {
    return ClaimError::kStaleLease;
  }
  if (core["current_lease_epoch"] != fence.lease_epoch) {
    return ClaimError::kStaleLease;
  }
  if (core["current_attempt_id"] != fence.attempt_id) {
    return ClaimError::kStaleLease;
  }
  return ClaimError::kNone;
}

void ModelLedger::MarkExpired(Hash& core) {
  if (core["ownership_state"] == "lease_expired_reclaimable") {
    return;
  }
  Set(core, {{"ownership_state", "lease_expired_reclaimable"},
             {"blocking_reason", "waiting_for_worker"},
             {"attempt_state", "attempt_interrupted"},
             {"public_state", "active"}});
}

RenewOutcome ModelLedger::Renew(const RenewArgs& args, ErrorDetails* details) noexcept {
  Clear(details);
  if (!TtlInRange(args.lease_ttl_ms, "lease_ttl_ms", details)) {
    return Refuse<RenewOutcome>(ClaimError::kInvalidInput);
  }
  Hash* core = Core(args.execution_id);
  if (core == nullptr) {
    return Refuse<RenewOutcome>(ClaimError::kExecutionNotFound);
  }
  const FenceTexts fence = TextsOf(args.fence);
  if (fence.present == 0) {
    return Refuse<RenewOutcome>(ClaimError::kFenceRequired);
  }
  if (fence.present < 3) {
    return Refuse<RenewOutcome>(ClaimError::kPartialFenceTriple);
  }
  const ClaimError error = CheckLease(*core, fence, details);
  if (error != ClaimError::kNone) {
    return Refuse<RenewOutcome>(error);
  }
  if ((*core)["current_attempt_index"] != std::to_string(args.attempt_index.value)) {
    return Refuse<RenewOutcome>(ClaimError::kStaleLease);
  }
  const std::int64_t now = Now();
  const std::string id = IdText(args.execution_id);
  const std::string expires_at = Text(now + args.lease_ttl_ms);
  const std::string deadline = Text(now + FloorTwoThirds(args.lease_ttl_ms));
  Set(*core, {{"lease_last_renewed_at", Text(now)},
              {"lease_renewal_deadline", deadline},
              {"lease_expires_at", expires_at}});
  Set(leases_[id],
      {{"last_renewed_at", Text(now)}, {"renewal_deadline", deadline}, {"expires_at", expires_at}});
  LeaseExpiry(*core).scores[id] = Number(expires_at);
  RenewOutcome outcome;
  outcome.expires_at = {Number(expires_at)};
  return outcome;
}

MarkExpiredOutcome ModelLedger::MarkLeaseExpiredIfDue(const ExecutionIdView& id) noexcept {
  MarkExpiredOutcome outcome;
  Hash* core = Core(id);
  if (core == nullptr) {
    outcome.already = AlreadySatisfied::kExecutionNotFound;
  } else if ((*core)["lifecycle_phase"] != "active") {
    outcome.already = AlreadySatisfied::kNotActive;
  } else if ((*core)["ownership_state"] == "lease_expired_reclaimable") {
    outcome.already = AlreadySatisfied::kAlreadyExpired;
  } else if ((*core)["ownership_state"] == "lease_revoked") {
    outcome.already = AlreadySatisfied::kAlreadyRevoked;
  } else if ((*core)["ownership_state"] == "unowned") {
    outcome.already = AlreadySatisfied::kUnowned;
  } else if (Number((*core)["lease_expires_at"]) > Now()) {
    outcome.already = AlreadySatisfied::kNotYetExpired;
  } else {
    MarkExpired(*core);
  }
  return outcome;
}

RevokeOutcome ModelLedger::Revoke(const RevokeArgs& args, ErrorDetails* details) noexcept {
  Clear(details);
  Hash* core = Core(args.execution_id);
  if (core == nullptr) {
    return Refuse<RevokeOutcome>(ClaimError::kExecutionNotFound);
  }
  if ((*core)["lifecycle_phase"] != "active") {
    AddDetails(details, {(*core)["terminal_outcome"], (*core)["current_lease_epoch"],
                         (*core)["lifecycle_phase"], (*core)["current_attempt_id"]});
    return Refuse<RevokeOutcome>(ClaimError::kExecutionNotActive);
  }
  RevokeOutcome outcome;
  if ((*core)["ownership_state"] != "leased") {
    if ((*core)["ownership_state"] == "lease_revoked") {
      outcome.already = AlreadySatisfied::kAlreadyRevoked;
      return outcome;
    }
    if ((*core)["ownership_state"] == "lease_expired_reclaimable") {
      outcome.already = AlreadySatisfied::kAlreadyExpired;
      return outcome;
    }
    return Refuse<RevokeOutcome>(ClaimError::kNoActiveLease);
  }
  if (args.expected_lease_id.has_value() &&
      (*core)["current_lease_id"] != Text(args.expected_lease_id->uuid)) {
    AddDetails(details, {"expected " + Text(args.expected_lease_id->uuid) + " but current is " +
                         (*core)["current_lease_id"]});
    return Refuse<RevokeOutcome>(ClaimError::kStaleLease);
  }
  outcome.lease_id = {UuidOf((*core)["current_lease_id"])};
  outcome.lease_epoch = {static_cast<std::uint64_t>(Number((*core)["current_lease_epoch"]))};
  Set(*core, {{"ownership_state", "lease_revoked"},
              {"blocking_reason", "waiting_for_worker"},
              {"terminal_outcome", "none"},
              {"attempt_state", "attempt_interrupted"},
              {"public_state", "active"}});
  leases_.erase(IdText(args.execution_id));
  LeaseExpiry(*core).scores.erase(IdText(args.execution_id));
  return outcome;
}

ClaimOutcome ModelLedger::Reclaim(const ReclaimArgs& args, ErrorDetails* details) noexcept {
  Clear(details);
  if (!TtlInRange(args.lease_ttl_ms, "lease_ttl_ms", details)) {
    return Refuse<ClaimOutcome>(ClaimError::kInvalidInput);
  }
  Hash* core = Core(args.execution_id);
  if (core == nullptr) {
    return Refuse<ClaimOutcome>(ClaimError::kExecutionNotFound);
  }
  if ((*core)["lifecycle_phase"] != "active") {
    return Refuse<ClaimOutcome>(ClaimError::kExecutionNotReclaimable);
  }
  if ((*core)["ownership_state"] != "lease_expired_reclaimable" &&
      (*core)["ownership_state"] != "lease_revoked") {
    return Refuse<ClaimOutcome>(ClaimError::kExecutionNotReclaimable);
  }
  // The cap is the execution's own, or else the caller's, or else 1000.
  std::int64_t cap = 1000;
  if (args.max_reclaim_count.has_value()) {
    cap = *args.max_reclaim_count;
  }
  if (!(*core)["policy.max_reclaim_count"].empty()) {
    cap = Number((*core)["policy.max_reclaim_count"]);
  }
  const std::int64_t reclaims = Number((*core)["lease_reclaim_count"]);
  if (reclaims >= cap) {
    FailTerminally(*core);
    AddDetails(details, {Text(cap)});
    return Refuse<ClaimOutcome>(ClaimError::kMaxRetriesExhausted);
  }
  const std::string id = IdText(args.execution_id);
  Hash* grant = Grant(id);
  if (grant == nullptr) {
    return Refuse<ClaimOutcome>(ClaimError::kInvalidClaimGrant);
  }
  if ((*grant)["worker_id"] != args.worker.worker_id.text) {
    return Refuse<ClaimOutcome>(ClaimError::kInvalidClaimGrant);
  }
  grants_.erase(id);

  ClaimOutcome outcome;
  outcome.lease =
      WriteLease(*core, {.worker_id = std::string(args.worker.worker_id.text),
                         .worker_instance_id = std::string(args.worker.worker_instance_id.text),
                         .lane = std::string(args.lane.text()),
                         .lease_id = Text(args.lease_id.uuid),
                         .attempt_id = Text(args.attempt_id.uuid),
                         .attempt_index = (*core)["total_attempt_count"],
                         .ttl_ms = args.lease_ttl_ms,
                         .kind = LeaseKind::kReclaim});
  (*core)["total_attempt_count"] = Text(Number((*core)["total_attempt_count"]) + 1);
  (*core)["lease_reclaim_count"] = Text(reclaims + 1);
  return outcome;
}

void ModelLedger::FailTerminally(Hash& core) {
  const std::string& id = core["execution_id"];
  // The lease's times remain, and so does a grant.
  Set(core, {{"lifecycle_phase", "terminal"},
             {"ownership_state", "unowned"},
             {"eligibility_state", "not_applicable"},
             {"blocking_reason", "none"},
             {"terminal_outcome", "failed"},
             {"attempt_state", "attempt_terminal"},
             {"public_state", "failed"},
             {"current_lease_id", ""},
             {"current_worker_id", ""},
             {"current_worker_instance_id", ""}});
  leases_.erase(id);
  LeaseExpiry(core).scores.erase(id);
  SetsOf(core).active.scores.erase(id);
  SetsOf(core).terminal.scores[id] = Now();
}

// ---- suspend, resume, complete -------------------------------------------------

void ModelLedger::ReleaseLease(Hash& core) {
  const std::string& id = core["execution_id"];
  Set(core, {{"current_lease_id", ""},
             {"current_worker_id", ""},
             {"current_worker_instance_id", ""},
             {"lease_expires_at", ""},
             {"lease_last_renewed_at", ""},
             {"lease_renewal_deadline", ""}});
  leases_.erase(id);
  LeaseExpiry(core).scores.erase(id);
  SetsOf(core).active.scores.erase(id);
}

Outcome ModelLedger::Suspend(const SuspendArgs& args, ErrorDetails* details) noexcept {
  Clear(details);
  Hash* core = Core(args.execution_id);
  if (core == nullptr) {
    return {ClaimError::kExecutionNotFound};
  }
  const FenceTexts fence = TextsOf(args.fence);
  if (fence.present == 1 || fence.present == 2) {
    return {ClaimError::kPartialFenceTriple};
  }
  if (fence.present == 0) {
    return {ClaimError::kFenceRequired};
  }
  const ClaimError error = CheckLease(*core, fence, details);
  if (error != ClaimError::kNone) {
    return {error};
  }
  Set(*core, {{"lifecycle_phase", "suspended"},
              {"ownership_state", "unowned"},
              {"eligibility_state", "not_applicable"},
              {"blocking_reason", "waiting_for_signal"},
              {"terminal_outcome", "none"},
              {"attempt_state", "attempt_interrupted"},
              {"public_state", "suspended"}});
  ReleaseLease(*core);
  SetsOf(*core).suspended.scores[IdText(args.execution_id)] = 9999999999999;
  return {};
}

ResumeOutcome ModelLedger::Resume(const ResumeArgs& args, ErrorDetails* details) noexcept {
  Clear(details);
  if (!TtlInRange(args.delay_ms, "delay_ms", details)) {
    return Refuse<ResumeOutcome>(ClaimError::kInvalidInput);
  }
  Hash* core = Core(args.execution_id);
  if (core == nullptr) {
    return Refuse<ResumeOutcome>(ClaimError::kExecutionNotFound);
  }
  if ((*core)["lifecycle_phase"] != "suspended") {
    return Refuse<ResumeOutcome>(ClaimError::kExecutionNotSuspended);
  }
  const bool delayed = args.delay_ms > 0;
  Set(*core, {{"lifecycle_phase", "runnable"},
              {"ownership_state", "unowned"},
              {"eligibility_state", delayed ? "not_eligible_until_time" : "eligible_now"},
              {"blocking_reason", delayed ? "waiting_for_resume_delay" : "waiting_for_worker"},
              {"terminal_outcome", "none"},
              {"attempt_state", "attempt_interrupted"},
              {"public_state", delayed ? "delayed" : "waiting"}});
  const std::string id = IdText(args.execution_id);
  SetsOf(*core).suspended.scores.erase(id);
  if (delayed) {
    SetsOf(*core).delayed.scores[id] = Now() + args.delay_ms;
  } else {
    MakeEligible(*core);
  }
  ResumeOutcome outcome;
  outcome.delayed = delayed;
  return outcome;
}

ClaimError ModelLedger::CheckLeaseToEnd(Hash& core, const OptionalFence& given, bool by_operator,
                                        ErrorDetails* details) {
  FenceTexts fence = TextsOf(given);
  if (fence.present == 1 || fence.present == 2) {
    return ClaimError::kPartialFenceTriple;
  }
  if (fence.present == 0) {
    if (!by_operator) {
      return ClaimError::kFenceRequired;
    }
    fence.lease_id = core["current_lease_id"];
    fence.lease_epoch = core["current_lease_epoch"];
    fence.attempt_id = core["current_attempt_id"];
  }
  return CheckLease(core, fence, details);
}

Outcome ModelLedger::Complete(const CompleteArgs& args, ErrorDetails* details) noexcept {
  Clear(details);
  Hash* core = Core(args.execution_id);
  if (core == nullptr) {
    return {ClaimError::kExecutionNotFound};
  }
  const ClaimError error = CheckLeaseToEnd(*core, args.fence, args.operator_override, details);
  if (error != ClaimError::kNone) {
    return {error};
  }
  Set(*core, {{"lifecycle_phase", "terminal"},
              {"ownership_state", "unowned"},
              {"eligibility_state", "not_applicable"},
              {"blocking_reason", "none"},
              {"terminal_outcome", "success"},
              {"attempt_state", "attempt_terminal"},
              {"public_state", "completed"}});
  ReleaseLease(*core);
  SetsOf(*core).terminal.scores[IdText(args.execution_id)] = Now();
  return {};
}

// ---- fail ---------------------------------------------------------------------------

// Returns how long a retry waits that comes after `retries` earlier retries. A fixed delay is
// always the same. Any other delay is multiplied by the policy's factor once for each earlier
// retry, up to the longest delay, and a part of a millisecond counts as a whole one.
static std::int64_t DelayOfRetry(const RetryPolicy& policy, std::int64_t retries) {
  if (policy.backoff == RetryPolicy::Backoff::kFixed) {
    return policy.delay_ms;
  }
  double delay = static_cast<double>(policy.delay_ms);
  for (std::int64_t i = 0; i < retries; ++i) {
    delay *= policy.multiplier;
  }
  if (delay >= static_cast<double>(policy.max_delay_ms)) {
    return policy.max_delay_ms;
  }
  const auto whole = static_cast<std::int64_t>(delay);
  return static_cast<double>(whole) == delay ? whole : whole + 1;
}

FailOutcome ModelLedger::Fail(const FailArgs& args, ErrorDetails* details) noexcept {
  Clear(details);
  Hash* core = Core(args.execution_id);
  if (core == nullptr) {
    return Refuse<FailOutcome>(ClaimError::kExecutionNotFound);
  }
  const ClaimError error = CheckLeaseToEnd(*core, args.fence, args.operator_override, details);
  if (error != ClaimError::kNone) {
    return Refuse<FailOutcome>(error);
  }
  const std::string id = IdText(args.execution_id);
  const std::int64_t retries = Number((*core)["retry_count"]);
  const auto policy = retry_policies_.find(id);
  FailOutcome outcome;
  if (policy == retry_policies_.end() || retries >= policy->second.max_retries) {
    Set(*core, {{"lifecycle_phase", "terminal"},
                {"ownership_state", "unowned"},
                {"eligibility_state", "not_applicable"},
                {"blocking_reason", "none"},
                {"terminal_outcome", "failed"},
                {"attempt_state", "attempt_terminal"},
                {"public_state", "failed"}});
    ReleaseLease(*core);
    SetsOf(*core).terminal.scores[id] = Now();
    return outcome;
  }
  outcome.retried = true;
  outcome.delay_until = {Now() + DelayOfRetry(policy->second, retries)};
  Set(*core, {{"lifecycle_phase", "runnable"},
              {"ownership_state", "unowned"},
              {"eligibility_state", "not_eligible_until_time"},
              {"blocking_reason", "waiting_for_retry_backoff"},
              {"terminal_outcome", "none"},
              {"attempt_state", "pending_retry_attempt"},
              {"public_state", "delayed"},
              {"current_attempt_id", ""},
              {"retry_count", Text(retries + 1)},
              {"delay_until", Text(outcome.delay_until.value)}});
  ReleaseLease(*core);
  SetsOf(*core).delayed.scores[id] = outcome.delay_until.value;
  return outcome;
}

}  // namespace ffgrant::testing
