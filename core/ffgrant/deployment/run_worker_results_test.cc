// SPDX-License-Identifier: Apache-2.0
//
// Runs whole workers, and checks what becomes of an execution if its handler throws, its input
// can't be read, servers fail or its lease is lost.

#include "ffgrant/deployment/run_worker.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>

#include "ffgrant/claims/ending.h"
#include "testing/live/http_server.h"
#include "testing/simulation/workers_test_fixture.h"

namespace ffgrant::deployment {
namespace {

using testing::MsSince;
using testing::Workers;

// ---- handlers and inputs ---------------------------------------------------------

TEST_F(Workers, AHandlersExceptionFailsTheExecution) {
  const std::string kinds[] = {"runtime_error", "out_of_range", "bad_alloc", "int"};
  std::map<std::string, MintedExecutionId> ids;
  for (const std::string& kind : kinds) ids.emplace(kind, Create(kind));
  Started worker(*this, [](const Task& task) -> Ending {
    const std::string_view kind = task.input.payload();
    if (kind == "runtime_error") throw std::runtime_error("no disk");
    if (kind == "out_of_range") throw std::out_of_range("no such item");
    if (kind == "bad_alloc") throw std::bad_alloc();
    throw 7;
  });
  for (const auto& [kind, id] : ids) EXPECT_TRUE(Becomes(id, "failed")) << kind;
  EXPECT_EQ(worker.Stop().failed, 4u);
  const auto reason = [&](const std::string& kind) { return Core(ids.at(kind), "failure_reason"); };
  EXPECT_EQ(reason("runtime_error"), "$7\r\nno disk\r\n");
  EXPECT_EQ(reason("out_of_range"), "$12\r\nno such item\r\n");
  EXPECT_NE(reason("bad_alloc").find(std::bad_alloc().what()), std::string::npos);
  EXPECT_NE(reason("int").find("something else"), std::string::npos);
}

TEST_F(Workers, AnInputMayBeAsLargeAsTheOptionsSay) {
  options_.max_input_bytes = std::size_t{6} << 20;
  const std::string payload(std::size_t{5} << 20, 'p');
  const MintedExecutionId id = Create(payload);
  Started worker(*this, [&](const Task& task) {
    return Completed(task.input.payload() == payload ? "same" : "other");
  });
  EXPECT_TRUE(Becomes(id, "completed"));
  EXPECT_EQ(worker.Stop().completed, 1u);
  EXPECT_EQ(ResultOf(id), "$4\r\nsame\r\n");
}

TEST_F(Workers, AnInputThatIsTooLargeFails) {
  options_.max_input_bytes = 100;
  const MintedExecutionId id = Create(std::string(200, 'p'));
  Started worker(*this, [](const Task&) -> Ending {
    ADD_FAILURE() << "the handler was called";
    return Completed();
  });
  EXPECT_TRUE(Becomes(id, "failed"));
  EXPECT_EQ(worker.Stop().failed, 1u);
  EXPECT_NE(Core(id, "failure_reason").find("the input can't be read: invalid_input"),
            std::string::npos);
}

// The reply with the execution's tags is larger than the client takes.
TEST_F(Workers, AnInputThatIsLargerThanAReplyFails) {
  options_.worker.worker.lease_ttl_ms = 1000;
  options_.worker.ledger.client.request_timeout_ms = 200;
  options_.max_input_bytes = 1000;
  options_.worker.ledger.client.max_reply_bytes = std::size_t{1} << 16;
  const MintedExecutionId id = Create();
  const std::string tags = "ff:exec:{fp:7}:" + std::string(id.text()) + ":tags";
  (void)served_.Do({"HSET", tags, "name", std::string(200'000, 'v')});
  Started worker(*this, [](const Task&) -> Ending {
    ADD_FAILURE() << "the handler was called";
    return Completed();
  });
  EXPECT_TRUE(Becomes(id, "failed"));
  (void)served_.Do({"DEL", tags});
  EXPECT_EQ(worker.Stop().failed, 1u);
  EXPECT_NE(Core(id, "failure_reason").find("the input can't be read: invalid_input"),
            std::string::npos);
}

TEST_F(Workers, AnInputThatNeverGetsThroughFails) {
  options_.worker.worker.lease_ttl_ms = 1000;
  options_.worker.ledger.client.request_timeout_ms = 200;
  const MintedExecutionId id = Create();
  served_.Decide([](const ServedSimulation::Command& command) {
    return command[0] == "HGETALL" ? Fate::kLostBefore : Fate::kServed;
  });
  Started worker(*this, [](const Task&) -> Ending {
    ADD_FAILURE() << "the handler was called";
    return Completed();
  });
  EXPECT_TRUE(Becomes(id, "failed"));
  EXPECT_EQ(worker.Stop().failed, 1u);
  EXPECT_NE(Core(id, "failure_reason").find("the input can't be read: un"), std::string::npos);
}

// ---- outages ---------------------------------------------------------------------

TEST_F(Workers, ACompletionWhoseAnswerIsLostCountsOnce) {
  std::atomic<int> seen{0};
  served_.Decide([&](const ServedSimulation::Command& command) {
    return Calls(command, "_complete_execution") && ++seen == 1 ? Fate::kLostAfter : Fate::kServed;
  });
  const MintedExecutionId id = Create();
  Started worker(*this, &Echo);
  EXPECT_TRUE(Becomes(id, "completed"));
  EXPECT_TRUE(Eventually([&] { return HasReported("completed "); }));
  EXPECT_EQ(worker.Stop().completed, 1u);
  EXPECT_GE(seen, 2);
  EXPECT_EQ(reports_.size(), 1u);
}

// The outage is longer than all tries of CompleteOnce() together, and shorter than the lease. The
// server is gone, or takes the command and does not answer.
TEST_F(Workers, AResultSurvivesAnOutage) {
  options_.worker.ledger.client.request_timeout_ms = 100;
  Started worker(*this, &Echo);
  for (const Fate outage : {Fate::kLostBefore, Fate::kSilent}) {
    std::atomic<std::int64_t> until{0};
    const Steady::time_point begin = Steady::now();
    served_.Decide([&](const ServedSimulation::Command& command) {
      if (Calls(command, "_complete_execution") && until == 0) until = MsSince(begin) + 1000;
      const bool concerns = outage != Fate::kSilent || Calls(command, "_complete_execution");
      return concerns && MsSince(begin) < until ? outage : Fate::kServed;
    });
    const MintedExecutionId id = Create();
    EXPECT_TRUE(Eventually([&] { return HasReported("completed " + std::string(id.text())); }));
    EXPECT_EQ(ResultOf(id), "$3\r\nabc\r\n");
    served_.Decide(nullptr);
  }
  const RunResult& ran = worker.Stop();
  EXPECT_EQ(ran.completed, 2u);
  EXPECT_EQ(ran.lost, 0u);
}

// The work takes longer than a lease lasts without a renewal. The time in which an ending is tried
// again begins with the ending's first try, and not with the claim.
TEST_F(Workers, AnEndingOfLongWorkIsTriedAgainToo) {
  options_.worker.worker.lease_ttl_ms = 1500;
  options_.worker.worker.permits = 2;
  std::atomic<int> completions{0};
  std::atomic<int> failures{0};
  served_.Decide([&](const ServedSimulation::Command& command) {
    const bool is_lost =
        (Calls(command, "_complete_execution") && ++completions <= 2 * kEndingTries) ||
        (Calls(command, "_fail_execution") && ++failures <= 2 * kEndingTries);
    return is_lost ? Fate::kLostBefore : Fate::kServed;
  });
  const MintedExecutionId done = Create("complete");
  const MintedExecutionId failed = Create("fail");
  Started worker(*this, [&](const Task& task) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1600));
    return task.input.payload() == "fail" ? Failed("no disk") : Completed("late");
  });
  EXPECT_TRUE(Eventually([&] {
    const std::lock_guard lock(mutex_);
    return reports_.size() == 2;
  }));
  const RunResult& ran = worker.Stop();
  EXPECT_EQ(ran.completed, 1u);
  EXPECT_EQ(ran.failed, 1u);
  EXPECT_EQ(ran.lost, 0u);
  EXPECT_EQ(State(done), "completed");
  EXPECT_EQ(State(failed), "failed");
  EXPECT_GT(completions, 2 * kEndingTries);
  EXPECT_GT(failures, 2 * kEndingTries);
}

// If the server does not answer, a failure takes several tries, and the lease has to last for all
// of them.
TEST_F(Workers, ALeaseIsRenewedWhileItsFailureIsReported) {
  options_.worker.worker.lease_ttl_ms = 3000;
  options_.worker.ledger.client.request_timeout_ms = 1200;
  bool is_failing = false;
  bool is_renewed = false;
  served_.Decide([&](const ServedSimulation::Command& command) {
    is_failing |= Calls(command, "_fail_execution");
    is_renewed |= is_failing && Calls(command, "_renew_lease");
    return Calls(command, "_fail_execution") && !is_renewed ? Fate::kSilent : Fate::kServed;
  });
  const MintedExecutionId id = Create();
  Started worker(*this, [](const Task&) { return Failed("no disk"); });
  EXPECT_TRUE(Eventually([&] {
    return HasReported("failed " + std::string(id.text())) ||
           HasReported("not failed " + std::string(id.text()));
  }));
  EXPECT_EQ(worker.Stop().failed, 1u);
  EXPECT_EQ(State(id), "failed");
}

// All commands but the completion get through, so the lease is renewed; without a time limit the
// worker would try for ever.
TEST_F(Workers, AResultThatNeverGetsThroughIsGivenUpAfterALeasesTime) {
  options_.worker.worker.lease_ttl_ms = 1000;
  options_.worker.ledger.client.request_timeout_ms = 200;
  served_.Decide([&](const ServedSimulation::Command& command) {
    return Calls(command, "_complete_execution") ? Fate::kLostBefore : Fate::kServed;
  });
  const MintedExecutionId id = Create();
  Started worker(*this, [&](const Task& task) {
    stop_.Stop();
    return Echo(task);
  });
  EXPECT_TRUE(
      Eventually([&] { return HasReported("not completed " + std::string(id.text()) + ": un"); }));
  served_.Decide(nullptr);
  const RunResult& ran = worker.Wait();
  EXPECT_EQ(ran.lost, 1u);
  EXPECT_EQ(ran.completed, 0u);
}

// If an outage keeps the input from being read, nothing is wrong with the execution, and a failure
// would end it for good.
TEST_F(Workers, AnOutageFailsNoExecution) {
  options_.worker.worker.lease_ttl_ms = 600;
  options_.worker.ledger.client.request_timeout_ms = 100;
  served_.Decide([&](const ServedSimulation::Command& command) {
    if (command[0] == "GETRANGE") return Fate::kLostBefore;
    // The server renews the lease, but the worker does not know that.
    return Calls(command, "_renew_lease") ? Fate::kLostAfter : Fate::kServed;
  });
  const MintedExecutionId id = Create();
  Started worker(*this, [](const Task&) -> Ending {
    ADD_FAILURE() << "the handler was called";
    return Completed();
  });
  EXPECT_TRUE(Eventually([&] {
    const std::lock_guard lock(mutex_);
    return !reports_.empty();
  }));
  served_.Decide(nullptr);
  EXPECT_EQ(worker.Stop().lost, 1u);
  EXPECT_EQ(State(id), "active");
  EXPECT_TRUE(
      HasReported("not completed " + std::string(id.text()) + ": the input can't be read: un"));
}

// ---- lost leases -----------------------------------------------------------------

TEST_F(Workers, AnExecutionWhoseLeaseIsLostIsReported) {
  options_.worker.worker.lease_ttl_ms = 300;
  const MintedExecutionId done = Create("complete");
  const MintedExecutionId failed = Create("fail");
  Started worker(*this, [&](const Task& task) {
    EXPECT_TRUE(ledger_.Revoke({.execution_id = task.id}));
    EXPECT_TRUE(Eventually([&] { return task.lost(); }));
    return task.input.payload() == "fail" ? Failed("too late") : Completed("too late");
  });
  EXPECT_TRUE(Eventually([&] {
    return HasReported("not completed " + std::string(done.text()) + ": lease_revoked") &&
           HasReported("not failed " + std::string(failed.text()) + ": lease_revoked");
  }));
  const RunResult& ran = worker.Stop();
  EXPECT_TRUE(ran);
  EXPECT_EQ(ran.lost, 2u);
  EXPECT_EQ(ran.completed + ran.failed + ran.retried, 0u);
}

TEST_F(Workers, AResultIsGivenUpOnceTheLeaseIsLost) {
  options_.worker.worker.lease_ttl_ms = 500;
  options_.worker.ledger.client.request_timeout_ms = 50;
  std::atomic<bool> is_down{false};
  served_.Decide([&](const ServedSimulation::Command& command) {
    if (Calls(command, "_complete_execution")) is_down = true;
    return is_down ? Fate::kLostBefore : Fate::kServed;
  });
  const MintedExecutionId id = Create();
  Started worker(*this, &Echo);
  EXPECT_TRUE(
      Eventually([&] { return HasReported("not completed " + std::string(id.text()) + ": un"); }));
  is_down = false;
  served_.Decide(nullptr);
  const RunResult& ran = worker.Stop();
  EXPECT_EQ(ran.lost, 1u);
  EXPECT_EQ(ran.completed, 0u);
}

// If a handler began after the lease was lost, two workers could do the work of one execution at
// once, from its beginning.
TEST_F(Workers, NoHandlerBeginsAfterTheLeaseIsLost) {
  options_.worker.worker.lease_ttl_ms = 400;
  std::atomic<bool> waits{true};
  served_.Decide([&](const ServedSimulation::Command& command) {
    // During this sleep the server does nothing else, so it renews no lease.
    if (command[0] == "GETRANGE" && waits.exchange(false)) {
      std::this_thread::sleep_for(std::chrono::milliseconds(600));
    }
    return Fate::kServed;
  });
  const MintedExecutionId id = Create();
  Started worker(*this, [](const Task&) -> Ending {
    ADD_FAILURE() << "the handler was called";
    return Completed();
  });
  EXPECT_TRUE(Eventually([&] {
    return HasReported("not completed " + std::string(id.text()) + ": the lease was lost");
  }));
  EXPECT_EQ(worker.Stop().lost, 1u);
}
}  // namespace
}  // namespace ffgrant::deployment
