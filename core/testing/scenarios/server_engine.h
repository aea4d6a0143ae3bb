// SPDX-License-Identifier: Apache-2.0
//
// A Valkey or Redis server, or a cluster, through ffgrant::valkey: real time,
// real keys. The nodes of a cluster must share a clock to the millisecond, as
// those on one machine do.

#ifndef FFGRANT_TESTING_SCENARIOS_SERVER_ENGINE_H_
#define FFGRANT_TESTING_SCENARIOS_SERVER_ENGINE_H_

#include <cstdint>
#include <deque>
#include <string>

#include "ffgrant/valkey/valkey_ledger.h"
#include "testing/scenarios/engine.h"
#include "testing/scenarios/hiredis_store.h"
#include "testing/scenarios/run.h"

namespace ffgrant::claims_conformance {

class ServerEngine final : public Engine {
 public:
  // `where`: its servers and login; the first of `store`'s servers is asked what is stored,
  // without TLS.
  // use_loaded_library: nothing is loaded. contract: what ff_version may answer there;
  // empty: what the client takes. Throws std::runtime_error if the server can't be
  // reached, or has no functions, or others.
  ServerEngine(const valkey::ClientOptions& where, const valkey::ClientOptions& store,
               bool use_loaded_library, const std::string& contract);

  std::string kind() const override { return "server"; }
  std::string library() const override;
  std::string description() const override;
  ClaimLedger& ledger() override { return ledger_; }
  std::int64_t Now() override { return store_.NowMs(); }
  void PassUntil(std::int64_t time) override;
  bool has_exact_time() const override { return false; }
  bool Promote(const ExecutionIdView& id, LaneIdView lane) override {
    bool promoted = false;
    return ledger_.PromoteDelayedIfDue(id, lane, promoted) && promoted;
  }
  RawStore* store() override { return &store_; }
  std::uint16_t partition_count() const override { return PartitionConfig{}.num_flow_partitions; }

  // Deletes all that these left behind; their lanes and workers are theirs
  // alone.
  void CleanUp(const std::deque<Execution>& executions, const std::string& prefix);

 private:
  HiredisStore store_;
  valkey::ValkeyLedger ledger_;
  valkey::ServerInfo info_;
};

}  // namespace ffgrant::claims_conformance

#endif  // FFGRANT_TESTING_SCENARIOS_SERVER_ENGINE_H_
