// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/key_names.h"

#include "ffgrant/internal/concat.h"

namespace ffgrant {
namespace {

using internal::Concat;
using internal::Decimal;

std::string_view RoleName(ExecutionKey role) noexcept {
  switch (role) {
    case ExecutionKey::kCore:
      return ":core";
    case ExecutionKey::kClaimGrant:
      return ":claim_grant";
    case ExecutionKey::kPayload:
      return ":payload";
    case ExecutionKey::kResult:
      return ":result";
    case ExecutionKey::kPolicy:
      return ":policy";
    case ExecutionKey::kTags:
      return ":tags";
    case ExecutionKey::kLeaseCurrent:
      return ":lease:current";
    case ExecutionKey::kLeaseHistory:
      return ":lease:history";
    case ExecutionKey::kAttempts:
      return ":attempts";
  }
  // Never reached: every enumerator has a case.
  return "";
}

std::string_view RoleName(AttemptKey role) noexcept {
  switch (role) {
    case AttemptKey::kAttempt:
      return "";
    case AttemptKey::kUsage:
      return ":usage";
    case AttemptKey::kPolicy:
      return ":policy";
    case AttemptKey::kStreamMeta:
      return ":meta";
  }
  // Never reached: every enumerator has a case.
  return "";
}

std::string_view RoleName(LaneKey role) noexcept {
  switch (role) {
    case LaneKey::kEligible:
      return ":eligible";
    case LaneKey::kActive:
      return ":active";
    case LaneKey::kDelayed:
      return ":delayed";
    case LaneKey::kTerminal:
      return ":terminal";
    case LaneKey::kSuspended:
      return ":suspended";
    case LaneKey::kBlockedRoute:
      return ":blocked:route";
    case LaneKey::kBlockedBudget:
      return ":blocked:budget";
    case LaneKey::kBlockedQuota:
      return ":blocked:quota";
    case LaneKey::kBlockedOperator:
      return ":blocked:operator";
    case LaneKey::kBlockedDependencies:
      return ":blocked:dependencies";
  }
  // Never reached: every enumerator has a case.
  return "";
}

std::string_view RoleName(PartitionIndexKey role) noexcept {
  switch (role) {
    case PartitionIndexKey::kLeaseExpiry:
      return ":lease_expiry";
    case PartitionIndexKey::kAttemptTimeout:
      return ":attempt_timeout";
    case PartitionIndexKey::kExecutionDeadline:
      return ":execution_deadline";
    case PartitionIndexKey::kAllExecutions:
      return ":all_executions";
    case PartitionIndexKey::kNoop:
      return "";
  }
  // Never reached: every enumerator has a case.
  return "";
}

}  // namespace

WriteResult FormatKey(ExecutionKey role, const ExecutionIdView& id, std::span<char> out) noexcept {
  const PartitionTag tag(id.partition());
  return Concat(out, {"ff:exec:", tag.view(), ":", id.text(), RoleName(role)});
}

WriteResult FormatKey(AttemptKey role, const ExecutionIdView& id, AttemptIndex attempt,
                      std::span<char> out) noexcept {
  const PartitionTag tag(id.partition());
  const Decimal number(attempt.value);
  const std::string_view stem = role == AttemptKey::kStreamMeta ? "ff:stream:" : "ff:attempt:";
  return Concat(out, {stem, tag.view(), ":", id.text(), ":", number.view(), RoleName(role)});
}

WriteResult FormatKey(LaneKey role, Partition partition, LaneIdView lane,
                      std::span<char> out) noexcept {
  const PartitionTag tag(partition);
  return Concat(out, {"ff:idx:", tag.view(), ":lane:", lane.text(), RoleName(role)});
}

WriteResult FormatKey(PartitionIndexKey role, Partition partition, std::span<char> out) noexcept {
  const PartitionTag tag(partition);
  const std::string_view stem = role == PartitionIndexKey::kNoop ? "ff:noop:" : "ff:idx:";
  return Concat(out, {stem, tag.view(), RoleName(role)});
}

WriteResult FormatWorkerLeasesKey(Partition partition, WorkerInstanceIdView instance,
                                  std::span<char> out) noexcept {
  const PartitionTag tag(partition);
  return Concat(out, {"ff:idx:", tag.view(), ":worker:", instance.text, ":leases"});
}

WriteResult FormatIdempotencyKey(Partition partition, NamespaceView ns,
                                 std::string_view idempotency_key, std::span<char> out) noexcept {
  const PartitionTag tag(partition);
  return Concat(out, {"ff:idem:", tag.view(), ":", ns.text, ":", idempotency_key});
}

WriteResult FormatLaneConfigKey(LaneIdView lane, std::span<char> out) noexcept {
  return Concat(out, {"ff:lane:", lane.text(), ":config"});
}

WriteResult FormatKey(WorkerKey role, NamespaceView ns, WorkerInstanceIdView instance,
                      std::span<char> out) noexcept {
  const std::string_view name = role == WorkerKey::kAlive ? ":alive" : ":caps";
  return Concat(out, {"ff:worker:", ns.text, ":", instance.text, name});
}

WriteResult FormatWorkerIndexKey(NamespaceView ns, std::span<char> out) noexcept {
  return Concat(out, {"ff:idx:", ns.text, ":workers"});
}

}  // namespace ffgrant
