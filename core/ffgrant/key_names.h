// SPDX-License-Identifier: Apache-2.0
//
// Writes the names of the claim path's Valkey keys (contract 3). T is a partition's tag, `{fp:7}`.
// E is an execution id's text, which begins with the tag again:
//
//   ff:exec:{fp:7}:{fp:7}:11111111-1111-4111-8111-111111111111:claim_grant
//           `-T--' `--------------------E--------------------' `--role---'
//
// T is always canonical; E is kept as it was spelled (contract 1.8). Therefore a key with a T is in
// the slot of the parsed partition. Every function writes into the caller's buffer, reports the
// size that it needs if the buffer is too small, and never allocates.

#ifndef FFGRANT_KEY_NAMES_H_
#define FFGRANT_KEY_NAMES_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "ffgrant/config.h"
#include "ffgrant/execution_id.h"
#include "ffgrant/ids.h"
#include "ffgrant/lane_id.h"
#include "ffgrant/partition.h"
#include "ffgrant/write_result.h"

FFGRANT_API_BEGIN
namespace ffgrant {

// ff:exec:T:E:<role>
enum class ExecutionKey : std::uint8_t {
  kCore,          // core
  kClaimGrant,    // claim_grant, the key of claim, resume and reclaim grants
  kPayload,       // payload
  kResult,        // result
  kPolicy,        // policy
  kTags,          // tags
  kLeaseCurrent,  // lease:current
  kLeaseHistory,  // lease:history
  kAttempts,      // attempts
};
WriteResult FormatKey(ExecutionKey role, const ExecutionIdView& id, std::span<char> out) noexcept;

// ff:attempt:T:E:<attempt>[:usage|:policy] and ff:stream:T:E:<attempt>:meta
enum class AttemptKey : std::uint8_t { kAttempt, kUsage, kPolicy, kStreamMeta };
WriteResult FormatKey(AttemptKey role, const ExecutionIdView& id, AttemptIndex attempt,
                      std::span<char> out) noexcept;

// ff:idx:T:lane:<lane>:<role>
enum class LaneKey : std::uint8_t {
  kEligible,
  kActive,
  kDelayed,
  kTerminal,
  kSuspended,
  kBlockedRoute,         // blocked:route
  kBlockedBudget,        // blocked:budget
  kBlockedQuota,         // blocked:quota
  kBlockedOperator,      // blocked:operator
  kBlockedDependencies,  // blocked:dependencies
};
WriteResult FormatKey(LaneKey role, Partition partition, LaneIdView lane,
                      std::span<char> out) noexcept;

// ff:idx:T:<role>, and ff:noop:T
enum class PartitionIndexKey : std::uint8_t {
  kLeaseExpiry,
  kAttemptTimeout,
  kExecutionDeadline,
  kAllExecutions,
  kNoop,
};
WriteResult FormatKey(PartitionIndexKey role, Partition partition, std::span<char> out) noexcept;

// ff:idx:T:worker:<instance>:leases
WriteResult FormatWorkerLeasesKey(Partition partition, WorkerInstanceIdView instance,
                                  std::span<char> out) noexcept;

// ff:idem:T:<namespace>:<key>
WriteResult FormatIdempotencyKey(Partition partition, NamespaceView ns,
                                 std::string_view idempotency_key, std::span<char> out) noexcept;

// ff:lane:<lane>:config
WriteResult FormatLaneConfigKey(LaneIdView lane, std::span<char> out) noexcept;

// ff:worker:<namespace>:<instance>:alive|caps, ff:idx:<namespace>:workers. These keys have no hash
// tag, so the three keys may live in three different slots.
enum class WorkerKey : std::uint8_t { kAlive, kCaps };
WriteResult FormatKey(WorkerKey role, NamespaceView ns, WorkerInstanceIdView instance,
                      std::span<char> out) noexcept;
WriteResult FormatWorkerIndexKey(NamespaceView ns, std::span<char> out) noexcept;

inline constexpr std::string_view kPartitionConfigKey = "ff:config:partitions";
inline constexpr std::string_view kLaneRegistryKey = "ff:idx:lanes";

// Buffer sizes that always suffice for a canonical id, a checked lane (64 bytes), and a worker
// instance id within the 256-byte limit of contract 6:
//   "ff:exec:" + T + ":" + E + ":lease:current"
inline constexpr std::size_t kMaxExecutionKeySize =
    8 + kMaxPartitionTagSize + 1 + kMaxExecutionIdSize + 14;
//   "ff:attempt:" + T + ":" + E + ":" + 10 digits + ":policy"
inline constexpr std::size_t kMaxAttemptKeySize =
    11 + kMaxPartitionTagSize + 1 + kMaxExecutionIdSize + 1 + 10 + 7;
//   "ff:idx:" + T + ":lane:" + lane + ":blocked:dependencies"
inline constexpr std::size_t kMaxLaneKeySize = 7 + kMaxPartitionTagSize + 6 + kMaxLaneIdSize + 21;
//   "ff:idx:" + T + ":execution_deadline"
inline constexpr std::size_t kMaxPartitionIndexKeySize = 7 + kMaxPartitionTagSize + 19;
inline constexpr std::size_t kMaxWorkerNameSize = 256;
//   "ff:idx:" + T + ":worker:" + instance + ":leases"
inline constexpr std::size_t kMaxWorkerLeasesKeySize =
    7 + kMaxPartitionTagSize + 8 + kMaxWorkerNameSize + 7;
//   "ff:lane:" + lane + ":config"
inline constexpr std::size_t kMaxLaneConfigKeySize = 8 + kMaxLaneIdSize + 7;

}  // namespace ffgrant
FFGRANT_API_END

#endif  // FFGRANT_KEY_NAMES_H_
