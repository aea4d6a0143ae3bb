// SPDX-License-Identifier: Apache-2.0

#include "testing/scenarios/differential.h"

#include <optional>
#include <random>

#include "ffgrant/claims/clock.h"
#include "testing/calls/call_generator.h"
#include "testing/calls/driver.h"
#include "testing/model/model_ledger.h"

namespace ffgrant::claims_conformance {
namespace {

using testing::Answer;
using testing::Call;
using testing::CallGenerator;
using testing::Choices;
using testing::Describe;
using testing::Driver;

// Replaces `time` by its distance from `from`, if both are there: the clocks of engine and model
// may differ.
void Since(std::optional<TimestampMs>& time, const std::optional<TimestampMs>& from) {
  if (time.has_value() && from.has_value()) time->value -= from->value;
}

std::optional<ExecutionState> WithoutClock(std::optional<ExecutionState> state) {
  if (!state.has_value()) return state;
  const auto erase = [](std::optional<TimestampMs>& time) {
    if (time.has_value()) time->value = 0;
  };
  Since(state->grant_expires_at, state->grant_created_at);
  // The expiry and the deadline are computed from the last renewal, which is the time of the
  // acquisition as long as the lease was never renewed.
  const std::optional<TimestampMs> renewed = state->lease_last_renewed_at;
  if (renewed.has_value()) {
    Since(state->lease_expires_at, renewed);
    Since(state->lease_renewal_deadline, renewed);
  } else {
    erase(state->lease_expires_at);
    erase(state->lease_renewal_deadline);
  }
  erase(state->lease_acquired_at);
  erase(state->lease_last_renewed_at);
  erase(state->grant_created_at);
  erase(state->delay_until);
  erase(state->last_capability_mismatch_at);
  state->created_at = {};
  return state;
}

Answer WithoutClock(Answer answer) {
  if (answer.expires_at) answer.expires_at = TimestampMs{};
  if (answer.retry_at) answer.retry_at = TimestampMs{};
  if (answer.lease) answer.lease->expires_at = {};
  return answer;
}

Choices ChoicesOf(Run& run) {
  using K = testing::CallKind;
  Choices choices;
  choices.kinds = {
      K::kCreate,       K::kCreate,       K::kCreate,       K::kIssue,        K::kIssue,
      K::kIssue,        K::kIssue,        K::kIssue,        K::kIssueReclaim, K::kIssueReclaim,
      K::kIssueReclaim, K::kClaim,        K::kClaim,        K::kClaim,        K::kClaim,
      K::kClaim,        K::kClaimResumed, K::kClaimResumed, K::kReclaim,      K::kReclaim,
      K::kReclaim,      K::kRenew,        K::kRenew,        K::kMarkExpired,  K::kMarkExpired,
      K::kRevoke,       K::kRevoke,       K::kSuspend,      K::kSuspend,      K::kResume,
      K::kResume,       K::kComplete,     K::kFail};
  // Two of the executions are in one partition.
  Execution& first = run.New();
  for (const Execution* execution : {&first, &run.New(&first), &run.New()}) {
    choices.executions.push_back({execution->expected.id, execution->expected.lane});
  }
  for (const Worker& worker : {kWorker1, kWorker1Other, kWorker2}) {
    const Worker named = run.Named(worker);
    choices.workers.push_back({named.id, named.instance});
  }
  choices.lanes = {run.Name("other-lane")};
  choices.claims_in_own_lane = true;  // differences.cc has the reason
  // The tokens come from the contract's whole grammar. A hyphen and a percent sign are special to
  // code that matches Lua patterns.
  const auto all = Choices::Set("us-east-1,caf\xC3\xA9,a%b");
  choices.required = {nullptr, nullptr, Choices::Set("a%b,us-east-1")};
  choices.offered = {nullptr, Choices::Set("us-east-1"), all, all, all, all};
  choices.priorities = {0, 4501, 9002};
  choices.retries = {std::nullopt, RetryPolicy{.max_retries = 1},
                     RetryPolicy{.backoff = RetryPolicy::Backoff::kFixed, .delay_ms = kLong}};
  choices.delay_ms = choices.ttl_ms = kLong;
  choices.odd_ttl_one_in = 4;
  choices.odd_ttls = {0, -1, -2, 0, -1, -2, 0, -1, -2, -1, kMaxTtlMs + 1, -kMaxTtlMs - 1};
  return choices;
}

class Differential {
 public:
  Differential(Engine& engine, std::string prefix, std::uint64_t seed)
      : engine_(engine),
        run_(engine, std::move(prefix)),
        clock_(TimestampMs{engine.Now()}),
        model_(clock_, PartitionConfig{}),
        generator_(
            [random = std::mt19937_64(seed)](std::uint32_t bound) mutable {
              return std::uniform_int_distribution<std::uint32_t>(0, bound - 1)(random);
            },
            ChoicesOf(run_), clock_),
        driver_([this](const Call& call) { return MakeHere(call); },
                {testing::SameAs(
                     "the model", [this](const Call& call) { return Make(model_, call); },
                     [](Answer answer) { return WithoutClock(std::move(answer)); }),
                 [this](const Call&, const Answer&) { return StoredDifference(); }}) {}

  DifferentialResult Go(std::size_t calls) {
    DifferentialResult result;
    std::string history;
    std::string problem;
    try {
      for (; result.calls < calls && driver_.problem().empty(); ++result.calls) {
        const Call call = generator_.Next();
        const Answer answer = driver_.Do(call);
        generator_.Learn(call, answer);
        result.taken += answer.ok() ? 1 : 0;
        history += "\n    " + Describe(call) + " -> " + Describe(answer);
      }
      problem = driver_.problem();
    } catch (const std::runtime_error& error) {
      problem = std::string("stopped: ") + error.what();
    }
    if (!problem.empty()) result.problem = problem + "\n  after" + history;
    result.executions = run_.executions();
    return result;
  }

 private:
  Answer MakeHere(const Call& call) {
    clock_.Set({engine_.Now()});
    return Make(engine_.ledger(), call);
  }

  std::string StoredDifference() {
    const ExecutionIdView id = generator_.target();
    const auto state = WithoutClock(engine_.ledger().Inspect(id));
    if (const auto models = WithoutClock(model_.Inspect(id)); state != models) {
      return "state\n    model  " + Describe(models) + "\n    engine " + Describe(state);
    }
    const auto names = engine_.ledger().InspectNames(id);
    if (const auto models = model_.InspectNames(id); names != models) {
      return "names\n    model  " + Describe(models) + "\n    engine " + Describe(names);
    }
    return engine_.store() == nullptr ? std::string() : LeaseSetDifference(id);
  }

  // No ledger shows the sets of leases. From the claim on, an execution is in the set of the
  // instance that holds it, and in no other set; it stays there when its lease expires, but not
  // when the lease is revoked (contract 7.2, 7.5, 7.6).
  std::string LeaseSetDifference(const ExecutionIdView& id) {
    const auto state = model_.Inspect(id);
    const auto names = model_.InspectNames(id);
    const bool held =
        state && state->lifecycle_phase == "active" && state->ownership_state != "lease_revoked";
    const Expected keys(std::string(id.text()), "");
    Wanted wanted;
    wanted.hashes.push_back(keys.ExecutionKey("core"));  // says which node to ask
    for (const Worker& worker : {kWorker1, kWorker1Other, kWorker2}) {
      wanted.members.emplace_back(keys.WorkerLeasesKey(run_.Named(worker).instance), keys.id);
    }
    for (const auto& [place, stored] : engine_.store()->Read(wanted).members) {
      const bool expected =
          held && place.first == keys.WorkerLeasesKey(names->current_worker_instance_id);
      if (stored == expected) continue;
      return place.first + (stored ? " has the execution, which is not its instance's"
                                   : " lacks the execution, which is its instance's");
    }
    return {};
  }

  Engine& engine_;
  Run run_;
  ManualClock clock_;
  testing::ModelLedger model_;
  CallGenerator generator_;
  Driver driver_;
};

}  // namespace

DifferentialResult RunDifferential(Engine& engine, const std::string& prefix, std::uint64_t seed,
                                   std::size_t calls) {
  engine.BeginScenario();
  try {
    return Differential(engine, prefix, seed).Go(calls);
  } catch (const std::runtime_error& error) {  // before the first call
    DifferentialResult result;
    result.problem = std::string("stopped: ") + error.what();
    return result;
  }
}

}  // namespace ffgrant::claims_conformance
