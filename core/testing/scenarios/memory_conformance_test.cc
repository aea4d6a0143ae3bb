// SPDX-License-Identifier: Apache-2.0
//
// Every scenario on the embedded ledger.

#include <gtest/gtest.h>

#include <ostream>

#include "testing/scenarios/memory_engine.h"
#include "testing/scenarios/runner.h"

namespace ffgrant::claims_conformance {

// Else its bytes would be shown, and be part of the test's name.
void PrintTo(const Scenario& scenario, std::ostream* to) { *to << scenario.FullName(); }

namespace {

class MemoryConformance : public ::testing::TestWithParam<Scenario> {};

std::vector<Scenario> ForMemory() {
  std::vector<Scenario> scenarios = AllScenarios();
  std::erase_if(scenarios, [](const Scenario& s) { return (s.needs & kStoredKeys) != 0; });
  return scenarios;
}

TEST_P(MemoryConformance, Holds) {
  MemoryEngine engine;
  const ScenarioResult result = RunScenario(engine, GetParam(), "");
  EXPECT_FALSE(result.left_out);
  for (const std::string& failure : result.failures) ADD_FAILURE() << failure;
}

INSTANTIATE_TEST_SUITE_P(Contract, MemoryConformance, ::testing::ValuesIn(ForMemory()),
                         [](const auto& run) {
                           std::string name = run.param.FullName();
                           for (char& c : name) {
                             if (c == ' ' || c == '.') c = '_';
                           }
                           return name;
                         });

}  // namespace
}  // namespace ffgrant::claims_conformance
