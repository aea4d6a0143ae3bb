// SPDX-License-Identifier: Apache-2.0
//
// Makes the grants that benchmarks serialize.

#ifndef FFGRANT_BENCH_GRANT_INPUTS_H_
#define FFGRANT_BENCH_GRANT_INPUTS_H_

#include <string>
#include <vector>

#include "bench/grant_baselines.h"
#include "ffgrant/grant.h"

namespace ffgrant::bench {

// The members of the canonical documents (inputs.h), both as text and parsed.
struct GrantSet {
  std::vector<std::string> grant_keys;  // with a byte to escape; empty unless escapes are wanted
  std::vector<plain::GrantMembers> members;
  std::vector<ClaimGrantView> grants;
  double average_json_size = 0;
};

// If `wants_escapes` is set, each grant key has a byte that JSON requires to be escaped. The first
// call makes the sets with and without escapes, and both are kept.
const GrantSet& Grants(bool wants_escapes);

}  // namespace ffgrant::bench

#endif  // FFGRANT_BENCH_GRANT_INPUTS_H_
