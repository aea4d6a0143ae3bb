// SPDX-License-Identifier: Apache-2.0
//
// Tests the edges of valkey-functions.md section 5, by number. Edges that only a client of another
// make can reach are tried by FCALLs without the ledger.

#include "testing/scenarios/cases/raw_calls.h"
#include "testing/scenarios/run.h"
#include "testing/scenarios/scenario.h"

namespace ffgrant::claims_conformance {
namespace {

// Edges 1 to 4 are scenarios of 7.1 and 7.2; here 1, 2 and 4 are tried once more, in one scenario.
void GrantsThatAreNone(Run& run) {
  Execution& elapsed = run.Create();
  run.Issue(elapsed, {.ttl_ms = kShort});
  run.Pass(kShort + 1);
  run.Claim(elapsed, {}, ClaimError::kInvalidClaimGrant);
  run.Issue(elapsed, {.worker = kWorker2});
  run.Claim(elapsed, {}, ClaimError::kInvalidClaimGrant);
  run.Claim(elapsed, {.worker = kWorker2});
  run.Claim(elapsed, {.worker = kWorker2}, ClaimError::kExecutionNotLeaseable);
  run.Issue(elapsed, {}, ClaimError::kExecutionNotEligible);
}

void DelayedExecution(Run& run) {
  Execution& e = run.Create({.delay_until = TimestampMs{run.engine().Now() + kLong}});
  run.Issue(e, {}, ClaimError::kExecutionNotEligible);
  run.Claim(e, {}, ClaimError::kExecutionNotLeaseable);
}

void AfterALeaseExpired(Run& run) {
  Execution& e = run.Leased(kShort);
  run.Pass(kShort + 1);
  run.Complete(e, {}, ClaimError::kLeaseExpired);
  run.Issue(e, {}, ClaimError::kExecutionNotEligible);
  run.Claim(e, {}, ClaimError::kExecutionNotLeaseable);
}

void GrantsWithoutTime(Run& run) {
  for (const std::int64_t ttl : {std::int64_t{0}, std::int64_t{-1}, -kLong, -kMaxTtlMs}) {
    Execution& e = run.Create();
    run.Issue(e, {.ttl_ms = ttl});
    run.Claim(e, {}, ClaimError::kInvalidClaimGrant);
    run.Issue(e);
    run.Claim(e);
  }
  Execution& lost = run.RevokedOne();
  run.IssueReclaim(lost, {.worker = kWorker2, .ttl_ms = 0});
  run.Reclaim(lost, {.worker = kWorker2}, ClaimError::kInvalidClaimGrant);
}

void LeasesWithoutTime(Run& run) {
  Execution& e = run.Leased(0);
  run.Complete(e, {}, ClaimError::kLeaseExpired);
  Execution& negative = run.Leased(-5);
  run.MarkExpired(negative);
  run.IssueReclaim(negative);
  run.Reclaim(negative, {.worker = kWorker2, .ttl_ms = 0});
  run.MarkExpired(negative);
}

// ---- past the ledger -----------------------------------------------------------

// Edge 8: a call must not be left half done.
void AFractionalGrantTtl(Run& run) {
  // A ttl that was refused once is refused again, although the functions remember texts that they
  // have read.
  for (const std::string ttl : {"50.5", "50.5", "1e-1"}) {
    Execution& e = run.Create();
    const RawCall call = RawIssue(run, e, ttl);
    run.CheckEqual("issue with ttl " + ttl, "0 invalid_input",
                   FirstTexts(run.store().Call("ff_issue_claim_grant", call.keys, call.args)));
    const std::string key = e.expected.ExecutionKey("claim_grant");
    run.CheckEqual("what is left of ttl " + ttl, "nothing",
                   !run.store().Exists(key)                  ? "nothing"
                   : run.store().ExpireTime(key).has_value() ? "a grant"
                                                             : "a grant without expiry");
    run.store().Delete(key);
    run.CheckStored(e);
  }
}

void AMalformedAttemptPolicy(Run& run) {
  Execution& e = run.Create();
  run.Issue(e);
  const RawCall call = RawClaim(run, e, {.policy = "{malformed"});
  const RawStore::Answer answer = run.store().Call("ff_claim_execution", call.keys, call.args);
  run.Check("refused", answer.is_error || (!answer.texts.empty() && answer.texts[0] == "0"));
  const bool kept = run.store().Exists(e.expected.ExecutionKey("claim_grant"));
  run.CheckEqual("the grant", "kept", kept ? "kept" : "consumed");
  if (kept) run.CheckStored(e);  // otherwise half of the call was done, and comparing means nothing
}

void AGrantTtlThatIsNoNumber(Run& run) {
  for (const std::string ttl : {"abc", "abc", "", "1,000"}) {
    Execution& e = run.Create();
    const RawCall call = RawIssue(run, e, ttl);
    run.CheckEqual("issue with ttl '" + ttl + "'", "0 invalid_input",
                   FirstTexts(run.store().Call("ff_issue_claim_grant", call.keys, call.args)));
    run.CheckStored(e);
  }
  // The check of the ttl comes before the existence check.
  Execution& absent = run.New();
  const RawCall call = RawIssue(run, absent, "abc");
  run.CheckEqual("issue for an absent one", "0 invalid_input",
                 FirstTexts(run.store().Call("ff_issue_claim_grant", call.keys, call.args)));
}

void ALeaseTtlThatIsNoNumber(Run& run) {
  Execution& e = run.Create();
  run.Issue(e);
  for (const char* ttl : {"abc", "abc", "", "1,000"}) {
    const RawCall call = RawClaim(run, e, {.ttl = ttl});
    run.CheckEqual("claim with ttl '" + std::string(ttl) + "'", "0 invalid_input",
                   FirstTexts(run.store().Call("ff_claim_execution", call.keys, call.args)));
    run.CheckStored(e);
  }
  // The check of the ttl comes before the existence check.
  Execution& absent = run.New();
  const RawCall call = RawClaim(run, absent, {.ttl = "abc"});
  run.CheckEqual("claim of an absent one", "0 invalid_input",
                 FirstTexts(run.store().Call("ff_claim_execution", call.keys, call.args)));
}

// Edge 9: a call with too few keys.
void TooFewKeys(Run& run) {
  Execution& e = run.Create();
  RawCall call = RawIssue(run, e, std::to_string(kLong));
  call.keys.resize(1);
  run.CheckEqual("issue", "-ERR",
                 FirstTexts(run.store().Call("ff_issue_claim_grant", call.keys, call.args)));
  run.CheckStored(e);
}

void ACoreOfAnotherType(Run& run) {
  Execution& e = run.New();
  run.store().SetText(e.expected.ExecutionKey("core"), "no hash");
  const RawCall issue = RawIssue(run, e, std::to_string(kLong));
  run.CheckEqual("issue", "-WRONGTYPE",
                 FirstTexts(run.store().Call("ff_issue_claim_grant", issue.keys, issue.args)));
  const RawCall claim = RawClaim(run, e);
  run.CheckEqual("claim", "-WRONGTYPE",
                 FirstTexts(run.store().Call("ff_claim_execution", claim.keys, claim.args)));
  run.store().Delete(e.expected.ExecutionKey("core"));
}

// All elements of a reply except the first are texts; numbers are sent as texts too (functions 1).
void RepliesAsTheyAreOnTheWire(Run& run) {
  Execution& e = run.Create();
  const RawCall issue = RawIssue(run, e, std::to_string(kLong));
  const RawStore::Answer issued = run.store().Call("ff_issue_claim_grant", issue.keys, issue.args);
  run.CheckEqual("issue", "1 OK", FirstTexts(issued));
  run.CheckEqual("issue's third", e.expected.id, issued.texts.size() == 3 ? issued.texts[2] : "");
  const RawCall claim = RawClaim(run, e);
  const RawStore::Answer claimed = run.store().Call("ff_claim_execution", claim.keys, claim.args);
  run.CheckEqual("claim", "1 OK", FirstTexts(claimed));
  run.CheckEqual("claim's size", "8", std::to_string(claimed.texts.size()));
  if (claimed.texts.size() != 8) return;
  run.CheckEqual("lease id", claim.args[5], claimed.texts[2]);
  run.CheckEqual("epoch", "1", claimed.texts[3]);
  run.CheckEqual("expires_at",
                 run.store().Hash(e.expected.ExecutionKey("lease:current"))["expires_at"],
                 claimed.texts[4]);
  run.CheckEqual("attempt id", claim.args[8], claimed.texts[5]);
  run.CheckEqual("attempt index", "0", claimed.texts[6]);
  run.CheckEqual("kind", "initial", claimed.texts[7]);
}

}  // namespace

void AddFunctionEdgeScenarios(std::vector<Scenario>& to) {
  to.push_back({"F5", "1_to_4_grants_that_are_none", GrantsThatAreNone});
  to.push_back({"F5", "5_delayed_execution", DelayedExecution});
  to.push_back({"F5", "6_after_a_lease_expired", AfterALeaseExpired});
  to.push_back({"F5", "7_grants_without_time", GrantsWithoutTime});
  to.push_back({"F5", "7_leases_without_time", LeasesWithoutTime});
  to.push_back({"F5", "8_fractional_grant_ttl", AFractionalGrantTtl, kStoredKeys});
  to.push_back({"F5", "8_malformed_attempt_policy", AMalformedAttemptPolicy, kStoredKeys});
  to.push_back({"7", "grant_ttl_that_is_no_number", AGrantTtlThatIsNoNumber, kStoredKeys});
  to.push_back({"7", "lease_ttl_that_is_no_number", ALeaseTtlThatIsNoNumber, kStoredKeys});
  to.push_back({"F5", "9_too_few_keys", TooFewKeys, kStoredKeys});
  to.push_back({"F5", "9_core_of_another_type", ACoreOfAnotherType, kStoredKeys});
  to.push_back({"F1", "replies_as_they_are_on_the_wire", RepliesAsTheyAreOnTheWire, kStoredKeys});
}

}  // namespace ffgrant::claims_conformance
