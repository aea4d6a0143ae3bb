// SPDX-License-Identifier: Apache-2.0

#include "testing/reference/key_roles.h"

#include <algorithm>
#include <cstddef>
#include <iterator>

#include "ffgrant/key_names.h"
#include "ffgrant/partition.h"
#include "testing/reference/reference.h"

namespace ffgrant::reference {
namespace {

template <ExecutionKey key>
WriteResult Execution(const KeySubject& s, std::span<char> out) {
  return FormatKey(key, s.id, out);
}

template <AttemptKey key>
WriteResult Attempt(const KeySubject& s, std::span<char> out) {
  return FormatKey(key, s.id, s.attempt, out);
}

template <LaneKey key>
WriteResult Lane(const KeySubject& s, std::span<char> out) {
  return FormatKey(key, s.id.partition(), s.lane, out);
}

template <PartitionIndexKey key>
WriteResult Index(const KeySubject& s, std::span<char> out) {
  return FormatKey(key, s.id.partition(), out);
}

WriteResult WorkerLeases(const KeySubject& s, std::span<char> out) {
  return FormatWorkerLeasesKey(s.id.partition(), s.instance, out);
}

WriteResult Idempotency(const KeySubject& s, std::span<char> out) {
  return FormatIdempotencyKey(s.id.partition(), s.name_space, s.idempotency_key, out);
}

WriteResult LaneConfig(const KeySubject& s, std::span<char> out) {
  return FormatLaneConfigKey(s.lane, out);
}

template <WorkerKey key>
WriteResult Worker(const KeySubject& s, std::span<char> out) {
  return FormatKey(key, s.name_space, s.instance, out);
}

WriteResult WorkerIndex(const KeySubject& s, std::span<char> out) {
  return FormatWorkerIndexKey(s.name_space, out);
}

// Writes a key without parts, which is a constant.
WriteResult Constant(std::string_view text, std::span<char> out) {
  if (out.size() < text.size()) return {text.size(), WriteError::kBufferTooSmall};
  std::copy(text.begin(), text.end(), out.begin());
  return {text.size(), WriteError::kNone};
}

WriteResult LaneRegistry(const KeySubject&, std::span<char> out) {
  return Constant(kLaneRegistryKey, out);
}

WriteResult Config(const KeySubject&, std::span<char> out) {
  return Constant(kPartitionConfigKey, out);
}

struct Role {
  std::string_view name;
  WriteResult (*write)(const KeySubject& subject, std::span<char> out);
};

// The roles are in the order of ffref_key.
constexpr Role kRoles[] = {
    {"key core", Execution<ExecutionKey::kCore>},
    {"key claim_grant", Execution<ExecutionKey::kClaimGrant>},
    {"key payload", Execution<ExecutionKey::kPayload>},
    {"key result", Execution<ExecutionKey::kResult>},
    {"key policy", Execution<ExecutionKey::kPolicy>},
    {"key tags", Execution<ExecutionKey::kTags>},
    {"key lease_current", Execution<ExecutionKey::kLeaseCurrent>},
    {"key lease_history", Execution<ExecutionKey::kLeaseHistory>},
    {"key attempts", Execution<ExecutionKey::kAttempts>},
    {"key attempt", Attempt<AttemptKey::kAttempt>},
    {"key attempt_usage", Attempt<AttemptKey::kUsage>},
    {"key attempt_policy", Attempt<AttemptKey::kPolicy>},
    {"key stream_meta", Attempt<AttemptKey::kStreamMeta>},
    {"key lane_eligible", Lane<LaneKey::kEligible>},
    {"key lane_active", Lane<LaneKey::kActive>},
    {"key lane_delayed", Lane<LaneKey::kDelayed>},
    {"key lane_terminal", Lane<LaneKey::kTerminal>},
    {"key lane_suspended", Lane<LaneKey::kSuspended>},
    {"key lane_blocked_route", Lane<LaneKey::kBlockedRoute>},
    {"key lane_blocked_budget", Lane<LaneKey::kBlockedBudget>},
    {"key lane_blocked_quota", Lane<LaneKey::kBlockedQuota>},
    {"key lane_blocked_operator", Lane<LaneKey::kBlockedOperator>},
    {"key lane_blocked_dependencies", Lane<LaneKey::kBlockedDependencies>},
    {"key lease_expiry", Index<PartitionIndexKey::kLeaseExpiry>},
    {"key attempt_timeout", Index<PartitionIndexKey::kAttemptTimeout>},
    {"key execution_deadline", Index<PartitionIndexKey::kExecutionDeadline>},
    {"key all_executions", Index<PartitionIndexKey::kAllExecutions>},
    {"key noop", Index<PartitionIndexKey::kNoop>},
    {"key worker_leases", WorkerLeases},
    {"key idempotency", Idempotency},
    {"key lane_config", LaneConfig},
    {"key worker_alive", Worker<WorkerKey::kAlive>},
    {"key worker_caps", Worker<WorkerKey::kCaps>},
    {"key worker_index", WorkerIndex},
    {"key lane_registry", LaneRegistry},
    {"key partition_config", Config},
};
static_assert(std::size(kRoles) == std::size_t{FFREF_KEY_PARTITION_CONFIG} + 1);

}  // namespace

ffref_key_subject ToRaw(const KeySubject& subject) {
  return {ToView(subject.id.text()),       ToView(subject.lane.text()),
          ToView(subject.instance.text),   ToView(subject.name_space.text),
          ToView(subject.idempotency_key), subject.attempt.value};
}

WriteResult FormatKeyOf(ffref_key key, const KeySubject& subject, std::span<char> out) {
  return kRoles[key].write(subject, out);
}

std::string_view KeyRoleName(ffref_key key) { return kRoles[key].name; }

}  // namespace ffgrant::reference
