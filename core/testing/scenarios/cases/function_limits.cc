// SPDX-License-Identifier: Apache-2.0
//
// Tries each text of the contract's table for each argument of a function that is a duration or a
// time (functions/README.md). A ledger checks most of these before it sends them, or never sends
// them, so only calls without the ledger show what the functions do.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "testing/contract/contract_table.h"
#include "testing/scenarios/cases/raw_calls.h"
#include "testing/scenarios/run.h"
#include "testing/scenarios/scenario.h"

namespace ffgrant::claims_conformance {
namespace {

// ---- executions for which a call succeeds --------------------------------------------

Execution& New(Run& run) { return run.New(); }
Execution& Created(Run& run) { return run.Create(); }
Execution& Granted(Run& run) {
  Execution& e = run.Create();
  run.Issue(e);
  return e;
}
Execution& GrantedAgain(Run& run) {
  Execution& e = run.Interrupted();
  run.Issue(e);
  return e;
}
Execution& Leased(Run& run) { return run.Leased(); }
Execution& Lost(Run& run) { return run.RevokedOne(); }
Execution& GrantedForReclaim(Run& run) {
  Execution& e = run.RevokedOne();
  run.IssueReclaim(e, {.worker = kWorker1});
  return e;
}
Execution& Suspended(Run& run) {
  Execution& e = run.Leased();
  run.Suspend(e);
  return e;
}

// ---- arguments -----------------------------------------------------------------------

// Where an argument that was taken can be seen.
enum class Seen : std::uint8_t {
  kNowhere,
  kAlways,   // a sorted set has the time, or the end of the duration
  kIfAhead,  // only if that lies ahead
};

struct Argument {
  const char* name;
  const char* function;
  std::size_t place;  // in ARGV
  enum : std::uint8_t { kDuration, kTime } type;
  Execution& (*ready)(Run& run);
  RawCall (*call)(Run& run, const Execution& e);
  Seen seen = Seen::kNowhere;
  std::string (*set)(const Expected& e) = nullptr;
};

std::string LeaseExpiry(const Expected& e) { return e.IndexKey("lease_expiry"); }
std::string Timeouts(const Expected& e) { return e.IndexKey("attempt_timeout"); }
std::string Deadlines(const Expected& e) { return e.IndexKey("execution_deadline"); }
std::string SuspensionTimeouts(const Expected& e) { return e.IndexKey("suspension_timeout"); }
std::string Delayed(const Expected& e) { return e.LaneKey("delayed"); }

RawCall Create(Run&, const Execution& e) { return RawCreate(e); }
RawCall CreateDelayed(Run&, const Execution& e) { return RawCreate(e, {.delay = "1"}); }
RawCall CreateKeyed(Run& run, const Execution& e) {
  return RawCreate(e, {.idempotency = run.Name("key")});
}
RawCall Issue(Run& run, const Execution& e) { return RawIssue(run, e); }
RawCall IssueReclaim(Run& run, const Execution& e) { return RawIssueReclaim(run, e); }
RawCall Claim(Run& run, const Execution& e) { return RawClaim(run, e); }
RawCall ClaimResumed(Run& run, const Execution& e) { return RawClaimResumed(run, e); }
RawCall FusedClaim(Run& run, const Execution& e) { return RawFusedClaim(run, e); }
RawCall Renew(Run&, const Execution& e) { return RawRenew(e); }
RawCall Suspend(Run& run, const Execution& e) {
  InstallSecret(run, e);
  return RawSuspend(run, e, run.Name("wp"));
}

constexpr auto kDuration = Argument::kDuration;
constexpr auto kTime = Argument::kTime;

const Argument kArguments[] = {
    {"delay_until", "ff_create_execution", 8, kTime, New, CreateDelayed, Seen::kIfAhead, Delayed},
    {"dedup_ttl_ms", "ff_create_execution", 9, kDuration, New, CreateKeyed},
    {"deadline", "ff_create_execution", 11, kTime, New, Create, Seen::kAlways, Deadlines},
    {"ttl", "ff_issue_claim_grant", 5, kDuration, Created, Issue},
    {"ttl", "ff_claim_execution", 6, kDuration, Granted, Claim, Seen::kAlways, LeaseExpiry},
    {"renew before", "ff_claim_execution", 7, kDuration, Granted, Claim},
    {"timeout", "ff_claim_execution", 10, kDuration, Granted, Claim, Seen::kAlways, Timeouts},
    {"deadline", "ff_claim_execution", 11, kTime, Granted, Claim, Seen::kAlways, Deadlines},
    {"ttl", "ff_claim_resumed_execution", 6, kDuration, GrantedAgain, ClaimResumed, Seen::kAlways,
     LeaseExpiry},
    {"timeout", "ff_claim_resumed_execution", 7, kDuration, GrantedAgain, ClaimResumed,
     Seen::kIfAhead, Timeouts},
    {"ttl", "ff_issue_grant_and_claim", 6, kDuration, Created, FusedClaim, Seen::kAlways,
     LeaseExpiry},
    {"timeout", "ff_issue_grant_and_claim", 9, kDuration, Created, FusedClaim, Seen::kAlways,
     Timeouts},
    {"deadline", "ff_issue_grant_and_claim", 10, kTime, Created, FusedClaim, Seen::kAlways,
     Deadlines},
    {"ttl", "ff_renew_lease", 5, kDuration, Leased, Renew, Seen::kAlways, LeaseExpiry},
    {"grace", "ff_renew_lease", 6, kDuration, Leased, Renew},
    {"ttl", "ff_issue_reclaim_grant", 5, kDuration, Lost, IssueReclaim},
    {"ttl", "ff_reclaim_execution", 5, kDuration, GrantedForReclaim, RawReclaim, Seen::kAlways,
     LeaseExpiry},
    {"timeout_at", "ff_suspend_execution", 10, kTime, Leased, Suspend, Seen::kAlways,
     SuspensionTimeouts},
    {"delay", "ff_resume_execution", 2, kDuration, Suspended, RawResume, Seen::kIfAhead, Delayed},
};

// ---- the scenario ----------------------------------------------------------------------

// Returns the answer's first two texts.
std::string MadeWith(Run& run, const Argument& argument, const Execution& e,
                     const std::string& text) {
  RawCall call = argument.call(run, e);
  call.args[argument.place] = text;
  const std::string answer = FirstTexts(run.store().Call(argument.function, call.keys, call.args));
  for (const std::string& key : call.keys) {
    if (key.starts_with("ff:sec:") || key.starts_with("ff:idem:")) run.store().Delete(key);
  }
  return answer;
}

void CheckSeen(Run& run, const Argument& argument, const Execution& e, const std::string& text,
               const std::string& what) {
  const double now =
      std::stod(run.store().Hash(e.expected.ExecutionKey("core")).at("last_mutation_at"));
  const double number = std::strtod(text.c_str(), nullptr);
  const double time = argument.type == kTime ? number : now + number;
  const bool expected = argument.seen == Seen::kAlways || time > now;
  const auto score = run.store().Score(argument.set(e.expected), e.expected.id);
  run.CheckEqual(what + ", its set", expected ? "has its time" : "has it not",
                 score == time ? "has its time" : "has it not");
}

// A duration keeps its limits and a time its own, whichever call it is an argument of. A refusal
// changes nothing.
void EachArgumentHasItsLimits(Run& run) {
  for (const Argument& argument : kArguments) {
    const std::string name = std::string(argument.function) + ", " + argument.name + " ";
    Execution* refused = nullptr;
    for (const testing::NumberTextRow& row : testing::kNumberTextRows) {
      const std::string text(row.text);
      const std::string what = name + text;
      if (argument.type == kTime ? row.is_time : row.is_duration) {
        Execution& e = argument.ready(run);
        run.CheckEqual(what, "1 OK", MadeWith(run, argument, e, text));
        if (argument.set != nullptr) CheckSeen(run, argument, e, text, what);
        continue;
      }
      // The reference takes some of these, and fails on others after its first write
      // (functions/README.md). A dedup ttl that is no number says that there is none.
      if (run.engine().library() == "flowfabric") continue;
      if (text == "soon" && std::string(argument.name) == "dedup_ttl_ms") continue;
      if (refused == nullptr) refused = &argument.ready(run);
      run.CheckEqual(what, "0 invalid_input", MadeWith(run, argument, *refused, text));
      run.CheckStored(*refused);
    }
  }
}

}  // namespace

void AddFunctionLimitScenarios(std::vector<Scenario>& to) {
  to.push_back({"9.5", "each_argument_has_its_limits", EachArgumentHasItsLimits, kStoredKeys});
}

}  // namespace ffgrant::claims_conformance
