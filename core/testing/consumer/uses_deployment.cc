// SPDX-License-Identifier: Apache-2.0
//
// Runs a worker from an installed package. Exits with 0 if the worker ends because it reaches no
// server. Nothing listens on port 1.

#include <cstdio>

#include "ffgrant/deployment/run_worker.h"

int main() {
  ffgrant::deployment::RunOptions options;
  options.issuer.url = "http://127.0.0.1:1";
  options.worker.ledger.client.servers = {{"127.0.0.1", 1}};
  options.worker.ledger.client.request_timeout_ms = 100;
  options.worker.worker.worker_id = "w";
  options.worker.lanes = {"main"};
  const ffgrant::StopSignals stop;
  const ffgrant::deployment::RunResult ran = ffgrant::deployment::RunWorker(
      options, stop,
      [](const ffgrant::deployment::Task&) { return ffgrant::deployment::Completed(); });
  std::printf("%s\n", ran.message.c_str());
  return ran.error == ffgrant::ClaimError::kUnavailable ? 0 : 1;
}
