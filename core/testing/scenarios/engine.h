// SPDX-License-Identifier: Apache-2.0
//
// Declares what the scenarios need from a ledger under test.

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

  // kind() and library() are for the list of reviewed differences (differences.h). kind() is
  // "memory" or "server" (of a test's own engine, another word). library() is the function library
  // that answers: "ffgrant", "flowfabric", or "" if there is none.
  virtual std::string kind() const = 0;
  virtual std::string library() const { return {}; }
  // A text for people: "Valkey 9.1.2, ffgrant's functions, version 5, contract 34".
  virtual std::string description() const = 0;

  virtual ClaimLedger& ledger() = 0;
  // Returns the time by which the ledger decides, in ms since the Unix epoch.
  virtual std::int64_t Now() = 0;
  // Returns once Now() is at least `time`.
  virtual void PassUntil(std::int64_t time) = 0;
  // Returns true if time passes only in PassUntil(), so that a scenario can make a call exactly at
  // an expiry or 1 ms beside it.
  virtual bool has_exact_time() const = 0;
  // Makes a delayed execution eligible if its time has come, as a deployment's scanner does.
  // Returns false if its time has not come.
  virtual bool Promote(const ExecutionIdView& id, LaneIdView lane) = 0;
  // Returns the keys, or nullptr if the engine has none.
  virtual RawStore* store() = 0;
  virtual std::uint16_t partition_count() const = 0;
  // Is called before each scenario and each random history. Each of these uses ids that no other
  // one uses.
  virtual void BeginScenario() {}
};

}  // namespace ffgrant::claims_conformance

#endif  // FFGRANT_TESTING_SCENARIOS_ENGINE_H_
