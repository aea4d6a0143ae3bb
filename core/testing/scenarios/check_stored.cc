// SPDX-License-Identifier: Apache-2.0
//
// Compares the stored state with the expected state: first as the ledger shows it, then, if the
// engine has keys, each field, each score and each expiry. If a field of a hash, or the execution's
// score in a set of a lane or partition, differs, this is reported once: the stored value then
// becomes the expected one.

#include <array>
#include <cmath>
#include <concepts>
#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "testing/scenarios/run.h"

namespace ffgrant::claims_conformance {
namespace {

// Stands for a value that does not exist.
constexpr const char* kAbsent = "(absent)";

// How many ms the lease hash outlives a renewed lease: the grace of the SDK and that of the typed
// call (7.4).
constexpr std::int64_t kGraces[] = {5000, 60000};

std::string Text(const Uuid& uuid) {
  std::array<char, kUuidTextSize> text;
  FormatUuid(uuid, text);
  return {text.data(), text.size()};
}
std::string Text(const std::optional<TimestampMs>& time) {
  return time.has_value() ? std::to_string(time->value) : "";
}
template <class Id>
std::string Text(const std::optional<Id>& id) {
  return id.has_value() ? Text(id->uuid) : "";
}
std::string Text(bool flag) { return flag ? "1" : "0"; }
std::string Text(std::string_view text) { return std::string(text); }
template <class Number>
requires(std::integral<Number> && !std::same_as<Number, bool>) std::string Text(Number number) {
  return std::to_string(number);
}

std::string ScoreText(std::optional<double> score) {
  if (!score.has_value()) return kAbsent;
  if (*score != std::floor(*score) || std::fabs(*score) > static_cast<double>(kMaxExactScore)) {
    return std::to_string(*score);
  }
  return std::to_string(static_cast<std::int64_t>(*score));
}

Value* Find(Record& record, const char* name) {
  const auto field = record.find(name);
  return field == record.end() ? nullptr : &field->second;
}

}  // namespace

void Run::CheckStored(Execution& e) {
  CheckState(e);
  if (engine_.store() != nullptr) CheckKeys(e);
}

void Run::CheckState(Execution& e) {
  const std::int64_t before = engine_.Now();
  const std::optional<ExecutionState> state = ledger().Inspect(e.id());
  const std::optional<ExecutionNames> names = ledger().InspectNames(e.id());
  const std::int64_t after = engine_.Now();
  CheckEqual("exists", Text(e.expected.exists), Text(state.has_value()));
  CheckEqual("names exist", Text(e.expected.exists), Text(names.has_value()));
  if (!e.expected.exists || !state.has_value() || !names.has_value()) return;

  Expected& expected = e.expected;
  const auto compare = [&](const char* name, const Value* wanted, const std::string& actual,
                           const char* if_empty = "") {
    static const Value kEmpty("");
    const Value& value = wanted == nullptr ? kEmpty : *wanted;
    if (value.IsEmpty() ? actual == if_empty : value.Matches(actual)) return;
    Blame("state." + std::string(name), value.Text(), actual);
  };
  const auto field = [&](const char* name, const std::string& actual, const char* if_empty = "") {
    compare(name, Find(expected.core, name), actual, if_empty);
  };
  field("lifecycle_phase", Text(state->lifecycle_phase));
  field("ownership_state", Text(state->ownership_state));
  field("eligibility_state", Text(state->eligibility_state));
  field("blocking_reason", Text(state->blocking_reason));
  field("terminal_outcome", Text(state->terminal_outcome));
  field("attempt_state", Text(state->attempt_state));
  field("public_state", Text(state->public_state));
  field("priority", Text(state->priority));
  field("created_at", Text(state->created_at.value));
  field("total_attempt_count", Text(state->total_attempt_count));
  field("lease_reclaim_count", Text(state->lease_reclaim_count));
  field("retry_count", Text(state->retry_count));
  field("current_lease_epoch", Text(state->current_lease_epoch.value));
  field("current_lease_id", Text(state->current_lease_id));
  field("current_attempt_id", Text(state->current_attempt_id));
  field("current_attempt_index", Text(state->current_attempt_index.value), "0");
  field("lease_acquired_at", Text(state->lease_acquired_at));
  field("lease_expires_at", Text(state->lease_expires_at));
  field("lease_last_renewed_at", Text(state->lease_last_renewed_at));
  field("lease_renewal_deadline", Text(state->lease_renewal_deadline));
  field("delay_until", Text(state->delay_until));
  field("last_capability_mismatch_at", Text(state->last_capability_mismatch_at));
  CheckEqual("state.lease_current", Text(expected.lease.has_value()), Text(state->lease_current));

  const auto in = [&](const char* name, const std::string& key, bool actual) {
    CheckEqual("state.in_" + std::string(name), Text(expected.sorted_sets.count(key) != 0),
               Text(actual));
  };
  in("eligible", expected.LaneKey("eligible"), state->in_eligible);
  in("delayed", expected.LaneKey("delayed"), state->in_delayed);
  in("active", expected.LaneKey("active", expected.Field("current_lane")), state->in_active);
  in("suspended", expected.LaneKey("suspended"), state->in_suspended);
  in("terminal", expected.LaneKey("terminal"), state->in_terminal);
  in("lease_expiry", expected.IndexKey("lease_expiry"), state->in_lease_expiry);

  const Presence presence = PresenceOf(expected.grant, before, after, engine_.has_exact_time());
  if (presence == Presence::kGone || (presence == Presence::kEither && !state->has_grant)) {
    expected.GrantGone();
  }
  CheckEqual("state.has_grant", Text(expected.grant.has_value()), Text(state->has_grant));
  Record none;
  Record& grant = expected.grant.has_value() ? expected.grant->fields : none;
  compare("grant_created_at", Find(grant, "created_at"), Text(state->grant_created_at));
  compare("grant_expires_at", Find(grant, "grant_expires_at"), Text(state->grant_expires_at));

  // The state was read before the names, and the grant may have ended in between.
  if (presence != Presence::kEither) {
    compare("grant_worker_id", Find(grant, "worker_id"), names->grant_worker_id);
    compare("grant_worker_instance_id", Find(grant, "worker_instance_id"),
            names->grant_worker_instance_id);
    compare("grant_lane_id", Find(grant, "lane_id"), names->grant_lane_id);
    compare("capability_hash", Find(grant, "capability_hash"), names->capability_hash);
    compare("route_snapshot_json", Find(grant, "route_snapshot_json"), names->route_snapshot_json);
    compare("admission_summary", Find(grant, "admission_summary"), names->admission_summary);
  }
  field("required_capabilities", names->required_capabilities);
  field("current_worker_id", names->current_worker_id);
  field("current_worker_instance_id", names->current_worker_instance_id);
  CheckEqual("state.current_lane",
             expected.Field("lifecycle_phase") == "active" ? expected.Field("current_lane") : "",
             names->current_lane);
}

namespace {

// Reports each value that differs. The stored value then becomes the expected one.
void CompareHash(const std::string& name, Record& expected, const Fields& actual,
                 const Run::Report& fail) {
  for (auto& [field, value] : expected) {
    const auto found = actual.find(field);
    const std::string text = found == actual.end() ? kAbsent : found->second;
    if (found != actual.end() && value.Matches(text)) continue;
    fail(name + "." + field, value.Text(), text);
    value = text;
  }
  for (const auto& [field, text] : actual) {
    if (expected.emplace(field, text).second) fail(name + "." + field, kAbsent, text);
  }
  // A field that is absent is not expected again.
  std::erase_if(expected, [](const auto& entry) { return entry.second.Text() == kAbsent; });
}

void CompareHistory(std::vector<Record>& expected, const std::vector<Fields>& actual,
                    const Run::Report& fail) {
  if (expected.size() != actual.size()) {
    std::string events;
    for (const Fields& event : actual) {
      const auto name = event.find("event");
      events += (events.empty() ? "" : ", ") + (name == event.end() ? "?" : name->second);
    }
    fail("lease:history", std::to_string(expected.size()) + " events",
         std::to_string(actual.size()) + " events: " + events);
  }
  for (std::size_t i = 0; i < expected.size() && i < actual.size(); ++i) {
    CompareHash("lease:history[" + std::to_string(i) + "]", expected[i], actual[i], fail);
  }
}

}  // namespace

void Run::CheckKeys(Execution& e) {
  Expected& expected = e.expected;
  const Report fail = [this](const std::string& aspect, const std::string& wanted,
                             const std::string& actual) { Blame(aspect, wanted, actual); };
  const std::int64_t before = engine_.Now();
  Snapshot keys = store().Read(WantedOf(e));
  CompareHash("core", expected.core, keys.hashes.at(expected.ExecutionKey("core")), fail);
  const std::int64_t after = engine_.Now();
  CheckGrantKey(e, keys, PresenceOf(expected.grant, before, after, engine_.has_exact_time()), fail);
  CheckLeaseKey(e, keys, fail);
  CheckSets(e, keys, fail);
  CheckAttempts(e, keys, fail);
  CompareHistory(expected.history, keys.streams[expected.ExecutionKey("lease:history")], fail);
}

// Returns the keys of the sorted sets in which the execution's score is compared: those of its own
// lane, those of the other lane that scenarios claim with, and three indexes of the partition.
static std::set<std::string> SortedSetsOf(const Expected& expected, const std::string& other_lane) {
  std::set<std::string> keys;
  for (const char* role : {"eligible", "delayed", "active", "terminal", "suspended"}) {
    keys.insert(expected.LaneKey(role));
    keys.insert(expected.LaneKey(role, other_lane));
  }
  for (const char* role : {"lease_expiry", "attempt_timeout", "execution_deadline"}) {
    keys.insert(expected.IndexKey(role));
  }
  return keys;
}

Wanted Run::WantedOf(const Execution& e) const {
  const Expected& expected = e.expected;
  Wanted wanted;
  for (const char* role : {"core", "claim_grant", "lease:current"}) {
    wanted.hashes.push_back(expected.ExecutionKey(role));
  }
  // The loop reads one attempt more than is expected.
  for (std::size_t i = 0; i <= expected.attempts.size(); ++i) {
    wanted.hashes.push_back(expected.AttemptKey(i));
    wanted.hashes.push_back(expected.AttemptKey(i) + ":usage");
    wanted.scores.emplace_back(expected.ExecutionKey("attempts"), std::to_string(i));
  }
  for (const std::string& key : SortedSetsOf(expected, Name("other-lane"))) {
    wanted.scores.emplace_back(key, expected.id);
  }
  for (const Worker& worker : {kWorker1, kWorker1Other, kWorker2}) {
    wanted.members.emplace_back(expected.WorkerLeasesKey(Name(worker.instance)), expected.id);
  }
  wanted.members.emplace_back(expected.IndexKey("all_executions"), expected.id);
  wanted.streams.push_back(expected.ExecutionKey("lease:history"));
  return wanted;
}

void Run::CheckGrantKey(Execution& e, const Snapshot& keys, Presence presence, const Report& fail) {
  Expected& expected = e.expected;
  if (presence == Presence::kGone) expected.GrantGone();
  if (presence == Presence::kEither) return;  // the grant may go at any moment
  const std::string key = expected.ExecutionKey("claim_grant");
  Record none;
  CompareHash("claim_grant", expected.grant.has_value() ? expected.grant->fields : none,
              keys.hashes.at(key), fail);
  if (!expected.grant.has_value()) return;
  const std::optional<std::int64_t> expiry = keys.expiries.at(key);
  if (expiry.has_value() && expected.grant->issued.Is(*expiry - expected.grant->ttl_ms)) return;
  fail("claim_grant expiry", expected.grant->issued.Text(expected.grant->ttl_ms),
       expiry.has_value() ? std::to_string(*expiry) : "none");
}

void Run::CheckLeaseKey(Execution& e, const Snapshot& keys, const Report& fail) {
  Expected& expected = e.expected;
  const std::string key = expected.ExecutionKey("lease:current");
  Record none;
  CompareHash("lease", expected.lease.has_value() ? *expected.lease : none, keys.hashes.at(key),
              fail);
  const std::optional<std::int64_t> expiry = keys.expiries.at(key);
  const std::string text = expiry.has_value() ? std::to_string(*expiry) : "none";
  if (!expected.lease.has_value() || !expected.lease_renewed.has_value()) {
    CheckEqual("lease expiry", "none", text);
    return;
  }
  const auto found = expected.lease->find("expires_at");
  const Value expires = found == expected.lease->end() ? Value("") : found->second;
  for (const std::int64_t grace : kGraces) {
    if (expiry.has_value() && expires.MatchesTime(*expiry - grace)) return;
  }
  fail("lease expiry", expires.Text() + " + grace", text);
}

void Run::CheckSets(Execution& e, const Snapshot& keys, const Report& fail) {
  Expected& expected = e.expected;
  for (const std::string& key : SortedSetsOf(expected, Name("other-lane"))) {
    const std::string actual = ScoreText(keys.scores.at({key, expected.id}));
    const auto wanted = expected.sorted_sets.find(key);
    const bool right = wanted == expected.sorted_sets.end()
                           ? actual == kAbsent
                           : actual != kAbsent && wanted->second.Matches(actual);
    if (right) continue;
    fail(key.substr(key.find("}:") + 2),
         wanted == expected.sorted_sets.end() ? kAbsent : wanted->second.Text(), actual);
    if (actual == kAbsent) {
      expected.sorted_sets.erase(key);
    } else {
      expected.sorted_sets.insert_or_assign(key, Value(actual));
    }
  }
  for (const Worker& worker : {kWorker1, kWorker1Other, kWorker2}) {
    const std::string key = expected.WorkerLeasesKey(Name(worker.instance));
    CheckEqual("leases of " + worker.instance, Text(expected.worker_sets.count(key) != 0),
               Text(keys.members.at({key, expected.id})));
  }
  CheckEqual("all_executions", Text(expected.exists),
             Text(keys.members.at({expected.IndexKey("all_executions"), expected.id})));
}

// Checks every attempt, and that there is none after the last.
void Run::CheckAttempts(Execution& e, const Snapshot& keys, const Report& fail) {
  Expected& expected = e.expected;
  for (std::size_t i = 0; i <= expected.attempts.size(); ++i) {
    const std::string name = "attempt[" + std::to_string(i) + "]";
    const std::string score =
        ScoreText(keys.scores.at({expected.ExecutionKey("attempts"), std::to_string(i)}));
    const Fields& actual = keys.hashes.at(expected.AttemptKey(i));
    const Fields& actual_usage = keys.hashes.at(expected.AttemptKey(i) + ":usage");
    Record usage;
    if (i == expected.attempts.size()) {
      Record none;
      CompareHash(name, none, actual, fail);
      CompareHash(name + ":usage", usage, actual_usage, fail);
      CheckEqual(name + " score", kAbsent, score);
      return;
    }
    usage = {{"last_usage_report_seq", "0"}};
    CompareHash(name, expected.attempts[i], actual, fail);
    CompareHash(name + ":usage", usage, actual_usage, fail);
    if (!expected.attempt_scores[i].Matches(score)) {
      fail(name + " score", expected.attempt_scores[i].Text(), score);
    }
  }
}

}  // namespace ffgrant::claims_conformance
