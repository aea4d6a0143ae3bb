// SPDX-License-Identifier: Apache-2.0
//
// Lists the error codes of the claim path, copied by hand from the table of contract 8, row by row.
// Each row has the script class and the engine class, which disagree for some codes.

#ifndef FFGRANT_FUZZ_ORACLES_ERROR_CODES_H_
#define FFGRANT_FUZZ_ORACLES_ERROR_CODES_H_

#include <string_view>

#include "ffgrant/claims/claim_error.h"

namespace ffgrant::fuzz {

struct ErrorCode {
  ClaimError error;
  std::string_view code;
  std::string_view script_class;
  std::string_view engine_class;
};

inline constexpr ErrorCode kErrorCodes[] = {
    {ClaimError::kExecutionNotFound, "execution_not_found", "terminal", "terminal"},
    {ClaimError::kExecutionNotEligible, "execution_not_eligible", "informational", "retryable"},
    {ClaimError::kExecutionNotInEligibleSet, "execution_not_in_eligible_set", "informational",
     "retryable"},
    {ClaimError::kGrantAlreadyExists, "grant_already_exists", "informational", "informational"},
    {ClaimError::kCapabilityMismatch, "capability_mismatch", "retryable", "terminal"},
    {ClaimError::kInvalidCapabilities, "invalid_capabilities", "terminal", "terminal"},
    {ClaimError::kInvalidInput, "invalid_input", "terminal", "terminal"},
    {ClaimError::kInvalidPolicyJson, "invalid_policy_json", "terminal", "terminal"},
    {ClaimError::kExecutionNotLeaseable, "execution_not_leaseable", "retryable", "retryable"},
    {ClaimError::kLeaseConflict, "lease_conflict", "retryable", "retryable"},
    {ClaimError::kInvalidClaimGrant, "invalid_claim_grant", "retryable", "retryable"},
    {ClaimError::kClaimGrantExpired, "claim_grant_expired", "retryable", "retryable"},
    {ClaimError::kUseClaimResumedExecution, "use_claim_resumed_execution", "retryable",
     "retryable"},
    {ClaimError::kNotAResumedExecution, "not_a_resumed_execution", "retryable", "retryable"},
    {ClaimError::kNoEligibleExecution, "no_eligible_execution", "retryable", "retryable"},
    {ClaimError::kActiveAttemptExists, "active_attempt_exists", "bug", "terminal"},
    {ClaimError::kExecutionNotReclaimable, "execution_not_reclaimable", "informational",
     "retryable"},
    {ClaimError::kNoActiveLease, "no_active_lease", "informational", "retryable"},
    {ClaimError::kMaxRetriesExhausted, "max_retries_exhausted", "terminal", "terminal"},
    {ClaimError::kStaleLease, "stale_lease", "terminal", "terminal"},
    {ClaimError::kLeaseExpired, "lease_expired", "terminal", "terminal"},
    {ClaimError::kLeaseRevoked, "lease_revoked", "terminal", "terminal"},
    {ClaimError::kExecutionNotActive, "execution_not_active", "terminal", "retryable"},
    {ClaimError::kExecutionNotSuspended, "execution_not_suspended", "informational",
     "informational"},
    {ClaimError::kFenceRequired, "fence_required", "terminal", "terminal"},
    {ClaimError::kPartialFenceTriple, "partial_fence_triple", "terminal", "terminal"},
    {ClaimError::kAttemptNotInCreatedState, "attempt_not_in_created_state", "bug", "bug"},
};

}  // namespace ffgrant::fuzz

#endif  // FFGRANT_FUZZ_ORACLES_ERROR_CODES_H_
