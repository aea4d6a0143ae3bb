// SPDX-License-Identifier: Apache-2.0
//
// Does the clients' work while faults are made: leads executions through many leases, and makes
// calls that intrude on executions, mostly those of other threads. Records every call.

#ifndef FFGRANT_TESTING_FAULTS_CLAIM_LOAD_H_
#define FFGRANT_TESTING_FAULTS_CLAIM_LOAD_H_

#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "ffgrant/valkey/valkey_ledger.h"
#include "testing/calls/driver.h"
#include "testing/faults/history_writer.h"
#include "testing/faults/replica_confirmation.h"

namespace ffgrant::claims_faults {

namespace calls = testing::calls;
using testing::Answer;
using testing::Call;

struct LoadOptions {
  valkey::ClientOptions where;  // the servers and the login
  std::string history;          // a path, to which ".<thread>" is appended
  std::uint64_t seed = 1;
  int threads = 8;
  int leases_per_execution = 20;
  std::int64_t request_timeout_ms = 500;
  // Whether a replica is asked to confirm acknowledged creations, claims and completions.
  bool confirm = false;
};

// The state that all threads share.
struct LoadState {
  explicit LoadState(std::size_t slots) : lives(slots) {}
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> claims{0};  // acknowledged claims
  std::atomic<std::uint64_t> unknown{0};
  std::mutex mutex;
  std::vector<std::string> lives;  // for each thread the execution that it works on
};

// The work of one thread. Not thread-safe.
class ClaimLoad {
 public:
  ClaimLoad(const LoadOptions& options, LoadState& state, int thread);
  // Runs until state.stop is set. The current execution is then left as it is.
  void Run();

 private:
  using Held = std::optional<Lease>;

  void Life();
  void Lose(const ExecutionIdView& id, const Held& held);
  void Intrude();
  std::uint64_t Choose(std::uint64_t bound);
  bool OneIn(std::uint64_t n) { return Choose(n) == 0; }

  // Makes the call and records it. Returns true if the call succeeded.
  bool Do(const Call& call) { return driver_.Do(call).ok(); }
  bool Issue(const ExecutionIdView& id, bool reclaim);
  Held Claim(const ExecutionIdView& id, bool reclaim, std::int64_t ttl_ms);
  void Renew(const ExecutionIdView& id, const Lease& held);
  void Revoke(const ExecutionIdView& id) { Do(calls::Revoke{{id, {}}}); }
  void Mark(const ExecutionIdView& id) { Do(calls::MarkExpired{id}); }
  void Complete(const ExecutionIdView& id, const Lease& held);

  Answer Make(const Call& call);
  std::string Record(const Call& call, const Answer& answer);
  void Resolve(const ExecutionIdView& id, HistoryLine& line);

  const LoadOptions& options_;
  LoadState& state_;
  const int thread_;
  const std::string worker_id_;
  const std::string instance_;
  const WorkerIdentity worker_;
  valkey::ValkeyLedger ledger_;
  HistoryWriter history_;
  ReplicaConfirmation confirmation_;
  testing::Driver driver_;
  std::int64_t called_ = 0;  // the time at which the last call began, in ns
  std::int64_t returned_ = 0;
  std::mt19937_64 random_;
};

}  // namespace ffgrant::claims_faults

#endif  // FFGRANT_TESTING_FAULTS_CLAIM_LOAD_H_
