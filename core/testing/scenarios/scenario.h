// SPDX-License-Identifier: Apache-2.0
//
// A scenario is one rule of the contract as a short history of calls. Most scenarios of section 7.2
// are in cases/section_7_2_claim.cc, and so on.

#ifndef FFGRANT_TESTING_SCENARIOS_SCENARIO_H_
#define FFGRANT_TESTING_SCENARIOS_SCENARIO_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ffgrant::claims_conformance {

class Run;

enum Needs : std::uint8_t {
  kNothing = 0,
  kExactTime = 1,   // Engine::has_exact_time()
  kStoredKeys = 2,  // Engine::store()
};

struct Scenario {
  // The section of the wire contract: "7.2". "F5" is section 5 of valkey-functions, "L1" section 1
  // of live-observed.
  std::string_view section;
  std::string name;
  void (*body)(Run&) = nullptr;
  std::uint8_t needs = kNothing;
  std::size_t argument = 0;  // Run::argument(): the row of a table

  std::string FullName() const { return std::string(section) + " " + name; }
};

// Returns all scenarios, one source of cases/ after another, in the order of cases/all.cc.
std::vector<Scenario> AllScenarios();

// Each source in cases/ except all.cc defines one of these functions.
void AddCreateScenarios(std::vector<Scenario>& to);
void AddSchedulingScenarios(std::vector<Scenario>& to);
void AddIssueScenarios(std::vector<Scenario>& to);
void AddClaimScenarios(std::vector<Scenario>& to);
void AddResumeScenarios(std::vector<Scenario>& to);
void AddRenewScenarios(std::vector<Scenario>& to);
void AddExpiryScenarios(std::vector<Scenario>& to);
void AddReclaimScenarios(std::vector<Scenario>& to);
void AddCompleteScenarios(std::vector<Scenario>& to);
void AddFailScenarios(std::vector<Scenario>& to);
void AddInvariantScenarios(std::vector<Scenario>& to);
void AddFunctionEdgeScenarios(std::vector<Scenario>& to);
void AddFunctionCreationScenarios(std::vector<Scenario>& to);
void AddFunctionAttemptScenarios(std::vector<Scenario>& to);
void AddFunctionSuspensionScenarios(std::vector<Scenario>& to);
void AddFunctionFieldScenarios(std::vector<Scenario>& to);
void AddFunctionLimitScenarios(std::vector<Scenario>& to);
void AddCheckOrderScenarios(std::vector<Scenario>& to);
void AddContractTableScenarios(std::vector<Scenario>& to);

}  // namespace ffgrant::claims_conformance

#endif  // FFGRANT_TESTING_SCENARIOS_SCENARIO_H_
