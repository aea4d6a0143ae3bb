// SPDX-License-Identifier: Apache-2.0
//
// A worker for a FlowFabric deployment: it writes payloads in capital letters, and fails executions
// of the kind "fail". It asks the server for grants over HTTP, so that the server decides about
// admission, and does all else on Valkey. After SIGTERM it finishes what it has, and unregisters.
//
//   example_worker http://127.0.0.1:9090 127.0.0.1:6379 default
//   example_worker https://flowfabric.example valkeys://valkey.example default ID...
//
// If ids follow, it takes over these executions, whose workers have died, and ends. A deployment
// does not do that by itself. Tokens, passwords, certificates and the instance id come from the
// environment (SetFromEnvironment() says from which variables).

#include <cctype>
#include <cstdio>
#include <string>
#include <vector>

#include "ffgrant/deployment/run_worker.h"
#include "ffgrant/valkey/server_url.h"

using namespace ffgrant;

static deployment::Ending Capitalise(const deployment::Task& task) {
  if (task.input.kind() == "fail") return deployment::Failed("asked to fail", "permanent");
  std::string result(task.input.payload());
  // Longer work should look at task.lost() now and then, and give up if the lease is lost.
  for (char& c : result) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return deployment::Completed(result);
}

static void Print(const std::string& line) {
  std::printf("%s\n", line.c_str());
  std::fflush(stdout);
}

int main(int argc, char** argv) {
  deployment::RunOptions options;
  std::string problem = argc < 4 ? "words are missing" : deployment::SetFromEnvironment(options);
  if (problem.empty()) problem = valkey::SetServers(argv[2], options.worker.ledger.client);
  if (!problem.empty()) {
    Print("usage: example_worker URL VALKEY LANE [ID...]: " + problem);
    return 2;
  }
  options.issuer.url = argv[1];
  options.worker.worker.worker_id = "cpp";
  // A dead worker's executions can be taken over once their leases have expired.
  options.worker.worker.lease_ttl_ms = 10'000;
  options.worker.lanes = {argv[3]};
  options.report = [](const deployment::Report& report) { Print(report.Text()); };

  const StopSignals stop;  // SIGTERM and SIGINT
  const std::vector<std::string> ids(argv + 4, argv + argc);
  const deployment::RunResult ran = ids.empty()
                                        ? deployment::RunWorker(options, stop, Capitalise)
                                        : deployment::TakeOver(options, ids, stop, Capitalise);
  Print(ran ? "unregistered" : ran.message);
  return ran ? 0 : 1;
}
