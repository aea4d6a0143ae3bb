// SPDX-License-Identifier: Apache-2.0
//
// The baseline of the ledger's figures: 256 shards, by partition, of
// absl::flat_hash_map under absl::Mutex, as one writes it in an afternoon. It
// makes the checks of contract 7.1, 7.2 and of completing in the same order by
// the same clock and stores the same fields of execution, grant and lease,
// values inline. It keeps no order of eligible executions, no index of lease
// expiries and no opaque grant texts: what it does not do, it does not pay for.

#ifndef FFGRANT_BENCH_MAP_LEDGER_H_
#define FFGRANT_BENCH_MAP_LEDGER_H_

#include <absl/container/flat_hash_map.h>
#include <absl/strings/string_view.h>
#include <absl/synchronization/mutex.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "ffgrant/claims/claim_ledger.h"
#include "ffgrant/claims/clock.h"

namespace ffgrant::bench {

// Keys: the id's text, as a server would have it, or its uuid; within a shard
// both say the same.
struct StringKey {
  using Type = std::string;
  // Abseil's own type: a library built for C++14 hashes no other.
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

template <class Key>
class MapLedger {
 public:
  static constexpr std::size_t kShards = 256;

  MapLedger(std::size_t max_executions, const Clock& clock) : clock_(clock) {
    for (std::size_t i = 0; i < kShards; ++i) {
      // A quarter more than the even share, so that no shard grows later.
      shards_[i].executions.reserve(max_executions / kShards * 5 / 4 + 64);
    }
  }

  CreateOutcome CreateExecution(const CreateExecutionArgs& args) {
    CreateOutcome outcome;
    if (!args.execution_id.is_canonical() || ShardIndex(args.execution_id) >= kShards) {
      outcome.error = ClaimError::kInvalidInput;
      return outcome;
    }
    const std::int64_t now = clock_.Now().value;
    Shard& shard = ShardOf(args.execution_id);
    absl::MutexLock lock(&shard.mutex);
    const auto [it, inserted] = shard.executions.try_emplace(Key::Of(args.execution_id));
    if (!inserted) {
      outcome.status = CreateOutcome::Status::kDuplicate;
      return outcome;
    }
    Execution& e = it->second;
    e.lane = args.lane.text();
    if (args.required != nullptr) e.required_capabilities = args.required->csv();
    e.priority = args.priority;
    e.created_at = now;
    return outcome;
  }

  IssueOutcome IssueClaimGrant(const IssueGrantArgs& args) {
    IssueOutcome outcome;
    if (args.grant_ttl_ms > kMaxTtlMs) return Fail(outcome, ClaimError::kInvalidInput);
    const std::int64_t now = clock_.Now().value;
    Shard& shard = ShardOf(args.execution_id);
    absl::MutexLock lock(&shard.mutex);
    Execution* const e = shard.Find(args.execution_id);
    if (e == nullptr) return Fail(outcome, ClaimError::kExecutionNotFound);
    if (e->phase != Phase::kRunnable || e->eligibility != Eligibility::kEligibleNow) {
      return Fail(outcome, ClaimError::kExecutionNotEligible);
    }
    if (e->has_grant && e->grant.expires_at >= now) {
      return Fail(outcome, ClaimError::kGrantAlreadyExists);
    }
    if (!e->in_eligible || e->lane != args.lane.text()) {
      return Fail(outcome, ClaimError::kExecutionNotInEligibleSet);
    }
    const std::string_view offered =
        args.offered != nullptr ? args.offered->csv() : std::string_view();
    if (!HasAll(e->required_capabilities, offered)) {
      return Fail(outcome, ClaimError::kCapabilityMismatch);
    }
    outcome.expires_at.value = now + args.grant_ttl_ms;
    e->has_grant = args.grant_ttl_ms > 0;
    e->grant.created_at = now;
    e->grant.expires_at = outcome.expires_at.value;
    e->grant.worker_id = args.worker.worker_id.text;
    e->grant.worker_instance_id = args.worker.worker_instance_id.text;
    return outcome;
  }

  ClaimOutcome Claim(const ClaimArgs& args) {
    ClaimOutcome outcome;
    if (args.lease_ttl_ms > kMaxTtlMs) return Fail(outcome, ClaimError::kInvalidInput);
    const std::int64_t now = clock_.Now().value;
    Shard& shard = ShardOf(args.execution_id);
    absl::MutexLock lock(&shard.mutex);
    Execution* const e = shard.Find(args.execution_id);
    if (e == nullptr) return Fail(outcome, ClaimError::kExecutionNotFound);
    if (e->phase != Phase::kRunnable) return Fail(outcome, ClaimError::kExecutionNotLeaseable);
    if (e->ownership != Ownership::kUnowned) return Fail(outcome, ClaimError::kLeaseConflict);
    if (e->eligibility != Eligibility::kEligibleNow || e->terminal) {
      return Fail(outcome, ClaimError::kExecutionNotLeaseable);
    }
    if (e->attempt == Attempt::kRunning) return Fail(outcome, ClaimError::kActiveAttemptExists);
    if (e->attempt == Attempt::kInterrupted) {
      return Fail(outcome, ClaimError::kUseClaimResumedExecution);
    }
    if (!e->has_grant || e->grant.worker_id != args.worker.worker_id.text ||
        e->grant.expires_at < now) {
      return Fail(outcome, ClaimError::kInvalidClaimGrant);
    }
    e->has_grant = false;
    e->phase = Phase::kActive;
    e->ownership = Ownership::kLeased;
    e->eligibility = Eligibility::kNotApplicable;
    e->attempt = Attempt::kRunning;
    e->in_eligible = false;
    Lease& lease = outcome.lease;
    lease.fence = {args.lease_id, {++e->lease_epoch}, args.attempt_id};
    lease.attempt_index.value = e->total_attempt_count++;
    lease.expires_at.value = now + args.lease_ttl_ms;
    e->lease.lease_id = args.lease_id;
    e->lease.attempt_id = args.attempt_id;
    e->lease.attempt_index = lease.attempt_index.value;
    e->lease.acquired_at = now;
    e->lease.last_renewed_at = now;
    e->lease.expires_at = lease.expires_at.value;
    e->lease.renewal_deadline = now + args.lease_ttl_ms * 2 / 3;
    e->lease.worker_id = args.worker.worker_id.text;
    e->lease.worker_instance_id = args.worker.worker_instance_id.text;
    return outcome;
  }

  // With a whole fence.
  Outcome Complete(const ExecutionIdView& id, const LeaseFence& fence) {
    const std::int64_t now = clock_.Now().value;
    Shard& shard = ShardOf(id);
    absl::MutexLock lock(&shard.mutex);
    Execution* const e = shard.Find(id);
    if (e == nullptr) return {ClaimError::kExecutionNotFound};
    if (e->phase != Phase::kActive) return {ClaimError::kExecutionNotActive};
    if (e->ownership == Ownership::kExpired || e->lease.expires_at <= now) {
      e->ownership = Ownership::kExpired;
      e->attempt = Attempt::kInterrupted;
      return {ClaimError::kLeaseExpired};
    }
    if (fence.lease_id != e->lease.lease_id || fence.lease_epoch.value != e->lease_epoch ||
        fence.attempt_id != e->lease.attempt_id) {
      return {ClaimError::kStaleLease};
    }
    e->phase = Phase::kTerminal;
    e->ownership = Ownership::kUnowned;
    e->attempt = Attempt::kTerminal;
    e->terminal = true;
    return {};
  }

  // Removes a terminal execution.
  Outcome Forget(const ExecutionIdView& id) {
    Shard& shard = ShardOf(id);
    absl::MutexLock lock(&shard.mutex);
    const Execution* const e = shard.Find(id);
    if (e == nullptr) return {ClaimError::kExecutionNotFound};
    if (e->phase != Phase::kTerminal) return {ClaimError::kInvalidInput};
    shard.executions.erase(Key::Of(id));
    return {};
  }

 private:
  enum class Phase : std::uint8_t { kRunnable, kActive, kTerminal };
  enum class Ownership : std::uint8_t { kUnowned, kLeased, kExpired };
  enum class Eligibility : std::uint8_t { kEligibleNow, kNotApplicable };
  enum class Attempt : std::uint8_t { kPending, kRunning, kInterrupted, kTerminal };

  struct Grant {
    std::int64_t created_at = 0;
    std::int64_t expires_at = 0;
    std::string worker_id;
    std::string worker_instance_id;
  };

  struct StoredLease {
    LeaseId lease_id;
    AttemptId attempt_id;
    std::uint32_t attempt_index = 0;
    std::int64_t acquired_at = 0;
    std::int64_t last_renewed_at = 0;
    std::int64_t expires_at = 0;
    std::int64_t renewal_deadline = 0;
    std::string worker_id;
    std::string worker_instance_id;
  };

  struct Execution {
    Phase phase = Phase::kRunnable;
    Ownership ownership = Ownership::kUnowned;
    Eligibility eligibility = Eligibility::kEligibleNow;
    Attempt attempt = Attempt::kPending;
    bool terminal = false;
    bool in_eligible = true;
    bool has_grant = false;
    std::uint32_t total_attempt_count = 0;
    std::uint64_t lease_epoch = 0;
    Grant grant;
    StoredLease lease;
    std::string required_capabilities;  // sorted, comma-joined
    std::string lane;
    std::int64_t priority = 0;
    std::int64_t created_at = 0;
  };

  struct alignas(64) Shard {
    absl::Mutex mutex;
    absl::flat_hash_map<typename Key::Type, Execution> executions;

    Execution* Find(const ExecutionIdView& id) {
      const auto it = executions.find(Key::Of(id));
      return it == executions.end() ? nullptr : &it->second;
    }
  };

  template <class Result>
  static Result Fail(Result& outcome, ClaimError error) {
    outcome.error = error;
    return outcome;
  }

  // Both comma-joined; a plain search for each token.
  static bool HasAll(std::string_view required, std::string_view offered) {
    while (!required.empty()) {
      const std::string_view token = required.substr(0, required.find(','));
      required.remove_prefix(std::min(token.size() + 1, required.size()));
      bool found = false;
      for (std::string_view rest = offered; !rest.empty() && !found;) {
        const std::string_view candidate = rest.substr(0, rest.find(','));
        rest.remove_prefix(std::min(candidate.size() + 1, rest.size()));
        found = candidate == token;
      }
      if (!found) return false;
    }
    return true;
  }

  static std::size_t ShardIndex(const ExecutionIdView& id) { return id.partition().index; }
  Shard& ShardOf(const ExecutionIdView& id) { return shards_[ShardIndex(id) % kShards]; }

  const Clock& clock_;
  std::unique_ptr<Shard[]> shards_ = std::make_unique<Shard[]>(kShards);
};

}  // namespace ffgrant::bench

#endif  // FFGRANT_BENCH_MAP_LEDGER_H_
