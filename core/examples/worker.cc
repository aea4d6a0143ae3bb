// SPDX-License-Identifier: Apache-2.0
//
// A worker for a FlowFabric deployment. It asks the server for grants over HTTP, so that the server
// decides about admission. It does all else on Valkey. After SIGTERM it finishes the execution that
// it has and unregisters. Its work is to write payloads in capital letters; executions of the kind
// "fail" fail.
//
//   example_worker http://127.0.0.1:9090 127.0.0.1:6379 default
//   example_worker http://127.0.0.1:9090 127.0.0.1:6379 default ID...
//
// If ids follow, it takes over these executions, whose workers have died, and ends. A deployment
// does not do that by itself.
//
// A bearer token is taken from FF_API_TOKEN.

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "ffgrant/claims/stop_signals.h"
#include "ffgrant/http/issuer_client.h"
#include "ffgrant/uuid_generator.h"
#include "ffgrant/valkey/backoff.h"
#include "ffgrant/valkey/deployment_worker.h"
#include "ffgrant/valkey/server_url.h"

using namespace ffgrant;

static void Say(const std::string& what, ClaimError error, const ErrorDetails& why) {
  std::string text = what;
  if (error != ClaimError::kNone) {
    text += ": " + std::string(ErrorName(error)) + " " + std::string(why.size() > 0 ? why[0] : "");
  }
  std::printf("%s\n", text.c_str());
  std::fflush(stdout);
}

// Does the work of an execution that was claimed, and ends the execution.
static void Do(valkey::Work& work, valkey::ExecutionInput& input, ErrorDetails& why) {
  const std::string id(work.id().text());
  if (const Outcome read = work.ReadInput(input, &why); !read || input.kind() == "fail") {
    const char* const reason = read ? "asked to fail" : "the input can't be read";
    const FailOutcome failed = work.Fail(reason, read ? "permanent" : "transient", &why);
    Say((failed.retried ? "to be retried " : "failed ") + id, failed.error, why);
    return;
  }
  std::string result(input.payload());
  for (char& c : result) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  // Work that takes longer should call work.lost() now and then, and give up if the lease is lost.
  const Outcome completed = work.Complete(result, &why);
  Say((completed ? "completed " : "not completed ") + id, completed.error, why);
}

int main(int argc, char** argv) {
  valkey::DeploymentWorkerOptions options;
  options.ledger.client.load_library = false;  // the deployment has its functions already
  const std::string problem =
      argc < 4 ? "words are missing" : valkey::SetServers(argv[2], options.ledger.client);
  if (!problem.empty()) {
    std::printf("usage: example_worker URL VALKEY LANE [ID...]: %s\n", problem.c_str());
    return 2;
  }
  const std::string instance = "cpp-" + std::to_string(getpid());  // unique on one machine
  // A dead worker's executions can be taken over once their leases have expired.
  options.worker = {.worker_id = "cpp", .worker_instance_id = instance, .lease_ttl_ms = 10'000};
  options.lanes = {argv[3]};
  StopSignals stop;
  ErrorDetails why;
  valkey::DeploymentWorker worker(options);
  if (const Outcome started = worker.Start(&why); !started) {
    Say("no deployment", started.error, why);
    return 1;
  }
  http::IssuerClient issuer({.url = argv[1],
                             .token_variable = std::getenv("FF_API_TOKEN") ? "FF_API_TOKEN" : "",
                             .stop_descriptor = stop.descriptor()});
  valkey::ExecutionInput input;
  ReclaimRequestView request;
  request.worker_id = "cpp";
  request.worker_instance_id = instance;
  request.lane_id = argv[3];
  request.grant_ttl_ms = 5000;
  for (int i = 4; i < argc && !stop.stopped(); ++i) {
    ReclaimGrant grant;
    const http::IssuerStatus status = issuer.Reclaim(argv[i], request, grant);
    if (!status) {
      std::printf("no grant for %s: %s\n", argv[i], status.message.c_str());
      continue;
    }
    valkey::Work work = worker.Reclaim(grant.view(), &why);
    if (!work) Say(std::string("not taken over ") + argv[i], work.error, why);
    if (work) Do(work, input, why);
  }
  const valkey::Backoff pause = {.first_ms = 20, .longest_ms = 1000};
  const LaneIdView lane = ParseLaneId(argv[3]).lane;
  ClaimGrant grant;
  for (std::uint32_t in_vain = 0; argc == 4 && !stop.stopped();) {
    const http::IssuerStatus status = issuer.Claim("cpp",
                                                   {.lane_id = argv[3],
                                                    .worker_instance_id = instance,
                                                    .capabilities = {},
                                                    .grant_ttl_ms = 5000},
                                                   grant);
    if (!status) {  // 204: nothing in this window. Asks again, after a longer pause each time
      if (status.error > http::IssuerError::kNothingInWindow && !stop.stopped()) {
        std::printf("no grant: %s\n", status.message.c_str());
      }
      stop.Wait(pause.DelayMs(++in_vain, RandomUuid().bytes[2]));
      continue;
    }
    in_vain = 0;
    valkey::Work work = worker.Claim(grant.view(), lane, &why);
    if (!work) Say("not claimed", work.error, why);
    if (work) Do(work, input, why);
  }
  const Outcome left = worker.Stop(&why);
  Say("unregistered", left.error, why);
  return left ? 0 : 1;
}
