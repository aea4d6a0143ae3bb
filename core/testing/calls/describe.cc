// SPDX-License-Identifier: Apache-2.0

#include "testing/calls/describe.h"

#include <array>
#include <string_view>

namespace ffgrant::testing {
namespace {

std::string Text(const Uuid& uuid) {
  std::array<char, kUuidTextSize> text;
  FormatUuid(uuid, text);
  return {text.data(), text.size()};
}

std::string Time(const std::optional<TimestampMs>& time) {
  return time.has_value() ? std::to_string(time->value) : "-";
}
}  // namespace

std::string Describe(const Outcome& outcome) { return std::string(ErrorName(outcome.error)); }
std::string Describe(const CreateOutcome& outcome) {
  static constexpr const char* kStatus[] = {"waiting", "delayed", "duplicate"};
  return outcome ? kStatus[static_cast<int>(outcome.status)]
                 : std::string(ErrorName(outcome.error));
}
std::string Describe(const IssueOutcome& outcome) {
  return std::string(ErrorName(outcome.error)) +
         (outcome ? " until " + std::to_string(outcome.expires_at.value) : "");
}
std::string Describe(const ClaimOutcome& outcome) {
  if (!outcome) {
    return std::string(ErrorName(outcome.error));
  }
  const Lease& lease = outcome.lease;
  return "none " + Text(lease.fence.lease_id.uuid) + " " +
         std::to_string(lease.fence.lease_epoch.value) + " " + Text(lease.fence.attempt_id.uuid) +
         " " + std::to_string(lease.attempt_index.value) + " " +
         std::to_string(lease.expires_at.value) + " " +
         std::to_string(static_cast<int>(lease.kind));
}
std::string Describe(const RenewOutcome& outcome) {
  return std::string(ErrorName(outcome.error)) +
         (outcome ? " until " + std::to_string(outcome.expires_at.value) : "");
}
std::string Describe(const MarkExpiredOutcome& outcome) {
  return outcome.already == AlreadySatisfied::kNo ? std::string(ErrorName(outcome.error))
                                                  : std::string(ReasonWord(outcome.already));
}
std::string Describe(const RevokeOutcome& outcome) {
  if (outcome.already != AlreadySatisfied::kNo) {
    return std::string(ReasonWord(outcome.already));
  }
  return std::string(ErrorName(outcome.error)) +
         (outcome
              ? " " + Text(outcome.lease_id.uuid) + " " + std::to_string(outcome.lease_epoch.value)
              : "");
}
std::string Describe(const ResumeOutcome& outcome) {
  return outcome && outcome.delayed ? "delayed" : std::string(ErrorName(outcome.error));
}

std::string Describe(const std::optional<ExecutionState>& state) {
  if (!state.has_value()) {
    return "absent";
  }
  std::string text;
  for (const std::string_view word :
       {state->lifecycle_phase, state->ownership_state, state->eligibility_state,
        state->blocking_reason, state->terminal_outcome, state->attempt_state,
        state->public_state}) {
    text += std::string(word) + " ";
  }
  text += "priority " + std::to_string(state->priority) + " created " +
          std::to_string(state->created_at.value) + " attempts " +
          std::to_string(state->total_attempt_count) + " reclaims " +
          std::to_string(state->lease_reclaim_count) + " epoch " +
          std::to_string(state->current_lease_epoch.value) + " lease_current " +
          std::to_string(state->lease_current) + " lease " +
          (state->current_lease_id ? Text(state->current_lease_id->uuid) : "-") + " attempt " +
          (state->current_attempt_id ? Text(state->current_attempt_id->uuid) : "-") + " index " +
          std::to_string(state->current_attempt_index.value) + " acquired " +
          Time(state->lease_acquired_at) + " expires " + Time(state->lease_expires_at) +
          " renewed " + Time(state->lease_last_renewed_at) + " deadline " +
          Time(state->lease_renewal_deadline) + " grant " + std::to_string(state->has_grant) + " " +
          Time(state->grant_created_at) + " " + Time(state->grant_expires_at) + " delay_until " +
          Time(state->delay_until) + " mismatch " + Time(state->last_capability_mismatch_at) +
          " sets ";
  for (const bool member : {state->in_eligible, state->in_delayed, state->in_active,
                            state->in_suspended, state->in_terminal, state->in_lease_expiry}) {
    text += member ? '1' : '0';
  }
  return text;
}

std::string Describe(const std::optional<ExecutionNames>& names) {
  if (!names.has_value()) {
    return "absent";
  }
  return "requires [" + names->required_capabilities + "] grant [" + names->grant_worker_id +
         "] [" + names->grant_worker_instance_id + "] [" + names->grant_lane_id + "] [" +
         names->capability_hash + "] [" + names->route_snapshot_json + "] [" +
         names->admission_summary + "] lease [" + names->current_worker_id + "] [" +
         names->current_worker_instance_id + "] [" + names->current_lane + "]";
}

std::string StateName(const std::optional<ExecutionState>& state, TimestampMs now) {
  if (!state.has_value()) {
    return "absent";
  }
  const std::string grant = state->has_grant ? "_granted" : "";
  if (state->lifecycle_phase == "terminal") {
    return std::string(state->public_state) + grant;
  }
  if (state->lifecycle_phase == "suspended") {
    return "suspended" + grant;
  }
  if (state->lifecycle_phase == "runnable") {
    const bool resumed = state->attempt_state == "attempt_interrupted";
    const bool delayed = state->eligibility_state != "eligible_now";
    return (resumed ? "resumed" : "created") + std::string(delayed ? "_delayed" : "") + grant;
  }
  if (state->ownership_state == "lease_revoked") {
    return "revoked" + grant;
  }
  if (state->ownership_state == "lease_expired_reclaimable") {
    return "expired" + grant;
  }
  const bool due = state->lease_expires_at->value <= now.value;
  return (due ? "due" : "leased") + grant;
}

}  // namespace ffgrant::testing
