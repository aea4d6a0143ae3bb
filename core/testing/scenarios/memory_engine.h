// SPDX-License-Identifier: Apache-2.0
//
// Has the engines of the embedded ledger and of the model. Their clock moves only in PassUntil().

#ifndef FFGRANT_TESTING_SCENARIOS_MEMORY_ENGINE_H_
#define FFGRANT_TESTING_SCENARIOS_MEMORY_ENGINE_H_

#include <memory>
#include <string>

#include "ffgrant/claims/clock.h"
#include "ffgrant/claims/memory_ledger.h"
#include "testing/model/model_ledger.h"
#include "testing/scenarios/engine.h"

namespace ffgrant::claims_conformance {

class MemoryEngine final : public Engine {
 public:
  explicit MemoryEngine(bool is_model = false) : is_model_(is_model) { BeginScenario(); }

  std::string kind() const override { return "memory"; }
  std::string description() const override {
    return std::string(is_model_ ? "the model" : "the embedded ledger") + ", virtual clock";
  }
  ClaimLedger& ledger() override { return *ledger_; }
  std::int64_t Now() override { return clock_.Now().value; }
  void PassUntil(std::int64_t time) override {
    if (time > Now()) clock_.Set({time});
  }
  bool has_exact_time() const override { return true; }
  bool Promote(const ExecutionIdView& id, LaneIdView /*lane*/) override {
    if (is_model_) {
      return static_cast<testing::ModelLedger&>(*ledger_).RunMaintenance(id).promoted != 0;
    }
    const auto is_delayed = [&] {
      return ledger_->Inspect(id).value_or(ExecutionState()).in_delayed;
    };
    const bool was_delayed = is_delayed();
    constexpr std::size_t kAllPlaces = 1 << 20;
    // The maintenance also promotes all other executions that are due.
    (void)static_cast<MemoryLedger&>(*ledger_).RunMaintenance(kAllPlaces);
    return was_delayed && !is_delayed();
  }
  RawStore* store() override { return nullptr; }
  std::uint16_t partition_count() const override { return PartitionConfig{}.num_flow_partitions; }
  // Each scenario has a ledger of its own.
  void BeginScenario() override {
    MemoryLedgerOptions options;
    options.max_executions = 1024;
    options.clock = &clock_;
    if (is_model_) {
      ledger_ = std::make_unique<testing::ModelLedger>(clock_, options.partitions);
    } else {
      ledger_ = std::make_unique<MemoryLedger>(options);
    }
  }

 private:
  const bool is_model_;
  ManualClock clock_{TimestampMs{1'700'000'000'000}};
  std::unique_ptr<ClaimLedger> ledger_;
};

}  // namespace ffgrant::claims_conformance

#endif  // FFGRANT_TESTING_SCENARIOS_MEMORY_ENGINE_H_
