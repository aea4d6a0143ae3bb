// SPDX-License-Identifier: Apache-2.0
//
// Implements the embedded ledger's calls from Claim() to Fail() (contract 7.2 to 7.6).

#include <array>
#include <mutex>
#include <optional>

#include "ffgrant/claims/internal/memory_ledger_impl.h"
#include "ffgrant/internal/concat.h"

namespace ffgrant {

using internal::NameId;
using internal::NamePool;
using State = internal::State;

namespace {

void Leased(const internal::ExecutionRecord& record, LeaseKind kind, Lease& lease) noexcept {
  lease.fence.lease_id = record.lease_id;
  lease.fence.lease_epoch = {record.lease_epoch};
  lease.fence.attempt_id = record.attempt_id;
  lease.attempt_index = {record.total_attempt_count - 1};
  lease.expires_at = {record.lease_expires_at};
  lease.kind = kind;
}

bool CheckLeaseTtl(std::int64_t ttl_ms, ErrorDetails* details) noexcept {
  if (details != nullptr) details->clear();
  if (TtlInRange(ttl_ms)) return true;
  Detail(details, "lease_ttl_ms is out of range");
  return false;
}

void AddNotActiveDetails(const internal::ExecutionRecord& record, std::int64_t now,
                         ErrorDetails* details) noexcept {
  if (details == nullptr) return;
  const ExecutionState state = internal::Describe(record, {}, now);
  details->Add(state.terminal_outcome);
  details->Add(record.lease_epoch);
  details->Add(state.lifecycle_phase);
  std::array<char, kUuidTextSize> attempt_id;
  if (state.current_attempt_id) FormatUuid(state.current_attempt_id->uuid, attempt_id);
  details->Add({attempt_id.data(), state.current_attempt_id ? attempt_id.size() : 0});
}

}  // namespace

[[gnu::always_inline]] inline bool MemoryLedger::Impl::StartLease(
    Record& record, Region& region, const WorkerIdentity& worker, const LaneIdView& lane,
    const LeaseId& lease_id, std::int64_t ttl_ms, std::int64_t now, Missing& missing,
    ErrorDetails* details) noexcept {
  // Usually the instance that got the grant also claims, and the lease takes over the worker's name
  // from the grant.
  const bool same = workers.SecondIs(record.grant_worker, worker.worker_instance_id.text);
  const NameId name = same ? record.grant_worker : HoldWorker(region, worker);
  if (name == NamePool::kFull) [[unlikely]] {
    missing = Missing::kName;
    Detail(details, "names");
    return false;
  }
  const bool own_lane = lanes.FirstIs(record.lane, lane.text());
  if (!own_lane || record.texts != 0) [[unlikely]] {
    if (!texts.SetLease(record.texts, own_lane ? std::string_view() : lane.text())) {
      if (!same) UndoWorker(region, name);
      missing = Missing::kText;
      Detail(details, "texts");
      return false;
    }
  }
  if (!same) ReleaseWorker(region, record.grant_worker);
  if (record.lease_worker != 0) [[unlikely]]
    ReleaseWorker(region, record.lease_worker);
  record.has_grant = false;
  record.grant_worker = 0;
  record.state = State::kLeased;
  record.lease_worker = name;
  record.lease_id = lease_id;
  record.lease_epoch += 1;
  record.lease_acquired_at = now;
  record.lease_last_renewed_at = now;
  record.lease_expires_at = now + ttl_ms;
  return true;
}

[[gnu::always_inline]] inline ClaimError MemoryLedger::Impl::TryClaim(
    const ClaimArgs& args, std::uint64_t hash, Lease& lease, Missing& missing,
    ErrorDetails* details) noexcept {
  if (!CheckLeaseTtl(args.lease_ttl_ms, details)) return ClaimError::kInvalidInput;
  const Held held = Find(args.execution_id, hash);
  if (!held) return ClaimError::kExecutionNotFound;
  if (!internal::IsEligible(held->state)) return ClaimError::kExecutionNotLeaseable;
  if (held->state == State::kResumedEligible) return ClaimError::kUseClaimResumedExecution;
  const LeaseKind kind =
      held->state == State::kRetryEligible ? LeaseKind::kRetry : LeaseKind::kInitial;
  const std::int64_t now = Now();
  if (!held->GrantIsLive(now) || !GrantIsOf(*held, args.worker)) {
    return ClaimError::kInvalidClaimGrant;
  }
  if (!StartLease(*held, held.region(), args.worker, args.lane, args.lease_id, args.lease_ttl_ms,
                  now, missing, details)) {
    return ClaimError::kLedgerFull;
  }
  held->total_attempt_count += 1;
  held->attempt_id = args.attempt_id;
  Leased(*held, kind, lease);
  return ClaimError::kNone;
}

[[gnu::noinline]] ClaimError MemoryLedger::Impl::ClaimWithRoom(const ClaimArgs& args,
                                                               std::uint64_t hash, Lease& lease,
                                                               ErrorDetails* details) noexcept {
  return WithRoom(
      [&](Missing& missing) noexcept { return TryClaim(args, hash, lease, missing, details); });
}

ClaimOutcome MemoryLedger::Claim(const ClaimArgs& args, ErrorDetails* details) noexcept {
  Impl& m = *impl_;
  const std::uint64_t hash = m.table.Hash(args.execution_id);
  ClaimOutcome outcome;
  Impl::Missing missing = Impl::Missing::kNothing;
  outcome.error = m.TryClaim(args, hash, outcome.lease, missing, details);
  if (outcome.error == ClaimError::kLedgerFull) [[unlikely]] {
    outcome.error = m.ClaimWithRoom(args, hash, outcome.lease, details);
  }
  return outcome;
}

void MemoryLedger::ClaimBatch(std::span<const ClaimArgs> args,
                              std::span<ClaimOutcome> outcomes) noexcept {
  Impl& m = *impl_;
  m.ForEachPrefetched(args, [&](std::size_t i, std::uint64_t hash) noexcept {
    ClaimOutcome& outcome = outcomes[i];
    outcome.lease = {};
    Impl::Missing missing = Impl::Missing::kNothing;
    outcome.error = m.TryClaim(args[i], hash, outcome.lease, missing, nullptr);
    if (outcome.error == ClaimError::kLedgerFull) [[unlikely]] {
      outcome.error = m.ClaimWithRoom(args[i], hash, outcome.lease, nullptr);
    }
  });
}

ClaimOutcome MemoryLedger::ClaimResumed(const ClaimResumedArgs& args,
                                        ErrorDetails* details) noexcept {
  Impl& m = *impl_;
  ClaimOutcome outcome;
  outcome.error = m.WithRoom([&](Impl::Missing& missing) noexcept {
    if (!CheckLeaseTtl(args.lease_ttl_ms, details)) return ClaimError::kInvalidInput;
    const Impl::Held held = m.Find(args.execution_id);
    if (!held) return ClaimError::kExecutionNotFound;
    if (!internal::IsRunnable(held->state)) return ClaimError::kExecutionNotLeaseable;
    if (!internal::IsResumed(held->state)) return ClaimError::kNotAResumedExecution;
    const std::int64_t now = m.Now();
    if (!held->GrantIsLive(now) || !m.GrantIsOf(*held, args.worker)) {
      return ClaimError::kInvalidClaimGrant;
    }
    if (!m.StartLease(*held, held.region(), args.worker, args.lane, args.lease_id,
                      args.lease_ttl_ms, now, missing, details)) {
      return ClaimError::kLedgerFull;
    }
    Leased(*held, LeaseKind::kResumed, outcome.lease);
    return ClaimError::kNone;
  });
  return outcome;
}

ClaimError MemoryLedger::Impl::CheckFence(Record& record, const OptionalFence& fence,
                                          bool fence_may_be_absent, std::int64_t now,
                                          ErrorDetails* details) noexcept {
  const int parts =
      fence.lease_id.has_value() + fence.lease_epoch.has_value() + fence.attempt_id.has_value();
  if (parts != 0 && parts != 3) return ClaimError::kPartialFenceTriple;
  if (parts == 0 && !fence_may_be_absent) return ClaimError::kFenceRequired;
  if (!internal::IsActive(record.state)) {
    AddNotActiveDetails(record, now, details);
    return ClaimError::kExecutionNotActive;
  }
  if (record.state == State::kLeaseRevoked) return ClaimError::kLeaseRevoked;
  if (record.state == State::kLeaseExpired || record.LeaseIsDue(now)) {
    record.state = State::kLeaseExpired;
    return ClaimError::kLeaseExpired;
  }
  if (parts == 0) return ClaimError::kNone;
  const LeaseFence current = {record.lease_id, {record.lease_epoch}, record.attempt_id};
  if (LeaseFence{*fence.lease_id, *fence.lease_epoch, *fence.attempt_id} != current) {
    return ClaimError::kStaleLease;
  }
  return ClaimError::kNone;
}

RenewOutcome MemoryLedger::Renew(const RenewArgs& args, ErrorDetails* details) noexcept {
  RenewOutcome outcome;
  if (!CheckLeaseTtl(args.lease_ttl_ms, details)) {
    outcome.error = ClaimError::kInvalidInput;
    return outcome;
  }
  const Impl::Held held = impl_->Find(args.execution_id);
  if (!held) {
    outcome.error = ClaimError::kExecutionNotFound;
    return outcome;
  }
  const std::int64_t now = impl_->Now();
  outcome.error = impl_->CheckFence(*held, args.fence, false, now, details);
  if (outcome && args.attempt_index.value != held->total_attempt_count - 1) {
    outcome.error = ClaimError::kStaleLease;
  }
  if (!outcome) return outcome;
  held->lease_last_renewed_at = now;
  held->lease_expires_at = now + args.lease_ttl_ms;
  outcome.expires_at = {held->lease_expires_at};
  return outcome;
}

MarkExpiredOutcome MemoryLedger::MarkLeaseExpiredIfDue(const ExecutionIdView& id) noexcept {
  MarkExpiredOutcome outcome;
  const Impl::Held held = impl_->Find(id);
  if (!held) {
    outcome.already = AlreadySatisfied::kExecutionNotFound;
  } else if (!internal::IsActive(held->state)) {
    outcome.already = AlreadySatisfied::kNotActive;
  } else if (held->state == State::kLeaseExpired) {
    outcome.already = AlreadySatisfied::kAlreadyExpired;
  } else if (held->state == State::kLeaseRevoked) {
    outcome.already = AlreadySatisfied::kAlreadyRevoked;
  } else if (!held->LeaseIsDue(impl_->Now())) {
    outcome.already = AlreadySatisfied::kNotYetExpired;
  } else {
    held->state = State::kLeaseExpired;
  }
  return outcome;
}

RevokeOutcome MemoryLedger::Revoke(const RevokeArgs& args, ErrorDetails* details) noexcept {
  RevokeOutcome outcome;
  if (details != nullptr) details->clear();
  const Impl::Held held = impl_->Find(args.execution_id);
  if (!held) {
    outcome.error = ClaimError::kExecutionNotFound;
    return outcome;
  }
  if (!internal::IsActive(held->state)) {
    AddNotActiveDetails(*held, impl_->Now(), details);
    outcome.error = ClaimError::kExecutionNotActive;
    return outcome;
  }
  if (held->state != State::kLeased) {
    outcome.already = held->state == State::kLeaseRevoked ? AlreadySatisfied::kAlreadyRevoked
                                                          : AlreadySatisfied::kAlreadyExpired;
    return outcome;
  }
  if (args.expected_lease_id && *args.expected_lease_id != held->lease_id) {
    std::array<char, kUuidTextSize> expected;
    std::array<char, kUuidTextSize> current;
    FormatUuid(args.expected_lease_id->uuid, expected);
    FormatUuid(held->lease_id.uuid, current);
    std::array<char, 128> text;
    const WriteResult written = internal::Concat(text, {"expected ",
                                                        {expected.data(), expected.size()},
                                                        " but current is ",
                                                        {current.data(), current.size()}});
    Detail(details, {text.data(), written.size});
    outcome.error = ClaimError::kStaleLease;
    return outcome;
  }
  held->state = State::kLeaseRevoked;
  outcome.lease_id = held->lease_id;
  outcome.lease_epoch = {held->lease_epoch};
  return outcome;
}

IssueOutcome MemoryLedger::IssueReclaimGrant(const IssueGrantArgs& args,
                                             ErrorDetails* details) noexcept {
  Impl& m = *impl_;
  IssueOutcome outcome;
  outcome.error = m.WithRoom([&](Impl::Missing& missing) noexcept {
    if (details != nullptr) details->clear();
    if (!TtlInRange(args.grant_ttl_ms)) {
      Detail(details, "grant_ttl_ms is out of range");
      return ClaimError::kInvalidInput;
    }
    const Impl::Held held = m.Find(args.execution_id);
    if (!held) return ClaimError::kExecutionNotFound;
    if (!internal::IsReclaimable(held->state)) return ClaimError::kExecutionNotReclaimable;
    return m.Issue(Impl::GrantKind::kReclaim, held.region(), held.slot(), args, m.Now(),
                   outcome.expires_at, missing, details);
  });
  return outcome;
}

ClaimOutcome MemoryLedger::Reclaim(const ReclaimArgs& args, ErrorDetails* details) noexcept {
  Impl& m = *impl_;
  ClaimOutcome outcome;
  outcome.error = m.WithRoom([&](Impl::Missing& missing) noexcept {
    if (!CheckLeaseTtl(args.lease_ttl_ms, details)) return ClaimError::kInvalidInput;
    const Impl::Held held = m.Find(args.execution_id);
    if (!held) return ClaimError::kExecutionNotFound;
    if (!internal::IsReclaimable(held->state)) return ClaimError::kExecutionNotReclaimable;
    // The cap is checked before the grant, as in the reference. So an execution that has reached
    // the cap ends even if the caller has no grant.
    const std::uint32_t cap = held->has_reclaim_cap
                                  ? m.table.extra(held.slot()).max_reclaim_count
                                  : args.max_reclaim_count.value_or(kDefaultMaxReclaimCount);
    if (held->lease_reclaim_count >= cap) {
      held->state = State::kReclaimedTooOften;
      m.DropLease(*held, held.region());
      if (details != nullptr) details->Add(std::uint64_t{cap});
      return ClaimError::kMaxRetriesExhausted;
    }
    const std::int64_t now = m.Now();
    if (!held->GrantIsLive(now) || !m.GrantIsOf(*held, args.worker)) {
      return ClaimError::kInvalidClaimGrant;
    }
    if (!m.StartLease(*held, held.region(), args.worker, args.lane, args.lease_id,
                      args.lease_ttl_ms, now, missing, details)) {
      return ClaimError::kLedgerFull;
    }
    held->total_attempt_count += 1;
    held->lease_reclaim_count += 1;
    held->attempt_id = args.attempt_id;
    Leased(*held, LeaseKind::kReclaim, outcome.lease);
    return ClaimError::kNone;
  });
  return outcome;
}

Outcome MemoryLedger::Suspend(const SuspendArgs& args, ErrorDetails* details) noexcept {
  if (details != nullptr) details->clear();
  const Impl::Held held = impl_->Find(args.execution_id);
  if (!held) return {ClaimError::kExecutionNotFound};
  const Outcome outcome = {impl_->CheckFence(*held, args.fence, false, impl_->Now(), details)};
  if (outcome) {
    held->state = State::kSuspended;
    impl_->DropLease(*held, held.region());
  }
  return outcome;
}

ResumeOutcome MemoryLedger::Resume(const ResumeArgs& args, ErrorDetails* details) noexcept {
  Impl& m = *impl_;
  ResumeOutcome outcome;
  if (details != nullptr) details->clear();
  if (!TtlInRange(args.delay_ms)) {
    Detail(details, "delay_ms is out of range");
    outcome.error = ClaimError::kInvalidInput;
    return outcome;
  }
  const std::uint16_t partition = args.execution_id.partition().index;
  const std::scoped_lock queue(m.queues.LockOf(partition));
  const Impl::Held held = m.Find(args.execution_id);
  if (!held || held->state != State::kSuspended) {
    outcome.error = held ? ClaimError::kExecutionNotSuspended : ClaimError::kExecutionNotFound;
    return outcome;
  }
  outcome.delayed = args.delay_ms > 0;
  if (outcome.delayed) {
    held->state = State::kResumedDelayed;
    held->DelayUntil(m.Now() + args.delay_ms);
  } else {
    held->state = State::kResumedEligible;
    m.queues.Push(QueueOf(held->lane), partition, held.slot());
  }
  return outcome;
}

Outcome MemoryLedger::Complete(const CompleteArgs& args, ErrorDetails* details) noexcept {
  if (details != nullptr) details->clear();
  const Impl::Held held = impl_->Find(args.execution_id);
  if (!held) return {ClaimError::kExecutionNotFound};
  const Outcome outcome = {
      impl_->CheckFence(*held, args.fence, args.operator_override, impl_->Now(), details)};
  if (outcome) {
    held->state = State::kCompleted;
    impl_->DropLease(*held, held.region());
  }
  return outcome;
}

// Needs no queue's lock, because even a retry without a delay is put into its queue later, by the
// call that promotes it.
FailOutcome MemoryLedger::Fail(const FailArgs& args, ErrorDetails* details) noexcept {
  FailOutcome outcome;
  if (details != nullptr) details->clear();
  const Impl::Held held = impl_->Find(args.execution_id);
  if (!held) {
    outcome.error = ClaimError::kExecutionNotFound;
    return outcome;
  }
  const std::int64_t now = impl_->Now();
  outcome.error = impl_->CheckFence(*held, args.fence, args.operator_override, now, details);
  if (!outcome) return outcome;
  std::optional<std::int64_t> delay;
  if (const auto policy = impl_->RetryPolicyOf(held->required)) {
    delay = RetryDelayMs(*policy, held->retry_count());
  }
  outcome.retried = delay.has_value();
  if (delay) {
    // The lease was live, so the execution has no grant whose time DelayUntil() could overwrite.
    held->state = State::kRetryDelayed;
    held->DelayUntil(now + *delay);
    outcome.delay_until = {held->delay_until()};
  } else {
    held->state = State::kFailed;
  }
  impl_->DropLease(*held, held.region());
  return outcome;
}

}  // namespace ffgrant
