// SPDX-License-Identifier: Apache-2.0
//
// Runs whole workers, with their threads and sockets, against a stand-in for FlowFabric's HTTP
// server and a simulated Valkey that runs the shipped functions.

#include "ffgrant/deployment/run_worker.h"

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <vector>

#include "ffgrant/uuid_generator.h"
#include "testing/live/grant_routes.h"
#include "testing/live/http_server.h"
#include "testing/naive/sanitized.h"
#include "testing/simulation/served_simulation.h"

#if !FFGRANT_IS_SANITIZED
// How many threads the calling thread can still start. A sanitizer has a pthread_create() of its
// own, so this one does not stand beside it.
static thread_local int t_threads_left = 1'000'000;

extern "C" int pthread_create(pthread_t* thread, const pthread_attr_t* attributes,
                              void* (*run)(void*), void* argument) noexcept {
  if (t_threads_left-- <= 0) return EAGAIN;
  using Create = int(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
  static auto* const create = reinterpret_cast<Create*>(dlsym(RTLD_NEXT, "pthread_create"));
  return create(thread, attributes, run, argument);
}
#endif

namespace ffgrant::deployment {
namespace {

using Event = Report::Event;
using testing::HttpResponse;
using testing::HttpServer;
using testing::MsSince;
using valkey::testing::ServedSimulation;
using Fate = ServedSimulation::Fate;
using Steady = std::chrono::steady_clock;

constexpr std::chrono::seconds kPatience{30};

bool Calls(const ServedSimulation::Command& command, std::string_view function) {
  return command.size() > 1 && command[0] == "FCALL" && command[1].ends_with(function);
}

class Workers : public ::testing::Test {
 protected:
  Workers()
      : ledger_({.client = {.servers = {served_.endpoint()}}}),
        routes_(testing::GrantRoutes(ledger_, lane_)),
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
    options_.report = [this](const Report& report) {
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

  // A worker in a thread, which is told to stop at the latest by the object's end.
  class Started {
   public:
    Started(Workers& test, Handler handler)
        : test_(test), handler_(std::move(handler)), thread_([this] {
            result_ = RunWorker(test_.options_, test_.stop_, handler_);
            has_ended_ = true;
          }) {}
    ~Started() { (void)Stop(); }
    const RunResult& Stop() {
      test_.stop_.Stop();
      return Wait();
    }
    bool has_ended() const { return has_ended_; }
    const RunResult& Wait() {
      if (thread_.joinable()) thread_.join();
      return result_;
    }

   private:
    Workers& test_;
    const Handler handler_;
    RunResult result_;
    std::atomic<bool> has_ended_{false};
    std::thread thread_;
  };

  static Ending Echo(const Task& task) { return Completed(std::string(task.input.payload())); }

  const LaneIdView lane_ = ParseLaneId("main").lane;
  ServedSimulation served_;
  valkey::ValkeyLedger ledger_;
  const HttpServer::Answer routes_;
  std::mutex mutex_;
  std::function<std::optional<std::string>(const std::string&)> answer_;  // before the routes
  std::vector<std::string> reports_;
  std::vector<Event> events_;
  HttpServer issuer_;
  StopSignals stop_;
  RunOptions options_;
};

// ---- from start to end ----------------------------------------------------------------

TEST_F(Workers, WorkUntilTheyAreToldToStop) {
  const MintedExecutionId first = Create("abc \xff");
  const MintedExecutionId retried =
      Create("x", "fail", RetryPolicy{.max_retries = 1, .delay_ms = 600'000});
  const MintedExecutionId failed = Create("y", "fail");
  options_.worker.worker.permits = 2;
  Started worker(*this, [](const Task& task) {
    EXPECT_FALSE(task.lost());
    EXPECT_EQ(task.work.lease().attempt_index.value, 0u);
    return task.input.kind() == "fail" ? Failed("asked to", "permanent")
                                       : Completed(std::string(task.input.payload()) + " of " +
                                                   std::string(task.id.text()));
  });
  EXPECT_TRUE(Becomes(first, "completed"));
  EXPECT_TRUE(Becomes(retried, "delayed"));
  EXPECT_TRUE(Becomes(failed, "failed"));
  EXPECT_EQ(Alive(), ":1\r\n");
  const MintedExecutionId second = Create();  // while the worker waits
  EXPECT_TRUE(Becomes(second, "completed"));
  const RunResult& ran = worker.Stop();
  EXPECT_TRUE(ran) << ran.message;
  EXPECT_EQ(ran.message, "");
  EXPECT_EQ(ran.completed, 2u);
  EXPECT_EQ(ran.retried, 1u);
  EXPECT_EQ(ran.failed, 1u);
  EXPECT_EQ(ran.lost, 0u);
  const std::string result = "abc \xff of " + std::string(first.text());
  EXPECT_EQ(ResultOf(first), "$" + std::to_string(result.size()) + "\r\n" + result + "\r\n");
  EXPECT_EQ(Core(failed, "failure_reason"), "$8\r\nasked to\r\n");
  EXPECT_EQ(Alive(), ":0\r\n");
  EXPECT_TRUE(HasReported("completed " + std::string(first.text())));
  EXPECT_TRUE(HasReported("to be retried " + std::string(retried.text())));
  EXPECT_TRUE(HasReported("failed " + std::string(failed.text())));
  EXPECT_EQ(reports_.size(), 4u);
}

TEST_F(Workers, DoAsManyExecutionsAtOnceAsTheyHavePermits) {
  std::vector<MintedExecutionId> ids;
  for (int i = 0; i < 6; ++i) ids.push_back(Create());
  options_.worker.worker.permits = 3;
  std::atomic<int> now{0};
  std::atomic<int> most{0};
  std::atomic<bool> may_end{false};
  Started worker(*this, [&](const Task&) {
    const int here = ++now;
    int before = most;
    while (before < here && !most.compare_exchange_weak(before, here)) {
    }
    (void)Eventually([&] { return may_end.load(); });
    --now;
    return Completed();
  });
  EXPECT_TRUE(Eventually([&] { return now == 3; }));
  may_end = true;
  for (const MintedExecutionId& id : ids) EXPECT_TRUE(Becomes(id, "completed"));
  EXPECT_EQ(worker.Stop().completed, 6u);
  EXPECT_EQ(most, 3);
}

TEST_F(Workers, AskInAllTheirLanesWithTheirCapabilities) {
  options_.worker.lanes = {"empty", "main"};
  ASSERT_EQ(options_.worker.offered.AssignOfferedCsv("gpu,cuda"), CapabilityError::kNone);
  AnswerWith([](const std::string& request) -> std::optional<std::string> {
    if (request.find(R"("lane_id":"empty")") == std::string::npos) return std::nullopt;
    return "HTTP/1.1 204 No Content\r\n\r\n";
  });
  const MintedExecutionId id = Create();
  Started worker(*this, &Echo);
  EXPECT_TRUE(Becomes(id, "completed"));
  EXPECT_TRUE(worker.Stop());
  for (const std::string& request : issuer_.requests()) {
    EXPECT_NE(request.find(R"("capabilities":["cuda","gpu"])"), std::string::npos) << request;
  }
}

TEST_F(Workers, AskInEachLaneWhileAnotherHasWork) {
  options_.worker.lanes = {"main", "other"};
  AnswerWith([](const std::string& request) -> std::optional<std::string> {
    if (request.find(R"("lane_id":"other")") == std::string::npos) return std::nullopt;
    return "HTTP/1.1 204 No Content\r\n\r\n";
  });
  constexpr int kCount = 6;
  std::vector<MintedExecutionId> ids;
  for (int i = 0; i < kCount; ++i) ids.push_back(Create());
  Started worker(*this, &Echo);
  for (const MintedExecutionId& id : ids) EXPECT_TRUE(Becomes(id, "completed"));
  EXPECT_TRUE(worker.Stop());
  // Lane "main" has work in each of the first rounds.
  const std::vector<std::string> requests = issuer_.requests();
  ASSERT_GE(requests.size(), 2u * kCount);
  for (std::size_t i = 0; i < 2 * kCount; ++i) {
    const std::string_view lane = i % 2 == 0 ? "main" : "other";
    EXPECT_EQ(testing::Between(requests[i], R"("lane_id":")", "\""), lane) << i;
  }
}

TEST_F(Workers, WithoutAnInstanceIdHaveOneOfTheirOwn) {
  options_.worker.worker.worker_instance_id = "";
  const MintedExecutionId id = Create();
  Started worker(*this, &Echo);
  EXPECT_TRUE(Becomes(id, "completed"));
  EXPECT_TRUE(worker.Stop());
  const std::string name =
      testing::Between(issuer_.requests().front(), R"("worker_instance_id":")", "\"");
  EXPECT_EQ(name.size(), std::string("w1-").size() + kUuidTextSize);
  EXPECT_TRUE(name.starts_with("w1-"));
}

// ---- stops --------------------------------------------------------------------------

TEST_F(Workers, AStopEndsAWaitForAGrantAtOnce) {
  AnswerWith([](const std::string&) { return std::string(); });  // the server never answers
  options_.issuer.request_timeout_ms = 60'000;
  options_.issuer.connections = 1;  // there are as many as permits all the same
  options_.worker.worker.permits = 6;
  Started worker(*this, &Echo);
  EXPECT_TRUE(Eventually([&] { return issuer_.requests().size() == 6; }));
  const Steady::time_point begin = Steady::now();
  EXPECT_TRUE(worker.Stop());
  EXPECT_LT(MsSince(begin), 20'000);
  EXPECT_EQ(Alive(), ":0\r\n");
  EXPECT_TRUE(reports_.empty());
}

TEST_F(Workers, AStopEndsAPauseAtOnce) {
  options_.pause = {.first_ms = 600'000, .longest_ms = 600'000};
  Started worker(*this, &Echo);
  EXPECT_TRUE(Eventually([&] { return !issuer_.requests().empty(); }));
  const Steady::time_point begin = Steady::now();
  EXPECT_TRUE(worker.Stop());
  EXPECT_LT(MsSince(begin), 20'000);
}

TEST_F(Workers, AStopLetsTheHandlerReturnAndItsResultCount) {
  const MintedExecutionId id = Create();
  const MintedExecutionId other = Create();
  std::atomic<int> begun{0};
  Started worker(*this, [&](const Task&) {
    ++begun;
    (void)Eventually([&] { return stop_.stopped(); });
    return Completed("late");
  });
  EXPECT_TRUE(Eventually([&] { return begun == 1; }));
  const RunResult& ran = worker.Stop();
  EXPECT_TRUE(ran);
  EXPECT_EQ(ran.completed, 1u);
  EXPECT_EQ(begun, 1) << "nothing is claimed after a stop";
  EXPECT_EQ((State(id) == "completed") + (State(other) == "completed"), 1);
}

TEST_F(Workers, AfterAStopNothingIsAskedFor) {
  stop_.Stop();
  const RunResult ran = RunWorker(options_, stop_, &Echo);
  EXPECT_TRUE(ran) << ran.message;
  EXPECT_TRUE(issuer_.requests().empty());
}

// ---- what goes wrong ------------------------------------------------------------------

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

TEST_F(Workers, RefusalsOfTheServerAreReportedAndTheWorkerGoesOn) {
  std::atomic<int> asked{0};
  AnswerWith([&](const std::string&) -> std::optional<std::string> {
    switch (++asked) {
      case 1:
        return HttpResponse(401, R"({"error":"no token"})");
      case 2:
        return HttpResponse(500, "broken");
      case 3:
        return HttpResponse(200, "{}");
      case 4:
        return "close";
      default:
        return std::nullopt;
    }
  });
  const MintedExecutionId id = Create();
  Started worker(*this, &Echo);
  EXPECT_TRUE(Becomes(id, "completed"));
  const RunResult& ran = worker.Stop();
  EXPECT_TRUE(ran);
  EXPECT_EQ(ran.completed, 1u);
  EXPECT_TRUE(HasReported("no grant: unauthorized no token"));
  EXPECT_TRUE(HasReported("no grant: server_fault"));
  EXPECT_TRUE(HasReported("no grant: malformed_response"));
  EXPECT_GE(Count(Event::kNoGrant), 3);
}

TEST_F(Workers, AGrantThatIsNoneIsReportedAndTheWorkerGoesOn) {
  const MintedExecutionId absent(7, RandomUuid());
  const std::string text(absent.text());
  std::atomic<int> asked{0};
  AnswerWith([&](const std::string&) -> std::optional<std::string> {
    const int number = ++asked;
    if (number > 2) return std::nullopt;
    // The first is for an execution that does not exist, the second for another partition.
    return HttpResponse(200, R"({"execution_id":")" + text + R"(","partition_key":"{fp:)" +
                                 (number == 1 ? "7" : "8") + R"(}","grant_key":"ff:exec:{fp:7}:)" +
                                 text + R"(:claim_grant","expires_at_ms":9999999999999})");
  });
  const MintedExecutionId id = Create();
  Started worker(*this, &Echo);
  EXPECT_TRUE(Becomes(id, "completed"));
  EXPECT_TRUE(worker.Stop());
  EXPECT_EQ(Count(Event::kNotClaimed), 2);
  EXPECT_TRUE(HasReported("not claimed " + text + ": execution_not_found"));
  EXPECT_TRUE(HasReported("not claimed " + text + ": grant_mismatch"));
}

// Else a worker that can't claim would use up all grants of its lane.
TEST_F(Workers, ThereIsAPauseAfterAGrantThatIsNone) {
  const MintedExecutionId id = Create();
  served_.Decide([](const ServedSimulation::Command& command) {
    return Calls(command, "_claim_execution") ? Fate::kLostAfter : Fate::kServed;
  });
  AnswerWith([&](const std::string& request) -> std::optional<std::string> {
    std::string answer = routes_(request);
    (void)served_.Do({"DEL", "ff:exec:{fp:7}:" + std::string(id.text()) + ":claim_grant"});
    return answer;
  });
  options_.pause = {.first_ms = 600'000, .longest_ms = 600'000};
  Started worker(*this, &Echo);
  EXPECT_TRUE(Eventually([&] { return Count(Event::kNotClaimed) == 1; }));
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_EQ(issuer_.requests().size(), 1u);
}

// Without a claim in between, the last of these pauses would take days.
TEST_F(Workers, PausesAreShortAgainAfterAClaim) {
  options_.pause = {.first_ms = 1, .longest_ms = std::int64_t{1} << 40};
  std::atomic<int> asked{0};
  AnswerWith([&](const std::string&) -> std::optional<std::string> {
    if (++asked % 2 == 0) return std::nullopt;
    return "HTTP/1.1 204 No Content\r\n\r\n";
  });
  std::vector<MintedExecutionId> ids;
  for (int i = 0; i < 32; ++i) ids.push_back(Create());
  Started worker(*this, &Echo);
  EXPECT_TRUE(Eventually([&] { return Count(Event::kCompleted) == 32; }));
  EXPECT_EQ(worker.Stop().completed, 32u);
}

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

// The outage is longer than all that CompleteOnce() tries, and shorter than the lease.
TEST_F(Workers, AResultSurvivesAnOutage) {
  options_.worker.ledger.client.request_timeout_ms = 100;
  std::atomic<std::int64_t> until{0};
  const Steady::time_point begin = Steady::now();
  served_.Decide([&](const ServedSimulation::Command& command) {
    if (Calls(command, "_complete_execution") && until == 0) until = MsSince(begin) + 1000;
    return MsSince(begin) < until ? Fate::kLostBefore : Fate::kServed;
  });
  const MintedExecutionId id = Create();
  Started worker(*this, &Echo);
  EXPECT_TRUE(Eventually([&] { return HasReported("completed "); }));
  const RunResult& ran = worker.Stop();
  EXPECT_EQ(ran.completed, 1u);
  EXPECT_EQ(ran.lost, 0u);
  EXPECT_EQ(ResultOf(id), "$3\r\nabc\r\n");
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

// All else gets through, so the lease is renewed, and there would be no end otherwise.
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

// Its tags are a larger reply than the client takes, and such a reply ends the connection.
TEST_F(Workers, AnInputThatNeverGetsThroughFails) {
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
  EXPECT_NE(Core(id, "failure_reason").find("the input can't be read: un"), std::string::npos);
}

// Nothing is wrong with the execution, and to fail it would end it for good.
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

// Else two workers could do the work of one execution at once, from its beginning.
TEST_F(Workers, NoHandlerBeginsAfterTheLeaseIsLost) {
  options_.worker.worker.lease_ttl_ms = 400;
  std::atomic<bool> waits{true};
  served_.Decide([&](const ServedSimulation::Command& command) {
    // The server does nothing else meanwhile, so it renews nothing.
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

// Else workers that have failed together would come back together.
TEST_F(Workers, PausesSpread) {
  options_.pause = {.first_ms = 2048, .longest_ms = 2048};
  options_.worker.worker.permits = 24;
  Started worker(*this, &Echo);
  EXPECT_TRUE(Eventually([&] { return issuer_.requests().size() >= 24; }));
  // By now about half of all pauses have ended. A slow machine only makes it fewer.
  std::this_thread::sleep_for(std::chrono::milliseconds(1536));
  EXPECT_LT(issuer_.requests().size(), 48u);
}

// A failure is reported once, until the registration has been refreshed again.
TEST_F(Workers, ARegistrationThatAnotherProcessTakesIsReported) {
  // By this clock a refresh is always due, so the test need not wait for one.
  std::atomic<std::int64_t> now{0};
  options_.worker.keeper.now_ms = [&] { return now += options_.worker.registration_ttl_ms; };
  options_.pause = {.first_ms = 1, .longest_ms = 2};
  Started worker(*this, &Echo);
  const std::string key = "ff:worker:default:w1-i1:alive";
  const auto is_registered = [&] { return Alive() == ":1\r\n"; };
  const auto has_looked = [&] {
    const std::size_t asked = issuer_.requests().size();
    return Eventually([&] { return issuer_.requests().size() > asked + 3; });
  };
  EXPECT_TRUE(Eventually(is_registered));
  const std::string own = served_.Do({"GET", key});
  for (int times = 1; times <= 3; ++times) {
    (void)served_.Do({"SET", key, "another"});
    EXPECT_TRUE(Eventually([&] { return HasReported("not registered: invalid_input"); }));
    EXPECT_TRUE(Eventually([&] { return Count(Event::kNotRegistered) >= times; })) << times;
    EXPECT_TRUE(has_looked());
    EXPECT_EQ(Count(Event::kNotRegistered), times);
    if (times == 3) break;
    // The other process has gone. After the second refresh, the first has ended for certain.
    for (int refreshes = 0; refreshes < 2; ++refreshes) {
      (void)served_.Do({"DEL", key});
      EXPECT_TRUE(Eventually(is_registered));
      EXPECT_EQ(served_.Do({"GET", key}), own);
    }
    EXPECT_TRUE(has_looked());
  }
  EXPECT_TRUE(worker.Stop());
  EXPECT_EQ(Alive(), ":1\r\n") << "the other process's";
}

// ---- starts that fail -------------------------------------------------------------------

TEST_F(Workers, OptionsOutOfRangeAreRefused) {
  const auto problem = [&](const std::function<void(RunOptions&)>& change) {
    RunOptions options = options_;
    change(options);
    const RunResult ran = RunWorker(options, stop_, &Echo);
    EXPECT_EQ(ran.error, ClaimError::kInvalidInput);
    return ran.message;
  };
  EXPECT_EQ(problem([](RunOptions& o) { o.worker.lanes.clear(); }),
            "worker.lanes: there must be a lane");
  EXPECT_EQ(problem([](RunOptions& o) { o.worker.worker.permits = 0; }),
            "worker.worker.permits must be in 1..1024");
  EXPECT_EQ(problem([](RunOptions& o) { o.worker.worker.permits = 1025; }),
            "worker.worker.permits must be in 1..1024");
  for (const std::int64_t ttl : {0, 60'001}) {
    EXPECT_EQ(problem([=](RunOptions& o) { o.grant_ttl_ms = ttl; }),
              "grant_ttl_ms must be in 1..60'000");
  }
  EXPECT_EQ(problem([](RunOptions& o) { o.worker.has_thread = false; }),
            "worker.has_thread and worker.keeper.has_threads must be true");
  EXPECT_EQ(problem([](RunOptions& o) { o.worker.keeper.has_threads = false; }),
            "worker.has_thread and worker.keeper.has_threads must be true");
  EXPECT_EQ(problem([](RunOptions& o) { o.pause.first_ms = 0; }),
            "pause: 1 <= first_ms <= longest_ms");
  EXPECT_EQ(problem([](RunOptions& o) { o.pause.longest_ms = 19; }),
            "pause: 1 <= first_ms <= longest_ms");
  for (const std::int64_t ttl : {std::int64_t{0}, std::int64_t{100}, kMaxTtlMs + 1}) {
    EXPECT_EQ(problem([=](RunOptions& o) { o.worker.worker.lease_ttl_ms = ttl; }),
              "worker.worker.lease_ttl_ms must be more than worker.keeper.margin_ms, and at most "
              "kMaxTtlMs");
  }
  for (const char* const id : {"", ".", "..", "\xff"}) {
    EXPECT_EQ(problem([=](RunOptions& o) { o.worker.worker.worker_id = id; }),
              "worker.worker.worker_id can't be in a request");
  }
  EXPECT_EQ(problem([](RunOptions& o) { o.worker.worker.worker_instance_id = "i\xff"; }),
            "worker.worker.worker_instance_id can't be in a request");
  EXPECT_EQ(problem([](RunOptions& o) {
              EXPECT_EQ(o.worker.offered.AssignOfferedCsv("a,\xc3,b"), CapabilityError::kNone);
            }),
            "worker.offered can't be in a request");
  EXPECT_NE(problem([](RunOptions& o) { o.issuer.url = "ftp://x"; }).find("URL"),
            std::string::npos);
  EXPECT_NE(problem([](RunOptions& o) { o.issuer.token_file = "/nowhere"; }).find("/nowhere"),
            std::string::npos);
  EXPECT_NE(
      problem([](RunOptions& o) { o.worker.registration_ttl_ms = 5; }).find("registration_ttl_ms"),
      std::string::npos);
  EXPECT_NE(problem([](RunOptions& o) { o.worker.lanes = {"a\nb"}; }).find("the start: "),
            std::string::npos);
  EXPECT_TRUE(issuer_.requests().empty());
}

// It would fail all executions.
TEST_F(Workers, AHandlerThatIsEmptyIsRefused) {
  const Handler empty;
  stop_.Stop();  // so that a worker that starts after all ends
  const RunResult ran = RunWorker(options_, stop_, empty);
  EXPECT_EQ(ran.error, ClaimError::kInvalidInput);
  EXPECT_EQ(ran.message, "there must be a handler");
  EXPECT_EQ(TakeOver(options_, {}, stop_, empty).message, "there must be a handler");
}

// Else the program could not start again under its instance id before the registration has run out.
TEST_F(Workers, AStartThatFailsLeavesNoRegistration) {
  served_.Decide([](const ServedSimulation::Command& command) {
    return command[0] == "SADD" ? Fate::kLostBefore : Fate::kServed;
  });
  stop_.Stop();  // so that a worker that starts ends
  const RunResult failed = RunWorker(options_, stop_, &Echo);
  EXPECT_FALSE(failed);
  EXPECT_EQ(Alive(), ":0\r\n");
  served_.Decide(nullptr);
  const RunResult again = RunWorker(options_, stop_, &Echo);
  EXPECT_TRUE(again) << again.message;
}

TEST_F(Workers, AStartThatFailsIsTheResult) {
  stop_.Stop();  // so that a worker that starts after all ends
  RunOptions options = options_;
  options.worker.ledger.client.servers = {{"127.0.0.1", 1}};
  options.worker.ledger.client.request_timeout_ms = 100;
  const RunResult ran = RunWorker(options, stop_, &Echo);
  EXPECT_EQ(ran.error, ClaimError::kUnavailable);
  EXPECT_TRUE(ran.message.starts_with("the start: unavailable ")) << ran.message;

  (void)served_.Do({"SET", "ff:worker:default:w1-i1:alive", "another"});
  const RunResult second = RunWorker(options_, stop_, &Echo);
  EXPECT_EQ(second.error, ClaimError::kInvalidInput);
  EXPECT_NE(second.message.find("another process has registered it"), std::string::npos);
  EXPECT_TRUE(issuer_.requests().empty());
}

// Without the right to read inputs, a worker would fail all executions.
TEST_F(Workers, AUserWithoutTheRightsForTheWorkIsRefused) {
  std::string refused;
  served_.Answer([&](const ServedSimulation::Command& command) -> std::optional<std::string> {
    if (!Calls(command, "_refused_commands")) return std::nullopt;
    return "*1\r\n$" + std::to_string(refused.size()) + "\r\n" + refused + "\r\n";
  });
  const MintedExecutionId id = Create();
  refused = "GETRANGE";
  {
    Started worker(*this, &Echo);
    EXPECT_TRUE(Eventually([&] { return worker.has_ended() || State(id) == "completed"; }));
    const RunResult& ran = worker.Stop();
    EXPECT_EQ(ran.error, ClaimError::kUnknownCode);
    EXPECT_EQ(ran.message, "the start: the user may not run what ReadInput() needs: GETRANGE");
  }
  EXPECT_EQ(State(id), "waiting");
  EXPECT_EQ(Alive(), ":0\r\n");
  // Now there is a stop request, so a worker that starts ends.
  refused = "PEXPIREAT";
  EXPECT_EQ(RunWorker(options_, stop_, &Echo).message,
            "the start: the user may not run what Renew() needs: PEXPIREAT");
  EXPECT_EQ(TakeOver(options_, {}, stop_, &Echo).error, ClaimError::kUnknownCode);
  refused = "XADD";
  EXPECT_EQ(RunWorker(options_, stop_, &Echo).message,
            "the start: the user may not run what Claim() needs: XADD");
  EXPECT_NE(TakeOver(options_, {}, stop_, &Echo).error, ClaimError::kNone);
  refused = "ZRANGE";  // a worker of a deployment chooses nothing by itself
  EXPECT_TRUE(RunWorker(options_, stop_, &Echo));
  served_.Answer([](const ServedSimulation::Command&) { return std::nullopt; });
}

// A deployment has functions of its own, and a worker brings it no others.
TEST_F(Workers, NoFunctionsAreLoaded) {
  const ServedSimulation bare;
  options_.worker.ledger.client.servers = {bare.endpoint()};
  options_.worker.ledger.client.load_library = true;
  stop_.Stop();  // so that a worker that starts after all ends
  const RunResult ran = RunWorker(options_, stop_, &Echo);
  EXPECT_EQ(ran.error, ClaimError::kUnavailable) << ran.message;
}

TEST_F(Workers, AnEndThatCanNotBeReportedIsTheResult) {
  options_.worker.ledger.client.request_timeout_ms = 100;
  (void)Create();
  Started worker(*this, &Echo);
  EXPECT_TRUE(Eventually([&] { return Count(Event::kCompleted) == 1; }));
  served_.Decide([](const ServedSimulation::Command&) { return Fate::kLostBefore; });
  const RunResult& ran = worker.Stop();
  EXPECT_FALSE(ran);
  EXPECT_EQ(ran.completed, 1u) << "what has been done counts all the same";
  EXPECT_TRUE(ran.message.starts_with("the end of the registration: ")) << ran.message;
  served_.Decide(nullptr);
}

#if !FFGRANT_IS_SANITIZED
TEST_F(Workers, ThatCanNotHaveAllTheirThreadsAskForNothing) {
  options_.worker.worker.permits = 100;
  // The lease keeper has as many threads as renewers and one more; one thread refreshes the
  // registration. The next threads are for handlers.
  const int first = static_cast<int>(options_.worker.keeper.renewers) + 2;
  // With still fewer the lease keeper has not all of its own.
  for (const int some : {0, first - 2, first - 1, first, first + 50}) {
    t_threads_left = some;
    EXPECT_THROW((void)RunWorker(options_, stop_, &Echo), std::system_error);
    EXPECT_LT(t_threads_left, 0);
    EXPECT_TRUE(issuer_.requests().empty());
    EXPECT_EQ(Alive(), ":0\r\n");
  }
  t_threads_left = 1'000'000;
}
#endif

// ---- taking over ----------------------------------------------------------------------

TEST_F(Workers, TakeOverWhatDeadWorkersHaveLeft) {
  ASSERT_EQ(options_.worker.offered.AssignOfferedCsv("gpu,cuda"), CapabilityError::kNone);
  const MintedExecutionId left = Create("left");
  const MintedExecutionId held = Create("held");
  const MintedExecutionId absent(7, RandomUuid());
  for (const MintedExecutionId& id : {left, held}) {
    const WorkerIdentity dead = {{"x"}, {"x-1"}};
    ASSERT_TRUE(ledger_.IssueClaimGrant(
        {.execution_id = id.view(), .worker = dead, .lane = lane_, .grant_ttl_ms = 5000}));
    ASSERT_TRUE(ledger_.Claim({.execution_id = id.view(),
                               .worker = dead,
                               .lane = lane_,
                               .lease_id = {RandomUuid()},
                               .lease_ttl_ms = 60'000,
                               .attempt_id = {RandomUuid()}}));
  }
  ASSERT_TRUE(ledger_.Revoke({.execution_id = left.view()}));  // an expiry would do as well
  std::vector<std::string> ids;
  for (const MintedExecutionId& id : {held, left, absent}) ids.emplace_back(id.text());
  ids.emplace_back("no id");
  ids.emplace_back("");  // the client refuses it, and asks the server nothing
  const Handler handler = [](const Task& task) {
    EXPECT_EQ(task.input.attempt_type(), "reclaim");
    return Completed(std::string(task.input.payload()));
  };
  const RunResult ran = TakeOver(options_, ids, stop_, handler);
  EXPECT_TRUE(ran) << ran.message;
  EXPECT_EQ(ran.completed, 1u);
  EXPECT_EQ(State(left), "completed");
  EXPECT_EQ(ResultOf(left), "$4\r\nleft\r\n");
  EXPECT_EQ(Count(Event::kNotTakenOver), 4);
  EXPECT_TRUE(HasReported("not taken over " + ids[0] + ": not_reclaimable"));
  EXPECT_TRUE(HasReported("not taken over no id: "));
  for (const std::string& request : issuer_.requests()) {
    EXPECT_NE(request.find(R"("worker_capabilities":["cuda","gpu"])"), std::string::npos)
        << request;
  }
  EXPECT_EQ(Alive(), ":0\r\n");

  stop_.Stop();
  std::reverse(ids.begin(), ids.end());
  const std::size_t before = issuer_.requests().size();
  EXPECT_TRUE(TakeOver(options_, ids, stop_, handler));
  EXPECT_EQ(issuer_.requests().size(), before);
  EXPECT_EQ(Count(Event::kNotTakenOver), 4) << "what has not begun is left out, and not reported";
}

// What was under way is neither taken over nor reported.
TEST_F(Workers, AStopEndsARequestToTakeOverAtOnce) {
  AnswerWith([&](const std::string&) -> std::optional<std::string> {
    stop_.Stop();
    return std::string();  // no answer
  });
  options_.issuer.request_timeout_ms = 60'000;
  const MintedExecutionId first(7, RandomUuid());
  const MintedExecutionId second(7, RandomUuid());
  const std::vector<std::string> ids = {std::string(first.text()), std::string(second.text())};
  const RunResult ran = TakeOver(options_, ids, stop_, &Echo);
  EXPECT_TRUE(ran) << ran.message;
  EXPECT_EQ(ran.completed + ran.retried + ran.failed + ran.lost, 0u);
  EXPECT_EQ(issuer_.requests().size(), 1u);
  EXPECT_TRUE(reports_.empty());
  EXPECT_EQ(Alive(), ":0\r\n");
}

// The answer to another request, for example from a proxy.
TEST_F(Workers, TakeOverNothingThatWasNotAskedFor) {
  const MintedExecutionId asked = Create();
  const MintedExecutionId other(7, RandomUuid());
  std::string id(other.text());
  std::string lane = "main";
  const MintedExecutionId elsewhere(8, asked.view().uuid());
  AnswerWith([&](const std::string&) -> std::optional<std::string> {
    return HttpResponse(200, R"({"status":"granted","execution_id":")" + id +
                                 R"(","partition_key":"{fp:7}","grant_key":"ff:exec:{fp:7}:)" + id +
                                 R"(:claim_grant","expires_at_ms":9999999999999,"lane_id":")" +
                                 lane + "\"}");
  });
  std::atomic<int> reclaims{0};
  served_.Decide([&](const ServedSimulation::Command& command) {
    reclaims += Calls(command, "_reclaim_execution") ? 1 : 0;
    return Fate::kServed;
  });
  const std::vector<std::string> ids = {std::string(asked.text())};
  EXPECT_TRUE(TakeOver(options_, ids, stop_, &Echo));
  id = elsewhere.text();
  EXPECT_TRUE(TakeOver(options_, ids, stop_, &Echo));
  const std::vector<std::string> none = {"no id"};
  EXPECT_TRUE(TakeOver(options_, none, stop_, &Echo));
  id = ids[0];
  lane = "other";
  EXPECT_TRUE(TakeOver(options_, ids, stop_, &Echo));
  EXPECT_EQ(Count(Event::kNotTakenOver), 4);
  EXPECT_EQ(reports_[0], "not taken over " + ids[0] + ": the grant is for another execution");
  EXPECT_EQ(reports_[1], "not taken over " + ids[0] + ": the grant is for another execution");
  EXPECT_EQ(reports_[2], "not taken over no id: the grant is for another execution");
  EXPECT_EQ(reports_[3], "not taken over " + ids[0] + ": the grant is for another lane");
  EXPECT_EQ(reclaims, 0);
  // The execution and the lane are those that were asked for, but the Valkey has no such grant.
  lane = "main";
  EXPECT_TRUE(TakeOver(options_, ids, stop_, &Echo));
  EXPECT_EQ(reclaims, 1);
  EXPECT_EQ(Count(Event::kNotTakenOver), 5);
  EXPECT_EQ(reports_[4], "not taken over " + ids[0] + ": execution_not_reclaimable");
  // Nobody has to be told.
  options_.report = nullptr;
  EXPECT_TRUE(TakeOver(options_, ids, stop_, &Echo));
  EXPECT_EQ(reclaims, 2);
  served_.Decide(nullptr);
}

// ---- texts ----------------------------------------------------------------------------

TEST(Reports, AreLinesOfText) {
  EXPECT_EQ((Report{Event::kToBeRetried, "{fp:7}:x", ""}).Text(), "to be retried {fp:7}:x");
  EXPECT_EQ((Report{Event::kNotCompleted, "{fp:7}:x", "stale_lease"}).Text(),
            "not completed {fp:7}:x: stale_lease");
  EXPECT_EQ((Report{Event::kNoGrant, "", "unauthorized who"}).Text(), "no grant: unauthorized who");
  // A proxy's page, and an id that is none.
  EXPECT_EQ((Report{Event::kNoGrant, "", "server_fault <html>\r\n<b>\x7f\xc3\xa9"}).Text(),
            "no grant: server_fault <html>  <b> \xc3\xa9");
  EXPECT_EQ((Report{Event::kNotTakenOver, std::string_view("a\0\nb", 4), ""}).Text(),
            "not taken over a  b");
  EXPECT_EQ(EventName(Event::kFailed), "failed");
  EXPECT_EQ(EventName(Event::kNotRegistered), "not registered");
}

TEST(Environment, SaysWhatBelongsOnNoCommandLine) {
  constexpr const char* kNames[] = {
      "FF_API_TOKEN",          "FF_API_TOKEN_FILE",    "FF_API_CA_FILE",
      "FFGRANT_PASSWORD",      "FFGRANT_TLS_CA_FILE",  "FFGRANT_TLS_CERTIFICATE_FILE",
      "FFGRANT_PASSWORD_FILE", "FFGRANT_TLS_KEY_FILE", "FF_WORKER_INSTANCE_ID"};
  for (const char* const name : kNames) unsetenv(name);
  RunOptions options;
  options.issuer.token_file = "before";
  options.worker.worker.worker_instance_id = "mine";
  EXPECT_EQ(SetFromEnvironment(options), "");
  EXPECT_EQ(options.issuer.token_file, "before");
  EXPECT_EQ(options.worker.worker.worker_instance_id, "mine");
  setenv("FF_WORKER_INSTANCE_ID", "", 1);
  EXPECT_EQ(SetFromEnvironment(options), "");
  EXPECT_EQ(options.worker.worker.worker_instance_id, "mine");
  setenv("FF_WORKER_INSTANCE_ID", "pod-7", 1);
  setenv("FF_API_TOKEN", "secret", 1);
  setenv("FF_API_CA_FILE", "ca.pem", 1);
  setenv("FFGRANT_PASSWORD", "hunter2", 1);
  setenv("FFGRANT_TLS_CA_FILE", "valkey.pem", 1);
  EXPECT_EQ(SetFromEnvironment(options), "");
  EXPECT_EQ(options.worker.worker.worker_instance_id, "pod-7");
  EXPECT_EQ(options.issuer.token_variable, "FF_API_TOKEN");
  EXPECT_EQ(options.issuer.token_file, "");
  EXPECT_EQ(options.issuer.ca_file, "ca.pem");
  EXPECT_EQ(options.worker.ledger.client.password, "hunter2");
  EXPECT_EQ(options.worker.ledger.client.tls.ca_file, "valkey.pem");
  setenv("FF_API_TOKEN_FILE", "token", 1);
  EXPECT_EQ(SetFromEnvironment(options), "");
  EXPECT_EQ(options.issuer.token_variable, "");
  EXPECT_EQ(options.issuer.token_file, "token");
  setenv("FFGRANT_TLS_KEY_FILE", "key.pem", 1);
  EXPECT_NE(SetFromEnvironment(options), "");
  setenv("FFGRANT_PASSWORD_FILE", "file", 1);
  EXPECT_EQ(SetFromEnvironment(options), "FFGRANT_PASSWORD and FFGRANT_PASSWORD_FILE are both set");
  for (const char* const name : kNames) unsetenv(name);
}

}  // namespace
}  // namespace ffgrant::deployment
