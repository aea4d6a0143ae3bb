// SPDX-License-Identifier: Apache-2.0

#include "testing/scenarios/scenario.h"

namespace ffgrant::claims_conformance {

std::vector<Scenario> AllScenarios() {
  std::vector<Scenario> all;
  AddCreateScenarios(all);
  AddIssueScenarios(all);
  AddSchedulingScenarios(all);
  AddClaimScenarios(all);
  AddResumeScenarios(all);
  AddRenewScenarios(all);
  AddExpiryScenarios(all);
  AddReclaimScenarios(all);
  AddInvariantScenarios(all);
  AddCompleteScenarios(all);
  AddFailScenarios(all);
  AddFunctionCreationScenarios(all);
  AddFunctionAttemptScenarios(all);
  AddFunctionSuspensionScenarios(all);
  AddFunctionEdgeScenarios(all);
  AddFunctionFieldScenarios(all);
  AddFunctionLimitScenarios(all);
  AddCheckOrderScenarios(all);
  AddContractTableScenarios(all);
  return all;
}

}  // namespace ffgrant::claims_conformance
