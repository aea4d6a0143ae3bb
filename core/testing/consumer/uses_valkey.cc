// SPDX-License-Identifier: Apache-2.0
//
// Uses the client without a server. Exits with 0 if the client has the source of the function
// library, and CreateExecution() reports that the server is unavailable.

#include <cstdio>

#include "ffgrant/valkey/function_library.h"
#include "ffgrant/valkey/valkey_ledger.h"

int main() {
  if (!ffgrant::valkey::FunctionLibrarySource().starts_with("#!lua")) return 1;
  // Nothing listens on port 1, which is reserved for a service that nobody uses any more.
  ffgrant::valkey::ValkeyLedger ledger({.client = {.servers = {{"127.0.0.1", 1}}}});
  const auto id = ffgrant::ParseExecutionId("{fp:7}:11111111-1111-4111-8111-111111111111",
                                            ffgrant::ParseMode::kStrict);
  const auto outcome =
      ledger.CreateExecution({.execution_id = id.id, .lane = ffgrant::ParseLaneId("x").lane});
  if (outcome || outcome.error != ffgrant::ClaimError::kUnavailable) return 2;
  std::puts("a server that is not there is unavailable");
}
