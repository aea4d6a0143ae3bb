// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/valkey/internal/lost_connections.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace ffgrant::valkey::internal {
namespace {

const Endpoint kHere = {.host = "10.0.0.1", .port = 7000};
const Endpoint kThere = {.host = "10.0.0.2", .port = 7000};

ServerIdentity Alone(std::string_view run_id, std::int64_t latest_start = -1,
                     const Endpoint& where = kHere) {
  return {.run_id = run_id, .endpoint = where, .latest_start = latest_start};
}
ServerIdentity NodeOf(std::string_view node_id, std::string_view run_id,
                      const Endpoint& where = kHere) {
  return {.node_id = node_id, .run_id = run_id, .endpoint = where, .cluster = true};
}
std::size_t CountOf(const LostConnections& lost, std::uint16_t slot,
                    std::uint64_t before = UINT64_MAX) {
  std::vector<LostConnections::Target> targets;
  EXPECT_TRUE(lost.List(slot, before, targets));
  return targets.size();
}

TEST(LostConnections, AreOfTheSlotsThatWereLostOnThem) {
  LostConnections lost;
  const std::uint64_t a = lost.Add(Alone("p"), 5, 100, std::uint16_t{7}, false);
  lost.AddSlot(a, std::uint16_t{9});
  lost.AddSlot(a, std::uint16_t{9});
  const std::uint64_t b = lost.Add(Alone("p"), 6, 100, std::nullopt, false);
  EXPECT_LT(a, b);
  EXPECT_EQ(lost.next_number(), b + 1);
  EXPECT_EQ(CountOf(lost, 7), 2u);
  EXPECT_EQ(CountOf(lost, 9), 2u);
  EXPECT_EQ(CountOf(lost, 8), 1u) << "what is of any slot";
  EXPECT_EQ(CountOf(lost, 7, b), 1u);
  EXPECT_EQ(CountOf(lost, 7, a), 0u);
  lost.Resolve(a);
  lost.Resolve(a);
  EXPECT_EQ(CountOf(lost, 7), 1u);
  EXPECT_EQ(lost.size(), 1u);
}

TEST(LostConnections, AreShutOnTheirOwnProcessOnceTheyAreClosed) {
  LostConnections lost;
  const std::uint64_t open = lost.Add(Alone("p"), 5, 100, std::uint16_t{7}, true);
  EXPECT_FALSE(lost.NextFence("p")) << "its answers may still come";
  lost.Close(open);
  EXPECT_FALSE(lost.NextFence("q"));
  EXPECT_FALSE(lost.NextFence(""));
  ASSERT_TRUE(lost.NextFence("p"));
  EXPECT_EQ(lost.NextFence("p")->client_id, 5);
  EXPECT_EQ(lost.NextFence("p")->number, open);
  lost.SetUnfenceable(open);
  EXPECT_FALSE(lost.NextFence("p"));
  EXPECT_EQ(CountOf(lost, 7), 1u) << "it is open all the same";
}

TEST(LostConnections, ThatCantBeToldApartAreOne) {
  LostConnections lost;
  for (std::uint16_t slot = 0; slot < 100; ++slot) {
    (void)lost.Add(Alone("p"), 0, slot, slot, false);
    (void)lost.Add(Alone(""), slot, slot, slot, false);  // an id of an unknown process
  }
  EXPECT_EQ(lost.size(), 2u);
  EXPECT_EQ(CountOf(lost, 99), 2u);
  EXPECT_FALSE(lost.NextFence("p"));
}

TEST(LostConnections, OfASingleServerGoWithItsRestartAlone) {
  struct Case {
    std::string what;
    ServerIdentity found;
    bool gone;
  };
  const Case kCases[] = {
      {"the same process", Alone("p", 5000), false},
      {"a process that started afterwards", Alone("q", 1000), true},
      {"one that had been running before", Alone("q", 999), false},
      {"one of unknown age", Alone("q"), false},
      {"one that does not say who it is", Alone("", 5000), false},
      {"one at another address", Alone("q", 5000, kThere), false},
      {"a node of a cluster", NodeOf("n", "q"), false},
  };
  for (const Case& c : kCases) {
    LostConnections lost;
    (void)lost.Add(Alone("p"), 5, 1000, std::uint16_t{7}, false);
    (void)lost.Add(Alone(""), 5, 1000, std::uint16_t{7}, false);
    lost.OnServer(c.found);
    EXPECT_EQ(lost.size(), c.gone ? 1u : 2u) << c.what;
  }
}

TEST(LostConnections, OfANodeGoWithAnotherProcessOfThatNodeWhereverItIs) {
  struct Case {
    std::string what;
    ServerIdentity found;
    bool gone;
  };
  const Case kCases[] = {
      {"the same process", NodeOf("n", "p"), false},
      {"the same process elsewhere", NodeOf("n", "p", kThere), false},
      {"another process", NodeOf("n", "q"), true},
      {"another process elsewhere", NodeOf("n", "q", kThere), true},
      {"another node at the same address", NodeOf("m", "q"), false},
      {"a node that does not say who it is", NodeOf("", "q"), false},
      {"a process that does not say who it is", NodeOf("n", ""), false},
      {"a single server at the same address", Alone("q", 1 << 20), false},
  };
  for (const Case& c : kCases) {
    LostConnections lost;
    (void)lost.Add(NodeOf("n", "p"), 5, 1000, std::uint16_t{7}, false);
    lost.OnServer(c.found);
    EXPECT_EQ(lost.size(), c.gone ? 0u : 1u) << c.what;
  }
}

TEST(LostConnections, ChangeNothingWhereAPromotedReplicaAnswers) {
  struct Case {
    std::string what;
    std::string history;
    ServerIdentity reader;
    bool may_change;
  };
  const Case kCases[] = {
      {"the promoted replica", "hhh", {.run_id = "q", .former_history = "hhh"}, false},
      {"a server of another history", "hhh", {.run_id = "q", .former_history = "ggg"}, true},
      {"a server with the same history now", "hhh", {.run_id = "q", .history = "hhh"}, true},
      {"no histories", "", {.run_id = "q"}, true},
      {"the same process", "hhh", {.run_id = "p", .former_history = "hhh"}, true},
      {"nobody knows who", "hhh", {.former_history = "hhh"}, true},
  };
  for (const Case& c : kCases) {
    LostConnections lost;
    ServerIdentity first = NodeOf("n", "p");
    first.history = c.history;
    (void)lost.Add(first, 5, 1000, std::uint16_t{7}, false);
    std::vector<LostConnections::Target> targets;
    ASSERT_TRUE(lost.List(7, UINT64_MAX, targets));
    EXPECT_EQ(LostConnections::MayStillChange(targets, c.reader), c.may_change) << c.what;
  }
  EXPECT_FALSE(LostConnections::MayStillChange({}, {}));
}

TEST(LostConnections, AreBoundedAndThoseGivenUpAreNotForgotten) {
  LostConnections lost;
  std::uint64_t first = 0;
  for (std::size_t i = 0; i < LostConnections::kMaxEntries; ++i) {
    const std::uint64_t number = lost.Add(Alone("p"), static_cast<std::int64_t>(i + 1), 0,
                                          static_cast<std::uint16_t>(i == 0 ? 7 : 8), false);
    if (i == 0) first = number;
  }
  EXPECT_EQ(CountOf(lost, 7), 1u);
  (void)lost.Add(Alone("p"), 99'999, 0, std::uint16_t{9}, false);
  EXPECT_EQ(lost.size(), LostConnections::kMaxEntries);
  std::vector<LostConnections::Target> targets;
  EXPECT_FALSE(lost.List(7, UINT64_MAX, targets)) << "nobody can settle it any more";
  EXPECT_TRUE(lost.List(6, UINT64_MAX, targets));
  lost.AddSlot(first, std::uint16_t{6});
  EXPECT_FALSE(lost.List(6, UINT64_MAX, targets));

  // One with very many slots stands for all of them.
  LostConnections other;
  const std::uint64_t number = other.Add(Alone("p"), 1, 0, std::uint16_t{0}, false);
  for (std::uint16_t slot = 1; slot < LostConnections::kMaxSlots; ++slot) {
    other.AddSlot(number, slot);
  }
  EXPECT_EQ(CountOf(other, 16'000), 0u);
  other.AddSlot(number, static_cast<std::uint16_t>(LostConnections::kMaxSlots));
  EXPECT_EQ(CountOf(other, 16'000), 1u);
}

}  // namespace
}  // namespace ffgrant::valkey::internal
