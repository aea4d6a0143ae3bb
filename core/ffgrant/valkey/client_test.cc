// SPDX-License-Identifier: Apache-2.0
//
// The client by itself, against servers that say whatever a test wants them to.
// They differ by their ports.

#include "ffgrant/valkey/internal/client.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ffgrant/valkey/testing/scripted_network.h"
#include "ffgrant/valkey/testing/scripted_server.h"

namespace ffgrant::valkey::internal {
namespace {

using testing::Array;
using testing::Bulk;
using testing::Fault;
using testing::Integer;
using testing::Operation;
using testing::ScriptedNetwork;
using testing::ScriptedServer;
using testing::Words;
using Kind = Fault::Kind;

// What the server at a port answers, in RESP; nothing: what it would anyway.
using Play = std::function<std::optional<std::string>(std::uint16_t port, const Words& command)>;

Endpoint At(std::uint16_t port) { return {.host = "127.0.0.1", .port = port}; }

ClientOptions Options() {
  ClientOptions options;
  options.servers = {At(1)};
  options.request_timeout_ms = 200;
  options.connect_timeout_ms = 100;
  options.max_in_flight = 16;
  options.max_reply_bytes = 1 << 16;
  return options;
}

struct Rig {
  explicit Rig(const ClientOptions& options = Options())
      : client(options, [this] {
          auto made = std::make_unique<ScriptedNetwork>(server);
          network = made.get();
          return made;
        }()) {
    server.answer = [this](std::int64_t id, const Words& command) -> std::optional<std::string> {
      const std::uint16_t port = network->endpoint(id).port;
      std::string line = std::to_string(port);
      for (const std::string& word : command) line += " " + word.substr(0, 40);
      log.push_back(line);
      if (play) {
        if (auto reply = play(port, command)) return reply;
      }
      if (command[0] == "GET") return Bulk(command[1] + " of " + std::to_string(port));
      if (command[0] == "SET") return "+OK\r\n";
      return std::nullopt;
    };
  }

  bool Submit(std::uint64_t tag, const Words& words, bool read_only = false,
              std::uint16_t slot = 0) {
    const CallTarget target = {
        .self = this, .on_reply = &OnReply, .on_failure = &OnFailure, .tag = tag};
    submitting = true;
    const bool taken = client.Submit(slot, read_only, target, [&](RespCommand& command) {
      command.Begin(words.size());
      for (const std::string& word : words) command.Arg(word);
    });
    submitting = false;
    return taken;
  }

  // How a command ends.
  std::string Do(const Words& words, bool read_only = false, std::uint16_t slot = 0) {
    const std::uint64_t tag = 1000 + ends.size();
    EXPECT_TRUE(Submit(tag, words, read_only, slot));
    for (int i = 0; i < 10'000 && ends.count(tag) == 0; ++i) client.Poll(50);
    return ends[tag];
  }
  std::string Get(bool read_only = true, std::uint16_t slot = 0) {
    return Do({"GET", "a"}, read_only, slot);
  }

  // The clock moves on.
  void Pass(std::int64_t ms) { network->Wait({}, ms); }

  int Count(std::string_view begin) const {
    int count = 0;
    for (const std::string& line : log) count += line.starts_with(begin);
    return count;
  }

  static bool OnReply(void* self, std::uint64_t tag, const Reply& reply) noexcept {
    auto& rig = *static_cast<Rig*>(self);
    if (!rig.fits) return false;
    rig.End(tag, (reply.is(Reply::Type::kError) ? "error: " : "") + std::string(reply.text));
    return true;
  }
  static void OnFailure(void* self, std::uint64_t tag, CallFailure failure,
                        std::string_view text) noexcept {
    static_cast<Rig*>(self)->End(
        tag,
        (failure == CallFailure::kUnavailable ? "unavailable: " : "unknown: ") + std::string(text));
  }
  void End(std::uint64_t tag, const std::string& end) {
    EXPECT_FALSE(submitting) << "told from within Submit(): " << end;
    EXPECT_TRUE(ends.emplace(tag, end).second) << "ended twice";
  }

  ScriptedServer server;
  ScriptedNetwork* network = nullptr;
  Play play;
  std::vector<std::string> log;  // PORT COMMAND, as they were executed
  std::map<std::uint64_t, std::string> ends;
  bool fits = true;  // whether replies fit their commands
  bool submitting = false;
  Client client;  // the first to go: it ends what is under way
};

// The first `times` operations of a kind, or all of them.
ScriptedNetwork::Script First(int times, Operation operation, Kind kind) {
  return [=](Operation asked) mutable -> Fault {
    return asked == operation && times-- > 0 ? Fault{kind} : Fault{};
  };
}
ScriptedNetwork::Script Always(Operation operation, Kind kind) {
  return [=](Operation asked) { return asked == operation ? Fault{kind} : Fault{}; };
}
// Nobody listens at `port`.
ScriptedNetwork::Script Unreachable(const Rig& rig, std::uint16_t port) {
  return [&rig, port](Operation asked) -> Fault {
    const auto last = static_cast<std::int64_t>(rig.network->connections());
    const bool refused = asked == Operation::kOpen && rig.network->endpoint(last).port == port;
    return refused ? Fault{Kind::kRefused} : Fault{};
  };
}

std::string Info(std::string_view run_id, std::string_view role = "master",
                 std::string_view mode = "standalone", std::string_view more = "") {
  std::string text = "redis_version:7.2.4\r\nvalkey_version:9.9.9\r\nredis_mode:";
  text.append(mode).append("\r\nrun_id:").append(run_id).append("\r\nrole:").append(role);
  return Bulk(text.append("\r\n").append(more));
}

// A range of CLUSTER SLOTS.
std::string Range(std::int64_t first, std::int64_t last, std::uint16_t port,
                  std::string_view host = "127.0.0.1") {
  return Array(
      {Integer(first), Integer(last), Array({Bulk(host), Integer(port), Bulk("node-id")})});
}

// Nodes of a cluster, whatever their port. `slots` must outlive it.
Play Cluster(const std::string& slots) {
  return [&slots](std::uint16_t port, const Words& command) -> std::optional<std::string> {
    if (command[0] == "INFO") return Info("run" + std::to_string(port), "master", "cluster");
    if (command[0] == "CLUSTER") return slots;
    return std::nullopt;
  };
}

// ---- output ----------------------------------------------------------------------

TEST(OutputBuffer, MovesWhatIsPendingOnlyWhenItIsTheSmallerPart) {
  OutputBuffer buffer;
  std::string rest;
  for (int i = 0; i < 300'000; ++i) rest += static_cast<char>('a' + i % 23);
  buffer.end() = rest;
  // Consumed so far, and what is stored then.
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
      {"retry.first_ms 0", [](ClientOptions& o) { o.retry.first_ms = 0; }},
      {"retry.longest_ms",
       [](ClientOptions& o) {
         o.retry = {10, -10};
       }},
  };
  ScriptedServer server;
  for (const auto& [what, change] : refused) {
    ClientOptions options = Options();
    change(options);
    EXPECT_THROW(Client(options, std::make_unique<ScriptedNetwork>(server)), std::invalid_argument)
        << what;
  }
  for (const std::size_t most : {1, 65536}) {
    ClientOptions options = Options();
    options.max_in_flight = most;
    options.request_timeout_ms = options.connect_timeout_ms = 1;
    options.reconnect = options.retry = {1, 1};
    EXPECT_NO_THROW(Client(options, std::make_unique<ScriptedNetwork>(server))) << most;
  }
}

// ---- the loop --------------------------------------------------------------------

TEST(Client, PollWithNothingUnderWayReturnsAtOnce) {
  Rig rig;
  const std::int64_t begin = rig.network->NowMs();
  rig.client.Poll(1000);
  EXPECT_EQ(rig.network->NowMs(), begin);
  EXPECT_EQ(rig.network->connections(), 0u);
}

TEST(Client, PollWithoutTimeTakesWhatHasCome) {
  for (const std::int64_t timeout : {std::int64_t{0}, std::int64_t{-1}, INT64_MIN}) {
    Rig rig;
    const std::int64_t begin = rig.network->NowMs();
    ASSERT_TRUE(rig.Submit(1, {"GET", "a"}));
    for (int i = 0; i < 10 && rig.ends.empty(); ++i) rig.client.Poll(timeout);
    EXPECT_EQ(rig.ends[1], "a of 1") << timeout;
    EXPECT_EQ(rig.network->NowMs(), begin) << "waited";
  }
}

TEST(Client, PollWithoutEndWaitsForTheReply) {
  Rig rig;
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
  ClientOptions options = Options();
  options.request_timeout_ms = options.connect_timeout_ms = INT64_MAX;
  options.reconnect = options.retry = {INT64_MAX, INT64_MAX};
  Rig rig(options);
  EXPECT_EQ(rig.Get(), "a of 1");
  EXPECT_TRUE(rig.client.Settle(INT64_MAX));
  EXPECT_EQ(rig.network->connections(), 1u);
  // A new try in good time, which is never.
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

  Rig other(options);
  other.network->SetScript(Always(Operation::kOpen, Kind::kRefused));
  ASSERT_TRUE(other.Submit(1, {"GET", "a"}));
  for (int i = 0; i < 100; ++i) other.client.Poll(1000);
  EXPECT_EQ(other.network->connections(), 1u);
  EXPECT_EQ(other.client.in_flight(), 1u);
}

TEST(Client, TakesAsMuchAsItMayHaveUnderWay) {
  ClientOptions options = Options();
  options.max_in_flight = 2;
  Rig rig(options);
  ASSERT_TRUE(rig.Submit(1, {"GET", "a"}));
  ASSERT_TRUE(rig.Submit(2, {"GET", "b"}));
  EXPECT_FALSE(rig.Submit(3, {"GET", "c"}));
  EXPECT_EQ(rig.client.in_flight(), 2u);
  while (rig.client.in_flight() > 0) rig.client.Poll(50);
  EXPECT_EQ(rig.Count("1 GET"), 2);
  EXPECT_EQ(rig.ends.count(3), 0u);
  EXPECT_EQ(rig.Do({"GET", "c"}), "c of 1");
}

TEST(Client, CloseEndsWhatIsUnderWay) {
  Rig rig;
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
  Rig rig;
  ASSERT_EQ(rig.Get(), "a of 1");
  ASSERT_TRUE(rig.Submit(1, {"SET", "a", "b"}));
  rig.network->SetScript(Always(Operation::kArrive, Kind::kHold));
  rig.client.Poll(10);  // it is on its way now
  rig.network->SetScript(First(1, Operation::kWrite, Kind::kReset));
  // More than is kept for the next Poll().
  ASSERT_TRUE(rig.Submit(2, {"SET", "a", std::string(100'000, 'x')}));
  EXPECT_EQ(rig.ends.count(1), 0u);
  rig.client.Poll(10);
  EXPECT_EQ(rig.ends[1], "unknown: the connection broke");
  for (int i = 0; i < 100 && rig.ends.count(2) == 0; ++i) rig.client.Poll(50);
  EXPECT_EQ(rig.ends[2], "OK") << "none of it was sent";
}

// ---- connections -----------------------------------------------------------------

TEST(Client, WaitsForAConnectionThatTakesItsTime) {
  Rig rig;
  rig.network->SetScript(First(3, Operation::kOpen, Kind::kWouldBlock));
  EXPECT_EQ(rig.Get(), "a of 1");
  EXPECT_EQ(rig.network->connections(), 1u);
}

TEST(Client, AConnectionThatFailsLaterIsTriedAgain) {
  Rig rig;
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
  Rig rig;
  rig.network->SetScript(Always(Operation::kOpen, Kind::kWouldBlock));
  EXPECT_EQ(rig.Get(), "unavailable: no connection in time");
  EXPECT_GE(rig.network->connections(), 2u);
  // Before anything failed there is no such reason.
  ClientOptions options = Options();
  options.connect_timeout_ms = 1000;
  Rig other(options);
  other.network->SetScript(Always(Operation::kOpen, Kind::kWouldBlock));
  EXPECT_EQ(other.Get(), "unavailable: no reply in time");
  EXPECT_EQ(other.network->connections(), 1u);
}

TEST(Client, InterruptsAreOutlastedUpToALimit) {
  for (const Operation operation : {Operation::kRead, Operation::kWrite}) {
    Rig rig;
    rig.network->SetScript(First(63, operation, Kind::kInterrupted));
    EXPECT_EQ(rig.Get(), "a of 1");
    EXPECT_EQ(rig.network->connections(), 1u);
    Rig other;
    other.network->SetScript(First(64, operation, Kind::kInterrupted));
    EXPECT_EQ(other.Get(), "a of 1");
    EXPECT_EQ(other.network->connections(), 2u) << "not taken for a fault";
    Rig always;
    always.network->SetScript(Always(operation, Kind::kInterrupted));
    EXPECT_EQ(always.Get(), "unavailable: the connection broke");
  }
}

TEST(Client, ConnectsAgainAtOnceButOnce) {
  ClientOptions options = Options();
  options.request_timeout_ms = 1000;
  options.reconnect = {100, 100};
  Rig rig(options);
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
  Rig rig;
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

TEST(Client, AnErrorThatComesUnaskedSaysWhyItWasSentAway) {
  Rig rig;
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

// ---- several servers ---------------------------------------------------------------

ClientOptions TwoServers() {
  ClientOptions options = Options();
  options.servers = {At(1), At(2)};
  return options;
}

TEST(Client, GoesOnToTheNextServer) {
  Rig rig(TwoServers());
  rig.network->SetScript(Unreachable(rig, 1));
  EXPECT_EQ(rig.Get(), "a of 2");
  EXPECT_EQ(rig.Count("1 "), 0);
  // And back.
  rig.network->SetScript(Unreachable(rig, 2));
  rig.play = [](std::uint16_t port, const Words& command) -> std::optional<std::string> {
    if (port == 2 && command[0] == "GET") return "";
    return std::nullopt;
  };
  EXPECT_EQ(rig.Get(), "unavailable: no reply in time");
  EXPECT_EQ(rig.Get(), "a of 1");
}

TEST(Client, LooksForThePrimary) {
  bool demoted = false;
  const auto play = [&](std::uint16_t port, const Words& command) -> std::optional<std::string> {
    if (port == 1 && command[0] == "INFO") return Info("one", demoted ? "slave" : "master");
    if (port == 1 && command[0] == "SET" && demoted) return "-READONLY a replica\r\n";
    return std::nullopt;
  };
  Rig rig(TwoServers());
  rig.play = play;
  EXPECT_EQ(rig.Get(), "a of 1");
  demoted = true;
  EXPECT_EQ(rig.Do({"SET", "a", "b"}), "OK");
  EXPECT_EQ(rig.Count("1 SET"), 1);
  EXPECT_EQ(rig.Count("2 SET"), 1);

  Rig first(TwoServers());
  first.play = play;
  EXPECT_EQ(first.Get(), "a of 2");

  Rig alone;
  alone.play = play;
  EXPECT_EQ(alone.Get(), "unavailable: the server is a replica");
}

// What has to be done meanwhile is done, though nobody calls in between.
TEST(Client, OneLongPollIsAsGoodAsManyShortOnes) {
  Rig dead(TwoServers());
  dead.network->SetScript(Unreachable(dead, 1));
  ASSERT_TRUE(dead.Submit(1, {"GET", "a"}));
  dead.client.Poll(60'000);
  EXPECT_EQ(dead.ends[1], "a of 2");

  Rig demoted(TwoServers());
  ASSERT_EQ(demoted.Get(), "a of 1");
  demoted.play = [](std::uint16_t port, const Words& command) -> std::optional<std::string> {
    if (port == 1 && command[0] == "INFO") return Info("one", "slave");
    if (port == 1 && command[0] == "SET") return "-READONLY a replica\r\n";
    return std::nullopt;
  };
  ASSERT_TRUE(demoted.Submit(1, {"SET", "a", "b"}));
  demoted.client.Poll(60'000);
  EXPECT_EQ(demoted.ends[1], "OK");

  Rig broken;
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
    std::vector<std::string> first;  // that the server is sent
  };
  const std::string info = "1 INFO server replication";
  const std::vector<Case> cases = {
      {"nobody in particular", "", "", {}, "a of 1", {info, "1 CLIENT ID"}},
      {"a name alone", "me", "", {}, "a of 1", {info}},
      {"a password", "", "pw", {{"AUTH", "+OK\r\n"}}, "a of 1", {"1 AUTH pw", info}},
      {"both", "me", "pw", {{"AUTH", "+OK\r\n"}}, "a of 1", {"1 AUTH me pw", info}},
      {"a wrong password",
       "",
       "pw",
       {{"AUTH", "-WRONGPASS invalid\r\n"}},
       "unavailable: WRONGPASS invalid",
       {"1 AUTH pw", "1 AUTH pw"}},
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
       {info, info}},
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
    ClientOptions options = Options();
    options.username = c.username;
    options.password = c.password;
    Rig rig(options);
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
  Rig rig;
  int left = 3;
  rig.play = [&](std::uint16_t, const Words& command) -> std::optional<std::string> {
    if (command[0] == "INFO" && left-- > 0) return "-LOADING data\r\n";
    return std::nullopt;
  };
  EXPECT_EQ(rig.Get(), "a of 1");
  EXPECT_EQ(rig.Count("1 INFO"), 4);
}

// ---- the library -------------------------------------------------------------------

const char kMissing[] = "-ERR Function not found\r\n";

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
      {"a number", kMissing, Integer(34), "standalone", "master", true, 0, 0},
      {"old", old, Bulk("34"), "standalone", "master", true, 0, 1},
      {"old, no leave", old, Bulk("34"), "standalone", "master", false, 0, 0},
      {"old, on a replica", old, Bulk("34"), "cluster", "slave", true, 0, 0},
      {"no number", Bulk("one"), Bulk("34"), "standalone", "master", true, 0, 0},
      {"not only a number", Bulk("1a"), Bulk("34"), "standalone", "master", true, 0, 0},
  };
  for (const Case& c : cases) {
    ClientOptions options = Options();
    options.load_library = c.load_library;
    Rig rig(options);
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

// `f` is missing until the library has been loaded.
Play FunctionOf(ScriptedServer& server) {
  return [&server](std::uint16_t, const Words& command) -> std::optional<std::string> {
    if (command[0] != "FCALL" || command[1] != "f") return std::nullopt;
    return server.has_library ? Bulk("done") : kMissing;
  };
}

TEST(Client, SomebodyElseMayHaveLoadedTheLibrary) {
  Rig rig;
  rig.server.has_library = false;
  rig.play = [&](std::uint16_t port, const Words& command) -> std::optional<std::string> {
    if (command[0] == "FUNCTION") rig.server.has_library = true;  // and the load is refused
    return FunctionOf(rig.server)(port, command);
  };
  EXPECT_EQ(rig.Do({"FCALL", "f", "0"}), "done");
  EXPECT_EQ(rig.Count("1 FUNCTION LOAD"), 1);
  EXPECT_EQ(rig.server.loads, 0);
  EXPECT_FALSE(rig.client.server().library_version.empty());
}

TEST(Client, SaysWhyTheLibraryCouldNotBeLoaded) {
  Rig rig;
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
  // A reason that has gone is none.
  allowed = false;
  rig.play = [](std::uint16_t, const Words& command) -> std::optional<std::string> {
    if (command[0] == "FCALL" && command[1] == "f") return kMissing;
    return std::nullopt;
  };
  EXPECT_EQ(rig.Do({"FCALL", "f", "0"}), "unavailable: ERR Function not found");
}

TEST(Client, AFunctionThatStaysMissingIsGivenUp) {
  Rig rig;
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
  Rig rig;
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
  Rig rig;
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
    Rig rig;
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
    Rig rig;
    ASSERT_EQ(rig.Get(), "a of 1");
    rig.fits = false;
    EXPECT_EQ(rig.Get(read_only), std::string(read_only ? "unavailable" : "unknown") +
                                      ": an answer that does not fit its command");
    rig.fits = true;
    EXPECT_EQ(rig.Get(), "a of 1");
    EXPECT_EQ(rig.network->connections(), 2u);
    EXPECT_EQ(rig.Count("1 CLIENT KILL ID 1"), 1);
    EXPECT_TRUE(rig.client.Settle(100));
  }
}

TEST(Client, AnswersToNothingAreNone) {
  Rig rig;
  ASSERT_EQ(rig.Get(), "a of 1");
  rig.network->Say(1, "+OK\r\n");
  EXPECT_EQ(rig.Get(false), "a of 1");
  EXPECT_EQ(rig.network->connections(), 2u);
  EXPECT_EQ(rig.Count("1 GET a"), 2);
}

// ---- redirections ------------------------------------------------------------------

TEST(Client, FollowsRedirections) {
  struct Case {
    std::string refusal;
    std::string end;
    Endpoint to;
    int asking;
  };
  const std::vector<Case> cases = {
      {"MOVED 0 127.0.0.1:7", "a of 7", At(7), 0},
      {"MOVED 16383 127.0.0.2:7", "a of 7", {"127.0.0.2", 7}, 0},
      {"MOVED 0 ::1:7", "a of 7", {"::1", 7}, 0},
      {"MOVED 0 :65535", "a of 65535", At(65535), 0},
      {"ASK 0 127.0.0.1:7", "a of 7", At(7), 1},
      {"ASK 0 :7", "a of 7", At(7), 1},
  };
  for (const Case& c : cases) {
    Rig rig;
    rig.play = [&](std::uint16_t port, const Words& command) -> std::optional<std::string> {
      if (command[0] == "ASKING") return "+OK\r\n";
      if (command[0] == "GET" && port == 1) return "-" + c.refusal + "\r\n";
      return std::nullopt;
    };
    const auto slot = static_cast<std::uint16_t>(c.refusal.find("16383") == 6 ? 16383 : 0);
    EXPECT_EQ(rig.Get(false, slot), c.end) << c.refusal;
    EXPECT_EQ(rig.client.redirections(), 1u) << c.refusal;
    ASSERT_EQ(rig.network->connections(), 2u) << c.refusal;
    EXPECT_EQ(rig.network->endpoint(2), c.to) << c.refusal;
    EXPECT_EQ(rig.Count(std::to_string(c.to.port) + " ASKING"), c.asking) << c.refusal;
  }
}

TEST(Client, RedirectionsWithoutEndAreFollowedSlowly) {
  ClientOptions options = Options();
  options.retry = {10, 10};
  Rig rig(options);
  rig.play = [](std::uint16_t port, const Words& command) -> std::optional<std::string> {
    if (command[0] != "GET") return std::nullopt;
    return port == 1 ? "-MOVED 0 :2\r\n" : "-MOVED 0 :1\r\n";
  };
  EXPECT_EQ(rig.Get().substr(0, 22), "unavailable: MOVED 0 :");
  EXPECT_GE(rig.client.redirections(), 10u);
  EXPECT_LE(rig.client.redirections(), 40u);
}

TEST(Client, RedirectionsToNowhereAreAnswers) {
  for (const std::string refusal : {"MOVED 0",
                                    "MOVED x 127.0.0.1:7",
                                    "MOVED 0x 127.0.0.1:7",
                                    "MOVED  127.0.0.1:7",
                                    "MOVED -1 127.0.0.1:7",
                                    "MOVED 16384 127.0.0.1:7",
                                    "MOVED 65536 127.0.0.1:7",
                                    "MOVED 0 127.0.0.1",
                                    "MOVED 0 127.0.0.1:",
                                    "MOVED 0 127.0.0.1:0",
                                    "MOVED 0 127.0.0.1:65536",
                                    "MOVED 0 ?:7",
                                    "MOVED 0 ",
                                    "MOVED 0 :",
                                    "MOVED 0 :0",
                                    "MOVED 0 :x",
                                    "MOVED 0 :7x",
                                    "MOVED 0 :65536",
                                    "ASK 0",
                                    "ASK 16384 127.0.0.1:7",
                                    "ASK 0 :0",
                                    "ASK 0 127.0.0.1:x"}) {
    Rig rig;
    rig.play = [&](std::uint16_t, const Words& command) -> std::optional<std::string> {
      if (command[0] == "GET") return "-" + refusal + "\r\n";
      return std::nullopt;
    };
    EXPECT_EQ(rig.Get(false), "error: " + refusal);
    EXPECT_EQ(rig.client.redirections(), 0u) << refusal;
    EXPECT_EQ(rig.network->connections(), 1u) << refusal;
  }
}

// ---- clusters ----------------------------------------------------------------------

TEST(Client, SendsWhereTheSlotIs) {
  // Both halves, and a host that is the asked one's own, in both of its forms.
  const std::string no_host =
      Array({Integer(8192), Integer(16000), Array({"$-1\r\n", Integer(3), Bulk("id")})});
  const std::string slots =
      Array({Range(0, 8190, 1), Range(8191, 8191, 2, ""), no_host, Range(16001, 16383, 4)});
  Rig rig;
  rig.play = Cluster(slots);
  const std::vector<std::pair<std::uint16_t, std::string>> owners = {
      {0, "1"}, {8190, "1"}, {8191, "2"}, {8192, "3"}, {16000, "3"}, {16001, "4"}, {16383, "4"}};
  for (const auto& [slot, owner] : owners) EXPECT_EQ(rig.Get(false, slot), "a of " + owner) << slot;
  EXPECT_EQ(rig.client.redirections(), 0u);
  EXPECT_EQ(rig.network->connections(), 4u);
  // Nobody asks again for what is known.
  rig.Pass(10'000);
  EXPECT_EQ(rig.Get(), "a of 1");
  EXPECT_EQ(rig.Count("1 CLUSTER SLOTS"), 1);
}

TEST(Client, AsksForTheTableWithTheGreeting) {
  const std::string slots = Array({Range(0, 16383, 1)});
  for (const std::string name : {"redis_mode", "server_mode"}) {
    Rig rig;
    rig.play = [&](std::uint16_t port, const Words& command) -> std::optional<std::string> {
      if (command[0] == "INFO") return Bulk(name + ":cluster\r\nrun_id:x\r\nrole:master\r\n");
      return Cluster(slots)(port, command);
    };
    const std::int64_t begin = rig.network->NowMs();
    EXPECT_EQ(rig.Get(), "a of 1") << name;
    EXPECT_LE(rig.network->NowMs() - begin, 20) << name << ": waited for the next turn";
    EXPECT_EQ(rig.Count("1 CLUSTER SLOTS"), 1) << name;
    EXPECT_TRUE(rig.client.server().cluster) << name;
  }
}

TEST(Client, ANodeWithoutATableIsNotTheOnlyOneAsked) {
  const std::string slots = Array({Range(0, 99, 1), Range(100, 16383, 2)});
  bool reset = false;
  Rig rig;
  rig.play = [&](std::uint16_t port, const Words& command) -> std::optional<std::string> {
    if (port == 1 && reset && command[0] == "CLUSTER") return "*0\r\n";
    if (port == 1 && reset && command[0] == "GET") return "-CLUSTERDOWN Hash slot not served\r\n";
    if (port == 2 && reset && command[0] == "CLUSTER") return Array({Range(0, 16383, 2)});
    return Cluster(slots)(port, command);
  };
  ASSERT_EQ(rig.Get(true, 0), "a of 1");
  ASSERT_EQ(rig.Get(true, 100), "a of 2");
  reset = true;
  EXPECT_EQ(rig.Get(true, 0), "a of 2");
}

TEST(Client, ASlotThatNobodyHasIsWaitedFor) {
  std::string slots = Array({Range(0, 99, 1)});
  Rig rig;
  rig.play = Cluster(slots);
  EXPECT_EQ(rig.Get(true, 99), "a of 1");
  EXPECT_EQ(rig.Get(true, 100), "unavailable: no reply in time");
  const int asked = rig.Count("1 CLUSTER SLOTS");
  EXPECT_GE(asked, 3);
  EXPECT_LE(asked, 10) << "asked without pause";
  slots = Array({Range(0, 16383, 2)});
  EXPECT_EQ(rig.Get(true, 100), "a of 2");
}

TEST(Client, WhereNobodyHasATableItIsAskedForAgain) {
  const std::string whole = Array({Range(0, 16383, 1)});
  for (const std::string answer : {"-CLUSTERDOWN Hash slot not served\r\n", "-ERR no\r\n",
                                   "+OK\r\n", ":5\r\n", "$-1\r\n", "*0\r\n"}) {
    std::string slots = answer;
    Rig rig;
    rig.play = Cluster(slots);
    EXPECT_EQ(rig.Get(), "unavailable: no reply in time") << answer;
    EXPECT_GE(rig.Count("1 CLUSTER SLOTS"), 3) << answer;
    EXPECT_EQ(rig.network->connections(), 1u) << answer;
    slots = whole;
    EXPECT_EQ(rig.Get(), "a of 1") << answer;
  }
}

TEST(Client, ATableThatDoesNotComeBreaksTheConnection) {
  std::string slots = Array({Range(0, 99, 1)});
  ClientOptions options = Options();
  options.request_timeout_ms = 1000;
  Rig rig(options);
  rig.play = Cluster(slots);
  ASSERT_EQ(rig.Get(), "a of 1");
  slots = "";
  ASSERT_TRUE(rig.Submit(1, {"GET", "b"}, true, 100));
  const std::int64_t begin = rig.network->NowMs();
  while (rig.network->connections() == 1 && rig.network->NowMs() < begin + 900) rig.client.Poll(10);
  EXPECT_EQ(rig.Count("1 CLUSTER SLOTS"), 2) << "asked although asked for";
  EXPECT_GE(rig.network->NowMs() - begin, 100);
  slots = Array({Range(0, 16383, 1)});
  for (int i = 0; i < 100 && rig.ends.count(1) == 0; ++i) rig.client.Poll(10);
  EXPECT_EQ(rig.ends[1], "b of 1");
  EXPECT_EQ(rig.network->connections(), 2u);
}

TEST(Client, RefusalsOfACluster) {
  // What is refused at first, and whether the table is then asked for again.
  const std::vector<std::pair<std::string, int>> cases = {{"READONLY a replica", 2},
                                                          {"CLUSTERDOWN The cluster is down", 2},
                                                          {"MASTERDOWN Link is down", 2},
                                                          {"TRYAGAIN Multiple keys", 1},
                                                          {"LOADING data", 1}};
  for (const auto& one : cases) {
    const std::string& refusal = one.first;
    const std::string slots = Array({Range(0, 16383, 1)});
    Rig rig;
    bool refused = false;
    rig.play = [&](std::uint16_t port, const Words& command) -> std::optional<std::string> {
      if (command[0] == "SET" && !std::exchange(refused, true)) return "-" + refusal + "\r\n";
      return Cluster(slots)(port, command);
    };
    EXPECT_EQ(rig.Do({"SET", "a", "b"}), "OK") << refusal;
    rig.Pass(60);
    EXPECT_EQ(rig.Get(), "a of 1");
    EXPECT_EQ(rig.Get(), "a of 1");
    EXPECT_EQ(rig.Count("1 CLUSTER SLOTS"), one.second) << refusal;
    EXPECT_EQ(rig.network->connections(), 1u) << refusal;
  }
}

TEST(Client, ALibraryIsLoadedAlsoWhileATableIsAskedFor) {
  const std::string slots = Array({Range(0, 16383, 1)});
  Rig rig;
  bool refused = false;
  rig.play = [&](std::uint16_t port, const Words& command) -> std::optional<std::string> {
    if (command[0] == "SET" && !std::exchange(refused, true)) return "-CLUSTERDOWN down\r\n";
    if (const auto reply = FunctionOf(rig.server)(port, command)) return reply;
    return Cluster(slots)(port, command);
  };
  ASSERT_EQ(rig.Do({"SET", "a", "b"}), "OK");
  rig.Pass(60);  // the table is due
  rig.server.has_library = false;
  rig.log.clear();
  EXPECT_EQ(rig.Do({"FCALL", "f", "0"}), "done");
  ASSERT_GE(rig.log.size(), 2u);
  EXPECT_EQ(rig.log[0], "1 FCALL f 0");
  EXPECT_EQ(rig.log[1], "1 CLUSTER SLOTS");
  EXPECT_EQ(rig.server.loads, 1);
  EXPECT_EQ(rig.network->connections(), 1u);
}

TEST(Client, KnowsNoMoreThan1024Nodes) {
  // A node a slot, and the rest at the first.
  std::vector<std::string> ranges = {Range(1100, 16383, 1)};
  for (std::uint16_t i = 0; i < 1100; ++i) {
    ranges.push_back(Range(i, i, static_cast<std::uint16_t>(10'000 + i)));
  }
  const std::string slots = Array(ranges);
  ClientOptions options = Options();
  options.max_reply_bytes = 1 << 20;
  Rig rig(options);
  bool move = true;
  std::string refusal = "MOVED 2000 :10000";
  rig.play = [&](std::uint16_t port, const Words& command) -> std::optional<std::string> {
    if (command[0] == "SET" && std::exchange(move, false)) return "-" + refusal + "\r\n";
    return Cluster(slots)(port, command);
  };
  EXPECT_EQ(rig.Get(true, 2000), "a of 1");
  EXPECT_EQ(rig.Get(true, 0), "a of 10000");
  EXPECT_EQ(rig.Get(true, 1022), "a of 11022");
  EXPECT_EQ(rig.Get(true, 1023), "unavailable: no reply in time") << "one too many";
  // To one that is known a redirection is followed all the same.
  EXPECT_EQ(rig.Do({"SET", "a", "b"}, false, 2000), "OK");
  EXPECT_EQ(rig.Count("10000 SET"), 1);
  move = true;
  refusal = "MOVED 2001 :9";
  EXPECT_EQ(rig.Do({"SET", "a", "b"}, false, 2001), "error: MOVED 2001 :9");
  // And a table that names those that are known is taken.
  EXPECT_EQ(rig.Get(true, 500), "a of 10500");
}

// ---- fences ------------------------------------------------------------------------

// A command is on its way, and may be executed whenever it arrives. From then on
// nobody listens at port `gone`.
void LoseACommand(Rig& rig, std::uint16_t gone = 0) {
  rig.network->SetScript([&rig, gone](Operation operation) -> Fault {
    if (operation == Operation::kArrive) return {Kind::kHold};
    return Unreachable(rig, gone)(operation);
  });
  EXPECT_EQ(rig.Do({"SET", "a", "b"}), "unknown: no reply in time");
  rig.network->SetScript(Unreachable(rig, gone));
}

TEST(Fence, IsDroppedByATableOfTheWholeClusterOnly) {
  const auto with = [](std::vector<std::string> more) {
    more.insert(more.begin(), Range(0, 16383, 1));
    return Array(more);
  };
  const auto range = [](const std::string& first, const std::string& last,
                        const std::vector<std::string>& node) {
    return Array({first, last, Array(node)});
  };
  const std::string host = Bulk("127.0.0.1");
  struct Case {
    std::string what;
    std::string table;
    bool settled;
  };
  const std::vector<Case> cases = {
      {"the whole", with({}), true},
      {"the whole in parts", Array({Range(0, 1, 1), Range(2, 16383, 1)}), true},
      {"nothing", "*0\r\n", false},
      {"no table", "-ERR no\r\n", false},
      {"all but the first", Array({Range(1, 16383, 1)}), false},
      {"all but the last", Array({Range(0, 16382, 1)}), false},
      {"all but one", Array({Range(0, 99, 1), Range(101, 16383, 1)}), false},
      {"a range that is none", with({Integer(0)}), false},
      {"a range of nothing", with({"*0\r\n"}), false},
      {"a range without nodes", with({Array({Integer(1), Integer(2)})}), false},
      {"a node that is none", with({Array({Integer(1), Integer(2), host})}), false},
      {"a node without a port", with({range(Integer(1), Integer(2), {host})}), false},
      {"a text as first", with({range(Bulk("1"), Integer(2), {host, Integer(2)})}), false},
      {"a text as last", with({range(Integer(0), Bulk("0"), {host, Integer(2)})}), false},
      {"a text as port", with({range(Integer(1), Integer(2), {host, Bulk("2")})}), false},
      {"a number as host", with({range(Integer(1), Integer(2), {Integer(1), Integer(2)})}), false},
      {"an unknown host", with({Range(1, 2, 2, "?")}), false},
      {"a negative slot", with({Range(-1, 2, 2)}), false},
      {"a slot too many", with({Range(1, 16384, 2)}), false},
      {"a range backwards", with({Range(2, 1, 2)}), false},
      {"port 0", with({Range(1, 2, 0)}), false},
      {"port 65536", with({range(Integer(1), Integer(2), {host, Integer(65536)})}), false},
  };
  for (const Case& c : cases) {
    std::string slots = Array({Range(0, 99, 2), Range(100, 16383, 1)});
    Rig rig;
    rig.play = Cluster(slots);
    ASSERT_EQ(rig.Get(true, 100), "a of 1");
    ASSERT_EQ(rig.Get(true, 0), "a of 2");
    LoseACommand(rig, 2);
    slots = c.table;
    EXPECT_EQ(rig.client.Settle(300), c.settled) << c.what;
    // Where the node can be reached, it is shut there in any case.
    rig.network->SetScript(nullptr);
    EXPECT_TRUE(rig.client.Settle(2000)) << c.what;
    EXPECT_EQ(rig.Count("2 CLIENT KILL ID"), c.settled ? 0 : 1) << c.what;
  }
}

// The table that says so may be an old one.
TEST(Fence, IsPutUpOnceItsNodeIsAskedAgain) {
  std::string slots = Array({Range(0, 99, 2), Range(100, 16383, 1)});
  Rig rig;
  bool moved = false;
  rig.play = [&](std::uint16_t port, const Words& command) -> std::optional<std::string> {
    if (port == 1 && command[0] == "GET" && moved) return "-MOVED 0 :2\r\n";
    return Cluster(slots)(port, command);
  };
  ASSERT_EQ(rig.Get(true, 0), "a of 2");
  LoseACommand(rig, 2);
  slots = Array({Range(0, 16383, 1)});
  ASSERT_TRUE(rig.client.Settle(300));
  EXPECT_TRUE(rig.client.HasWaivedFenceAt(At(2)));
  EXPECT_FALSE(rig.client.HasWaivedFenceAt(At(1)));
  const std::size_t connections = rig.network->connections();
  ASSERT_EQ(rig.Get(true, 0), "a of 1");
  rig.Pass(5000);
  ASSERT_EQ(rig.Get(true, 0), "a of 1");
  EXPECT_EQ(rig.network->connections(), connections) << "nobody needs that node";
  moved = true;
  rig.network->SetScript(nullptr);
  EXPECT_EQ(rig.Get(true, 0), "a of 2");
  EXPECT_EQ(rig.Count("2 CLIENT KILL ID"), 1);
  EXPECT_FALSE(rig.client.HasWaivedFenceAt(At(2)));
  rig.network->DeliverAll();
  EXPECT_EQ(rig.Count("2 SET"), 0) << "executed after it was read";
}

// A node that a slot is moved to has none before it is there.
TEST(Fence, OfANodeThatWasAskedIsNoneThatATableDrops) {
  const std::string slots = Array({Range(0, 16383, 1)});
  Rig rig;
  rig.play = [&](std::uint16_t port, const Words& command) -> std::optional<std::string> {
    const bool has_key = command[0] == "SET" || command[0] == "GET";
    if (has_key && port == 1) return "-ASK 0 :2\r\n";
    return Cluster(slots)(port, command);
  };
  ASSERT_EQ(rig.Get(), "a of 2");
  rig.play = [&, before = rig.play](std::uint16_t port, const Words& command) {
    if (command[0] == "SET" && port == 2) return std::optional<std::string>("");
    return before(port, command);
  };
  rig.network->SetScript(Unreachable(rig, 2));
  ASSERT_EQ(rig.Do({"SET", "a", "b"}), "unknown: no reply in time");
  EXPECT_FALSE(rig.client.Settle(300));
  rig.network->SetScript(nullptr);
  EXPECT_TRUE(rig.client.Settle(2000));
  EXPECT_EQ(rig.Count("2 CLIENT KILL ID"), 1);
}

// Two servers, each its own, and what their INFOs say besides.
Play TwoOf(const std::string& of_one, const std::string& of_two) {
  return [=](std::uint16_t port, const Words& command) -> std::optional<std::string> {
    if (command[0] != "INFO") return std::nullopt;
    return port == 1 ? Info("one", "master", "standalone", of_one)
                     : Info("two", "master", "standalone", of_two);
  };
}

TEST(Fence, OfAServerIsNotLostOnTheWayToAnother) {
  const std::string of_one = "master_replid:aaa\r\n";
  const std::vector<std::pair<std::string, std::string>> histories = {
      {"", ""},
      {of_one, ""},
      {of_one, "master_replid:bbb\r\nmaster_replid2:000\r\n"},
      {of_one, "master_replid:aaa\r\nmaster_replid2:ccc\r\n"}};
  for (const auto& [one, of_two] : histories) {
    Rig rig(TwoServers());
    rig.play = TwoOf(one, of_two);
    ASSERT_EQ(rig.Get(), "a of 1");
    LoseACommand(rig, 1);
    ASSERT_EQ(rig.Get(), "a of 2");
    EXPECT_FALSE(rig.client.Settle(300)) << of_two;
    EXPECT_EQ(rig.Count("2 CLIENT KILL"), 0) << "somebody else's connection";
    EXPECT_EQ(rig.Count("1 SET"), 0);
    // Back at the first it can be shut.
    rig.network->SetScript(Unreachable(rig, 2));
    rig.network->Say(static_cast<std::int64_t>(rig.network->connections()), "+what\r\n");
    ASSERT_EQ(rig.Get(), "a of 1");
    EXPECT_EQ(rig.Count("1 CLIENT KILL ID 1"), 1);
    EXPECT_TRUE(rig.client.Settle(300)) << of_two;
    rig.network->DeliverAll();
    EXPECT_EQ(rig.Count("1 SET"), 0) << "executed after all";
  }
}

// A connection that breaks while its library is looked after is taken for one
// that was never any good, and the next server is tried at once.
TEST(Fence, IsOfTheServerThatWasLeft) {
  Rig rig(TwoServers());
  bool silent = false;
  rig.play = [&](std::uint16_t port, const Words& command) -> std::optional<std::string> {
    if (command[0] == "FCALL" && command[1] == "f") {
      silent |= port == 1;
      return port == 1 ? kMissing : Bulk("done");
    }
    if (port == 1 && silent) return "";
    return TwoOf("", "")(port, command);
  };
  ASSERT_EQ(rig.Get(), "a of 1");
  ASSERT_TRUE(rig.Submit(1, {"FCALL", "f", "0"}));
  ASSERT_TRUE(rig.Submit(2, {"SET", "a", "b"}));
  for (int i = 0; i < 100 && rig.ends.count(2) == 0; ++i) rig.client.Poll(50);
  EXPECT_EQ(rig.ends[2], "unknown: no connection in time");
  ASSERT_EQ(rig.Get(), "a of 2");
  EXPECT_FALSE(rig.client.Settle(300));
  EXPECT_EQ(rig.Count("2 CLIENT KILL"), 0);
}

TEST(Fence, IsNotNeededWhereAReplicaHasTakenOver) {
  Rig rig(TwoServers());
  rig.play = TwoOf("master_replid:aaa\r\n", "master_replid:bbb\r\nmaster_replid2:aaa\r\n");
  ASSERT_EQ(rig.Get(), "a of 1");
  LoseACommand(rig, 1);
  EXPECT_TRUE(rig.client.Settle(1000));
  EXPECT_EQ(rig.Count("2 CLIENT KILL"), 0);
}

TEST(Fence, IsPutUpAlsoWhereTheServerHasAnotherName) {
  Rig rig(TwoServers());
  ASSERT_EQ(rig.Get(), "a of 1");  // both are the same process
  LoseACommand(rig, 1);
  EXPECT_TRUE(rig.client.Settle(1000));
  EXPECT_EQ(rig.Count("2 CLIENT KILL ID 1"), 1);
}

TEST(Fence, OfTwoServersIsNone) {
  Rig rig(TwoServers());
  rig.play = TwoOf("", "");
  ASSERT_EQ(rig.Get(), "a of 1");
  LoseACommand(rig, 1);
  ASSERT_EQ(rig.Get(), "a of 2");
  LoseACommand(rig);
  EXPECT_FALSE(rig.client.Settle(300));
  EXPECT_EQ(rig.Get(), "a of 2");
  EXPECT_FALSE(rig.client.Settle(300)) << "the one at the first server is open still";
}

TEST(Fence, ThatCouldNotBePutUpIsNotForgottenForTheNext) {
  Rig rig;
  rig.server.forbidden = {"KILL"};
  ASSERT_EQ(rig.Get(), "a of 1");
  LoseACommand(rig);
  EXPECT_FALSE(rig.client.Settle(300));
  rig.server.forbidden = {};
  LoseACommand(rig);
  EXPECT_FALSE(rig.client.Settle(300)) << "the first one is open still";
  // With the process go all of them.
  rig.server.Restart();
  rig.network->Say(static_cast<std::int64_t>(rig.network->connections()), "+what\r\n");
  EXPECT_EQ(rig.Get(), "a of 1");
  EXPECT_TRUE(rig.client.Settle(300));
}

TEST(Fence, OfAServerThatDoesNotSayWhoItIsStaysOpen) {
  Rig rig;
  std::string info = "-NOPERM no\r\n";
  rig.play = [&](std::uint16_t, const Words& command) -> std::optional<std::string> {
    if (command[0] == "INFO") return info;
    return std::nullopt;
  };
  ASSERT_EQ(rig.Get(), "a of 1");
  LoseACommand(rig);
  EXPECT_FALSE(rig.client.Settle(300));
  info = Info("a name at last");
  EXPECT_FALSE(rig.client.Settle(300));
  rig.network->Say(static_cast<std::int64_t>(rig.network->connections()), "+what\r\n");
  ASSERT_EQ(rig.Get(), "a of 1");
  EXPECT_FALSE(rig.client.Settle(300));

  // Nor does one that says it no more show that it is another process.
  Rig other;
  ASSERT_EQ(other.Get(), "a of 1");
  other.play = [](std::uint16_t, const Words& command) -> std::optional<std::string> {
    if (command[0] == "INFO") return "-NOPERM no\r\n";
    return std::nullopt;
  };
  LoseACommand(other);
  EXPECT_FALSE(other.client.Settle(300));
}

}  // namespace
}  // namespace ffgrant::valkey::internal
