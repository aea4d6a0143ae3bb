// SPDX-License-Identifier: Apache-2.0
//
// Makes the executions that the ledger's benchmarks claim, and the ledgers that hold them.

#ifndef FFGRANT_BENCH_POPULATION_H_
#define FFGRANT_BENCH_POPULATION_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "bench/bench_main.h"
#include "bench/inputs.h"
#include "ffgrant/claims/claim_ledger.h"
#include "ffgrant/claims/clock.h"
#include "ffgrant/claims/memory_ledger.h"
#include "ffgrant/execution_id.h"

namespace ffgrant::bench {

inline constexpr std::int64_t kGrantTtlMs = 60'000;
// No run lasts this long, so no lease expires.
inline constexpr std::int64_t kLeaseTtlMs = 24 * 3'600'000;
inline constexpr std::string_view kLane = "main";
inline constexpr WorkerIdentity kWorker = {{"worker-1"}, {"worker-1-a"}};

// The ids of a lease and of an attempt are functions of the execution's id, so that the fence can
// be computed again when the execution is to be completed.
inline LeaseId LeaseIdOf(const ExecutionIdView& id) {
  LeaseId lease{id.uuid()};
  lease.uuid.bytes[0] ^= 0x5A;
  return lease;
}
inline AttemptId AttemptIdOf(const ExecutionIdView& id) {
  AttemptId attempt{id.uuid()};
  attempt.uuid.bytes[0] ^= 0xA5;
  return attempt;
}

// Ids in the random order in which they are claimed; they are created in another order. Each id is
// in a random one of 256 partitions.
class Population {
 public:
  explicit Population(std::size_t live) {
    Random random(live);
    minted_.reserve(live);
    ids_.reserve(live);
    for (std::size_t i = 0; i < live; ++i) {
      const auto partition = static_cast<std::uint16_t>(random.Below(256));
      minted_.emplace_back(partition, random.NextUuid());
      ids_.push_back(minted_.back().view());
      creation_order_.push_back(static_cast<std::uint32_t>(i));
    }
    Shuffle(creation_order_, random);
  }
  Population(const Population&) = delete;
  Population& operator=(const Population&) = delete;

  std::size_t size() const { return ids_.size(); }
  const ExecutionIdView& operator[](std::size_t i) const { return ids_[i]; }
  std::span<const std::uint32_t> creation_order() const { return creation_order_; }

  // Populations are kept, since making a large one takes longer than running most cases.
  static const Population& Of(std::size_t live) {
    static std::vector<std::unique_ptr<const Population>> made;
    for (const auto& population : made) {
      if (population->size() == live) return *population;
    }
    made.push_back(std::make_unique<const Population>(live));
    return *made.back();
  }

 private:
  std::vector<MintedExecutionId> minted_;
  std::vector<ExecutionIdView> ids_;
  std::vector<std::uint32_t> creation_order_;
};

// Gives MemoryLedger the signatures of StoreLedger (map_ledger.h).
class CoreLedger {
 public:
  CoreLedger(std::size_t max_executions, const Clock& clock)
      : ledger_(Options(max_executions, clock)) {}
  explicit CoreLedger(const MemoryLedgerOptions& options) : ledger_(options) {}

  CreateOutcome CreateExecution(const CreateExecutionArgs& args) {
    return ledger_.CreateExecution(args, nullptr);
  }
  IssueOutcome IssueClaimGrant(const IssueGrantArgs& args) {
    return ledger_.IssueClaimGrant(args, nullptr);
  }
  ClaimOutcome Claim(const ClaimArgs& args) { return ledger_.Claim(args, nullptr); }
  Outcome Complete(const ExecutionIdView& id, const LeaseFence& fence) {
    CompleteArgs args;
    args.execution_id = id;
    args.fence = fence;
    return ledger_.Complete(args, nullptr);
  }
  Outcome Forget(const ExecutionIdView& id) { return ledger_.Forget(id); }

  MemoryLedger& ledger() { return ledger_; }

  static MemoryLedgerOptions Options(std::size_t max_executions, const Clock& clock) {
    MemoryLedgerOptions options;
    options.max_executions = max_executions;
    options.clock = &clock;
    options.hash_seed = 1;  // each run must execute the same instructions
    return options;
  }

 private:
  MemoryLedger ledger_;
};

// No run has more threads than this.
inline constexpr std::size_t kMaxThreads = 64;

class AnyFixture {
 public:
  virtual ~AnyFixture() = default;

 protected:
  // The only fixture that is kept, whichever type of ledger it has. Each fixture has a number,
  // since a new fixture may have the address of an earlier one.
  inline static std::mutex mutex_;
  inline static std::unique_ptr<AnyFixture> current_;
  inline static std::uint64_t made_ = 0;
};

// A ledger in which every execution of a population waits to be claimed.
template <class Ledger>
class Fixture final : public AnyFixture {
 public:
  Fixture(const Population& population, const Clock& clock)
      : ledger_(population.size(), clock), population_(population) {
    Together([&] {
      for (const std::uint32_t i : population.creation_order()) Create(population[i]);
    });
  }

  Ledger& ledger() { return ledger_; }
  const Population& population() const { return population_; }

  // Completes and forgets a claimed execution, and creates it anew, so that it can be claimed once
  // more.
  void Rearm(const ExecutionIdView& id) {
    const LeaseFence fence = {LeaseIdOf(id), LeaseEpoch{1}, AttemptIdOf(id)};
    SelfCheck(static_cast<bool>(ledger_.Complete(id, fence)), "an execution can't be completed",
              id.text());
    SelfCheck(static_cast<bool>(ledger_.Forget(id)), "an execution can't be forgotten", id.text());
    Create(id);
  }
  void Rearm(std::size_t begin, std::size_t end) {
    Together([&] {
      for (std::size_t i = begin; i < end; ++i) Rearm(population_[i]);
    });
  }

  // Returns where the last run of a thread ended, as an index into the population; 0 before the
  // thread's first run.
  std::size_t LastEnd(int thread) const { return last_ends_[static_cast<std::size_t>(thread)]; }
  void SetLastEnd(int thread, std::size_t end) {
    last_ends_[static_cast<std::size_t>(thread)] = end;
  }

  // Returns the fixture for this population and clock; the threads of one run share it. Only the
  // fixture that was asked for last is kept, since a million executions take hundreds of megabytes.
  static Fixture& Of(std::size_t live, const Clock& clock) {
    static std::size_t last_live = 0;
    static const Clock* last_clock = nullptr;
    static std::uint64_t last_number = 0;
    const std::lock_guard lock(mutex_);
    if (last_number == 0 || last_number != made_ || last_live != live || last_clock != &clock) {
      current_.reset();
      current_ = std::make_unique<Fixture>(Population::Of(live), clock);
      last_number = ++made_;
      last_live = live;
      last_clock = &clock;
    }
    return static_cast<Fixture&>(*current_);
  }

 private:
  // Does the work in one transaction, if the ledger has transactions.
  template <class Work>
  void Together(Work work) {
    if constexpr (requires { ledger_.Begin(); }) ledger_.Begin();
    work();
    if constexpr (requires { ledger_.Commit(); }) ledger_.Commit();
  }

  void Create(const ExecutionIdView& id) {
    CreateExecutionArgs args;
    args.execution_id = id;
    args.lane = LaneIdView::Unchecked(kLane);
    const CreateOutcome outcome = ledger_.CreateExecution(args);
    SelfCheck(outcome && outcome.status == CreateOutcome::Status::kWaiting,
              "an execution can't be created", id.text());
  }

  Ledger ledger_;
  const Population& population_;
  std::array<std::size_t, kMaxThreads> last_ends_{};
};

}  // namespace ffgrant::bench

#endif  // FFGRANT_BENCH_POPULATION_H_
