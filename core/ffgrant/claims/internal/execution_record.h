// SPDX-License-Identifier: Apache-2.0
//
// The embedded ledger stores an execution as an ExecutionRecord and an ExecutionExtra.

#ifndef FFGRANT_CLAIMS_INTERNAL_EXECUTION_RECORD_H_
#define FFGRANT_CLAIMS_INTERNAL_EXECUTION_RECORD_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "ffgrant/claims/claim_ledger.h"
#include "ffgrant/claims/internal/name_pool.h"
#include "ffgrant/claims/internal/renew_before.h"
#include "ffgrant/ids.h"
#include "ffgrant/uuid.h"

namespace ffgrant::internal {

// Each state stands for one combination of the seven state fields of contract 7; kFailed and
// kReclaimedTooOften stand for the same one. So combinations that the contract rules out can't be
// stored.
enum class State : std::uint8_t {
  kEligible,
  kRetryEligible,    // pending_retry_attempt: the next claim is of kind retry
  kResumedEligible,  // attempt_interrupted: ClaimResumed() claims it
  kDelayed,
  kRetryDelayed,
  kResumedDelayed,
  kLeased,
  kLeaseExpired,
  kLeaseRevoked,
  kSuspended,
  kCompleted,
  kFailed,
  kReclaimedTooOften,  // failed as well, but the last lease's times stay
};

constexpr bool IsEligible(State s) noexcept { return s <= State::kResumedEligible; }
constexpr bool IsDelayed(State s) noexcept {
  return s >= State::kDelayed && s <= State::kResumedDelayed;
}
constexpr bool IsResumed(State s) noexcept {
  return s == State::kResumedEligible || s == State::kResumedDelayed;
}
constexpr bool IsRetry(State s) noexcept {
  return s == State::kRetryEligible || s == State::kRetryDelayed;
}
// Returns the state that a delayed execution gets once its delay has ended.
constexpr State Promoted(State s) noexcept {
  return s == State::kResumedDelayed ? State::kResumedEligible
         : s == State::kRetryDelayed ? State::kRetryEligible
                                     : State::kEligible;
}
constexpr bool IsRunnable(State s) noexcept { return s <= State::kResumedDelayed; }
constexpr bool IsActive(State s) noexcept {
  return s >= State::kLeased && s <= State::kLeaseRevoked;
}
constexpr bool IsReclaimable(State s) noexcept {
  return s == State::kLeaseExpired || s == State::kLeaseRevoked;
}
constexpr bool IsTerminal(State s) noexcept { return s >= State::kCompleted; }
// The functions above rely on this order of the states.
static_assert(State::kEligible < State::kRetryEligible &&
              State::kRetryEligible < State::kResumedEligible &&
              State::kResumedEligible < State::kDelayed && State::kDelayed < State::kRetryDelayed &&
              State::kRetryDelayed < State::kResumedDelayed &&
              State::kResumedDelayed < State::kLeased && State::kLeased < State::kLeaseExpired &&
              State::kLeaseExpired < State::kLeaseRevoked &&
              State::kLeaseRevoked < State::kSuspended && State::kSuspended < State::kCompleted &&
              State::kCompleted < State::kFailed && State::kFailed < State::kReclaimedTooOften);

inline constexpr std::int64_t kNever = INT64_MIN;

// A time of the store's clock, or kNever, in six bytes. Six bytes suffice, because such times are
// within +-kMaxTtlMs.
class PackedTime {
 public:
  void Set(std::int64_t ms) noexcept {
    const auto bits = static_cast<std::uint64_t>(ms == kNever ? kNeverPacked : ms);
    for (std::size_t i = 0; i < parts_.size(); ++i) {
      parts_[i] = static_cast<std::uint16_t>(bits >> (16 * i));
    }
  }
  std::int64_t Get() const noexcept {
    // The arithmetic shift copies the sign from the top bit.
    const std::uint64_t bits = std::uint64_t{parts_[0]} << 16 | std::uint64_t{parts_[1]} << 32 |
                               std::uint64_t{parts_[2]} << 48;
    const std::int64_t ms = static_cast<std::int64_t>(bits) >> 16;
    return ms == kNeverPacked ? kNever : ms;
  }

 private:
  static constexpr std::int64_t kNeverPacked = -(std::int64_t{1} << 47);
  static_assert(-kMaxTtlMs > kNeverPacked && kMaxTtlMs < -kNeverPacked);
  std::array<std::uint16_t, 3> parts_ = {};
};

// A record has two cache lines. Issuing a grant reads and writes the first line only. Two values of
// the last lease are not stored, because they follow from other members: its attempt index is
// total_attempt_count - 1 in every state, and its renewal deadline is two thirds of the way from
// lease_last_renewed_at to lease_expires_at.
struct alignas(128) ExecutionRecord {
  // Line 1: identity, state, grant.
  Uuid uuid;
  std::uint16_t partition;
  std::uint16_t lane;  // its number in the pool of lanes
  State state;
  bool has_grant : 1;
  bool has_reclaim_cap : 1;
  std::uint16_t priority;
  NameId required;      // capability set, comma-joined, and retry policy
  NameId grant_worker;  // worker id and instance id; held while has_grant is true
  NameId lease_worker;  // held while the execution is active
  std::uint32_t texts;  // their number in RecordTexts; 0: none
  std::uint32_t total_attempt_count;
  std::uint32_t lease_reclaim_count;
  std::int64_t grant_created_at;
  // In a delayed execution, which has no grant, this is the time at which the delay ends.
  std::int64_t grant_expires_at;

  // Line 2: the last lease.
  LeaseId lease_id;
  AttemptId attempt_id;
  std::uint64_t lease_epoch;
  std::int64_t lease_acquired_at;
  std::int64_t lease_expires_at;
  std::int64_t lease_last_renewed_at;

  // Every attempt but the first comes from a retry or a reclaim. A retry that waits to be claimed
  // counts although it has no attempt yet.
  std::uint32_t retry_count() const noexcept {
    if (total_attempt_count == 0) return 0;
    return total_attempt_count - 1 - lease_reclaim_count + (IsRetry(state) ? 1 : 0);
  }
  // A grant is good in the millisecond of its expiry, a lease is not (contract 7.7, 6).
  bool GrantIsLive(std::int64_t now) const noexcept { return has_grant && now <= grant_expires_at; }
  bool LeaseIsDue(std::int64_t now) const noexcept { return lease_expires_at <= now; }
  std::int64_t delay_until() const noexcept { return grant_expires_at; }
  void DelayUntil(std::int64_t ms) noexcept { grant_expires_at = ms; }
};
static_assert(sizeof(ExecutionRecord) == 128);

// The fields that are rarely looked at. They are stored apart from the record.
struct ExecutionExtra {
  PackedTime created_at;
  PackedTime last_capability_mismatch_at;  // kNever if there was none
  std::uint32_t max_reclaim_count = 0;     // valid if has_reclaim_cap
};
static_assert(sizeof(ExecutionExtra) == 16);

// Returns the record as an ExecutionState, in the words of contract 7.
ExecutionState Describe(const ExecutionRecord& record, const ExecutionExtra& extra,
                        std::int64_t now) noexcept;

}  // namespace ffgrant::internal

#endif  // FFGRANT_CLAIMS_INTERNAL_EXECUTION_RECORD_H_
