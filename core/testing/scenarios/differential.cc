// SPDX-License-Identifier: Apache-2.0

#include "testing/scenarios/differential.h"

#include <array>
#include <optional>
#include <random>
#include <vector>

#include "ffgrant/claims/clock.h"
#include "testing/calls/describe.h"
#include "testing/model/model_ledger.h"

namespace ffgrant::claims_conformance {
namespace {

using testing::Describe;

// `time` after `from`, so that clocks don't matter.
void Since(std::optional<TimestampMs>& time, const std::optional<TimestampMs>& from) {
  if (time.has_value() && from.has_value()) time->value -= from->value;
}

std::optional<ExecutionState> WithoutClock(std::optional<ExecutionState> state) {
  if (!state.has_value()) return state;
  const auto erase = [](std::optional<TimestampMs>& time) {
    if (time.has_value()) time->value = 0;
  };
  Since(state->grant_expires_at, state->grant_created_at);
  // An acquired lease that was never renewed has its times from one moment.
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

std::string WithoutClock(ClaimOutcome outcome) {
  outcome.lease.expires_at = {};
  return Describe(outcome);
}
std::string WithoutClock(const IssueOutcome& outcome) {
  return std::string(ErrorName(outcome.error));
}
std::string WithoutClock(const RenewOutcome& outcome) {
  return std::string(ErrorName(outcome.error));
}
template <class T>
std::string WithoutClock(const T& outcome) {
  return Describe(outcome);
}

class Differential {
 public:
  Differential(Engine& engine, std::string prefix, std::uint64_t seed)
      : engine_(engine),
        run_(engine, std::move(prefix)),
        random_(seed),
        clock_(TimestampMs{engine.Now()}),
        model_(clock_, PartitionConfig{}) {
    // Two of them beside each other.
    Execution& first = run_.New();
    executions_ = {&first, &run_.New(&first), &run_.New()};
    past_.resize(executions_.size());
  }

  DifferentialResult Go(std::size_t calls) {
    for (; result_.calls < calls && result_.problem.empty(); ++result_.calls) Step();
    result_.executions = run_.executions();
    return result_;
  }

 private:
  std::uint32_t Choose(std::uint32_t bound) {
    return std::uniform_int_distribution<std::uint32_t>(0, bound - 1)(random_);
  }
  bool OneIn(std::uint32_t n) { return Choose(n) == 0; }

  // `call` on both, and everything compared. The engine's outcome.
  template <class Call>
  auto Both(const char* operation, const Call& call) {
    clock_.Set({engine_.Now()});
    const auto actual = call(engine_.ledger(), &actual_details_);
    const auto expected = call(static_cast<ClaimLedger&>(model_), &model_details_);
    result_.taken += static_cast<bool>(expected) ? 1 : 0;
    Compare(operation, WithDetails(WithoutClock(expected), model_details_),
            WithDetails(WithoutClock(actual), actual_details_));
    actual_details_.clear();
    model_details_.clear();
    const ExecutionIdView id = executions_[target_]->id();
    Compare("state", Describe(WithoutClock(model_.Inspect(id))),
            Describe(WithoutClock(engine_.ledger().Inspect(id))));
    Compare("names", Describe(model_.InspectNames(id)),
            Describe(engine_.ledger().InspectNames(id)));
    return actual;
  }

  static std::string WithDetails(std::string text, const ErrorDetails& details) {
    for (std::size_t i = 0; i < details.size(); ++i) text += " [" + std::string(details[i]) + "]";
    return text;
  }

  void Compare(const std::string& what, const std::string& expected, const std::string& actual) {
    if (what != "state" && what != "names") history_ += "\n    " + what + ": " + expected;
    if (expected == actual || !result_.problem.empty()) return;
    result_.problem =
        what + "\n    model  " + expected + "\n    engine " + actual + "\n  after" + history_;
  }

  WorkerIdentity ChooseWorker() {
    worker_ = run_.Named(std::array{kWorker1, kWorker1Other, kWorker2}[Choose(3)]);
    return {{worker_.id}, {worker_.instance}};
  }
  std::int64_t ChooseTtl() {
    if (OneIn(24)) return OneIn(2) ? kMaxTtlMs + 1 : -kMaxTtlMs - 1;
    return OneIn(4) ? -std::int64_t{Choose(3)} : kLong + Choose(5);
  }
  OptionalFence ChooseFence() {
    const std::vector<LeaseFence>& past = past_[target_];
    OptionalFence fence = LeaseFence{{run_.NextUuid()}, {1}, {run_.NextUuid()}};
    if (!past.empty()) {
      const auto count = static_cast<std::uint32_t>(past.size());
      fence = past[OneIn(6) ? Choose(count) : count - 1];
    }
    switch (Choose(16)) {
      case 0:
        return {};
      case 1:
        fence.lease_id.reset();
        break;
      case 2:
        fence.attempt_id.reset();
        break;
      case 3:
        fence.lease_epoch->value += 1;
        break;
      case 4:
        fence.attempt_id = AttemptId{run_.NextUuid()};
        break;
      default:
        break;
    }
    return fence;
  }
  void Keep(const ClaimOutcome& outcome) {
    if (outcome) past_[target_].push_back(outcome.lease.fence);
  }

  void Step();
  void Create(const ExecutionIdView& id, LaneIdView lane);
  void Issue(const ExecutionIdView& id, LaneIdView lane, bool reclaim);
  void Lease(const ExecutionIdView& id, LaneIdView lane, std::uint32_t kind);
  void Let(const ExecutionIdView& id, std::uint32_t kind);

  Engine& engine_;
  Run run_;
  std::mt19937_64 random_;
  ManualClock clock_;
  testing::ModelLedger model_;
  std::vector<Execution*> executions_;
  std::vector<std::vector<LeaseFence>> past_;  // leases of each, the last one last
  std::size_t target_ = 0;
  Worker worker_;
  ErrorDetails actual_details_;
  ErrorDetails model_details_;
  std::string history_;
  DifferentialResult result_;
};

void Differential::Create(const ExecutionIdView& id, LaneIdView lane) {
  CapabilitySet required;
  static_cast<void>(required.AssignOfferedCsv("arm,gpu"));
  CreateExecutionArgs args;
  args.execution_id = id;
  args.lane = lane;
  args.priority = Choose(3) * 4501;
  if (OneIn(3)) args.required = &required;
  if (OneIn(8)) args.delay_until = TimestampMs{engine_.Now() + kLong};
  if (OneIn(3)) args.max_reclaim_count = Choose(3);
  Both("create", [&](ClaimLedger& ledger, ErrorDetails* details) {
    return ledger.CreateExecution(args, details);
  });
}

void Differential::Issue(const ExecutionIdView& id, LaneIdView lane, bool reclaim) {
  CapabilitySet offered;
  static_cast<void>(offered.AssignOfferedCsv(OneIn(4) ? "gpu" : "gpu,big,arm"));
  const std::string other = run_.Name("other-lane");
  IssueGrantArgs args;
  args.execution_id = id;
  args.worker = ChooseWorker();
  args.lane = OneIn(8) ? LaneIdView::Unchecked(other) : lane;
  args.grant_ttl_ms = ChooseTtl();
  if (!OneIn(6)) args.offered = &offered;
  args.capability_hash = OneIn(2) ? "" : "hash";
  args.route_snapshot_json = OneIn(2) ? "" : "{}";
  args.admission_summary = OneIn(2) ? "" : "admitted";
  Both(reclaim ? "issue_reclaim" : "issue", [&](ClaimLedger& ledger, ErrorDetails* details) {
    return reclaim ? ledger.IssueReclaimGrant(args, details)
                   : ledger.IssueClaimGrant(args, details);
  });
}

void Differential::Lease(const ExecutionIdView& id, LaneIdView lane, std::uint32_t kind) {
  const WorkerIdentity worker = ChooseWorker();
  const std::int64_t ttl = ChooseTtl();
  const LeaseId lease_id = {run_.NextUuid()};
  const AttemptId attempt_id = {run_.NextUuid()};
  std::optional<std::uint32_t> cap;
  if (OneIn(4)) cap = Choose(3);
  if (kind == 0) {
    Keep(Both("claim", [&](ClaimLedger& ledger, ErrorDetails* details) {
      return ledger.Claim({id, worker, lane, lease_id, ttl, attempt_id}, details);
    }));
  } else if (kind == 1) {
    Keep(Both("claim_resumed", [&](ClaimLedger& ledger, ErrorDetails* details) {
      return ledger.ClaimResumed({id, worker, lane, lease_id, ttl}, details);
    }));
  } else {
    Keep(Both("reclaim", [&](ClaimLedger& ledger, ErrorDetails* details) {
      return ledger.Reclaim({id, worker, lane, lease_id, ttl, attempt_id, cap}, details);
    }));
  }
}

void Differential::Let(const ExecutionIdView& id, std::uint32_t kind) {
  const OptionalFence fence = ChooseFence();
  const std::int64_t ttl = ChooseTtl();
  const auto state = model_.Inspect(id);
  const AttemptIndex index =
      OneIn(8) || !state.has_value() ? AttemptIndex{Choose(3)} : state->current_attempt_index;
  const std::optional<LeaseId> expected = OneIn(3) ? fence.lease_id : std::optional<LeaseId>();
  const bool override_fence = OneIn(6);
  const std::int64_t delay = OneIn(6) ? kLong : 0;
  switch (kind) {
    case 0:
      Both("renew", [&](ClaimLedger& ledger, ErrorDetails* details) {
        return ledger.Renew({id, index, fence, ttl}, details);
      });
      break;
    case 1:
      Both("mark_expired",
           [&](ClaimLedger& ledger, ErrorDetails*) { return ledger.MarkLeaseExpiredIfDue(id); });
      break;
    case 2:
      Both("revoke", [&](ClaimLedger& ledger, ErrorDetails* details) {
        return ledger.Revoke({id, expected}, details);
      });
      break;
    case 3:
      static_cast<void>(Both("suspend", [&](ClaimLedger& ledger, ErrorDetails* details) {
        return ledger.Suspend({id, fence}, details);
      }));
      break;
    case 4:
      Both("resume", [&](ClaimLedger& ledger, ErrorDetails* details) {
        return ledger.Resume({id, delay}, details);
      });
      break;
    default:
      static_cast<void>(Both("complete", [&](ClaimLedger& ledger, ErrorDetails* details) {
        return ledger.Complete({id, fence, override_fence}, details);
      }));
      break;
  }
}

void Differential::Step() {
  target_ = Choose(static_cast<std::uint32_t>(executions_.size()));
  const ExecutionIdView id = executions_[target_]->id();
  const LaneIdView lane = LaneIdView::Unchecked(executions_[target_]->lane());
  const std::uint32_t choice = Choose(32);
  if (choice < 3) {
    Create(id, lane);
  } else if (choice < 8) {
    Issue(id, lane, false);
  } else if (choice < 11) {
    Issue(id, lane, true);
  } else if (choice < 16) {
    Lease(id, lane, 0);
  } else if (choice < 18) {
    Lease(id, lane, 1);
  } else if (choice < 21) {
    Lease(id, lane, 2);
  } else if (choice < 31) {
    static constexpr std::uint32_t kKinds[] = {0, 0, 1, 1, 2, 3, 3, 4, 4, 2};
    Let(id, kKinds[choice - 21]);
  } else {
    Let(id, 5);
  }
}

}  // namespace

DifferentialResult RunDifferential(Engine& engine, const std::string& prefix, std::uint64_t seed,
                                   std::size_t calls) {
  engine.BeginScenario();
  return Differential(engine, prefix, seed).Go(calls);
}

}  // namespace ffgrant::claims_conformance
