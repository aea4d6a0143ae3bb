// SPDX-License-Identifier: Apache-2.0
//
// Runs a scheduler and two workers on the embedded ledger, which needs nothing installed.
// Executions are created and granted. Their grants are sent as JSON and claimed, the leases are
// renewed, and the executions are completed. On a server only the class of the ledger differs: see
// claim_on_valkey.cc.

#include <array>
#include <cstdio>
#include <span>
#include <string_view>
#include <vector>

#include "ffgrant/claims/memory_ledger.h"
#include "ffgrant/claims/worker.h"
#include "ffgrant/json/claim_response.h"
#include "ffgrant/routing.h"

namespace {

using namespace ffgrant;

// Does the scheduler's part. Returns false if there is no work for this worker.
bool Offer(ClaimLedger& ledger, const WorkerIdentity& worker, LaneIdView lane,
           std::span<char> buffer, std::string_view& body) {
  const auto chosen = ledger.ClaimForWorker({.worker = worker, .lane = lane, .grant_ttl_ms = 5000});
  if (!chosen) return false;  // kNoEligibleExecution: over HTTP this is status 204
  const WriteResult written = SerializeClaimGrant(chosen.grant.view(), buffer);
  body = {buffer.data(), written.size};
  return static_cast<bool>(written);
}

// Does the worker's part: handles a body that was sent to the worker.
bool Work(ClaimLedger& ledger, Worker& worker, LaneIdView lane, std::string_view body,
          JsonScratch& scratch) {
  ClaimGrantView grant;
  if (!ParseClaimGrant(body, scratch, grant)) return false;
  // The call uses up the grant. The permit in `claim` is given back at the end of this function.
  const WorkerClaim claim = worker.ClaimFromGrant(grant, lane);
  if (!claim) {
    std::printf("not claimed: %s\n", ErrorName(claim.error).data());
    return false;
  }
  const ExecutionIdView id = grant.execution_id;
  // The worker renews the lease while it works, well before the lease runs out.
  const auto renewed = ledger.Renew({.execution_id = id,
                                     .attempt_index = claim.lease.attempt_index,
                                     .fence = claim.lease.fence,
                                     .lease_ttl_ms = 30'000});
  // After kLeaseExpired, kLeaseRevoked or kStaleLease another worker may have the execution by now,
  // so the worker stops working on it.
  if (!renewed) return false;
  return static_cast<bool>(ledger.Complete({.execution_id = id, .fence = claim.lease.fence}));
}

}  // namespace

int main() {
  MemoryLedger ledger({.max_executions = 1000});
  const LaneIdView lane = ParseLaneId("main").lane;
  std::vector<ExecutionId> ids;
  for (int i = 0; i < 5; ++i) {
    const auto id = MintExecutionId(lane, PartitionConfig{});
    if (!id || !ledger.CreateExecution({.execution_id = id->view(), .lane = lane})) return 1;
    ids.emplace_back(id->view());
  }

  Worker first(ledger, SystemClock(), {.worker_id = "worker-1", .worker_instance_id = "a"});
  Worker second(ledger, SystemClock(), {.worker_id = "worker-2", .worker_instance_id = "a"});
  JsonScratch scratch;
  std::array<char, 512> buffer;
  std::string_view body;
  int completed[2] = {0, 0};
  for (int turn = 0;; turn = 1 - turn) {
    Worker& worker = turn == 0 ? first : second;
    if (!Offer(ledger, worker.identity(), lane, buffer, body)) break;
    if (!Work(ledger, worker, lane, body, scratch)) return 2;
    ++completed[turn];
  }

  int leases = 0;
  for (const ExecutionId& id : ids) {
    const auto state = ledger.Inspect(id.view());
    if (state && state->lifecycle_phase == "terminal" && state->current_lease_epoch.value == 1) {
      ++leases;
    }
  }
  std::printf("worker-1 completed %d executions, worker-2 %d; %d leases, epoch 1 each\n",
              completed[0], completed[1], leases);
}
