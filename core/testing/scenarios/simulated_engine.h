// SPDX-License-Identifier: Apache-2.0
//
// Runs ffgrant::valkey and the shipped functions on simulated servers, alone or as a cluster. The
// clock moves only when a scenario or a wait moves it.

#ifndef FFGRANT_TESTING_SCENARIOS_SIMULATED_ENGINE_H_
#define FFGRANT_TESTING_SCENARIOS_SIMULATED_ENGINE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ffgrant/valkey/valkey_ledger.h"
#include "testing/scenarios/engine.h"
#include "testing/simulation/simulated_cluster.h"

namespace ffgrant::claims_conformance {

// Reads and writes the keys of the simulated servers without the client.
class SimulatedStore final : public RawStore {
 public:
  SimulatedStore(valkey::testing::SimulatedWorld& world, valkey::testing::SimulatedServer& server)
      : world_(world), server_(&server) {}
  SimulatedStore(valkey::testing::SimulatedWorld& world, valkey::testing::SimulatedCluster& cluster)
      : world_(world), cluster_(&cluster) {}

  Fields Hash(const std::string& key) override;
  std::optional<std::int64_t> ExpireTime(const std::string& key) override;
  bool Exists(const std::string& key) override;
  std::optional<double> Score(const std::string& key, const std::string& member) override;
  Snapshot Read(const Wanted& wanted) override;
  std::string Describe(const std::string& key) override;
  void SetField(const std::string& key, const std::string& field,
                const std::string& value) override;
  void SetText(const std::string& key, const std::string& text) override;
  void Persist(const std::string& key) override;
  void Delete(const std::string& key) override;
  void RemoveMember(const std::string& key, const std::string& member) override;
  Answer Call(const std::string& function, const std::vector<std::string>& keys,
              const std::vector<std::string>& args) override;

 private:
  valkey::testing::SimulatedServer& At(const std::string& key);
  valkey::testing::KeySpace& Keys(const std::string& key);
  void Do(const std::string& key, const std::vector<std::string>& words);

  valkey::testing::SimulatedWorld& world_;
  valkey::testing::SimulatedServer* server_ = nullptr;
  valkey::testing::SimulatedCluster* cluster_ = nullptr;
};

class SimulatedEngine final : public Engine {
 public:
  explicit SimulatedEngine(bool cluster);

  std::string kind() const override { return "server"; }
  std::string library() const override { return "ffgrant"; }
  std::string description() const override { return "simulated servers, the shipped functions"; }
  ClaimLedger& ledger() override { return *ledger_; }
  std::int64_t Now() override { return world_.now(); }
  void PassUntil(std::int64_t time) override {
    if (time > world_.now()) world_.Pass(time - world_.now());
  }
  bool has_exact_time() const override { return true; }
  bool Promote(const ExecutionIdView& id, LaneIdView lane) override {
    bool promoted = false;
    return ledger_->PromoteDelayedIfDue(id, lane, promoted) && promoted;
  }
  RawStore* store() override { return &*store_; }
  std::uint16_t partition_count() const override { return PartitionConfig{}.num_flow_partitions; }

 private:
  valkey::testing::SimulatedWorld world_;
  std::optional<valkey::testing::SimulatedCluster> cluster_;
  std::optional<SimulatedStore> store_;
  std::unique_ptr<valkey::ValkeyLedger> ledger_;
};

}  // namespace ffgrant::claims_conformance

#endif  // FFGRANT_TESTING_SCENARIOS_SIMULATED_ENGINE_H_
