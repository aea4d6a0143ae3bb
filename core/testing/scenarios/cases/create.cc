// SPDX-License-Identifier: Apache-2.0
//
// Tests the creation of executions: valkey-functions.md sections 2 to 4, contract 3 (scores).

#include "testing/scenarios/run.h"
#include "testing/scenarios/scenario.h"

namespace ffgrant::claims_conformance {
namespace {

void StoresARunnableExecution(Run& run) { run.Create(); }

void PriorityIsClampedAndOrders(Run& run) {
  for (const std::int64_t priority : {0, 1, 8999, 9000, 9001, 1'000'000, -1}) {
    run.Create({.priority = priority});
  }
}

void RequirementsAreStored(Run& run) {
  run.Create({.required = "arm,gpu"});
  run.Create({.required = ""});
}

void DelayMustLieAhead(Run& run) {
  const std::int64_t now = run.engine().Now();
  run.Create({.delay_until = TimestampMs{now + kLong}});
  run.Create({.delay_until = TimestampMs{now - 1}});
  run.Create({.delay_until = TimestampMs{now}});
}

// `delay_until` is a time, and no sum is computed from it, so every value is allowed.
void DelaysReachAsFarAsTheirType(Run& run) {
  for (const std::int64_t time : {kMaxTtlMs, kMaxTtlMs + 1, std::int64_t{100'000'000'000'000},
                                  std::int64_t{1} << 53, INT64_MAX - 1, INT64_MAX}) {
    run.Create({.delay_until = TimestampMs{time}});
    run.Create({.delay_until = TimestampMs{-time}});
  }
  run.Create({.delay_until = TimestampMs{INT64_MIN}});
}

void CreatingAgainChangesNothing(Run& run) {
  Execution& e = run.Create({.priority = 3});
  run.CreateAgain(e, {.priority = 7, .required = "gpu", .lane = run.Name("other-lane")});
  run.CreateAgain(e, {.delay_until = TimestampMs{run.engine().Now() + kLong}, .cap = 0});
  Execution& leased = run.Leased();
  run.CreateAgain(leased, {});
}

CreateOutcome CreateBadly(Run& run, std::string_view id, std::string_view lane,
                          ErrorDetails& details) {
  CreateExecutionArgs args;
  args.execution_id = ParseExecutionId(id, ParseMode::kLenient).id;
  args.lane = LaneIdView::Unchecked(lane);
  return run.ledger().CreateExecution(args, &details);
}

void BadIdsAndLanesAreRefused(Run& run) {
  Execution& e = run.New();
  const std::string long_lane(65, 'x');
  const std::string alias = "{fp:+1}" + e.expected.id.substr(e.expected.id.find("}:") + 1);
  const std::string outside = "{fp:" + std::to_string(run.engine().partition_count()) + "}" +
                              e.expected.id.substr(e.expected.id.find("}:") + 1);
  const struct {
    std::string_view id;
    std::string_view lane;
    std::string_view detail;
  } kBad[] = {{alias, e.lane(), "execution_id is not canonical"},
              {outside, e.lane(), "partition index is out of range"},
              {e.expected.id, "", "lane_id is empty"},
              {e.expected.id, long_lane, "lane_id exceeds 64 bytes (got 65)"},
              {e.expected.id, "a\x7F", "lane_id contains non-ASCII-printable byte at index 1"}};
  for (const auto& bad : kBad) {
    ErrorDetails details;
    const CreateOutcome outcome = CreateBadly(run, bad.id, bad.lane, details);
    run.CheckEqual("error for " + std::string(bad.detail), "invalid_input",
                   std::string(ErrorName(outcome.error)));
    run.CheckEqual("detail", std::string(bad.detail),
                   details.size() == 1 ? std::string(details[0]) : "");
  }
  run.CheckStored(e);
}

void EligibleOrderIsByPriorityThenAge(Run& run) {
  // The scheduler chooses the head of the set (contract 3, 7.1).
  Execution& first = run.Create({.priority = 1});
  run.Pass(2);
  Execution& second = run.Create({.priority = 1}, &first);
  run.Pass(2);
  Execution& urgent = run.Create({.priority = 2}, &first);
  ClaimForWorkerArgs args;
  const Worker worker = run.Named(kWorker1);
  args.worker = {{worker.id}, {worker.instance}};
  args.lane = LaneIdView::Unchecked(first.lane());
  args.grant_ttl_ms = kLong;
  for (Execution* expected : {&urgent, &first, &second}) {
    const ClaimForWorkerOutcome outcome = run.ledger().ClaimForWorker(args);
    run.CheckEqual("chosen", expected->expected.id,
                   outcome ? std::string(outcome.grant.view().execution_id.text())
                           : std::string(ErrorName(outcome.error)));
    if (!outcome) return;
    ErrorDetails details;
    const ClaimOutcome claimed = run.ledger().Claim(
        {expected->id(), args.worker, args.lane, {run.NextUuid()}, kLong, {run.NextUuid()}},
        &details);
    run.CheckEqual("claim", "none", std::string(ErrorName(claimed.error)));
  }
  run.CheckEqual("when nothing is left", "no_eligible_execution",
                 std::string(ErrorName(run.ledger().ClaimForWorker(args).error)));
}

}  // namespace

void AddCreateScenarios(std::vector<Scenario>& to) {
  to.push_back({"F2", "create_stores_a_runnable_execution", StoresARunnableExecution});
  to.push_back({"F2", "create_clamps_the_priority", PriorityIsClampedAndOrders});
  to.push_back({"F2", "create_stores_requirements", RequirementsAreStored});
  to.push_back({"F2", "create_delays_only_into_the_future", DelayMustLieAhead});
  to.push_back({"F2", "create_delays_as_far_as_a_time_reaches", DelaysReachAsFarAsTheirType});
  to.push_back({"F2", "create_again_changes_nothing", CreatingAgainChangesNothing});
  to.push_back({"F2", "create_refuses_bad_ids_and_lanes", BadIdsAndLanesAreRefused});
  to.push_back({"3", "eligible_order_is_by_priority_then_age", EligibleOrderIsByPriorityThenAge});
}

}  // namespace ffgrant::claims_conformance
