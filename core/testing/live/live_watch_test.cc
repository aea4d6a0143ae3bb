// SPDX-License-Identifier: Apache-2.0
//
// Tests counters, the log and cancelling while threads call a real server, and the pipeline in an
// event loop that the caller already has.

#include <gtest/gtest.h>
#include <poll.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "ffgrant/valkey/claim_pipeline.h"
#include "testing/live/behind_proxy.h"

namespace ffgrant::valkey::testing {
namespace {

using Clock = std::chrono::steady_clock;

std::int64_t MsSince(Clock::time_point begin) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin).count();
}

class LiveWatch : public BehindProxy {
 protected:
  LiveWatch() : BehindProxy(10'000) {}
};

TEST_F(LiveWatch, CountersAreReadWhileThreadsCall) {
  ValkeyLedger ledger(options_);
  std::atomic<bool> stop = false;
  std::thread reader([&] {
    std::uint64_t last = 0;
    while (!stop) {
      const ClientCounters counters = ledger.counters();
      EXPECT_GE(counters.replies, last);
      last = counters.replies;
    }
  });
  std::vector<std::thread> callers;
  for (int t = 0; t < 4; ++t) {
    callers.emplace_back([&] {
      for (int i = 0; i < 50; ++i) EXPECT_TRUE(ledger.Claim(ArgsFor(Granted())));
    });
  }
  for (std::thread& caller : callers) caller.join();
  stop = true;
  reader.join();
  const ClientCounters counters = ledger.counters();
  EXPECT_EQ(counters.commands, 200u);
  EXPECT_EQ(counters.replies, 200u);
  EXPECT_EQ(counters.connects, 1u);
  EXPECT_GT(counters.bytes_sent, 200u * 100);
}

TEST_F(LiveWatch, ALogThatTakesItsTimeHoldsUpNobodyElse) {
  std::atomic<bool> go_on = false;
  std::atomic<int> lines = 0;
  std::mutex mutex;
  std::string first;
  options_.client.log = [&](LogLevel, std::string_view text) {
    {
      const std::scoped_lock lock(mutex);
      if (first.empty()) first = text;
    }
    ++lines;
    while (!go_on) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  };
  ValkeyLedger ledger(options_);
  std::thread slow([&] { EXPECT_TRUE(ledger.Claim(ArgsFor(Granted()))); });
  while (lines == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(ledger.Claim(ArgsFor(Granted())));
  EXPECT_EQ(lines, 1) << "the first call is at it still";
  go_on = true;
  slow.join();
  EXPECT_TRUE(first.starts_with("connected: 127.0.0.1:")) << first;
}

TEST_F(LiveWatch, CancellingEndsCallsThatWaitInOtherThreads) {
  options_.client.probe_idle_ms = INT64_MAX;
  ValkeyLedger ledger(options_);
  const MintedExecutionId id = Granted();
  ServerInfo info;
  ASSERT_TRUE(ledger.Connect(info));
  proxy_.Forget();
  const Clock::time_point begin = Clock::now();
  std::vector<std::thread> callers;
  std::atomic<int> ended = 0;
  callers.emplace_back([&] {
    ErrorDetails details;
    EXPECT_EQ(ledger.Claim(ArgsFor(id), &details).error, ClaimError::kUnknownOutcome);
    ASSERT_EQ(details.size(), 1u);
    EXPECT_EQ(details[0], "the call was cancelled");
    ++ended;
  });
  callers.emplace_back([&] {
    // The call sends several commands, one after the other; it begins none after the cancelling.
    EXPECT_EQ(ledger.ClaimForWorker({.worker = worker_, .lane = lane_, .grant_ttl_ms = 1000}).error,
              ClaimError::kUnavailable);
    ++ended;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_EQ(ended, 0);
  ledger.CancelCalls();
  for (std::thread& caller : callers) caller.join();
  EXPECT_LE(MsSince(begin), 5000) << "of a limit of 10 s";
  EXPECT_GE(ledger.counters().cancelled, 2u);
}

// ---- somebody else's loop --------------------------------------------------------------

// Makes claims through `pipeline`, with poll() on its descriptor. Returns how many succeeded.
int ClaimInALoop(ClaimPipeline& pipeline, const std::vector<ClaimArgs>& args) {
  int good = 0;
  std::size_t submitted = 0;
  std::size_t ended = 0;
  int idle = 0;
  while (ended < args.size()) {
    while (submitted < args.size() && pipeline.SubmitIssueAndClaim(args[submitted], submitted)) {
      ++submitted;
    }
    pollfd wanted = {.fd = pipeline.descriptor(), .events = POLLIN, .revents = 0};
    const int ms = pipeline.PrepareWait();
    EXPECT_GE(ms, 0) << "something is under way";
    (void)poll(&wanted, 1, ms);
    const auto completions = pipeline.Poll(0);
    for (const ClaimPipeline::Completion& done : completions) {
      good += done ? 1 : 0;
      ++ended;
    }
    idle += completions.empty() ? 1 : 0;
  }
  EXPECT_LE(idle, 200) << "it turns, and nothing happens";
  return good;
}

TEST_F(LiveWatch, APipelineLivesInALoopOfSomebodyElses) {
  ClientOptions client = Where();
  client.max_in_flight = 16;
  ClaimPipeline pipeline(client);
  EXPECT_EQ(pipeline.PrepareWait(), -1) << "nothing is under way";
  std::vector<MintedExecutionId> ids;
  std::vector<ClaimArgs> args;
  for (int i = 0; i < 100; ++i) ids.push_back(Create());
  for (const MintedExecutionId& id : ids) args.push_back(ArgsFor(id));
  EXPECT_EQ(ClaimInALoop(pipeline, args), 100);
  EXPECT_EQ(pipeline.PrepareWait(), -1);
  // If the server closes a connection while nothing is under way, the pipeline wakes nobody.
  Operator(Variable("FFGRANT_SERVER")).Do({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"});
  pollfd wanted = {.fd = pipeline.descriptor(), .events = POLLIN, .revents = 0};
  EXPECT_EQ(poll(&wanted, 1, 50), 0);
  ids.clear();
  args.clear();
  for (int i = 0; i < 20; ++i) ids.push_back(Create());
  for (const MintedExecutionId& id : ids) args.push_back(ArgsFor(id));
  EXPECT_EQ(ClaimInALoop(pipeline, args), 20) << "on a new connection";
}

TEST_F(LiveWatch, TheDueTimeEndsCallsThatGetNoAnswer) {
  options_.client.probe_idle_ms = INT64_MAX;
  options_.client.request_timeout_ms = 300;
  ClaimPipeline pipeline(options_.client);
  const MintedExecutionId first = Create();
  EXPECT_EQ(ClaimInALoop(pipeline, {ArgsFor(first)}), 1);
  proxy_.Forget();
  const MintedExecutionId second = Create();
  const Clock::time_point begin = Clock::now();
  EXPECT_EQ(ClaimInALoop(pipeline, {ArgsFor(second)}), 0);
  EXPECT_LE(MsSince(begin), 2000);
}

TEST_F(LiveWatch, AnotherThreadCancelsWhatTheLoopWaitsFor) {
  options_.client.probe_idle_ms = INT64_MAX;
  ClaimPipeline pipeline(options_.client);
  const MintedExecutionId first = Create();
  EXPECT_EQ(ClaimInALoop(pipeline, {ArgsFor(first)}), 1);
  proxy_.Forget();
  std::thread canceller([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    pipeline.CancelAll();
  });
  const MintedExecutionId second = Create();
  const Clock::time_point begin = Clock::now();
  EXPECT_EQ(ClaimInALoop(pipeline, {ArgsFor(second)}), 0);
  EXPECT_EQ(pipeline.last_error(), "the call was cancelled");
  EXPECT_LE(MsSince(begin), 5000) << "of a limit of 10 s";
  canceller.join();
}

}  // namespace
}  // namespace ffgrant::valkey::testing
