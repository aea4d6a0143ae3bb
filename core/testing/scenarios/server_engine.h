// SPDX-License-Identifier: Apache-2.0
//
// Reaches a Valkey or Redis server, or a cluster, through ffgrant::valkey, with real time and real
// keys. The nodes of a cluster must share a clock to the millisecond, as nodes on one machine do.

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
  // `where` has the servers and the login. The stored keys are read and changed through the first
  // server of `store`, without TLS. If `use_loaded_library` is true, no library is loaded. If
  // ff_version is there, it must answer `contract`, or, if `contract` is empty, a version that the
  // client accepts by default. Throws std::runtime_error if a server can't be reached, or has no
  // functions, or has other functions.
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

  // Deletes the keys that these executions left behind, and the secrets of their partitions that a
  // ledger of ours has set. Nobody else uses the executions' lanes and workers.
  void CleanUp(const std::deque<Execution>& executions, const std::string& prefix);

 private:
  HiredisStore store_;
  valkey::ValkeyLedger ledger_;
  valkey::ServerInfo info_;
};

}  // namespace ffgrant::claims_conformance

#endif  // FFGRANT_TESTING_SCENARIOS_SERVER_ENGINE_H_
