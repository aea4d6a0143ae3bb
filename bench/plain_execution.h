// SPDX-License-Identifier: Apache-2.0
//
// Implements one execution and the claim path's rules for it, as one writes them in an afternoon.
// The baselines of the ledger keep such executions in their maps. PlainExecution makes the checks
// of contract 7.1, 7.2 and of completing in the same order as core. It has the same fields of
// execution, grant and lease as core, but holds its texts itself instead of interned names. It
// keeps no order of eligible executions, no index of lease expiries and no opaque grant texts. The
// class is not thread-safe: the map around it locks.

#ifndef FFGRANT_BENCH_PLAIN_EXECUTION_H_
#define FFGRANT_BENCH_PLAIN_EXECUTION_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "ffgrant/claims/claim_ledger.h"

namespace ffgrant::bench {

class PlainExecution {
 public:
  // Puts the execution into the state in which CreateExecution() leaves it.
  void Create(const CreateExecutionArgs& args, std::int64_t now) {
    lane_ = args.lane.text();
    if (args.required != nullptr) required_capabilities_ = args.required->csv();
    priority_ = args.priority;
    created_at_ = now;
  }

  IssueOutcome Issue(const IssueGrantArgs& args, std::int64_t now) {
    IssueOutcome outcome;
    if (phase_ != Phase::kRunnable || eligibility_ != Eligibility::kEligibleNow) {
      return Fail(outcome, ClaimError::kExecutionNotEligible);
    }
    if (has_grant_ && grant_.expires_at >= now) {
      return Fail(outcome, ClaimError::kGrantAlreadyExists);
    }
    if (!in_eligible_ || lane_ != args.lane.text()) {
      return Fail(outcome, ClaimError::kExecutionNotInEligibleSet);
    }
    const std::string_view offered =
        args.offered != nullptr ? args.offered->csv() : std::string_view();
    if (!HasAll(required_capabilities_, offered)) {
      return Fail(outcome, ClaimError::kCapabilityMismatch);
    }
    outcome.expires_at.value = now + args.grant_ttl_ms;
    has_grant_ = args.grant_ttl_ms > 0;
    grant_.created_at = now;
    grant_.expires_at = outcome.expires_at.value;
    grant_.worker_id = args.worker.worker_id.text;
    grant_.worker_instance_id = args.worker.worker_instance_id.text;
    return outcome;
  }

  ClaimOutcome Claim(const ClaimArgs& args, std::int64_t now) {
    ClaimOutcome outcome;
    if (phase_ != Phase::kRunnable) return Fail(outcome, ClaimError::kExecutionNotLeaseable);
    if (ownership_ != Ownership::kUnowned) return Fail(outcome, ClaimError::kLeaseConflict);
    if (eligibility_ != Eligibility::kEligibleNow || terminal_) {
      return Fail(outcome, ClaimError::kExecutionNotLeaseable);
    }
    if (attempt_ == Attempt::kRunning) return Fail(outcome, ClaimError::kActiveAttemptExists);
    if (attempt_ == Attempt::kInterrupted) {
      return Fail(outcome, ClaimError::kUseClaimResumedExecution);
    }
    if (!has_grant_ || grant_.worker_id != args.worker.worker_id.text || grant_.expires_at < now) {
      return Fail(outcome, ClaimError::kInvalidClaimGrant);
    }
    has_grant_ = false;
    phase_ = Phase::kActive;
    ownership_ = Ownership::kLeased;
    eligibility_ = Eligibility::kNotApplicable;
    attempt_ = Attempt::kRunning;
    in_eligible_ = false;
    Lease& leased = outcome.lease;
    leased.fence = {args.lease_id, {++lease_epoch_}, args.attempt_id};
    leased.attempt_index.value = total_attempt_count_++;
    leased.expires_at.value = now + args.lease_ttl_ms;
    lease_.lease_id = args.lease_id;
    lease_.attempt_id = args.attempt_id;
    lease_.attempt_index = leased.attempt_index.value;
    lease_.acquired_at = now;
    lease_.last_renewed_at = now;
    lease_.expires_at = leased.expires_at.value;
    lease_.renewal_deadline = now + args.lease_ttl_ms * 2 / 3;
    lease_.worker_id = args.worker.worker_id.text;
    lease_.worker_instance_id = args.worker.worker_instance_id.text;
    return outcome;
  }

  // Requires a complete fence.
  Outcome Complete(const LeaseFence& fence, std::int64_t now) {
    if (phase_ != Phase::kActive) return {ClaimError::kExecutionNotActive};
    if (ownership_ == Ownership::kExpired || lease_.expires_at <= now) {
      ownership_ = Ownership::kExpired;
      attempt_ = Attempt::kInterrupted;
      return {ClaimError::kLeaseExpired};
    }
    if (fence.lease_id != lease_.lease_id || fence.lease_epoch.value != lease_epoch_ ||
        fence.attempt_id != lease_.attempt_id) {
      return {ClaimError::kStaleLease};
    }
    phase_ = Phase::kTerminal;
    ownership_ = Ownership::kUnowned;
    attempt_ = Attempt::kTerminal;
    terminal_ = true;
    return {};
  }

  bool is_terminal() const { return phase_ == Phase::kTerminal; }

  // Both lists are comma-joined. Each token is found with a naive search.
  static bool HasAll(std::string_view required, std::string_view offered) {
    while (!required.empty()) {
      const std::string_view token = required.substr(0, required.find(','));
      required.remove_prefix(std::min(token.size() + 1, required.size()));
      bool found = false;
      for (std::string_view rest = offered; !rest.empty() && !found;) {
        const std::string_view candidate = rest.substr(0, rest.find(','));
        rest.remove_prefix(std::min(candidate.size() + 1, rest.size()));
        found = candidate == token;
      }
      if (!found) return false;
    }
    return true;
  }

 private:
  enum class Phase : std::uint8_t { kRunnable, kActive, kTerminal };
  enum class Ownership : std::uint8_t { kUnowned, kLeased, kExpired };
  enum class Eligibility : std::uint8_t { kEligibleNow, kNotApplicable };
  enum class Attempt : std::uint8_t { kPending, kRunning, kInterrupted, kTerminal };

  struct Grant {
    std::int64_t created_at = 0;
    std::int64_t expires_at = 0;
    std::string worker_id;
    std::string worker_instance_id;
  };

  struct StoredLease {
    LeaseId lease_id;
    AttemptId attempt_id;
    std::uint32_t attempt_index = 0;
    std::int64_t acquired_at = 0;
    std::int64_t last_renewed_at = 0;
    std::int64_t expires_at = 0;
    std::int64_t renewal_deadline = 0;
    std::string worker_id;
    std::string worker_instance_id;
  };

  template <class Result>
  static Result Fail(Result& outcome, ClaimError error) {
    outcome.error = error;
    return outcome;
  }

  Phase phase_ = Phase::kRunnable;
  Ownership ownership_ = Ownership::kUnowned;
  Eligibility eligibility_ = Eligibility::kEligibleNow;
  Attempt attempt_ = Attempt::kPending;
  bool terminal_ = false;
  bool in_eligible_ = true;
  bool has_grant_ = false;
  std::uint32_t total_attempt_count_ = 0;
  std::uint64_t lease_epoch_ = 0;
  Grant grant_;
  StoredLease lease_;
  std::string required_capabilities_;  // sorted, comma-joined
  std::string lane_;
  std::int64_t priority_ = 0;
  std::int64_t created_at_ = 0;
};

}  // namespace ffgrant::bench

#endif  // FFGRANT_BENCH_PLAIN_EXECUTION_H_
