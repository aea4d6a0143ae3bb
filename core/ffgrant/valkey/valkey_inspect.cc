// SPDX-License-Identifier: Apache-2.0
//
// What is stored, read back: for whoever must know what became of a call, for
// tests, and for operators.

#include <array>
#include <charconv>

#include "ffgrant/valkey/internal/valkey_ledger_impl.h"

namespace ffgrant::valkey {

using internal::ReadInteger;
using internal::Reply;
using internal::RespCommand;
using internal::Session;

namespace {

// The fields of a hash by their place in the command.
enum CoreField : std::size_t {
  kPhase,
  kOwnership,
  kEligibility,
  kBlocking,
  kOutcome,
  kAttemptState,
  kPublicState,
  kPriority,
  kCreatedAt,
  kAttemptCount,
  kReclaimCount,
  kEpoch,
  kLeaseId,
  kAttemptId,
  kAttemptIndex,
  kAcquiredAt,
  kExpiresAt,
  kRenewedAt,
  kDeadline,
  kDelayUntil,
  kMismatchAt,
  kRequired,
  kWorkerId,
  kInstanceId,
  kCurrentLane,
  kLane,
  kCoreFieldCount
};
constexpr std::array<std::string_view, kCoreFieldCount> kCoreFields = {
    "lifecycle_phase",
    "ownership_state",
    "eligibility_state",
    "blocking_reason",
    "terminal_outcome",
    "attempt_state",
    "public_state",
    "priority",
    "created_at",
    "total_attempt_count",
    "lease_reclaim_count",
    "current_lease_epoch",
    "current_lease_id",
    "current_attempt_id",
    "current_attempt_index",
    "lease_acquired_at",
    "lease_expires_at",
    "lease_last_renewed_at",
    "lease_renewal_deadline",
    "delay_until",
    "last_capability_mismatch_at",
    "required_capabilities",
    "current_worker_id",
    "current_worker_instance_id",
    "current_lane",
    "lane_id"};

enum GrantField : std::size_t {
  kGrantWorker,
  kGrantInstance,
  kGrantLane,
  kCapabilityHash,
  kRoute,
  kAdmission,
  kGrantCreatedAt,
  kGrantExpiresAt,
  kGrantFieldCount
};
constexpr std::array<std::string_view, kGrantFieldCount> kGrantFields = {
    "worker_id",           "worker_instance_id", "lane_id",    "capability_hash",
    "route_snapshot_json", "admission_summary",  "created_at", "grant_expires_at"};

// The words of the state's fields, so that views of them outlive the reply.
constexpr std::string_view kWords[] = {"submitted",
                                       "runnable",
                                       "active",
                                       "suspended",
                                       "terminal",
                                       "unowned",
                                       "leased",
                                       "lease_expired_reclaimable",
                                       "lease_revoked",
                                       "eligible_now",
                                       "not_eligible_until_time",
                                       "not_applicable",
                                       "blocked_by_dependencies",
                                       "blocked_by_budget",
                                       "blocked_by_quota",
                                       "blocked_by_route",
                                       "blocked_by_lane_state",
                                       "blocked_by_operator",
                                       "waiting_for_worker",
                                       "waiting_for_delay",
                                       "waiting_for_retry_backoff",
                                       "waiting_for_resume_delay",
                                       "waiting_for_signal",
                                       "waiting_for_approval",
                                       "waiting_for_callback",
                                       "waiting_for_tool_result",
                                       "waiting_for_children",
                                       "waiting_for_budget",
                                       "waiting_for_quota",
                                       "waiting_for_capable_worker",
                                       "paused_by_operator",
                                       "paused_by_policy",
                                       "none",
                                       "success",
                                       "failed",
                                       "cancelled",
                                       "expired",
                                       "skipped",
                                       "pending_first_attempt",
                                       "running_attempt",
                                       "attempt_interrupted",
                                       "pending_retry_attempt",
                                       "pending_replay_attempt",
                                       "attempt_terminal",
                                       "waiting",
                                       "delayed",
                                       "rate_limited",
                                       "waiting_children",
                                       "completed"};

std::string_view Word(std::string_view text) noexcept {
  for (const std::string_view word : kWords) {
    if (word == text) return word;
  }
  return text.empty() ? std::string_view() : std::string_view("unknown");
}

std::optional<TimestampMs> Time(std::string_view text) noexcept {
  const auto value = ReadInteger(text);
  return value ? std::optional(TimestampMs{*value}) : std::nullopt;
}

template <class Id>
std::optional<Id> IdOf(std::string_view text) noexcept {
  const UuidResult uuid = ParseUuid(text, ParseMode::kLenient);
  return uuid ? std::optional(Id{uuid.uuid}) : std::nullopt;
}

// HMGET of a hash's fields.
template <std::size_t kCount>
void WriteFields(RespCommand& command, const ExecutionIdView& id, ExecutionKey key,
                 const std::array<std::string_view, kCount>& fields) {
  internal::ClaimKeys keys(command, id);
  command.Begin(2 + kCount);
  command.Arg("HMGET");
  keys.Execution(key);
  for (const std::string_view field : fields) command.Arg(field);
}

// True if the hash is there: its first field is.
template <std::size_t kCount>
bool HasFields(const Reply& reply, const std::array<std::string_view, kCount>&) noexcept {
  return reply.is(Reply::Type::kArray) && reply.elements.size() == kCount &&
         reply.elements[0].is(Reply::Type::kString);
}

void FillCore(const Reply& reply, ExecutionState& out) noexcept {
  const auto text = [&](CoreField field) { return reply.elements[field].text; };
  out.lifecycle_phase = Word(text(kPhase));
  out.ownership_state = Word(text(kOwnership));
  out.eligibility_state = Word(text(kEligibility));
  out.blocking_reason = Word(text(kBlocking));
  out.terminal_outcome = Word(text(kOutcome));
  out.attempt_state = Word(text(kAttemptState));
  out.public_state = Word(text(kPublicState));
  out.priority = ReadInteger(text(kPriority)).value_or(0);
  out.created_at = Time(text(kCreatedAt)).value_or(TimestampMs{});
  const auto count = [&](CoreField field) {
    return static_cast<std::uint32_t>(ReadInteger(text(field)).value_or(0));
  };
  out.total_attempt_count = count(kAttemptCount);
  out.lease_reclaim_count = count(kReclaimCount);
  out.current_attempt_index = {count(kAttemptIndex)};
  out.current_lease_epoch = {static_cast<std::uint64_t>(ReadInteger(text(kEpoch)).value_or(0))};
  out.current_lease_id = IdOf<LeaseId>(text(kLeaseId));
  out.current_attempt_id = IdOf<AttemptId>(text(kAttemptId));
  out.lease_acquired_at = Time(text(kAcquiredAt));
  out.lease_expires_at = Time(text(kExpiresAt));
  out.lease_last_renewed_at = Time(text(kRenewedAt));
  out.lease_renewal_deadline = Time(text(kDeadline));
  out.delay_until = Time(text(kDelayUntil));
  out.last_capability_mismatch_at = Time(text(kMismatchAt));
}

void FillGrant(const Reply& reply, ExecutionState& out) noexcept {
  out.has_grant = HasFields(reply, kGrantFields);
  if (!out.has_grant) return;
  out.grant_created_at = Time(reply.elements[kGrantCreatedAt].text);
  out.grant_expires_at = Time(reply.elements[kGrantExpiresAt].text);
}

// Reads which sorted sets the execution is in.
ClaimError ReadSets(Session& session, const ExecutionIdView& id, ExecutionState& state) noexcept {
  const std::uint16_t slot = HashSlot(id.partition());
  const LaneIdView own = LaneIdView::Unchecked(session.hints.lane);
  const LaneIdView current = LaneIdView::Unchecked(session.hints.current_lane);
  struct Member {
    bool* is_member;
    bool operator()(const Reply& reply) const noexcept {
      *is_member |= reply.is(Reply::Type::kString);
      return true;
    }
  };
  struct Set {
    LaneKey role;
    LaneIdView lane;
    bool* is_member;
  };
  // Of the lane of the last lease, where that is another, active and suspended;
  // a terminal one may be in either's set.
  const std::array<Set, 6> sets = {{{LaneKey::kEligible, own, &state.in_eligible},
                                    {LaneKey::kDelayed, own, &state.in_delayed},
                                    {LaneKey::kActive, current, &state.in_active},
                                    {LaneKey::kSuspended, current, &state.in_suspended},
                                    {LaneKey::kTerminal, own, &state.in_terminal},
                                    {LaneKey::kTerminal, current, &state.in_terminal}}};
  std::array<Member, sets.size() + 1> members;
  internal::Group group(session, nullptr);
  for (std::size_t i = 0; i < sets.size(); ++i) {
    members[i] = {sets[i].is_member};
    group.Add(
        slot, true,
        [&](RespCommand& command) {
          internal::ClaimKeys keys(command, id, sets[i].lane);
          command.Begin(3);
          command.Arg("ZSCORE");
          keys.Lane(sets[i].role);
          command.Arg(id.text());
        },
        members[i]);
  }
  members.back() = {&state.in_lease_expiry};
  group.Add(
      slot, true,
      [&](RespCommand& command) {
        internal::ClaimKeys keys(command, id);
        command.Begin(3);
        command.Arg("ZSCORE");
        keys.Index(PartitionIndexKey::kLeaseExpiry);
        command.Arg(id.text());
      },
      members.back());
  return group.Wait();
}

// Whether an event of the lease history created `lease_id`: "acquired" names it
// lease_id, "reclaimed" new_lease_id. [[id, [field, value, ...]], ...]
bool HistoryHas(const Reply& reply, std::string_view lease_id) noexcept {
  for (const Reply& entry : reply.elements) {
    if (entry.elements.size() != 2) continue;
    const std::span<const Reply> fields = entry.elements[1].elements;
    bool acquired = false;
    bool same = false;
    for (std::size_t i = 0; i + 1 < fields.size(); i += 2) {
      const std::string_view name = fields[i].text;
      const std::string_view value = fields[i + 1].text;
      if (name == "event") acquired = value == "acquired" || value == "reclaimed";
      if (name == "lease_id" || name == "new_lease_id") same = value == lease_id;
    }
    if (acquired && same) return true;
  }
  return false;
}

}  // namespace

std::optional<ExecutionState> ValkeyLedger::Inspect(const ExecutionIdView& id) noexcept {
  if (internal::CheckId(id, impl_->partitions()) != ClaimError::kNone) return std::nullopt;
  internal::SessionPool::Lease lease = impl_->sessions.Take();
  Session& session = lease.session;
  const std::uint16_t slot = HashSlot(id.partition());
  ExecutionState state;
  bool exists = false;
  auto read_core = [&](const Reply& reply) {
    exists = HasFields(reply, kCoreFields);
    if (!exists) return true;
    FillCore(reply, state);
    session.hints.lane.assign(reply.elements[kLane].text);
    session.hints.current_lane.assign(reply.elements[kCurrentLane].text);
    return true;
  };
  auto read_grant = [&](const Reply& reply) {
    FillGrant(reply, state);
    return true;
  };
  auto read_lease = [&](const Reply& reply) {
    state.lease_current = reply.integer == 1;
    return true;
  };
  internal::Group group(session, nullptr);
  group.Add(
      slot, true,
      [&](RespCommand& command) { WriteFields(command, id, ExecutionKey::kCore, kCoreFields); },
      read_core);
  group.Add(
      slot, true,
      [&](RespCommand& command) {
        WriteFields(command, id, ExecutionKey::kClaimGrant, kGrantFields);
      },
      read_grant);
  group.Add(
      slot, true,
      [&](RespCommand& command) {
        internal::ClaimKeys keys(command, id);
        command.Begin(2);
        command.Arg("EXISTS");
        keys.Execution(ExecutionKey::kLeaseCurrent);
      },
      read_lease);
  if (group.Wait() != ClaimError::kNone || !exists) return std::nullopt;
  if (ReadSets(session, id, state) != ClaimError::kNone) return std::nullopt;
  return state;
}

std::optional<ExecutionNames> ValkeyLedger::InspectNames(const ExecutionIdView& id) {
  if (internal::CheckId(id, impl_->partitions()) != ClaimError::kNone) return std::nullopt;
  internal::SessionPool::Lease lease = impl_->sessions.Take();
  const std::uint16_t slot = HashSlot(id.partition());
  ExecutionNames names;
  bool exists = false;
  auto read_core = [&](const Reply& reply) {
    exists = HasFields(reply, kCoreFields);
    if (!exists) return true;
    const auto text = [&](CoreField field) { return reply.elements[field].text; };
    names.required_capabilities = text(kRequired);
    if (text(kPhase) == "active") {
      names.current_worker_id = text(kWorkerId);
      names.current_worker_instance_id = text(kInstanceId);
      names.current_lane = text(kCurrentLane);
    }
    return true;
  };
  auto read_grant = [&](const Reply& reply) {
    if (!HasFields(reply, kGrantFields)) return true;
    const auto text = [&](GrantField field) { return reply.elements[field].text; };
    names.grant_worker_id = text(kGrantWorker);
    names.grant_worker_instance_id = text(kGrantInstance);
    names.grant_lane_id = text(kGrantLane);
    names.capability_hash = text(kCapabilityHash);
    names.route_snapshot_json = text(kRoute);
    names.admission_summary = text(kAdmission);
    return true;
  };
  internal::Group group(lease.session, nullptr);
  group.Add(
      slot, true,
      [&](RespCommand& command) { WriteFields(command, id, ExecutionKey::kCore, kCoreFields); },
      read_core);
  group.Add(
      slot, true,
      [&](RespCommand& command) {
        WriteFields(command, id, ExecutionKey::kClaimGrant, kGrantFields);
      },
      read_grant);
  if (group.Wait() != ClaimError::kNone || !exists) return std::nullopt;
  return names;
}

ClaimOutcome ValkeyLedger::IssueGrantAndClaim(const ClaimArgs& args,
                                              ErrorDetails* details) noexcept {
  ClaimOutcome outcome;
  outcome.error = internal::CheckTtlAndId(args.lease_ttl_ms, "lease_ttl_ms is out of range",
                                          args.execution_id, impl_->partitions(), details);
  if (!outcome) return outcome;
  internal::SessionPool::Lease lease = impl_->sessions.Take();
  const std::uint16_t slot = HashSlot(args.execution_id.partition());
  bool answered = false;
  auto read_claim = [&](const Reply& reply) {
    return answered = ReadIssueAndClaim(reply, args.lease_id, args.attempt_id, details, outcome);
  };
  // What the answer doesn't name.
  auto read_core = [&](const Reply& reply) {
    if (!HasFields(reply, kCoreFields) || !outcome ||
        IdOf<LeaseId>(reply.elements[kLeaseId].text) != args.lease_id) {
      return true;
    }
    const auto attempt = IdOf<AttemptId>(reply.elements[kAttemptId].text);
    const auto expires_at = Time(reply.elements[kExpiresAt].text);
    if (attempt) outcome.lease.fence.attempt_id = *attempt;
    if (expires_at) outcome.lease.expires_at = *expires_at;
    if (attempt != args.attempt_id) outcome.lease.kind = LeaseKind::kResumed;
    return true;
  };
  ErrorDetails why;
  internal::Group group(lease.session, details == nullptr ? nullptr : &why);
  group.Add(
      slot, false, [&](RespCommand& command) { WriteIssueAndClaim(command, args); }, read_claim);
  group.Add(
      slot, true,
      [&](RespCommand& command) {
        WriteFields(command, args.execution_id, ExecutionKey::kCore, kCoreFields);
      },
      read_core);
  const ClaimError failure = group.Wait();
  if (answered) return outcome;
  outcome.error = failure;
  if (details != nullptr) *details = why;
  return outcome;
}

FoundClaim ValkeyLedger::FindClaim(const ExecutionIdView& id, const LeaseId& lease_id,
                                   ErrorDetails* details) noexcept {
  FoundClaim found;
  if (details != nullptr) details->clear();
  found.error = internal::CheckId(id, impl_->partitions());
  if (!found) return found;
  // Whichever of the connections it was sent on.
  const std::int64_t patience = impl_->options.client.request_timeout_ms;
  for (std::size_t i = 0; i < impl_->sessions.size(); ++i) {
    const std::scoped_lock lock(impl_->sessions[i].mutex);
    found.final &= impl_->sessions[i].client.Settle(patience);
  }
  internal::SessionPool::Lease lease = impl_->sessions.Take();
  const std::uint16_t slot = HashSlot(id.partition());
  std::array<char, kUuidTextSize> wanted;
  FormatUuid(lease_id.uuid, wanted);
  ExecutionState state;
  bool exists = false;
  ClaimError error = CallAndWait(
      lease.session, slot, true, details,
      [&](RespCommand& command) { WriteFields(command, id, ExecutionKey::kCore, kCoreFields); },
      [&](const Reply& reply) {
        exists = HasFields(reply, kCoreFields);
        if (exists) FillCore(reply, state);
        return true;
      });
  if (error == ClaimError::kNone && !exists) error = ClaimError::kExecutionNotFound;
  if (error == ClaimError::kNone && state.current_lease_id == lease_id) {
    found.fate = state.ownership_state == "leased" ? ClaimFate::kHeld : ClaimFate::kEnded;
    found.lease = {.fence = {.lease_id = lease_id,
                             .lease_epoch = state.current_lease_epoch,
                             .attempt_id = state.current_attempt_id.value_or(AttemptId{})},
                   .attempt_index = state.current_attempt_index,
                   .expires_at = state.lease_expires_at.value_or(TimestampMs{}),
                   .kind = LeaseKind::kInitial};
    error = CallAndWait(
        lease.session, slot, true, details,
        [&](RespCommand& command) {
          internal::ClaimKeys keys(command, id);
          command.Begin(3);
          command.Arg("HGET");
          keys.Attempt(AttemptKey::kAttempt, state.current_attempt_index.value);
          command.Arg("attempt_type");
        },
        [&](const Reply& reply) {
          for (const LeaseKind kind :
               {LeaseKind::kRetry, LeaseKind::kReplay, LeaseKind::kReclaim}) {
            if (reply.text == LeaseKindName(kind)) found.lease.kind = kind;
          }
          return true;
        });
  } else if (error == ClaimError::kNone) {
    error = CallAndWait(
        lease.session, slot, true, details,
        [&](RespCommand& command) {
          internal::ClaimKeys keys(command, id);
          command.Begin(6);
          command.Arg("XREVRANGE");
          keys.Execution(ExecutionKey::kLeaseHistory);
          command.Arg("+");
          command.Arg("-");
          command.Arg("COUNT");
          command.Arg("2000");  // it is kept to about 1000
        },
        [&](const Reply& reply) {
          if (HistoryHas(reply, {wanted.data(), wanted.size()})) found.fate = ClaimFate::kEnded;
          return true;
        });
  }
  found.error = error;
  return found;
}

}  // namespace ffgrant::valkey
