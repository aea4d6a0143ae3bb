// SPDX-License-Identifier: Apache-2.0
//
// Tests the client's options and its loop: which options the client takes, how long it waits, what
// it writes, and what is left when it is closed.

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <new>
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
  // Each step says how much has been consumed so far, and how much is then stored.
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

// The path of a unix socket can't be the name in a certificate.
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

// A long Poll() does what falls due while it waits.
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

// The caller waits in an event loop of its own. If a command ends while the wait is prepared, the
// caller has to learn of it at once, although other commands are still under way.
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

// The event loop is told each time which connections it has to wait for, because connections come
// and go.
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

// A command that could not be written takes no room.
TEST(Client, ASubmitThatThrowsGivesItsPlaceBack) {
  ClientOptions options = RigOptions();
  options.max_in_flight = 2;
  ClientRig rig(options);
  for (int i = 0; i < 5; ++i) {
    const CallTarget target = {&rig, &ClientRig::OnReply, &ClientRig::OnFailure, 1};
    EXPECT_THROW((void)rig.client.Submit(0, true, target,
                                         [](RespCommand& command) {
                                           command.Begin(2);
                                           throw std::bad_alloc();
                                         }),
                 std::bad_alloc);
    EXPECT_EQ(rig.client.in_flight(), 0u);
  }
  ASSERT_TRUE(rig.Submit(2, {"GET", "a"}, true));
  ASSERT_TRUE(rig.Submit(3, {"GET", "b"}, true));
  for (int i = 0; i < 100 && rig.client.in_flight() > 0; ++i) rig.client.Poll(20);
  EXPECT_EQ(rig.ends.size(), 2u);
  EXPECT_EQ(rig.ends[2], "a of 1");
  EXPECT_EQ(rig.ends[3], "b of 1");
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
  // This command is so long that it is written at once, and not kept for the next Poll().
  ASSERT_TRUE(rig.Submit(2, {"SET", "a", std::string(100'000, 'x')}));
  EXPECT_EQ(rig.ends.count(1), 0u);
  rig.client.Poll(10);
  EXPECT_EQ(rig.ends[1], "unknown: the connection broke");
  for (int i = 0; i < 100 && rig.ends.count(2) == 0; ++i) rig.client.Poll(50);
  EXPECT_EQ(rig.ends[2], "OK") << "none of it was sent";
}
// What is under way belongs to threads that a child does not have.
TEST(Client, AForkedChildThatDestroysItsCopyEndsNothing) {
  ScriptedServer server;
  server.answer = [](std::int64_t, const Words& command) -> std::optional<std::string> {
    return command[0] == "GET" ? std::optional<std::string>("") : std::nullopt;
  };
  auto client = std::make_unique<Client>(RigOptions(), std::make_unique<ScriptedNetwork>(server));
  int ends = 0;
  const CallTarget target = {
      .self = &ends,
      .on_reply = [](void*, std::uint64_t, const Reply&) noexcept { return true; },
      .on_failure = [](void* self, std::uint64_t, CallFailure,
                       std::string_view) noexcept { ++*static_cast<int*>(self); }};
  const auto submit = [&] {
    ASSERT_TRUE(client->Submit(0, true, target, [](RespCommand& command) {
      command.Begin(2);
      command.Arg("GET");
      command.Arg("a");
    }));
  };
  submit();
  client->Poll(10);
  submit();  // one command is sent, the other one waits
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    client.reset();
    _exit(ends);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(ends, 0);
  client.reset();
  EXPECT_EQ(ends, 2);
}

}  // namespace
}  // namespace ffgrant::valkey::testing
