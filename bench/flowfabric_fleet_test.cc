// SPDX-License-Identifier: Apache-2.0
//
// Lets fleets work against a stand-in for FlowFabric's HTTP server and a simulated Valkey that runs
// the shipped functions. A fleet ends the program if a step fails. So what must end the program
// runs in a process of its own, with servers of its own.

#include "bench/flowfabric_fleet.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "ffgrant/uuid_generator.h"
#include "testing/live/grant_routes.h"
#include "testing/live/http_server.h"
#include "testing/simulation/served_simulation.h"

namespace ffgrant::bench {
namespace {

using ::testing::ExitedWithCode;
using testing::GrantRoutes;
using testing::HttpResponse;
using testing::HttpServer;
using valkey::testing::ServedSimulation;
using Command = ServedSimulation::Command;
using Fate = ServedSimulation::Fate;

constexpr char kNothing[] = "HTTP/1.1 204 No Content\r\n\r\n";

bool Calls(const Command& command, std::string_view function) {
  return command.size() > 1 && command[0] == "FCALL" && command[1].ends_with(function);
}

class Fleets : public ::testing::Test {
 protected:
  static constexpr std::size_t kWorkers = 8;

  Fleets()
      : ledger_({.client = {.servers = {served_.endpoint()}}, .connections = kWorkers}),
        routes_(GrantRoutes(ledger_, lane_)),
        issuer_([this](const std::string& request) {
          const std::optional<std::string> instead = Instead(request);
          return instead ? *instead : routes_(request);
        }) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    valkey::ServerInfo server;
    EXPECT_TRUE(ledger_.Connect(server));  // Connect() loads the functions
  }

  void Create(int count) {
    for (int i = 0; i < count; ++i) {
      const MintedExecutionId id(static_cast<std::uint16_t>(i % 16), RandomUuid());
      EXPECT_TRUE(ledger_.CreateExecution({.execution_id = id.view(), .lane = lane_}));
      executions_.Add(std::string(id.text()));
    }
  }
  // From now on `answer` is asked first about each request. If it returns nothing, the routes
  // answer the request.
  void AnswerWith(std::function<std::optional<std::string>(const std::string&)> answer) {
    const std::lock_guard lock(mutex_);
    answer_ = std::move(answer);
  }
  std::string Key(Execution& execution, std::string_view role) {
    return "ff:exec:" + execution.id.substr(0, execution.id.find('}') + 1) + ":" + execution.id +
           ":" + std::string(role);
  }
  // Lets the workers lead `count` executions through `steps`.
  Figures Run(std::size_t count, Steps steps = Steps::kCycle, std::size_t workers = kWorkers) {
    Plan plan;
    plan.count = count;
    plan.GotGrant(SteadyClock::now());
    return TheFleet().Run(workers, plan, steps);
  }
  Fleet& TheFleet() {
    if (!fleet_) {
      FleetOptions options;
      options.issuer.url = issuer_.url();
      options.issuer.connections = kWorkers;
      options.valkey.servers = {served_.endpoint()};
      options.worker_id = "w";
      options.lane = lane_;
      fleet_.emplace(options, executions_);
    }
    return *fleet_;
  }
  static std::size_t Count(const Figures& figures, Stage stage) {
    return figures.micros[stage].size();
  }
  void ExpectAllDoneOnce() {
    for (std::size_t i = 0; i < executions_.size(); ++i) {
      Execution& execution = executions_[i];
      EXPECT_EQ(execution.claimed, 1u);
      EXPECT_EQ(execution.completed, 1u);
      const std::string result = ResultOf(execution.id);
      EXPECT_EQ(served_.Do({"GET", Key(execution, "result")}),
                "$" + std::to_string(result.size()) + "\r\n" + result + "\r\n");
    }
  }

  const LaneIdView lane_ = ParseLaneId("main").lane;
  ServedSimulation served_;
  valkey::ValkeyLedger ledger_;
  const HttpServer::Answer routes_;
  HttpServer issuer_;
  Executions executions_;

 private:
  std::optional<std::string> Instead(const std::string& request) {
    const std::lock_guard lock(mutex_);
    return answer_ ? answer_(request) : std::nullopt;
  }

  std::mutex mutex_;
  std::function<std::optional<std::string>(const std::string&)> answer_;
  std::optional<Fleet> fleet_;
};

// ---- what is counted ------------------------------------------------------------------

TEST_F(Fleets, EachExecutionIsLedThroughAllStepsOnce) {
  Create(60);
  const Figures figures = Run(60);
  for (const Stage stage : {kGrant, kDecode, kClaim, kRenew, kComplete, kWhole}) {
    EXPECT_EQ(Count(figures, stage), 60u) << kStageNames[stage];
  }
  EXPECT_EQ(figures.asked, 60 + figures.nothing);
  EXPECT_EQ(figures.asked, issuer_.requests().size());
  ExpectAllDoneOnce();
}

TEST_F(Fleets, ALoadGoesNoFurtherThanItsSteps) {
  Create(48);
  const Figures grants = Run(16, Steps::kGrant);
  EXPECT_EQ(Count(grants, kGrant), 16u);
  EXPECT_EQ(Count(grants, kWhole), 16u);
  EXPECT_EQ(Count(grants, kClaim), 0u);
  const Figures pairs = Run(16, Steps::kPair);
  EXPECT_EQ(Count(pairs, kClaim), 16u);
  EXPECT_EQ(Count(pairs, kWhole), 16u);
  EXPECT_EQ(Count(pairs, kRenew) + Count(pairs, kComplete), 0u);
  EXPECT_EQ(pairs.asked, 16 + pairs.nothing) << "a load's figures are its own";
  // A load claims and completes no more executions than its plan has.
  const Figures cycles = Run(8, Steps::kCycle, 3);
  EXPECT_EQ(Count(cycles, kComplete), 8u);
  std::size_t claimed = 0;
  std::size_t completed = 0;
  for (std::size_t i = 0; i < executions_.size(); ++i) {
    claimed += executions_[i].claimed;
    completed += executions_[i].completed;
  }
  EXPECT_EQ(claimed, 24u);
  EXPECT_EQ(completed, 8u);
}

TEST_F(Fleets, AnswersWithNothingAreCountedAndAskedAgain) {
  Create(20);
  std::atomic<std::uint64_t> asked{0};
  AnswerWith([&](const std::string&) -> std::optional<std::string> {
    if (++asked % 2 == 0) return std::nullopt;
    return kNothing;
  });
  const Figures figures = Run(20);
  EXPECT_EQ(Count(figures, kGrant), 20u) << "the time of a request that got nothing is no figure";
  EXPECT_GE(figures.nothing, 20u);
  EXPECT_EQ(figures.asked, 20 + figures.nothing);
  ExpectAllDoneOnce();
}

TEST_F(Fleets, AnOpenLoadCountsFromItsMoments) {
  Create(10);
  Plan plan;
  plan.count = 10;
  const SteadyClock::time_point now = SteadyClock::now();
  plan.GotGrant(now);
  for (int i = 0; i < 10; ++i) plan.moments.push_back(now + std::chrono::milliseconds(4 * i - 300));
  const Figures figures = TheFleet().Run(2, plan, Steps::kCycle);
  ASSERT_EQ(Count(figures, kWhole), 10u);
  for (const float micros : figures.micros[kWhole]) EXPECT_GE(micros, 260'000.F);
  ExpectAllDoneOnce();
}

// If a kept connection turns out to be closed, libcurl repeats the request, and the fleet does not
// count the request again.
TEST_F(Fleets, AKeptConnectionThatCloses) {
  Create(40);
  std::atomic<std::uint64_t> asked{0};
  AnswerWith([&](const std::string&) -> std::optional<std::string> {
    if (++asked % 15 == 0) return "close";
    return std::nullopt;
  });
  const Figures figures = Run(40, Steps::kCycle, 1);
  EXPECT_EQ(Count(figures, kWhole), 40u);
  EXPECT_GT(issuer_.connections(), 1);
  EXPECT_GT(issuer_.requests().size(), figures.asked);
  ExpectAllDoneOnce();
}

// ---- what ends the program --------------------------------------------------------------

TEST_F(Fleets, AGrantThatIsRefused) {
  Create(8);
  AnswerWith([](const std::string&) { return HttpResponse(401, R"({"error":"no token"})"); });
  EXPECT_EXIT(Run(8), ExitedWithCode(1), "flowfabric_load: claim: unauthorized no token");
}

TEST_F(Fleets, AConnectionThatIsLostBeforeAGrant) {
  Create(8);
  AnswerWith([](const std::string&) { return std::string("close"); });
  EXPECT_EXIT(Run(8), ExitedWithCode(1), "claim: connection_lost");
}

TEST_F(Fleets, ABodyThatIsNoGrant) {
  Create(8);
  AnswerWith([](const std::string&) { return HttpResponse(200, "{}"); });
  EXPECT_EXIT(Run(8), ExitedWithCode(1), "claim: malformed_response");
}

TEST_F(Fleets, AnotherOnesExecutionIsNotClaimed) {
  Create(8);
  const MintedExecutionId other(3, RandomUuid());
  ASSERT_TRUE(ledger_.CreateExecution({.execution_id = other.view(), .lane = lane_}));
  EXPECT_EXIT(Run(9), ExitedWithCode(1), "the lane is not ours alone");
}

TEST_F(Fleets, AGrantForAnotherPartition) {
  Create(1);
  AnswerWith([&](const std::string& request) -> std::optional<std::string> {
    std::string answer = routes_(request);
    const std::size_t at = answer.find(R"("partition_key":"{fp:0}")");
    if (at != std::string::npos) answer.replace(at, 24, R"("partition_key":"{fp:9}")");
    return answer;
  });
  EXPECT_EXIT(Run(1), ExitedWithCode(1), "a grant: tag_mismatch");
}

TEST_F(Fleets, AClaimThatIsRefused) {
  Create(8);
  AnswerWith([&](const std::string& request) -> std::optional<std::string> {
    std::string answer = routes_(request);
    for (std::size_t i = 0; i < executions_.size(); ++i) {
      (void)served_.Do({"DEL", Key(executions_[i], "claim_grant")});
    }
    return answer;
  });
  // An execution whose grant is gone may be granted again before it is claimed. Then two workers
  // claim it, and the second of them is told that it is leased.
  EXPECT_EXIT(Run(8), ExitedWithCode(1),
              "flowfabric_load: claim: (invalid_claim_grant|execution_not_leaseable)");
}

TEST_F(Fleets, AClaimWhoseAnswerIsLost) {
  Create(8);
  served_.Decide([](const Command& command) {
    return Calls(command, "_claim_execution") ? Fate::kLostAfter : Fate::kServed;
  });
  EXPECT_EXIT(Run(8), ExitedWithCode(1), "flowfabric_load: claim: unknown_outcome");
}

TEST_F(Fleets, ARenewalThatIsRefused) {
  Create(8);
  const auto answering = served_.Answer([](const Command& command) -> std::optional<std::string> {
    if (!Calls(command, "_renew_lease")) return std::nullopt;
    return valkey::testing::RejectedReply("lease_revoked");
  });
  EXPECT_EXIT(Run(8), ExitedWithCode(1), "flowfabric_load: renew: lease_revoked");
}

TEST_F(Fleets, ACompletionWhoseAnswerIsLost) {
  Create(8);
  served_.Decide([](const Command& command) {
    return Calls(command, "_complete_execution") ? Fate::kLostAfter : Fate::kServed;
  });
  EXPECT_EXIT(Run(8), ExitedWithCode(1), "flowfabric_load: complete: unknown_outcome");
}

// The server runs each completion twice, and the fleet gets the answer of the second run.
TEST_F(Fleets, ACompletionThatIsRepeated) {
  Create(8);
  served_.Decide([this](const Command& command) {
    if (Calls(command, "_complete_execution")) served_.Repeat(command);
    return Fate::kServed;
  });
  EXPECT_EXIT(Run(8), ExitedWithCode(1), "flowfabric_load: complete: execution_not_active");
}

TEST_F(Fleets, AnExecutionThatIsGivenOutTwice) {
  Create(1);
  const std::string id = executions_[0].id;
  (void)Run(1);
  ExpectAllDoneOnce();
  (void)served_.Do({"FLUSHALL"});
  const ExecutionIdResult parsed = ParseExecutionId(id, ParseMode::kStrict);
  ASSERT_TRUE(ledger_.CreateExecution({.execution_id = parsed.id, .lane = lane_}));
  EXPECT_EXIT(Run(1), ExitedWithCode(1), "an execution was claimed twice");
}

TEST_F(Fleets, ExecutionsThatAreLost) {
  Create(1);
  AnswerWith([](const std::string&) { return std::string(kNothing); });
  Plan plan;
  plan.count = 1;
  plan.GotGrant(SteadyClock::now() - kPatience);
  EXPECT_EXIT(TheFleet().Run(1, plan, Steps::kCycle), ExitedWithCode(1),
              "no grant for a minute, though executions are left");
}

TEST_F(Fleets, MoreWorkersThanThereAre) {
  EXPECT_EXIT(Run(1, Steps::kCycle, kWorkers + 1), ExitedWithCode(1), "more workers than");
}

}  // namespace
}  // namespace ffgrant::bench
