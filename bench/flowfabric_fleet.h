// SPDX-License-Identifier: Apache-2.0
//
// Runs many workers in one loop. Their requests for grants share one GrantPipeline, and their calls
// on Valkey share one ClaimPipeline. Here a worker is a small object and not a thread, so that the
// load program takes little of the processors that the deployment needs.

#ifndef FFGRANT_BENCH_FLOWFABRIC_FLEET_H_
#define FFGRANT_BENCH_FLOWFABRIC_FLEET_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <queue>
#include <string>
#include <utility>
#include <vector>

#include "bench/flowfabric_work.h"
#include "ffgrant/claims/claim_ledger.h"
#include "ffgrant/http/grant_pipeline.h"
#include "ffgrant/ingress.h"
#include "ffgrant/json/json_scratch.h"
#include "ffgrant/lane_id.h"
#include "ffgrant/valkey/claim_pipeline.h"

namespace ffgrant::bench {

struct FleetOptions {
  http::IssuerOptions issuer;  // Run() can have at most issuer.connections workers
  valkey::ClientOptions valkey;
  std::string worker_id;  // a worker's instance is this id, '-' and the worker's number
  LaneIdView lane;
  PartitionConfig partitions;
  std::uint64_t seed = 1;  // for the random pauses
};

class Fleet {
 public:
  Fleet(const FleetOptions& options, const Executions& executions);

  // Lets `workers` workers lead all executions of the plan through `steps`, and returns the
  // measurements. Ends the program if a step fails.
  Figures Run(std::size_t workers, Plan& plan, Steps steps);

 private:
  using Moment = SteadyClock::time_point;

  struct Member {
    Member(std::string name, std::uint64_t seed) : instance(std::move(name)), pauses(seed) {}
    std::string instance;
    Pauses pauses;
    Moment begin;  // when the execution began; in an open load, when it was planned to begin
    Moment from;   // when the step under way began
    ClaimGrant grant;
    Execution* execution = nullptr;
    Lease lease;
  };
  using Timer = std::pair<Moment, std::size_t>;  // a moment, and the worker that goes on then

  void Begin(std::size_t number);
  void Ask(std::size_t number);
  void Granted(std::size_t number, const http::GrantPipeline::Completion& done);
  void Answered(std::size_t number, const valkey::ClaimPipeline::Completion& done);
  void End(std::size_t number, Moment now);
  void Wait();

  const FleetOptions options_;
  const Executions& executions_;
  http::GrantPipeline grants_;
  valkey::ClaimPipeline calls_;
  JsonScratch scratch_;
  std::vector<Member> members_;
  std::priority_queue<Timer, std::vector<Timer>, std::greater<>> timers_;
  bool are_grants_ready_ = false;
  bool are_calls_ready_ = false;
  // The load that runs.
  Plan* plan_ = nullptr;
  Steps steps_ = Steps::kCycle;
  Figures figures_;
  std::size_t busy_ = 0;  // workers that have an execution or wait for one
};

}  // namespace ffgrant::bench

#endif  // FFGRANT_BENCH_FLOWFABRIC_FLEET_H_
