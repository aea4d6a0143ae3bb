// SPDX-License-Identifier: Apache-2.0
//
// Tests which fields calls write, and with which texts: every field of the core hash that a call
// has to write first gets a text that no call writes, and each argument has a text of its own.

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "testing/scenarios/cases/raw_calls.h"
#include "testing/scenarios/run.h"
#include "testing/scenarios/scenario.h"

namespace ffgrant::claims_conformance {
namespace {

constexpr const char* kStale = "stale";
// These fields decide which keys a call writes, or which text a field gets, and any text will do
// for that.
const std::set<std::string> kRead = {"current_attempt_id", "current_worker_instance_id",
                                     "started_at", "total_attempt_count"};

Execution& WithRetries(Run& run) {
  return run.Create(
      {.retry =
           RetryPolicy{.max_retries = 1, .backoff = RetryPolicy::Backoff::kFixed, .delay_ms = 0}});
}

// Has failed, and will be retried once it is promoted.
Execution& Failed(Run& run) {
  Execution& e = WithRetries(run);
  run.Issue(e);
  run.Claim(e);
  run.Fail(e, {.retried_after_ms = 0});
  return e;
}

Execution& Retried(Run& run) {
  Execution& e = Failed(run);
  run.Promote(e);
  return e;
}

// Grants and claims in one call, which the ledgers do not have.
void FusedClaim(Run& run, Execution& e) {
  const RawCall call = RawFusedClaim(run, e);
  const bool resumed = e.expected.Field("attempt_state") == "attempt_interrupted";
  const std::int64_t before = run.engine().Now();
  const std::string answer =
      FirstTexts(run.store().Call("ff_issue_grant_and_claim", call.keys, call.args));
  const Moment at{before, run.engine().Now()};
  if (answer != "1 OK") throw WentAstray();
  const NewLease lease = {run.Named(kWorker1), e.expected.lane, kRawLease, kRawAttempt, kLong};
  if (resumed) {
    e.expected.ClaimedResumed(at, lease);
    e.expected.history.back().insert_or_assign("reason", "issue_grant_and_claim_resumed");
  } else {
    e.expected.Claimed(at, lease);
    e.expected.history.back().insert_or_assign("reason", "issue_grant_and_claim");
  }
  run.CheckStored(e);
}

struct Step {
  const char* name;
  std::function<Execution&(Run&)> prepare;
  std::function<void(Run&, Execution&)> call;
  std::set<std::string> read = {};  // more such fields of this call
};

const std::array<Step, 20>& Steps() {
  static const std::array<Step, 20> kSteps = {{
      {"claim",
       [](Run& run) -> Execution& {
         Execution& e = run.Create();
         run.Issue(e);
         return e;
       },
       [](Run& run, Execution& e) { run.Claim(e); }},
      {"claim of a retry",
       [](Run& run) -> Execution& {
         Execution& e = Retried(run);
         run.Issue(e);
         return e;
       },
       [](Run& run, Execution& e) { run.Claim(e); }},
      {"claim resumed",
       [](Run& run) -> Execution& {
         Execution& e = run.Interrupted();
         run.Issue(e);
         return e;
       },
       [](Run& run, Execution& e) { run.ClaimResumed(e); }},
      {"fused claim", [](Run& run) -> Execution& { return run.Create(); }, FusedClaim},
      {"fused claim of a retry", Retried, FusedClaim},
      {"fused claim resumed", [](Run& run) -> Execution& { return run.Interrupted(); }, FusedClaim},
      {"renew", [](Run& run) -> Execution& { return run.Leased(); },
       [](Run& run, Execution& e) { run.Renew(e); }},
      {"mark expired",
       [](Run& run) -> Execution& {
         Execution& e = run.Leased(kShort);
         run.Pass(kShort + 1);
         return e;
       },
       [](Run& run, Execution& e) { run.MarkExpired(e); }},
      {"complete too late",
       [](Run& run) -> Execution& {
         Execution& e = run.Leased(kShort);
         run.Pass(kShort + 1);
         return e;
       },
       [](Run& run, Execution& e) { run.Complete(e, {}, ClaimError::kLeaseExpired); },
       {"ownership_state"}},
      {"revoke", [](Run& run) -> Execution& { return run.Leased(); },
       [](Run& run, Execution& e) { run.Revoke(e); }},
      {"reclaim after a revocation",
       [](Run& run) -> Execution& {
         Execution& e = run.RevokedOne();
         run.IssueReclaim(e);
         return e;
       },
       [](Run& run, Execution& e) { run.Reclaim(e); }},
      {"reclaim after an expiry",
       [](Run& run) -> Execution& {
         Execution& e = run.Expired();
         run.IssueReclaim(e);
         return e;
       },
       [](Run& run, Execution& e) { run.Reclaim(e); }},
      {"one reclaim too many", [](Run& run) -> Execution& { return run.RevokedOne(); },
       [](Run& run, Execution& e) {
         run.Reclaim(e, {.cap = 0}, {ClaimError::kMaxRetriesExhausted, {"0"}});
       }},
      {"suspend", [](Run& run) -> Execution& { return run.Leased(); },
       [](Run& run, Execution& e) { run.Suspend(e); }},
      {"resume",
       [](Run& run) -> Execution& {
         Execution& e = run.Leased();
         run.Suspend(e);
         return e;
       },
       [](Run& run, Execution& e) { run.Resume(e); }},
      {"delayed resume",
       [](Run& run) -> Execution& {
         Execution& e = run.Leased();
         run.Suspend(e);
         return e;
       },
       [](Run& run, Execution& e) { run.Resume(e, kLong); }},
      {"complete", [](Run& run) -> Execution& { return run.Leased(); },
       [](Run& run, Execution& e) { run.Complete(e); }},
      {"fail", [](Run& run) -> Execution& { return run.Leased(); },
       [](Run& run, Execution& e) { run.Fail(e); }},
      {"fail and retry",
       [](Run& run) -> Execution& {
         Execution& e = WithRetries(run);
         run.Issue(e);
         run.Claim(e);
         return e;
       },
       [](Run& run, Execution& e) { run.Fail(e, {.retried_after_ms = 0}); }},
      {"promote",
       Failed,
       [](Run& run, Execution& e) { run.Promote(e); },
       {"lifecycle_phase", "eligibility_state", "delay_until"}},
  }};
  return kSteps;
}

void EveryFieldIsWritten(Run& run) {
  const Step& step = Steps().at(run.argument());
  // The model says which fields the call has to write.
  Execution& sample = step.prepare(run);
  const Fields before = run.store().Hash(sample.expected.ExecutionKey("core"));
  sample.expected.written.clear();
  step.call(run, sample);
  const Fields after = run.store().Hash(sample.expected.ExecutionKey("core"));
  run.Check("it writes something", !sample.expected.written.empty());
  for (const std::string& field : sample.expected.written) {
    if (kRead.count(field) != 0 || step.read.count(field) != 0) continue;
    // Whether a field was written that gets another text, every scenario checks.
    if (before.count(field) == 0 || before.at(field) != after.at(field)) continue;
    Execution& e = step.prepare(run);
    run.store().SetField(e.expected.ExecutionKey("core"), field, kStale);
    e.expected.core.insert_or_assign(field, kStale);
    // A call that reads the field may refuse this text.
    (void)run.Try([&] { step.call(run, e); });
  }
}

// Takes fields away from a hash.
void Lose(Run& run, const std::string& key, const std::vector<std::string>& names) {
  Fields fields = run.store().Hash(key);
  for (const std::string& name : names) fields.erase(name);
  run.store().Delete(key);
  for (const auto& [name, text] : fields) run.store().SetField(key, name, text);
}

// Compares all fields of a hash but those that the test says nothing about ("?"), which only have
// to be there.
void CheckHash(Run& run, const std::string& key, const Fields& expected) {
  Fields stored = run.store().Hash(key);
  for (const auto& [name, text] : expected) {
    const auto found = stored.find(name);
    run.CheckEqual(name, text,
                   found == stored.end() ? "(absent)"
                   : text == "?"         ? "?"
                                         : found->second);
    stored.erase(name);
  }
  for (const auto& [name, text] : stored) run.CheckEqual(name, "(absent)", text);
}

// Each argument of a creation has a text of its own, so none can be taken for another.
void ACreationStoresWhatItWasGiven(Run& run) {
  Execution& e = run.New();
  RawCall call = RawCreate(e, {.priority = "7"});
  call.args[1] = "a namespace";
  call.args[3] = "a kind";
  call.args[5] = "a creator";
  call.args[7] = "a payload";
  call.args[12] = "77";
  ExpectRaw(run, "create", "1 OK " + e.expected.id + " waiting", "ff_create_execution", call);
  const std::map<std::string, std::string> texts = {
      {"execution_id", e.expected.id}, {"namespace", "a namespace"},
      {"lane_id", e.expected.lane},    {"current_lane", e.expected.lane},
      {"execution_kind", "a kind"},    {"creator_identity", "a creator"},
      {"partition_id", "77"},          {"priority", "7"}};
  const Fields stored = run.store().Hash(e.expected.ExecutionKey("core"));
  for (const auto& [name, text] : texts) {
    run.CheckEqual(name, text, stored.count(name) == 0 ? "(absent)" : stored.at(name));
  }
  for (const char* const rest : {"core", "payload", "policy", "tags"}) {
    run.store().Delete(e.expected.ExecutionKey(rest));
  }
  run.store().RemoveMember(e.expected.LaneKey("eligible"), e.expected.id);
}

void ASuspensionStoresWhatItWasGiven(Run& run) {
  Execution& e = run.Leased();
  InstallSecret(run, e);
  const std::string waitpoint = run.Name("wp");
  const std::string condition =
      R"({"condition_type":"a type","signal_match_mode":"all","minimum_signal_count":3,)"
      R"("required_signal_names":["go","stop"]})";
  RawCall call = RawSuspend(run, e, waitpoint, condition);
  call.args[5] = "a suspension";
  call.args[7] = "a key";
  call.args[8] = "waiting_for_approval";
  call.args[9] = "who asked";
  call.args[10] = "1999999999999";
  call.args[12] = R"({"a":"policy"})";
  call.args[13] = "a pointer";
  call.args[15] = "escalate";
  const RawStore::Answer answer = run.store().Call("ff_suspend_execution", call.keys, call.args);
  run.CheckEqual("suspend", "1 OK", FirstTexts(answer));
  const Fields core = run.store().Hash(e.expected.ExecutionKey("core"));
  run.CheckEqual("suspension", "a suspension", core.at("current_suspension_id"));
  run.CheckEqual("waitpoint", waitpoint, core.at("current_waitpoint_id"));
  const Fields attempt = run.store().Hash(e.expected.AttemptKey(0));
  run.CheckEqual("of the attempt", "a suspension", attempt.at("suspension_id"));
  CheckHash(run, call.keys[7],
            {{"waitpoint_id", waitpoint},
             {"execution_id", e.expected.id},
             {"attempt_index", "0"},
             {"suspension_id", "a suspension"},
             {"waitpoint_key", "a key"},
             {"waitpoint_token", answer.texts.size() > 5 ? answer.texts[5] : ""},
             {"state", "active"},
             {"created_at", "?"},
             {"activated_at", "?"},
             {"expires_at", "1999999999999"},
             {"signal_count", "0"},
             {"matched_signal_count", "0"},
             {"last_signal_at", ""}});
  CheckHash(run, call.keys[14],
            {{"condition_type", "a type"},
             {"match_mode", "all"},
             {"minimum_signal_count", "3"},
             {"total_matchers", "2"},
             {"satisfied_count", "0"},
             {"closed", "0"},
             {"updated_at", "?"},
             {"matcher:0:name", "go"},
             {"matcher:0:satisfied", "0"},
             {"matcher:0:signal_id", ""},
             {"matcher:1:name", "stop"},
             {"matcher:1:satisfied", "0"},
             {"matcher:1:signal_id", ""}});
  CheckHash(
      run, call.keys[6],
      {{"suspension_id", "a suspension"},
       {"execution_id", e.expected.id},
       {"attempt_index", "0"},
       {"waitpoint_id", waitpoint},
       {"waitpoint_key", "a key"},
       {"additional_waitpoints_json", "[]"},
       {"reason_code", "waiting_for_approval"},
       {"requested_by", "who asked"},
       {"created_at", "?"},
       {"timeout_at", "1999999999999"},
       {"timeout_behavior", "escalate"},
       {"resume_condition_json", condition},
       {"resume_policy_json", R"({"a":"policy"})"},
       {"continuation_metadata_pointer", "a pointer"},
       {"buffered_signal_summary_json", R"({"total_count":0,"matched_count":0,"signal_names":[]})"},
       {"last_signal_at", ""},
       {"satisfied_at", ""},
       {"closed_at", ""},
       {"close_reason", ""}});
  run.Check("in the list of waitpoints",
            run.store().Describe(call.keys[13]).find(waitpoint) != std::string::npos);
  for (const std::size_t key : {6, 7, 14, 13}) run.store().Delete(call.keys[key]);
  run.store().Delete(call.keys[16]);
  run.store().RemoveMember(call.keys[9], e.expected.id);
}

// The arguments after the first 13 may be missing, and a condition may say nothing.
void ASuspensionHasDefaults(Run& run) {
  Execution& e = run.Leased();
  InstallSecret(run, e);
  const std::string waitpoint = run.Name("wp");
  RawCall call = RawSuspend(run, e, waitpoint, "{}");
  call.args.resize(13);
  run.CheckEqual("suspend", "1 OK",
                 FirstTexts(run.store().Call("ff_suspend_execution", call.keys, call.args)));
  CheckHash(run, call.keys[14],
            {{"condition_type", "signal_set"},
             {"match_mode", "any"},
             {"minimum_signal_count", "1"},
             {"total_matchers", "1"},
             {"satisfied_count", "0"},
             {"closed", "0"},
             {"updated_at", "?"},
             {"matcher:0:name", ""},
             {"matcher:0:satisfied", "0"},
             {"matcher:0:signal_id", ""}});
  const Fields suspension = run.store().Hash(call.keys[6]);
  run.CheckEqual("timeout", "", suspension.at("timeout_at"));
  run.CheckEqual("behaviour", "fail", suspension.at("timeout_behavior"));
  run.CheckEqual("pointer", "", suspension.at("continuation_metadata_pointer"));
  const Fields core = run.store().Hash(e.expected.ExecutionKey("core"));
  run.CheckEqual("detail", "suspended: waitpoint " + waitpoint + " awaiting waiting_for_signal",
                 core.at("blocking_detail"));
  for (const std::size_t key : {6, 7, 14, 13, 16}) run.store().Delete(call.keys[key]);
}

// This library refuses what it does not serve (functions/README.md); FlowFabric's serves it.
void ASuspensionRefusesWhatIsNotServed(Run& run) {
  if (run.engine().library() == "flowfabric") return;
  Execution& e = run.Leased();
  InstallSecret(run, e);
  const struct {
    std::size_t place;
    const char* text;
    const char* what;
  } kRows[] = {{14, "1", "use_pending_waitpoint"},
               {17, "a key", "idempotency_key"},
               {19, "1", "num_extra_waitpoints"},
               {19, "-1", "num_extra_waitpoints"},
               {19, "2.5", "num_extra_waitpoints"}};
  for (const auto& row : kRows) {
    RawCall call = RawSuspend(run, e, run.Name("wp"));
    call.args[row.place] = row.text;
    ExpectRaw(run, row.what, std::string("0 invalid_input ") + row.what + " is not served",
              "ff_suspend_execution", call);
    run.CheckStored(e);
  }
  // These texts ask for nothing.
  RawCall call = RawSuspend(run, e, run.Name("wp"));
  call.args[14] = "0";
  call.args[19] = "none";
  run.CheckEqual("suspend", "1 OK",
                 FirstTexts(run.store().Call("ff_suspend_execution", call.keys, call.args)));
  for (const std::size_t key : {6, 7, 14, 13, 16}) run.store().Delete(call.keys[key]);
}

void AResumptionClosesWhatItEnds(Run& run) {
  Execution& e = run.Leased();
  InstallSecret(run, e);
  const RawCall suspend = RawSuspend(run, e, run.Name("wp"));
  run.CheckEqual("suspend", "1 OK",
                 FirstTexts(run.store().Call("ff_suspend_execution", suspend.keys, suspend.args)));
  const RawCall resume = RawResume(run, e);
  run.CheckEqual("resume", "1 OK",
                 FirstTexts(run.store().Call("ff_resume_execution", resume.keys, resume.args)));
  for (const std::size_t key : {6, 7}) {  // the suspension and its waitpoint
    Fields fields = run.store().Hash(suspend.keys[key]);
    run.CheckEqual("reason", "resumed", fields["close_reason"]);
    run.Check("times",
              !fields["closed_at"].empty() && fields["closed_at"] == fields["satisfied_at"]);
    if (key == 7) run.CheckEqual("state", "closed", fields["state"]);
  }
  run.Check("no signals", !run.store().Exists(suspend.keys[8]));
  for (const std::size_t key : {6, 7, 14, 13, 16}) run.store().Delete(suspend.keys[key]);
}

// A grant that does not say when it expires does not expire.
void AGrantWithoutAnExpiry(Run& run) {
  for (const bool resumed : {false, true}) {
    for (const bool empty : {true, false}) {
      Execution& e = resumed ? run.Interrupted() : run.Create();
      run.Issue(e);
      const std::string grant = e.expected.ExecutionKey("claim_grant");
      if (empty) {
        run.store().SetField(grant, "grant_expires_at", "");
      } else {
        Lose(run, grant, {"grant_expires_at"});
      }
      if (resumed) {
        run.ClaimResumed(e);
      } else {
        run.Claim(e);
      }
    }
  }
}

// The priority of an execution decides its place also after a delay.
void APromotedExecutionHasItsPriority(Run& run) {
  for (const std::int64_t priority : {1, 9000}) {
    Execution& e =
        run.Create({.priority = priority, .delay_until = TimestampMs{run.engine().Now() + kShort}});
    run.Pass(kShort + 1);
    run.Promote(e);
    Execution& resumed = run.Create({.priority = priority});
    run.Issue(resumed);
    run.Claim(resumed);
    run.Suspend(resumed);
    run.Resume(resumed);
  }
}

// An execution keeps the list of all its waitpoints. An earlier suspension may not say which
// waitpoint it had.
void AnEarlierWaitpointStaysInTheList(Run& run) {
  for (const bool says : {true, false}) {
    Execution& e = run.Leased();
    InstallSecret(run, e);
    const RawCall first = RawSuspend(run, e, run.Name("wp-1"));
    run.CheckEqual("suspend", "1 OK",
                   FirstTexts(run.store().Call("ff_suspend_execution", first.keys, first.args)));
    const RawCall resume = RawResume(run, e);
    run.CheckEqual("resume", "1 OK",
                   FirstTexts(run.store().Call("ff_resume_execution", resume.keys, resume.args)));
    const RawCall claim = RawFusedClaim(run, e);
    run.CheckEqual(
        "claim", "1 OK",
        FirstTexts(run.store().Call("ff_issue_grant_and_claim", claim.keys, claim.args)));
    run.store().Delete(first.keys[13]);  // as if the list had been lost
    if (!says) Lose(run, first.keys[6], {"waitpoint_id"});
    RawCall second = RawSuspend(run, e, run.Name("wp-2"));
    second.args[3] = kRawLease;
    second.args[4] = "2";
    run.CheckEqual("suspend again", "1 OK",
                   FirstTexts(run.store().Call("ff_suspend_execution", second.keys, second.args)));
    const std::string list = run.store().Describe(second.keys[13]);
    run.Check("the first one", (list.find(run.Name("wp-1")) != std::string::npos) == says);
    run.Check("the second one", list.find(run.Name("wp-2")) != std::string::npos);
    for (const RawCall& call : {first, second}) {
      for (const std::size_t key : {6, 7, 14, 13, 16}) run.store().Delete(call.keys[key]);
    }
  }
}

// A secret that is no hex text can make no token.
void ASecretThatIsNoHexMakesNoToken(Run& run) {
  Execution& e = run.Leased();
  InstallSecret(run, e);
  for (const char* const secret : {"0", "0g", "xy", "00f"}) {
    run.store().SetField(SecretsKey(run, e), "secret:kid", secret);
    ExpectRaw(run, secret, "0 invalid_secret", "ff_suspend_execution",
              RawSuspend(run, e, run.Name("wp")));
  }
  run.store().Delete(SecretsKey(run, e));
  run.CheckStored(e);
}

// A lease hash that an earlier lease left behind loses all of its fields.
void ANewLeaseStartsAfresh(Run& run) {
  for (std::size_t i = 0; i < Steps().size(); ++i) {
    const Step& step = Steps()[i];
    const std::string_view name = step.name;
    if (name.find("claim") == name.npos || name == "one reclaim too many") continue;
    Execution& e = step.prepare(run);
    const std::string key = e.expected.ExecutionKey("lease:current");
    run.store().SetField(key, "stray", "x");
    step.call(run, e);
    run.Check(std::string(name) + ": no stray field", run.store().Hash(key).count("stray") == 0);
  }
}

// A state that the core hash lacks gets its usual text when the lease is lost.
void StatesThatAreMissing(Run& run) {
  for (const bool revoked : {false, true}) {
    Execution& e = run.Leased(revoked ? kLong : kShort);
    if (!revoked) run.Pass(kShort + 1);
    const std::string core = e.expected.ExecutionKey("core");
    Lose(run, core, {"eligibility_state", "terminal_outcome"});
    const RawCall call = revoked ? RawRevoke(run, e) : RawMarkExpired(e);
    run.CheckEqual(
        "answer", "1 OK",
        FirstTexts(run.store().Call(revoked ? "ff_revoke_lease" : "ff_mark_lease_expired_if_due",
                                    call.keys, call.args)));
    Fields fields = run.store().Hash(core);
    run.CheckEqual("eligibility", "not_applicable", fields["eligibility_state"]);
    run.CheckEqual("outcome", "none", fields["terminal_outcome"]);
  }
}

// A counter that the core hash lacks counts from 0.
void CountersThatAreMissing(Run& run) {
  const std::vector<std::string> counters = {"total_attempt_count", "current_lease_epoch",
                                             "lease_reclaim_count", "current_attempt_index"};
  const auto check = [&](const char* what, const Execution& e, const Fields& expected) {
    const Fields core = run.store().Hash(e.expected.ExecutionKey("core"));
    for (const auto& [name, text] : expected) {
      run.CheckEqual(std::string(what) + ": " + name, text,
                     core.count(name) == 0 ? "(absent)" : core.at(name));
    }
    for (const std::size_t index : {0, 1}) {
      for (const char* const rest : {"", ":usage", ":policy"}) {
        run.store().Delete(e.expected.AttemptKey(index) + rest);
      }
    }
  };
  const Fields first = {
      {"total_attempt_count", "1"}, {"current_lease_epoch", "1"}, {"current_attempt_index", "0"}};

  Execution& claimed = run.Create();
  run.Issue(claimed);
  Lose(run, claimed.expected.ExecutionKey("core"), counters);
  RawCall call = RawClaim(run, claimed);
  run.CheckEqual("claim", "1 OK",
                 FirstTexts(run.store().Call("ff_claim_execution", call.keys, call.args)));
  check("claim", claimed, first);

  Execution& again_running = run.Create();
  run.store().SetField(again_running.expected.ExecutionKey("core"), "attempt_state",
                       "running_attempt");
  ExpectRaw(run, "running already", "0 active_attempt_exists", "ff_issue_grant_and_claim",
            RawFusedClaim(run, again_running));
  if (run.engine().library() != "flowfabric") {  // which breaks off
    Execution& odd = run.Create();
    run.store().SetField(odd.expected.ExecutionKey("core"), "current_lease_epoch", "x");
    run.CheckEqual("no number", "1 OK " + kRawLease + " 1 0",
                   AnswerTo(run, "ff_issue_grant_and_claim", RawFusedClaim(run, odd)));
  }
  Execution& capped = run.RevokedOne();
  run.IssueReclaim(capped, {.worker = kWorker1});
  Lose(run, capped.expected.ExecutionKey("core"), counters);
  call = RawReclaim(run, capped);
  call.args[8] = "1";
  run.CheckEqual("the first of one reclaim", "1 OK",
                 FirstTexts(run.store().Call("ff_reclaim_execution", call.keys, call.args)));
  check("capped", capped, {});
  Execution& fused = run.Create();
  Lose(run, fused.expected.ExecutionKey("core"), counters);
  call = RawFusedClaim(run, fused);
  run.CheckEqual("fused claim", "1 OK " + kRawLease + " 1 0",
                 AnswerTo(run, "ff_issue_grant_and_claim", call));
  check("fused claim", fused, first);

  Execution& reclaimed = run.RevokedOne();
  run.IssueReclaim(reclaimed, {.worker = kWorker1});
  Lose(run, reclaimed.expected.ExecutionKey("core"), counters);
  call = RawReclaim(run, reclaimed);
  run.CheckEqual("reclaim", "1 OK",
                 FirstTexts(run.store().Call("ff_reclaim_execution", call.keys, call.args)));
  Fields again = first;
  again["lease_reclaim_count"] = "1";
  run.CheckEqual("previous attempt", "0",
                 run.store().Hash(reclaimed.expected.AttemptKey(0))["previous_attempt_index"]);
  check("reclaim", reclaimed, again);
}

}  // namespace

void AddFunctionFieldScenarios(std::vector<Scenario>& to) {
  to.push_back(
      {"F3", "a_creation_stores_what_it_was_given", ACreationStoresWhatItWasGiven, kStoredKeys});
  to.push_back({"F3", "a_suspension_stores_what_it_was_given", ASuspensionStoresWhatItWasGiven,
                kStoredKeys});
  to.push_back({"F3", "a_suspension_has_defaults", ASuspensionHasDefaults, kStoredKeys});
  to.push_back({"F3", "a_suspension_refuses_what_is_not_served", ASuspensionRefusesWhatIsNotServed,
                kStoredKeys});
  to.push_back(
      {"F3", "a_resumption_closes_what_it_ends", AResumptionClosesWhatItEnds, kStoredKeys});
  to.push_back({"F3", "a_grant_without_an_expiry", AGrantWithoutAnExpiry, kStoredKeys});
  to.push_back({"F3", "a_promoted_execution_has_its_priority", APromotedExecutionHasItsPriority,
                kStoredKeys});
  to.push_back({"F3", "an_earlier_waitpoint_stays_in_the_list", AnEarlierWaitpointStaysInTheList,
                kStoredKeys});
  to.push_back({"F4", "a_secret_that_is_no_hex_makes_no_token", ASecretThatIsNoHexMakesNoToken,
                kStoredKeys});
  to.push_back({"F3", "a_new_lease_starts_afresh", ANewLeaseStartsAfresh, kStoredKeys});
  to.push_back({"F3", "states_that_are_missing", StatesThatAreMissing, kStoredKeys});
  to.push_back({"F3", "counters_that_are_missing", CountersThatAreMissing, kStoredKeys});
  for (std::size_t i = 0; i < Steps().size(); ++i) {
    std::string name = std::string("every_field_is_written_by_") + Steps()[i].name;
    for (char& c : name) c = c == ' ' ? '_' : c;
    to.push_back({"F3", name, EveryFieldIsWritten, kStoredKeys, i});
  }
}

}  // namespace ffgrant::claims_conformance
