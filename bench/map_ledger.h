// SPDX-License-Identifier: Apache-2.0
//
// Implements the baselines of the ledger's figures: the claim path over a concurrent map of
// PlainExecution. Such a ledger does less than core's, and pays nothing for what it does not do.
//
// A store is the map, with these functions:
//
//   explicit Store(std::size_t max_executions);
//   bool Insert(id, create);   // calls create(PlainExecution&) if there was none
//   auto Visit(id, work);      // calls work(PlainExecution*), with null if there is none
//   void Erase(id);
//
// While `create` or `work` runs, no other thread can reach the execution.

#ifndef FFGRANT_BENCH_MAP_LEDGER_H_
#define FFGRANT_BENCH_MAP_LEDGER_H_

#include <absl/container/flat_hash_map.h>
#include <absl/strings/string_view.h>
#include <absl/synchronization/mutex.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "bench/plain_execution.h"
#include "ffgrant/claims/claim_ledger.h"
#include "ffgrant/claims/clock.h"

namespace ffgrant::bench {

// The ids in the map belong to this many partitions, the default of deployments.
inline constexpr std::size_t kMapPartitions = 256;

template <class Store>
class StoreLedger {
 public:
  StoreLedger(std::size_t max_executions, const Clock& clock)
      : clock_(clock), store_(max_executions) {}

  CreateOutcome CreateExecution(const CreateExecutionArgs& args) {
    CreateOutcome outcome;
    if (!args.execution_id.is_canonical() ||
        args.execution_id.partition().index >= kMapPartitions) {
      outcome.error = ClaimError::kInvalidInput;
      return outcome;
    }
    const std::int64_t now = clock_.Now().value;
    const bool inserted =
        store_.Insert(args.execution_id, [&](PlainExecution& e) { e.Create(args, now); });
    if (!inserted) outcome.status = CreateOutcome::Status::kDuplicate;
    return outcome;
  }

  IssueOutcome IssueClaimGrant(const IssueGrantArgs& args) {
    if (args.grant_ttl_ms > kMaxTtlMs) return Failure<IssueOutcome>(ClaimError::kInvalidInput);
    const std::int64_t now = clock_.Now().value;
    return store_.Visit(args.execution_id, [&](PlainExecution* e) {
      return e != nullptr ? e->Issue(args, now)
                          : Failure<IssueOutcome>(ClaimError::kExecutionNotFound);
    });
  }

  ClaimOutcome Claim(const ClaimArgs& args) {
    if (args.lease_ttl_ms > kMaxTtlMs) return Failure<ClaimOutcome>(ClaimError::kInvalidInput);
    const std::int64_t now = clock_.Now().value;
    return store_.Visit(args.execution_id, [&](PlainExecution* e) {
      return e != nullptr ? e->Claim(args, now)
                          : Failure<ClaimOutcome>(ClaimError::kExecutionNotFound);
    });
  }

  // Requires a complete fence.
  Outcome Complete(const ExecutionIdView& id, const LeaseFence& fence) {
    const std::int64_t now = clock_.Now().value;
    return store_.Visit(id, [&](PlainExecution* e) {
      return e != nullptr ? e->Complete(fence, now)
                          : Failure<Outcome>(ClaimError::kExecutionNotFound);
    });
  }

  // Removes a terminal execution. Only the owner of the execution may call Forget(), so no other
  // thread changes the execution between the check and the removal.
  Outcome Forget(const ExecutionIdView& id) {
    const Outcome outcome = store_.Visit(id, [](const PlainExecution* e) -> Outcome {
      if (e == nullptr) return {ClaimError::kExecutionNotFound};
      return {e->is_terminal() ? ClaimError::kNone : ClaimError::kInvalidInput};
    });
    if (outcome) store_.Erase(id);
    return outcome;
  }

 private:
  template <class Result>
  static Result Failure(ClaimError error) {
    Result result;
    result.error = error;
    return result;
  }

  const Clock& clock_;
  Store store_;
};

// A map's key is either the id's text, as on a server, or the id's uuid. Within a shard, which is
// one partition, either of the two identifies an execution.
struct StringKey {
  using Type = std::string;
  // Uses Abseil's own string_view, since an Abseil that was built for C++14 cannot hash
  // std::string_view.
  static absl::string_view Of(const ExecutionIdView& id) {
    return {id.text().data(), id.text().size()};
  }
};

struct UuidKey {
  struct Type {
    Uuid uuid;
    friend bool operator==(const Type&, const Type&) = default;
    template <class H>
    friend H AbslHashValue(H state, const Type& key) {
      return H::combine_contiguous(std::move(state), key.uuid.bytes.data(), key.uuid.bytes.size());
    }
  };
  static Type Of(const ExecutionIdView& id) { return {id.uuid()}; }
};

// Has one shard for each partition: an absl::flat_hash_map under an absl::Mutex.
template <class Key>
class AbslShards {
 public:
  explicit AbslShards(std::size_t max_executions) {
    for (std::size_t i = 0; i < kMapPartitions; ++i) {
      // Reserves a quarter more than the even share, and 64, so that no shard grows later.
      shards_[i].executions.reserve(max_executions / kMapPartitions * 5 / 4 + 64);
    }
  }

  template <class Create>
  bool Insert(const ExecutionIdView& id, Create create) {
    Shard& shard = ShardOf(id);
    absl::MutexLock lock(&shard.mutex);
    const auto [it, inserted] = shard.executions.try_emplace(Key::Of(id));
    if (inserted) create(it->second);
    return inserted;
  }

  template <class Work>
  auto Visit(const ExecutionIdView& id, Work work) {
    Shard& shard = ShardOf(id);
    absl::MutexLock lock(&shard.mutex);
    const auto it = shard.executions.find(Key::Of(id));
    return work(it == shard.executions.end() ? nullptr : &it->second);
  }

  void Erase(const ExecutionIdView& id) {
    Shard& shard = ShardOf(id);
    absl::MutexLock lock(&shard.mutex);
    shard.executions.erase(Key::Of(id));
  }

 private:
  struct alignas(64) Shard {
    absl::Mutex mutex;
    absl::flat_hash_map<typename Key::Type, PlainExecution> executions;
  };

  Shard& ShardOf(const ExecutionIdView& id) {
    return shards_[id.partition().index % kMapPartitions];
  }

  std::unique_ptr<Shard[]> shards_ = std::make_unique<Shard[]>(kMapPartitions);
};

template <class Key>
using MapLedger = StoreLedger<AbslShards<Key>>;

}  // namespace ffgrant::bench

#endif  // FFGRANT_BENCH_MAP_LEDGER_H_
