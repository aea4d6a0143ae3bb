// SPDX-License-Identifier: Apache-2.0
//
// Runs whole workers, and checks how they ask for work, get it done and stop.

#include "ffgrant/deployment/run_worker.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "ffgrant/uuid_generator.h"
#include "testing/live/grant_routes.h"
#include "testing/live/http_server.h"
#include "testing/simulation/workers_test_fixture.h"

namespace ffgrant::deployment {
namespace {

using Event = Report::Event;
using testing::HttpResponse;
using testing::MsSince;
using testing::Workers;

// ---- from start to end -----------------------------------------------------------

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

// ---- no grants -------------------------------------------------------------------

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
    // The first grant is for an execution that does not exist, the second names another partition.
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

// Without the pause, a worker that can't claim would use up all grants of its lane.
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

// If the pauses did not spread, workers that have failed together would come back together.
TEST_F(Workers, PausesSpread) {
  options_.pause = {.first_ms = 2048, .longest_ms = 2048};
  options_.worker.worker.permits = 24;
  std::mutex mutex;
  std::vector<Steady::time_point> times;
  AnswerWith([&](const std::string&) -> std::optional<std::string> {
    const std::lock_guard lock(mutex);
    times.push_back(Steady::now());
    return std::nullopt;
  });
  Started worker(*this, &Echo);
  ASSERT_TRUE(Eventually([&] {
    const std::lock_guard lock(mutex);
    return times.size() >= 48;
  }));
  // The first requests come together. The pauses after them take 1024 to 2048 ms.
  const std::lock_guard lock(mutex);
  EXPECT_GE(times.at(47) - times.at(24), std::chrono::milliseconds(300));
}

// ---- stops -----------------------------------------------------------------------

TEST_F(Workers, AStopEndsAWaitForAGrantAtOnce) {
  AnswerWith([](const std::string&) { return std::string(); });  // the server never answers
  options_.issuer.request_timeout_ms = 60'000;
  options_.issuer.connections = 1;  // the worker still keeps a connection for each permit
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

// ---- texts -----------------------------------------------------------------------

TEST(Reports, AreLinesOfText) {
  EXPECT_EQ((Report{Event::kToBeRetried, "{fp:7}:x", ""}).Text(), "to be retried {fp:7}:x");
  EXPECT_EQ((Report{Event::kNotCompleted, "{fp:7}:x", "stale_lease"}).Text(),
            "not completed {fp:7}:x: stale_lease");
  EXPECT_EQ((Report{Event::kNoGrant, "", "unauthorized who"}).Text(), "no grant: unauthorized who");
  // The texts are a page from a proxy, and a text that is no execution id.
  EXPECT_EQ((Report{Event::kNoGrant, "", "server_fault <html>\r\n<b>\x7f\xc3\xa9"}).Text(),
            "no grant: server_fault <html>  <b> \xc3\xa9");
  EXPECT_EQ((Report{Event::kNotTakenOver, std::string_view("a\0\nb", 4), ""}).Text(),
            "not taken over a  b");
  // U+0080, U+0085 and U+009F are control characters of two bytes. U+00A0, U+00BF and U+00C0 are
  // none; "\xc2" alone is no character.
  EXPECT_EQ((Report{Event::kNoGrant, "", "a\xc2\x80\xc2\x85!\xc2\x9f"}).Text(), "no grant: a  ! ");
  const std::string others = "\xc2\xa0\xc2\xbf\xc3\x80\xe2\x80\x85\xc2\x7e\xc2";
  EXPECT_EQ((Report{Event::kNoGrant, "", others}).Text(), "no grant: " + others);
  EXPECT_EQ(EventName(Event::kFailed), "failed");
  EXPECT_EQ(EventName(Event::kNotRegistered), "not registered");
}
}  // namespace
}  // namespace ffgrant::deployment
