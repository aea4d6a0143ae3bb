// SPDX-License-Identifier: Apache-2.0
//
// Takes one execution from creation to completion on a Valkey or Redis server. Try the program with
//
//   ./scripts/claim-server -- build/gcc-release/core/examples/example_claim_on_valkey
//
// The script starts a server and puts the server's address into FFGRANT_SERVER. FFGRANT_SERVER may
// be any address that SetServers() reads. For a cluster, the address of any of its servers will do;
// the code is the same.

#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "ffgrant/claims/worker.h"
#include "ffgrant/routing.h"
#include "ffgrant/valkey/server_url.h"
#include "ffgrant/valkey/valkey_ledger.h"

namespace {

using namespace ffgrant;

// Asks the server what became of a claim whose reply was lost, instead of sending the claim again.
// Returns whether the worker has the lease.
bool Settle(valkey::ValkeyLedger& ledger, const ExecutionIdView& id, WorkerClaim& claim) {
  const valkey::FoundClaim found = ledger.FindClaim(id, claim.lease.fence.lease_id);
  if (!found || found.fate != valkey::ClaimFate::kHeld) return false;
  claim.lease = found.lease;
  return true;
}

int Run(valkey::ValkeyLedger& ledger) {
  const LaneIdView lane = ParseLaneId("main").lane;
  ErrorDetails details;  // what the server says about an error

  // Somebody submits work.
  const auto id = MintExecutionId(lane, PartitionConfig{});
  if (!id) return 1;
  if (const auto created =
          ledger.CreateExecution({.execution_id = id->view(), .lane = lane}, &details);
      !created) {
    std::printf("not created: %s\n", std::string(ErrorName(created.error)).c_str());
    return 1;
  }

  // The scheduler chooses and grants; the worker claims.
  Worker worker(ledger, SystemClock(), {.worker_id = "worker-1", .worker_instance_id = "a"});
  const auto chosen =
      ledger.ClaimForWorker({.worker = worker.identity(), .lane = lane, .grant_ttl_ms = 5000});
  if (!chosen) return 1;
  const ExecutionIdView granted = chosen.grant.view().execution_id;
  WorkerClaim claim = worker.ClaimFromGrant(chosen.grant.view(), lane, &details);
  if (claim.error == ClaimError::kUnknownOutcome) {
    if (!Settle(ledger, granted, claim)) return 1;
  } else if (!claim) {
    std::printf("not claimed: %s\n", std::string(ErrorName(claim.error)).c_str());
    return 1;
  }

  // ... the work, with a Renew() now and then ...
  if (!ledger.Complete({.execution_id = granted, .fence = claim.lease.fence})) return 1;
  std::printf("completed %.*s\n", static_cast<int>(granted.text().size()), granted.text().data());
  return 0;
}

}  // namespace

int main() {
  // Nothing listens on port 1, so without FFGRANT_SERVER the program says that there is no server.
  const char* const variable = std::getenv("FFGRANT_SERVER");
  const std::string server = variable != nullptr ? variable : "127.0.0.1:1";
  valkey::ClientOptions options;
  std::string problem = valkey::SetServers(server, options);
  if (problem.empty()) problem = valkey::SetPasswordFromEnvironment(options);
  if (problem.empty()) problem = valkey::SetTlsFromEnvironment(options);
  if (!problem.empty()) {
    std::printf("%s\n", problem.c_str());
    return 2;
  }

  valkey::ValkeyLedger ledger({.client = options});
  valkey::ServerInfo info;
  if (const auto connected = ledger.Connect(info); !connected) {
    std::printf("no server at %s: %s\n", server.c_str(),
                std::string(ErrorName(connected.error)).c_str());
    return variable != nullptr ? 1 : 0;
  }
  return Run(ledger);
}
