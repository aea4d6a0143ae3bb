// SPDX-License-Identifier: Apache-2.0
//
// This plugin contains the claim path.

#include "ffgrant/claims/memory_ledger.h"

// Returns 1 if a ledger inside this plugin could create an execution.
extern "C" __attribute__((visibility("default"))) int CreateOne() {
  ffgrant::MemoryLedger ledger({.max_executions = 16});
  const auto id = ffgrant::ParseExecutionId("{fp:7}:11111111-1111-4111-8111-111111111111",
                                            ffgrant::ParseMode::kStrict);
  const ffgrant::LaneIdView lane = ffgrant::ParseLaneId("default").lane;
  return ledger.CreateExecution({.execution_id = id.id, .lane = lane}) ? 1 : 0;
}
