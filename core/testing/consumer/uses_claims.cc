// SPDX-License-Identifier: Apache-2.0
//
// Uses the claim path on the embedded ledger, with nothing but the installed headers and libraries.
// Exits with 0 if an execution went from creation to completion and could not be claimed twice.

#include <cstdio>

#include "ffgrant/claims/memory_ledger.h"
#include "ffgrant/claims/worker.h"
#include "ffgrant/execution_id.h"
#include "ffgrant/lane_id.h"

int main() {
  const ffgrant::ManualClock clock({1'700'000'000'000});
  ffgrant::MemoryLedgerOptions options;
  options.max_executions = 16;
  options.clock = &clock;
  ffgrant::MemoryLedger memory(options);
  ffgrant::ClaimLedger& ledger = memory;

  const auto id = ffgrant::ParseExecutionId("{fp:7}:11111111-1111-4111-8111-111111111111",
                                            ffgrant::ParseMode::kStrict);
  const auto lane = ffgrant::ParseLaneId("default");
  if (!id || !lane) return 1;
  if (!ledger.CreateExecution({.execution_id = id.id, .lane = lane.lane})) return 2;

  ffgrant::Worker worker(ledger, clock, {.worker_id = "w", .worker_instance_id = "i"});
  const auto found =
      ledger.ClaimForWorker({.worker = worker.identity(), .lane = lane.lane, .grant_ttl_ms = 5000});
  if (!found) return 3;
  {
    const ffgrant::WorkerClaim claim = worker.ClaimFromGrant(found.grant.view(), lane.lane);
    if (!claim || claim.lease.fence.lease_epoch.value != 1) return 4;
    if (worker.ClaimFromGrant(found.grant.view(), lane.lane).error !=
        ffgrant::ClaimError::kWorkerAtCapacity) {
      return 5;
    }
    if (!ledger.Complete({.execution_id = id.id, .fence = claim.lease.fence})) return 6;
  }
  if (worker.ClaimFromGrant(found.grant.view(), lane.lane)) return 7;
  std::puts("an execution was claimed and completed through the installed package");
}
