// SPDX-License-Identifier: Apache-2.0
//
// Runs every scenario that needs no stored keys, on the embedded ledger and on the model. So the
// scenarios also check the model, which is the oracle of the random histories.

#include <gtest/gtest.h>

#include <ostream>

#include "testing/scenarios/memory_engine.h"
#include "testing/scenarios/runner.h"

namespace ffgrant::claims_conformance {

// Without this function the scenario's bytes would be shown, and would be part of the test's name.
void PrintTo(const Scenario& scenario, std::ostream* to) { *to << scenario.FullName(); }

namespace {

class Conformance : public ::testing::TestWithParam<Scenario> {
 protected:
  static void Hold(bool is_model) {
    MemoryEngine engine(is_model);
    const ScenarioResult result = RunScenario(engine, GetParam(), "");
    EXPECT_FALSE(result.left_out);
    for (const std::string& failure : result.failures) ADD_FAILURE() << failure;
  }
};
class MemoryConformance : public Conformance {};
class ModelConformance : public Conformance {};

std::vector<Scenario> ForMemory() {
  std::vector<Scenario> scenarios = AllScenarios();
  std::erase_if(scenarios, [](const Scenario& s) { return (s.needs & kStoredKeys) != 0; });
  return scenarios;
}

std::string NameOf(const ::testing::TestParamInfo<Scenario>& run) {
  std::string name = run.param.FullName();
  for (char& c : name) {
    if (c == ' ' || c == '.') c = '_';
  }
  return name;
}

TEST_P(MemoryConformance, Holds) { Hold(false); }
TEST_P(ModelConformance, Holds) { Hold(true); }

INSTANTIATE_TEST_SUITE_P(Contract, MemoryConformance, ::testing::ValuesIn(ForMemory()), NameOf);
INSTANTIATE_TEST_SUITE_P(Contract, ModelConformance, ::testing::ValuesIn(ForMemory()), NameOf);

}  // namespace
}  // namespace ffgrant::claims_conformance
