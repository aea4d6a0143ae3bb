// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/claims/claim_error.h"

#include <cstring>

#include "ffgrant/internal/concat.h"

namespace ffgrant {
namespace {

constexpr auto kTerminal = ErrorClassification::kTerminal;
constexpr auto kRetryable = ErrorClassification::kRetryable;
constexpr auto kInformational = ErrorClassification::kInformational;
constexpr auto kBug = ErrorClassification::kBug;

struct Row {
  ClaimError error;
  std::string_view name;
  bool on_wire;  // true if a store can send the error
  ErrorClassification script;
  ErrorClassification engine;
};

// The rows are in the enum's order, so that an error's number is the index of its row. After kNone
// come the errors that a store can send, then our own errors.
constexpr Row kRows[] = {
    {ClaimError::kNone, "none", false, kInformational, kInformational},
    {ClaimError::kExecutionNotFound, "execution_not_found", true, kTerminal, kTerminal},
    {ClaimError::kExecutionNotEligible, "execution_not_eligible", true, kInformational, kRetryable},
    {ClaimError::kExecutionNotInEligibleSet, "execution_not_in_eligible_set", true, kInformational,
     kRetryable},
    {ClaimError::kGrantAlreadyExists, "grant_already_exists", true, kInformational, kInformational},
    {ClaimError::kCapabilityMismatch, "capability_mismatch", true, kRetryable, kTerminal},
    {ClaimError::kInvalidCapabilities, "invalid_capabilities", true, kTerminal, kTerminal},
    {ClaimError::kInvalidInput, "invalid_input", true, kTerminal, kTerminal},
    {ClaimError::kInvalidPolicyJson, "invalid_policy_json", true, kTerminal, kTerminal},
    {ClaimError::kExecutionNotLeaseable, "execution_not_leaseable", true, kRetryable, kRetryable},
    {ClaimError::kLeaseConflict, "lease_conflict", true, kRetryable, kRetryable},
    {ClaimError::kInvalidClaimGrant, "invalid_claim_grant", true, kRetryable, kRetryable},
    {ClaimError::kClaimGrantExpired, "claim_grant_expired", true, kRetryable, kRetryable},
    {ClaimError::kUseClaimResumedExecution, "use_claim_resumed_execution", true, kRetryable,
     kRetryable},
    {ClaimError::kNotAResumedExecution, "not_a_resumed_execution", true, kRetryable, kRetryable},
    {ClaimError::kNoEligibleExecution, "no_eligible_execution", true, kRetryable, kRetryable},
    {ClaimError::kActiveAttemptExists, "active_attempt_exists", true, kBug, kTerminal},
    {ClaimError::kExecutionNotReclaimable, "execution_not_reclaimable", true, kInformational,
     kRetryable},
    {ClaimError::kNoActiveLease, "no_active_lease", true, kInformational, kRetryable},
    {ClaimError::kMaxRetriesExhausted, "max_retries_exhausted", true, kTerminal, kTerminal},
    {ClaimError::kStaleLease, "stale_lease", true, kTerminal, kTerminal},
    {ClaimError::kLeaseExpired, "lease_expired", true, kTerminal, kTerminal},
    {ClaimError::kLeaseRevoked, "lease_revoked", true, kTerminal, kTerminal},
    {ClaimError::kExecutionNotActive, "execution_not_active", true, kTerminal, kRetryable},
    {ClaimError::kExecutionNotSuspended, "execution_not_suspended", true, kInformational,
     kInformational},
    {ClaimError::kFenceRequired, "fence_required", true, kTerminal, kTerminal},
    {ClaimError::kPartialFenceTriple, "partial_fence_triple", true, kTerminal, kTerminal},
    {ClaimError::kAttemptNotInCreatedState, "attempt_not_in_created_state", true, kBug, kBug},
    {ClaimError::kNothingInWindow, "nothing_in_window", false, kRetryable, kRetryable},
    {ClaimError::kLedgerFull, "ledger_full", false, kRetryable, kRetryable},
    {ClaimError::kWorkerAtCapacity, "worker_at_capacity", false, kRetryable, kRetryable},
    {ClaimError::kInvalidPartitionKey, "invalid_partition_key", false, kTerminal, kTerminal},
    {ClaimError::kGrantMismatch, "grant_mismatch", false, kTerminal, kTerminal},
    {ClaimError::kUnknownCode, "unknown_code", false, kTerminal, kTerminal},
    {ClaimError::kUnknownOutcome, "unknown_outcome", false, kRetryable, kRetryable},
    {ClaimError::kUnavailable, "unavailable", false, kRetryable, kRetryable},
};

// Never reached: computed at compile time.
constexpr bool RowsAreInOrder() {
  for (std::size_t i = 0; i < std::size(kRows); ++i) {
    if (static_cast<std::size_t>(kRows[i].error) != i) return false;
  }
  return std::size(kRows) == static_cast<std::size_t>(ClaimError::kUnavailable) + 1;
}
static_assert(RowsAreInOrder());

// Any number may be cast to an enumeration: a number that is no error counts as an unknown code.
const Row& RowOf(ClaimError error) noexcept {
  const auto number = static_cast<std::size_t>(error);
  return kRows[number < std::size(kRows) ? number
                                         : static_cast<std::size_t>(ClaimError::kUnknownCode)];
}

}  // namespace

std::string_view ErrorName(ClaimError error) noexcept { return RowOf(error).name; }

std::optional<ClaimError> ClaimErrorFromCode(std::string_view code) noexcept {
  for (const Row& row : kRows) {
    if (row.on_wire && row.name == code) return row.error;
  }
  return std::nullopt;
}

std::string_view ErrorClassificationName(ErrorClassification c) noexcept {
  switch (c) {
    case ErrorClassification::kTerminal:
      return "terminal";
    case ErrorClassification::kRetryable:
      return "retryable";
    case ErrorClassification::kInformational:
      return "informational";
    case ErrorClassification::kBug:
      return "bug";
  }
  // Any number may be cast to an enumeration.
  return "unknown";
}

ErrorClassification ScriptClass(ClaimError error) noexcept { return RowOf(error).script; }
ErrorClassification EngineClass(ClaimError error) noexcept { return RowOf(error).engine; }

bool ErrorDetails::Add(std::string_view text) noexcept {
  if (size_ == kMaxDetails || text.size() > kMaxBytes - begin_[size_]) return false;
  if (!text.empty()) std::memcpy(bytes_.data() + begin_[size_], text.data(), text.size());
  begin_[size_ + 1] = static_cast<std::uint16_t>(begin_[size_] + text.size());
  ++size_;
  return true;
}

bool ErrorDetails::Add(std::uint64_t number) noexcept {
  return Add(internal::Decimal(number).view());
}

}  // namespace ffgrant
