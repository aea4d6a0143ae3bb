// SPDX-License-Identifier: Apache-2.0
//
// Reads the stored hashes of an execution (contract 7), field by field.

#ifndef FFGRANT_VALKEY_INTERNAL_STORED_EXECUTION_H_
#define FFGRANT_VALKEY_INTERNAL_STORED_EXECUTION_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "ffgrant/claims/claim_ledger.h"
#include "ffgrant/valkey/internal/claim_keys.h"
#include "ffgrant/valkey/internal/claim_replies.h"

namespace ffgrant::valkey::internal {

// CoreField and GrantField number the fields that are read of the core hash and of the grant's
// hash, in the order in which WriteFields() asks for them.
enum CoreField : std::size_t {
  kPhase,
  kOwnership,
  kEligibility,
  kBlocking,
  kOutcome,
  kAttemptState,
  kPublicState,
  kPriority,
  kCreatedAt,
  kAttemptCount,
  kReclaimCount,
  kRetryCount,
  kEpoch,
  kLeaseId,
  kAttemptId,
  kAttemptIndex,
  kAcquiredAt,
  kExpiresAt,
  kRenewedAt,
  kDeadline,
  kDelayUntil,
  kMismatchAt,
  kRequired,
  kWorkerId,
  kInstanceId,
  kCurrentLane,
  kLane,
  kCoreFieldCount
};
inline constexpr std::array<std::string_view, kCoreFieldCount> kCoreFields = {
    "lifecycle_phase",
    "ownership_state",
    "eligibility_state",
    "blocking_reason",
    "terminal_outcome",
    "attempt_state",
    "public_state",
    "priority",
    "created_at",
    "total_attempt_count",
    "lease_reclaim_count",
    "retry_count",
    "current_lease_epoch",
    "current_lease_id",
    "current_attempt_id",
    "current_attempt_index",
    "lease_acquired_at",
    "lease_expires_at",
    "lease_last_renewed_at",
    "lease_renewal_deadline",
    "delay_until",
    "last_capability_mismatch_at",
    "required_capabilities",
    "current_worker_id",
    "current_worker_instance_id",
    "current_lane",
    "lane_id"};

enum GrantField : std::size_t {
  kGrantWorker,
  kGrantInstance,
  kGrantLane,
  kCapabilityHash,
  kRoute,
  kAdmission,
  kGrantCreatedAt,
  kGrantExpiresAt,
  kGrantFieldCount
};
inline constexpr std::array<std::string_view, kGrantFieldCount> kGrantFields = {
    "worker_id",           "worker_instance_id", "lane_id",    "capability_hash",
    "route_snapshot_json", "admission_summary",  "created_at", "grant_expires_at"};

// Returns nothing if the field is empty, or is no integer.
inline std::optional<TimestampMs> TimeOf(std::string_view text) noexcept {
  const auto value = ReadInteger(text);
  return value ? std::optional(TimestampMs{*value}) : std::nullopt;
}

template <class Id>
std::optional<Id> IdOf(std::string_view text) noexcept {
  const UuidResult uuid = ParseUuid(text, ParseMode::kLenient);
  return uuid ? std::optional(Id{uuid.uuid}) : std::nullopt;
}

// Writes HMGET of a hash's fields.
template <std::size_t kCount>
void WriteFields(RespCommand& command, const ExecutionIdView& id, ExecutionKey key,
                 const std::array<std::string_view, kCount>& fields) {
  ClaimKeys keys(command, id);
  command.Begin(2 + kCount);
  command.Arg("HMGET");
  keys.Execution(key);
  for (const std::string_view field : fields) command.Arg(field);
}

// What a reply to the command of WriteFields() can be.
enum class HashAnswer : std::uint8_t {
  kThere,    // a text or nil for each field; the first field has a text
  kMissing,  // as kThere, but the first field is nil: there is no such hash
  kError,    // an error from the server
  kNone,     // what can't be a reply to this command
};
HashAnswer HashAnswerOf(const Reply& reply, std::size_t fields) noexcept;

// Fills in what the core hash says. `reply` must be kThere as an answer to HMGET of kCoreFields.
void FillCore(const Reply& reply, ExecutionState& out) noexcept;
// Fills in that there is a grant, and the grant's times. `reply` must be kThere as an answer to
// HMGET of kGrantFields.
void FillGrant(const Reply& reply, ExecutionState& out) noexcept;

// Returns the lease that the core hash names. Its kind is kInitial, whatever the true kind is.
// Returns nothing unless the whole lease can be read.
std::optional<Lease> LeaseOf(const Reply& core) noexcept;

// Writes HGET of the grant's expiry.
void WriteReadGrantExpiry(RespCommand& command, const ExecutionIdView& id);
// Returns false if `reply` is no answer to the command of WriteReadGrantExpiry(). If the grant
// isn't there, or the reply is an error, `expires_at` stays as it was.
bool ReadGrantExpiry(const Reply& reply, TimestampMs& expires_at) noexcept;

// Is called when the answer to a command that calls no function is an error, or a text without a
// meaning. Makes the first 512 bytes of this text the only detail, and returns kUnknownCode.
ClaimError UnknownText(const Reply& reply, ErrorDetails* details) noexcept;

}  // namespace ffgrant::valkey::internal

#endif  // FFGRANT_VALKEY_INTERNAL_STORED_EXECUTION_H_
