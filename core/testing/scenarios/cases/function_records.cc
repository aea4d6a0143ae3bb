// SPDX-License-Identifier: Apache-2.0
//
// valkey-functions.md sections 2 to 4: the parts of the functions that no call of a ledger uses.
// These are idempotency keys, policies and tags of a creation, the lineage of retries and
// replays, an attempt's policy and times, streams, waitpoint secrets and tokens.

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "testing/calls/answer.h"
#include "testing/contract/contract_table.h"
#include "testing/scenarios/cases/raw_calls.h"
#include "testing/scenarios/run.h"
#include "testing/scenarios/scenario.h"
#include "testing/simulation/sha1.h"

namespace ffgrant::claims_conformance {
namespace {

std::string Call(Run& run, const std::string& function, const RawCall& call) {
  return AllTexts(run.store().Call(function, call.keys, call.args));
}
void Expect(Run& run, const std::string& what, const std::string& expected,
            const std::string& function, const RawCall& call) {
  run.CheckEqual(what, expected, Call(run, function, call));
  // A refusal changes nothing, so the same call is refused again.
  if (expected.starts_with("0 ")) {
    run.CheckEqual(what + ", again", expected, Call(run, function, call));
  }
}

// ---- creation --------------------------------------------------------------------

void AnIdempotencyKeyGivesWhoTookIt(Run& run) {
  Execution& first = run.New();
  Execution& second = run.New(&first);
  Execution& third = run.New(&first);
  // Only a key that has `ff:noop:` in it is none.
  const std::string name = run.Name("noop-ff:noop");
  const std::string key = RawIdempotencyKey(first, name);
  const std::int64_t before = run.engine().Now();
  const RawCreateOptions keyed = {.dedup_ttl = "5000", .idempotency = name};
  Expect(run, "first", "1 OK " + first.expected.id + " waiting", "ff_create_execution",
         RawCreate(first, keyed));
  const auto until = run.store().ExpireTime(key);
  run.Check("the key lasts as long as it was told",
            until && *until >= before + 5000 && *until <= run.engine().Now() + 5000);
  Expect(run, "second", "1 DUPLICATE " + first.expected.id, "ff_create_execution",
         RawCreate(second, keyed));
  run.CheckStored(second);
  // The key decides, even if there is an execution of that id.
  Execution& fourth = run.New(&first);
  Expect(run, "fourth", "1 OK " + fourth.expected.id + " waiting", "ff_create_execution",
         RawCreate(fourth));
  Expect(run, "fourth with the key", "1 DUPLICATE " + first.expected.id, "ff_create_execution",
         RawCreate(fourth, keyed));
  run.store().Delete(key);
  Expect(run, "once the key is gone", "1 OK " + third.expected.id + " waiting",
         "ff_create_execution", RawCreate(third, keyed));
  run.store().Delete(key);
}

// Without a time to remember it, and without a key, nothing is remembered.
void AnIdempotencyKeyNeedsATime(Run& run) {
  for (const std::string ttl : {"", "0", "-1", "5000"}) {
    Execution& e = run.New();
    const bool keyed = ttl != "5000";
    const RawCreateOptions options = {.dedup_ttl = ttl,
                                      .idempotency = keyed ? run.Name("key") : ""};
    const RawCall call = RawCreate(e, options);
    Expect(run, "create " + ttl, "1 OK " + e.expected.id + " waiting", "ff_create_execution", call);
    run.Check("no key with '" + ttl + "'", !run.store().Exists(call.keys[5]));
  }
}

void CreationChecksItsArguments(Run& run) {
  const std::string bad = "0 invalid_input ";
  const std::string whole = " must be a whole number of 64 bits, got: ";
  std::vector<std::pair<RawCreateOptions, std::string>> rows = {
      {{.priority = "abc"}, "priority must be a number, got: abc"},
      {{.priority = "nan"}, "priority must be a number, got: nan"},
      {{.delay = "x"}, "delay_until must be a number, got: x"},
      {{.deadline = "x"}, "execution_deadline_at must be a number, got: x"},
      {{.dedup_ttl = "1.5", .idempotency = run.Name("key")},
       "dedup_ttl_ms must be a whole number up to 50000000000000, got: 1.5"}};
  for (const std::string text : {"1e300", "inf", "-inf", "nan", "1.5"}) {
    rows.push_back({{.delay = text}, "delay_until" + whole + text});
    rows.push_back({{.deadline = text}, "execution_deadline_at" + whole + text});
  }
  // The reference accepts every row but the first, or fails on it after its first write. These
  // differences are on purpose; functions/README.md lists them.
  if (run.engine().library() == "flowfabric") rows.erase(rows.begin() + 1, rows.end());
  Execution& e = run.New();
  for (const auto& [options, detail] : rows) {
    Expect(run, detail, bad + detail, "ff_create_execution", RawCreate(e, options));
    run.CheckStored(e);
  }
}

void DeadlinesReachAsFarAsATime(Run& run) {
  Execution& e = run.New();
  Expect(run, "create", "1 OK " + e.expected.id + " waiting", "ff_create_execution",
         RawCreate(e, {.deadline = "9223372036854775807"}));
  const auto score = run.store().Score(e.expected.IndexKey("execution_deadline"), e.expected.id);
  run.Check("the deadline is in its index", score && *score == 9223372036854775808.0);
}

std::string Needs(const std::string& tokens) {
  return "{\"routing_requirements\":{\"required_capabilities\":[" + tokens + "]}}";
}

void PoliciesThatAreRefused(Run& run) {
  std::string many;
  for (int i = 0; i < 257; ++i) many += (i == 0 ? "\"c" : ",\"c") + std::to_string(i) + "\"";
  std::string large = "\"d\"";
  for (const char c : {'a', 'b', 'c'}) large += ",\"" + std::string(1365, c) + "\"";
  const std::pair<std::string, std::string> kRows[] = {
      {"{", "0 invalid_policy_json malformed"},
      {"{\"routing_requirements\":5}", "0 invalid_policy_json routing_requirements:not_object"},
      {"{\"routing_requirements\":null}", "0 invalid_policy_json routing_requirements:not_object"},
      {"{\"routing_requirements\":{\"required_capabilities\":\"gpu\"}}",
       "0 invalid_capabilities required:not_array"},
      {Needs("7"), "0 invalid_capabilities required:non_string_token"},
      {Needs("\"a\",null"), "0 invalid_capabilities required:non_string_token"},
      {Needs("\"\""), "0 invalid_capabilities required:empty_token"},
      {Needs("\"a,b\""), "0 invalid_capabilities required:comma_in_token"},
      {Needs("\"a b\""), "0 invalid_capabilities required:control_or_whitespace"},
      {Needs("\"a\\u0000\""), "0 invalid_capabilities required:control_or_whitespace"},
      {Needs("\"a\\u007f\""), "0 invalid_capabilities required:control_or_whitespace"},
      {Needs(many), "0 invalid_capabilities required:too_many_tokens"},
      {Needs(large), "0 invalid_capabilities required:too_many_bytes"}};
  Execution& e = run.New();
  for (const auto& [policy, answer] : kRows) {
    Expect(run, "policy " + policy.substr(0, 60), answer, "ff_create_execution",
           RawCreate(e, {.policy = policy}));
    run.CheckStored(e);
  }
}

void PoliciesThatAreTaken(Run& run) {
  std::string many;
  std::string kept;
  for (int i = 100; i < 356; ++i) {
    many += (many.empty() ? "\"c" : ",\"c") + std::to_string(i) + "\"";
    kept += (kept.empty() ? "c" : ",c") + std::to_string(i);
  }
  // Together these three texts have as many bytes as are allowed, commas included.
  const std::string a(1365, 'a');
  const std::string b(1365, 'b');
  const std::string c(1364, 'c');
  const std::pair<std::string, std::string> kRows[] = {
      {Needs("\"gpu\",\"cuda\""), "cuda,gpu"},
      {"[]", ""},
      {"{\"routing_requirements\":{}}", ""},
      {Needs(""), ""},
      {Needs("\"\xE6\x9D\xB1\""), "\xE6\x9D\xB1"},
      {Needs("\"" + a + "\",\"" + b + "\",\"" + c + "\""), a + "," + b + "," + c},
      {Needs(many), kept}};
  for (const auto& [policy, required] : kRows) {
    Execution& e = run.New();
    Expect(run, "policy " + policy.substr(0, 60), "1 OK " + e.expected.id + " waiting",
           "ff_create_execution", RawCreate(e, {.policy = policy}));
    run.CheckEqual("required", required,
                   run.store().Hash(e.expected.ExecutionKey("core"))["required_capabilities"]);
  }
}

void TagsAreKeptAsTexts(Run& run) {
  Execution& e = run.New();
  Expect(run, "create", "1 OK " + e.expected.id + " waiting", "ff_create_execution",
         RawCreate(e, {.tags = R"({"team":"x","n":3,"yes":true,"o":{"p":[1,"a"]},"l":[]})"}));
  Fields tags = run.store().Hash(e.expected.ExecutionKey("tags"));
  for (const auto& [name, text] : Fields{{"team", "x"}, {"n", "3"}, {"yes", "true"}}) {
    run.CheckEqual("tag " + name, text, tags[name]);
  }
  // A value that contains other values is stored as its JSON; an empty list and an empty object are
  // the same.
  run.CheckEqual("an object", "{\"p\":[1,\"a\"]}", tags["o"]);
  run.CheckEqual("an empty list", "{}", tags["l"]);
  Execution& without = run.New();
  Expect(run, "malformed", "1 OK " + without.expected.id + " waiting", "ff_create_execution",
         RawCreate(without, {.tags = "{"}));
  run.Check("no tags", !run.store().Exists(without.expected.ExecutionKey("tags")));
}

// ---- grants and claims -----------------------------------------------------------

void MoreTtlsThanALibraryRemembers(Run& run) {
  Execution& e = run.New();
  for (int ttl = 100'001; ttl <= 101'101; ++ttl) {
    const std::string answer =
        Call(run, "ff_issue_claim_grant", RawIssue(run, e, std::to_string(ttl)));
    if (answer != "0 execution_not_found") {
      return run.CheckEqual("ttl " + std::to_string(ttl), "0 execution_not_found", answer);
    }
  }
  Execution& granted = run.Create();
  const std::int64_t before = run.engine().Now();
  const RawCall odd = RawIssue(run, granted, "x");
  run.CheckEqual("x", "0 invalid_input",
                 FirstTexts(run.store().Call("ff_issue_claim_grant", odd.keys, odd.args)));
  Expect(run, "one of them again", "1 OK " + granted.expected.id, "ff_issue_claim_grant",
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
  for (const Row& row : kRows) {
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
    Expect(run, "issue", "1 OK " + e.expected.id, "ff_issue_claim_grant", RawIssue(run, e));
    const RawCall claim = RawClaim(run, e, {.attempt = 5});
    const RawStore::Answer answer = run.store().Call("ff_claim_execution", claim.keys, claim.args);
    run.CheckEqual("answer", "8", std::to_string(answer.texts.size()));
    if (answer.texts.size() != 8) continue;
    run.CheckEqual("epoch", "9", answer.texts[3]);
    run.CheckEqual("attempt index", "5", answer.texts[6]);
    run.CheckEqual("kind", row.kind, answer.texts[7]);
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
  }
}

void AnAttemptKeepsItsPolicyAndTimes(Run& run) {
  Execution& e = run.Create();
  Expect(run, "issue", "1 OK " + e.expected.id, "ff_issue_claim_grant", RawIssue(run, e));
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

// The caller says when the lease is to be renewed, and the lease's hash repeats it (contract 7.2).
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

// No text and "0" both say that an attempt has no time limit, by each call that claims.
void AnAttemptWithoutTimeoutIsInNoIndex(Run& run) {
  for (const std::string timeout : {"", "0", "7000"}) {
    const auto check = [&](const char* what, const Execution& e) {
      const bool indexed =
          run.store().Score(e.expected.IndexKey("attempt_timeout"), e.expected.id).has_value();
      run.CheckEqual(std::string(what) + " with '" + timeout + "'",
                     timeout == "7000" ? "indexed" : "not indexed",
                     indexed ? "indexed" : "not indexed");
    };
    Execution& claimed = run.Create();
    run.Issue(claimed);
    RawCall call = RawClaim(run, claimed, {.timeout = timeout});
    run.CheckEqual("claim", "1 OK",
                   FirstTexts(run.store().Call("ff_claim_execution", call.keys, call.args)));
    check("claim", claimed);
    Execution& resumed = run.Interrupted();
    run.Issue(resumed);
    call = RawClaimResumed(run, resumed, timeout);
    run.CheckEqual(
        "claim resumed", "1 OK",
        FirstTexts(run.store().Call("ff_claim_resumed_execution", call.keys, call.args)));
    check("claim resumed", resumed);
    Execution& fused = run.Create();
    call = RawFusedClaim(run, fused, timeout);
    run.CheckEqual("issue and claim", "1 OK",
                   FirstTexts(run.store().Call("ff_issue_grant_and_claim", call.keys, call.args)));
    check("issue and claim", fused);
  }
}

// An execution may be gone although an index still has it.
void MarkingWhatIsGoneCleansTheIndex(Run& run) {
  Execution& e = run.Leased(kShort);
  run.store().Delete(e.expected.ExecutionKey("core"));
  run.Pass(kShort + 1);
  Expect(run, "mark", "1 ALREADY_SATISFIED execution_not_found", "ff_mark_lease_expired_if_due",
         RawMarkExpired(e));
  run.Check("the index", !run.store().Score(e.expected.IndexKey("lease_expiry"), e.expected.id));
}

// A call that grants and claims at once is refused while there is a grant already.
void AFusedClaimLeavesTheGrantOfAnother(Run& run) {
  for (const bool resumed : {false, true}) {
    Execution& e = resumed ? run.Interrupted() : run.Create();
    run.Issue(e, {.worker = kWorker2});
    Expect(run, resumed ? "of a resumed one" : "of a new one", "0 grant_already_exists",
           "ff_issue_grant_and_claim", RawFusedClaim(run, e));
    run.CheckStored(e);
    if (!resumed) run.Claim(e, {.worker = kWorker2});
  }
}

// The limit is on tokens, however short they are: each counts, also if it repeats another.
void AWorkersTokensAreCounted(Run& run) {
  for (const auto& [count, taken] : testing::kCapabilityCountRows) {
    std::string offered = "a";
    while (offered.size() < 2 * count - 1) offered += ",a";
    Execution& e = run.Create();
    Expect(run, "issue with " + std::to_string(count) + " tokens",
           taken ? "1 OK " + e.expected.id : "0 invalid_capabilities worker:too_many_tokens",
           "ff_issue_claim_grant", RawIssue(run, e, kRawTtl, offered));
  }
}

// An execution keeps its deadline through its retries, until it fails for good.
void ADeadlineOutlivesARetry(Run& run) {
  Execution& e = run.Create();
  const auto deadline = [&] {
    return run.store().Score(e.expected.IndexKey("execution_deadline"), e.expected.id);
  };
  Expect(run, "issue", "1 OK " + e.expected.id, "ff_issue_claim_grant", RawIssue(run, e));
  const RawCall claim = RawClaim(run, e, {.deadline = "1999999999999"});
  run.CheckEqual("claim", "1 OK",
                 FirstTexts(run.store().Call("ff_claim_execution", claim.keys, claim.args)));
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
  Expect(run, "issue again", "1 OK " + e.expected.id, "ff_issue_claim_grant", RawIssue(run, e));
  const RawCall again = RawClaim(run, e, {.attempt = 1});
  run.CheckEqual("claim again", "1 OK",
                 FirstTexts(run.store().Call("ff_claim_execution", again.keys, again.args)));
  run.Check("so has its attempt", deadline() == 1999999999999.0);
  Expect(run, "fail for good", "1 OK terminal_failed", "ff_fail_execution",
         RawFail(run, e, 1, "2", ""));
  run.Check("then it is gone", !deadline());
}

// The index may have an execution that is not eligible, and may lack one that will be.
void AFusedClaimNeedsAnEligibleExecution(Run& run) {
  Execution& e = run.Create();
  const std::string core = e.expected.ExecutionKey("core");
  run.store().SetField(core, "eligibility_state", "not_eligible_until_time");
  Expect(run, "in the index", "0 execution_not_eligible", "ff_issue_grant_and_claim",
         RawFusedClaim(run, e));
  run.store().SetField(core, "eligibility_state", "eligible_now");
  run.CheckStored(e);
  run.Issue(e);
  Execution& delayed = run.Create({.delay_until = TimestampMs{run.engine().Now() + kLong}});
  Expect(run, "delayed", "0 execution_not_in_eligible_set", "ff_issue_grant_and_claim",
         RawFusedClaim(run, delayed));
  run.CheckStored(delayed);
}

// Fails the attempt of the last lease.
RawCall RawFailLast(Run& run, const Execution& e, const std::string& retry_policy) {
  RawCall call = RawFail(run, e, 0, "1", retry_policy);
  call.args[1] = testing::UuidText(e.fence.lease_id->uuid);
  call.args[3] = testing::UuidText(e.fence.attempt_id->uuid);
  return call;
}

// A policy may leave out each of its members (core/contract/live-observed.md, 2).
void ARetryPolicyHasDefaults(Run& run) {
  const struct {
    std::string backoff;
    std::string retries;  // made so far
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

// What can't be followed is refused before the attempt is ended.
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
  // The reference faults, or stores such a time. functions/README.md lists this difference.
  if (run.engine().library() != "flowfabric") {
    for (const auto& [policy, why] : kRefused) {
      Expect(run, policy, "0 invalid_input retry_policy_json: " + why, "ff_fail_execution",
             RawFailLast(run, e, policy));
      run.CheckStored(e);
    }
  }
}

// ---- streams ---------------------------------------------------------------------

void AnOpenStreamIsClosedOnce(Run& run) {
  Execution& e = run.Leased(kShort);
  const std::string stream = "ff:stream:" + RawTag(e) + ":" + e.expected.id + ":0:meta";
  const std::string core = e.expected.ExecutionKey("core");
  run.store().SetField(stream, "x", "y");
  run.Pass(kShort + 1);
  Expect(run, "mark", "1 OK marked_expired", "ff_mark_lease_expired_if_due", RawMarkExpired(e));
  run.CheckEqual("closed", "lease_expired", run.store().Hash(stream)["closed_reason"]);
  run.store().SetField(core, "ownership_state", "leased");
  run.store().SetField(stream, "closed_reason", "kept");
  Expect(run, "mark again", "1 OK marked_expired", "ff_mark_lease_expired_if_due",
         RawMarkExpired(e));
  run.CheckEqual("stays closed", "kept", run.store().Hash(stream)["closed_reason"]);
  run.store().Delete(stream);
}

// The end of an attempt closes the attempt's stream, if there is one, and makes none.
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

// ---- secrets and tokens ----------------------------------------------------------

// Returns a key of this run: on a real server a partition's own secret may belong to somebody else.
std::string SecretsKey(Run& run, const Execution& e) {
  return "ff:sec:" + RawTag(e) + ":" + run.Name("hmac");
}
RawCall RawRotate(Run& run, const Execution& e, const std::string& kid, const std::string& secret,
                  const std::string& grace = "1000") {
  return {{SecretsKey(run, e)}, {kid, secret, grace}};
}

void SecretsRotate(Run& run) {
  Execution& e = run.New();
  const auto rotate = [&](const std::string& expected, const RawCall& call) {
    Expect(run, "rotate " + call.args[0] + " " + call.args[1], expected,
           "ff_rotate_waitpoint_hmac_secret", call);
  };
  const std::string key = SecretsKey(run, e);
  run.CheckEqual("rotate", "1 OK",
                 FirstTexts(run.store().Call("ff_rotate_waitpoint_hmac_secret", {key},
                                             {"k1", "00ff", "1000"})));
  rotate("1 OK noop k1", RawRotate(run, e, "k1", "00ff"));
  rotate("0 rotation_conflict k1", RawRotate(run, e, "k1", "aa"));
  for (const auto& [call, code] : std::initializer_list<std::pair<RawCall, const char*>>{
           {RawRotate(run, e, "", "aa"), "invalid_kid"},
           {RawRotate(run, e, "a:b", "aa"), "invalid_kid"},
           {RawRotate(run, e, "k2", "abc"), "invalid_secret_hex"},
           {RawRotate(run, e, "k2", "xx"), "invalid_secret_hex"},
           {RawRotate(run, e, "k2", "bb", "-1"), "invalid_grace_ms"},
           {RawRotate(run, e, "k2", "bb", "1.5"), "invalid_grace_ms"}}) {
    rotate("0 " + std::string(code), call);
  }
  rotate("1 OK rotated k1 k2 0", RawRotate(run, e, "k2", "bb", "1"));
  run.CheckEqual("the old one is good for a while", "00ff", run.store().Hash(key)["secret:k1"]);
  run.Pass(10);
  rotate("1 OK rotated k2 k3 1", RawRotate(run, e, "k3", "cc"));
  run.Check("then it goes", run.store().Hash(key).count("secret:k1") == 0);
  run.store().Delete(key);

  // A key id whose time is over may come back.
  run.CheckEqual("rotate", "1 OK",
                 FirstTexts(run.store().Call("ff_rotate_waitpoint_hmac_secret", {key},
                                             {"k1", "00ff", "1000"})));
  rotate("1 OK rotated k1 k2 0", RawRotate(run, e, "k2", "bb", "1"));
  run.Pass(10);
  run.CheckEqual("back", "1 OK rotated k2", [&] {
    const RawCall call = RawRotate(run, e, "k1", "00ff");
    RawStore::Answer answer =
        run.store().Call("ff_rotate_waitpoint_hmac_secret", call.keys, call.args);
    if (answer.texts.size() > 4) answer.texts.resize(4);
    return AllTexts(answer);
  }());
  run.CheckEqual("the secret is there", "00ff", run.store().Hash(key)["secret:k1"]);
  run.store().Delete(key);
}

std::string BytesOfHex(std::string_view hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  }
  return bytes;
}
std::string Sha1(std::string_view text) {
  const std::array<char, 40> hex = valkey::testing::Sha1Hex(text);
  return {hex.data(), hex.size()};
}
// Computes the HMAC of RFC 2104.
std::string HmacSha1(std::string key, const std::string& message) {
  if (key.size() > 64) key = BytesOfHex(Sha1(key));
  key.resize(64, '\0');
  std::string inner = key;
  std::string outer = key;
  for (char& c : inner) c = static_cast<char>(c ^ 0x36);
  for (char& c : outer) c = static_cast<char>(c ^ 0x5c);
  return Sha1(outer + BytesOfHex(Sha1(inner + message)));
}

std::string UuidOf(const Uuid& uuid) { return testing::UuidText(uuid); }

RawCall RawSuspend(Run& run, const Execution& e, const std::string& waitpoint,
                   const std::string& condition = R"({"required_signal_names":["go"]})") {
  const Expected& x = e.expected;
  const std::string wp = "ff:wp:" + RawTag(e) + ":" + waitpoint;
  const Worker worker = run.Named(kWorker1);
  return {
      {x.ExecutionKey("core"), x.AttemptKey(0), x.ExecutionKey("lease:current"),
       x.ExecutionKey("lease:history"), x.IndexKey("lease_expiry"),
       x.WorkerLeasesKey(worker.instance), x.ExecutionKey("suspension:current"), wp,
       wp + ":signals", x.IndexKey("suspension_timeout"), x.IndexKey("pending_waitpoint_expiry"),
       x.LaneKey("active"), x.LaneKey("suspended"), x.ExecutionKey("waitpoints"), wp + ":condition",
       x.IndexKey("attempt_timeout"), SecretsKey(run, e), "ff:noop:" + RawTag(e)},
      {x.id,
       "0",
       UuidOf(e.fence.attempt_id->uuid),
       UuidOf(e.fence.lease_id->uuid),
       "1",
       "susp-1",
       waitpoint,
       "key-1",
       "waiting_for_signal",
       "worker",
       "",
       condition,
       "{}",
       "",
       "",
       "fail",
       "1000",
       "",
       "0",
       "0"}};
}

// The token is an HMAC of the waitpoint, for every length of the secret.
void ATokenIsAnHmacOfTheWaitpoint(Run& run) {
  std::string longest;
  for (int i = 0; i < 100; ++i) longest += "cd";
  std::string block;
  for (int i = 0; i < 64; ++i) block += "ab";
  for (const std::string& secret : {std::string("00ff"), block, longest}) {
    Execution& e = run.Leased();
    const RawCall rotate = RawRotate(run, e, "kid", secret);
    run.CheckEqual(
        "rotate", "1 OK",
        FirstTexts(run.store().Call("ff_rotate_waitpoint_hmac_secret", rotate.keys, rotate.args)));
    const std::string waitpoint = run.Name("wp");
    const RawCall call = RawSuspend(run, e, waitpoint);
    const RawStore::Answer answer = run.store().Call("ff_suspend_execution", call.keys, call.args);
    const std::string created = run.store().Hash(call.keys[7])["created_at"];
    const std::string token =
        "kid:" + HmacSha1(BytesOfHex(secret), waitpoint + "|key-1|" + created);
    run.CheckEqual("suspend", "1 OK susp-1 " + waitpoint + " key-1 " + token + " 0",
                   AllTexts(answer));
    run.CheckEqual("the waitpoint keeps it", token,
                   run.store().Hash(call.keys[7])["waitpoint_token"]);
    run.store().Delete(SecretsKey(run, e));
    for (const std::size_t key : {7u, 8u, 14u}) run.store().Delete(call.keys[key]);
  }
}

// The reason of a suspension becomes what the execution is blocked by.
void AReasonIsWhatBlocks(Run& run) {
  const std::pair<std::string, std::string> kRows[] = {
      {"waiting_for_signal", "waiting_for_signal"},
      {"waiting_for_approval", "waiting_for_approval"},
      {"waiting_for_callback", "waiting_for_callback"},
      {"waiting_for_tool_result", "waiting_for_tool_result"},
      {"waiting_for_operator_review", "paused_by_operator"},
      {"paused_by_policy", "paused_by_policy"},
      {"paused_by_budget", "waiting_for_budget"},
      {"step_boundary", "waiting_for_signal"},
      {"manual_pause", "paused_by_operator"},
      {"unheard of", "waiting_for_signal"}};
  for (const auto& [reason, blocking] : kRows) {
    Execution& e = run.Leased();
    const RawCall rotate = RawRotate(run, e, "kid", "00ff");
    run.CheckEqual(
        "rotate", "1 OK",
        FirstTexts(run.store().Call("ff_rotate_waitpoint_hmac_secret", rotate.keys, rotate.args)));
    RawCall call = RawSuspend(run, e, run.Name("wp"));
    call.args[8] = reason;
    const RawStore::Answer answer = run.store().Call("ff_suspend_execution", call.keys, call.args);
    run.CheckEqual("suspend: " + reason, "1 OK", FirstTexts(answer));
    run.CheckEqual("blocked: " + reason, blocking,
                   run.store().Hash(e.expected.ExecutionKey("core"))["blocking_reason"]);
    run.store().Delete(SecretsKey(run, e));
    for (const std::size_t key : {7u, 8u, 14u}) run.store().Delete(call.keys[key]);
  }
}

// A condition names a list of at most 100 signals.
void AConditionHasALimit(Run& run) {
  const auto named = [](int count) {
    std::string names;
    for (int i = 0; i < count; ++i) names += (i == 0 ? "\"s" : ",\"s") + std::to_string(i) + "\"";
    return "{\"required_signal_names\":[" + names + "]}";
  };
  Execution& e = run.Leased();
  const RawCall rotate = RawRotate(run, e, "kid", "00ff");
  run.CheckEqual(
      "rotate", "1 OK",
      FirstTexts(run.store().Call("ff_rotate_waitpoint_hmac_secret", rotate.keys, rotate.args)));
  // The reference has no limit. functions/README.md lists this difference.
  if (run.engine().library() != "flowfabric") {
    Expect(run, "101", "0 invalid_input resume_condition_json: more than 100 required_signal_names",
           "ff_suspend_execution", RawSuspend(run, e, run.Name("wp"), named(101)));
    run.CheckStored(e);
    for (const std::string names : {"7", "\"go\"", "true"}) {
      Expect(run, names, "0 invalid_input resume_condition_json: required_signal_names is no list",
             "ff_suspend_execution",
             RawSuspend(run, e, run.Name("wp"), "{\"required_signal_names\":" + names + "}"));
      run.CheckStored(e);
    }
  }
  const RawCall call = RawSuspend(run, e, run.Name("wp"), named(100));
  run.CheckEqual("100", "1 OK",
                 FirstTexts(run.store().Call("ff_suspend_execution", call.keys, call.args)));
  const Fields condition = run.store().Hash(call.keys[14]);
  run.CheckEqual("matchers", "100", condition.at("total_matchers"));
  run.CheckEqual("the last", "s99", condition.at("matcher:99:name"));
  run.store().Delete(SecretsKey(run, e));
  for (const std::size_t key : {7u, 8u, 14u}) run.store().Delete(call.keys[key]);
}

// An execution whose suspension is closed, or is none, can't be resumed.
void AResumeNeedsAnOpenSuspension(Run& run) {
  Execution& e = run.Leased();
  run.Suspend(e);
  const std::string key = e.expected.ExecutionKey("suspension:current");
  const Fields record = run.store().Hash(key);
  run.store().SetField(key, "closed_at", "1");
  run.Resume(e, 0, ClaimError::kExecutionNotSuspended);
  run.store().SetField(key, "closed_at", "");
  run.store().SetField(key, "suspension_id", "");
  run.Resume(e, 0, ClaimError::kExecutionNotSuspended);
  run.store().SetField(key, "suspension_id", record.at("suspension_id"));
  run.Resume(e);
}

void SuspendingNeedsASecret(Run& run) {
  Execution& e = run.Leased();
  const RawCall call = RawSuspend(run, e, run.Name("wp"));
  Expect(run, "without one", "0 hmac_secret_not_initialized", "ff_suspend_execution", call);
  run.CheckStored(e);
  run.store().SetField(e.expected.ExecutionKey("suspension:current"), "closed_at", "");
  Expect(run, "with an open suspension", "0 already_suspended", "ff_suspend_execution", call);
  run.store().Delete(e.expected.ExecutionKey("suspension:current"));
  run.CheckStored(e);
}

// A client may know an old index of the attempt besides an old fence. The fence decides first, so
// the former owner learns that its lease is stale (contract 7.7, 7).
void ASuspensionComparesTheFenceBeforeTheIndex(Run& run) {
  Execution& e = run.RevokedOne();
  const RawCall of_before = RawSuspend(run, e, run.Name("wp"));
  run.IssueReclaim(e, {.worker = kWorker1});
  run.Reclaim(e, {.worker = kWorker1});
  RawCall current = RawSuspend(run, e, run.Name("wp"));
  current.args[1] = std::to_string(e.attempt_index.value);
  current.args[4] = std::to_string(e.fence.lease_epoch->value);
  const auto expect = [&](const std::string& what, const std::string& code, const RawCall& call) {
    Expect(run, what, "0 " + code, "ff_suspend_execution", call);
    run.CheckStored(e);
  };
  expect("with all of before", "stale_lease", of_before);
  for (const std::size_t part : {2u, 3u, 4u}) {
    for (const std::string index : {"0", "1", "2", ""}) {
      RawCall call = current;
      call.args[1] = index;
      call.args[part] = of_before.args[part];
      expect("with part " + std::to_string(part) + " of before, index '" + index + "'",
             "stale_lease", call);
    }
  }
  for (const std::string index : {"0", "2", "01", ""}) {
    RawCall call = current;
    call.args[1] = index;
    expect("with index '" + index + "'", "invalid_lease_for_suspend", call);
  }
}

void ASuspensionKeepsNothingOfTheOneBefore(Run& run) {
  Execution& e = run.Interrupted();
  run.Issue(e);
  run.ClaimResumed(e);
  const std::string key = e.expected.ExecutionKey("suspension:current");
  run.store().SetField(key, "of_another_version", "1");
  run.Suspend(e);
  const Fields record = run.store().Hash(key);
  run.CheckEqual("closed_at", "", record.at("closed_at"));
  run.Check("a field of the one before is gone", record.count("of_another_version") == 0);
}

// A suspension may list further waitpoints. A resume closes those that are there, and leaves out
// what names none.
void AResumeClosesTheFurtherWaitpoints(Run& run) {
  const auto waitpoint = [](const Execution& e, const std::string& name) {
    return "ff:wp:" + RawTag(e) + ":" + name;
  };
  Execution& e = run.Leased();
  run.Suspend(e);
  const std::string both = run.Name("both"), bare = run.Name("bare"), absent = run.Name("absent");
  const std::vector<std::string> open = {both, bare, "", "7", "text"};
  for (const std::string& name : open) {
    run.store().SetField(waitpoint(e, name), "state", "active");
    if (name != bare) run.store().SetField(waitpoint(e, name) + ":condition", "closed", "0");
  }
  run.store().SetField(e.expected.ExecutionKey("suspension:current"), "additional_waitpoints_json",
                       R"(["text",{"waitpoint_id":""},{"waitpoint_id":7},{"other":"text"},)"
                       R"({"waitpoint_id":")" +
                           absent + R"("},{"waitpoint_id":")" + both + R"("},{"waitpoint_id":")" +
                           bare + R"("}])");
  run.Resume(e);
  const std::string now = run.store().Hash(e.expected.ExecutionKey("core")).at("last_mutation_at");
  const Fields closed = {
      {"state", "closed"}, {"satisfied_at", now}, {"closed_at", now}, {"close_reason", "resumed"}};
  for (const std::string& name : {both, bare}) {
    run.Check(name + " is closed", run.store().Hash(waitpoint(e, name)) == closed);
  }
  run.Check("the condition is closed",
            run.store().Hash(waitpoint(e, both) + ":condition") ==
                Fields{{"closed", "1"}, {"closed_at", now}, {"closed_reason", "resumed"}});
  run.Check("there is no condition where there was none",
            !run.store().Exists(waitpoint(e, bare) + ":condition"));
  run.Check("no waitpoint is made", !run.store().Exists(waitpoint(e, absent)) &&
                                        !run.store().Exists(waitpoint(e, absent) + ":condition"));
  for (const std::string name : {"", "7", "text"}) {
    run.Check("'" + name + "' is left alone",
              run.store().Hash(waitpoint(e, name)) == Fields{{"state", "active"}} &&
                  run.store().Hash(waitpoint(e, name) + ":condition") == Fields{{"closed", "0"}});
  }
  for (const std::string& name : open) {
    run.store().Delete(waitpoint(e, name));
    run.store().Delete(waitpoint(e, name) + ":condition");
  }
}

// A list that is none hinders no resume.
void AResumeTakesAnyListOfWaitpoints(Run& run) {
  for (const std::string list :
       {"", "[]", "{", "7", "null", "\"text\"", "{\"a\":1}", "[7,[],{}]"}) {
    Execution& e = run.Leased();
    run.Suspend(e);
    run.store().SetField(e.expected.ExecutionKey("suspension:current"),
                         "additional_waitpoints_json", list);
    run.Resume(e);
  }
}

}  // namespace

void AddFunctionRecordScenarios(std::vector<Scenario>& to) {
  const auto add = [&to](std::string_view section, const char* name, void (*body)(Run&)) {
    to.push_back({section, name, body, kStoredKeys});
  };
  add("F2", "create_gives_who_took_an_idempotency_key", AnIdempotencyKeyGivesWhoTookIt);
  add("F2", "create_remembers_a_key_for_a_time", AnIdempotencyKeyNeedsATime);
  add("F2", "create_checks_its_arguments", CreationChecksItsArguments);
  add("F2", "create_deadlines_as_far_as_a_time_reaches", DeadlinesReachAsFarAsATime);
  add("F2", "create_refuses_policies", PoliciesThatAreRefused);
  add("F2", "create_takes_policies", PoliciesThatAreTaken);
  add("F2", "create_keeps_tags_as_texts", TagsAreKeptAsTexts);
  add("F2", "issue_with_more_ttls_than_a_library_remembers", MoreTtlsThanALibraryRemembers);
  add("F3", "retries_and_replays_have_their_lineage", RetriesAndReplaysHaveTheirLineage);
  add("F3", "an_attempt_keeps_its_policy_and_times", AnAttemptKeepsItsPolicyAndTimes);
  add("F3", "the_renewal_deadline_is_the_callers", TheRenewalDeadlineIsTheCallers);
  add("F3", "an_attempt_without_timeout_is_in_no_index", AnAttemptWithoutTimeoutIsInNoIndex);
  add("F2", "a_workers_tokens_are_counted", AWorkersTokensAreCounted);
  add("F3", "a_deadline_outlives_a_retry", ADeadlineOutlivesARetry);
  add("F3", "marking_what_is_gone_cleans_the_index", MarkingWhatIsGoneCleansTheIndex);
  add("F3", "a_fused_claim_leaves_the_grant_of_another", AFusedClaimLeavesTheGrantOfAnother);
  add("F3", "a_fused_claim_needs_an_eligible_execution", AFusedClaimNeedsAnEligibleExecution);
  add("F3", "a_failure_checks_its_retry_policy", AFailureChecksItsRetryPolicy);
  add("F3", "a_retry_policy_has_defaults", ARetryPolicyHasDefaults);
  add("F3", "a_reason_is_what_blocks", AReasonIsWhatBlocks);
  add("F3", "a_condition_has_a_limit", AConditionHasALimit);
  add("F3", "a_resume_needs_an_open_suspension", AResumeNeedsAnOpenSuspension);
  add("F3", "an_open_stream_is_closed_once", AnOpenStreamIsClosedOnce);
  add("F3", "the_end_of_an_attempt_closes_its_stream", TheEndOfAnAttemptClosesItsStream);
  add("F4", "waitpoint_secrets_rotate", SecretsRotate);
  add("F4", "a_token_is_an_hmac_of_the_waitpoint", ATokenIsAnHmacOfTheWaitpoint);
  add("F4", "suspending_needs_a_secret", SuspendingNeedsASecret);
  add("F4", "suspend_compares_the_fence_before_the_index",
      ASuspensionComparesTheFenceBeforeTheIndex);
  add("F4", "a_resume_closes_the_further_waitpoints", AResumeClosesTheFurtherWaitpoints);
  add("F4", "a_resume_takes_any_list_of_waitpoints", AResumeTakesAnyListOfWaitpoints);
  add("F4", "a_suspension_keeps_nothing_of_the_one_before", ASuspensionKeepsNothingOfTheOneBefore);
}

}  // namespace ffgrant::claims_conformance
