// SPDX-License-Identifier: Apache-2.0
//
// Tests what suspensions and resumes have beyond what a ledger's call asks for
// (core/ffgrant/valkey/functions/README.md): waitpoints, their secrets and tokens, conditions,
// timeouts and reasons.

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "testing/scenarios/cases/raw_calls.h"
#include "testing/scenarios/run.h"
#include "testing/scenarios/scenario.h"
#include "testing/simulation/sha1.h"

namespace ffgrant::claims_conformance {
namespace {

void SecretsRotate(Run& run) {
  Execution& e = run.New();
  const auto rotate = [&](const std::string& expected, const RawCall& call) {
    ExpectRaw(run, "rotate " + call.args[0] + " " + call.args[1], expected,
              "ff_rotate_waitpoint_hmac_secret", call);
  };
  const std::string key = SecretsKey(run, e);
  run.CheckEqual("rotate", "1 OK",
                 FirstTexts(run.store().Call("ff_rotate_waitpoint_hmac_secret", {key},
                                             {"k1", "00ff", "1000"})));
  rotate("1 OK noop k1", RawRotate(run, e, "k1", "00ff"));
  rotate("0 rotation_conflict k1", RawRotate(run, e, "k1", "aa"));
  // A secret that was lost comes back with its key id.
  run.store().Delete(key);
  run.store().SetField(key, "current_kid", "k1");
  rotate("1 OK noop k1", RawRotate(run, e, "k1", "00ff"));
  run.CheckEqual("it is back", "00ff", run.store().Hash(key)["secret:k1"]);
  for (const auto& [call, code] : std::initializer_list<std::pair<RawCall, const char*>>{
           {RawRotate(run, e, "", "aa"), "invalid_kid"},
           {RawRotate(run, e, "a:b", "aa"), "invalid_kid"},
           {RawRotate(run, e, ":b", "aa"), "invalid_kid"},
           {RawRotate(run, e, "a:", "aa"), "invalid_kid"},
           {RawRotate(run, e, "k2", "abc"), "invalid_secret_hex"},
           {RawRotate(run, e, "k2", "xx"), "invalid_secret_hex"},
           {RawRotate(run, e, "k2", "bb", "-1"), "invalid_grace_ms"},
           {RawRotate(run, e, "k2", "bb", "1.5"), "invalid_grace_ms"},
           {RawRotate(run, e, "k2", "bb", "9007199254740992"), "invalid_grace_ms"}}) {
    rotate("0 " + std::string(code), call);
  }
  rotate("1 OK rotated k1 k2 0", RawRotate(run, e, "k2", "bb", "1"));
  run.CheckEqual("the old one is good for a while", "00ff", run.store().Hash(key)["secret:k1"]);
  run.Pass(10);
  // An end that is no number is an end that has come.
  run.store().SetField(key, "expires_at:k0", "never");
  run.store().SetField(key, "secret:k0", "dd");
  rotate("1 OK rotated k2 k3 2", RawRotate(run, e, "k3", "cc"));
  run.Check("nor is the one without an end", run.store().Hash(key).count("secret:k0") == 0);
  run.Check("then it goes", run.store().Hash(key).count("secret:k1") == 0);
  run.store().Delete(key);

  // The longest grace.
  for (const char* const kid : {"k1", "k2"}) {
    run.CheckEqual("rotate", "1 OK", [&] {
      const RawCall call = RawRotate(run, e, kid, "00ff", "9007199254740991");
      return FirstTexts(run.store().Call("ff_rotate_waitpoint_hmac_secret", call.keys, call.args));
    }());
  }
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

// A key id that becomes the current one again within its grace keeps the end of that grace. The
// first rotation after that time, which makes the id the previous one, also removes its secret.
// FlowFabric's own function does the same, and both libraries have to store the same.
void AKeyIdThatComesBackKeepsItsEnd(Run& run) {
  Execution& e = run.New();
  const std::string key = SecretsKey(run, e);
  const std::string grace = std::to_string(kLong);
  const auto rotate = [&](const std::string& kid, const std::string& secret) {
    return AnswerTo(run, "ff_rotate_waitpoint_hmac_secret", RawRotate(run, e, kid, secret, grace));
  };
  run.CheckEqual("first", "1 OK rotated  k1 0", rotate("k1", "01"));
  run.CheckEqual("second", "1 OK rotated k1 k2 0", rotate("k2", "02"));
  const std::string end = run.store().Hash(key)["expires_at:k1"];
  run.CheckEqual("back", "1 OK rotated k2 k1 0", rotate("k1", "01"));
  Fields fields = run.store().Hash(key);
  run.CheckEqual("current", "k1", fields["current_kid"]);
  run.CheckEqual("its end", end, fields["expires_at:k1"]);
  run.store().SetField(key, "expires_at:k1", "1");  // as if the time had passed
  run.CheckEqual("third", "1 OK rotated k1 k3 1", rotate("k3", "03"));
  fields = run.store().Hash(key);
  run.CheckEqual("previous", "k1", fields["previous_kid"]);
  run.Check("without its secret", fields.count("secret:k1") == 0);
  run.CheckEqual("k2's secret", "02", fields["secret:k2"]);
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

// The token is an HMAC of the waitpoint, its key and its time, for every length of the secret. RFC
// 2104 hashes a key that is longer than a block of 64 bytes.
void ATokenIsAnHmacOfTheWaitpoint(Run& run) {
  for (const int bytes : {1, 2, 63, 64, 65, 100, 129}) {
    std::string secret = "0f";
    while (secret.size() < 2 * static_cast<std::size_t>(bytes)) secret += "ab";
    Execution& e = run.Leased();
    InstallSecret(run, e, secret);
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

// The reason of a suspension decides what the execution is blocked by.
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
    InstallSecret(run, e);
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
  InstallSecret(run, e);
  // The reference has no limit. functions/README.md lists this difference.
  if (run.engine().library() != "flowfabric") {
    ExpectRaw(run, "101",
              "0 invalid_input resume_condition_json: more than 100 required_signal_names",
              "ff_suspend_execution", RawSuspend(run, e, run.Name("wp"), named(101)));
    run.CheckStored(e);
    for (const std::string names : {"7", "\"go\"", "true"}) {
      ExpectRaw(run, names,
                "0 invalid_input resume_condition_json: required_signal_names is no list",
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

// Lua reads more texts as numbers than the server's commands do. A suspension takes each of them,
// or refuses it before the first write.
void ASuspensionTakesWhatIsANumber(Run& run) {
  // The reference fails on some of these after its first write. functions/README.md says so.
  if (run.engine().library() == "flowfabric") return;
  Execution& refused = run.Leased();
  RawCall call = RawSuspend(run, refused, run.Name("wp"));
  for (const std::string text : {"-1", "-0x10"}) {
    call.args[16] = text;
    ExpectRaw(run, "history of " + text,
              "0 invalid_input lease_history_maxlen must not be negative, got: " + text,
              "ff_suspend_execution", call);
    run.CheckStored(refused);
  }
  const struct {
    std::size_t place;
    std::string text;
    double score;
  } kRows[] = {{16, "1e3", 0},         {16, "0x10", 0},  {16, " 7 ", 0},
               {16, "1000.0", 0},      {16, "0", 0},     {10, " 4102444800000", 4102444800000},
               {10, "4.1e12", 4.1e12}, {10, "0x10", 16}, {10, "5 ", 5},
               {10, "-1", -1}};
  for (const auto& row : kRows) {
    Execution& e = run.Leased();
    InstallSecret(run, e);
    RawCall suspend = RawSuspend(run, e, run.Name("wp"));
    suspend.args[row.place] = row.text;
    const std::string what = std::to_string(row.place) + " '" + row.text + "'";
    run.CheckEqual(
        what, "1 OK",
        FirstTexts(run.store().Call("ff_suspend_execution", suspend.keys, suspend.args)));
    const Expected& x = e.expected;
    const auto score = run.store().Score(x.LaneKey("suspended"), x.id);
    const auto timeout = run.store().Score(x.IndexKey("suspension_timeout"), x.id);
    run.Check("place of " + what, score == (row.place == 10 ? row.score : 9999999999999.0));
    run.Check("timeout of " + what, row.place == 10 ? timeout == row.score : !timeout);
    run.store().Delete(SecretsKey(run, e));
    for (const std::size_t key : {7u, 8u, 14u}) run.store().Delete(suspend.keys[key]);
  }
}

// A suspension that has ended can't run out of time any more, even if the execution still waits.
void AResumeTakesTheTimeoutAway(Run& run) {
  for (const std::string delay : {"0", "50000"}) {
    Execution& e = run.Leased();
    InstallSecret(run, e);
    RawCall suspend = RawSuspend(run, e, run.Name("wp"));
    suspend.args[10] = std::to_string(run.engine().Now() + kLong);
    run.CheckEqual(
        "suspend", "1 OK",
        FirstTexts(run.store().Call("ff_suspend_execution", suspend.keys, suspend.args)));
    const Expected& x = e.expected;
    const auto timeout = [&] { return run.store().Score(x.IndexKey("suspension_timeout"), x.id); };
    run.Check("the suspension has a timeout", timeout().has_value());
    const RawCall resume = {{x.ExecutionKey("core"), x.ExecutionKey("suspension:current"),
                             suspend.keys[7], suspend.keys[8], x.IndexKey("suspension_timeout"),
                             x.LaneKey("eligible"), x.LaneKey("delayed"), x.LaneKey("suspended")},
                            {x.id, "signal", delay}};
    run.CheckEqual("resume", "1 OK",
                   FirstTexts(run.store().Call("ff_resume_execution", resume.keys, resume.args)));
    run.Check("no timeout after a delay of " + delay, !timeout());
    run.store().Delete(SecretsKey(run, e));
    for (const std::size_t key : {7u, 8u, 14u}) run.store().Delete(suspend.keys[key]);
  }
}

// An execution that has no suspension, or whose suspension is closed, can't be resumed.
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
  ExpectRaw(run, "without one", "0 hmac_secret_not_initialized", "ff_suspend_execution", call);
  run.CheckStored(e);
  run.store().SetField(e.expected.ExecutionKey("suspension:current"), "closed_at", "");
  ExpectRaw(run, "with an open suspension", "0 already_suspended", "ff_suspend_execution", call);
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
    ExpectRaw(run, what, "0 " + code, "ff_suspend_execution", call);
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

// A suspension may list further waitpoints. A resume closes the listed waitpoints that exist, and
// skips entries that name no waitpoint.
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

// A resume succeeds even if the stored text is no list of waitpoints.
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

void AddFunctionSuspensionScenarios(std::vector<Scenario>& to) {
  const auto add = [&to](std::string_view section, const char* name, void (*body)(Run&)) {
    to.push_back({section, name, body, kStoredKeys});
  };
  add("F3", "a_reason_is_what_blocks", AReasonIsWhatBlocks);
  add("F3", "a_condition_has_a_limit", AConditionHasALimit);
  add("F3", "a_resume_needs_an_open_suspension", AResumeNeedsAnOpenSuspension);
  add("F4", "waitpoint_secrets_rotate", SecretsRotate);
  add("F4", "a_key_id_that_comes_back_keeps_its_end", AKeyIdThatComesBackKeepsItsEnd);
  add("F4", "a_suspension_takes_what_is_a_number", ASuspensionTakesWhatIsANumber);
  add("F4", "a_resume_takes_the_timeout_away", AResumeTakesTheTimeoutAway);
  add("F4", "a_token_is_an_hmac_of_the_waitpoint", ATokenIsAnHmacOfTheWaitpoint);
  add("F4", "suspending_needs_a_secret", SuspendingNeedsASecret);
  add("F4", "suspend_compares_the_fence_before_the_index",
      ASuspensionComparesTheFenceBeforeTheIndex);
  add("F4", "a_resume_closes_the_further_waitpoints", AResumeClosesTheFurtherWaitpoints);
  add("F4", "a_resume_takes_any_list_of_waitpoints", AResumeTakesAnyListOfWaitpoints);
  add("F4", "a_suspension_keeps_nothing_of_the_one_before", ASuspensionKeepsNothingOfTheOneBefore);
}

}  // namespace ffgrant::claims_conformance
