// SPDX-License-Identifier: Apache-2.0
//
// Runs whole workers, and tests options, starts that fail, the registration, and taking over what
// others have left.

#include "ffgrant/deployment/run_worker.h"

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include "ffgrant/uuid_generator.h"
#include "testing/live/http_server.h"
#include "testing/naive/sanitized.h"
#include "testing/simulation/workers_test_fixture.h"

#if !FFGRANT_IS_SANITIZED
// How many threads the calling thread can still start. A sanitizer has a pthread_create() of its
// own, so builds with a sanitizer leave out the one below.
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

using testing::HttpResponse;
using testing::Workers;

// ---- options ---------------------------------------------------------------------

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

// An empty handler would fail all executions.
TEST_F(Workers, AHandlerThatIsEmptyIsRefused) {
  const Handler empty;
  stop_.Stop();  // ends a worker that starts although it must not
  const RunResult ran = RunWorker(options_, stop_, empty);
  EXPECT_EQ(ran.error, ClaimError::kInvalidInput);
  EXPECT_EQ(ran.message, "there must be a handler");
  EXPECT_EQ(TakeOver(options_, {}, stop_, empty).message, "there must be a handler");
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
  // What is wrong with one of them is told, whether the others are in order or not.
  const std::string of_tls = "FFGRANT_TLS_CERTIFICATE_FILE and FFGRANT_TLS_KEY_FILE go together";
  const std::string of_password = "FFGRANT_PASSWORD and FFGRANT_PASSWORD_FILE are both set";
  setenv("FFGRANT_TLS_KEY_FILE", "key.pem", 1);
  EXPECT_EQ(SetFromEnvironment(options), of_tls);
  setenv("FFGRANT_PASSWORD_FILE", "/nowhere/file", 1);
  EXPECT_EQ(SetFromEnvironment(options), of_password);
  unsetenv("FFGRANT_TLS_KEY_FILE");
  EXPECT_EQ(SetFromEnvironment(options), of_password);
  unsetenv("FFGRANT_PASSWORD");
  EXPECT_EQ(SetFromEnvironment(options),
            "the password file /nowhere/file: No such file or directory");
  for (const char* const name : kNames) unsetenv(name);
}

// ---- starts that fail ------------------------------------------------------------

TEST_F(Workers, AStartThatFailsIsTheResult) {
  stop_.Stop();  // ends a worker that starts although it must not
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

// If the failed start left its registration, the program could not start again under its instance
// id before that registration had run out.
TEST_F(Workers, AStartThatFailsLeavesNoRegistration) {
  served_.Decide([](const ServedSimulation::Command& command) {
    return command[0] == "SADD" ? Fate::kLostBefore : Fate::kServed;
  });
  stop_.Stop();  // ends a worker that starts
  const RunResult failed = RunWorker(options_, stop_, &Echo);
  EXPECT_FALSE(failed);
  EXPECT_EQ(Alive(), ":0\r\n");
  served_.Decide(nullptr);
  // The server refuses SADD for a while.
  options_.worker.ledger.client.request_timeout_ms = 200;
  {
    const auto answering =
        served_.Answer([](const ServedSimulation::Command& command) -> std::optional<std::string> {
          if (command[0] != "SADD") return std::nullopt;
          return "-LOADING Valkey is loading the dataset in memory\r\n";
        });
    EXPECT_EQ(RunWorker(options_, stop_, &Echo).error, ClaimError::kUnavailable);
    EXPECT_EQ(Alive(), ":0\r\n");
  }
  const RunResult again = RunWorker(options_, stop_, &Echo);
  EXPECT_TRUE(again) << again.message;
}

// Without the right to read inputs, a worker would fail all executions.
TEST_F(Workers, AUserWithoutTheRightsForTheWorkIsRefused) {
  std::string refused;
  const auto answering =
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
  // Now there is a stop request, which ends a worker that starts.
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
}

// A deployment has functions of its own, and a worker brings it no others.
TEST_F(Workers, NoFunctionsAreLoaded) {
  const ServedSimulation bare;
  options_.worker.ledger.client.servers = {bare.endpoint()};
  options_.worker.ledger.client.load_library = true;
  stop_.Stop();  // ends a worker that starts although it must not
  const RunResult ran = RunWorker(options_, stop_, &Echo);
  EXPECT_EQ(ran.error, ClaimError::kUnavailable) << ran.message;
}

#if !FFGRANT_IS_SANITIZED
TEST_F(Workers, ThatCanNotHaveAllTheirThreadsAskForNothing) {
  options_.worker.worker.permits = 100;
  // The lease keeper has as many threads as renewers and one more; one thread refreshes the
  // registration. The next threads are for handlers.
  const int first = static_cast<int>(options_.worker.keeper.renewers) + 2;
  // With 0 or first - 2 threads, the lease keeper does not get all of its threads.
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

// ---- the registration ------------------------------------------------------------

// Refreshes that fail with the same error are reported once, until one of them succeeds.
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

// ---- taking over -----------------------------------------------------------------

TEST_F(Workers, TakeOverWhatDeadWorkersHaveLeft) {
  ASSERT_EQ(options_.worker.offered.AssignOfferedCsv("gpu,cuda"), CapabilityError::kNone);
  const MintedExecutionId left = CreateForADeadWorker("left");
  const MintedExecutionId held = CreateForADeadWorker("held");
  const MintedExecutionId absent(7, RandomUuid());
  ASSERT_TRUE(ledger_.Revoke({.execution_id = left.view()}));  // an expired lease would do as well
  std::vector<std::string> ids;
  for (const MintedExecutionId& id : {held, left, absent}) ids.emplace_back(id.text());
  ids.emplace_back("no id");
  ids.emplace_back("");  // the client refuses "" without asking the server
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

TEST_F(Workers, TakeOverReadsInputsUpToTheLimitOfTheOptions) {
  for (const bool fits : {false, true}) {
    const MintedExecutionId id = CreateForADeadWorker(std::string(200, 'p'));
    ASSERT_TRUE(ledger_.Revoke({.execution_id = id.view()}));
    options_.max_input_bytes = fits ? 1000 : 100;
    const std::string text(id.text());
    const RunResult ran = TakeOver(options_, {&text, 1}, stop_, &Echo);
    EXPECT_TRUE(ran) << ran.message;
    EXPECT_EQ(ran.completed, fits ? 1u : 0u);
    EXPECT_EQ(ran.failed, fits ? 0u : 1u);
  }
}

// The execution whose request was under way is neither taken over nor reported.
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

// The worker gets the answer to another request, for example from a proxy.
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
  // The execution and the lane are those that were asked for, but nobody has had a lease on this
  // execution.
  lane = "main";
  EXPECT_TRUE(TakeOver(options_, ids, stop_, &Echo));
  EXPECT_EQ(reclaims, 1);
  EXPECT_EQ(Count(Event::kNotTakenOver), 5);
  EXPECT_EQ(reports_[4], "not taken over " + ids[0] + ": execution_not_reclaimable");
  // The options need no function for reports.
  options_.report = nullptr;
  EXPECT_TRUE(TakeOver(options_, ids, stop_, &Echo));
  EXPECT_EQ(reclaims, 2);
  served_.Decide(nullptr);
}
}  // namespace
}  // namespace ffgrant::deployment
