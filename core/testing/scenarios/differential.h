// SPDX-License-Identifier: Apache-2.0
//
// Random histories on an engine and on the plain model (claims/testing/
// model_ledger.h) side by side: code, details, lease and stored state must
// agree after every call. What differs by nature are the clocks, so times are
// compared with one another: an expiry with its beginning. A ttl is either long
// or over at once, which is to a ledger as if the time had been waited for.

#ifndef FFGRANT_TESTING_SCENARIOS_DIFFERENTIAL_H_
#define FFGRANT_TESTING_SCENARIOS_DIFFERENTIAL_H_

#include <cstdint>
#include <deque>
#include <string>

#include "testing/scenarios/engine.h"
#include "testing/scenarios/run.h"

namespace ffgrant::claims_conformance {

struct DifferentialResult {
  std::string problem;  // empty: they agreed
  std::size_t calls = 0;
  std::size_t taken = 0;  // calls that were no rejections
  std::deque<Execution> executions;
};

// One history of `calls` calls. The same seed makes the same choices.
DifferentialResult RunDifferential(Engine& engine, const std::string& prefix, std::uint64_t seed,
                                   std::size_t calls);

}  // namespace ffgrant::claims_conformance

#endif  // FFGRANT_TESTING_SCENARIOS_DIFFERENTIAL_H_
