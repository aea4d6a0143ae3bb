// SPDX-License-Identifier: Apache-2.0
//
// Tests the client with one server, or with the next of several servers: options, the loop,
// connections, the greeting, the library, answers.

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "testing/simulation/client_rig.h"

namespace ffgrant::valkey::testing {
namespace {

using internal::OutputBuffer;
using Kind = Fault::Kind;

// ---- output ----------------------------------------------------------------------

TEST(OutputBuffer, MovesWhatIsPendingOnlyWhenItIsTheSmallerPart) {
  OutputBuffer buffer;
  std::string rest;
  for (int i = 0; i < 300'000; ++i) rest += static_cast<char>('a' + i % 23);
  buffer.end() = rest;
  // How much has been consumed so far, and how much is then stored.
  const std::vector<std::pair<std::size_t, std::size_t>> steps = {
      {65'535, 300'000}, {70'000, 300'000}, {149'999, 300'000}, {150'000, 150'000}, {300'000, 0}};
  std::size_t consumed = 0;
  for (const auto& [until, stored] : steps) {
    buffer.Consume(until - consumed);
    consumed = until;
    EXPECT_TRUE(buffer.pending() == std::string_view(rest).substr(until)) << until;
    EXPECT_EQ(buffer.size(), rest.size() - until);
    EXPECT_EQ(buffer.end().size(), stored) << until;
  }
  EXPECT_TRUE(buffer.empty());
}

// ---- options ---------------------------------------------------------------------

TEST(Client, RefusesOptionsOutOfRange) {
  const std::vector<std::pair<std::string, std::function<void(ClientOptions&)>>> refused = {
      {"servers", [](ClientOptions& o) { o.servers.clear(); }},
      {"max_in_flight 0", [](ClientOptions& o) { o.max_in_flight = 0; }},
      {"max_in_flight 65537", [](ClientOptions& o) { o.max_in_flight = 65537; }},
      {"request_timeout_ms 0", [](ClientOptions& o) { o.request_timeout_ms = 0; }},
      {"request_timeout_ms -1", [](ClientOptions& o) { o.request_timeout_ms = -1; }},
      {"connect_timeout_ms 0", [](ClientOptions& o) { o.connect_timeout_ms = 0; }},
      {"reconnect.first_ms 0", [](ClientOptions& o) { o.reconnect.first_ms = 0; }},
      {"reconnect.longest_ms",
       [](ClientOptions& o) {
         o.reconnect = {10, 9};
       }},
      {"refusal_pause_ms 0", [](ClientOptions& o) { o.refusal_pause_ms = 0; }},
      {"contract_versions", [](ClientOptions& o) { o.contract_versions.clear(); }},
      {"keepalive_s -1", [](ClientOptions& o) { o.keepalive_s = -1; }},
      {"keepalive_s 32768", [](ClientOptions& o) { o.keepalive_s = 32768; }},
      {"probe_idle_ms 0", [](ClientOptions& o) { o.probe_idle_ms = 0; }},
      {"probe_limit_ms 0", [](ClientOptions& o) { o.probe_limit_ms = 0; }},
      {"a name with a space", [](ClientOptions& o) { o.connection_name = "a b"; }},
      {"a name with a DEL", [](ClientOptions& o) { o.connection_name = "a\x7f"; }},
      {"a name of 257", [](ClientOptions& o) { o.connection_name.assign(257, 'a'); }},
      {"retry.first_ms 0", [](ClientOptions& o) { o.retry.first_ms = 0; }},
      {"retry.longest_ms",
       [](ClientOptions& o) {
         o.retry = {10, -10};
       }},
  };
  ScriptedServer server;
  for (const auto& [what, change] : refused) {
    ClientOptions options = RigOptions();
    change(options);
    EXPECT_THROW(Client(options, std::make_unique<ScriptedNetwork>(server)), std::invalid_argument)
        << what;
  }
  for (const std::size_t most : {1, 65536}) {
    ClientOptions options = RigOptions();
    options.max_in_flight = most;
    options.request_timeout_ms = options.connect_timeout_ms = 1;
    options.reconnect = options.retry = {1, 1};
    options.keepalive_s = most == 1 ? 0 : 32767;
    options.probe_idle_ms = options.probe_limit_ms = options.refusal_pause_ms = 1;
    options.connection_name.assign(256, most == 1 ? '!' : '~');
    EXPECT_NO_THROW(Client(options, std::make_unique<ScriptedNetwork>(server))) << most;
  }
}

// A path is no name that a certificate could have.
TEST(Client, RefusesTlsOverAUnixSocketWithoutAServerName) {
  const Endpoint path = {.host = "/run/valkey.sock", .port = 0};
  ASSERT_TRUE(path.is_unix());
  struct Case {
    std::vector<Endpoint> servers;
    bool enabled;
    bool verify;
    std::string server_name;
    bool refused;
  };
  const Case kCases[] = {
      {{path}, true, true, "", true},      {{At(1), path}, true, true, "", true},
      {{path}, false, true, "", false},    {{path}, true, false, "", false},
      {{path}, true, true, "name", false}, {{At(1)}, true, true, "", false},
  };
  ScriptedServer server;
  for (const Case& c : kCases) {
    ClientOptions options = RigOptions();
    options.servers = c.servers;
    options.tls.enabled = c.enabled;
    options.tls.verify = c.verify;
    options.tls.server_name = c.server_name;
    std::string why;
    try {
      Client client(options, std::make_unique<ScriptedNetwork>(server));
    } catch (const std::invalid_argument& error) {
      why = error.what();
    }
    EXPECT_EQ(why, c.refused ? "ffgrant: TLS over a unix socket needs tls.server_name" : "");
  }
}

// ---- idle connections --------------------------------------------------------------

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

// The bytes are lost, as they are if a NAT has forgotten the connection.
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

// A command under way has been silent for long, so another question would tell nothing new: the
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
// long silence waits for this answer, if the question is alone on the connection. Beside another
// command it goes out at once.
TEST(Client, AQuestionOfTheClientsOwnIsAProbeIfItIsAlone) {
  const std::string slots = Array({Range(0, 99, 1)});
  for (const bool alone : {true, false}) {
    SCOPED_TRACE(alone);
    ClientOptions options = WithProbes();
    options.request_timeout_ms = options.connect_timeout_ms = 10'000;
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

TEST(Client, WithoutProbesNobodyAsks) {
  ClientOptions options = WithProbes();
  options.probe_idle_ms = INT64_MAX;
  ClientRig rig(options);
  ASSERT_EQ(rig.Get(), "a of 1");
  rig.Pass(3'600'000);
  EXPECT_EQ(rig.Get(), "a of 1");
  EXPECT_EQ(rig.Count("1 PING"), 0);
}

// ---- the connection's name -----------------------------------------------------------

TEST(Client, NamesItsConnectionsAfterTheLogin) {
  ClientOptions options = RigOptions();
  options.password = "pw";
  options.connection_name = "worker-7";
  ClientRig rig(options);
  rig.play = [](std::uint16_t, const Words& command) -> std::optional<std::string> {
    if (command[0] == "AUTH") return "+OK\r\n";
    if (command[1] == "SETNAME") return "-NOPERM no\r\n";  // the greeting still goes on
    return std::nullopt;
  };
  ASSERT_EQ(rig.Get(), "a of 1");
  ASSERT_GE(rig.log.size(), 3u);
  EXPECT_EQ(rig.log[0], "1 AUTH pw");
  EXPECT_EQ(rig.log[1], "1 CLIENT SETNAME worker-7");
  EXPECT_EQ(rig.log[2], "1 INFO server replication");
}

// ---- the loop --------------------------------------------------------------------

TEST(Client, PollWithNothingUnderWayReturnsAtOnce) {
  ClientRig rig;
  const std::int64_t begin = rig.network->NowMs();
  rig.client.Poll(1000);
  EXPECT_EQ(rig.network->NowMs(), begin);
  EXPECT_EQ(rig.network->connections(), 0u);
}

TEST(Client, PollWithoutTimeTakesWhatHasCome) {
  for (const std::int64_t timeout : {std::int64_t{0}, std::int64_t{-1}, INT64_MIN}) {
    ClientRig rig;
    const std::int64_t begin = rig.network->NowMs();
    ASSERT_TRUE(rig.Submit(1, {"GET", "a"}));
    for (int i = 0; i < 10 && rig.ends.empty(); ++i) rig.client.Poll(timeout);
    EXPECT_EQ(rig.ends[1], "a of 1") << timeout;
    EXPECT_EQ(rig.network->NowMs(), begin) << "waited";
  }
}

TEST(Client, PollWithoutEndWaitsForTheReply) {
  ClientRig rig;
  ASSERT_EQ(rig.Get(), "a of 1");
  rig.network->SetScript([](Operation operation) -> Fault {
    return operation == Operation::kAnswer ? Fault{Kind::kLate, 150} : Fault{};
  });
  const std::int64_t begin = rig.network->NowMs();
  ASSERT_TRUE(rig.Submit(1, {"GET", "b"}));
  rig.client.Poll(INT64_MAX);
  EXPECT_EQ(rig.ends[1], "b of 1");
  EXPECT_GE(rig.network->NowMs() - begin, 150);
}

TEST(Client, NoPatienceIsTooLong) {
  ClientOptions options = RigOptions();
  options.request_timeout_ms = options.connect_timeout_ms = INT64_MAX;
  options.reconnect = options.retry = {INT64_MAX, INT64_MAX};
  ClientRig rig(options);
  EXPECT_EQ(rig.Get(), "a of 1");
  EXPECT_TRUE(rig.Settle(INT64_MAX));
  EXPECT_EQ(rig.network->connections(), 1u);
  // The next try is due so late that it never comes.
  rig.play = [](std::uint16_t, const Words& command) -> std::optional<std::string> {
    if (command[0] == "SET") return "-BUSY a script runs\r\n";
    return std::nullopt;
  };
  ASSERT_TRUE(rig.Submit(1, {"SET", "a", "b"}));
  for (int i = 0; i < 100; ++i) rig.client.Poll(1000);
  EXPECT_EQ(rig.Count("1 SET"), 1);
  EXPECT_TRUE(rig.ends.count(1) == 0);
  rig.client.Close();
  EXPECT_EQ(rig.ends[1], "unavailable: the client was closed");

  ClientRig other(options);
  other.network->SetScript(Always(Operation::kOpen, Kind::kRefused));
  ASSERT_TRUE(other.Submit(1, {"GET", "a"}));
  for (int i = 0; i < 100; ++i) other.client.Poll(1000);
  EXPECT_EQ(other.network->connections(), 1u);
  EXPECT_EQ(other.client.in_flight(), 1u);
}

TEST(Client, TakesAsMuchAsItMayHaveUnderWay) {
  ClientOptions options = RigOptions();
  options.max_in_flight = 2;
  ClientRig rig(options);
  ASSERT_TRUE(rig.Submit(1, {"GET", "a"}));
  ASSERT_TRUE(rig.Submit(2, {"GET", "b"}));
  EXPECT_FALSE(rig.Submit(3, {"GET", "c"}));
  EXPECT_EQ(rig.client.in_flight(), 2u);
  while (rig.client.in_flight() > 0) rig.client.Poll(50);
  EXPECT_EQ(rig.Count("1 GET"), 2);
  EXPECT_EQ(rig.ends.count(3), 0u);
  EXPECT_EQ(rig.Do({"GET", "c"}), "c of 1");
}

// The caller waits in an event loop of its own. A command that ends while the wait is prepared has
// to be told at once, though the others have still to be waited for.
TEST(Client, AWaitIsNotBegunIfACommandHasEnded) {
  ClientRig rig;
  EXPECT_EQ(rig.client.PrepareWait(), -1) << "nothing is under way";
  rig.network->SetScript(Always(Operation::kOpen, Kind::kWouldBlock));
  const CallTarget target = {
      .self = &rig, .on_reply = &ClientRig::OnReply, .on_failure = &ClientRig::OnFailure, .tag = 1};
  ASSERT_TRUE(rig.client.Submit(
      0, true, target,
      [](RespCommand& command) {
        command.Begin(1);
        command.Arg("PING");
      },
      rig.network->NowMs()));
  ASSERT_TRUE(rig.Submit(2, {"GET", "a"}));
  EXPECT_EQ(rig.client.PrepareWait(), 0);
  EXPECT_EQ(rig.ends[1], "unavailable: no reply in time");
  EXPECT_EQ(rig.ends.count(2), 0u);
  const int wait_ms = rig.client.PrepareWait();
  EXPECT_GT(wait_ms, 0);
  EXPECT_LE(wait_ms, 100) << "the limit of the connection that is being made";
  rig.network->SetScript(nullptr);
  while (rig.client.in_flight() > 0) rig.client.Poll(50);
  EXPECT_EQ(rig.ends[2], "a of 1");
}

// What the event loop is to wait for is told each time, since connections come and go.
TEST(Client, AWaitIsForTheConnectionsThatThereAre) {
  class Armed final : public Network {
   public:
    Armed(std::unique_ptr<Network> inner, std::vector<std::size_t>& sizes)
        : inner_(std::move(inner)), sizes_(sizes) {}
    std::unique_ptr<Stream> NewStream() override { return inner_->NewStream(); }
    void Wait(std::span<const StreamInterest> interests, std::int64_t ms) noexcept override {
      inner_->Wait(interests, ms);
    }
    std::int64_t Arm(std::span<const StreamInterest> interests, std::int64_t ms) noexcept override {
      sizes_.push_back(interests.size());
      return ms;
    }
    std::int64_t NowMs() noexcept override { return inner_->NowMs(); }
    std::uint64_t Random() noexcept override { return inner_->Random(); }

   private:
    const std::unique_ptr<Network> inner_;
    std::vector<std::size_t>& sizes_;
  };
  ScriptedServer server;
  std::vector<std::size_t> sizes;
  int ends = 0;
  const CallTarget target = {
      .self = &ends,
      .on_reply =
          [](void* self, std::uint64_t, const Reply&) noexcept {
            ++*static_cast<int*>(self);
            return true;
          },
      .on_failure = [](void* self, std::uint64_t, CallFailure,
                       std::string_view) noexcept { ++*static_cast<int*>(self); }};
  Client client(RigOptions(),
                std::make_unique<Armed>(std::make_unique<ScriptedNetwork>(server), sizes));
  const auto ping = [](RespCommand& command) {
    command.Begin(1);
    command.Arg("PING");
  };
  ASSERT_TRUE(client.Submit(0, true, target, ping));
  ASSERT_TRUE(client.Submit(0, true, target, ping, client.NowMs()));
  EXPECT_EQ(client.PrepareWait(), 0) << "the second one has ended";
  EXPECT_EQ(ends, 1);
  EXPECT_GT(client.PrepareWait(), 0);
  while (client.in_flight() > 0) client.Poll(50);
  EXPECT_EQ(client.PrepareWait(), -1) << "nothing is under way";
  EXPECT_EQ(sizes, (std::vector<std::size_t>{1, 1, 0}));
}

TEST(Client, SendNowSaysWhetherAllIsWritten) {
  ClientRig rig;
  EXPECT_TRUE(rig.client.SendNow()) << "there is nothing to write";
  ASSERT_EQ(rig.Get(), "a of 1");
  ASSERT_TRUE(rig.Submit(1, {"SET", "a", "1"}));
  EXPECT_TRUE(rig.client.SendNow());
  rig.network->SetScript(Always(Operation::kWrite, Kind::kWouldBlock));
  ASSERT_TRUE(rig.Submit(2, {"SET", "a", "2"}));
  EXPECT_FALSE(rig.client.SendNow()) << "the network takes nothing for now";
  rig.network->SetScript(Always(Operation::kWrite, Kind::kReset));
  EXPECT_FALSE(rig.client.SendNow()) << "the connection broke";
  EXPECT_EQ(rig.ends.count(1) + rig.ends.count(2), 0u) << "told from within SendNow()";
  rig.network->SetScript(nullptr);
  while (rig.client.in_flight() > 0) rig.client.Poll(50);
  EXPECT_EQ(rig.ends[2], "OK") << "none of it was sent";
}

TEST(Client, TakesNoWrittenCommandBeyondItsRoom) {
  ClientOptions options = RigOptions();
  options.max_in_flight = 1;
  ClientRig rig(options);
  const auto submit = [&rig](std::uint64_t tag, std::string& bytes) {
    return rig.client.SubmitWritten(0, true,
                                    {&rig, &ClientRig::OnReply, &ClientRig::OnFailure, tag}, bytes,
                                    {}, Client::kNever, internal::kNoKey);
  };
  const std::string get = "*2\r\n$3\r\nGET\r\n$1\r\na\r\n";
  std::string first = get;
  ASSERT_TRUE(submit(1, first));
  std::string second = get;
  EXPECT_FALSE(submit(2, second));
  EXPECT_EQ(second, get) << "it was not taken";
  EXPECT_EQ(rig.client.in_flight(), 1u);
  rig.client.MakeRoom();
  EXPECT_TRUE(submit(2, second));
  while (rig.client.in_flight() > 0) rig.client.Poll(50);
  EXPECT_EQ(rig.Count("1 GET a"), 2);
  EXPECT_EQ(rig.ends[1], "a of 1");
  EXPECT_EQ(rig.ends[2], "a of 1");
}

TEST(Client, CloseEndsWhatIsUnderWay) {
  ClientRig rig;
  rig.network->SetScript(Always(Operation::kOpen, Kind::kWouldBlock));
  ASSERT_TRUE(rig.Submit(1, {"SET", "a", "b"}));
  rig.client.Poll(10);
  rig.client.Close();
  EXPECT_EQ(rig.ends[1], "unavailable: the client was closed");
  EXPECT_EQ(rig.client.in_flight(), 0u);

  rig.network->SetScript(nullptr);
  ASSERT_EQ(rig.Get(), "a of 1") << "of no use after it";
  rig.network->SetScript(Always(Operation::kArrive, Kind::kHold));
  ASSERT_TRUE(rig.Submit(2, {"SET", "a", "b"}));
  ASSERT_TRUE(rig.Submit(3, {"GET", "a"}, true));
  rig.client.Poll(10);
  ASSERT_TRUE(rig.Submit(4, {"SET", "a", "c"}));
  rig.client.Close();
  EXPECT_EQ(rig.ends[2], "unknown: the client was closed");
  EXPECT_EQ(rig.ends[3], "unavailable: the client was closed");
  EXPECT_EQ(rig.ends[4], "unavailable: the client was closed");
  EXPECT_EQ(rig.client.in_flight(), 0u);
}

TEST(Client, SubmitTellsNobodyThatTheConnectionBroke) {
  ClientRig rig;
  ASSERT_EQ(rig.Get(), "a of 1");
  ASSERT_TRUE(rig.Submit(1, {"SET", "a", "b"}));
  rig.network->SetScript(Always(Operation::kArrive, Kind::kHold));
  rig.client.Poll(10);  // the command is on its way now
  rig.network->SetScript(First(1, Operation::kWrite, Kind::kReset));
  // The output is more than is kept for the next Poll().
  ASSERT_TRUE(rig.Submit(2, {"SET", "a", std::string(100'000, 'x')}));
  EXPECT_EQ(rig.ends.count(1), 0u);
  rig.client.Poll(10);
  EXPECT_EQ(rig.ends[1], "unknown: the connection broke");
  for (int i = 0; i < 100 && rig.ends.count(2) == 0; ++i) rig.client.Poll(50);
  EXPECT_EQ(rig.ends[2], "OK") << "none of it was sent";
}

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
  // As long as no try to connect has failed, there is no such reason to report.
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

// If the client's own questions are answered with errors, these are shown in the server's words,
// and not taken for data.
TEST(Client, SaysWhyItWasSentAwayWhateverItAsked) {
  const std::string full = "ERR max number of clients reached";
  for (const std::string asked : {"AUTH", "INFO"}) {
    ClientOptions options = RigOptions();
    if (asked == "AUTH") options.password = "pw";
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

TEST(Client, NothingIsKnownOfAServerThatWillNotSay) {
  for (const std::string refusal : {"NOPERM no INFO for you", "ERR unknown command 'INFO'"}) {
    ClientRig rig;
    rig.play = [&](std::uint16_t, const Words& command) -> std::optional<std::string> {
      return command[0] == "INFO" ? std::optional("-" + refusal + "\r\n") : std::nullopt;
    };
    EXPECT_EQ(rig.Get(), "a of 1") << refusal;
    EXPECT_EQ(rig.client.server().name, "");
    EXPECT_EQ(rig.client.server().version, "");
  }
  for (const std::string answer : {":1\r\n", "*0\r\n", "$-1\r\n", "+OK\r\n"}) {
    ClientRig rig;
    rig.play = [&](std::uint16_t, const Words& command) -> std::optional<std::string> {
      return command[0] == "INFO" ? std::optional(answer) : std::nullopt;
    };
    EXPECT_EQ(rig.Get(), "unavailable: INFO was answered by what is no text") << answer;
  }
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

// The server refuses the command for now, and takes no more bytes when it is to be sent again.
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

// For example a TLS stream says why it broke.
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

// ---- several servers ---------------------------------------------------------------

TEST(Client, GoesOnToTheNextServer) {
  ClientRig rig(TwoServers());
  rig.network->SetScript(Unreachable(rig, 1));
  EXPECT_EQ(rig.Get(), "a of 2");
  EXPECT_EQ(rig.Count("1 "), 0);
  // The client goes back to the first server.
  rig.network->SetScript(Unreachable(rig, 2));
  rig.play = [](std::uint16_t port, const Words& command) -> std::optional<std::string> {
    if (port == 2 && command[0] == "GET") return "";
    return std::nullopt;
  };
  EXPECT_EQ(rig.Get(), "unavailable: no reply in time");
  EXPECT_EQ(rig.Get(), "a of 1");
}

// The first server does not answer; if it has a name, the name server may be the one that is
// silent.
TEST(Client, AServerThatNeverConnectsLeavesTimeForTheNext) {
  for (const std::int64_t connect_timeout_ms : {50, 200, 1000}) {
    ClientOptions options = TwoServers();
    options.connect_timeout_ms = connect_timeout_ms;
    ClientRig rig(options);
    rig.network->SetScript([&](Operation asked) -> Fault {
      const auto last = static_cast<std::int64_t>(rig.network->connections());
      const bool hangs = asked == Operation::kOpen && rig.network->endpoint(last).port == 1;
      return {hangs ? Kind::kWouldBlock : Kind::kNone};
    });
    EXPECT_EQ(rig.Get(), "a of 2") << connect_timeout_ms;
    EXPECT_EQ(rig.Get(), "a of 2") << connect_timeout_ms;
    EXPECT_EQ(rig.network->connections(), 2u) << connect_timeout_ms;
  }
}

// The first server takes the connection, and then says nothing, or answers each command late.
TEST(Client, AServerThatDoesNotGreetLeavesTimeForTheNext) {
  for (const std::string_view silent : {"INFO", "CLIENT", "FCALL"}) {
    for (const std::int64_t connect_timeout_ms : {200, 1000, 2000}) {
      ClientOptions options = TwoServers();
      options.connect_timeout_ms = connect_timeout_ms;
      ClientRig rig(options);
      rig.play = [&](std::uint16_t port, const Words& command) -> std::optional<std::string> {
        if (port == 1 && command[0] == silent) return "";
        return std::nullopt;
      };
      EXPECT_EQ(rig.Get(), "a of 2") << silent << " " << connect_timeout_ms;
      EXPECT_EQ(rig.Count("1 GET"), 0) << silent << " " << connect_timeout_ms;
    }
  }
  ClientRig rig(TwoServers());
  rig.play = [&](std::uint16_t port, const Words&) -> std::optional<std::string> {
    if (port == 1) rig.Pass(60);
    return std::nullopt;
  };
  EXPECT_EQ(rig.Get(), "a of 2");
}

TEST(Client, LooksForThePrimary) {
  bool demoted = false;
  const auto play = [&](std::uint16_t port, const Words& command) -> std::optional<std::string> {
    if (port == 1 && command[0] == "INFO") return Info("one", demoted ? "slave" : "master");
    if (port == 1 && command[0] == "SET" && demoted) return "-READONLY a replica\r\n";
    return std::nullopt;
  };
  ClientRig rig(TwoServers());
  rig.play = play;
  EXPECT_EQ(rig.Get(), "a of 1");
  demoted = true;
  EXPECT_EQ(rig.Do({"SET", "a", "b"}), "OK");
  EXPECT_EQ(rig.Count("1 SET"), 1);
  EXPECT_EQ(rig.Count("2 SET"), 1);

  ClientRig first(TwoServers());
  first.play = play;
  EXPECT_EQ(first.Get(), "a of 2");

  ClientRig alone;
  alone.play = play;
  EXPECT_EQ(alone.Get(), "unavailable: the server is a replica");
}

// During its wait, a long Poll() does what has to be done.
TEST(Client, OneLongPollIsAsGoodAsManyShortOnes) {
  ClientRig dead(TwoServers());
  dead.network->SetScript(Unreachable(dead, 1));
  ASSERT_TRUE(dead.Submit(1, {"GET", "a"}));
  dead.client.Poll(60'000);
  EXPECT_EQ(dead.ends[1], "a of 2");

  ClientRig demoted(TwoServers());
  ASSERT_EQ(demoted.Get(), "a of 1");
  demoted.play = [](std::uint16_t port, const Words& command) -> std::optional<std::string> {
    if (port == 1 && command[0] == "INFO") return Info("one", "slave");
    if (port == 1 && command[0] == "SET") return "-READONLY a replica\r\n";
    return std::nullopt;
  };
  ASSERT_TRUE(demoted.Submit(1, {"SET", "a", "b"}));
  demoted.client.Poll(60'000);
  EXPECT_EQ(demoted.ends[1], "OK");

  ClientRig broken;
  ASSERT_EQ(broken.Get(), "a of 1");
  broken.network->SetScript(First(1, Operation::kWrite, Kind::kReset));
  ASSERT_TRUE(broken.Submit(1, {"SET", "a", "b"}));
  broken.client.Poll(60'000);
  EXPECT_EQ(broken.ends[1], "OK") << "none of it was sent";
}

// ---- the greeting ------------------------------------------------------------------

TEST(Client, Greets) {
  struct Case {
    std::string what;
    std::string username;
    std::string password;
    std::map<std::string, std::string> answers;  // by the command's first word
    std::string end;
    std::vector<std::string> first;  // the first commands that the server gets
  };
  const std::string info = "1 INFO server replication";
  const std::vector<Case> cases = {
      {"nobody in particular", "", "", {}, "a of 1", {info, "1 CLIENT ID"}},
      {"a name alone", "me", "", {{"AUTH", "+OK\r\n"}}, "a of 1", {"1 AUTH me ", info}},
      {"a password", "", "pw", {{"AUTH", "+OK\r\n"}}, "a of 1", {"1 AUTH pw", info}},
      {"both", "me", "pw", {{"AUTH", "+OK\r\n"}}, "a of 1", {"1 AUTH me pw", info}},
      {"a wrong password",
       "",
       "pw",
       {{"AUTH", "-WRONGPASS invalid\r\n"}},
       "unavailable: WRONGPASS invalid",
       {"1 AUTH pw"}},
      {"a server that loads its data",
       "",
       "pw",
       {{"AUTH", "-LOADING data\r\n"}},
       "unavailable: LOADING data",
       {"1 AUTH pw", "1 AUTH pw"}},
      {"no password where one is asked for",
       "",
       "",
       {{"INFO", "-NOAUTH Authentication required.\r\n"}},
       "unavailable: NOAUTH Authentication required.",
       {info}},
      {"INFO is forbidden", "", "", {{"INFO", "-NOPERM no\r\n"}}, "a of 1", {info, "1 CLIENT ID"}},
      {"a name that begins like a replica's role",
       "",
       "",
       {{"INFO", Bulk("role_before:slave\r\nrole:master\r\n")}},
       "a of 1",
       {info}},
      {"a name that begins like a primary's role",
       "",
       "",
       {{"INFO", Bulk("role_before:master\r\nrole:slave\r\n")}},
       "unavailable: the server is a replica",
       {info}},
  };
  for (const Case& c : cases) {
    ClientOptions options = RigOptions();
    options.username = c.username;
    options.password = c.password;
    ClientRig rig(options);
    rig.play = [&](std::uint16_t, const Words& command) -> std::optional<std::string> {
      const auto found = c.answers.find(command[0]);
      if (found == c.answers.end()) return std::nullopt;
      return found->second;
    };
    EXPECT_EQ(rig.Get(), c.end) << c.what;
    ASSERT_GE(rig.log.size(), c.first.size()) << c.what;
    for (std::size_t i = 0; i < c.first.size(); ++i) EXPECT_EQ(rig.log[i], c.first[i]) << c.what;
  }
}

TEST(Client, AServerThatIsReadyInTheEndIsUsed) {
  ClientRig rig;
  int left = 3;
  rig.play = [&](std::uint16_t, const Words& command) -> std::optional<std::string> {
    if (command[0] == "INFO" && left-- > 0) return "-LOADING data\r\n";
    return std::nullopt;
  };
  EXPECT_EQ(rig.Get(), "a of 1");
  EXPECT_EQ(rig.Count("1 INFO"), 4);
}

// ---- the library -------------------------------------------------------------------

TEST(Client, LoadsTheLibraryWhereItMay) {
  struct Case {
    std::string what;
    std::string own;  // answers of ffgrant_version and ff_version
    std::string other;
    std::string mode;
    std::string role;
    bool load_library;
    int loads;
    int replaces;
  };
  const std::string old = Bulk("1");
  const std::vector<Case> cases = {
      {"none", kMissing, kMissing, "standalone", "master", true, 1, 0},
      {"none, no leave", kMissing, kMissing, "standalone", "master", false, 0, 0},
      {"none, on a replica", kMissing, kMissing, "cluster", "slave", true, 0, 0},
      {"another fault", kMissing, "-ERR out of order\r\n", "standalone", "master", true, 0, 0},
      {"FlowFabric's", kMissing, Bulk("34"), "standalone", "master", true, 0, 0},
      {"FlowFabric's beside ours", Bulk(kFunctionLibraryVersion), Bulk("34"), "standalone",
       "master", true, 0, 0},
      {"ours", Bulk(kFunctionLibraryVersion), kMissing, "standalone", "master", true, 0, 0},
      {"a later one", Bulk("99"), kMissing, "standalone", "master", true, 0, 0},
      {"old", old, Bulk("34"), "standalone", "master", true, 0, 1},
      {"old, no leave", old, Bulk("34"), "standalone", "master", false, 0, 0},
      {"old, on a replica", old, Bulk("34"), "cluster", "slave", true, 0, 0},
      {"no number", Bulk("one"), Bulk("34"), "standalone", "master", true, 0, 0},
      {"not only a number", Bulk("1a"), Bulk("34"), "standalone", "master", true, 0, 0},
  };
  for (const Case& c : cases) {
    ClientOptions options = RigOptions();
    options.load_library = c.load_library;
    ClientRig rig(options);
    rig.server.has_library = c.own != kMissing;
    rig.play = [&](std::uint16_t, const Words& command) -> std::optional<std::string> {
      if (command[0] == "INFO") return Info("x", c.role, c.mode);
      if (command[0] == "CLUSTER") return Array({Range(0, 16383, 1)});
      if (command[0] == "FCALL") return command[1] == "ffgrant_version" ? c.own : c.other;
      return std::nullopt;
    };
    EXPECT_EQ(rig.Get(), "a of 1") << c.what;
    EXPECT_EQ(rig.server.loads, c.loads) << c.what;
    EXPECT_EQ(rig.server.replaces, c.replaces) << c.what;
  }
}

TEST(Client, SomebodyElseMayHaveLoadedTheLibrary) {
  ClientRig rig;
  rig.server.has_library = false;
  rig.play = [&](std::uint16_t port, const Words& command) -> std::optional<std::string> {
    if (command[0] == "FUNCTION") rig.server.has_library = true;  // and then the load is refused
    return FunctionOf(rig.server)(port, command);
  };
  EXPECT_EQ(rig.Do({"FCALL", "f", "0"}), "done");
  EXPECT_EQ(rig.Count("1 FUNCTION LOAD"), 1);
  EXPECT_EQ(rig.server.loads, 0);
  EXPECT_FALSE(rig.client.server().library_version.empty());
}

TEST(Client, SaysWhyTheLibraryCouldNotBeLoaded) {
  ClientRig rig;
  rig.server.has_library = false;
  bool allowed = false;
  rig.play = [&](std::uint16_t port, const Words& command) -> std::optional<std::string> {
    if (command[0] == "FUNCTION" && !allowed) return "-NOPERM no FUNCTION for you\r\n";
    return FunctionOf(rig.server)(port, command);
  };
  EXPECT_EQ(rig.Do({"FCALL", "f", "0"}), "unavailable: NOPERM no FUNCTION for you");
  EXPECT_EQ(rig.client.server().library_version, "");
  allowed = true;
  EXPECT_EQ(rig.Do({"FCALL", "f", "0"}), "done");
  // A reason that no longer holds is not given.
  allowed = false;
  rig.play = [](std::uint16_t, const Words& command) -> std::optional<std::string> {
    if (command[0] == "FCALL" && command[1] == "f") return kMissing;
    return std::nullopt;
  };
  EXPECT_EQ(rig.Do({"FCALL", "f", "0"}), "unavailable: ERR Function not found");
}

TEST(Client, AFunctionThatStaysMissingIsGivenUp) {
  ClientRig rig;
  rig.play = [](std::uint16_t, const Words& command) -> std::optional<std::string> {
    if (command[0] == "FCALL" && command[1] == "f") return kMissing;
    return std::nullopt;
  };
  EXPECT_EQ(rig.Do({"FCALL", "f", "0"}), "unavailable: ERR Function not found");
  EXPECT_EQ(rig.Count("1 FCALL f 0"), 4);
  EXPECT_EQ(rig.Get(), "a of 1");
}

// Redirections on the way to a node say nothing of its library.
TEST(Client, ARedirectedCallMayLoadTheLibraryToo) {
  ClientRig rig;
  rig.server.mode = "cluster";
  int redirections = 0;
  bool missed = false;
  rig.play = [&](std::uint16_t port, const Words& command) -> std::optional<std::string> {
    if (command[0] == "CLUSTER") return Array({Range(0, 16383, port)});
    if (command[0] != "FCALL" || command[1] != "f") return std::nullopt;
    if (redirections < 4) {
      return "-MOVED 0 :" + std::to_string(++redirections % 2 + 1) + "\r\n";
    }
    return std::exchange(missed, true) ? Bulk("done") : kMissing;
  };
  ASSERT_EQ(rig.Get(), "a of 1");
  EXPECT_EQ(rig.Do({"FCALL", "f", "0"}), "done");
}

TEST(Client, CallsThatMissTheLibraryTogetherLoadItOnce) {
  ClientRig rig;
  ASSERT_EQ(rig.Get(), "a of 1");
  rig.server.has_library = false;
  rig.play = FunctionOf(rig.server);
  for (const std::uint64_t tag : {1, 2, 3}) ASSERT_TRUE(rig.Submit(tag, {"FCALL", "f", "0"}));
  for (int i = 0; i < 100 && rig.client.in_flight() > 0; ++i) rig.client.Poll(50);
  for (const std::uint64_t tag : {1, 2, 3}) EXPECT_EQ(rig.ends[tag], "done");
  EXPECT_EQ(rig.server.loads, 1);
}

// ---- answers -----------------------------------------------------------------------

TEST(Client, WhatOnlyReadsIsRepeated) {
  for (const bool read_only : {true, false}) {
    ClientRig rig;
    ASSERT_EQ(rig.Get(), "a of 1");
    bool broken = false;
    rig.network->SetScript([&](Operation operation) -> Fault {
      const bool breaks = operation == Operation::kRead && !broken && rig.log.back() == "1 GET b";
      broken |= breaks;
      return breaks ? Fault{Kind::kReset} : Fault{};
    });
    EXPECT_EQ(rig.Do({"GET", "b"}, read_only),
              read_only ? "b of 1" : "unknown: the connection broke");
    EXPECT_EQ(rig.Count("1 GET b"), read_only ? 2 : 1);
  }
}

TEST(Client, AnAnswerThatDoesNotFitBreaksTheConnection) {
  for (const bool read_only : {true, false}) {
    ClientRig rig;
    ASSERT_EQ(rig.Get(), "a of 1");
    rig.fits = false;
    EXPECT_EQ(rig.Get(read_only), std::string(read_only ? "unavailable" : "unknown") +
                                      ": an answer that does not fit its command");
    rig.fits = true;
    EXPECT_EQ(rig.Get(), "a of 1");
    EXPECT_EQ(rig.network->connections(), 2u);
    EXPECT_EQ(rig.Count("1 CLIENT KILL ID 1"), 1);
    EXPECT_TRUE(rig.Settle(100));
  }
}

TEST(Client, AnswersToNothingAreNone) {
  ClientRig rig;
  ASSERT_EQ(rig.Get(), "a of 1");
  rig.network->Say(1, "+OK\r\n");
  EXPECT_EQ(rig.Get(false), "a of 1");
  EXPECT_EQ(rig.network->connections(), 2u);
  EXPECT_EQ(rig.Count("1 GET a"), 2);
}

}  // namespace
}  // namespace ffgrant::valkey::testing
