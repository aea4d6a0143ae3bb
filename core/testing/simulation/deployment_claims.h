// SPDX-License-Identifier: Apache-2.0
//
// Test only: makes the calls of the claim path, one by one, and some of them also in batches and in
// a pipeline, on a simulated deployment in which things go wrong (simulated_deployment.h). Each
// answer is compared with the calls that the servers have really executed (claim_witness.h):
//  - A call ends with one answer, at most 30 ms of simulated time after its time limit.
//  - A call that succeeded was executed once. A call that is said not to have happened was
//    never executed. A call whose outcome is unknown is executed at most once, perhaps later.
//  - Every lease that a call returns was given by a server. No server ever gives a lease that was
//    ruled out for good.
//  - As long as no failover loses writes, an execution has no two live leases, and its epochs
//    grow.
//  - Once the deployment is healed, calls succeed, and the current leases are stored.

#ifndef FFGRANT_TESTING_SIMULATION_DEPLOYMENT_CLAIMS_H_
#define FFGRANT_TESTING_SIMULATION_DEPLOYMENT_CLAIMS_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace ffgrant::valkey::testing {

struct DeploymentRun {
  std::uint64_t calls = 0;  // calls of the public interface
  std::uint64_t executed = 0;
  std::uint64_t claims = 0;  // claims answered with a lease
  std::uint64_t unknown = 0;
  std::uint64_t unavailable = 0;
  std::uint64_t ruled_out = 0;  // claims that did not happen and never will
  std::uint64_t losses = 0;     // failovers that lost writes
  std::int64_t longest_ms = 0;
  std::map<std::string_view, std::uint64_t> happened;  // number of events by kind
  std::map<std::string, std::uint64_t> answers;        // number of answers by call and word
  // The last calls and the first fault; empty if there is no fault.
  std::string problem;
};

// The same seed and number of calls give the same run.
DeploymentRun RunDeployment(std::uint64_t seed, std::uint64_t calls);

}  // namespace ffgrant::valkey::testing

#endif  // FFGRANT_TESTING_SIMULATION_DEPLOYMENT_CLAIMS_H_
