// SPDX-License-Identifier: Apache-2.0
//
// Runs every scenario, and random histories, through the client and the shipped functions on one
// simulated server and on a cluster of them.

#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <tuple>

#include "testing/scenarios/differential.h"
#include "testing/scenarios/runner.h"
#include "testing/scenarios/simulated_engine.h"

namespace ffgrant::claims_conformance {

void PrintTo(const Scenario& scenario, std::ostream* to) { *to << scenario.FullName(); }

namespace {

class SimulatedConformance : public ::testing::TestWithParam<std::tuple<Scenario, bool>> {};

TEST_P(SimulatedConformance, Holds) {
  const auto& [scenario, cluster] = GetParam();
  SimulatedEngine engine(cluster);
  const ScenarioResult result = RunScenario(engine, scenario, "");
  for (const std::string& failure : result.failures) ADD_FAILURE() << failure;
}

INSTANTIATE_TEST_SUITE_P(Contract, SimulatedConformance,
                         ::testing::Combine(::testing::ValuesIn(AllScenarios()), ::testing::Bool()),
                         [](const auto& run) {
                           std::string name = std::get<0>(run.param).FullName() +
                                              (std::get<1>(run.param) ? "_cluster" : "");
                           for (char& c : name) {
                             if (c == ' ' || c == '.') c = '_';
                           }
                           return name;
                         });

TEST(SimulatedDifferential, TheModelAndTheFunctionsAgree) {
  // Most calls of a history are refused, so only a long history leads to an attempt that was
  // suspended, resumed and claimed again.
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    SimulatedEngine engine(seed % 2 == 0);
    const DifferentialResult result = RunDifferential(engine, "", seed, seed <= 5 ? 600 : 80);
    ASSERT_EQ(result.problem, "") << "seed " << seed;
  }
}

}  // namespace
}  // namespace ffgrant::claims_conformance
