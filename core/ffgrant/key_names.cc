// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/key_names.h"

#include <cstring>

#include "ffgrant/internal/concat.h"
#include "ffgrant/internal/partition_tag_text.h"

namespace ffgrant {
namespace {

using internal::Concat;
using internal::Decimal;
using std::string_view_literals::operator""sv;

inline char* Put(char* to, std::string_view part) noexcept {
  // An empty view may hold a null pointer, which memcpy must not get.
  if (!part.empty()) std::memcpy(to, part.data(), part.size());
  return to + part.size();
}

// Writes the same as Concat of a stem, a tag and parts, but in straight-line code: a loop over
// parts of unknown sizes costs more than copying the parts.
template <class... Parts>
inline WriteResult ConcatTagged(std::span<char> out, std::string_view stem, Partition partition,
                                Parts... parts) noexcept {
  const internal::PartitionTagText tag = internal::TagText(partition);
  const std::size_t size = stem.size() + tag.size + (parts.size() + ...);
  if (size > out.size()) return {size, WriteError::kBufferTooSmall};
  char* to = Put(out.data(), stem);
  // The copy may write past the tag; the parts then overwrite the surplus bytes.
  if (size - stem.size() >= 16) {
    tag.WriteWhole(to);
  } else {
    tag.Write(to);
  }
  to += tag.size;
  ((to = Put(to, parts)), ...);
  return {size, WriteError::kNone};
}

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
  // Any number may be cast to an enumeration.
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
  // Any number may be cast to an enumeration.
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
  // Any number may be cast to an enumeration.
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
  // Any number may be cast to an enumeration.
  return "";
}

}  // namespace

WriteResult FormatKey(ExecutionKey role, const ExecutionIdView& id, std::span<char> out) noexcept {
  return ConcatTagged(out, "ff:exec:", id.partition(), ":"sv, id.text(), RoleName(role));
}

WriteResult FormatKey(AttemptKey role, const ExecutionIdView& id, AttemptIndex attempt,
                      std::span<char> out) noexcept {
  const Decimal number(attempt.value);
  const std::string_view stem = role == AttemptKey::kStreamMeta ? "ff:stream:" : "ff:attempt:";
  return ConcatTagged(out, stem, id.partition(), ":"sv, id.text(), ":"sv, number.view(),
                      RoleName(role));
}

WriteResult FormatKey(LaneKey role, Partition partition, LaneIdView lane,
                      std::span<char> out) noexcept {
  return ConcatTagged(out, "ff:idx:", partition, ":lane:"sv, lane.text(), RoleName(role));
}

WriteResult FormatKey(PartitionIndexKey role, Partition partition, std::span<char> out) noexcept {
  const std::string_view stem = role == PartitionIndexKey::kNoop ? "ff:noop:" : "ff:idx:";
  return ConcatTagged(out, stem, partition, RoleName(role));
}

WriteResult FormatWorkerLeasesKey(Partition partition, WorkerInstanceIdView instance,
                                  std::span<char> out) noexcept {
  return ConcatTagged(out, "ff:idx:", partition, ":worker:"sv, instance.text, ":leases"sv);
}

WriteResult FormatIdempotencyKey(Partition partition, NamespaceView ns,
                                 std::string_view idempotency_key, std::span<char> out) noexcept {
  return ConcatTagged(out, "ff:idem:", partition, ":"sv, ns.text, ":"sv, idempotency_key);
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
