// SPDX-License-Identifier: Apache-2.0
//
// Lists the places where an engine may answer or store something else than the scenarios say, each
// with the reason why that is right. Every entry is reviewed: none is added just to make a run
// pass. An entry whose difference no longer happens fails the run, as does a difference that has no
// entry.

#ifndef FFGRANT_TESTING_SCENARIOS_DIFFERENCES_H_
#define FFGRANT_TESTING_SCENARIOS_DIFFERENCES_H_

#include <span>
#include <string_view>

namespace ffgrant::claims_conformance {

struct Difference {
  std::string_view engine;    // Engine::kind()
  std::string_view library;   // Engine::library(), or "" for any
  std::string_view scenario;  // "7.2 claim_needs_its_own_grant"
  std::string_view place;     // as failures name it: "3 claim: error"
  std::string_view actual;    // the engine's text, as failures print it; "*": any
  std::string_view reason;
};

std::span<const Difference> ReviewedDifferences();

}  // namespace ffgrant::claims_conformance

#endif  // FFGRANT_TESTING_SCENARIOS_DIFFERENCES_H_
