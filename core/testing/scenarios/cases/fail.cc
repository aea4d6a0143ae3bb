// SPDX-License-Identifier: Apache-2.0
//
// Tests attempts that end without a result, and what the execution's retry policy then does:
// core/contract/live-observed.md, sections 1 and 2.

#include <array>
#include <cstdint>

#include "testing/scenarios/cases/fences.h"
#include "testing/scenarios/run.h"
#include "testing/scenarios/scenario.h"

namespace ffgrant::claims_conformance {
namespace {

constexpr RetryPolicy::Backoff kFixed = RetryPolicy::Backoff::kFixed;

// Creates an execution, grants it to worker 1 and claims it.
Execution& LeasedWith(Run& run, const RetryPolicy& retry, std::int64_t ttl_ms = kLong) {
  Execution& e = run.Create({.retry = retry});
  run.Issue(e);
  run.Claim(e, {.ttl_ms = ttl_ms});
  return e;
}

// Waits until the retry is due; then grants and claims it.
void ClaimRetry(Run& run, Execution& e, std::int64_t after_ms, std::int64_t ttl_ms = kLong) {
  run.Pass(after_ms + 1);
  run.Promote(e);
  run.Issue(e);
  run.Claim(e, {.ttl_ms = ttl_ms});
}

void FailureWithoutAPolicyEndsIt(Run& run) {
  Execution& e = run.Leased();
  run.Fail(e);
  run.Fail(e, {}, NotActive(e));
  run.Complete(e, {}, NotActive(e));
  run.Issue(e, {}, ClaimError::kExecutionNotEligible);
}

// A policy that allows no retries is a policy too.
void FailureWithNoRetriesEndsIt(Run& run) {
  Execution& e = LeasedWith(run, {.max_retries = 0});
  run.Fail(e);
}

void FailureChecksInOrder(Run& run) { FencedChecksInOrder(run, FailWith); }
void FailureWithAnOldFence(Run& run) { OldFenceIsStale(run, FailWith); }

// The override lets an absent fence pass, and nothing else.
void FailureByAnOperator(Run& run) {
  const FailOptions by_operator = {.fence = OptionalFence(), .operator_override = true};
  run.Fail(run.New(), by_operator, ClaimError::kExecutionNotFound);
  Execution& created = run.Create();
  run.Fail(created, by_operator, NotActive(created));
  Execution& revoked = run.RevokedOne();
  run.Fail(revoked, by_operator, ClaimError::kLeaseRevoked);
  Execution& due = run.Leased(kShort);
  run.Pass(kShort + 1);
  run.Fail(due, by_operator, ClaimError::kLeaseExpired);
  Execution& leased = run.Leased();
  for (const OptionalFence& fence : PartsOf(leased.fence)) {
    run.Fail(leased, {.fence = fence, .operator_override = true}, ClaimError::kPartialFenceTriple);
  }
  for (const OptionalFence& fence : WrongOnes(run, leased.fence)) {
    run.Fail(leased, {.fence = fence, .operator_override = true}, ClaimError::kStaleLease);
  }
  run.Fail(leased, {.fence = OptionalFence(), .category = "operator_override"},
           ClaimError::kFenceRequired);
  run.Fail(leased, by_operator);
}

// Neither the reason nor the category decides anything, and both are stored unchanged.
void ReasonsAndCategoriesAreAnyBytes(Run& run) {
  const std::string bytes("a\r\n\0\xFF{\"", 8);
  for (const std::string& text : {std::string(), bytes, std::string(70'000, 'x')}) {
    run.Fail(run.Leased(), {.reason = text, .category = text});
  }
  for (const char* category : {"permanent", "transient", ""}) {
    Execution& e = LeasedWith(run, {.max_retries = 1, .backoff = kFixed, .delay_ms = 5});
    run.Fail(e, {.category = category, .retried_after_ms = 5});
  }
}

void ARetryWaitsAndIsClaimedAsSuch(Run& run) {
  Execution& e = LeasedWith(run, {.max_retries = 1, .backoff = kFixed, .delay_ms = kShort});
  run.Fail(e, {.retried_after_ms = kShort});
  run.Issue(e, {}, ClaimError::kExecutionNotEligible);
  run.Claim(e, {}, ClaimError::kExecutionNotLeaseable);
  run.Fail(e, {}, NotActive(e));
  run.Complete(e, {}, NotActive(e));
  ClaimRetry(run, e, kShort);
  // The retry's lease is a new one.
  const OptionalFence fence = e.fence;
  run.Renew(e);
  run.Complete(e);
  run.Fail(e, {.fence = fence}, NotActive(e));
}

void ExhaustedRetriesEndIt(Run& run) {
  Execution& e = LeasedWith(run, {.max_retries = 2, .backoff = kFixed, .delay_ms = 5});
  for (int i = 0; i < 2; ++i) {
    run.Fail(e, {.retried_after_ms = 5});
    ClaimRetry(run, e, 5);
  }
  run.Fail(e, {.reason = "for good"});
  run.Issue(e, {}, ClaimError::kExecutionNotEligible);
}

void ExponentialDelaysGrowUpToTheLongest(Run& run) {
  Execution& e =
      LeasedWith(run, {.max_retries = 4, .delay_ms = 8, .max_delay_ms = 20, .multiplier = 1.5});
  for (const std::int64_t delay : {8, 12, 18, 20}) {
    run.Fail(e, {.retried_after_ms = delay});
    ClaimRetry(run, e, delay);
  }
  run.Fail(e);
}

// The longest delay limits the first delay too.
void TheFirstDelayIsBounded(Run& run) {
  Execution& e = LeasedWith(run, {.max_retries = 1, .delay_ms = kLong, .max_delay_ms = 3});
  run.Fail(e, {.retried_after_ms = 3});
}

void DelaysAtTheirLimits(Run& run) {
  for (const std::int64_t delay : {std::int64_t{0}, std::int64_t{1}, kMaxTtlMs}) {
    Execution& e = LeasedWith(run, {.max_retries = 1, .backoff = kFixed, .delay_ms = delay});
    run.Fail(e, {.retried_after_ms = delay});
    if (delay != 1) run.Promote(e, delay == 0);  // a retry after 1 ms may be due or not
    Execution& none =
        LeasedWith(run, {.max_retries = 1, .delay_ms = 0, .max_delay_ms = delay, .multiplier = 0});
    run.Fail(none, {.retried_after_ms = 0});
  }
}

void PoliciesThatCantBeFollowedAreRefused(Run& run) {
  for (const RetryPolicy& policy : std::array<RetryPolicy, 5>{{{.delay_ms = -1},
                                                               {.delay_ms = kMaxTtlMs + 1},
                                                               {.max_delay_ms = -1},
                                                               {.max_delay_ms = kMaxTtlMs + 1},
                                                               {.multiplier = -0.5}}}) {
    Execution& e = run.New();
    ErrorDetails details;
    const CreateOutcome outcome = run.ledger().CreateExecution(
        {.execution_id = e.id(), .lane = LaneIdView::Unchecked(e.lane()), .retry = policy},
        &details);
    run.Check("refused", outcome.error == ClaimError::kInvalidInput);
    run.CheckEqual("details", "the retry policy is out of range",
                   std::string(details.size() == 1 ? details[0] : ""));
    run.CheckStored(e);
  }
}

// An attempt that was reclaimed, or suspended and resumed, does not count as a retry. After each of
// these the policy is unchanged.
void OnlyFailuresAreRetries(Run& run) {
  Execution& e = LeasedWith(run, {.max_retries = 1, .backoff = kFixed, .delay_ms = 5});
  for (int i = 0; i < 2; ++i) {
    run.Revoke(e);
    run.IssueReclaim(e);
    run.Reclaim(e);
  }
  run.Suspend(e);
  run.Resume(e);
  run.Issue(e);
  run.ClaimResumed(e);
  run.Fail(e, {.retried_after_ms = 5});
  ClaimRetry(run, e, 5);
  run.Revoke(e);
  run.IssueReclaim(e);
  run.Reclaim(e);
  run.Suspend(e);
  run.Resume(e);
  run.Issue(e);
  run.ClaimResumed(e);
  run.Fail(e);
}

void AnExpiredLeaseCannotFail(Run& run) {
  Execution& e = LeasedWith(run, {.max_retries = 1, .backoff = kFixed, .delay_ms = 5}, kShort);
  run.Pass(kShort + 1);
  run.Fail(e, {}, ClaimError::kLeaseExpired);
  run.Fail(e, {}, ClaimError::kLeaseExpired);
  run.IssueReclaim(e);
  run.Reclaim(e);
  run.Fail(e, {.retried_after_ms = 5});
}

// Neither a failure nor its retry resets the count of reclaims, which the cap limits.
void ReclaimsAreCountedThroughRetries(Run& run) {
  Execution& e = run.Create({.cap = 1, .retry = RetryPolicy{.backoff = kFixed, .delay_ms = 0}});
  run.Issue(e);
  run.Claim(e);
  run.Revoke(e);
  run.IssueReclaim(e);
  run.Reclaim(e);
  run.Fail(e, {.retried_after_ms = 0});
  ClaimRetry(run, e, 0);
  run.Revoke(e);
  run.IssueReclaim(e);
  run.Reclaim(e, {}, {ClaimError::kMaxRetriesExhausted, {"1"}});
}

void FailureAtTheEdge(Run& run) {
  Execution& good = run.Leased(100);
  run.Pass(99);
  run.Fail(good);
  Execution& late = run.Leased(100);
  run.Pass(100);
  run.Fail(late, {}, ClaimError::kLeaseExpired);
}

void ARetryIsDueAtItsTime(Run& run) {
  Execution& e = LeasedWith(run, {.max_retries = 1, .backoff = kFixed, .delay_ms = 100});
  run.Fail(e, {.retried_after_ms = 100});
  run.Pass(99);
  run.Promote(e, false);
  run.Pass(1);
  run.Promote(e);
  run.Promote(e, false);
}

// The grant of a retry belongs to its worker, as the grant of any other claim does.
void TheGrantOfARetry(Run& run) {
  Execution& e = LeasedWith(run, {.max_retries = 1, .backoff = kFixed, .delay_ms = 0});
  run.Fail(e, {.retried_after_ms = 0});
  run.Promote(e);
  run.Claim(e, {}, ClaimError::kInvalidClaimGrant);
  run.Issue(e, {.worker = kWorker2});
  run.Claim(e, {}, ClaimError::kInvalidClaimGrant);
  run.ClaimResumed(e, {.worker = kWorker2}, ClaimError::kNotAResumedExecution);
  run.Claim(e, {.worker = kWorker2});
}

}  // namespace

void AddFailScenarios(std::vector<Scenario>& to) {
  to.push_back({"L1", "fail_without_a_policy_ends_it", FailureWithoutAPolicyEndsIt});
  to.push_back({"L1", "fail_with_no_retries_ends_it", FailureWithNoRetriesEndsIt});
  to.push_back({"L1", "fail_checks_in_order", FailureChecksInOrder});
  to.push_back({"L1", "fail_with_the_fence_of_before_a_reclaim", FailureWithAnOldFence});
  to.push_back({"L1", "fail_by_an_operator", FailureByAnOperator});
  to.push_back({"L1", "fail_takes_any_reason_and_category", ReasonsAndCategoriesAreAnyBytes});
  to.push_back({"L1", "fail_after_expiry", AnExpiredLeaseCannotFail});
  to.push_back({"L1", "fail_at_the_edge", FailureAtTheEdge, kExactTime});
  to.push_back({"L2", "a_retry_waits_and_is_claimed_as_such", ARetryWaitsAndIsClaimedAsSuch});
  to.push_back({"L2", "exhausted_retries_end_it", ExhaustedRetriesEndIt});
  to.push_back({"L2", "exponential_delays", ExponentialDelaysGrowUpToTheLongest});
  to.push_back({"L2", "the_first_delay_is_bounded", TheFirstDelayIsBounded});
  to.push_back({"L2", "delays_at_their_limits", DelaysAtTheirLimits});
  to.push_back({"L2", "bad_policies_are_refused", PoliciesThatCantBeFollowedAreRefused});
  to.push_back({"L2", "only_failures_are_retries", OnlyFailuresAreRetries});
  to.push_back({"L2", "reclaims_are_counted_through_retries", ReclaimsAreCountedThroughRetries});
  to.push_back({"L2", "a_retry_is_due_at_its_time", ARetryIsDueAtItsTime, kExactTime});
  to.push_back({"L2", "the_grant_of_a_retry", TheGrantOfARetry});
}

}  // namespace ffgrant::claims_conformance
