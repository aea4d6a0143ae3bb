// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/claims/claim_error.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <string_view>

namespace ffgrant {
namespace {

constexpr int kErrors = static_cast<int>(ClaimError::kUnavailable) + 1;

// The table of contract 8.
struct WireRow {
  std::string_view code;
  ClaimError error;
  std::string_view script;
  std::string_view engine;
};
constexpr WireRow kWire[] = {
    {"execution_not_found", ClaimError::kExecutionNotFound, "terminal", "terminal"},
    {"execution_not_eligible", ClaimError::kExecutionNotEligible, "informational", "retryable"},
    {"execution_not_in_eligible_set", ClaimError::kExecutionNotInEligibleSet, "informational",
     "retryable"},
    {"grant_already_exists", ClaimError::kGrantAlreadyExists, "informational", "informational"},
    {"capability_mismatch", ClaimError::kCapabilityMismatch, "retryable", "terminal"},
    {"invalid_capabilities", ClaimError::kInvalidCapabilities, "terminal", "terminal"},
    {"invalid_input", ClaimError::kInvalidInput, "terminal", "terminal"},
    {"invalid_policy_json", ClaimError::kInvalidPolicyJson, "terminal", "terminal"},
    {"execution_not_leaseable", ClaimError::kExecutionNotLeaseable, "retryable", "retryable"},
    {"lease_conflict", ClaimError::kLeaseConflict, "retryable", "retryable"},
    {"invalid_claim_grant", ClaimError::kInvalidClaimGrant, "retryable", "retryable"},
    {"claim_grant_expired", ClaimError::kClaimGrantExpired, "retryable", "retryable"},
    {"use_claim_resumed_execution", ClaimError::kUseClaimResumedExecution, "retryable",
     "retryable"},
    {"not_a_resumed_execution", ClaimError::kNotAResumedExecution, "retryable", "retryable"},
    {"no_eligible_execution", ClaimError::kNoEligibleExecution, "retryable", "retryable"},
    {"active_attempt_exists", ClaimError::kActiveAttemptExists, "bug", "terminal"},
    {"execution_not_reclaimable", ClaimError::kExecutionNotReclaimable, "informational",
     "retryable"},
    {"no_active_lease", ClaimError::kNoActiveLease, "informational", "retryable"},
    {"max_retries_exhausted", ClaimError::kMaxRetriesExhausted, "terminal", "terminal"},
    {"stale_lease", ClaimError::kStaleLease, "terminal", "terminal"},
    {"lease_expired", ClaimError::kLeaseExpired, "terminal", "terminal"},
    {"lease_revoked", ClaimError::kLeaseRevoked, "terminal", "terminal"},
    {"execution_not_active", ClaimError::kExecutionNotActive, "terminal", "retryable"},
    {"execution_not_suspended", ClaimError::kExecutionNotSuspended, "informational",
     "informational"},
    {"fence_required", ClaimError::kFenceRequired, "terminal", "terminal"},
    {"partial_fence_triple", ClaimError::kPartialFenceTriple, "terminal", "terminal"},
    {"attempt_not_in_created_state", ClaimError::kAttemptNotInCreatedState, "bug", "bug"},
};

// The library's own errors.
constexpr struct {
  ClaimError error;
  std::string_view name;
  ErrorClassification classification;
} kOwn[] = {
    {ClaimError::kNothingInWindow, "nothing_in_window", ErrorClassification::kRetryable},
    {ClaimError::kLedgerFull, "ledger_full", ErrorClassification::kRetryable},
    {ClaimError::kWorkerAtCapacity, "worker_at_capacity", ErrorClassification::kRetryable},
    {ClaimError::kInvalidPartitionKey, "invalid_partition_key", ErrorClassification::kTerminal},
    {ClaimError::kGrantMismatch, "grant_mismatch", ErrorClassification::kTerminal},
    {ClaimError::kUnknownCode, "unknown_code", ErrorClassification::kTerminal},
    {ClaimError::kUnknownOutcome, "unknown_outcome", ErrorClassification::kRetryable},
    {ClaimError::kUnavailable, "unavailable", ErrorClassification::kRetryable},
};

TEST(ClaimErrorTest, EveryErrorIsInOneRow) {
  std::multiset<ClaimError> in_rows = {ClaimError::kNone};
  for (const WireRow& row : kWire) in_rows.insert(row.error);
  for (const auto& row : kOwn) in_rows.insert(row.error);
  for (int i = 0; i < kErrors; ++i) {
    const auto error = static_cast<ClaimError>(i);
    EXPECT_EQ(in_rows.count(error), 1u) << ErrorName(error);
  }
}

TEST(ClaimErrorTest, CodesAndClassesAreTheContracts) {
  for (const WireRow& row : kWire) {
    EXPECT_EQ(ErrorName(row.error), row.code);
    EXPECT_EQ(ClaimErrorFromCode(row.code), row.error) << row.code;
    EXPECT_EQ(ErrorClassificationName(ScriptClass(row.error)), row.script) << row.code;
    EXPECT_EQ(ErrorClassificationName(EngineClass(row.error)), row.engine) << row.code;
  }
}

TEST(ClaimErrorTest, NamesAreDistinct) {
  std::set<std::string_view> names;
  for (int i = 0; i < kErrors; ++i) names.insert(ErrorName(static_cast<ClaimError>(i)));
  EXPECT_EQ(names.size(), static_cast<std::size_t>(kErrors));
  EXPECT_EQ(ErrorName(ClaimError::kNone), "none");
}

TEST(ClaimErrorTest, OwnErrorsAreNoCodes) {
  for (const auto& [error, name, classification] : kOwn) {
    EXPECT_EQ(ErrorName(error), name);
    EXPECT_EQ(ClaimErrorFromCode(name), std::nullopt) << name;
    EXPECT_EQ(ScriptClass(error), classification) << name;
    EXPECT_EQ(EngineClass(error), classification) << name;
  }
}

TEST(ClaimErrorTest, UnknownCodes) {
  for (const std::string_view code :
       {"", "none", "execution_not_foun", "execution_not_found ", "Execution_not_found", "stale"}) {
    EXPECT_EQ(ClaimErrorFromCode(code), std::nullopt) << code;
  }
}

TEST(ErrorDetailsTest, KeepsTextsInOrder) {
  ErrorDetails details;
  EXPECT_EQ(details.size(), 0u);
  EXPECT_TRUE(details.Add("first"));
  EXPECT_TRUE(details.Add(""));
  EXPECT_TRUE(details.Add(std::numeric_limits<std::uint64_t>::max()));
  ASSERT_EQ(details.size(), 3u);
  EXPECT_EQ(details[0], "first");
  EXPECT_EQ(details[1], "");
  EXPECT_EQ(details[2], "18446744073709551615");
  details.clear();
  EXPECT_EQ(details.size(), 0u);
  EXPECT_TRUE(details.Add("again"));
  EXPECT_EQ(details[0], "again");
}

TEST(ErrorDetailsTest, RefusesAFifth) {
  ErrorDetails details;
  for (std::size_t i = 0; i < ErrorDetails::kMaxDetails; ++i) EXPECT_TRUE(details.Add("x"));
  EXPECT_FALSE(details.Add(""));
  EXPECT_FALSE(details.Add(std::uint64_t{1}));
  EXPECT_EQ(details.size(), ErrorDetails::kMaxDetails);
  EXPECT_EQ(details[3], "x");
}

TEST(ErrorDetailsTest, RefusesWhatDoesNotFit) {
  ErrorDetails details;
  EXPECT_FALSE(details.Add(std::string(ErrorDetails::kMaxBytes + 1, 'a')));
  EXPECT_EQ(details.size(), 0u);
  const std::string most(ErrorDetails::kMaxBytes - 1, 'b');
  EXPECT_TRUE(details.Add(most));
  EXPECT_FALSE(details.Add("cc"));
  EXPECT_EQ(details.size(), 1u);
  EXPECT_TRUE(details.Add("c"));
  EXPECT_FALSE(details.Add("d"));
  EXPECT_TRUE(details.Add(""));
  EXPECT_EQ(details[0], most);
  EXPECT_EQ(details[1], "c");
  EXPECT_EQ(details[2], "");
}

}  // namespace
}  // namespace ffgrant
