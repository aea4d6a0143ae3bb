// SPDX-License-Identifier: Apache-2.0
//
// Runs random histories on an engine and on the plain model (testing/model/model_ledger.h) side by
// side: code, details, lease and stored state must agree after every call. The two have different
// clocks. So the stored expiries of grants and leases, and the renewal deadlines, are compared as
// distances from the time at which they were set. Of any other time only its presence is compared,
// if it can be absent. A ttl that is taken is either long, or not positive, so that it ends at
// once. To a ledger a ttl that is not positive looks as if somebody had waited until the end of the
// ttl.

#ifndef FFGRANT_TESTING_SCENARIOS_DIFFERENTIAL_H_
#define FFGRANT_TESTING_SCENARIOS_DIFFERENTIAL_H_

#include <cstdint>
#include <deque>
#include <string>

#include "testing/scenarios/engine.h"
#include "testing/scenarios/run.h"

namespace ffgrant::claims_conformance {

struct DifferentialResult {
  std::string problem;  // empty if the two agreed; also tells of an engine that has failed
  std::size_t calls = 0;
  std::size_t taken = 0;  // the calls that were not rejected
  std::deque<Execution> executions;
};

// Runs one history of `calls` calls; ends it at the first problem. The same seed makes the same
// choices.
DifferentialResult RunDifferential(Engine& engine, const std::string& prefix, std::uint64_t seed,
                                   std::size_t calls);

}  // namespace ffgrant::claims_conformance

#endif  // FFGRANT_TESTING_SCENARIOS_DIFFERENTIAL_H_
