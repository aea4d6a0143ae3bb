// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/valkey/internal/stored_execution.h"

#include <limits>

namespace ffgrant::valkey::internal {
namespace {

// The words of the state's fields. Views of these words outlive the reply.
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

// Reads a number from 0 to `max`, but not above INT64_MAX; returns nothing for any other text.
std::optional<std::uint64_t> CountOf(std::string_view text, std::uint64_t max) noexcept {
  const auto value = ReadInteger(text);
  if (!value || *value < 0 || static_cast<std::uint64_t>(*value) > max) return std::nullopt;
  return static_cast<std::uint64_t>(*value);
}

}  // namespace

void FillCore(const Reply& reply, ExecutionState& out) noexcept {
  const auto text = [&](CoreField field) { return reply.elements()[field].text; };
  out.lifecycle_phase = Word(text(kPhase));
  out.ownership_state = Word(text(kOwnership));
  out.eligibility_state = Word(text(kEligibility));
  out.blocking_reason = Word(text(kBlocking));
  out.terminal_outcome = Word(text(kOutcome));
  out.attempt_state = Word(text(kAttemptState));
  out.public_state = Word(text(kPublicState));
  out.priority = ReadInteger(text(kPriority)).value_or(0);
  out.created_at = TimeOf(text(kCreatedAt)).value_or(TimestampMs{});
  const auto count = [&](CoreField field) {
    return static_cast<std::uint32_t>(ReadInteger(text(field)).value_or(0));
  };
  out.total_attempt_count = count(kAttemptCount);
  out.lease_reclaim_count = count(kReclaimCount);
  out.retry_count = count(kRetryCount);
  out.current_attempt_index = {count(kAttemptIndex)};
  out.current_lease_epoch = {static_cast<std::uint64_t>(ReadInteger(text(kEpoch)).value_or(0))};
  out.current_lease_id = IdOf<LeaseId>(text(kLeaseId));
  out.current_attempt_id = IdOf<AttemptId>(text(kAttemptId));
  out.lease_acquired_at = TimeOf(text(kAcquiredAt));
  out.lease_expires_at = TimeOf(text(kExpiresAt));
  out.lease_last_renewed_at = TimeOf(text(kRenewedAt));
  out.lease_renewal_deadline = TimeOf(text(kDeadline));
  out.delay_until = ReadTimeToCome(text(kDelayUntil));
  out.last_capability_mismatch_at = TimeOf(text(kMismatchAt));
}

void FillGrant(const Reply& reply, ExecutionState& out) noexcept {
  out.has_grant = true;
  out.grant_created_at = TimeOf(reply.elements()[kGrantCreatedAt].text);
  out.grant_expires_at = TimeOf(reply.elements()[kGrantExpiresAt].text);
}

HashAnswer HashAnswerOf(const Reply& reply, std::size_t fields) noexcept {
  if (reply.is(Reply::Type::kError)) return HashAnswer::kError;
  if (reply.elements().size() != fields) return HashAnswer::kNone;
  for (const Reply& element : reply.elements()) {
    if (!element.is(Reply::Type::kString) && !element.is(Reply::Type::kNil)) {
      return HashAnswer::kNone;
    }
  }
  return reply.elements()[0].is(Reply::Type::kString) ? HashAnswer::kThere : HashAnswer::kMissing;
}

std::optional<Lease> LeaseOf(const Reply& core) noexcept {
  const auto text = [&](CoreField field) { return core.elements()[field].text; };
  const auto lease = IdOf<LeaseId>(text(kLeaseId));
  const auto attempt = IdOf<AttemptId>(text(kAttemptId));
  const auto expires_at = TimeOf(text(kExpiresAt));
  const auto epoch = CountOf(text(kEpoch), std::numeric_limits<std::uint64_t>::max());
  const auto index = CountOf(text(kAttemptIndex), std::numeric_limits<std::uint32_t>::max());
  if (!lease || !attempt || !expires_at || !epoch || !index) return std::nullopt;
  return Lease{.fence = {.lease_id = *lease, .lease_epoch = {*epoch}, .attempt_id = *attempt},
               .attempt_index = {static_cast<std::uint32_t>(*index)},
               .expires_at = *expires_at,
               .kind = LeaseKind::kInitial};
}

void WriteReadGrantExpiry(RespCommand& command, const ExecutionIdView& id) {
  ClaimKeys keys(command, id);
  command.Begin(3);
  command.Arg("HGET");
  keys.Execution(ExecutionKey::kClaimGrant);
  command.Arg("grant_expires_at");
}

bool ReadGrantExpiry(const Reply& reply, TimestampMs& expires_at) noexcept {
  if (reply.is(Reply::Type::kNil) || reply.is(Reply::Type::kError)) return true;
  const auto value = reply.is(Reply::Type::kString) ? TimeOf(reply.text) : std::nullopt;
  expires_at = value.value_or(expires_at);
  return value.has_value();
}

ClaimError UnknownText(const Reply& reply, ErrorDetails* details) noexcept {
  if (details != nullptr) {
    details->clear();
    (void)details->Add(reply.text.substr(0, 512));
  }
  return ClaimError::kUnknownCode;
}

}  // namespace ffgrant::valkey::internal
