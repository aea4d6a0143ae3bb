// SPDX-License-Identifier: Apache-2.0
//
// Runs scenarios on an engine and sorts the differences from the contract into reviewed differences
// and failures.

#ifndef FFGRANT_TESTING_SCENARIOS_RUNNER_H_
#define FFGRANT_TESTING_SCENARIOS_RUNNER_H_

#include <deque>
#include <span>
#include <string>
#include <vector>

#include "testing/scenarios/differences.h"
#include "testing/scenarios/engine.h"
#include "testing/scenarios/run.h"
#include "testing/scenarios/scenario.h"

namespace ffgrant::claims_conformance {

struct ScenarioResult {
  bool left_out = false;              // the engine can't do what the scenario needs
  std::size_t differences = 0;        // reviewed differences
  std::vector<std::string> failures;  // each is a text for people
  std::deque<Execution> executions;   // the executions that the scenario made
};

// For `prefix` see Run. A std::runtime_error from the engine is a failure.
ScenarioResult RunScenario(Engine& engine, const Scenario& scenario, const std::string& prefix,
                           std::span<const Difference> reviewed = ReviewedDifferences());

}  // namespace ffgrant::claims_conformance

#endif  // FFGRANT_TESTING_SCENARIOS_RUNNER_H_
