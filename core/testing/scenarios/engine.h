// SPDX-License-Identifier: Apache-2.0
//
// What the scenarios need of a ledger that they are run against.

#ifndef FFGRANT_TESTING_SCENARIOS_ENGINE_H_
#define FFGRANT_TESTING_SCENARIOS_ENGINE_H_

#include <cstdint>
#include <string>

#include "ffgrant/claims/claim_ledger.h"
#include "testing/scenarios/raw_store.h"

namespace ffgrant::claims_conformance {

class Engine {
 public:
  virtual ~Engine() = default;

  // For the list of reviewed differences (differences.h): "memory" or "server",
  // and whose function library answers: "ffgrant", "flowfabric", "" without one.
  virtual std::string kind() const = 0;
  virtual std::string library() const { return {}; }
  // For people: "Valkey 9.1.2, ffgrant functions 1".
  virtual std::string description() const = 0;

  virtual ClaimLedger& ledger() = 0;
  // The clock that the ledger decides by, in ms since the Unix epoch.
  virtual std::int64_t Now() = 0;
  // Returns once Now() is at least `time`.
  virtual void PassUntil(std::int64_t time) = 0;
  // True if time passes in PassUntil() alone, so that a scenario can stand at
  // the very edge of something.
  virtual bool has_exact_time() const = 0;
  // Makes a delayed execution eligible if its time has come, as a deployment's scanner does; false
  // if it has not.
  virtual bool Promote(const ExecutionIdView& id, LaneIdView lane) = 0;
  // The keys, or nullptr if the engine has none.
  virtual RawStore* store() = 0;
  virtual std::uint16_t partition_count() const = 0;
  // Before each scenario, which uses ids and lanes that no other uses.
  virtual void BeginScenario() {}
};

}  // namespace ffgrant::claims_conformance

#endif  // FFGRANT_TESTING_SCENARIOS_ENGINE_H_
