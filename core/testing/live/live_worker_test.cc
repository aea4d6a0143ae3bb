// SPDX-License-Identifier: Apache-2.0
//
// Runs the worker of core/examples as a process, beside a real server and a stand-in for
// FlowFabric's HTTP server that only gives out grants.

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <string_view>
#include <thread>

#include "testing/live/grant_routes.h"
#include "testing/live/http_server.h"
#include "testing/live/live_server.h"

namespace ffgrant::valkey::testing {
namespace {

using ffgrant::testing::GrantRoutes;
using ffgrant::testing::HttpServer;

class LiveWorker : public LiveServer {
 protected:
  MintedExecutionId CreateWith(std::string_view payload, std::string_view kind) {
    const MintedExecutionId id(7, RandomUuid());
    EXPECT_TRUE(
        ledger_.CreateExecution({.execution_id = id.view(),
                                 .lane = lane_,
                                 .retry = RetryPolicy{.max_retries = 1, .delay_ms = 60'000}},
                                ExecutionContent{.payload = payload, .kind = kind}));
    return id;
  }
  std::string PublicState(const MintedExecutionId& id) {
    return std::string(ledger_.Inspect(id.view()).value_or(ExecutionState()).public_state);
  }
  bool Becomes(const MintedExecutionId& id, std::string_view state) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (PublicState(id) != state) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return true;
  }
  static std::string Key(const MintedExecutionId& id, std::string_view role) {
    return "ff:exec:{fp:7}:" + std::string(id.text()) + ":" + std::string(role);
  }

  Operator admin_{Variable("FFGRANT_SERVER")};
};

TEST_F(LiveWorker, WorksUntilItIsToldToStop) {
  if (!Variable("FFGRANT_CLUSTER").empty()) GTEST_SKIP() << "the example knows one server";
  const MintedExecutionId first = CreateWith("abc \xff", "task");
  const MintedExecutionId fails = CreateWith("abc", "fail");
  HttpServer server(GrantRoutes(ledger_, lane_));
  const std::string where = Variable("FFGRANT_SERVER");
  const std::string instance = "cpp-" + lane_text_;
  const pid_t child = fork();
  if (child == 0) {
    setenv("FF_WORKER_INSTANCE_ID", instance.c_str(), 1);
    execl(FFGRANT_EXAMPLE_WORKER, "example_worker", server.url().c_str(), where.c_str(),
          lane_text_.c_str(), nullptr);
    _exit(127);
  }
  EXPECT_TRUE(Becomes(first, "completed"));
  EXPECT_TRUE(Becomes(fails, "delayed"));
  EXPECT_EQ(admin_.Do({"GET", Key(first, "result")}), "ABC \xff");
  EXPECT_EQ(admin_.Do({"HGET", Key(fails, "core"), "failure_reason"}), "asked to fail");
  const std::string alive = "ff:worker:default:" + instance + ":alive";
  EXPECT_EQ(admin_.Do({"EXISTS", alive}), "1");
  EXPECT_EQ(admin_.Do({"SISMEMBER", "ff:idx:default:workers", instance}), "1");
  EXPECT_EQ(admin_.Do({"HGET", "ff:worker:default:" + instance + ":caps", "lanes_csv"}),
            lane_text_);
  // The worker also does an execution that comes while it waits. On SIGTERM the worker then ends
  // well, and is no longer registered.
  const MintedExecutionId second = CreateWith("d", "task");
  EXPECT_TRUE(Becomes(second, "completed"));
  EXPECT_EQ(kill(child, SIGTERM), 0);
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_EQ(admin_.Do({"EXISTS", alive}), "0");
  EXPECT_EQ(admin_.Do({"SISMEMBER", "ff:idx:default:workers", instance}), "0");
}

TEST_F(LiveWorker, TakesOverWhatADeadWorkerHasLeft) {
  if (!Variable("FFGRANT_CLUSTER").empty()) GTEST_SKIP() << "the example knows one server";
  const MintedExecutionId left = CreateWith("abc", "task");
  const ClaimForWorkerOutcome chosen =
      ledger_.ClaimForWorker({.worker = {{"x"}, {"x-1"}}, .lane = lane_, .grant_ttl_ms = 5000});
  ASSERT_TRUE(chosen);
  ASSERT_TRUE(ledger_.Claim({.execution_id = left.view(),
                             .worker = {{"x"}, {"x-1"}},
                             .lane = lane_,
                             .lease_id = {RandomUuid()},
                             .lease_ttl_ms = 60'000,
                             .attempt_id = {RandomUuid()}}));
  ASSERT_TRUE(ledger_.Revoke({.execution_id = left.view()}));  // an expiry would do as well
  HttpServer server(GrantRoutes(ledger_, lane_));
  const std::string where = Variable("FFGRANT_SERVER");
  const pid_t child = fork();
  if (child == 0) {
    execl(FFGRANT_EXAMPLE_WORKER, "example_worker", server.url().c_str(), where.c_str(),
          lane_text_.c_str(), std::string(left.text()).c_str(), nullptr);
    _exit(127);
  }
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_EQ(PublicState(left), "completed");
  EXPECT_EQ(admin_.Do({"GET", Key(left, "result")}), "ABC");
  EXPECT_EQ(admin_.Do({"HGET", Key(left, "core"), "total_attempt_count"}), "2");
}

}  // namespace
}  // namespace ffgrant::valkey::testing
