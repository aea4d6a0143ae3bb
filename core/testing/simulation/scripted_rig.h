// SPDX-License-Identifier: Apache-2.0
//
// Test only: runs a pipeline on a scripted network, and has the rules that every completion must
// keep whatever goes wrong.

#ifndef FFGRANT_TESTING_SIMULATION_SCRIPTED_RIG_H_
#define FFGRANT_TESTING_SIMULATION_SCRIPTED_RIG_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "ffgrant/execution_id.h"
#include "ffgrant/lane_id.h"
#include "ffgrant/uuid_generator.h"
#include "ffgrant/valkey/claim_pipeline.h"
#include "testing/simulation/scripted_network.h"

namespace ffgrant::valkey::testing {

inline ClientOptions ScriptedOptions(ScriptedServer& server, ScriptedNetwork*& network) {
  ClientOptions options;
  options.request_timeout_ms = 200;
  options.connect_timeout_ms = 100;
  options.max_in_flight = 16;
  options.max_reply_bytes = 1 << 16;
  options.make_network = [&server, &network] {
    auto made = std::make_unique<ScriptedNetwork>(server);
    network = made.get();
    return made;
  };
  return options;
}

class ScriptedRig {
 public:
  explicit ScriptedRig(ClientOptions (*change)(ClientOptions) = nullptr)
      : pipeline_(change == nullptr ? ScriptedOptions(server, network)
                                    : change(ScriptedOptions(server, network))) {}

  // The ids of one execution that a test leads through the calls of kWay, one after the other.
  struct Way {
    explicit Way(std::uint64_t seed) : ids(seed), execution(7, ids.Next()) {
      lease_id = {ids.Next()};
      attempt_id = {ids.Next()};
    }
    UuidGenerator ids;
    MintedExecutionId execution;
    LeaseId lease_id;
    AttemptId attempt_id;
  };

  static std::string_view Function(ClaimPipeline::Call call) {
    switch (call) {
      case ClaimPipeline::Call::kCreate:
        return "ff_create_execution";
      case ClaimPipeline::Call::kIssue:
        return "ff_issue_claim_grant";
      case ClaimPipeline::Call::kClaim:
        return "ff_claim_execution";
      default:
        return "ff_complete_execution";
    }
  }

  // A pipeline keeps none of its arguments. So the text of the id is overwritten as soon as the
  // call is submitted.
  bool Submit(const Way& way, ClaimPipeline::Call call, std::uint64_t tag) {
    id_text_.assign(way.execution.text());
    const bool taken =
        SubmitWith(ParseExecutionId(id_text_, ParseMode::kStrict).id, way, call, tag);
    id_text_.assign(id_text_.size(), 'x');
    return taken;
  }

  ClaimPipeline::Completion Run(const Way& way, ClaimPipeline::Call call) {
    (void)Submit(way, call, 1);
    for (int i = 0; i < 100'000; ++i) {
      const auto done = pipeline_.Poll(50);
      if (!done.empty()) return done.front();
    }
    std::abort();  // a call did not end
  }

  // Returns what is wrong with `done`, given what the server has executed; empty if nothing is
  // wrong. The call of `done` must have been made only once.
  std::string Contradiction(const Way& way, const ClaimPipeline::Completion& done) const {
    const int executed = server.Executions(Function(done.call), std::string(way.execution.text()));
    if (executed > 1) return "executed twice";
    if (done.error == ClaimError::kUnknownOutcome) return "";
    if (done.error == ClaimError::kUnavailable) {
      return executed == 0 ? "" : "executed, but said not to have happened";
    }
    if (executed == 0) return "not executed, but answered";
    if (done.call == ClaimPipeline::Call::kClaim) {
      std::array<char, kUuidTextSize> lease;
      FormatUuid(way.lease_id.uuid, lease);
      const bool claimed = server.WasClaimed({lease.data(), lease.size()});
      if (claimed != (done.error == ClaimError::kNone)) return "claim and answer differ";
      if (claimed && done.lease.fence != LeaseFence{way.lease_id, {1}, way.attempt_id}) {
        return "another lease";
      }
    }
    return "";
  }

  ClaimPipeline& pipeline() { return pipeline_; }

  ScriptedServer server;
  ScriptedNetwork* network = nullptr;

 private:
  bool SubmitWith(const ExecutionIdView& id, const Way& way, ClaimPipeline::Call call,
                  std::uint64_t tag) {
    const LaneIdView lane = ParseLaneId("main").lane;
    const WorkerIdentity worker = {{"w1"}, {"w1-i1"}};
    switch (call) {
      case ClaimPipeline::Call::kCreate:
        return pipeline_.SubmitCreate({.execution_id = id, .lane = lane}, "payload", tag);
      case ClaimPipeline::Call::kIssue:
        return pipeline_.SubmitIssue(
            {.execution_id = id, .worker = worker, .lane = lane, .grant_ttl_ms = 5000}, tag);
      case ClaimPipeline::Call::kClaim:
        return pipeline_.SubmitClaim({.execution_id = id,
                                      .worker = worker,
                                      .lane = lane,
                                      .lease_id = way.lease_id,
                                      .lease_ttl_ms = 5000,
                                      .attempt_id = way.attempt_id},
                                     tag);
      default:
        return pipeline_.SubmitComplete(
            {.execution_id = id, .fence = LeaseFence{way.lease_id, {1}, way.attempt_id}},
            {.attempt_index = {0}, .lane = lane, .worker_instance_id = {"w1-i1"}}, tag);
    }
  }

  std::string id_text_;
  ClaimPipeline pipeline_;
};

inline constexpr ClaimPipeline::Call kWay[] = {
    ClaimPipeline::Call::kCreate, ClaimPipeline::Call::kIssue, ClaimPipeline::Call::kClaim,
    ClaimPipeline::Call::kComplete};

}  // namespace ffgrant::valkey::testing

#endif  // FFGRANT_TESTING_SIMULATION_SCRIPTED_RIG_H_
