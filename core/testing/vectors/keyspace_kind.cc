// SPDX-License-Identifier: Apache-2.0

#include "testing/vectors/keyspace_kind.h"

#include <cstdint>
#include <limits>
#include <span>
#include <string_view>

#include "ffgrant/execution_id.h"
#include "ffgrant/hash_slot.h"
#include "ffgrant/ids.h"
#include "ffgrant/key_names.h"
#include "ffgrant/lane_id.h"
#include "ffgrant/partition.h"

namespace ffgrant::conformance {
namespace {

struct Subject {
  ExecutionIdView id;
  LaneIdView lane;
  WorkerInstanceIdView instance;
  AttemptIndex attempt;
};

struct Role {
  std::string_view name;
  WriteResult (*write)(const Subject& subject, std::span<char> out);
};

template <ExecutionKey key>
WriteResult Execution(const Subject& s, std::span<char> out) {
  return FormatKey(key, s.id, out);
}

template <AttemptKey key>
WriteResult Attempt(const Subject& s, std::span<char> out) {
  return FormatKey(key, s.id, s.attempt, out);
}

template <LaneKey key>
WriteResult Lane(const Subject& s, std::span<char> out) {
  return FormatKey(key, s.id.partition(), s.lane, out);
}

template <PartitionIndexKey key>
WriteResult Index(const Subject& s, std::span<char> out) {
  return FormatKey(key, s.id.partition(), out);
}

WriteResult WorkerLeases(const Subject& s, std::span<char> out) {
  return FormatWorkerLeasesKey(s.id.partition(), s.instance, out);
}

constexpr Role kRoles[] = {
    {"core", Execution<ExecutionKey::kCore>},
    {"claim_grant", Execution<ExecutionKey::kClaimGrant>},
    {"payload", Execution<ExecutionKey::kPayload>},
    {"result", Execution<ExecutionKey::kResult>},
    {"policy", Execution<ExecutionKey::kPolicy>},
    {"tags", Execution<ExecutionKey::kTags>},
    {"lease_current", Execution<ExecutionKey::kLeaseCurrent>},
    {"lease_history", Execution<ExecutionKey::kLeaseHistory>},
    {"attempts", Execution<ExecutionKey::kAttempts>},
    {"attempt", Attempt<AttemptKey::kAttempt>},
    {"attempt_usage", Attempt<AttemptKey::kUsage>},
    {"attempt_policy", Attempt<AttemptKey::kPolicy>},
    {"stream_meta", Attempt<AttemptKey::kStreamMeta>},
    {"lane_eligible", Lane<LaneKey::kEligible>},
    {"lane_active", Lane<LaneKey::kActive>},
    {"lane_delayed", Lane<LaneKey::kDelayed>},
    {"lane_terminal", Lane<LaneKey::kTerminal>},
    {"lease_expiry", Index<PartitionIndexKey::kLeaseExpiry>},
    {"attempt_timeout", Index<PartitionIndexKey::kAttemptTimeout>},
    {"execution_deadline", Index<PartitionIndexKey::kExecutionDeadline>},
    {"all_executions", Index<PartitionIndexKey::kAllExecutions>},
    {"noop", Index<PartitionIndexKey::kNoop>},
    {"worker_leases", WorkerLeases},
};

}  // namespace

void CheckKeyspace(Object& vector, Case& result) {
  const ExecutionIdResult parsed =
      ParseExecutionId(vector.Text("execution_id"), ParseMode::kLenient);
  result.SameText("execution_id", ErrorName(ExecutionIdError::kNone), ErrorName(parsed.error));
  constexpr std::uint64_t kMaxAttempt = std::numeric_limits<std::uint32_t>::max();
  const Subject subject = {
      .id = parsed.id,
      .lane = LaneIdView::Unchecked(vector.Text("lane")),
      .instance = {vector.Text("worker_instance_id")},
      .attempt = {static_cast<std::uint32_t>(vector.Number("attempt", kMaxAttempt))},
  };

  Object keys = vector.Child("keys");
  for (const Role& role : kRoles) {
    const std::string_view expected = keys.Text(role.name);
    const std::string key = Written(
        role.name, [&](std::span<char> out) { return role.write(subject, out); }, result);
    result.SameText(role.name, expected, key);
    result.SameNumber("slot of a key", HashSlot(subject.id.partition()), HashSlot(key));
  }
}

}  // namespace ffgrant::conformance
