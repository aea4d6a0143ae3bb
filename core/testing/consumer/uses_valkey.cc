// SPDX-License-Identifier: Apache-2.0
//
// A client of a server that nobody runs. Exits with 0 if the call says so within its limit.

#include <cstdio>

#include "ffgrant/valkey/function_library.h"
#include "ffgrant/valkey/valkey_ledger.h"

int main() {
  if (!ffgrant::valkey::FunctionLibrarySource().starts_with("#!lua")) return 1;
  // Nothing listens on port 1, which is kept for a service that is gone.
  ffgrant::valkey::ValkeyLedger ledger({.client = {.servers = {{"127.0.0.1", 1}}}});
  const auto id = ffgrant::ParseExecutionId("{fp:7}:11111111-1111-4111-8111-111111111111",
                                            ffgrant::ParseMode::kStrict);
  const auto outcome =
      ledger.CreateExecution({.execution_id = id.id, .lane = ffgrant::ParseLaneId("x").lane});
  if (outcome || outcome.error != ffgrant::ClaimError::kUnavailable) return 2;
  std::puts("a server that is not there is unavailable");
}
