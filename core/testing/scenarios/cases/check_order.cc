// SPDX-License-Identifier: Apache-2.0
//
// Tests the order of checks by pairs. The tables below list the checks of ten functions, each in
// the contract's order. Each check has a way to make it fail that leaves alone the other checks
// with which it is paired. Whichever two of these fail, the first of them is reported, and nothing
// that is stored has changed unless that check itself writes something.

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "testing/scenarios/run.h"
#include "testing/scenarios/scenario.h"

namespace ffgrant::claims_conformance {
namespace {

namespace calls = testing::calls;
using testing::Call;

// The arguments of a call; a spoiler changes them or the store.
struct Attempted {
  std::int64_t ttl_ms = kLong;
  Worker worker = kWorker1;
  std::string offered = "gpu";
  OptionalFence fence;
  AttemptIndex attempt_index{};
  std::optional<LeaseId> expected_lease;
};

struct Check {
  const char* name;
  ClaimError error;
  std::function<void(Run&, Execution&, Attempted&)> spoil;
  const char* what = "";  // what it spoils; no two spoilers of one thing are tried together
  bool writes = false;    // whether the rejection itself changes what is stored
};

struct Function {
  const char* section;
  const char* name;
  Execution& (*prepare)(Run&);  // prepares an execution for which the call would succeed
  Attempted (*arguments)(const Execution&);
  Call (*call)(Run&, const Execution&, const Attempted&);
  std::vector<Check> checks;
};

// ---- spoilers ------------------------------------------------------------------

std::function<void(Run&, Execution&, Attempted&)> Field(const char* name, const char* value) {
  return [name, value](Run& run, Execution& e, Attempted&) {
    run.store().SetField(e.expected.ExecutionKey("core"), name, value);
  };
}
void Ttl(Run&, Execution&, Attempted& with) { with.ttl_ms = kMaxTtlMs + 1; }
void NoCore(Run& run, Execution& e, Attempted&) {
  run.store().Delete(e.expected.ExecutionKey("core"));
}
void AGrant(Run& run, Execution& e, Attempted&) {
  run.store().SetField(e.expected.ExecutionKey("claim_grant"), "worker_id", "somebody");
}
void NoGrant(Run& run, Execution& e, Attempted&) {
  run.store().Delete(e.expected.ExecutionKey("claim_grant"));
}
void AnothersGrant(Run& run, Execution& e, Attempted&) {
  run.store().SetField(e.expected.ExecutionKey("claim_grant"), "worker_id", "somebody");
}
void OldGrant(Run& run, Execution& e, Attempted&) {
  run.store().Persist(e.expected.ExecutionKey("claim_grant"));
  run.store().SetField(e.expected.ExecutionKey("claim_grant"), "grant_expires_at", "1");
}
void NotInTheSet(Run& run, Execution& e, Attempted&) {
  run.store().RemoveMember(e.expected.LaneKey("eligible"), e.expected.id);
}
void TooManyRequired(Run& run, Execution& e, Attempted&) {
  std::string tokens = "t0";
  for (int i = 1; i <= 256; ++i) tokens += ",t" + std::to_string(i);
  run.store().SetField(e.expected.ExecutionKey("core"), "required_capabilities", tokens);
}
void NothingOffered(Run&, Execution&, Attempted& with) { with.offered.clear(); }
void NoFence(Run&, Execution&, Attempted& with) { with.fence = OptionalFence(); }
void PartOfAFence(Run&, Execution&, Attempted& with) { with.fence.lease_epoch.reset(); }
void OtherLease(Run& run, Execution&, Attempted& with) {
  with.fence.lease_id = LeaseId{run.NextUuid()};
}
void OtherEpoch(Run&, Execution&, Attempted& with) { with.fence.lease_epoch = LeaseEpoch{99}; }
void OtherAttempt(Run& run, Execution&, Attempted& with) {
  with.fence.attempt_id = AttemptId{run.NextUuid()};
}
void OtherIndex(Run&, Execution&, Attempted& with) { with.attempt_index = AttemptIndex{9}; }
void OtherExpectedLease(Run& run, Execution&, Attempted& with) {
  with.expected_lease = LeaseId{run.NextUuid()};
}

// ---- calls ---------------------------------------------------------------------

Call CallIssueGrant(Run& run, const Execution& e, const Attempted& with, bool reclaim) {
  const Worker worker = run.Named(with.worker);
  CapabilitySet offered;
  static_cast<void>(offered.AssignOfferedCsv(with.offered));
  const IssueGrantArgs args = {.execution_id = e.id(),
                               .worker = {{worker.id}, {worker.instance}},
                               .lane = LaneIdView::Unchecked(e.lane()),
                               .grant_ttl_ms = with.ttl_ms,
                               .offered = &offered};
  return reclaim ? Call(calls::IssueReclaim{args}) : Call(calls::Issue{args});
}
Call CallIssue(Run& run, const Execution& e, const Attempted& with) {
  return CallIssueGrant(run, e, with, false);
}
Call CallIssueReclaim(Run& run, const Execution& e, const Attempted& with) {
  return CallIssueGrant(run, e, with, true);
}
// Makes a call that leases: Claim, Reclaim, or ClaimResumed, which has no attempt id.
template <class Kind>
Call CallLease(Run& run, const Execution& e, const Attempted& with) {
  const Worker worker = run.Named(with.worker);
  Kind call;
  call.args.execution_id = e.id();
  call.args.worker = {{worker.id}, {worker.instance}};
  call.args.lane = LaneIdView::Unchecked(e.lane());
  call.args.lease_id = {run.NextUuid()};
  call.args.lease_ttl_ms = with.ttl_ms;
  if constexpr (requires { call.args.attempt_id; }) call.args.attempt_id = {run.NextUuid()};
  return call;
}
Call CallRenew(Run&, const Execution& e, const Attempted& with) {
  return calls::Renew{{e.id(), with.attempt_index, with.fence, with.ttl_ms}};
}
Call CallRevoke(Run&, const Execution& e, const Attempted& with) {
  return calls::Revoke{{e.id(), with.expected_lease}};
}
Call CallSuspend(Run&, const Execution& e, const Attempted& with) {
  return calls::Suspend{{e.id(), with.fence}};
}
Call CallComplete(Run&, const Execution& e, const Attempted& with) {
  return calls::Complete{{e.id(), with.fence, false}};
}
Call CallFail(Run&, const Execution& e, const Attempted& with) {
  return calls::Fail{{.execution_id = e.id(), .fence = with.fence}};
}

// ---- states from which each call succeeds ------------------------------------------

Execution& Requiring(Run& run) { return run.Create({.required = "gpu"}); }
Execution& Granted(Run& run) {
  Execution& e = run.Create();
  run.Issue(e);
  return e;
}
Execution& InterruptedAndGranted(Run& run) {
  Execution& e = run.Interrupted();
  run.Issue(e);
  return e;
}
Execution& JustLeased(Run& run) { return run.Leased(); }
Execution& RevokedRequiring(Run& run) {
  Execution& e = Requiring(run);
  run.Issue(e, {.offered = "gpu"});
  run.Claim(e);
  run.Revoke(e);
  return e;
}
Execution& RevokedAndGranted(Run& run) {
  Execution& e = run.RevokedOne();
  run.IssueReclaim(e, {.worker = kWorker1});
  return e;
}
Attempted WithItsFence(const Execution& e) {
  Attempted with;
  with.fence = e.fence;
  with.attempt_index = e.attempt_index;
  with.expected_lease = e.fence.lease_id;
  return with;
}

// ---- the tables ------------------------------------------------------------------

using E = ClaimError;

const Check kTtl = {"ttl", E::kInvalidInput, Ttl};
const Check kAbsent = {"absence", E::kExecutionNotFound, NoCore};

std::vector<Check> LeaseChecks() {
  return {{"phase", E::kExecutionNotActive, Field("lifecycle_phase", "suspended")},
          {"revoked", E::kLeaseRevoked, Field("ownership_state", "lease_revoked")},
          {"expiry", E::kLeaseExpired, Field("lease_expires_at", "1"), "", true},
          {"lease id", E::kStaleLease, OtherLease},
          {"epoch", E::kStaleLease, OtherEpoch},
          {"attempt id", E::kStaleLease, OtherAttempt}};
}

std::vector<Check> Joined(std::vector<Check> first, const std::vector<Check>& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

const std::vector<Function>& Functions() {
  static const std::vector<Function> kFunctions = {
      {"7.1",
       "issue",
       Requiring,
       WithItsFence,
       CallIssue,
       {kTtl,
        kAbsent,
        {"phase", E::kExecutionNotEligible, Field("lifecycle_phase", "suspended")},
        {"eligibility", E::kExecutionNotEligible,
         Field("eligibility_state", "not_eligible_until_time")},
        {"grant", E::kGrantAlreadyExists, AGrant},
        {"set", E::kExecutionNotInEligibleSet, NotInTheSet},
        {"limits", E::kInvalidCapabilities, TooManyRequired},
        {"capabilities", E::kCapabilityMismatch, NothingOffered, "", true}}},
      {"7.2",
       "claim",
       Granted,
       WithItsFence,
       CallLease<calls::Claim>,
       {kTtl,
        kAbsent,
        {"phase", E::kExecutionNotLeaseable, Field("lifecycle_phase", "suspended")},
        {"owner", E::kLeaseConflict, Field("ownership_state", "leased")},
        {"eligibility", E::kExecutionNotLeaseable,
         Field("eligibility_state", "not_eligible_until_time")},
        {"outcome", E::kExecutionNotLeaseable, Field("terminal_outcome", "failed")},
        {"running", E::kActiveAttemptExists, Field("attempt_state", "running_attempt"), "attempt"},
        {"interrupted", E::kUseClaimResumedExecution, Field("attempt_state", "attempt_interrupted"),
         "attempt"},
        {"grant", E::kInvalidClaimGrant, NoGrant},
        {"worker", E::kInvalidClaimGrant, AnothersGrant},
        {"grant's time", E::kClaimGrantExpired, OldGrant}}},
      {"7.3",
       "claim_resumed",
       InterruptedAndGranted,
       WithItsFence,
       CallLease<calls::ClaimResumed>,
       {kTtl,
        kAbsent,
        {"phase", E::kExecutionNotLeaseable, Field("lifecycle_phase", "active")},
        {"interrupted", E::kNotAResumedExecution, Field("attempt_state", "pending_first_attempt")},
        {"grant", E::kInvalidClaimGrant, NoGrant},
        {"worker", E::kInvalidClaimGrant, AnothersGrant},
        {"grant's time", E::kClaimGrantExpired, OldGrant, "", true}}},
      {"7.4", "renew", JustLeased, WithItsFence, CallRenew,
       Joined({kTtl,
               kAbsent,
               {"fence", E::kFenceRequired, NoFence, "fence"},
               {"whole fence", E::kPartialFenceTriple, PartOfAFence, "fence"}},
              Joined(LeaseChecks(), {{"attempt index", E::kStaleLease, OtherIndex}}))},
      {"7.5",
       "revoke",
       JustLeased,
       WithItsFence,
       CallRevoke,
       {kAbsent,
        {"phase", E::kExecutionNotActive, Field("lifecycle_phase", "suspended")},
        {"owner", E::kNoActiveLease, Field("ownership_state", "unowned")},
        {"expected lease", E::kStaleLease, OtherExpectedLease}}},
      {"7.5", "suspend", JustLeased, WithItsFence, CallSuspend,
       Joined({kAbsent,
               {"whole fence", E::kPartialFenceTriple, PartOfAFence, "fence"},
               {"fence", E::kFenceRequired, NoFence, "fence"}},
              LeaseChecks())},
      {"7.6",
       "issue_reclaim",
       RevokedRequiring,
       WithItsFence,
       CallIssueReclaim,
       {kTtl,
        kAbsent,
        {"phase", E::kExecutionNotReclaimable, Field("lifecycle_phase", "suspended")},
        {"owner", E::kExecutionNotReclaimable, Field("ownership_state", "leased")},
        {"grant", E::kGrantAlreadyExists, AGrant},
        {"limits", E::kInvalidCapabilities, TooManyRequired},
        {"capabilities", E::kCapabilityMismatch, NothingOffered, "", true}}},
      {"7.6",
       "reclaim",
       RevokedAndGranted,
       WithItsFence,
       CallLease<calls::Reclaim>,
       {kTtl,
        kAbsent,
        {"phase", E::kExecutionNotReclaimable, Field("lifecycle_phase", "suspended")},
        {"owner", E::kExecutionNotReclaimable, Field("ownership_state", "leased")},
        {"cap", E::kMaxRetriesExhausted, Field("lease_reclaim_count", "1000"), "", true},
        {"grant", E::kInvalidClaimGrant, NoGrant},
        {"worker", E::kInvalidClaimGrant, AnothersGrant}}},
      {"F4", "complete", JustLeased, WithItsFence, CallComplete,
       Joined({kAbsent,
               {"whole fence", E::kPartialFenceTriple, PartOfAFence, "fence"},
               {"fence", E::kFenceRequired, NoFence, "fence"}},
              LeaseChecks())},
      {"L1", "fail", JustLeased, WithItsFence, CallFail,
       Joined({kAbsent,
               {"whole fence", E::kPartialFenceTriple, PartOfAFence, "fence"},
               {"fence", E::kFenceRequired, NoFence, "fence"}},
              LeaseChecks())}};
  return kFunctions;
}

std::string Everything(Run& run, const Execution& e) {
  const Expected& x = e.expected;
  std::string text;
  for (const char* role : {"core", "claim_grant", "lease:current", "lease:history", "attempts"}) {
    text += run.store().Describe(x.ExecutionKey(role)) + "\n";
  }
  for (const char* role : {"eligible", "delayed", "active", "suspended", "terminal"}) {
    text += run.store().Describe(x.LaneKey(role)) + "\n";
  }
  for (const Worker& worker : {kWorker1, kWorker2}) {
    text += run.store().Describe(x.WorkerLeasesKey(run.Name(worker.instance))) + "\n";
  }
  const auto expiry = run.store().Score(x.IndexKey("lease_expiry"), x.id);
  return text + run.store().Describe(x.AttemptKey(0)) + "\n" +
         (expiry.has_value() ? std::to_string(*expiry) : "none");
}

// The argument holds two indexes: that of the function, and that of the check that comes first.
void FirstOfTwoWins(Run& run) {
  const Function& function = Functions()[run.argument() / 64];
  const std::size_t first = run.argument() % 64;
  for (std::size_t second = first; second < function.checks.size(); ++second) {
    const Check& wins = function.checks[first];
    const Check& loses = function.checks[second];
    if (second != first && *wins.what != '\0' && std::string_view(wins.what) == loses.what) {
      continue;
    }
    Execution& e = function.prepare(run);
    Attempted with = function.arguments(e);
    if (second != first) loses.spoil(run, e, with);
    wins.spoil(run, e, with);
    const std::string before = Everything(run, e);
    const ClaimError error = Make(run.ledger(), function.call(run, e, with)).error;
    const std::string which =
        std::string(wins.name) + (second == first ? "" : " before " + std::string(loses.name));
    run.CheckEqual(which, std::string(ErrorName(wins.error)), std::string(ErrorName(error)));
    if (!wins.writes) run.CheckEqual(which + ": stored", before, Everything(run, e));
  }
}

}  // namespace

void AddCheckOrderScenarios(std::vector<Scenario>& to) {
  for (std::size_t i = 0; i < Functions().size(); ++i) {
    const Function& function = Functions()[i];
    for (std::size_t k = 0; k < function.checks.size(); ++k) {
      std::string name = std::string(function.name) + "_order_" + function.checks[k].name;
      for (char& c : name) {
        if (c == ' ' || c == '\'') c = '_';
      }
      to.push_back({function.section, name, FirstOfTwoWins, kStoredKeys, i * 64 + k});
    }
  }
}

}  // namespace ffgrant::claims_conformance
