// SPDX-License-Identifier: Apache-2.0
//
// Tests the client's connections to one server: how it makes a connection, what it says if a
// connection breaks, and how it asks whether a silent connection still stands.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "testing/simulation/client_rig.h"

namespace ffgrant::valkey::testing {
namespace {

using Kind = Fault::Kind;

// ---- connections -----------------------------------------------------------------

TEST(Client, WaitsForAConnectionThatTakesItsTime) {
  ClientRig rig;
  rig.network->SetScript(First(3, Operation::kOpen, Kind::kWouldBlock));
  EXPECT_EQ(rig.Get(), "a of 1");
  EXPECT_EQ(rig.network->connections(), 1u);
}

TEST(Client, AConnectionThatFailsLaterIsTriedAgain) {
  ClientRig rig;
  int asked = 0;
  rig.network->SetScript([&](Operation operation) -> Fault {
    if (operation != Operation::kOpen) return {};
    return {++asked % 2 == 1 ? Kind::kWouldBlock : Kind::kRefused};
  });
  EXPECT_EQ(rig.Get(), "unavailable: can't connect");
  EXPECT_GT(rig.network->connections(), 2u);
  rig.network->SetScript(nullptr);
  EXPECT_EQ(rig.Get(), "a of 1");
}

TEST(Client, SaysWhyItHasNoConnection) {
  ClientRig rig;
  rig.network->SetScript(Always(Operation::kOpen, Kind::kWouldBlock));
  EXPECT_EQ(rig.Get(), "unavailable: no connection in time");
  EXPECT_GE(rig.network->connections(), 2u);
  // As long as no try to connect has failed, the client can't say why it has no connection.
  ClientOptions options = RigOptions();
  options.connect_timeout_ms = 1000;
  ClientRig other(options);
  other.network->SetScript(Always(Operation::kOpen, Kind::kWouldBlock));
  EXPECT_EQ(other.Get(), "unavailable: no reply in time");
  EXPECT_EQ(other.network->connections(), 1u);
}

TEST(Client, InterruptsAreOutlastedUpToALimit) {
  for (const Operation operation : {Operation::kRead, Operation::kWrite}) {
    ClientRig rig;
    rig.network->SetScript(First(63, operation, Kind::kInterrupted));
    EXPECT_EQ(rig.Get(), "a of 1");
    EXPECT_EQ(rig.network->connections(), 1u);
    ClientRig other;
    other.network->SetScript(First(64, operation, Kind::kInterrupted));
    EXPECT_EQ(other.Get(), "a of 1");
    EXPECT_EQ(other.network->connections(), 2u) << "not taken for a fault";
    ClientRig always;
    always.network->SetScript(Always(operation, Kind::kInterrupted));
    EXPECT_EQ(always.Get(), "unavailable: the connection broke");
  }
  // Only interrupts in a row count: here a byte is written after each interrupt.
  ClientRig rig;
  int number = 0;
  rig.network->SetScript([&](Operation operation) -> Fault {
    if (operation != Operation::kWrite) return {};
    return number++ % 2 == 0 ? Fault{Kind::kInterrupted} : Fault{Kind::kPartial, 1};
  });
  EXPECT_EQ(rig.Do({"SET", "a", std::string(200, 'x')}), "OK");
  EXPECT_EQ(rig.network->connections(), 1u);
  EXPECT_GT(number, 400);
}

TEST(Client, ConnectsAgainAtOnceButOnce) {
  ClientOptions options = RigOptions();
  options.request_timeout_ms = 1000;
  options.reconnect = {100, 100};
  ClientRig rig(options);
  std::vector<std::int64_t> opened;
  rig.network->SetScript([&](Operation operation) -> Fault {
    if (operation == Operation::kOpen) opened.push_back(rig.network->NowMs());
    const bool asked = !rig.log.empty() && rig.log.back() == "1 GET a";
    return operation == Operation::kRead && asked ? Fault{Kind::kReset} : Fault{};
  });
  EXPECT_EQ(rig.Get(), "unavailable: the connection broke");
  ASSERT_GE(opened.size(), 3u);
  EXPECT_LE(opened[1] - opened[0], 30);
  EXPECT_GE(opened[2] - opened[1], 50);
}

// The connection breaks while the client looks for the functions again. It was connected before,
// so the server is as good as the next one.
TEST(Client, AConnectionThatBreaksAsItGreetsAgainWasConnected) {
  ClientRig rig(TwoServers());
  ASSERT_EQ(rig.Get(), "a of 1");
  bool missing = true;
  rig.play = [&](std::uint16_t, const Words& command) -> std::optional<std::string> {
    if (command[0] != "FCALL") return std::nullopt;
    if (command[1] == "ff_x") return missing ? kMissing : Bulk("done");
    if (!missing) return std::nullopt;
    missing = false;
    rig.network->HangUp(1);
    return "";
  };
  EXPECT_EQ(rig.Do({"FCALL", "ff_x", "0"}), "done");
  EXPECT_EQ(rig.Count("2 "), 0);
  EXPECT_EQ(rig.client.counts().connections_lost.value(), 1u);
  EXPECT_EQ(rig.client.counts().connects_failed.value(), 0u);
}

TEST(Client, SaysThatTheServerClosedTheConnection) {
  ClientRig rig;
  ASSERT_EQ(rig.Get(), "a of 1");
  rig.play = [&](std::uint16_t, const Words& command) -> std::optional<std::string> {
    if (command[0] != "SET") return std::nullopt;
    rig.network->HangUp(1);
    return "";
  };
  EXPECT_EQ(rig.Do({"SET", "a", "b"}), "unknown: the server closed the connection");
  EXPECT_EQ(rig.Get(), "a of 1");
  EXPECT_EQ(rig.client.connects(), 2u);
}

// If a server answers the client's own questions with errors, the client shows these errors in the
// server's words, and does not take them for data.
TEST(Client, SaysWhyItWasSentAwayWhateverItAsked) {
  // Of the two texts, the longer one is that of a node of a cluster.
  const struct {
    std::string asked;
    std::string full;
  } kCases[] = {{"AUTH", "ERR max number of clients reached"},
                {"AUTH", "ERR max number of clients + cluster connections reached"},
                {"CLIENT", "ERR max number of clients reached"},
                {"CLIENT", "ERR max number of clients + cluster connections reached"},
                {"INFO", "ERR max number of clients reached"},
                {"INFO", "ERR max number of clients + cluster connections reached"}};
  for (const auto& c : kCases) {
    const std::string& asked = c.asked;
    const std::string& full = c.full;
    ClientOptions options = RigOptions();
    if (asked == "AUTH") options.password = "pw";
    if (asked == "CLIENT") options.connection_name = "worker-7";
    ClientRig rig(options);
    bool is_full = true;
    rig.play = [&](std::uint16_t, const Words& command) -> std::optional<std::string> {
      if (command[0] == asked && is_full) {
        rig.network->HangUp(static_cast<std::int64_t>(rig.network->connections()));
        return "-" + full + "\r\n";
      }
      return command[0] == "AUTH" ? std::optional<std::string>("+OK\r\n") : std::nullopt;
    };
    EXPECT_EQ(rig.Get(), "unavailable: " + full);
    EXPECT_GE(rig.network->connections(), 3u) << "there may be room in a moment";
    EXPECT_EQ(rig.client.server().name, "");
    EXPECT_EQ(rig.client.server().version, "");
    is_full = false;
    EXPECT_EQ(rig.Get(), "a of 1");
    EXPECT_EQ(rig.client.server().name, "valkey");
  }
}

TEST(Client, SaysWhyItWasSentAwayAlsoIfNothingCanBeWritten) {
  ClientRig rig;
  bool begun = false;
  rig.network->SetScript([&](Operation operation) -> Fault {
    if (operation == Operation::kOpen) {
      begun = !begun;
      // The client writes as soon as it has connected, and reads afterwards.
      if (begun) return Fault{Kind::kWouldBlock};
      rig.network->Say(static_cast<std::int64_t>(rig.network->connections()),
                       "-ERR max number of clients reached\r\n");
    }
    return operation == Operation::kWrite ? Fault{Kind::kPipeBroken} : Fault{};
  });
  EXPECT_EQ(rig.Get(), "unavailable: ERR max number of clients reached");
}

TEST(Client, AnErrorThatComesUnaskedSaysWhyItWasSentAway) {
  ClientRig rig;
  rig.network->SetScript([&](Operation operation) -> Fault {
    if (operation == Operation::kOpen) {
      rig.network->Say(static_cast<std::int64_t>(rig.network->connections()),
                       "-ERR max number of clients reached\r\n");
    }
    return {};
  });
  EXPECT_EQ(rig.Get(), "unavailable: ERR max number of clients reached");
  EXPECT_TRUE(rig.log.empty());
}

// The server refuses the command for now, and takes no more bytes when the client wants to send the
// command again.
TEST(Client, WhatHasNotGoneOutInTimeNeverDoes) {
  ClientRig rig;
  ASSERT_EQ(rig.Get(), "a of 1");
  rig.play = [&](std::uint16_t, const Words& command) -> std::optional<std::string> {
    if (command[0] != "SET") return std::nullopt;
    rig.network->SetScript(Always(Operation::kWrite, Kind::kWouldBlock));
    return "-TRYAGAIN later\r\n";
  };
  EXPECT_EQ(rig.Do({"SET", "a", "b"}), "unavailable: TRYAGAIN later");
  EXPECT_EQ(rig.Count("1 SET"), 1);
  rig.play = nullptr;
  rig.network->SetScript(nullptr);
  for (int i = 0; i < 10; ++i) rig.client.Poll(50);
  EXPECT_EQ(rig.Get(), "a of 1");
  rig.network->DeliverAll();
  EXPECT_EQ(rig.Count("1 SET"), 1) << "executed after the call has said that it did not happen";
}

// Some streams say why they broke, for example those of TLS.
TEST(Client, SaysWhyTheConnectionBrokeIfTheStreamDoes) {
  class Explaining final : public Network {
   public:
    Explaining(std::unique_ptr<Network> inner, const std::string& why)
        : inner_(std::move(inner)), why_(why) {}
    std::unique_ptr<Stream> NewStream() override {
      class Broken final : public Stream {
       public:
        explicit Broken(const std::string& why) : why_(why) {}
        IoStatus Open(const Endpoint&) noexcept override { return IoStatus::kDone; }
        IoStatus FinishOpen() noexcept override { return IoStatus::kDone; }
        std::string_view WhyNotOpen() const noexcept override { return why_; }
        IoResult Read(std::span<char>) noexcept override { return {IoStatus::kFailed, 0}; }
        IoResult Write(std::string_view bytes) noexcept override {
          return {IoStatus::kDone, bytes.size()};
        }
        void Close() noexcept override {}

       private:
        const std::string& why_;
      };
      return std::make_unique<Broken>(why_);
    }
    void Wait(std::span<const StreamInterest>, std::int64_t ms) noexcept override {
      inner_->Wait({}, ms);
    }
    std::int64_t NowMs() noexcept override { return inner_->NowMs(); }
    std::uint64_t Random() noexcept override { return inner_->Random(); }

   private:
    const std::unique_ptr<Network> inner_;
    const std::string& why_;
  };
  for (const std::string why : {"", "bad record mac"}) {
    ScriptedServer server;
    Client client(RigOptions(),
                  std::make_unique<Explaining>(std::make_unique<ScriptedNetwork>(server), why));
    std::string end;
    const CallTarget target = {
        .self = &end,
        .on_reply = [](void*, std::uint64_t, const Reply&) noexcept { return true; },
        .on_failure =
            [](void* self, std::uint64_t, CallFailure, std::string_view text) noexcept {
              static_cast<std::string*>(self)->assign(text);
            }};
    ASSERT_TRUE(client.Submit(0, true, target, [](RespCommand& command) {
      command.Begin(1);
      command.Arg("PING");
    }));
    while (client.in_flight() > 0) client.Poll(50);
    EXPECT_EQ(end, why.empty() ? "the connection broke" : "the connection broke: " + why);
  }
}

// The only command on a connection has ended, because the time of its call was up or because the
// call was cancelled. Now only the client's own timer can find that the connection is silent.
TEST(Client, ASilentConnectionIsGivenUpThoughItsOnlyCommandHasEnded) {
  for (const bool is_cancelled : {false, true}) {
    for (const bool read_only : {false, true}) {
      SCOPED_TRACE(std::to_string(is_cancelled) + std::to_string(read_only));
      ClientRig rig;
      ASSERT_EQ(rig.Get(), "a of 1");
      rig.network->SetScript(First(1, Operation::kAnswer, Kind::kSilence));
      const std::int64_t begin = rig.network->NowMs();
      ASSERT_TRUE(rig.Submit(1, {"SET", "a", "1"}, read_only, 0,
                             is_cancelled ? Client::kNever : begin + 50));
      rig.client.Poll(10);
      if (is_cancelled) rig.client.Cancel();
      while (rig.ends.count(1) == 0) rig.client.Poll(1000);
      EXPECT_LE(rig.network->NowMs() - begin, 60);
      EXPECT_EQ(rig.network->connections(), 1u) << "an answer may still come";
      EXPECT_EQ(rig.Get(), "a of 1") << "the connection is given up within a call's time";
      EXPECT_LE(rig.network->NowMs() - begin, 230);
      EXPECT_EQ(rig.network->connections(), 2u);
    }
  }
}

// ---- idle connections ------------------------------------------------------------

ClientOptions WithProbes() {
  ClientOptions options = RigOptions();
  options.probe_idle_ms = 1000;
  options.probe_limit_ms = 20;
  return options;
}

TEST(Client, AsksASilentConnectionBeforeACommandGoesOut) {
  ClientRig rig(WithProbes());
  ASSERT_EQ(rig.Get(), "a of 1");
  rig.Pass(999);
  ASSERT_EQ(rig.Get(), "a of 1");
  EXPECT_EQ(rig.Count("1 PING"), 0);
  rig.Pass(1000);
  rig.log.clear();
  ASSERT_TRUE(rig.Submit(1, {"SET", "a", "1"}));
  ASSERT_TRUE(rig.Submit(2, {"SET", "a", "2"}));
  while (rig.ends.count(2) == 0) rig.client.Poll(50);
  EXPECT_EQ(rig.log, (std::vector<std::string>{"1 PING", "1 SET a 1", "1 SET a 2"}));
  EXPECT_EQ(rig.network->connections(), 1u);
  // Any answer shows that the connection is alive.
  rig.play = [](std::uint16_t, const Words& command) -> std::optional<std::string> {
    if (command[0] == "PING") return "-NOPERM this user has no permissions to run 'ping'\r\n";
    return std::nullopt;
  };
  rig.Pass(5000);
  EXPECT_EQ(rig.Get(), "a of 1");
  EXPECT_EQ(rig.network->connections(), 1u);
}

TEST(Client, AnIdleConnectionThatIsDeadCostsNoOutcome) {
  for (const bool read_only : {false, true}) {
    ClientRig rig(WithProbes());
    ASSERT_EQ(rig.Get(), "a of 1");
    rig.Pass(3'600'000);
    rig.network->SetScript(First(1, Operation::kAnswer, Kind::kSilence));
    const std::int64_t begin = rig.network->NowMs();
    EXPECT_EQ(rig.Do({"SET", "a", "1"}, read_only), "OK");
    EXPECT_EQ(rig.Count("1 SET"), 1);
    EXPECT_EQ(rig.network->connections(), 2u);
    EXPECT_GE(rig.network->NowMs() - begin, 20);
    EXPECT_LE(rig.network->NowMs() - begin, 60) << "the limit of the probe, and no more";
    EXPECT_TRUE(rig.Settle(10)) << "nothing was lost on it";
  }
}

// The probe's bytes are lost, as happens if a NAT has forgotten the connection.
TEST(Client, AProbeThatDoesNotArriveEndsWithTheServersWords) {
  ClientRig rig(WithProbes());
  ASSERT_EQ(rig.Get(), "a of 1");
  rig.Pass(1000);
  rig.network->SetScript([](Operation operation) -> Fault {
    if (operation == Operation::kArrive) return {Kind::kHold};
    return operation == Operation::kOpen ? Fault{Kind::kRefused} : Fault{};
  });
  const std::string end = rig.Do({"SET", "a", "1"});
  EXPECT_TRUE(end.starts_with("unavailable: ")) << end;
  EXPECT_EQ(rig.Count("1 SET"), 0);
}

TEST(Client, AProbeTakesHalfOfACallsTimeAtMost) {
  ClientOptions options = WithProbes();
  options.probe_limit_ms = INT64_MAX;
  ClientRig rig(options);
  ASSERT_EQ(rig.Get(), "a of 1");
  rig.Pass(1000);
  rig.network->SetScript(First(1, Operation::kAnswer, Kind::kSilence));
  EXPECT_EQ(rig.Do({"SET", "a", "1"}), "OK");
  EXPECT_EQ(rig.network->connections(), 2u);
}

// A command under way has had no answer for long, so another question would tell nothing new: the
// answer to that command will show whether the connection is alive.
TEST(Client, ASilentConnectionWithACommandUnderWayIsNotAsked) {
  ClientOptions options = WithProbes();
  options.request_timeout_ms = 10'000;
  ClientRig rig(options);
  ASSERT_EQ(rig.Get(), "a of 1");
  rig.network->SetScript([](Operation operation) -> Fault {
    return operation == Operation::kAnswer ? Fault{Kind::kLate, 3000} : Fault{};
  });
  ASSERT_TRUE(rig.Submit(1, {"SET", "a", "1"}));
  rig.client.Poll(1500);
  ASSERT_TRUE(rig.Submit(2, {"SET", "a", "2"}));
  rig.client.Poll(10);
  EXPECT_EQ(rig.Count("1 SET a 2"), 1);
  EXPECT_EQ(rig.Count("1 PING"), 0);
  while (rig.client.in_flight() > 0) rig.client.Poll(5000);
  EXPECT_EQ(rig.ends[1], "OK");
  EXPECT_EQ(rig.ends[2], "OK");
  EXPECT_EQ(rig.network->connections(), 1u);
}

// The client has asked for the table, and the answer takes its time. A command that comes after a
// long silence waits for this answer if the connection carries nothing else. If another command is
// under way on the connection, the new command goes out at once.
TEST(Client, AQuestionOfTheClientsOwnIsAProbeIfItIsAlone) {
  const std::string slots = Array({Range(0, 99, 1)});
  for (const bool alone : {true, false}) {
    SCOPED_TRACE(alone);
    ClientOptions options = WithProbes();
    options.request_timeout_ms = options.connect_timeout_ms = 10'000;
    options.probe_limit_ms = 5000;
    ClientRig rig(options);
    rig.play = Cluster(slots);
    ASSERT_EQ(rig.Get(), "a of 1");
    rig.Pass(100);  // by then the client may ask for the table again
    rig.log.clear();
    bool late = true;
    rig.network->SetScript([&](Operation operation) -> Fault {
      return operation == Operation::kAnswer && std::exchange(late, false)
                 ? Fault{Kind::kLate, 3000}
                 : Fault{};
    });
    ASSERT_TRUE(rig.Submit(1, {"GET", "of nobody"}, true, 100));
    rig.client.Poll(10);
    ASSERT_EQ(rig.log, (std::vector<std::string>{"1 CLUSTER NODES"}));
    if (!alone) {
      ASSERT_TRUE(rig.Submit(2, {"SET", "a", "1"}));
    }
    rig.client.Poll(1500);
    ASSERT_TRUE(rig.Submit(3, {"SET", "a", "2"}));
    rig.client.Poll(10);
    EXPECT_EQ(rig.Count("1 SET a 2"), alone ? 0 : 1);
    EXPECT_EQ(rig.Count("1 PING"), 0);
    for (int i = 0; i < 1000 && rig.ends.count(3) == 0; ++i) rig.client.Poll(10);
    EXPECT_EQ(rig.ends[3], "OK");
    EXPECT_EQ(rig.ends.count(2), alone ? 0u : 1u);
    EXPECT_EQ(rig.network->connections(), 1u);
  }
}

// The table's answer never comes. The command that waits for it has to get to a new connection in
// time, as if there had been a PING.
TEST(Client, AQuestionOfTheClientsOwnHasAProbesTimeOnceACommandWaits) {
  const std::string slots = Array({Range(0, 99, 1)});
  for (const std::int64_t probe_limit : {std::int64_t{20}, INT64_MAX}) {
    SCOPED_TRACE(probe_limit);
    ClientOptions options = WithProbes();
    options.connect_timeout_ms = 10'000;
    options.probe_limit_ms = probe_limit;
    ClientRig rig(options);
    rig.play = Cluster(slots);
    ASSERT_EQ(rig.Get(), "a of 1");
    rig.Pass(1000);
    rig.log.clear();
    rig.network->SetScript(First(1, Operation::kAnswer, Kind::kSilence));
    ASSERT_TRUE(rig.Submit(1, {"GET", "of nobody"}, true, 100));
    rig.client.Poll(10);
    ASSERT_EQ(rig.log, (std::vector<std::string>{"1 CLUSTER NODES"}));
    const std::int64_t begin = rig.network->NowMs();
    ASSERT_TRUE(rig.Submit(2, {"SET", "b", "1"}));
    EXPECT_GT(rig.client.PrepareWait(), 0) << "nothing can be done before the answer comes";
    EXPECT_EQ(rig.Do({"SET", "a", "1"}), "OK");
    const std::int64_t limit = std::min<std::int64_t>(probe_limit, 100);
    EXPECT_GE(rig.network->NowMs() - begin, limit);
    EXPECT_LE(rig.network->NowMs() - begin, limit + 30);
    EXPECT_EQ(rig.Count("1 SET"), 2);
    EXPECT_EQ(rig.Count("1 PING"), 0);
    EXPECT_EQ(rig.network->connections(), 2u);
  }
}

TEST(Client, WithoutProbesNobodyAsks) {
  ClientOptions options = WithProbes();
  options.probe_idle_ms = INT64_MAX;
  ClientRig rig(options);
  ASSERT_EQ(rig.Get(), "a of 1");
  rig.Pass(3'600'000);
  EXPECT_EQ(rig.Get(), "a of 1");
  EXPECT_EQ(rig.Count("1 PING"), 0);
}

// A thread that does not lead may send for itself only where commands are under way already.
TEST(Client, CanSendAtOnceOnlyBehindOtherCommands) {
  ClientRig rig;
  EXPECT_FALSE(rig.client.CanSend(0)) << "no connection";
  ASSERT_EQ(rig.Get(), "a of 1");
  EXPECT_FALSE(rig.client.CanSend(0)) << "nothing is under way";
  rig.play = [](std::uint16_t, const Words& command) -> std::optional<std::string> {
    if (command[0] == "GET") return "";
    return std::nullopt;
  };
  ASSERT_TRUE(rig.Submit(1, {"GET", "late"}, true));
  rig.client.Poll(0);
  EXPECT_TRUE(rig.client.CanSend(0));
  rig.network->SetScript(Always(Operation::kOpen, Fault::Kind::kRefused));
  rig.network->HangUp(1);
  rig.client.Poll(10);
  EXPECT_FALSE(rig.client.CanSend(0)) << "the connection is lost";
}

}  // namespace
}  // namespace ffgrant::valkey::testing
