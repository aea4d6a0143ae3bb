// SPDX-License-Identifier: Apache-2.0
//
// Test only: every call of the claim path, one by one, in batches and in a pipeline, on
// a simulated deployment to which things happen. Each answer is held against what the
// servers have really executed (claim_witness.h):
//   - a call ends within its limit and a tick of simulated time, with one answer;
//   - what succeeded was executed once; what is said not to have happened, never;
//     what is unknown, once at most, be it later;
//   - a lease is that which a server gave; one that is ruled out for good never comes;
//   - no two live leases, and epochs that grow, as long as no failover loses writes;
//   - once all is well the calls are too, and what is stored is what was answered.

#ifndef FFGRANT_TESTING_SIMULATION_DEPLOYMENT_CLAIMS_H_
#define FFGRANT_TESTING_SIMULATION_DEPLOYMENT_CLAIMS_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace ffgrant::valkey::testing {

struct DeploymentRun {
  std::uint64_t calls = 0;  // of the public interface
  std::uint64_t executed = 0;
  std::uint64_t claims = 0;  // answered with a lease
  std::uint64_t unknown = 0;
  std::uint64_t unavailable = 0;
  std::uint64_t ruled_out = 0;  // claims that did not happen, for good
  std::uint64_t losses = 0;     // failovers that lost writes
  std::int64_t longest_ms = 0;
  std::map<std::string_view, std::uint64_t> happened;  // by kind of event
  std::map<std::string, std::uint64_t> answers;        // by call and word
  // What is wrong, behind the calls that led to it; empty if nothing is.
  std::string problem;
};

// The same for the same seed and number of calls.
DeploymentRun RunDeployment(std::uint64_t seed, std::uint64_t calls);

}  // namespace ffgrant::valkey::testing

#endif  // FFGRANT_TESTING_SIMULATION_DEPLOYMENT_CLAIMS_H_
