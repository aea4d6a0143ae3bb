// SPDX-License-Identifier: Apache-2.0
//
// What the embedded ledger stores of an execution.

#ifndef FFGRANT_CLAIMS_INTERNAL_EXECUTION_RECORD_H_
#define FFGRANT_CLAIMS_INTERNAL_EXECUTION_RECORD_H_

#include <cstdint>

#include "ffgrant/claims/claim_ledger.h"
#include "ffgrant/claims/internal/name_pool.h"
#include "ffgrant/claims/internal/renew_before.h"
#include "ffgrant/ids.h"
#include "ffgrant/uuid.h"

namespace ffgrant::internal {

// One word for the seven state fields of contract 7, so that combinations that
// the contract rules out can't be stored.
enum class State : std::uint8_t {
  kEligible,
  kDelayed,
  kResumedEligible,  // attempt_interrupted: claims go the resume path
  kResumedDelayed,
  kLeased,
  kLeaseExpired,
  kLeaseRevoked,
  kSuspended,
  kCompleted,
  kFailed,
};

constexpr bool IsEligible(State s) noexcept {
  return s == State::kEligible || s == State::kResumedEligible;
}
constexpr bool IsDelayed(State s) noexcept {
  return s == State::kDelayed || s == State::kResumedDelayed;
}
constexpr bool IsResumed(State s) noexcept {
  return s == State::kResumedEligible || s == State::kResumedDelayed;
}
constexpr bool IsRunnable(State s) noexcept { return s <= State::kResumedDelayed; }
constexpr bool IsActive(State s) noexcept {
  return s >= State::kLeased && s <= State::kLeaseRevoked;
}
constexpr bool IsReclaimable(State s) noexcept {
  return s == State::kLeaseExpired || s == State::kLeaseRevoked;
}
constexpr bool IsTerminal(State s) noexcept { return s >= State::kCompleted; }

inline constexpr std::int64_t kNever = INT64_MIN;

// Three cache lines. Issuing and claiming a grant touch the first two only.
// The attempt index of the last lease is total_attempt_count - 1 in every
// state, and its renewal deadline two thirds of the way from last_renewed_at
// to expires_at.
struct alignas(64) ExecutionRecord {
  // Line 1: identity, state, grant.
  Uuid uuid;
  std::uint16_t partition;
  std::uint16_t lane;  // number in the lane table
  State state;
  bool has_grant;
  bool grant_is_plain;  // grant_lane and the opaque texts below are unused
  bool lease_is_plain;  // lease_lane below is unused
  NameId required;      // capability set, comma-joined
  std::uint32_t total_attempt_count;
  NameId grant_worker;  // worker id and instance id
  NameId lease_worker;
  std::int64_t grant_created_at;
  std::int64_t grant_expires_at;
  std::uint64_t lease_epoch;

  // Line 2: the last lease.
  alignas(64) LeaseId lease_id;
  AttemptId attempt_id;
  std::int64_t lease_acquired_at;
  std::int64_t lease_expires_at;
  std::int64_t lease_last_renewed_at;
  std::int64_t created_at;

  // Line 3: what is rarely looked at.
  alignas(64) std::int64_t delay_until;
  std::int64_t last_capability_mismatch_at;  // or kNever
  std::uint32_t lease_reclaim_count;
  std::uint32_t max_reclaim_count;  // if has_reclaim_cap
  bool has_reclaim_cap;
  std::uint16_t priority;
  NameId grant_lane;
  NameId lease_lane;
  NameId capability_hash;
  NameId route_snapshot_json;
  NameId admission_summary;
};
static_assert(sizeof(ExecutionRecord) == 192);

// The record in the field's words.
ExecutionState Describe(const ExecutionRecord& record, std::int64_t now) noexcept;

}  // namespace ffgrant::internal

#endif  // FFGRANT_CLAIMS_INTERNAL_EXECUTION_RECORD_H_
