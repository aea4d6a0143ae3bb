// SPDX-License-Identifier: Apache-2.0
//
// Tests what a creation stores beyond what a ledger's call asks for (valkey-functions.md section
// 2): idempotency keys, policies, tags and deadlines.

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "testing/scenarios/cases/raw_calls.h"
#include "testing/scenarios/run.h"
#include "testing/scenarios/scenario.h"

namespace ffgrant::claims_conformance {
namespace {

void AnIdempotencyKeyGivesWhoTookIt(Run& run) {
  Execution& first = run.New();
  Execution& second = run.New(&first);
  Execution& third = run.New(&first);
  // Only an empty key name, or one with `ff:noop:` in it, means that there is no key. This name
  // lacks the last colon.
  const std::string name = run.Name("noop-ff:noop");
  const std::string key = RawIdempotencyKey(first, name);
  const std::int64_t before = run.engine().Now();
  const RawCreateOptions keyed = {.dedup_ttl = "5000", .idempotency = name};
  ExpectRaw(run, "first", "1 OK " + first.expected.id + " waiting", "ff_create_execution",
            RawCreate(first, keyed));
  const auto until = run.store().ExpireTime(key);
  run.Check("the key lasts as long as it was told",
            until && *until >= before + 5000 && *until <= run.engine().Now() + 5000);
  run.Pass(2);
  ExpectRaw(run, "second", "1 DUPLICATE " + first.expected.id, "ff_create_execution",
            RawCreate(second, keyed));
  run.Check("a duplicate does not prolong it", run.store().ExpireTime(key) == until);
  run.CheckStored(second);
  // The idempotency key decides, even if an execution with the id of the call exists.
  Execution& fourth = run.New(&first);
  ExpectRaw(run, "fourth", "1 OK " + fourth.expected.id + " waiting", "ff_create_execution",
            RawCreate(fourth));
  ExpectRaw(run, "fourth with the key", "1 DUPLICATE " + first.expected.id, "ff_create_execution",
            RawCreate(fourth, keyed));
  run.store().Delete(key);
  ExpectRaw(run, "once the key is gone", "1 OK " + third.expected.id + " waiting",
            "ff_create_execution", RawCreate(third, keyed));
  run.store().Delete(key);
}

// Nothing is remembered if the call gives no key, or no positive time for which to remember it.
void AnIdempotencyKeyNeedsATime(Run& run) {
  for (const std::string ttl : {"", "0", "-1", "5000"}) {
    Execution& e = run.New();
    const bool keyed = ttl != "5000";
    const RawCreateOptions options = {.dedup_ttl = ttl,
                                      .idempotency = keyed ? run.Name("key") : ""};
    const RawCall call = RawCreate(e, options);
    ExpectRaw(run, "create " + ttl, "1 OK " + e.expected.id + " waiting", "ff_create_execution",
              call);
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
  // The reference refuses only the first row. It accepts each of the others, or fails on it after
  // its first write. These differences are on purpose; functions/README.md lists them.
  if (run.engine().library() == "flowfabric") rows.erase(rows.begin() + 1, rows.end());
  Execution& e = run.New();
  for (const auto& [options, detail] : rows) {
    ExpectRaw(run, detail, bad + detail, "ff_create_execution", RawCreate(e, options));
    run.CheckStored(e);
  }
}

void DeadlinesReachAsFarAsATime(Run& run) {
  Execution& e = run.New();
  ExpectRaw(run, "create", "1 OK " + e.expected.id + " waiting", "ff_create_execution",
            RawCreate(e, {.deadline = "9223372036854775807"}));
  const auto score = run.store().Score(e.expected.IndexKey("execution_deadline"), e.expected.id);
  run.Check("the deadline is in its index", score && *score == 9223372036854775808.0);
}

// The delay alone decides which lane's set gets the execution, and the deadline alone whether the
// index of deadlines does.
void ACreationEntersEachIndexByItself(Run& run) {
  const std::string ahead = std::to_string(run.engine().Now() + kLong);
  for (const std::string& delay : {std::string(), ahead}) {
    for (const std::string deadline : {"", "1999999999999"}) {
      const std::string what = "delay '" + delay + "', deadline '" + deadline + "'";
      Execution& e = run.New();
      ExpectRaw(run, what, "1 OK " + e.expected.id + (delay.empty() ? " waiting" : " delayed"),
                "ff_create_execution", RawCreate(e, {.delay = delay, .deadline = deadline}));
      const auto has = [&](const std::string& key) {
        return run.store().Score(key, e.expected.id).has_value();
      };
      run.Check(what + ": eligible", has(e.expected.LaneKey("eligible")) == delay.empty());
      run.Check(what + ": delayed", has(e.expected.LaneKey("delayed")) == !delay.empty());
      run.Check(what + ": deadline",
                has(e.expected.IndexKey("execution_deadline")) == !deadline.empty());
    }
  }
}

// A client of another make may send a delay that is over already. The execution is then as eligible
// as one without a delay, and its core has no time that could be mistaken for the end of a later
// delay.
void ADelayThatIsOverIsNotStored(Run& run) {
  const std::int64_t now = run.engine().Now();
  const std::string ahead = std::to_string(now + kLong);
  const std::pair<std::string, std::string> kRows[] = {{"", ""},
                                                       {"0", ""},
                                                       {"-5", ""},
                                                       {std::to_string(now - 1), ""},
                                                       {std::to_string(now), ""},
                                                       {ahead, ahead}};
  for (const auto& [delay, stored] : kRows) {
    Execution& e = run.New();
    const std::string state = stored.empty() ? "waiting" : "delayed";
    ExpectRaw(run, "delay '" + delay + "'", "1 OK " + e.expected.id + " " + state,
              "ff_create_execution", RawCreate(e, {.delay = delay}));
    Fields core = run.store().Hash(e.expected.ExecutionKey("core"));
    run.CheckEqual("delay_until of '" + delay + "'", stored, core["delay_until"]);
    run.CheckEqual("blocking_detail of '" + delay + "'",
                   stored.empty() ? "" : "delayed until " + stored, core["blocking_detail"]);
    run.CheckEqual("public_state of '" + delay + "'", state, core["public_state"]);
  }
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
      {Needs(many), "0 invalid_capabilities required:too_many_tokens"},
      {Needs(large), "0 invalid_capabilities required:too_many_bytes"}};
  Execution& e = run.New();
  // Each byte that a token must not have, in each place of a token and in each of three tokens.
  const std::pair<std::string, std::string> kBytes[] = {{",", "comma_in_token"},
                                                        {" ", "control_or_whitespace"},
                                                        {"\\u0000", "control_or_whitespace"},
                                                        {"\\u0001", "control_or_whitespace"},
                                                        {"\\u001f", "control_or_whitespace"},
                                                        {"\\u007f", "control_or_whitespace"}};
  for (const auto& [byte, why] : kBytes) {
    for (const std::string& token : {byte, byte + "ab", "a" + byte + "b", "ab" + byte}) {
      const std::string quoted = "\"" + token + "\"";
      for (const std::string& tokens :
           {quoted + ",\"c\",\"d\"", "\"c\"," + quoted + ",\"d\"", "\"c\",\"d\"," + quoted}) {
        ExpectRaw(run, tokens, "0 invalid_capabilities required:" + why, "ff_create_execution",
                  RawCreate(e, {.policy = Needs(tokens)}));
      }
    }
  }
  for (const auto& [policy, answer] : kRows) {
    ExpectRaw(run, "policy " + policy.substr(0, 60), answer, "ff_create_execution",
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
    ExpectRaw(run, "policy " + policy.substr(0, 60), "1 OK " + e.expected.id + " waiting",
              "ff_create_execution", RawCreate(e, {.policy = policy}));
    run.CheckEqual("required", required,
                   run.store().Hash(e.expected.ExecutionKey("core"))["required_capabilities"]);
  }
}

void TagsAreKeptAsTexts(Run& run) {
  Execution& e = run.New();
  ExpectRaw(run, "create", "1 OK " + e.expected.id + " waiting", "ff_create_execution",
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
  ExpectRaw(run, "malformed", "1 OK " + without.expected.id + " waiting", "ff_create_execution",
            RawCreate(without, {.tags = "{"}));
  run.Check("no tags", !run.store().Exists(without.expected.ExecutionKey("tags")));
}

}  // namespace

void AddFunctionCreationScenarios(std::vector<Scenario>& to) {
  const auto add = [&to](std::string_view section, const char* name, void (*body)(Run&)) {
    to.push_back({section, name, body, kStoredKeys});
  };
  add("F2", "create_gives_who_took_an_idempotency_key", AnIdempotencyKeyGivesWhoTookIt);
  add("F2", "create_remembers_a_key_for_a_time", AnIdempotencyKeyNeedsATime);
  add("F2", "create_checks_its_arguments", CreationChecksItsArguments);
  add("F3", "a_creation_enters_each_index_by_itself", ACreationEntersEachIndexByItself);
  add("F2", "create_stores_no_delay_that_is_over", ADelayThatIsOverIsNotStored);
  add("F2", "create_deadlines_as_far_as_a_time_reaches", DeadlinesReachAsFarAsATime);
  add("F2", "create_refuses_policies", PoliciesThatAreRefused);
  add("F2", "create_takes_policies", PoliciesThatAreTaken);
  add("F2", "create_keeps_tags_as_texts", TagsAreKeptAsTexts);
}

}  // namespace ffgrant::claims_conformance
