// SPDX-License-Identifier: Apache-2.0
//
// Tests the rules of the cluster protocol, with one scripted test for each: what a redirection
// changes and what it must leave alone, in which order commands go out, and to which command an
// answer belongs.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "testing/simulation/client_rig.h"

namespace ffgrant::valkey::testing {
namespace {

using Kind = Fault::Kind;

// A cluster in which the node at port 1 has all slots but the last, and the node at port 7 has the
// last one. `answer_` can give other answers.
class ClusterProtocol : public ::testing::Test {
 protected:
  ClusterProtocol() { Serve(rig_); }

  void Serve(ClientRig& rig) {
    rig.server.mode = "cluster";
    rig.play = [this](std::uint16_t port, const Words& command) -> std::optional<std::string> {
      if (command[0] == "INFO") return Info("run" + std::to_string(port), "master", "cluster");
      if (command[0] == "CLUSTER") return table_;
      if (answer_) {
        if (auto reply = answer_(port, command)) return reply;
      }
      if (command[0] == "ASKING") return "+OK\r\n";
      return std::nullopt;
    };
  }
  int Tables() const { return rig_.Count("1 CLUSTER SLOTS") + rig_.Count("7 CLUSTER SLOTS"); }
  // Returns the GET, SET and ASKING commands that have come since Executed() was last used, in
  // order.
  std::vector<std::string> Executed() {
    std::vector<std::string> lines;
    for (; seen_ < rig_.log.size(); ++seen_) {
      const std::string& line = rig_.log[seen_];
      if (line.find(" GET ") != std::string::npos || line.find(" SET ") != std::string::npos ||
          line.find(" ASKING") != std::string::npos) {
        lines.push_back(line);
      }
    }
    return lines;
  }
  using Lines = std::vector<std::string>;

  std::string table_ = Array({Range(0, 16382, 1), Range(16383, 16383, 7)});
  Play answer_;
  ClientRig rig_;
  std::size_t seen_ = 0;
};

// While a slot is being moved, its owner stays the same.
TEST_F(ClusterProtocol, AskLeavesTheTableAlone) {
  answer_ = [](std::uint16_t port, const Words& command) -> std::optional<std::string> {
    if (port == 1 && command[0] == "GET") return "-ASK 5 127.0.0.1:7\r\n";
    return std::nullopt;
  };
  for (int i = 1; i <= 4; ++i) {
    EXPECT_EQ(rig_.Get(false, 5), "a of 7");
    EXPECT_EQ(Executed(), (Lines{"1 GET a", "7 ASKING", "7 GET a"})) << i;
  }
  EXPECT_EQ(rig_.client.redirections(), 4u);
  rig_.Pass(1000);
  EXPECT_EQ(rig_.Get(false, 6), "a of 7");
  EXPECT_EQ(rig_.Count("1 CLUSTER SLOTS"), 1) << "the table is as good as it was";
}

TEST_F(ClusterProtocol, WhatWasAskedOnceGoesToTheOwnerAgain) {
  bool moving = true;
  answer_ = [&](std::uint16_t port, const Words& command) -> std::optional<std::string> {
    if (port == 1 && command[0] == "GET" && moving) return "-ASK 5 127.0.0.1:7\r\n";
    return std::nullopt;
  };
  EXPECT_EQ(rig_.Get(false, 5), "a of 7");
  moving = false;
  EXPECT_EQ(rig_.Get(false, 5), "a of 1");
}

// ASKING holds only for the command after it.
TEST_F(ClusterProtocol, EachCommandThatIsAskedElsewhereHasItsOwnAsking) {
  answer_ = [](std::uint16_t port, const Words& command) -> std::optional<std::string> {
    if (port == 1 && command[0] == "GET") return "-ASK 5 127.0.0.1:7\r\n";
    return std::nullopt;
  };
  ASSERT_EQ(rig_.Get(false, 5), "a of 7");  // now the client is connected to both nodes
  (void)Executed();
  for (std::uint64_t tag = 1; tag <= 3; ++tag) {
    ASSERT_TRUE(rig_.Submit(tag, {"GET", "k" + std::to_string(tag)}, false, 5));
  }
  while (rig_.ends.size() < 4) rig_.client.Poll(50);
  EXPECT_EQ(Executed(), (Lines{"1 GET k1", "1 GET k2", "1 GET k3", "7 ASKING", "7 GET k1",
                               "7 ASKING", "7 GET k2", "7 ASKING", "7 GET k3"}));
  for (std::uint64_t tag = 1; tag <= 3; ++tag) {
    EXPECT_EQ(rig_.ends[tag], "k" + std::to_string(tag) + " of 7");
  }
}

// The answer to ASKING is never taken for the call's answer, whatever it says.
TEST_F(ClusterProtocol, TheAnswerToAskingIsNobodys) {
  for (const std::string words : {"+OK\r\n", "-ERR unknown command 'ASKING'\r\n", "+a of 8\r\n",
                                  "-MOVED 5 127.0.0.1:8\r\n"}) {
    ClientRig rig;
    answer_ = [&](std::uint16_t port, const Words& command) -> std::optional<std::string> {
      if (command[0] == "ASKING") return words;
      if (port == 1 && command[0] == "GET") return "-ASK 5 127.0.0.1:7\r\n";
      return std::nullopt;
    };
    Serve(rig);
    EXPECT_EQ(rig.Get(false, 5), "a of 7") << words;
    EXPECT_EQ(rig.Count("8 "), 0) << words;
  }
}

// After a slot has moved, the next command for it goes to the new node, and the client asks for the
// table.
TEST_F(ClusterProtocol, MovedChangesItsSlotAtOnceAndAsksForTheTable) {
  bool tells = false;
  answer_ = [&](std::uint16_t port, const Words& command) -> std::optional<std::string> {
    if (port == 1 && command[0] == "GET" && command[1] == "a" && !tells) {
      return "-MOVED 5 127.0.0.1:7\r\n";
    }
    return std::nullopt;
  };
  ASSERT_EQ(rig_.Do({"GET", "b"}, false, 4), "b of 1");
  (void)Executed();
  const int tables = Tables();
  table_ = Array({Range(0, 4, 1), Range(5, 5, 7), Range(6, 16382, 1), Range(16383, 16383, 7)});
  EXPECT_EQ(rig_.Get(false, 5), "a of 7");
  EXPECT_EQ(Executed(), (Lines{"1 GET a", "7 GET a"}));
  EXPECT_EQ(rig_.Get(false, 5), "a of 7");
  EXPECT_EQ(Executed(), (Lines{"7 GET a"})) << "without a detour";
  // The slots next to this one stay where they are.
  EXPECT_EQ(rig_.Do({"GET", "b"}, false, 4), "b of 1");
  EXPECT_EQ(rig_.Do({"GET", "b"}, false, 6), "b of 1");
  EXPECT_EQ(rig_.client.redirections(), 1u);
  rig_.Pass(1000);
  EXPECT_EQ(rig_.Get(false, 5), "a of 7");
  EXPECT_GT(Tables(), tables);
}

TEST_F(ClusterProtocol, MovedIsNoReasonForAsking) {
  answer_ = [this](std::uint16_t port, const Words& command) -> std::optional<std::string> {
    if (port != 1 || command[0] != "GET") return std::nullopt;
    table_ = Array({Range(0, 4, 1), Range(5, 16383, 7)});
    return "-MOVED 5 127.0.0.1:7\r\n";
  };
  EXPECT_EQ(rig_.Get(false, 5), "a of 7");
  EXPECT_EQ(Executed(), (Lines{"1 GET a", "7 GET a"}));
}

// Only the next try goes where ASK says: if that try is refused too, the client asks the owner
// again.
TEST_F(ClusterProtocol, AskHoldsForOneTry) {
  int refusals = 2;
  answer_ = [&](std::uint16_t port, const Words& command) -> std::optional<std::string> {
    if (command[0] != "GET") return std::nullopt;
    if (port == 1) return "-ASK 5 127.0.0.1:7\r\n";
    if (refusals-- > 0) return "-TRYAGAIN Multiple keys request during rehashing of slot\r\n";
    return std::nullopt;
  };
  EXPECT_EQ(rig_.Get(false, 5), "a of 7");
  EXPECT_EQ(Executed(), (Lines{"1 GET a", "7 ASKING", "7 GET a", "1 GET a", "7 ASKING", "7 GET a",
                               "1 GET a", "7 ASKING", "7 GET a"}));
}

// While a slot is being moved, its keys may be at two nodes. After TRYAGAIN the client asks the
// same node again.
TEST_F(ClusterProtocol, TryAgainWaitsAndAsksTheSameNode) {
  int refusals = 3;
  std::vector<std::int64_t> times;
  answer_ = [&](std::uint16_t, const Words& command) -> std::optional<std::string> {
    if (command[0] != "GET") return std::nullopt;
    times.push_back(rig_.network->NowMs());
    if (refusals-- > 0) return "-TRYAGAIN Multiple keys request during rehashing of slot\r\n";
    return std::nullopt;
  };
  EXPECT_EQ(rig_.Get(false, 5), "a of 1");
  EXPECT_EQ(Executed(), (Lines{"1 GET a", "1 GET a", "1 GET a", "1 GET a"}));
  EXPECT_EQ(rig_.client.redirections(), 0u);
  ASSERT_EQ(times.size(), 4u);
  for (std::size_t i = 1; i < times.size(); ++i) EXPECT_GT(times[i], times[i - 1]) << i;
  rig_.Pass(1000);
  EXPECT_EQ(rig_.Get(false, 5), "a of 1");
  EXPECT_EQ(Tables(), 1) << "the table is as good as it was";
}

// A node that was demoted, or that has no cluster any more, may be the wrong node to ask.
TEST_F(ClusterProtocol, RefusalsThatSayWhoItIsAskForTheTable) {
  for (const std::string refusal :
       {"READONLY You can't write against a read only replica.", "CLUSTERDOWN The cluster is down",
        "MASTERDOWN Link with MASTER is down"}) {
    ClientRig rig;
    table_ = Array({Range(0, 16382, 1), Range(16383, 16383, 7)});
    answer_ = [&](std::uint16_t port, const Words& command) -> std::optional<std::string> {
      if (port != 1 || command[0] != "GET") return std::nullopt;
      table_ = Array({Range(0, 16383, 7)});
      return "-" + refusal + "\r\n";
    };
    Serve(rig);
    EXPECT_EQ(rig.Get(false, 5), "a of 7") << refusal;
    EXPECT_EQ(rig.client.redirections(), 0u) << refusal;
  }
}

// Calls that were sent to the old owner keep their answers when the table changes.
TEST_F(ClusterProtocol, ATableChangesNothingForWhatIsUnderWay) {
  answer_ = [](std::uint16_t port, const Words& command) -> std::optional<std::string> {
    if (port == 1 && command[0] == "GET" && command[1] == "gone") return "-MOVED 5 127.0.0.1:7\r\n";
    return std::nullopt;
  };
  ASSERT_EQ(rig_.Get(false, 4), "a of 1");
  table_ = Array({Range(0, 4, 1), Range(5, 16383, 7)});
  ASSERT_TRUE(rig_.Submit(1, {"GET", "b"}, false, 9));
  ASSERT_TRUE(rig_.Submit(2, {"GET", "gone"}, false, 5));
  ASSERT_TRUE(rig_.Submit(3, {"GET", "c"}, false, 9));
  while (rig_.ends.size() < 4) rig_.client.Poll(50);
  EXPECT_EQ(rig_.ends[1], "b of 1");
  EXPECT_EQ(rig_.ends[2], "gone of 7");
  EXPECT_EQ(rig_.ends[3], "c of 1");
}

// ---- whose answer it is ------------------------------------------------------------

// The ring of expected replies grows while its first entry is somewhere in the middle.
TEST(AnswersInOrder, StayWithTheirCallsWhenTheRingGrows) {
  for (const std::size_t before : {0u, 1u, 7u, 15u, 16u, 17u, 31u}) {
    ClientOptions options = RigOptions();
    options.max_in_flight = 256;
    ClientRig rig(options);
    ASSERT_EQ(rig.Get(), "a of 1");
    for (std::size_t i = 0; i < before; ++i) ASSERT_EQ(rig.Get(), "a of 1");
    const std::size_t done = rig.ends.size();
    std::uint64_t tag = 0;
    for (const std::size_t more : {10u, 30u, 100u}) {
      for (std::size_t i = 0; i < more; ++i) {
        ++tag;
        ASSERT_TRUE(rig.Submit(tag, {"GET", "k" + std::to_string(tag)}));
      }
    }
    while (rig.ends.size() < done + tag) rig.client.Poll(50);
    for (std::uint64_t i = 1; i <= tag; ++i) {
      EXPECT_EQ(rig.ends[i], "k" + std::to_string(i) + " of 1") << before;
    }
  }
}

TEST(AnswersInOrder, AQueueKeepsItsOrderWhereverItBegins) {
  using internal::Expected;
  for (std::uint32_t begin = 0; begin <= 40; ++begin) {
    for (std::uint32_t kept = 0; kept <= 40; ++kept) {
      internal::ExpectedQueue queue;
      std::uint32_t in = 0;
      std::uint32_t out = 0;
      const auto push = [&] { queue.push({Expected::Kind::kRequest, in++, 0, 0}); };
      const auto pop = [&] {
        ASSERT_EQ(queue.front().request, out++);
        queue.pop();
      };
      for (std::uint32_t i = 0; i < kept; ++i) push();
      for (std::uint32_t i = 0; i < begin; ++i) {
        push();
        pop();
      }
      for (std::uint32_t i = 0; i < 80; ++i) push();
      ASSERT_EQ(queue.size(), kept + 80u);
      for (std::uint32_t i = out; i < in; ++i) ASSERT_EQ(queue.of_request(i).request, i);
      while (!queue.empty()) pop();
      ASSERT_EQ(out, in);
    }
  }
}

// ---- coming back -------------------------------------------------------------------

// The wait before a try may be twice as long as that before the last try, up to the longest wait.
// Once a call has been answered, the first try after the next failure is made at once.
TEST(Reconnecting, CalmsDownAndIsForgivenByAnAnswer) {
  ClientOptions options = RigOptions();
  options.request_timeout_ms = 100'000;
  options.connect_timeout_ms = 50'000;
  options.reconnect = {16, 1024};
  ClientRig rig(options);
  bool listening = true;
  std::vector<std::int64_t> opened;
  rig.network->SetScript([&](Operation operation) -> Fault {
    if (operation != Operation::kOpen) return {};
    opened.push_back(rig.network->NowMs());
    return listening ? Fault{} : Fault{Kind::kRefused};
  });
  for (int round = 0; round < 2; ++round) {
    ASSERT_EQ(rig.Get(), "a of 1");
    listening = false;
    opened.clear();
    rig.network->HangUp(static_cast<std::int64_t>(rig.network->connections()));
    ASSERT_TRUE(rig.Submit(static_cast<std::uint64_t>(round), {"GET", "a"}, true));
    const std::int64_t begin = rig.network->NowMs();
    while (rig.network->NowMs() < begin + 9'000) rig.client.Poll(500);
    ASSERT_GE(opened.size(), 9u);
    EXPECT_LE(opened[0] - begin, 20) << "the first try is made at once";
    std::int64_t step = 16;
    for (std::size_t i = 1; i < opened.size(); ++i) {
      const std::int64_t waited = opened[i] - opened[i - 1];
      step = std::min<std::int64_t>(2 * step, 1024);
      EXPECT_GE(waited, step / 2) << i;
      EXPECT_LE(waited, step + 20) << i;
    }
    listening = true;
    while (rig.ends.count(static_cast<std::uint64_t>(round)) == 0) rig.client.Poll(500);
    EXPECT_EQ(rig.ends[static_cast<std::uint64_t>(round)], "a of 1");
  }
}

// A server whose connections break right after the greeting counts as one that fails. Only the
// first try after a connection that worked is made at once.
TEST(Reconnecting, CalmsDownWhereEachConnectionIsLostBehindItsGreeting) {
  ClientOptions options = RigOptions();
  options.request_timeout_ms = 100'000;
  options.reconnect = {16, 1024};
  ClientRig rig(options);
  ASSERT_EQ(rig.Get(), "a of 1");
  rig.play = [](std::uint16_t, const Words& command) -> std::optional<std::string> {
    if (command[0] == "GET") return "no RESP\r\n";
    return std::nullopt;
  };
  std::vector<std::int64_t> opened;
  rig.network->SetScript([&](Operation operation) -> Fault {
    if (operation == Operation::kOpen) opened.push_back(rig.network->NowMs());
    return {};
  });
  ASSERT_TRUE(rig.Submit(1, {"GET", "a"}, true));
  const std::int64_t begin = rig.network->NowMs();
  while (rig.network->NowMs() < begin + 9'000) rig.client.Poll(500);
  ASSERT_GE(opened.size(), 9u);
  std::int64_t step = 16;
  for (std::size_t i = 1; i < opened.size(); ++i) {
    step = std::min<std::int64_t>(2 * step, 1024);
    EXPECT_GE(opened[i] - opened[i - 1], step / 2) << i;
  }
}

}  // namespace
}  // namespace ffgrant::valkey::testing
