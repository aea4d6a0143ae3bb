// SPDX-License-Identifier: Apache-2.0
//
// Has the fixture of tests that run whole workers, with their threads and sockets, against a
// stand-in for FlowFabric's HTTP server and a simulated Valkey that runs the shipped functions.

#ifndef FFGRANT_TESTING_SIMULATION_WORKERS_TEST_FIXTURE_H_
#define FFGRANT_TESTING_SIMULATION_WORKERS_TEST_FIXTURE_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "ffgrant/deployment/run_worker.h"
#include "ffgrant/uuid_generator.h"
#include "testing/live/grant_routes.h"
#include "testing/live/http_server.h"
#include "testing/simulation/served_simulation.h"

namespace ffgrant::testing {

class Workers : public ::testing::Test {
 protected:
  using Event = deployment::Report::Event;
  using ServedSimulation = valkey::testing::ServedSimulation;
  using Fate = ServedSimulation::Fate;
  using Steady = std::chrono::steady_clock;

  static constexpr std::chrono::seconds kPatience{30};

  Workers()
      : ledger_({.client = {.servers = {served_.endpoint()}}}),
        routes_(GrantRoutes(ledger_, lane_)),
        issuer_([this](const std::string& request) {
          std::optional<std::string> instead;
          {
            const std::lock_guard lock(mutex_);
            if (answer_) instead = answer_(request);
          }
          return instead ? *instead : routes_(request);
        }) {
    valkey::ServerInfo server;
    EXPECT_TRUE(ledger_.Connect(server));  // this loads the functions
    options_.issuer.url = issuer_.url();
    options_.worker.ledger.client.servers = {served_.endpoint()};
    options_.worker.worker = {.worker_id = "w1", .worker_instance_id = "w1-i1"};
    options_.worker.lanes = {"main"};
    options_.pause.longest_ms = 50;
    options_.report = [this](const deployment::Report& report) {
      const std::lock_guard lock(mutex_);
      reports_.push_back(report.Text());
      events_.push_back(report.event);
    };
  }

  MintedExecutionId Create(std::string_view payload = "abc", std::string_view kind = "task",
                           std::optional<RetryPolicy> retry = {}) {
    const MintedExecutionId id(7, RandomUuid());
    EXPECT_TRUE(
        ledger_.CreateExecution({.execution_id = id.view(), .lane = lane_, .retry = retry},
                                valkey::ExecutionContent{.payload = payload, .kind = kind}));
    return id;
  }
  // Creates an execution that another worker has claimed; that worker is heard of no more.
  MintedExecutionId CreateForADeadWorker(std::string_view payload) {
    const MintedExecutionId id = Create(payload);
    const WorkerIdentity dead = {{"x"}, {"x-1"}};
    EXPECT_TRUE(ledger_.IssueClaimGrant(
        {.execution_id = id.view(), .worker = dead, .lane = lane_, .grant_ttl_ms = 5000}));
    EXPECT_TRUE(ledger_.Claim({.execution_id = id.view(),
                               .worker = dead,
                               .lane = lane_,
                               .lease_id = {RandomUuid()},
                               .lease_ttl_ms = 60'000,
                               .attempt_id = {RandomUuid()}}));
    return id;
  }
  std::string State(const MintedExecutionId& id) {
    return std::string(ledger_.Inspect(id.view()).value_or(ExecutionState()).public_state);
  }
  bool Becomes(const MintedExecutionId& id, std::string_view state) {
    return Eventually([&] { return State(id) == state; });
  }
  template <class Condition>
  static bool Eventually(const Condition& condition) {
    const Steady::time_point end = Steady::now() + kPatience;
    while (!condition()) {
      if (Steady::now() > end) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return true;
  }
  std::string ResultOf(const MintedExecutionId& id) {
    return served_.Do({"GET", "ff:exec:{fp:7}:" + std::string(id.text()) + ":result"});
  }
  std::string Core(const MintedExecutionId& id, const std::string& field) {
    return served_.Do({"HGET", "ff:exec:{fp:7}:" + std::string(id.text()) + ":core", field});
  }
  std::string Alive(const std::string& instance = "w1-i1") {
    return served_.Do({"EXISTS", "ff:worker:default:" + instance + ":alive"});
  }
  static bool Calls(const ServedSimulation::Command& command, std::string_view function) {
    return command.size() > 1 && command[0] == "FCALL" && command[1].ends_with(function);
  }
  void AnswerWith(std::function<std::optional<std::string>(const std::string&)> answer) {
    const std::lock_guard lock(mutex_);
    answer_ = std::move(answer);
  }
  bool HasReported(const std::string& begin) {
    const std::lock_guard lock(mutex_);
    for (const std::string& report : reports_) {
      if (report.starts_with(begin)) return true;
    }
    return false;
  }
  int Count(Event event) {
    const std::lock_guard lock(mutex_);
    return static_cast<int>(std::count(events_.begin(), events_.end(), event));
  }

  // A worker in a thread. The destructor tells the worker to stop if Stop() has not done so.
  class Started {
   public:
    Started(Workers& test, deployment::Handler handler)
        : test_(test), handler_(std::move(handler)), thread_([this] {
            result_ = deployment::RunWorker(test_.options_, test_.stop_, handler_);
            has_ended_ = true;
          }) {}
    // Commands and requests of the worker may still arrive after its end. The functions that decide
    // about them use variables of the test, which may be gone by then.
    ~Started() {
      (void)Stop();
      test_.served_.Decide(nullptr);
      test_.AnswerWith(nullptr);
    }
    const deployment::RunResult& Stop() {
      test_.stop_.Stop();
      return Wait();
    }
    bool has_ended() const { return has_ended_; }
    const deployment::RunResult& Wait() {
      if (thread_.joinable()) thread_.join();
      return result_;
    }

   private:
    Workers& test_;
    const deployment::Handler handler_;
    deployment::RunResult result_;
    std::atomic<bool> has_ended_{false};
    std::thread thread_;
  };

  static deployment::Ending Echo(const deployment::Task& task) {
    return deployment::Completed(std::string(task.input.payload()));
  }

  const LaneIdView lane_ = ParseLaneId("main").lane;
  ServedSimulation served_;
  valkey::ValkeyLedger ledger_;
  const HttpServer::Answer routes_;
  std::mutex mutex_;
  std::function<std::optional<std::string>(const std::string&)> answer_;  // asked before `routes_`
  std::vector<std::string> reports_;
  std::vector<Event> events_;
  HttpServer issuer_;
  StopSignals stop_;
  deployment::RunOptions options_;
};

}  // namespace ffgrant::testing

#endif  // FFGRANT_TESTING_SIMULATION_WORKERS_TEST_FIXTURE_H_
