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
  if (run.engine().library() == "flowfabric") return;
  Execution& ungranted = run.Create();
  for (const std::string policy :
       {"{malformed", "5", "true", "\"text\"", "null", "{\"a\":[1e999]}"}) {
    const std::string refusal = "0 invalid_input attempt_policy_json is malformed";
    ExpectRaw(run, policy, refusal, "ff_claim_execution", RawClaim(run, e, {.policy = policy}));
    run.CheckStored(e);
    RawCall fused = RawFusedClaim(run, ungranted);
    fused.args[8] = policy;
    ExpectRaw(run, policy, refusal, "ff_issue_grant_and_claim", fused);
    run.CheckStored(ungranted);
  }
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

// An execution whose delay no longer holds leaves the index of delayed ones and is not changed; one
// whose delay is not over stays there.
void OnlyADelayedExecutionIsPromoted(Run& run) {
  const struct {
    bool deletes;       // whether the core hash is deleted, before the field is set
    const char* field;  // of the core hash; may be nullptr
    const char* text;
    const char* answer;
  } kRows[] = {
      {false, "lifecycle_phase", "active", "1 OK not_runnable_cleaned"},
      {false, "lifecycle_phase", "terminal", "1 OK not_runnable_cleaned"},
      {false, "lifecycle_phase", "", "1 OK not_runnable_cleaned"},
      {true, "priority", "0", "1 OK not_runnable_cleaned"},
      {false, "eligibility_state", "eligible_now", "1 OK not_delayed_cleaned"},
      {true, nullptr, nullptr, "1 OK not_found_cleaned"},
  };
  for (const auto& row : kRows) {
    Execution& e = run.Create({.delay_until = TimestampMs{run.engine().Now() + kLong}});
    const std::string core = e.expected.ExecutionKey("core");
    const auto in = [&](const char* role) {
      return run.store().Score(e.expected.LaneKey(role), e.expected.id).has_value();
    };
    const RawCall promote = {{core, e.expected.LaneKey("delayed"), e.expected.LaneKey("eligible")},
                             {e.expected.id, std::to_string(run.engine().Now())}};
    ExpectRaw(run, "too early", "1 OK not_yet_due", "ff_promote_delayed", promote);
    run.Check("stays in the index", in("delayed"));
    if (row.deletes) run.store().Delete(core);
    if (row.field) run.store().SetField(core, row.field, row.text);
    const Fields before = run.store().Hash(core);
    ExpectRaw(run, row.answer, row.answer, "ff_promote_delayed", promote);
    run.Check("leaves the index", !in("delayed"));
    run.Check("is not eligible", !in("eligible"));
    run.Check("is not changed", run.store().Hash(core) == before);
  }
  // A time has to be a number.
  Execution& untouched = run.Create({.delay_until = TimestampMs{run.engine().Now() + kLong}});
  if (run.engine().library() != "flowfabric") {
    ExpectRaw(run, "no time", "0 invalid_input now_ms must be a number, got: soon",
              "ff_promote_delayed",
              {{untouched.expected.ExecutionKey("core"), untouched.expected.LaneKey("delayed"),
                untouched.expected.LaneKey("eligible")},
               {untouched.expected.id, "soon"}});
  }
  // The time in the core hash decides, if there is one.
  Execution& due = run.Create({.delay_until = TimestampMs{run.engine().Now() + kLong}});
  const RawCall promote = {{due.expected.ExecutionKey("core"), due.expected.LaneKey("delayed"),
                            due.expected.LaneKey("eligible")},
                           {due.expected.id, std::to_string(run.engine().Now())}};
  run.store().SetField(promote.keys[0], "delay_until", "1");
  ExpectRaw(run, "due by its field", "1 OK promoted", "ff_promote_delayed", promote);
  run.Check("is eligible", run.store().Score(promote.keys[2], due.expected.id).has_value());
  if (run.engine().library() == "flowfabric") return;  // it promotes no delayed resume
  Execution& resumed = run.Leased();
  run.Suspend(resumed);
  run.Resume(resumed, kShort);
  run.Pass(kShort + 1);
  ExpectRaw(run, "due by its score", "1 OK promoted", "ff_promote_delayed",
            {{resumed.expected.ExecutionKey("core"), resumed.expected.LaneKey("delayed"),
              resumed.expected.LaneKey("eligible")},
             {resumed.expected.id, std::to_string(run.engine().Now())}});
}

// A ledger reads the core hash before it makes most calls. Another client may not, and the hash may
// be gone or broken by the time of the call.
void EveryCallNeedsAnExecution(Run& run) {
  const struct {
    const char* function;
    const char* without_phase;  // the answer if the core hash has no phase
  } kRows[] = {{"issue_claim_grant", "0 execution_not_eligible"},
               {"claim_execution", "0 execution_not_leaseable"},
               {"claim_resumed_execution", "0 execution_not_leaseable"},
               {"issue_grant_and_claim", "0 execution_not_eligible"},
               {"complete_execution", "0 execution_not_active"},
               {"fail_execution", "0 execution_not_active"},
               {"renew_lease", "0 execution_not_active"},
               {"revoke_lease", "0 execution_not_active"},
               {"issue_reclaim_grant", "0 execution_not_reclaimable"},
               {"reclaim_execution", "0 execution_not_reclaimable"},
               {"suspend_execution", "0 execution_not_active"},
               {"resume_execution", "0 execution_not_suspended"}};
  for (const auto& row : kRows) {
    const std::string function = std::string("ff_") + row.function;
    Execution& e = run.Leased();
    const RawCall call = [&]() -> RawCall {
      const std::string_view name = row.function;
      if (name == "issue_claim_grant") return RawIssue(run, e);
      if (name == "claim_execution") return RawClaim(run, e);
      if (name == "claim_resumed_execution") return RawClaimResumed(run, e);
      if (name == "issue_grant_and_claim") return RawFusedClaim(run, e);
      if (name == "complete_execution") return RawComplete(run, e);
      if (name == "fail_execution") return RawFail(run, e, 0, "1", "");
      if (name == "renew_lease") return RawRenew(e);
      if (name == "revoke_lease") return RawRevoke(run, e);
      if (name == "issue_reclaim_grant") return RawIssueReclaim(run, e);
      if (name == "reclaim_execution") return RawReclaim(run, e);
      if (name == "suspend_execution") return RawSuspend(run, e, run.Name("wp"));
      return RawResume(run, e);
    }();
    const std::string core = e.expected.ExecutionKey("core");
    run.store().Delete(core);
    ExpectRaw(run, function + ", gone", "0 execution_not_found", function, call);
    run.Check("nothing was made", !run.store().Exists(core));
    run.store().SetField(core, "priority", "0");
    for (int i = 0; i < 2; ++i) {
      run.CheckEqual(function + ", without a phase", row.without_phase,
                     FirstTexts(run.store().Call(function, call.keys, call.args)));
    }
    run.store().Delete(core);
  }
}

// The reason of a revocation is the caller's, or that an operator revoked the lease. Whether the
// execution is eligible stays as it is.
void ARevocationSaysWhy(Run& run) {
  for (const std::string reason : {"operator", "too slow", ""}) {
    Execution& e = run.Leased();
    RawCall call = RawRevoke(run, e);
    const std::string eligibility = reason.empty() ? "not_applicable" : "as it was";
    run.store().SetField(e.expected.ExecutionKey("core"), "eligibility_state", eligibility);
    // An empty text stands in the place of the lease id that the caller need not expect.
    if (reason != "operator") call.args.insert(call.args.end(), {"", reason});
    run.CheckEqual("revoke", "1 OK",
                   FirstTexts(run.store().Call("ff_revoke_lease", call.keys, call.args)));
    const Fields core = run.store().Hash(e.expected.ExecutionKey("core"));
    run.CheckEqual("reason", reason, core.at("lease_revoke_reason"));
    run.CheckEqual("detail", "lease revoked: " + reason, core.at("blocking_detail"));
    run.CheckEqual("eligibility", eligibility, core.at("eligibility_state"));
  }
}

// Without a delay, an execution can be claimed at once.
void AResumptionNeedsNoDelay(Run& run) {
  Execution& e = run.Leased();
  run.Suspend(e);
  RawCall call = RawResume(run, e);
  call.args.resize(1);
  run.CheckEqual("resume", "1 OK",
                 FirstTexts(run.store().Call("ff_resume_execution", call.keys, call.args)));
  run.Check("eligible",
            run.store().Score(e.expected.LaneKey("eligible"), e.expected.id).has_value());
}

// A priority need not be whole; only what is beyond the limits is clamped.
void PrioritiesAreClamped(Run& run) {
  const std::pair<const char*, const char*> kRows[] = {
      {"-1", "0"},        {"-0.5", "0"},    {"0", "0"},           {"0.5", "0.5"},
      {"1", "1"},         {"8999", "8999"}, {"8999.5", "8999.5"}, {"9000", "9000"},
      {"9000.5", "9000"}, {"9001", "9000"}};
  for (const auto& [priority, stored] : kRows) {
    Execution& e = run.New();
    ExpectRaw(run, priority, "1 OK " + e.expected.id + " waiting", "ff_create_execution",
              RawCreate(e, {.priority = priority}));
    run.CheckEqual(priority, stored, run.store().Hash(e.expected.ExecutionKey("core"))["priority"]);
    for (const char* const rest : {"core", "payload", "policy", "tags"}) {
      run.store().Delete(e.expected.ExecutionKey(rest));
    }
    run.store().RemoveMember(e.expected.LaneKey("eligible"), e.expected.id);
  }
}

// A requirement that a policy names twice is told once, and requirements are told in their order.
void AMissingTokenIsToldOnce(Run& run) {
  Execution& e = run.New();
  ExpectRaw(run, "create", "1 OK " + e.expected.id + " waiting", "ff_create_execution",
            RawCreate(e, {.policy = R"({"routing_requirements":{"required_capabilities":)"
                                    R"(["gpu","a","gpu","b","a"]}})"}));
  for (const bool sorted : {true, false}) {
    if (!sorted) {
      run.store().SetField(e.expected.ExecutionKey("core"), "required_capabilities", "gpu,a,b,gpu");
    }
    ExpectRaw(run, "issue", "0 capability_mismatch b,gpu", "ff_issue_claim_grant",
              RawIssue(run, e, kRawTtl, "a"));
  }
  for (const char* const rest : {"core", "payload", "policy", "tags"}) {
    run.store().Delete(e.expected.ExecutionKey(rest));
  }
  run.store().RemoveMember(e.expected.LaneKey("eligible"), e.expected.id);
}

// An execution that has failed for good is in the index of its lane. Where the core hash does not
// say to which lane it belongs, the lane of the last lease counts.
void AFailureForGoodIsInTheIndexOfItsLane(Run& run) {
  for (const bool has_current : {true, false}) {
    Execution& e = run.RevokedOne();
    const std::string core = e.expected.ExecutionKey("core");
    Fields fields = run.store().Hash(core);
    run.store().Delete(core);
    fields.erase("lane_id");
    fields["current_lane"] = e.expected.lane;
    if (!has_current) fields.erase("current_lane");
    for (const auto& [name, text] : fields) run.store().SetField(core, name, text);
    // Gives the partition's indices another member.
    Execution& other = run.Create({}, &e);
    run.Issue(other);
    run.Claim(other);
    RawCall reclaim = RawReclaim(run, e);
    reclaim.args[8] = "0";
    run.CheckEqual("reclaim", "0 max_retries_exhausted 0",
                   AnswerTo(run, "ff_reclaim_execution", reclaim));
    std::string index = e.expected.LaneKey("terminal");
    if (!has_current) {
      index.replace(index.find(e.expected.lane), e.expected.lane.size(), "default");
    }
    run.Check(index, run.store().Score(index, e.expected.id).has_value());
    run.store().RemoveMember(index, e.expected.id);
  }
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
  to.push_back(
      {"F3", "only_a_delayed_execution_is_promoted", OnlyADelayedExecutionIsPromoted, kStoredKeys});
  to.push_back({"F5", "every_call_needs_an_execution", EveryCallNeedsAnExecution, kStoredKeys});
  to.push_back({"7.5", "a_revocation_says_why", ARevocationSaysWhy, kStoredKeys});
  to.push_back({"7.3", "a_resumption_needs_no_delay", AResumptionNeedsNoDelay, kStoredKeys});
  to.push_back({"F3", "priorities_are_clamped", PrioritiesAreClamped, kStoredKeys});
  to.push_back({"F4", "a_missing_token_is_told_once", AMissingTokenIsToldOnce, kStoredKeys});
  to.push_back({"F3", "a_failure_for_good_is_in_the_index_of_its_lane",
                AFailureForGoodIsInTheIndexOfItsLane, kStoredKeys});
  to.push_back({"F1", "replies_as_they_are_on_the_wire", RepliesAsTheyAreOnTheWire, kStoredKeys});
}

}  // namespace ffgrant::claims_conformance
