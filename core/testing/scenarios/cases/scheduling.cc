// SPDX-License-Identifier: Apache-2.0
//
// Tests the scheduler's choice, which claim_ledger.h describes at ClaimForWorker(). The order of
// choice is that of contract 3. Contract 7.1 says what FlowFabric's scheduler does; ours also looks
// at the executions behind the head.

#include <memory>
#include <set>
#include <string>

#include "testing/scenarios/run.h"
#include "testing/scenarios/scenario.h"

namespace ffgrant::claims_conformance {
namespace {

// Makes a scheduler's calls for one worker and lane.
class Scheduler {
 public:
  Scheduler(Run& run, const Execution& first, const Worker& worker = kWorker1)
      : run_(run), worker_(run.Named(worker)), lane_(first.lane()) {}

  ClaimForWorkerOutcome Call(std::uint16_t max_partitions = kAllPartitions,
                             std::int64_t ttl_ms = kLong, const char* offered = nullptr) {
    CapabilitySet set;
    ClaimForWorkerArgs args;
    args.worker = {{worker_.id}, {worker_.instance}};
    args.lane = LaneIdView::Unchecked(lane_);
    args.grant_ttl_ms = ttl_ms;
    args.max_partitions = max_partitions;
    if (offered != nullptr) {
      run_.Check("capabilities", set.AssignOfferedCsv(offered) == CapabilityError::kNone);
      args.offered = &set;
    }
    return run_.ledger().ClaimForWorker(args);
  }
  // Returns the chosen id, or the error that says why there is none.
  std::string Next(std::int64_t ttl_ms = kLong, const char* offered = nullptr) {
    const ClaimForWorkerOutcome outcome = Call(kAllPartitions, ttl_ms, offered);
    return outcome ? std::string(outcome.grant.view().execution_id.text())
                   : std::string(ErrorName(outcome.error));
  }
  void Expect(const Execution& e, std::int64_t ttl_ms = kLong, const char* offered = nullptr) {
    run_.CheckEqual("chosen", e.expected.id, Next(ttl_ms, offered));
  }
  void ExpectNothing(const char* offered = nullptr) {
    const ClaimForWorkerOutcome outcome = Call(kAllPartitions, kLong, offered);
    run_.CheckEqual("when nothing is left", "no_eligible_execution",
                    std::string(ErrorName(outcome.error)));
    run_.Check("all partitions seen", outcome.saw_all());
    run_.CheckEqual("partitions", std::to_string(run_.engine().partition_count()),
                    std::to_string(outcome.partitions));
    run_.CheckEqual("unreachable", "0", std::to_string(outcome.partitions_unreachable));
  }

 private:
  Run& run_;
  const Worker worker_;
  const std::string lane_;
};

// Creates executions in one partition and lane. Returns them in the order in which they must be
// chosen.
std::vector<Execution*> CreateInOrder(Run& run, std::size_t count) {
  std::vector<Execution*> all;
  for (std::size_t i = 0; i < count; ++i) {
    all.push_back(&run.Create({.priority = 9 - static_cast<std::int64_t>(i)},
                              all.empty() ? nullptr : all.front()));
  }
  return all;
}

void OneGrantHoldsUpNobody(Run& run) {
  const std::vector<Execution*> all = CreateInOrder(run, 5);
  Scheduler scheduler(run, *all[0]);
  for (const Execution* e : all) scheduler.Expect(*e);
  scheduler.ExpectNothing();
  // Other workers find nothing either.
  Scheduler(run, *all[0], kWorker2).ExpectNothing();
}

void GrantsThatOthersIssuedArePassedOver(Run& run) {
  const std::vector<Execution*> all = CreateInOrder(run, 4);
  run.Issue(*all[0], {.worker = kWorker2});
  run.Issue(*all[2], {.worker = kWorker2});
  Scheduler scheduler(run, *all[0]);
  scheduler.Expect(*all[1]);
  scheduler.Expect(*all[3]);
  scheduler.ExpectNothing();
  run.Claim(*all[0], {.worker = kWorker2});
  scheduler.ExpectNothing();
}

void AnUnusedGrantGivesItsPlaceBack(Run& run) {
  const std::vector<Execution*> all = CreateInOrder(run, 3);
  Scheduler scheduler(run, *all[0]);
  scheduler.Expect(*all[0], kShort);
  scheduler.Expect(*all[1]);
  run.Pass(kShort + 1);
  scheduler.Expect(*all[0]);
  scheduler.Expect(*all[2]);
  scheduler.ExpectNothing();
}

void RequirementsArePassedOver(Run& run) {
  Execution& gpu = run.Create({.priority = 9, .required = "gpu"});
  Execution& any = run.Create({.priority = 8}, &gpu);
  Execution& both = run.Create({.priority = 7, .required = "arm,gpu"}, &gpu);
  Execution& last = run.Create({.priority = 6}, &gpu);
  Scheduler scheduler(run, gpu);
  scheduler.Expect(any);
  scheduler.Expect(gpu, kLong, "gpu");
  scheduler.Expect(last, kLong, "gpu");
  scheduler.ExpectNothing("gpu");
  scheduler.Expect(both, kLong, "arm,gpu");
  scheduler.ExpectNothing("arm,gpu");
}

// With a ttl that is not positive no grant remains, so the head is chosen again.
void AGrantThatIsGoneAtOnceBlocksNothing(Run& run) {
  const std::vector<Execution*> all = CreateInOrder(run, 2);
  Scheduler scheduler(run, *all[0]);
  for (const std::int64_t ttl : {std::int64_t{0}, std::int64_t{-1}, -kMaxTtlMs}) {
    scheduler.Expect(*all[0], ttl);
    run.CheckStored(*all[0]);
  }
  scheduler.Expect(*all[0]);
  scheduler.Expect(*all[1]);
}

// With each of these window sizes, successive calls come round to the partition that has the lane's
// only execution. Until then they answer `nothing_in_window`, not `no_eligible_execution`.
void WindowsComeRound(Run& run) {
  const unsigned partitions = run.engine().partition_count();
  for (const unsigned window : {32u, 100u, partitions - 1u, partitions}) {
    if (window == 0 || window > partitions) continue;
    Execution& e = run.Create();
    Scheduler scheduler(run, e);
    const unsigned calls = (partitions + window - 1) / window;
    std::string found;
    for (unsigned i = 0; i < calls && found.empty(); ++i) {
      const ClaimForWorkerOutcome outcome = scheduler.Call(static_cast<std::uint16_t>(window));
      if (outcome) {
        found = outcome.grant.view().execution_id.text();
        run.Check("seen", outcome.partitions_seen >= 1 && outcome.partitions_seen <= window);
      } else {
        run.CheckEqual("outside of the window", "nothing_in_window",
                       std::string(ErrorName(outcome.error)));
        run.CheckEqual("seen", std::to_string(window), std::to_string(outcome.partitions_seen));
      }
    }
    run.CheckEqual("found", e.expected.id, found);
    const ClaimForWorkerOutcome none = scheduler.Call(static_cast<std::uint16_t>(window));
    run.CheckEqual("afterwards",
                   window < partitions ? "nothing_in_window" : "no_eligible_execution",
                   std::string(ErrorName(none.error)));
  }
}

// A partition that always has an execution to claim does not keep another partition waiting. Where
// time passes by itself, a server of a cluster may be silent for longer than one search waits for
// it. So both partitions must have been found after six searches there, after two elsewhere.
void ABusyPartitionStarvesNoOther(Run& run) {
  const std::vector<Execution*> busy = CreateInOrder(run, 8);
  Execution& other = run.New();
  if (other.expected.tag() == busy[0]->expected.tag()) return;
  // The other execution is created in the same lane, in another partition.
  CreateExecutionArgs args;
  args.execution_id = other.id();
  args.lane = LaneIdView::Unchecked(busy[0]->lane());
  run.Check("created", static_cast<bool>(run.ledger().CreateExecution(args)));
  Scheduler scheduler(run, *busy[0]);
  std::set<std::string> served;
  const int calls = run.engine().has_exact_time() ? 2 : 6;
  for (int i = 0; i < calls; ++i) served.insert(scheduler.Next());
  run.Check("the other one is among the first", served.contains(other.expected.id));
  run.Check("the busy one too", served.contains(busy[0]->expected.id));
}

void TtlsOutOfRangeAreRefused(Run& run) {
  Execution& e = run.Create();
  Scheduler scheduler(run, e);
  for (const std::int64_t ttl : {kMaxTtlMs + 1, -kMaxTtlMs - 1, INT64_MAX, INT64_MIN}) {
    run.CheckEqual("ttl out of range", "invalid_input", scheduler.Next(ttl));
  }
  run.CheckStored(e);
}

}  // namespace

void AddSchedulingScenarios(std::vector<Scenario>& to) {
  to.push_back({"7.1", "schedule_one_grant_holds_up_nobody", OneGrantHoldsUpNobody});
  to.push_back({"7.1", "schedule_passes_over_others_grants", GrantsThatOthersIssuedArePassedOver});
  to.push_back({"7.1", "schedule_again_after_the_grant", AnUnusedGrantGivesItsPlaceBack});
  to.push_back({"7.1", "schedule_passes_over_requirements", RequirementsArePassedOver});
  to.push_back({"7.1", "schedule_without_a_ttl", AGrantThatIsGoneAtOnceBlocksNothing});
  to.push_back({"7.1", "schedule_windows_come_round", WindowsComeRound});
  to.push_back({"7.1", "schedule_partitions_in_turn", ABusyPartitionStarvesNoOther});
  to.push_back({"7.1", "schedule_refuses_ttls_out_of_range", TtlsOutOfRangeAreRefused});
}

}  // namespace ffgrant::claims_conformance
