// SPDX-License-Identifier: Apache-2.0
//
// Tests what the client reports about itself (counters and lines for a log), and how it can be told
// to give up the commands under way.

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "testing/simulation/client_rig.h"

namespace ffgrant::valkey::testing {
namespace {

using Kind = Fault::Kind;

ClientCounters Counters(const ClientRig& rig) {
  ClientCounters sum;
  rig.client.counts().AddTo(sum);
  return sum;
}

// ---- counters ------------------------------------------------------------------------

TEST(ClientCounters, EachHasANameOfItsOwn) {
  static_assert(sizeof(ClientCounters) == ClientCounters::kCount * sizeof(std::uint64_t));
  std::array<std::uint64_t, ClientCounters::kCount> numbers;
  for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = i + 1;
  ClientCounters counters;
  std::memcpy(static_cast<void*>(&counters), numbers.data(), sizeof counters);
  std::set<std::string_view> names;
  std::uint64_t expected = 0;
  for (const auto& [name, value] : counters.All()) {
    names.insert(name);
    EXPECT_EQ(value, ++expected) << name;
  }
  EXPECT_EQ(names.size(), ClientCounters::kCount);
  EXPECT_EQ(names.count("unknown_outcomes"), 1u);
}

TEST(ClientCounters, CountWhatGoesWell) {
  ClientRig rig;
  ASSERT_EQ(rig.Get(), "a of 1");
  ASSERT_EQ(rig.Do({"SET", "a", "1"}), "OK");
  const ClientCounters counters = Counters(rig);
  EXPECT_EQ(counters.connects, 1u);
  EXPECT_EQ(counters.commands, 2u);
  EXPECT_EQ(counters.commands_sent, 2u);
  EXPECT_EQ(counters.replies, 2u);
  EXPECT_EQ(counters.bytes_sent, rig.network->bytes_to_server());
  EXPECT_EQ(counters.bytes_received, rig.network->bytes_to_client());
  for (const auto& [name, value] : counters.All()) {
    if (name == "unsent_ms") continue;  // how long the first command waited for its connection
    const bool counted = name == "connects" || name == "commands" || name == "commands_sent" ||
                         name == "replies" || name.starts_with("bytes_");
    EXPECT_EQ(value != 0, counted) << name << " " << value;
  }
}

TEST(ClientCounters, CountRefusalsForNow) {
  ClientRig rig;
  int refusals = 2;
  rig.play = [&](std::uint16_t, const Words& command) -> std::optional<std::string> {
    if (command[0] == "SET" && refusals-- > 0) return "-LOADING the dataset\r\n";
    return std::nullopt;
  };
  ASSERT_EQ(rig.Do({"SET", "a", "1"}), "OK");
  const ClientCounters counters = Counters(rig);
  EXPECT_EQ(counters.commands, 1u);
  EXPECT_EQ(counters.commands_sent, 3u);
  EXPECT_EQ(counters.replies, 3u);
  EXPECT_EQ(counters.retries, 2u);
  EXPECT_GT(counters.unsent_ms, 0u);
  EXPECT_EQ(counters.unavailable, 0u);
}

TEST(ClientCounters, CountWhatIsUnknownAndHowItIsShut) {
  ClientRig rig;
  ASSERT_EQ(rig.Get(), "a of 1");
  rig.network->SetScript(First(1, Operation::kAnswer, Kind::kSilence));
  EXPECT_EQ(rig.Do({"SET", "a", "1"}), "unknown: no reply in time");
  ASSERT_EQ(rig.Get(), "a of 1");
  const ClientCounters counters = Counters(rig);
  EXPECT_EQ(counters.unknown_outcomes, 1u);
  EXPECT_EQ(counters.connections_lost, 1u);
  EXPECT_EQ(counters.connects, 2u);
  EXPECT_EQ(counters.fences, 1u);
  EXPECT_EQ(counters.unavailable, 0u);
}

TEST(ClientCounters, CountWhatCanNotBeReached) {
  ClientRig rig;
  rig.network->SetScript(Always(Operation::kOpen, Kind::kRefused));
  EXPECT_EQ(rig.Get(), "unavailable: can't connect");
  ClientCounters counters = Counters(rig);
  EXPECT_GE(counters.connects, 2u);
  EXPECT_EQ(counters.connects_failed, counters.connects);
  EXPECT_EQ(counters.connections_lost, 0u);
  EXPECT_EQ(counters.unavailable, 1u);
  EXPECT_EQ(counters.unsent_ms, 200u) << "all of its time";
  rig.network->SetScript({});
  rig.Pass(2000);
  rig.play = [](std::uint16_t, const Words& command) -> std::optional<std::string> {
    if (command[0] == "INFO") return "-NOAUTH Authentication required.\r\n";
    return std::nullopt;
  };
  EXPECT_EQ(rig.Get(), "unavailable: NOAUTH Authentication required.");
  counters = Counters(rig);
  EXPECT_EQ(counters.refusals, 1u);
  EXPECT_EQ(counters.unavailable, 2u);
}

TEST(ClientCounters, CountProbes) {
  ClientOptions options = RigOptions();
  options.probe_idle_ms = 1000;
  options.probe_limit_ms = 20;
  ClientRig rig(options);
  ASSERT_EQ(rig.Get(), "a of 1");
  rig.Pass(1000);
  ASSERT_EQ(rig.Get(), "a of 1");
  EXPECT_EQ(Counters(rig).probes, 1u);
  EXPECT_EQ(Counters(rig).probes_failed, 0u);
  rig.Pass(1000);
  rig.network->SetScript(First(1, Operation::kAnswer, Kind::kSilence));
  ASSERT_EQ(rig.Get(), "a of 1");
  EXPECT_EQ(Counters(rig).probes, 2u);
  EXPECT_EQ(Counters(rig).probes_failed, 1u);
}

// ---- the log -------------------------------------------------------------------------

struct Logged {
  std::vector<std::pair<LogLevel, std::string>> lines;
  LogHook hook() {
    return [this](LogLevel level, std::string_view text) { lines.emplace_back(level, text); };
  }
};

TEST(ClientLog, IsToldWhenNobodyHoldsALock) {
  Logged logged;
  ClientOptions options = RigOptions();
  options.log = logged.hook();
  ClientRig rig(options);
  ASSERT_EQ(rig.Get(), "a of 1");
  EXPECT_TRUE(logged.lines.empty()) << "not from within Poll()";
  rig.client.TellLog();
  ASSERT_EQ(logged.lines.size(), 1u);
  EXPECT_EQ(logged.lines[0].first, LogLevel::kInfo);
  EXPECT_EQ(logged.lines[0].second, "connected: 127.0.0.1:1: valkey 9.9.9");
  rig.client.TellLog();
  EXPECT_EQ(logged.lines.size(), 1u) << "once";
  rig.network->SetScript(First(1, Operation::kAnswer, Kind::kSilence));
  EXPECT_EQ(rig.Do({"SET", "a", "1"}), "unknown: no reply in time");
  rig.client.TellLog();
  ASSERT_EQ(logged.lines.size(), 3u);
  EXPECT_EQ(logged.lines[1].second, "connection lost: 127.0.0.1:1: no reply in time");
  EXPECT_EQ(logged.lines[2].first, LogLevel::kWarning);
  EXPECT_EQ(logged.lines[2].second,
            "a command to 127.0.0.1:1 has an unknown outcome: no reply in time");
}

TEST(ClientLog, KeepsSoManyLinesAndCountsTheRest) {
  Logged logged;
  ClientOptions options = RigOptions();
  options.log = logged.hook();
  options.reconnect = {1, 1};
  options.request_timeout_ms = 2000;
  ClientRig rig(options);
  rig.network->SetScript(Always(Operation::kOpen, Kind::kRefused));
  EXPECT_EQ(rig.Get(), "unavailable: can't connect");
  const ClientCounters counters = Counters(rig);
  EXPECT_GT(counters.connects_failed, internal::LogLines::kMaxLines);
  EXPECT_EQ(counters.log_lines_lost, counters.connects_failed - internal::LogLines::kMaxLines);
  rig.client.TellLog();
  EXPECT_EQ(logged.lines.size(), internal::LogLines::kMaxLines);
  EXPECT_EQ(logged.lines[0].second, "no connection: 127.0.0.1:1: can't connect");
}

// The hook makes a call that fails, which logs more, and so on.
TEST(ClientLog, IsNotToldFromWithinItsOwnCalls) {
  int depth = 0;
  int deepest = 0;
  int lines = 0;
  std::optional<ClientRig> rig;
  std::optional<ClientRig> sibling;  // another client of the same ledger
  std::optional<ClientRig> other;
  ClientOptions options = RigOptions();
  options.log = [&](LogLevel, std::string_view) {
    deepest = std::max(deepest, ++depth);
    ++lines;
    for (std::optional<ClientRig>* const one : {&rig, &sibling}) {
      if (depth > 3) continue;
      (void)(*one)->Get();
      (*one)->client.TellLog();
    }
    (void)other->Get();
    other->client.TellLog();
    --depth;
  };
  const auto fail = [](ClientRig& one) {
    one.network->SetScript(Always(Operation::kOpen, Kind::kRefused));
    EXPECT_EQ(one.Get(), "unavailable: can't connect");
  };
  rig.emplace(options);
  sibling.emplace(options, rig->deployment);
  Logged others;
  options.log = others.hook();
  other.emplace(options);
  fail(*rig);
  fail(*sibling);
  fail(*other);
  rig->client.TellLog();
  EXPECT_GT(lines, 0);
  EXPECT_EQ(deepest, 1);
  EXPECT_GT(others.lines.size(), 0u) << "another ledger's hook may be called";
  const int before = lines;
  sibling->client.TellLog();
  EXPECT_GT(lines, before) << "what the hook's calls have logged";
  EXPECT_EQ(deepest, 1);
}

// A server that does not know AUTH repeats the command in its answer, and may cut the command's
// arguments short.
TEST(ClientLog, HasNoPasswordWhateverTheServerSays) {
  const std::string unknown = "ERR unknown command 'AUTH', with args beginning with: ";
  const std::string told = "ERR unknown command 'AUTH'";
  const std::string half(150, 's');
  const struct {
    std::string username;
    std::string password;
    std::string answer;
    std::string told;
  } kCases[] = {
      {"", "hunter2", unknown + "'hunter2' ", told},
      {"", "hunter2", unknown + "'hunt", told},
      {"", half + half, unknown + "'" + half, told},
      {"", half + half, unknown + "'" + half.substr(0, 128) + "' ", told},
      {"me", half + half, unknown + "'me' '" + half.substr(0, 123) + "' ", told},
      {"me", "hunter2", unknown + "'me' 'hunter2' ", told},
      {"", "hunter2", "ERR hunter2, hunter2", "ERR ***, ***"},
      {"", "hunter2", "WRONGPASS no", "WRONGPASS no"},
  };
  for (const auto& c : kCases) {
    Logged logged;
    ClientOptions options = RigOptions();
    options.username = c.username;
    options.password = c.password;
    options.log = logged.hook();
    ClientRig rig(options);
    rig.play = [&c](std::uint16_t, const Words& command) -> std::optional<std::string> {
      if (command[0] == "AUTH") return "-" + c.answer + "\r\n";
      return std::nullopt;
    };
    EXPECT_EQ(rig.Get(), "unavailable: " + c.told);
    rig.client.TellLog();
    ASSERT_EQ(logged.lines.size(), 2u);
    EXPECT_EQ(logged.lines[0].second, "refused for good: 127.0.0.1:1: " + c.told);
    EXPECT_EQ(logged.lines[0].first, LogLevel::kError);
    EXPECT_EQ(logged.lines[1].second, "no connection: 127.0.0.1:1: " + c.told);
  }
}

// ---- cancelling ------------------------------------------------------------------------

TEST(ClientCancel, EndsWhatWasSentAndLeavesTheConnection) {
  ClientRig rig;
  ASSERT_EQ(rig.Get(), "a of 1");
  rig.network->SetScript([](Operation operation) -> Fault {
    return operation == Operation::kAnswer ? Fault{Kind::kLate, 30} : Fault{};
  });
  ASSERT_TRUE(rig.Submit(1, {"SET", "a", "1"}));
  ASSERT_TRUE(rig.Submit(2, {"GET", "a"}, true));
  rig.client.Poll(0);
  rig.client.Cancel();
  ASSERT_TRUE(rig.Submit(3, {"GET", "a"}, true)) << "after it";
  rig.client.Poll(1);
  EXPECT_EQ(rig.ends[1], "unknown: the call was cancelled");
  EXPECT_EQ(rig.ends[2], "unavailable: the call was cancelled");
  EXPECT_EQ(rig.ends.count(3), 0u);
  while (rig.ends.count(3) == 0) rig.client.Poll(50);
  EXPECT_EQ(rig.ends[3], "a of 1");
  EXPECT_EQ(rig.network->connections(), 1u) << "nobody else on it is disturbed";
  const ClientCounters counters = Counters(rig);
  EXPECT_EQ(counters.cancelled, 2u);
  EXPECT_EQ(counters.late_replies, 2u);
  EXPECT_TRUE(rig.Settle(10)) << "its answer has come: it can't happen any more";
}

TEST(ClientCancel, WhatHasNotGoneOutNeverDoes) {
  ClientRig rig;
  ASSERT_EQ(rig.Get(), "a of 1");
  rig.network->SetScript(Always(Operation::kWrite, Kind::kWouldBlock));
  ASSERT_TRUE(rig.Submit(1, {"SET", "a", "1"}));
  rig.client.Poll(0);
  rig.client.Cancel();
  rig.client.Poll(0);
  EXPECT_EQ(rig.ends[1], "unavailable: the call was cancelled");
  rig.network->SetScript({});
  rig.network->DeliverAll();
  ASSERT_EQ(rig.Get(), "a of 1");
  EXPECT_EQ(rig.Count("1 SET"), 0);
}

// A settling of a lost command is under way. It ends with the answer 0 when it is cancelled, and
// without an answer when the client is closed.
TEST(ClientCancel, EndsASettlingUnderWay) {
  struct Ends {
    std::map<std::uint64_t, std::string> all;
    static bool OnReply(void* self, std::uint64_t tag, const Reply& reply) noexcept {
      static_cast<Ends*>(self)->all[tag] = std::to_string(reply.integer);
      return true;
    }
    static void OnFailure(void* self, std::uint64_t tag, CallFailure failure,
                          std::string_view text) noexcept {
      static_cast<Ends*>(self)->all[tag] =
          (failure == CallFailure::kUnavailable ? "unavailable: " : "unknown: ") +
          std::string(text);
    }
  } ends;
  ClientRig rig;
  ASSERT_EQ(rig.Get(), "a of 1");
  // Another client of the deployment has a connection that still stands, so the settling goes on.
  (void)rig.lost->Add({.run_id = "process1"}, 99, rig.network->NowMs(), ClientRig::kKey, true);
  const auto settle = [&](std::uint64_t tag) {
    rig.client.SubmitSettling(ClientRig::kKey, rig.network->NowMs() + 1000,
                              {&ends, &Ends::OnReply, &Ends::OnFailure, tag});
  };
  settle(1);
  rig.client.Poll(50);
  EXPECT_EQ(ends.all.size(), 0u);
  rig.client.Cancel();
  settle(2);
  const std::int64_t begin = rig.network->NowMs();
  rig.client.Poll(50);
  EXPECT_EQ(rig.network->NowMs(), begin);
  EXPECT_EQ(ends.all, (std::map<std::uint64_t, std::string>{{1, "0"}}))
      << "it is not settled, and the one that came after is not touched";
  EXPECT_EQ(rig.client.in_flight(), 1u);
  rig.client.Close();
  EXPECT_EQ(ends.all[2], "unavailable: the client was closed");
  EXPECT_EQ(rig.client.in_flight(), 0u);
}

TEST(ClientCancel, EndsWhatWaitsForAConnection) {
  ClientRig rig;
  rig.network->SetScript(Always(Operation::kOpen, Kind::kRefused));
  ASSERT_TRUE(rig.Submit(1, {"SET", "a", "1"}));
  rig.client.Poll(0);
  const std::int64_t begin = rig.network->NowMs();
  rig.client.Cancel();
  rig.client.Poll(1000);
  EXPECT_EQ(rig.ends[1], "unavailable: the call was cancelled");
  EXPECT_EQ(rig.network->NowMs(), begin);
  // If Cancel() is called while nothing is under way, it does not touch what comes later.
  rig.client.Cancel();
  rig.network->SetScript({});
  EXPECT_EQ(rig.Get(), "a of 1");
}

}  // namespace
}  // namespace ffgrant::valkey::testing
