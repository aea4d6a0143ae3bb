// SPDX-License-Identifier: Apache-2.0
//
// Tests what grants, claims and ends of attempts store beyond what a ledger's call asks for
// (valkey-functions.md sections 2 and 3): the lineage of retries and replays, an attempt's policy
// and times, and streams.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "testing/calls/answer.h"
#include "testing/contract/contract_table.h"
#include "testing/scenarios/cases/raw_calls.h"
#include "testing/scenarios/run.h"
#include "testing/scenarios/scenario.h"

namespace ffgrant::claims_conformance {
namespace {

// ---- grants and claims -----------------------------------------------------------

void MoreTtlsThanALibraryRemembers(Run& run) {
  Execution& e = run.New();
  for (int ttl = 100'001; ttl <= 101'101; ++ttl) {
    const std::string answer =
        AnswerTo(run, "ff_issue_claim_grant", RawIssue(run, e, std::to_string(ttl)));
    if (answer != "0 execution_not_found") {
      return run.CheckEqual("ttl " + std::to_string(ttl), "0 execution_not_found", answer);
    }
  }
  Execution& granted = run.Create();
  const std::int64_t before = run.engine().Now();
  const RawCall odd = RawIssue(run, granted, "x");
  run.CheckEqual("x", "0 invalid_input",
                 FirstTexts(run.store().Call("ff_issue_claim_grant", odd.keys, odd.args)));
  ExpectRaw(run, "one of them again", "1 OK " + granted.expected.id, "ff_issue_claim_grant",
            RawIssue(run, granted, "101101"));
  const auto until = run.store().ExpireTime(granted.expected.ExecutionKey("claim_grant"));
  run.Check("its time",
            until && *until >= before + 101'101 && *until <= run.engine().Now() + 101'101);
}

void RetriesAndReplaysHaveTheirLineage(Run& run) {
  struct Row {
    const char* state;
    const char* kind;
    Fields fields;
  };
  const Row kRows[] = {{"pending_retry_attempt",
                        "retry",
                        {{"retry_reason", "boom"}, {"previous_attempt_index", "4"}}},
                       {"pending_replay_attempt",
                        "replay",
                        {{"replay_reason", "again"},
                         {"replay_requested_by", "op"},
                         {"replayed_from_attempt_index", "4"}}}};
  const auto claim_one = [&run](const Row& row, bool fused) {
    Execution& e = run.Create();
    const std::string core = e.expected.ExecutionKey("core");
    for (const auto& [name, text] : Fields{{"attempt_state", row.state},
                                           {"total_attempt_count", "5"},
                                           {"current_lease_epoch", "8"},
                                           {"started_at", "1234"},
                                           {"pending_retry_reason", "boom"},
                                           {"pending_replay_reason", "again"},
                                           {"pending_replay_requested_by", "op"},
                                           {"pending_previous_attempt_index", "4"}}) {
      run.store().SetField(core, name, text);
    }
    if (!fused) {
      ExpectRaw(run, "issue", "1 OK " + e.expected.id, "ff_issue_claim_grant", RawIssue(run, e));
    }
    const RawCall claim = fused ? RawFusedClaim(run, e) : RawClaim(run, e, {.attempt = 5});
    const RawStore::Answer answer = run.store().Call(
        fused ? "ff_issue_grant_and_claim" : "ff_claim_execution", claim.keys, claim.args);
    run.CheckEqual("answer", fused ? "5" : "8", std::to_string(answer.texts.size()));
    if (answer.texts.size() != (fused ? 5 : 8)) return;
    run.CheckEqual("epoch", "9", answer.texts[3]);
    run.CheckEqual("attempt index", "5", answer.texts[fused ? 4 : 6]);
    if (!fused) run.CheckEqual("kind", row.kind, answer.texts[7]);
    Fields attempt = run.store().Hash(e.expected.AttemptKey(5));
    run.CheckEqual("attempt type", row.kind, attempt["attempt_type"]);
    for (const auto& [name, text] : row.fields) run.CheckEqual(name, text, attempt[name]);
    Fields kept = run.store().Hash(core);
    run.CheckEqual("started_at", "1234", kept["started_at"]);
    run.CheckEqual("pending_retry_reason", "", kept["pending_retry_reason"]);
    run.CheckEqual("pending_previous_attempt_index", "", kept["pending_previous_attempt_index"]);
    for (const char* const rest : {"", ":usage", ":policy"}) {
      run.store().Delete(e.expected.AttemptKey(5) + rest);
    }
  };
  for (const Row& row : kRows) {
    for (const bool fused : {false, true}) claim_one(row, fused);
  }
}

void AnAttemptKeepsItsPolicyAndTimes(Run& run) {
  Execution& e = run.Create();
  ExpectRaw(run, "issue", "1 OK " + e.expected.id, "ff_issue_claim_grant", RawIssue(run, e));
  const RawCall claim = RawClaim(
      run, e,
      {.policy = R"({"a":1,"b":{"c":true}})", .timeout = "9000", .deadline = "1999999999999"});
  const RawStore::Answer answer = run.store().Call("ff_claim_execution", claim.keys, claim.args);
  run.CheckEqual("claim", "1 OK", FirstTexts(answer));
  if (answer.texts.size() < 5) return;
  const std::int64_t now = std::stoll(answer.texts[4]) - kLong;
  const Fields policy = run.store().Hash(e.expected.AttemptKey(0) + ":policy");
  run.Check("policy", policy == Fields{{"a", "1"}, {"b", "{\"c\":true}"}});
  const auto score = [&](const char* index) {
    return run.store().Score(e.expected.IndexKey(index), e.expected.id).value_or(0);
  };
  run.Check("timeout", score("attempt_timeout") == static_cast<double>(now + 9000));
  run.Check("deadline", score("execution_deadline") == 1999999999999.0);
  // A suspended attempt does not run out of time.
  const LeaseFence fence = {{ParseUuid(kRawLease, ParseMode::kStrict).uuid},
                            {1},
                            {ParseUuid(kRawAttempt, ParseMode::kStrict).uuid}};
  const Outcome suspended = run.ledger().Suspend({e.id(), fence});
  run.CheckEqual("suspend", "ok", suspended ? "ok" : std::string(ErrorName(suspended.error)));
  run.Check("no timeout", score("attempt_timeout") == 0);
  run.Check("the deadline stays", score("execution_deadline") == 1999999999999.0);
}

// The caller says when the lease is to be renewed, and the lease's hash has this time too (contract
// 7.2).
void TheRenewalDeadlineIsTheCallers(Run& run) {
  for (const std::int64_t renew_before : {0, 1, 1000, static_cast<int>(kLong)}) {
    Execution& e = run.Create();
    run.Issue(e);
    const RawCall call = RawClaim(run, e, {.renew_before = std::to_string(renew_before)});
    const RawStore::Answer answer = run.store().Call("ff_claim_execution", call.keys, call.args);
    run.CheckEqual("claim", "1 OK", FirstTexts(answer));
    if (answer.texts.size() < 5) return;
    const std::string deadline = std::to_string(std::stoll(answer.texts[4]) - kLong + renew_before);
    for (const char* const key : {"core", "lease:current"}) {
      Fields fields = run.store().Hash(e.expected.ExecutionKey(key));
      run.CheckEqual(std::string(key) + ", " + std::to_string(renew_before), deadline,
                     fields["lease_renewal_deadline"] + fields["renewal_deadline"]);
    }
  }
}

// In each claiming call that takes the attempt's time limit, an empty text and "0" both say that
// there is none.
void AnAttemptWithoutTimeoutIsInNoIndex(Run& run) {
  for (const std::string timeout : {"", "0", "00", "-5", "7000"}) {
    const auto check = [&](const char* what, const Execution& e) {
      const bool indexed =
          run.store().Score(e.expected.IndexKey("attempt_timeout"), e.expected.id).has_value();
      run.CheckEqual(std::string(what) + " with '" + timeout + "'",
                     timeout == "7000" ? "indexed" : "not indexed",
                     indexed ? "indexed" : "not indexed");
    };
    Execution& resumed = run.Interrupted();
    run.Issue(resumed);
    RawCall call = RawClaimResumed(run, resumed, timeout);
    run.CheckEqual(
        "claim resumed", "1 OK",
        FirstTexts(run.store().Call("ff_claim_resumed_execution", call.keys, call.args)));
    check("claim resumed", resumed);
    // Only what is left of an interrupted attempt's time may be used up.
    if (timeout == "00" || timeout == "-5") continue;
    Execution& claimed = run.Create();
    run.Issue(claimed);
    call = RawClaim(run, claimed, {.timeout = timeout});
    run.CheckEqual("claim", "1 OK",
                   FirstTexts(run.store().Call("ff_claim_execution", call.keys, call.args)));
    check("claim", claimed);
    Execution& fused = run.Create();
    call = RawFusedClaim(run, fused, timeout);
    run.CheckEqual("issue and claim", "1 OK",
                   FirstTexts(run.store().Call("ff_issue_grant_and_claim", call.keys, call.args)));
    check("issue and claim", fused);
  }
}

// A call that suspends or ends an attempt takes the execution out of the index that the scanner of
// attempts' timeouts reads. Otherwise the scanner would end a later attempt by the timeout of an
// earlier one. The calls that revoke a lease or mark it as expired have no key of this index.
void AnAttemptThatEndedRunsOutOfNoTime(Run& run) {
  const std::string retry = R"({"max_retries":1,"backoff":{"type":"fixed","delay_ms":500}})";
  const auto fail = [&run](const Execution& e, const std::string& policy) {
    return RawFail(run, e, 0, "1", policy);
  };
  const struct {
    const char* what;
    const char* function;
    std::string answer;  // its first two texts
    std::function<RawCall(const Execution&)> call;
  } kRows[] = {
      {"suspend", "ff_suspend_execution", "1 OK",
       [&run](const Execution& e) {
         InstallSecret(run, e);
         RawCall call = RawSuspend(run, e, run.Name("wp"));
         call.args[2] = kRawAttempt;
         call.args[3] = kRawLease;
         return call;
       }},
      {"complete", "ff_complete_execution", "1 OK",
       [&run](const Execution& e) { return RawComplete(run, e); }},
      {"fail for good", "ff_fail_execution", "1 OK",
       [&](const Execution& e) { return fail(e, ""); }},
      {"fail with a retry", "ff_fail_execution", "1 OK",
       [&](const Execution& e) { return fail(e, retry); }},
      {"reclaim once too often", "ff_reclaim_execution", "0 max_retries_exhausted",
       [&run](const Execution& e) {
         const Outcome revoked = run.ledger().Revoke({e.id()});
         run.CheckEqual("revoke", "ok", revoked ? "ok" : std::string(ErrorName(revoked.error)));
         RawCall call = RawReclaim(run, e);
         call.args[8] = "0";
         return call;
       }},
  };
  for (const auto& row : kRows) {
    Execution& e = run.Create();
    run.Issue(e);
    const RawCall claim = RawClaim(run, e, {.timeout = "9000"});
    run.CheckEqual("claim", "1 OK",
                   FirstTexts(run.store().Call("ff_claim_execution", claim.keys, claim.args)));
    const auto timeout = [&] {
      return run.store().Score(e.expected.IndexKey("attempt_timeout"), e.expected.id);
    };
    run.Check("the attempt has a timeout", timeout().has_value());
    const RawCall end = row.call(e);
    run.CheckEqual(row.what, row.answer,
                   FirstTexts(run.store().Call(row.function, end.keys, end.args)));
    run.Check(std::string("no timeout after ") + row.what, !timeout().has_value());
    for (const std::string& key : end.keys) {
      if (key.starts_with("ff:sec:") || key.starts_with("ff:wp:")) run.store().Delete(key);
    }
    run.store().Delete(e.expected.ExecutionKey("result"));
  }
}

// When an execution gets a new lease, its core no longer says that an earlier lease expired or was
// revoked.
void ANewLeaseForgetsHowTheLastOneEnded(Run& run) {
  const auto check = [&run](const char* function, Execution& e, const RawCall& call) {
    const char* const kEnds[] = {"lease_expired_at", "lease_revoked_at", "lease_revoke_reason"};
    const std::string core = e.expected.ExecutionKey("core");
    for (const char* const name : kEnds) run.store().SetField(core, name, "12345");
    run.CheckEqual(function, "1 OK", FirstTexts(run.store().Call(function, call.keys, call.args)));
    Fields fields = run.store().Hash(core);
    for (const char* const name : kEnds) {
      run.CheckEqual(std::string(function) + ", " + name, "", fields[name]);
    }
  };
  Execution& resumed = run.Interrupted();
  run.Issue(resumed);
  check("ff_claim_resumed_execution", resumed, RawClaimResumed(run, resumed));
  Execution& fused = run.Interrupted();
  check("ff_issue_grant_and_claim", fused, RawFusedClaim(run, fused));
  Execution& reclaimed = run.RevokedOne();
  run.IssueReclaim(reclaimed, {.worker = kWorker1});
  check("ff_reclaim_execution", reclaimed, RawReclaim(run, reclaimed));
  for (const char* const rest : {"", ":usage"}) {
    run.store().Delete(reclaimed.expected.AttemptKey(1) + rest);
  }
}

// An execution may be gone although an index still has it.
void MarkingWhatIsGoneCleansTheIndex(Run& run) {
  Execution& e = run.Leased(kShort);
  run.store().Delete(e.expected.ExecutionKey("core"));
  run.Pass(kShort + 1);
  ExpectRaw(run, "mark", "1 ALREADY_SATISFIED execution_not_found", "ff_mark_lease_expired_if_due",
            RawMarkExpired(e));
  run.Check("the index", !run.store().Score(e.expected.IndexKey("lease_expiry"), e.expected.id));
}

// A call that both grants and claims is refused while there is a grant already.
void AFusedClaimLeavesTheGrantOfAnother(Run& run) {
  for (const bool resumed : {false, true}) {
    Execution& e = resumed ? run.Interrupted() : run.Create();
    run.Issue(e, {.worker = kWorker2});
    ExpectRaw(run, resumed ? "of a resumed one" : "of a new one", "0 grant_already_exists",
              "ff_issue_grant_and_claim", RawFusedClaim(run, e));
    run.CheckStored(e);
    if (!resumed) run.Claim(e, {.worker = kWorker2});
  }
}

// The limit is on the number of tokens, however short they are. A token that repeats another counts
// too; an empty text does not.
void AWorkersTokensAreCounted(Run& run) {
  for (const auto& [count, taken] : testing::kCapabilityCountRows) {
    for (const std::string comma : {",", ",,"}) {
      std::string offered = comma;
      for (std::size_t i = 0; i < count; ++i) offered += "a" + comma;
      if (comma == ",") offered = offered.substr(1, offered.size() - 2);
      Execution& e = run.Create();
      ExpectRaw(run, "issue with " + std::to_string(count) + " tokens and '" + comma + "'",
                taken ? "1 OK " + e.expected.id : "0 invalid_capabilities worker:too_many_tokens",
                "ff_issue_claim_grant", RawIssue(run, e, kRawTtl, offered));
    }
  }
}

// The limits hold for what a worker offers, even to an execution that requires nothing.
void AWorkersOfferIsLimitedWithoutNeed(Run& run) {
  const auto offer = [&run](const std::string& offered, const std::string& refusal) {
    const std::string what = std::to_string(offered.size()) + " bytes";
    const std::string answer =
        refusal.empty() ? "1 OK" : "0 invalid_capabilities worker:" + refusal;
    const auto check = [&](Execution& e, const char* function, const RawCall& call) {
      const RawStore::Answer made = run.store().Call(function, call.keys, call.args);
      run.CheckEqual(what, answer, refusal.empty() ? FirstTexts(made) : AllTexts(made));
      if (!refusal.empty()) run.CheckStored(e);
    };
    Execution& waiting = run.Create();
    check(waiting, "ff_issue_claim_grant", RawIssue(run, waiting, kRawTtl, offered));
    Execution& lost = run.RevokedOne();
    check(lost, "ff_issue_reclaim_grant", RawIssueReclaim(run, lost, offered));
  };
  for (const auto& [bytes, taken] : testing::kCapabilityBytesRows) {
    offer(testing::CapabilitiesOfBytes(bytes), taken ? "" : "too_many_bytes");
  }
  for (const auto& [count, taken] : testing::kCapabilityCountRows) {
    offer(testing::CapabilitiesOfCount(count), taken ? "" : "too_many_tokens");
  }
}

// A resumed execution is claimed without a look at its eligibility, even while its resume is
// delayed (contract 7.3).
void AFusedClaimTakesADelayedResume(Run& run) {
  for (const std::int64_t delay_ms : {std::int64_t{0}, kLong}) {
    Execution& e = run.Leased();
    run.Suspend(e);
    run.Resume(e, delay_ms);
    const RawCall call = RawFusedClaim(run, e);
    run.CheckEqual("after " + std::to_string(delay_ms), "1 OK",
                   FirstTexts(run.store().Call("ff_issue_grant_and_claim", call.keys, call.args)));
    run.CheckEqual("its phase", "active",
                   run.store().Hash(e.expected.ExecutionKey("core")).at("lifecycle_phase"));
  }
}

Execution& ClaimedWithADeadline(Run& run) {
  Execution& e = run.Create();
  ExpectRaw(run, "issue", "1 OK " + e.expected.id, "ff_issue_claim_grant", RawIssue(run, e));
  const RawCall claim = RawClaim(run, e, {.deadline = "1999999999999"});
  run.CheckEqual("claim", "1 OK",
                 FirstTexts(run.store().Call("ff_claim_execution", claim.keys, claim.args)));
  return e;
}

// An execution keeps its deadline through its retries, until it fails for good.
void ADeadlineOutlivesARetry(Run& run) {
  Execution& e = ClaimedWithADeadline(run);
  const auto deadline = [&] {
    return run.store().Score(e.expected.IndexKey("execution_deadline"), e.expected.id);
  };
  const RawCall fail =
      RawFail(run, e, 0, "1", R"({"max_retries":1,"backoff":{"type":"fixed","delay_ms":0}})");
  const RawStore::Answer failed = run.store().Call("ff_fail_execution", fail.keys, fail.args);
  run.CheckEqual(
      "fail", "1 OK retry_scheduled",
      failed.texts.size() > 2 ? FirstTexts(failed) + " " + failed.texts[2] : AllTexts(failed));
  run.Check("the retry has the deadline", deadline() == 1999999999999.0);
  const RawCall promote = {{e.expected.ExecutionKey("core"), e.expected.LaneKey("delayed"),
                            e.expected.LaneKey("eligible")},
                           {e.expected.id, std::to_string(run.engine().Now())}};
  run.CheckEqual("promote", "1 OK",
                 FirstTexts(run.store().Call("ff_promote_delayed", promote.keys, promote.args)));
  ExpectRaw(run, "issue again", "1 OK " + e.expected.id, "ff_issue_claim_grant", RawIssue(run, e));
  const RawCall again = RawClaim(run, e, {.attempt = 1});
  run.CheckEqual("claim again", "1 OK",
                 FirstTexts(run.store().Call("ff_claim_execution", again.keys, again.args)));
  run.Check("so has its attempt", deadline() == 1999999999999.0);
  ExpectRaw(run, "fail for good", "1 OK terminal_failed", "ff_fail_execution",
            RawFail(run, e, 1, "2", ""));
  run.Check("then it is gone", !deadline());
}

// An execution that has failed because it was reclaimed too often is out of the index that the
// scanner of deadlines reads.
void TooManyReclaimsEndTheDeadlineToo(Run& run) {
  Execution& e = ClaimedWithADeadline(run);
  const auto deadline = [&] {
    return run.store().Score(e.expected.IndexKey("execution_deadline"), e.expected.id);
  };
  const Outcome revoked = run.ledger().Revoke({e.id()});
  run.CheckEqual("revoke", "ok", revoked ? "ok" : std::string(ErrorName(revoked.error)));
  run.Check("it has a deadline", deadline() == 1999999999999.0);
  RawCall reclaim = RawReclaim(run, e);
  reclaim.args[8] = "0";
  run.CheckEqual("reclaim", "0 max_retries_exhausted 0",
                 AnswerTo(run, "ff_reclaim_execution", reclaim));
  run.Check("then it is gone", !deadline());
}

// If the caller names no cap, the function's own cap holds. Ours refuses a cap that is no number.
void AReclaimWithoutACap(Run& run) {
  if (run.engine().library() != "flowfabric") {
    Execution& refused = run.RevokedOne();
    run.IssueReclaim(refused, {.worker = kWorker1});
    RawCall wrong = RawReclaim(run, refused);
    wrong.args[8] = "many";
    ExpectRaw(run, "no number",
              "0 invalid_input default_max_reclaim_count must be a number, got: many",
              "ff_reclaim_execution", wrong);
    // A policy that is no object has no cap.
    for (const char* const policy : {"5", "true", "null", "[", "[1]", "{}", "\"text\""}) {
      Execution& e = run.RevokedOne();
      run.store().SetText(e.expected.ExecutionKey("policy"), policy);
      RawCall reclaim = RawReclaim(run, e);
      reclaim.args[8] = "0";
      run.CheckEqual(policy, "0 max_retries_exhausted 0",
                     AnswerTo(run, "ff_reclaim_execution", reclaim));
    }
  }
  for (const char* const earlier : {"99", "100"}) {
    Execution& e = run.RevokedOne();
    run.IssueReclaim(e, {.worker = kWorker1});
    run.store().SetField(e.expected.ExecutionKey("core"), "lease_reclaim_count", earlier);
    RawCall reclaim = RawReclaim(run, e);
    reclaim.args.resize(8);
    run.CheckEqual(
        earlier, std::string(earlier) == "99" ? "1 OK" : "0 max_retries_exhausted",
        FirstTexts(run.store().Call("ff_reclaim_execution", reclaim.keys, reclaim.args)));
    for (const char* const rest : {"", ":usage"}) {
      run.store().Delete(e.expected.AttemptKey(1) + rest);
    }
  }
}

// The index may have an execution that is not eligible, and may lack one that will be eligible
// later.
void AFusedClaimNeedsAnEligibleExecution(Run& run) {
  Execution& e = run.Create();
  const std::string core = e.expected.ExecutionKey("core");
  run.store().SetField(core, "eligibility_state", "not_eligible_until_time");
  ExpectRaw(run, "in the index", "0 execution_not_eligible", "ff_issue_grant_and_claim",
            RawFusedClaim(run, e));
  run.store().SetField(core, "eligibility_state", "eligible_now");
  run.CheckStored(e);
  run.Issue(e);
  Execution& delayed = run.Create({.delay_until = TimestampMs{run.engine().Now() + kLong}});
  ExpectRaw(run, "delayed", "0 execution_not_in_eligible_set", "ff_issue_grant_and_claim",
            RawFusedClaim(run, delayed));
  run.CheckStored(delayed);
}

// Returns the call that fails the attempt of the execution's first lease.
RawCall RawFailLast(Run& run, const Execution& e, const std::string& retry_policy) {
  RawCall call = RawFail(run, e, 0, "1", retry_policy);
  call.args[1] = testing::UuidText(e.fence.lease_id->uuid);
  call.args[3] = testing::UuidText(e.fence.attempt_id->uuid);
  return call;
}

// The backoff of a policy may lack any of its members, or be of a type that does not exist
// (core/contract/live-observed.md, 2).
void ARetryPolicyHasDefaults(Run& run) {
  const struct {
    std::string backoff;
    std::string retries;  // the number of retries made so far
    std::int64_t delay_ms;
  } kRows[] = {
      {R"("later")", "0", 1000},
      {"{}", "3", 1000},
      {R"({"type":"linear","delay_ms":5})", "0", 1000},
      {R"({"type":"fixed"})", "3", 1000},
      {R"({"type":"fixed","delay_ms":70000})", "3", 70'000},
      {R"({"type":"exponential"})", "0", 1000},
      {R"({"type":"exponential"})", "5", 32'000},
      {R"({"type":"exponential"})", "6", 60'000},
      {R"({"type":"exponential","initial_delay_ms":120000})", "0", 60'000},
      {R"({"type":"exponential","initial_delay_ms":120000,"max_delay_ms":130000})", "0", 120'000},
      {R"({"type":"exponential","max_delay_ms":900})", "0", 900},
      {R"({"type":"exponential","multiplier":3})", "2", 9000},
      {R"({"type":"exponential","initial_delay_ms":5})", "3", 40},
  };
  for (const auto& row : kRows) {
    Execution& e = run.Leased();
    run.store().SetField(e.expected.ExecutionKey("core"), "retry_count", row.retries);
    const RawCall call = RawFailLast(run, e, R"({"max_retries":9,"backoff":)" + row.backoff + "}");
    const std::string what = row.backoff + " after " + row.retries;
    run.CheckEqual(what, "1 OK",
                   FirstTexts(run.store().Call("ff_fail_execution", call.keys, call.args)));
    Fields core = run.store().Hash(e.expected.ExecutionKey("core"));
    run.CheckEqual(what, std::to_string(std::stoll(core["last_mutation_at"]) + row.delay_ms),
                   core["delay_until"]);
  }
}

// A policy that can't be followed is refused before the attempt is ended.
void AFailureChecksItsRetryPolicy(Run& run) {
  Execution& e = run.Leased();
  const auto fixed = [](const std::string& delay) {
    return R"({"max_retries":1,"backoff":{"type":"fixed","delay_ms":)" + delay + "}}";
  };
  const std::string far = "a delay beyond 50000000000000";
  const std::pair<std::string, std::string> kRefused[] = {
      {R"({"max_retries":"many"})", "max_retries is no number"},
      {R"({"max_retries":1,"backoff":5})", "backoff is no object"},
      {R"({"max_retries":1,"backoff":true})", "backoff is no object"},
      {fixed("50000000000001"), far},
      {fixed("-50000000000001"), far},
      {fixed("\"nan\""), far},
      {fixed("1e300"), far}};
  // For such a policy the reference faults, or stores a time that nobody can read.
  // functions/README.md lists this difference.
  if (run.engine().library() != "flowfabric") {
    for (const auto& [policy, why] : kRefused) {
      ExpectRaw(run, policy, "0 invalid_input retry_policy_json: " + why, "ff_fail_execution",
                RawFailLast(run, e, policy));
      run.CheckStored(e);
    }
  }
  // What is no object is no policy, and the longest delays are allowed.
  for (const char* const none : {"", "5", "true", "null", "[", "\"text\"", "[1]", "{}"}) {
    Execution& failed = run.Leased();
    run.CheckEqual(none, "1 OK terminal_failed",
                   AnswerTo(run, "ff_fail_execution", RawFailLast(run, failed, none)));
  }
  for (const char* const delay : {"50000000000000", "-50000000000000"}) {
    Execution& retried = run.Leased();
    const RawCall call = RawFailLast(run, retried, fixed(delay));
    RawStore::Answer answer = run.store().Call("ff_fail_execution", call.keys, call.args);
    if (answer.texts.size() > 3) answer.texts.resize(3);
    run.CheckEqual(delay, "1 OK retry_scheduled", AllTexts(answer));
  }
}

// ---- streams ---------------------------------------------------------------------

void AnOpenStreamIsClosedOnce(Run& run) {
  Execution& e = run.Leased(kShort);
  const std::string stream = "ff:stream:" + RawTag(e) + ":" + e.expected.id + ":0:meta";
  const std::string core = e.expected.ExecutionKey("core");
  run.store().SetField(stream, "x", "y");
  run.Pass(kShort + 1);
  ExpectRaw(run, "mark", "1 OK marked_expired", "ff_mark_lease_expired_if_due", RawMarkExpired(e));
  run.CheckEqual("closed", "lease_expired", run.store().Hash(stream)["closed_reason"]);
  run.store().SetField(core, "ownership_state", "leased");
  run.store().SetField(stream, "closed_reason", "kept");
  ExpectRaw(run, "mark again", "1 OK marked_expired", "ff_mark_lease_expired_if_due",
            RawMarkExpired(e));
  run.CheckEqual("stays closed", "kept", run.store().Hash(stream)["closed_reason"]);
  run.store().Delete(stream);
}

// The end of an attempt closes the attempt's stream if there is one, and makes no stream if there
// is none.
void TheEndOfAnAttemptClosesItsStream(Run& run) {
  const struct {
    std::string what;
    std::string reason;
    std::function<Execution&()> begin;
    std::function<void(Execution&)> end;
  } kEnds[] = {
      {"complete", "attempt_success", [&]() -> Execution& { return run.Leased(); },
       [&](Execution& e) { run.Complete(e); }},
      {"fail", "attempt_failure", [&]() -> Execution& { return run.Leased(); },
       [&](Execution& e) { run.Fail(e); }},
      {"fail with a retry", "attempt_failure",
       [&]() -> Execution& {
         Execution& e = run.Create(
             {.retry = RetryPolicy{
                  .max_retries = 1, .backoff = RetryPolicy::Backoff::kFixed, .delay_ms = 0}});
         run.Issue(e);
         run.Claim(e);
         return e;
       },
       [&](Execution& e) { run.Fail(e, {.retried_after_ms = 0}); }},
      {"mark expired", "lease_expired", [&]() -> Execution& { return run.Leased(kShort); },
       [&](Execution& e) {
         run.Pass(kShort + 1);
         run.MarkExpired(e);
       }},
      {"renew too late", "lease_expired", [&]() -> Execution& { return run.Leased(kShort); },
       [&](Execution& e) {
         run.Pass(kShort + 1);
         run.Renew(e, {}, ClaimError::kLeaseExpired);
       }},
      {"reclaim", "reclaimed", [&]() -> Execution& { return run.RevokedOne(); },
       [&](Execution& e) {
         run.IssueReclaim(e);
         run.Reclaim(e);
       }},
  };
  for (const auto& end : kEnds) {
    for (const bool exists : {false, true}) {
      Execution& e = end.begin();
      const std::string stream = "ff:stream:" + RawTag(e) + ":" + e.expected.id + ":0:meta";
      if (exists) run.store().SetField(stream, "x", "y");
      end.end(e);
      Fields meta = run.store().Hash(stream);
      run.CheckEqual(end.what + (exists ? ", a stream" : ", no stream"), exists ? end.reason : "",
                     meta["closed_reason"]);
      run.CheckEqual(end.what + ", its time", exists ? "true" : "false",
                     meta["closed_at"].empty() ? "false" : "true");
      run.store().Delete(stream);
    }
  }
}

}  // namespace

void AddFunctionAttemptScenarios(std::vector<Scenario>& to) {
  const auto add = [&to](std::string_view section, const char* name, void (*body)(Run&)) {
    to.push_back({section, name, body, kStoredKeys});
  };
  add("F2", "issue_with_more_ttls_than_a_library_remembers", MoreTtlsThanALibraryRemembers);
  add("F3", "retries_and_replays_have_their_lineage", RetriesAndReplaysHaveTheirLineage);
  add("F3", "too_many_reclaims_end_the_deadline_too", TooManyReclaimsEndTheDeadlineToo);
  add("7.6", "a_reclaim_without_a_cap", AReclaimWithoutACap);
  add("F3", "an_attempt_keeps_its_policy_and_times", AnAttemptKeepsItsPolicyAndTimes);
  add("F3", "the_renewal_deadline_is_the_callers", TheRenewalDeadlineIsTheCallers);
  add("F3", "an_attempt_without_timeout_is_in_no_index", AnAttemptWithoutTimeoutIsInNoIndex);
  add("F3", "an_attempt_that_ended_runs_out_of_no_time", AnAttemptThatEndedRunsOutOfNoTime);
  add("F3", "a_new_lease_forgets_how_the_last_one_ended", ANewLeaseForgetsHowTheLastOneEnded);
  add("F2", "a_workers_tokens_are_counted", AWorkersTokensAreCounted);
  add("F2", "a_workers_offer_is_limited_without_need", AWorkersOfferIsLimitedWithoutNeed);
  add("F3", "a_deadline_outlives_a_retry", ADeadlineOutlivesARetry);
  add("F3", "marking_what_is_gone_cleans_the_index", MarkingWhatIsGoneCleansTheIndex);
  add("F3", "a_fused_claim_leaves_the_grant_of_another", AFusedClaimLeavesTheGrantOfAnother);
  add("F3", "a_fused_claim_needs_an_eligible_execution", AFusedClaimNeedsAnEligibleExecution);
  add("F3", "a_fused_claim_takes_a_delayed_resume", AFusedClaimTakesADelayedResume);
  add("F3", "a_failure_checks_its_retry_policy", AFailureChecksItsRetryPolicy);
  add("F3", "a_retry_policy_has_defaults", ARetryPolicyHasDefaults);
  add("F3", "an_open_stream_is_closed_once", AnOpenStreamIsClosedOnce);
  add("F3", "the_end_of_an_attempt_closes_its_stream", TheEndOfAnAttemptClosesItsStream);
}

}  // namespace ffgrant::claims_conformance
