// SPDX-License-Identifier: Apache-2.0
//
// Tests what the client does if answers come and if they do not: which commands it repeats, and
// which calls and connections it ends.

#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "testing/simulation/client_rig.h"

namespace ffgrant::valkey::testing {
namespace {

using Kind = Fault::Kind;

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

// Other answers have come behind the one that does not fit. The client does not take them for
// answers to what it asks on the next connection.
TEST(Client, WhatCameBehindAnAnswerThatDoesNotFitIsForgotten) {
  for (const int behind : {1, 2, 7}) {
    SCOPED_TRACE(behind);
    ClientRig rig;
    ASSERT_EQ(rig.Get(), "a of 1");
    rig.fits = false;
    for (int i = 0; i <= behind; ++i) {
      ASSERT_TRUE(rig.Submit(static_cast<std::uint64_t>(i), {"SET", "a", "1"}));
    }
    for (int i = 0; i < 100 && rig.client.in_flight() > 0; ++i) rig.client.Poll(10);
    ASSERT_EQ(rig.Count("1 SET"), behind + 1);
    for (int i = 0; i <= behind; ++i) {
      EXPECT_EQ(rig.ends[static_cast<std::uint64_t>(i)],
                "unknown: an answer that does not fit its command");
    }
    rig.fits = true;
    EXPECT_EQ(rig.Get(), "a of 1");
    EXPECT_EQ(rig.client.server().name, "valkey") << "the answer to INFO was another call's";
    EXPECT_EQ(rig.network->connections(), 2u);
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

// One place of the client serves one command after the other. Each of them meets the same obstacles
// before it gets through, and each begins with a count of none: the tenth fares as the first.
TEST(Obstacles, OfEarlierCommandsDoNotCount) {
  const struct {
    std::string what;
    int times;  // that often a command can be refused without a long wait
    std::string (*refusal)(std::uint16_t port);
  } kCases[] = {
      {"refused for now", 1, [](std::uint16_t) { return std::string("-TRYAGAIN Not now\r\n"); }},
      {"the function is missing", 3, [](std::uint16_t) { return std::string(kMissing); }},
      {"redirected", 5,
       [](std::uint16_t port) { return "-MOVED 0 :" + std::to_string(port % 2 + 1) + "\r\n"; }},
      {"asked elsewhere", 5,
       [](std::uint16_t port) { return "-ASK 0 :" + std::to_string(port % 2 + 1) + "\r\n"; }},
  };
  const std::string slots = Array({Range(0, 8191, 1), Range(8192, 16383, 2)});
  for (const auto& c : kCases) {
    ClientOptions options = RigOptions();
    options.max_in_flight = 1;
    options.request_timeout_ms = 5000;
    options.retry = {.first_ms = 8, .longest_ms = 1000};
    ClientRig rig(options);
    int refused = 0;
    rig.play = [&](std::uint16_t port, const Words& command) -> std::optional<std::string> {
      if (command[0] == "INFO") return Info("run" + std::to_string(port), "master", "cluster");
      if (command[0] == "CLUSTER") return slots;
      if (command[0] != "FCALL" || command[1] != "f") return std::nullopt;
      return refused++ < c.times ? c.refusal(port) : Bulk("done");
    };
    for (int number = 1; number <= 10; ++number) {
      refused = 0;
      const std::int64_t begin = rig.network->NowMs();
      EXPECT_EQ(rig.Do({"FCALL", "f", "0"}), "done") << c.what << ": command " << number;
      EXPECT_LE(rig.network->NowMs() - begin, 60) << c.what << ": command " << number;
      EXPECT_EQ(refused, c.times + 1) << c.what << ": command " << number;
    }
  }
}

// A command may end while it waits for the server to which another server has sent it. The next
// command in its place goes to the server of its own slot.
TEST(Obstacles, OfACommandThatEndedDoNotCount) {
  for (const std::string redirection : {"-ASK 0 :3\r\n", "-MOVED 16383 :3\r\n"}) {
    ClientOptions options = RigOptions();
    options.max_in_flight = 1;
    options.request_timeout_ms = 200;
    options.connect_timeout_ms = 30'000;
    ClientRig rig(options);
    bool redirects = false;
    rig.play = [&](std::uint16_t port, const Words& command) -> std::optional<std::string> {
      if (command[0] == "INFO") return Info("run" + std::to_string(port), "master", "cluster");
      if (command[0] == "CLUSTER") return Array({Range(0, 16382, 1), Range(16383, 16383, 2)});
      return command[0] == "GET" && redirects ? redirection : std::optional<std::string>();
    };
    ASSERT_EQ(rig.Get(true, 0), "a of 1");
    ASSERT_EQ(rig.Get(true, 16383), "a of 2");
    rig.network->SetScript([&rig](Operation operation) -> Fault {
      const auto last = static_cast<std::int64_t>(rig.network->connections());
      const bool silent = operation == Operation::kOpen && rig.network->endpoint(last).port == 3;
      return {silent ? Kind::kWouldBlock : Kind::kNone};
    });
    redirects = true;
    EXPECT_TRUE(rig.Get(true, 16383).starts_with("unavailable")) << redirection;
    redirects = false;
    EXPECT_EQ(rig.Get(true, 0), "a of 1") << redirection;
    EXPECT_EQ(rig.log.back(), "1 GET a") << redirection;
    EXPECT_EQ(rig.Count("1 ASKING") + rig.Count("3 ASKING"), 0) << redirection;
  }
}

// If a function raises an error, it may have written something before.
TEST(Errors, OfARunningFunctionAreAnswers) {
  for (const std::string error :
       {"NOPERM ACL failure in script: User u has no permissions to run the 'xadd' command "
        "script: ff_claim_execution, on @user_function:212.",
        "OOM command not allowed when used memory > 'maxmemory'. script: ff_x, on "
        "@user_function:3.",
        "READONLY You can't write against a read only replica. script: ff_x, on @user_function:3.",
        "ERR Function not found script: ff_x, on @user_function:3."}) {
    ClientRig rig;
    rig.play = [&](std::uint16_t, const Words& command) -> std::optional<std::string> {
      if (command[0] == "SET") return "-" + error + "\r\n";
      return std::nullopt;
    };
    EXPECT_EQ(rig.Do({"SET", "a", "b"}), "error: " + error);
    EXPECT_EQ(rig.Count("1 SET"), 1);
  }
}

// A failover happens while many calls are under way. Each command that writes is refused by itself,
// and is then sent to another server.
TEST(Demotion, CostsNoCallItsAnswer) {
  ClientOptions options = TwoServers();
  options.max_in_flight = 256;
  options.request_timeout_ms = 2000;
  ClientRig rig(options);
  bool demoted = false;
  rig.play = [&](std::uint16_t port, const Words& command) -> std::optional<std::string> {
    if (port == 1 && demoted && command[0] == "INFO") return Info("one", "slave");
    if (port == 1 && demoted && command[0] == "SET") return "-READONLY a replica\r\n";
    return std::nullopt;
  };
  ASSERT_EQ(rig.Get(), "a of 1");
  demoted = true;
  for (std::uint64_t i = 0; i < 255; ++i) ASSERT_TRUE(rig.Submit(i, {"SET", "a", "b"}));
  // The last command only reads, and the replica answers it.
  ASSERT_TRUE(rig.Submit(255, {"GET", "a"}, true));
  for (int i = 0; i < 1000 && rig.client.in_flight() > 0; ++i) rig.client.Poll(20);
  for (std::uint64_t i = 0; i < 255; ++i) EXPECT_EQ(rig.ends[i], "OK") << i;
  EXPECT_EQ(rig.ends[255], "a of 1");
  EXPECT_EQ(rig.Count("1 SET"), 255);
  EXPECT_EQ(rig.Count("2 SET"), 255);
  EXPECT_EQ(rig.lost->size(), 0u);
}

// A call that has little time left ends without ending the connection of the other calls.
TEST(Patience, OfOneCallIsNotThatOfTheOthers) {
  ClientOptions options = RigOptions();
  options.request_timeout_ms = 1000;
  ClientRig rig(options);
  ASSERT_EQ(rig.Get(), "a of 1");
  rig.network->SetScript([](Operation operation) -> Fault {
    return operation == Operation::kAnswer ? Fault{Kind::kLate, 400} : Fault{};
  });
  const CallTarget target = {
      .self = &rig, .on_reply = &ClientRig::OnReply, .on_failure = &ClientRig::OnFailure, .tag = 1};
  ASSERT_TRUE(rig.client.Submit(
      0, false, target,
      [](RespCommand& command) {
        command.Begin(3);
        for (const char* word : {"SET", "a", "b"}) command.Arg(word);
      },
      rig.network->NowMs() + 100));
  ASSERT_TRUE(rig.Submit(2, {"SET", "a", "c"}));
  const std::int64_t begin = rig.network->NowMs();
  rig.client.Poll(10'000);
  EXPECT_EQ(rig.ends[1], "unknown: no reply in time");
  EXPECT_LE(rig.network->NowMs() - begin, 110);
  EXPECT_EQ(rig.lost->size(), 1u);
  // Nothing is sent on a connection whose server is silent and may be dead.
  ASSERT_TRUE(rig.Submit(3, {"SET", "a", "d"}));
  rig.client.Poll(10);
  EXPECT_EQ(rig.Count("1 SET a d"), 0);
  for (int i = 0; i < 100 && rig.client.in_flight() > 0; ++i) rig.client.Poll(50);
  EXPECT_EQ(rig.ends[2], "OK");
  EXPECT_EQ(rig.ends[3], "OK");
  EXPECT_EQ(rig.network->connections(), 1u);
  EXPECT_EQ(rig.lost->size(), 0u) << "its answer came: it is over";

  // If the server is dead, the connection ends once its oldest command has waited for
  // request_timeout_ms.
  rig.network->SetScript(Always(Operation::kAnswer, Kind::kSilence));
  ASSERT_TRUE(rig.client.Submit(
      0, false, {&rig, &ClientRig::OnReply, &ClientRig::OnFailure, 4},
      [](RespCommand& command) {
        command.Begin(3);
        for (const char* word : {"SET", "a", "b"}) command.Arg(word);
      },
      rig.network->NowMs() + 100));
  rig.client.Poll(10'000);
  EXPECT_EQ(rig.ends[4], "unknown: no reply in time");
  rig.network->SetScript(nullptr);
  ASSERT_TRUE(rig.Submit(5, {"SET", "a", "e"}));
  const std::int64_t later = rig.network->NowMs();
  for (int i = 0; i < 100 && rig.ends.count(5) == 0; ++i) rig.client.Poll(50);
  EXPECT_EQ(rig.ends[5], "OK");
  EXPECT_LE(rig.network->NowMs() - later, 950);
  EXPECT_EQ(rig.network->connections(), 2u);
  EXPECT_EQ(rig.Count("1 CLIENT KILL"), 1);
}

// The client asks for the table on a connection that then falls silent. A call after this question
// ends before its own answer is overdue. From then on, only the question's limit watches the
// connection.
TEST(Silence, BehindAQuestionOfTheClientsOwnIsNotOutlivedByTheConnection) {
  const std::string slots = Array({Range(0, 16383, 1)});
  bool silent = false;
  bool moving = false;
  ClientRig rig;
  rig.play = [&, play = Cluster(slots)](std::uint16_t port,
                                        const Words& command) -> std::optional<std::string> {
    silent = moving && command[0] == "CLUSTER";
    if (command[0] != "GET" || command[1] != "moving") return play(port, command);
    return moving ? "-CLUSTERDOWN The cluster is down\r\n" : "+here\r\n";
  };
  rig.network->SetScript([&](Operation operation) -> Fault {
    return {operation == Operation::kAnswer && silent ? Kind::kSilence : Kind::kNone};
  });
  ASSERT_EQ(rig.Get(), "a of 1");
  rig.Pass(1000);
  moving = true;
  EXPECT_TRUE(rig.Do({"GET", "moving"}, true).starts_with("unavailable"));
  moving = silent = false;
  rig.Pass(1000);
  EXPECT_EQ(rig.Do({"GET", "moving"}, true), "here");
  EXPECT_EQ(rig.Get(), "a of 1");
}

// The server would give the same answer on every connection, so the client does not repeat a
// command that only reads.
TEST(Client, AReplyThatIsTooLargeIsAskedForOnce) {
  const std::string large = Bulk(std::string(std::size_t{1} << 17, 'x'));
  for (const std::string& reply : {large, Array(std::vector<std::string>(5000, Bulk("x"))),
                                   std::string("*1000000\r\n"), large.substr(0, 100'000)}) {
    SCOPED_TRACE(reply.substr(0, 10));
    ClientRig rig;
    ASSERT_EQ(rig.Get(), "a of 1");
    bool is_large = true;
    rig.play = [&](std::uint16_t, const Words& command) -> std::optional<std::string> {
      const bool asks = command.size() > 1 && command[1] == "large";
      return asks && is_large ? std::optional(reply) : std::nullopt;
    };
    ASSERT_TRUE(rig.Submit(1, {"GET", "large"}, true));
    ASSERT_TRUE(rig.Submit(2, {"GET", "b"}, true));
    for (int i = 0; i < 100 && rig.ends.size() < 3; ++i) rig.client.Poll(20);
    EXPECT_EQ(rig.ends[1], "unavailable: the reply is larger than max_reply_bytes");
    EXPECT_EQ(rig.Count("1 GET large"), 1);
    EXPECT_EQ(rig.ends[2], "b of 1") << "it was sent again";
    EXPECT_EQ(rig.Do({"GET", "large"}), "unknown: the reply is larger than max_reply_bytes");
    is_large = false;
    EXPECT_EQ(rig.Do({"GET", "large"}, true), "large of 1");
  }
}

// Nobody asked for the reply that is too large, or the client itself did.
TEST(Client, AReplyThatIsTooLargeMayBeNobodys) {
  const std::string large = Bulk(std::string(std::size_t{1} << 17, 'x'));
  ClientRig rig;
  ASSERT_EQ(rig.Get(), "a of 1");
  rig.network->Say(1, large);
  EXPECT_EQ(rig.Get(), "a of 1");
  EXPECT_EQ(rig.network->connections(), 2u);
  // The command under way has not been written yet.
  rig.network->SetScript([](Operation operation) -> Fault {
    return operation == Operation::kWrite ? Fault{Fault::Kind::kWouldBlock} : Fault{};
  });
  ASSERT_TRUE(rig.Submit(1, {"GET", "a"}, true));
  rig.client.Poll(0);
  rig.network->Say(2, large);
  rig.client.Poll(1);
  rig.network->SetScript(nullptr);
  for (int i = 0; i < 100 && rig.ends.count(1) == 0; ++i) rig.client.Poll(20);
  EXPECT_EQ(rig.ends[1], "a of 1");

  ClientRig greeted;
  greeted.play = [&](std::uint16_t, const Words& command) -> std::optional<std::string> {
    return command[0] == "INFO" ? std::optional(large) : std::nullopt;
  };
  EXPECT_EQ(greeted.Get(), "unavailable: the reply is larger than max_reply_bytes");
}

}  // namespace
}  // namespace ffgrant::valkey::testing
