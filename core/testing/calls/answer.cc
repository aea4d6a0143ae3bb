// SPDX-License-Identifier: Apache-2.0

#include "testing/calls/answer.h"

#include <array>
#include <string_view>
#include <utility>

namespace ffgrant::testing {
namespace {

std::string Time(const std::optional<TimestampMs>& time) {
  return time.has_value() ? std::to_string(time->value) : "-";
}

std::string Lines(const std::vector<std::string>& details) {
  std::string text;
  for (const std::string& detail : details) text += " [" + detail + "]";
  return text;
}

Answer Error(const Outcome& outcome) {
  Answer answer;
  answer.error = outcome.error;
  return answer;
}

}  // namespace

std::string UuidText(const Uuid& uuid) {
  std::array<char, kUuidTextSize> text;
  FormatUuid(uuid, text);
  return {text.data(), text.size()};
}

// ---- answers -----------------------------------------------------------------

Answer AnswerOf(const Outcome& outcome) { return Error(outcome); }
Answer AnswerOf(const CreateOutcome& outcome) {
  Answer answer = Error(outcome);
  if (outcome) answer.created = outcome.status;
  return answer;
}
Answer AnswerOf(const IssueOutcome& outcome) {
  Answer answer = Error(outcome);
  if (outcome) answer.expires_at = outcome.expires_at;
  return answer;
}
Answer AnswerOf(const ClaimForWorkerOutcome& outcome) {
  Answer answer = Error(outcome);
  answer.looked =
      Looked{outcome.partitions, outcome.partitions_seen, outcome.partitions_unreachable};
  if (!outcome) return answer;
  const ClaimGrantView grant = outcome.grant.view();
  answer.chosen = {ExecutionId(grant.execution_id), std::string(grant.partition_key),
                   std::string(grant.grant_key), grant.expires_at_ms};
  return answer;
}
Answer AnswerOf(const ClaimOutcome& outcome) {
  Answer answer = Error(outcome);
  if (outcome) answer.lease = outcome.lease;
  return answer;
}
Answer AnswerOf(const RenewOutcome& outcome) {
  Answer answer = Error(outcome);
  if (outcome) answer.expires_at = outcome.expires_at;
  return answer;
}
Answer AnswerOf(const MarkExpiredOutcome& outcome) {
  Answer answer = Error(outcome);
  answer.already = outcome.already;
  return answer;
}
Answer AnswerOf(const RevokeOutcome& outcome) {
  Answer answer = Error(outcome);
  if (!outcome) return answer;
  answer.already = outcome.already;
  if (outcome.already == AlreadySatisfied::kNo) {
    answer.revoked = LeaseFence{outcome.lease_id, outcome.lease_epoch, {}};
  }
  return answer;
}
Answer AnswerOf(const ResumeOutcome& outcome) {
  Answer answer = Error(outcome);
  answer.delayed = outcome && outcome.delayed;
  return answer;
}
Answer AnswerOf(const FailOutcome& outcome) {
  Answer answer = Error(outcome);
  if (outcome && outcome.retried) answer.retry_at = outcome.delay_until;
  return answer;
}
Answer AnswerOf(std::optional<ExecutionState> state) {
  Answer answer;
  answer.state = std::move(state);
  return answer;
}
Answer AnswerOf(std::optional<ExecutionNames> names) {
  Answer answer;
  answer.names = std::move(names);
  return answer;
}

std::string_view Word(const Answer& answer) {
  static constexpr std::string_view kStatus[] = {"waiting", "delayed", "duplicate"};
  if (answer.created) return kStatus[static_cast<int>(*answer.created)];
  if (answer.already != AlreadySatisfied::kNo) return ReasonWord(answer.already);
  if (answer.retry_at) return "retry";
  return answer.delayed ? "delayed" : ErrorName(answer.error);
}

std::string Describe(const Answer& answer) {
  std::string text(Word(answer));
  if (answer.expires_at) text += " until " + Time(answer.expires_at);
  if (answer.retry_at) text += " at " + Time(answer.retry_at);
  if (answer.chosen) {
    text += " " + std::string(answer.chosen->execution_id.text()) + " " +
            answer.chosen->partition_key + " " + answer.chosen->grant_key + " until " +
            std::to_string(answer.chosen->expires_at_ms);
  }
  if (answer.looked) {
    text += " seen " + std::to_string(answer.looked->seen) + " of " +
            std::to_string(answer.looked->partitions) + ", unreachable " +
            std::to_string(answer.looked->unreachable);
  }
  if (answer.lease) {
    const Lease& lease = *answer.lease;
    text += " " + UuidText(lease.fence.lease_id.uuid) + " epoch " +
            std::to_string(lease.fence.lease_epoch.value) + " " +
            UuidText(lease.fence.attempt_id.uuid) + " attempt " +
            std::to_string(lease.attempt_index.value) + " until " +
            std::to_string(lease.expires_at.value) + " " + std::string(LeaseKindName(lease.kind));
  }
  if (answer.revoked) {
    text += " " + UuidText(answer.revoked->lease_id.uuid) + " epoch " +
            std::to_string(answer.revoked->lease_epoch.value);
  }
  if (answer.state) text += " " + Describe(answer.state);
  if (answer.names) text += " " + Describe(answer.names);
  if (answer.maintained) {
    text += " expired " + std::to_string(answer.maintained->leases_expired) + " promoted " +
            std::to_string(answer.maintained->promoted);
  }
  if (answer.size != 0) text += " size " + std::to_string(answer.size);
  return text + Lines(answer.details);
}

// ---- states ------------------------------------------------------------------

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
          std::to_string(state->lease_reclaim_count) + " retries " +
          std::to_string(state->retry_count) + " epoch " +
          std::to_string(state->current_lease_epoch.value) + " lease_current " +
          std::to_string(state->lease_current) + " lease " +
          (state->current_lease_id ? UuidText(state->current_lease_id->uuid) : "-") + " attempt " +
          (state->current_attempt_id ? UuidText(state->current_attempt_id->uuid) : "-") +
          " index " + std::to_string(state->current_attempt_index.value) + " acquired " +
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
    const std::string begin = state->attempt_state == "attempt_interrupted"     ? "resumed"
                              : state->attempt_state == "pending_retry_attempt" ? "retry"
                                                                                : "created";
    const bool delayed = state->eligibility_state != "eligible_now";
    return begin + (delayed ? "_delayed" : "") + grant;
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
