// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/valkey/internal/claim_commands.h"

#include <array>
#include <charconv>
#include <span>
#include <stdexcept>

#include "ffgrant/claims/internal/renew_before.h"
#include "ffgrant/internal/throw.h"
#include "ffgrant/valkey/internal/claim_keys.h"
#include "ffgrant/valkey/internal/retry_policy_json.h"

namespace ffgrant::valkey::internal {
namespace {

// The texts that ff-backend-valkey writes for a condition that any signal meets, and for the policy
// ResumePolicy::normal().
constexpr std::string_view kAnySignalResumes =
    R"({"allow_operator_override":true,"condition_type":"signal_set","minimum_signal_count":1,)"
    R"("required_signal_names":[],"signal_match_mode":"any","timeout_behavior":"fail"})";
constexpr std::string_view kResumePolicy =
    R"({"close_waitpoint_on_resume":true,"consume_matched_signals":true,)"
    R"("resume_target":"runnable","retain_signal_buffer_until_closed":false})";

// Writes a call of a function: the constructor begins it, the destructor ends it, and in between
// the caller adds the keys and then the arguments. If `instead` is given, it is called in place of
// `function`.
class FunctionCall {
 public:
  FunctionCall(RespCommand& command, std::string_view function, std::string_view instead = {})
      : command_(command) {
    command_.BeginCall(function, instead);
  }
  ~FunctionCall() { command_.EndCall(); }
  FunctionCall(const FunctionCall&) = delete;

 private:
  RespCommand& command_;
};

void WorkerArgs(RespCommand& command, const ExecutionIdView& id, const WorkerIdentity& worker,
                LaneIdView lane) {
  command.Arg(id.text());
  command.Arg(worker.worker_id.text);
  command.Arg(worker.worker_instance_id.text);
  command.Arg(lane.text());
}

// Writes the last three arguments of a claim, which set no policy and no timeout for the attempt,
// and no deadline for the execution.
void NoAttemptOptions(RespCommand& command) {
  command.Arg("{}");
  command.Arg("");
  command.Arg("");
}

// Parts of a fence that are absent are sent as empty texts.
void LeaseIdArg(RespCommand& command, const OptionalFence& fence) {
  fence.lease_id ? command.Arg(fence.lease_id->uuid) : command.Arg("");
}
void EpochArg(RespCommand& command, const OptionalFence& fence) {
  fence.lease_epoch ? command.Arg(fence.lease_epoch->value) : command.Arg("");
}
void AttemptIdArg(RespCommand& command, const OptionalFence& fence) {
  fence.attempt_id ? command.Arg(fence.attempt_id->uuid) : command.Arg("");
}

// Returns {} if there are no requirements, no cap and no retries. Otherwise returns FlowFabric's
// policy with its defaults, as ff-core's ExecutionPolicy is serialized, for example
// {"priority":0,"max_reclaim_count":100,"max_replay_count":10,"budget_ids":[],
//  "routing_requirements":{"required_capabilities":["a"]},"max_signals_per_execution":10000}
// If there are retries, "retry_policy" comes after the priority.
std::string_view PolicyJson(const CreateExecutionArgs& args, std::string& scratch) {
  const bool has_requirements = args.required != nullptr && !args.required->empty();
  scratch.clear();
  if (!has_requirements && !args.max_reclaim_count && !args.retry) return "{}";
  std::array<char, 10> digits;
  const char* const end = std::to_chars(digits.data(), digits.data() + digits.size(),
                                        args.max_reclaim_count.value_or(kPolicyMaxReclaimCount))
                              .ptr;
  scratch.append(R"({"priority":0)");
  if (args.retry) {
    scratch.append(R"(,"retry_policy":)");
    AppendRetryPolicy(*args.retry, scratch);
  }
  scratch.append(R"(,"max_reclaim_count":)");
  scratch.append(digits.data(), static_cast<std::size_t>(end - digits.data()));
  scratch.append(R"(,"max_replay_count":10,"budget_ids":[])");
  if (has_requirements) {
    scratch.append(R"(,"routing_requirements":{"required_capabilities":[")");
    // Nothing says that AssignRequired() has made the set, so its tokens may hold any byte but a
    // comma.
    for (const char c : args.required->csv()) {
      if (c == ',') {
        scratch.append(R"(",")");
      } else if (static_cast<unsigned char>(c) < 0x20) {
        constexpr std::string_view kHexDigits = "0123456789abcdef";
        scratch.append(R"(\u00)");
        scratch.push_back(kHexDigits[static_cast<unsigned char>(c) >> 4]);
        scratch.push_back(kHexDigits[c & 15]);
      } else {
        if (c == '"' || c == '\\') scratch.push_back('\\');
        scratch.push_back(c);
      }
    }
    scratch.append(R"("]})");
  }
  scratch.append(R"(,"max_signals_per_execution":10000})");
  return scratch;
}

void WriteIssueTo(RespCommand& command, const IssueGrantArgs& args, bool reclaim,
                  std::string_view instead) {
  ClaimKeys keys(command, args.execution_id, args.lane);
  const FunctionCall call(command, reclaim ? "ff_issue_reclaim_grant" : "ff_issue_claim_grant",
                          instead);
  keys.Execution(ExecutionKey::kCore);
  keys.Execution(ExecutionKey::kClaimGrant);
  if (reclaim) {
    keys.Index(PartitionIndexKey::kLeaseExpiry);
  } else {
    keys.Lane(LaneKey::kEligible);
  }
  WorkerArgs(command, args.execution_id, args.worker, args.lane);
  command.Arg(args.capability_hash);
  command.Arg(args.grant_ttl_ms);
  command.Arg(args.route_snapshot_json);
  command.Arg(args.admission_summary);
  command.Arg(args.offered == nullptr ? std::string_view() : args.offered->csv());
}

}  // namespace

void CheckDefaults(const ClaimDefaults& defaults) {
  if (!defaults.partitions.IsValid()) {
    ffgrant::internal::Throw<std::invalid_argument>("ffgrant: partition counts must not be 0");
  }
  if (defaults.lease_history_grace_ms < 0 || defaults.lease_history_grace_ms > kMaxTtlMs) {
    ffgrant::internal::Throw<std::invalid_argument>("ffgrant: lease_history_grace_ms out of range");
  }
}

void WriteCreate(RespCommand& command, const CreateExecutionArgs& args,
                 const ExecutionContent& content, const ClaimDefaults& defaults,
                 std::string& scratch) {
  ClaimKeys keys(command, args.execution_id, args.lane);
  const FunctionCall call(command, "ff_create_execution");
  keys.Execution(ExecutionKey::kCore);
  keys.Execution(ExecutionKey::kPayload);
  keys.Execution(ExecutionKey::kPolicy);
  keys.Execution(ExecutionKey::kTags);
  keys.Lane(args.delay_until ? LaneKey::kDelayed : LaneKey::kEligible);
  keys.Index(PartitionIndexKey::kNoop);
  keys.Index(PartitionIndexKey::kExecutionDeadline);
  keys.Index(PartitionIndexKey::kAllExecutions);
  command.Arg(args.execution_id.text());
  command.Arg(defaults.ns);
  command.Arg(args.lane.text());
  command.Arg(content.kind.empty() ? defaults.execution_kind : content.kind);
  command.Arg(args.priority);
  command.Arg(defaults.creator_identity);
  command.Arg(PolicyJson(args, scratch));
  command.Arg(content.payload);
  args.delay_until ? command.Arg(args.delay_until->value) : command.Arg("");
  command.Arg("");  // dedup_ttl_ms: there is no idempotency key
  command.Arg(content.tags_json);
  command.Arg("");  // deadline
  command.Arg(std::uint64_t{args.execution_id.partition().index});
}

void WriteIssue(RespCommand& command, const IssueGrantArgs& args, std::string_view function) {
  WriteIssueTo(command, args, false, function);
}

void WriteIssueReclaim(RespCommand& command, const IssueGrantArgs& args) {
  WriteIssueTo(command, args, true, {});
}

void WriteClaim(RespCommand& command, const ClaimArgs& args, std::string_view function) {
  ClaimKeys keys(command, args.execution_id, args.lane);
  const FunctionCall call(command, "ff_claim_execution", function);
  keys.Execution(ExecutionKey::kCore);
  keys.Execution(ExecutionKey::kClaimGrant);
  keys.Lane(LaneKey::kEligible);
  keys.Index(PartitionIndexKey::kLeaseExpiry);
  keys.WorkerLeases(args.worker.worker_instance_id.text);
  // Index 0 stands for the next attempt, whatever its index: the function makes that attempt's key
  // itself.
  keys.Attempt(AttemptKey::kAttempt, 0);
  keys.Attempt(AttemptKey::kUsage, 0);
  keys.Attempt(AttemptKey::kPolicy, 0);
  keys.Execution(ExecutionKey::kAttempts);
  keys.Execution(ExecutionKey::kLeaseCurrent);
  keys.Execution(ExecutionKey::kLeaseHistory);
  keys.Lane(LaneKey::kActive);
  keys.Index(PartitionIndexKey::kAttemptTimeout);
  keys.Index(PartitionIndexKey::kExecutionDeadline);
  WorkerArgs(command, args.execution_id, args.worker, args.lane);
  command.Arg("");  // capability hash
  command.Arg(args.lease_id.uuid);
  command.Arg(args.lease_ttl_ms);
  command.Arg(ffgrant::internal::RenewBefore(args.lease_ttl_ms));
  command.Arg(args.attempt_id.uuid);
  NoAttemptOptions(command);
}

void WriteIssueAndClaim(RespCommand& command, const ClaimArgs& args, std::string_view function) {
  ClaimKeys keys(command, args.execution_id, args.lane);
  const FunctionCall call(command, "ff_issue_grant_and_claim", function);
  keys.Execution(ExecutionKey::kCore);
  keys.Execution(ExecutionKey::kClaimGrant);
  keys.Lane(LaneKey::kEligible);
  keys.Index(PartitionIndexKey::kLeaseExpiry);
  keys.WorkerLeases(args.worker.worker_instance_id.text);
  keys.Execution(ExecutionKey::kAttempts);
  keys.Execution(ExecutionKey::kLeaseCurrent);
  keys.Execution(ExecutionKey::kLeaseHistory);
  keys.Lane(LaneKey::kActive);
  keys.Index(PartitionIndexKey::kAttemptTimeout);
  keys.Index(PartitionIndexKey::kExecutionDeadline);
  WorkerArgs(command, args.execution_id, args.worker, args.lane);
  command.Arg("");  // capability hash
  command.Arg(args.lease_id.uuid);
  command.Arg(args.lease_ttl_ms);
  command.Arg(args.attempt_id.uuid);
  NoAttemptOptions(command);
}

void WriteClaimResumed(RespCommand& command, const ClaimResumedArgs& args,
                       std::uint32_t attempt_index) {
  ClaimKeys keys(command, args.execution_id, args.lane);
  const FunctionCall call(command, "ff_claim_resumed_execution");
  keys.Execution(ExecutionKey::kCore);
  keys.Execution(ExecutionKey::kClaimGrant);
  keys.Lane(LaneKey::kEligible);
  keys.Index(PartitionIndexKey::kLeaseExpiry);
  keys.WorkerLeases(args.worker.worker_instance_id.text);
  keys.Attempt(AttemptKey::kAttempt, attempt_index);
  keys.Execution(ExecutionKey::kLeaseCurrent);
  keys.Execution(ExecutionKey::kLeaseHistory);
  keys.Lane(LaneKey::kActive);
  keys.Index(PartitionIndexKey::kAttemptTimeout);
  keys.Index(PartitionIndexKey::kExecutionDeadline);
  WorkerArgs(command, args.execution_id, args.worker, args.lane);
  command.Arg("");  // capability hash
  command.Arg(args.lease_id.uuid);
  command.Arg(args.lease_ttl_ms);
  command.Arg("");  // what is left of the attempt's timeout
}

void WriteRenew(RespCommand& command, const RenewArgs& args, const ClaimDefaults& defaults) {
  ClaimKeys keys(command, args.execution_id);
  const FunctionCall call(command, "ff_renew_lease");
  keys.Execution(ExecutionKey::kCore);
  keys.Execution(ExecutionKey::kLeaseCurrent);
  keys.Execution(ExecutionKey::kLeaseHistory);
  keys.Index(PartitionIndexKey::kLeaseExpiry);
  command.Arg(args.execution_id.text());
  command.Arg(std::uint64_t{args.attempt_index.value});
  AttemptIdArg(command, args.fence);
  LeaseIdArg(command, args.fence);
  EpochArg(command, args.fence);
  command.Arg(args.lease_ttl_ms);
  command.Arg(defaults.lease_history_grace_ms);
}

void WriteMarkExpired(RespCommand& command, const ExecutionIdView& id) {
  ClaimKeys keys(command, id);
  const FunctionCall call(command, "ff_mark_lease_expired_if_due");
  keys.Execution(ExecutionKey::kCore);
  keys.Execution(ExecutionKey::kLeaseCurrent);
  keys.Index(PartitionIndexKey::kLeaseExpiry);
  keys.Execution(ExecutionKey::kLeaseHistory);
  command.Arg(id.text());
}

void WriteRevoke(RespCommand& command, const RevokeArgs& args, const CoreHints& hints,
                 const ClaimDefaults& defaults) {
  ClaimKeys keys(command, args.execution_id);
  const FunctionCall call(command, "ff_revoke_lease");
  keys.Execution(ExecutionKey::kCore);
  keys.Execution(ExecutionKey::kLeaseCurrent);
  keys.Execution(ExecutionKey::kLeaseHistory);
  keys.Index(PartitionIndexKey::kLeaseExpiry);
  keys.WorkerLeases(hints.worker_instance_id);
  command.Arg(args.execution_id.text());
  args.expected_lease_id ? command.Arg(args.expected_lease_id->uuid) : command.Arg("");
  command.Arg(defaults.revoke_reason);
}

void WriteReclaim(RespCommand& command, const ReclaimArgs& args, std::uint32_t old_attempt_index) {
  ClaimKeys keys(command, args.execution_id, args.lane);
  const FunctionCall call(command, "ff_reclaim_execution");
  keys.Execution(ExecutionKey::kCore);
  keys.Execution(ExecutionKey::kClaimGrant);
  keys.Attempt(AttemptKey::kAttempt, old_attempt_index);
  keys.Attempt(AttemptKey::kStreamMeta, old_attempt_index);
  keys.Attempt(AttemptKey::kAttempt, old_attempt_index + 1);
  keys.Attempt(AttemptKey::kUsage, old_attempt_index + 1);
  keys.Execution(ExecutionKey::kAttempts);
  keys.Execution(ExecutionKey::kLeaseCurrent);
  keys.Execution(ExecutionKey::kLeaseHistory);
  keys.Index(PartitionIndexKey::kLeaseExpiry);
  keys.WorkerLeases(args.worker.worker_instance_id.text);
  keys.Lane(LaneKey::kActive);
  keys.Index(PartitionIndexKey::kAttemptTimeout);
  keys.Index(PartitionIndexKey::kExecutionDeadline);
  WorkerArgs(command, args.execution_id, args.worker, args.lane);
  command.Arg(args.lease_id.uuid);
  command.Arg(args.lease_ttl_ms);
  command.Arg(args.attempt_id.uuid);
  command.Arg("{}");  // attempt policy
  command.Arg(std::uint64_t{args.max_reclaim_count.value_or(kDefaultMaxReclaimCount)});
}

void WriteSuspend(RespCommand& command, const SuspendArgs& args, const CoreHints& hints,
                  const Uuid& suspension_id, const Uuid& waitpoint_id) {
  constexpr std::string_view kKeyBegin = "wpk:";
  std::array<char, kKeyBegin.size() + kUuidTextSize> text;
  kKeyBegin.copy(text.data(), kKeyBegin.size());
  FormatUuid(waitpoint_id, std::span(text).subspan<kKeyBegin.size()>());
  const std::string_view waitpoint_key(text.data(), text.size());
  const std::string_view waitpoint = waitpoint_key.substr(kKeyBegin.size());
  ClaimKeys keys(command, args.execution_id, LaneIdView::Unchecked(hints.current_lane));
  const FunctionCall call(command, "ff_suspend_execution");
  keys.Execution(ExecutionKey::kCore);
  keys.Attempt(AttemptKey::kAttempt, hints.attempt_index);
  keys.Execution(ExecutionKey::kLeaseCurrent);
  keys.Execution(ExecutionKey::kLeaseHistory);
  keys.Index(PartitionIndexKey::kLeaseExpiry);
  keys.WorkerLeases(hints.worker_instance_id);
  keys.ExecutionRest("suspension:current");
  keys.Waitpoint(waitpoint);
  keys.Waitpoint(waitpoint, ":signals");
  keys.Tagged("ff:idx", "suspension_timeout");
  keys.Tagged("ff:idx", "pending_waitpoint_expiry");
  keys.Lane(LaneKey::kActive);
  keys.Lane(LaneKey::kSuspended);
  keys.ExecutionRest("waitpoints");
  keys.Waitpoint(waitpoint, ":condition");
  keys.Index(PartitionIndexKey::kAttemptTimeout);
  keys.Tagged("ff:sec", "waitpoint_hmac");
  keys.Index(PartitionIndexKey::kNoop);  // no idempotency key
  command.Arg(args.execution_id.text());
  command.Arg(std::uint64_t{hints.attempt_index});
  AttemptIdArg(command, args.fence);
  LeaseIdArg(command, args.fence);
  EpochArg(command, args.fence);
  command.Arg(suspension_id);
  command.Arg(waitpoint);
  command.Arg(waitpoint_key);  // signals address the waitpoint by this key
  command.Arg("waiting_for_signal");
  command.Arg("worker");
  command.Arg("");  // no timeout
  command.Arg(kAnySignalResumes);
  command.Arg(kResumePolicy);
  command.Arg("");  // continuation
  command.Arg("");  // no pending waitpoint
  command.Arg("fail");
  command.Arg("1000");  // about how many events the lease history keeps
  command.Arg("");      // no idempotency key
  command.Arg("0");
  command.Arg("0");  // how many further waitpoints follow
}

void WriteInstallWaitpointSecret(RespCommand& command, const ExecutionIdView& id,
                                 std::string_view secret_hex) {
  ClaimKeys keys(command, id);
  const FunctionCall call(command, "ff_rotate_waitpoint_hmac_secret");
  keys.Tagged("ff:sec", "waitpoint_hmac");
  command.Arg("ffgrant");
  command.Arg(secret_hex);
  command.Arg("0");
}

void WriteResume(RespCommand& command, const ResumeArgs& args, const CoreHints& hints) {
  ClaimKeys keys(command, args.execution_id, LaneIdView::Unchecked(hints.lane));
  const FunctionCall call(command, "ff_resume_execution");
  keys.Execution(ExecutionKey::kCore);
  keys.ExecutionRest("suspension:current");
  keys.Waitpoint(hints.waitpoint_id);
  keys.Waitpoint(hints.waitpoint_id, ":signals");
  keys.Tagged("ff:idx", "suspension_timeout");
  keys.Lane(LaneKey::kEligible);
  keys.Lane(LaneKey::kDelayed);
  keys.Lane(LaneKey::kSuspended, LaneIdView::Unchecked(hints.current_lane));
  command.Arg(args.execution_id.text());
  command.Arg("signal");
  command.Arg(args.delay_ms);
}

void WriteComplete(RespCommand& command, const CompleteArgs& args, const CoreHints& hints,
                   std::string_view function, std::string_view result) {
  ClaimKeys keys(command, args.execution_id, LaneIdView::Unchecked(hints.current_lane));
  const FunctionCall call(command, "ff_complete_execution", function);
  keys.Execution(ExecutionKey::kCore);
  keys.Attempt(AttemptKey::kAttempt, hints.attempt_index);
  keys.Index(PartitionIndexKey::kLeaseExpiry);
  keys.WorkerLeases(hints.worker_instance_id);
  keys.Lane(LaneKey::kTerminal);
  keys.Execution(ExecutionKey::kLeaseCurrent);
  keys.Execution(ExecutionKey::kLeaseHistory);
  keys.Lane(LaneKey::kActive);
  keys.Attempt(AttemptKey::kStreamMeta, hints.attempt_index);
  keys.Execution(ExecutionKey::kResult);
  keys.Index(PartitionIndexKey::kAttemptTimeout);
  keys.Index(PartitionIndexKey::kExecutionDeadline);
  command.Arg(args.execution_id.text());
  LeaseIdArg(command, args.fence);
  EpochArg(command, args.fence);
  AttemptIdArg(command, args.fence);
  command.Arg(result);
  command.Arg(args.operator_override ? "operator_override" : "");
}

void WriteFail(RespCommand& command, const FailArgs& args, const CoreHints& hints,
               std::string_view retry_policy) {
  ClaimKeys keys(command, args.execution_id, LaneIdView::Unchecked(hints.current_lane));
  const FunctionCall call(command, "ff_fail_execution");
  keys.Execution(ExecutionKey::kCore);
  keys.Attempt(AttemptKey::kAttempt, hints.attempt_index);
  keys.Index(PartitionIndexKey::kLeaseExpiry);
  keys.WorkerLeases(hints.worker_instance_id);
  keys.Lane(LaneKey::kTerminal);
  // The execution is promoted out of its own lane's set, whatever lane it was claimed in.
  keys.Lane(LaneKey::kDelayed, LaneIdView::Unchecked(hints.lane));
  keys.Execution(ExecutionKey::kLeaseCurrent);
  keys.Execution(ExecutionKey::kLeaseHistory);
  keys.Lane(LaneKey::kActive);
  keys.Attempt(AttemptKey::kStreamMeta, hints.attempt_index);
  keys.Index(PartitionIndexKey::kAttemptTimeout);
  keys.Index(PartitionIndexKey::kExecutionDeadline);
  command.Arg(args.execution_id.text());
  LeaseIdArg(command, args.fence);
  EpochArg(command, args.fence);
  AttemptIdArg(command, args.fence);
  command.Arg(args.reason);
  command.Arg(args.category);
  command.Arg(retry_policy);
  command.Arg(args.operator_override ? "operator_override" : "");
}

void WriteReadHints(RespCommand& command, const ExecutionIdView& id) {
  ClaimKeys keys(command, id);
  command.Begin(7);
  command.Arg("HMGET");
  keys.Execution(ExecutionKey::kCore);
  command.Arg("lane_id");
  command.Arg("current_attempt_index");
  command.Arg("current_worker_instance_id");
  command.Arg("current_waitpoint_id");
  command.Arg("current_lane");
}

}  // namespace ffgrant::valkey::internal
