// SPDX-License-Identifier: Apache-2.0

#include "testing/scenarios/runner.h"

#include <algorithm>
#include <stdexcept>

namespace ffgrant::claims_conformance {
namespace {

bool Able(Engine& engine, const Scenario& scenario) {
  return ((scenario.needs & kExactTime) == 0 || engine.has_exact_time()) &&
         ((scenario.needs & kStoredKeys) == 0 || engine.store() != nullptr);
}

}  // namespace

ScenarioResult RunScenario(Engine& engine, const Scenario& scenario, const std::string& prefix,
                           std::span<const Difference> reviewed) {
  ScenarioResult result;
  if (!Able(engine, scenario)) {
    result.left_out = true;
    return result;
  }
  engine.BeginScenario();
  Run run(engine, prefix, scenario.argument);
  try {
    scenario.body(run);
  } catch (const WentAstray&) {
  } catch (const std::runtime_error& error) {
    result.failures.push_back(std::string("stopped: ") + error.what());
  }

  std::vector<const Difference*> open;
  for (const Difference& difference : reviewed) {
    if (difference.engine == engine.kind() && difference.scenario == scenario.FullName() &&
        (difference.library.empty() || difference.library == engine.library())) {
      open.push_back(&difference);
    }
  }
  for (const Failure& failure : run.failures()) {
    const auto match = [&](const Difference* difference) {
      return difference->place == failure.place &&
             (difference->actual == "*" || difference->actual == failure.actual);
    };
    const auto found = std::find_if(open.begin(), open.end(), match);
    if (found == open.end()) {
      result.failures.push_back(failure.place + "\n    expected " + failure.expected +
                                "\n    actual   " + failure.actual);
    } else {
      ++result.differences;
      open.erase(found);
    }
  }
  for (const Difference* difference : open) {
    result.failures.push_back(
        std::string(difference->place) +
        "\n    a reviewed difference that is none any more: " + std::string(difference->actual));
  }
  result.executions = run.executions();
  return result;
}

}  // namespace ffgrant::claims_conformance
