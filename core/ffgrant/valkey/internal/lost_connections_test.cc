// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/valkey/internal/lost_connections.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <string_view>
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
std::size_t CountOf(const LostConnections& lost, CommandKey key) {
  std::vector<LostConnections::Target> targets;
  lost.List(key, targets);
  EXPECT_EQ(lost.IsSettled(key), targets.empty());
  return targets.size();
}

TEST(LostConnections, AreOfTheCommandsThatWereLostOnThem) {
  LostConnections lost;
  EXPECT_TRUE(lost.IsSettled(7));
  const std::uint64_t a = lost.Add(Alone("p"), 5, 100, 7, false);
  lost.AddKey(a, 9);
  lost.AddKey(a, 9);
  lost.AddKey(a, kNoKey);
  const std::uint64_t b = lost.Add(Alone("p"), 6, 100, kEveryKey, false);
  const std::uint64_t c = lost.Add(Alone("p"), 7, 100, kNoKey, false);
  EXPECT_LT(a, b);
  EXPECT_LT(b, c);
  EXPECT_EQ(CountOf(lost, 7), 2u);
  EXPECT_EQ(CountOf(lost, 9), 2u);
  EXPECT_EQ(CountOf(lost, 8), 1u) << "what may carry any command";
  lost.Resolve(b);
  lost.Resolve(b);
  EXPECT_EQ(CountOf(lost, 8), 0u);
  EXPECT_EQ(CountOf(lost, 9), 1u);
  lost.AddKey(a, kEveryKey);
  EXPECT_EQ(CountOf(lost, 8), 1u);
  EXPECT_EQ(lost.size(), 2u);
}

TEST(LostConnections, AreShutOnTheirOwnProcessOnceTheyAreClosed) {
  LostConnections lost;
  const std::uint64_t open = lost.Add(Alone("p"), 5, 100, 7, true);
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
  for (std::uint64_t key = 1; key <= 100; ++key) {
    const auto id = static_cast<std::int64_t>(key);
    (void)lost.Add(Alone("p"), 0, id, key, false);
    (void)lost.Add(Alone(""), id, id, key, false);  // the id belongs to an unknown process
  }
  EXPECT_EQ(lost.size(), 2u);
  EXPECT_EQ(CountOf(lost, 99), 2u);
  EXPECT_FALSE(lost.NextFence("p"));
}

// Connections that can't be told apart may have been heard of at different times. A process that
// was running while one of them was still heard of is no restart, in whichever order they were
// lost.
TEST(LostConnections, ThatCantBeToldApartWereHeardOfWhenTheLastOneWas) {
  for (const std::vector<std::int64_t>& heard_at :
       std::vector<std::vector<std::int64_t>>{{1000, 2000}, {2000, 1000}, {1000, 2000, 1500}}) {
    SCOPED_TRACE(heard_at.front());
    LostConnections lost;
    std::uint64_t key = 1;
    for (const std::int64_t at : heard_at) (void)lost.Add(Alone("p"), 0, at, key++, false);
    lost.OnServer(Alone("q", 1999));
    EXPECT_EQ(CountOf(lost, 1), 1u);
    EXPECT_EQ(CountOf(lost, 2), 1u);
    lost.OnServer(Alone("q", 2000));
    EXPECT_EQ(lost.size(), 0u);
  }
}

TEST(LostConnections, ThatDifferInAnythingAreSeveral) {
  const ServerIdentity server = NodeOf("n", "p");
  ServerIdentity alone = server;
  alone.cluster = false;
  struct Case {
    std::string what;
    ServerIdentity other;
    std::int64_t client_id;
    bool open;
    std::size_t size;
  };
  const Case kCases[] = {
      {"nothing", server, 0, false, 1},
      {"no id of a connection is negative", server, -1, false, 1},
      {"the connection is known", server, 1, false, 2},
      {"the connection stands", server, 0, true, 2},
      {"another process", NodeOf("n", "q"), 0, false, 2},
      {"another node", NodeOf("m", "p"), 0, false, 2},
      {"another address", NodeOf("n", "p", kThere), 0, false, 2},
      {"a server that stands alone", alone, 0, false, 2},
  };
  for (const Case& c : kCases) {
    LostConnections lost;
    const std::uint64_t first = lost.Add(server, 0, 0, 7, false);
    const std::uint64_t second = lost.Add(c.other, c.client_id, 0, 8, c.open);
    EXPECT_EQ(lost.size(), c.size) << c.what;
    EXPECT_EQ(first == second, c.size == 1) << c.what;
    lost.Resolve(first);
    EXPECT_EQ(lost.IsSettled(8), c.size == 1) << c.what;
  }
  // A connection that is added later does not share an entry with one that still stands.
  LostConnections lost;
  (void)lost.Add(server, 0, 0, 7, true);
  (void)lost.Add(server, 0, 0, 8, false);
  EXPECT_EQ(lost.size(), 2u);
  LostConnections negative;
  (void)negative.Add(server, -1, 0, 7, false);
  EXPECT_FALSE(negative.NextFence("p")) << "the connection has no id by which it can be shut";
}

// The server forbids CLUSTER MYID. So another process may belong to another node.
TEST(LostConnections, OfANodeWithoutAnIdStay) {
  LostConnections lost;
  (void)lost.Add(NodeOf("", "p"), 5, 1000, 7, false);
  lost.OnServer(NodeOf("", "q"));
  EXPECT_EQ(CountOf(lost, 7), 1u);
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
    (void)lost.Add(Alone("p"), 5, 1000, 7, false);
    (void)lost.Add(Alone(""), 5, 1000, 7, false);
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
    (void)lost.Add(NodeOf("n", "p"), 5, 1000, 7, false);
    lost.OnServer(c.found);
    EXPECT_EQ(lost.size(), c.gone ? 0u : 1u) << c.what;
  }
}

TEST(LostConnections, AreBoundedAndThoseGivenUpAreNotForgotten) {
  LostConnections lost;
  std::uint64_t first = 0;
  for (std::size_t i = 0; i < LostConnections::kMaxEntries; ++i) {
    const auto id = static_cast<std::int64_t>(i + 1);
    const std::uint64_t number = lost.Add(Alone("p"), id, 0, i == 0 ? 7 : 8, false);
    if (i == 0) first = number;
  }
  EXPECT_EQ(CountOf(lost, 7), 1u);
  (void)lost.Add(Alone("p"), 99'999, 0, 9, false);
  EXPECT_EQ(lost.size(), LostConnections::kMaxEntries);
  EXPECT_FALSE(lost.IsSettled(7)) << "nobody can settle it any more";
  EXPECT_TRUE(lost.IsSettled(6));
  lost.AddKey(first, 6);
  EXPECT_FALSE(lost.IsSettled(6));
  // Nobody asks for a command without a key, so giving up kNoKey must not mark another command's
  // key as given up.
  lost.AddKey(first, kNoKey);
  EXPECT_TRUE(lost.IsSettled(1 << 16));

  // Once a connection that may carry any command is given up, no command can be settled.
  LostConnections other;
  (void)other.Add(Alone("p"), 1, 0, kEveryKey, false);
  for (std::size_t i = 0; i < LostConnections::kMaxEntries; ++i) {
    (void)other.Add(Alone("p"), static_cast<std::int64_t>(i + 2), 0, 8, false);
  }
  EXPECT_FALSE(other.IsSettled(12'345));
}

TEST(LostConnections, HoldSoManyCommandsAndNoMore) {
  LostConnections lost;
  const std::uint64_t number = lost.Add(Alone("p"), 1, 0, kNoKey, false);
  // A key that was given up is remembered by its lowest 16 bits. These bits are 3 in each key of
  // this loop, and in no other key of this test.
  for (std::uint64_t i = 0; i < LostConnections::kMaxKeys; ++i) {
    lost.AddKey(number, i << 16 | 3);
  }
  lost.AddKey(number, 1 << 16 | 3);
  lost.AddKey(number, kNoKey);
  EXPECT_TRUE(lost.IsSettled(5));
  lost.AddKey(number, 5);
  EXPECT_FALSE(lost.IsSettled(5));
  (void)lost.Add(Alone("p"), 2, 0, 6, false);
  EXPECT_EQ(lost.size(), 1u) << "the first one made room";
  EXPECT_EQ(CountOf(lost, 6), 1u);
  EXPECT_FALSE(lost.IsSettled(1 << 16 | 3));
  lost.Resolve(number);
  EXPECT_FALSE(lost.IsSettled(1 << 16 | 3));
}

// Connections to a server that gives no ids share one entry, and each may bring another key.
TEST(LostConnections, ThatShareOneEntryHoldSoManyCommandsAndNoMore) {
  LostConnections lost;
  for (std::uint64_t i = 0; i < LostConnections::kMaxKeys; ++i) {
    (void)lost.Add(Alone(""), 0, 0, i << 16 | 3, false);
  }
  EXPECT_EQ(lost.size(), 1u);
  const std::uint64_t number = lost.Add(Alone(""), 0, 0, 5, false);
  EXPECT_EQ(lost.size(), 1u);
  lost.Resolve(number);
  EXPECT_TRUE(lost.IsSettled(1 << 16 | 4));
  EXPECT_FALSE(lost.IsSettled(5)) << "was beyond the limit";
}

// ---- any sequence of losses --------------------------------------------------------

// Keeps each lost connection by itself, in the order of the losses, and never forgets one.
class NaiveLosses {
 public:
  struct Loss {
    std::uint64_t number;
    std::string node_id;
    std::string run_id;
    Endpoint endpoint;
    bool cluster;
    std::int64_t client_id;  // 0 if it can't be shut
    std::int64_t heard_at;
    bool open;
    bool over;  // nothing on it can be executed any more
    std::set<CommandKey> keys;
  };

  // Whether the process to which the connection led must have ended, now that `server` was found.
  static bool HasEnded(const Loss& loss, const ServerIdentity& server) {
    const bool other_process =
        loss.run_id != "" && server.run_id != "" && loss.run_id != server.run_id;
    if (!other_process || loss.cluster != server.cluster) return false;
    if (loss.cluster) return loss.node_id != "" && loss.node_id == server.node_id;
    return loss.endpoint == server.endpoint && server.latest_start >= loss.heard_at;
  }
  bool IsSettled(CommandKey key) const {
    return std::none_of(losses.begin(), losses.end(), [key](const Loss& loss) {
      return !loss.over && (loss.keys.count(key) != 0 || loss.keys.count(kEveryKey) != 0);
    });
  }
  bool CanBeShut(const Loss& loss, std::string_view run_id) const {
    return !loss.over && !loss.open && loss.client_id > 0 && loss.run_id == run_id;
  }

  std::vector<Loss> losses;
};

// Whatever is lost and found, in whichever order: no command counts as settled while a connection
// may carry it, each connection that can be shut is offered for it, and nothing stays once all
// processes have ended.
TEST(LostConnections, AgreeWithAListOfAllThatWereLost) {
  constexpr std::uint64_t kSeeds = 300;
  constexpr CommandKey kKeys = 6;
  const std::string run_ids[] = {"", "p", "q"};
  const std::string node_ids[] = {"", "n", "m"};
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    const auto pick = [&random](std::uint64_t count) { return random() % count; };
    const bool cluster = pick(2) != 0;
    const auto any_server = [&](std::int64_t latest_start) {
      return ServerIdentity{.node_id = cluster ? node_ids[pick(3)] : node_ids[0],
                            .run_id = run_ids[pick(3)],
                            .endpoint = pick(2) != 0 ? kHere : kThere,
                            .cluster = cluster,
                            .latest_start = latest_start};
    };
    const auto any_key = [&] { return pick(20) == 0 ? kEveryKey : 1 + pick(kKeys); };
    LostConnections lost;
    NaiveLosses naive;
    std::int64_t last_id = 0;
    for (int step = 0; step < 60; ++step) {
      const std::uint64_t action = pick(8);
      if (action < 3 || naive.losses.empty()) {
        const ServerIdentity server = any_server(-1);
        // The id of a connection means nothing without the process that gave it.
        const std::int64_t id = pick(2) != 0 ? ++last_id : 0;
        const auto heard_at = static_cast<std::int64_t>(pick(10));
        const CommandKey key = any_key();
        const bool open = pick(3) == 0;
        const std::uint64_t number = lost.Add(server, id, heard_at, key, open);
        naive.losses.push_back({number,
                                std::string(server.node_id),
                                std::string(server.run_id),
                                server.endpoint,
                                server.cluster,
                                server.run_id.empty() ? 0 : id,
                                heard_at,
                                open,
                                false,
                                {key}});
      } else if (action < 5) {
        const ServerIdentity server = any_server(static_cast<std::int64_t>(pick(11)) - 1);
        lost.OnServer(server);
        for (NaiveLosses::Loss& loss : naive.losses) {
          if (NaiveLosses::HasEnded(loss, server)) loss.over = true;
        }
      } else {
        // Goes on with a connection: another command is lost on it, it is closed, it can't be shut,
        // or nothing on it can be executed any more. The last is known only of a connection that
        // still stands, or that can be shut.
        NaiveLosses::Loss& loss = naive.losses[pick(naive.losses.size())];
        const bool stands_alone = loss.open || loss.client_id > 0;
        if (loss.over || !stands_alone) continue;
        switch (pick(4)) {
          case 0:
            loss.keys.insert(any_key());
            for (const CommandKey key : loss.keys) lost.AddKey(loss.number, key);
            break;
          case 1:
            loss.open = false;
            lost.Close(loss.number);
            break;
          case 2:
            loss.client_id = 0;
            lost.SetUnfenceable(loss.number);
            break;
          default:
            loss.over = true;
            lost.Resolve(loss.number);
            break;
        }
      }
      for (CommandKey key = 1; key <= kKeys; ++key) {
        if (lost.IsSettled(key)) {
          ASSERT_TRUE(naive.IsSettled(key)) << "step " << step << ", key " << key;
        }
      }
      for (const std::string& run_id : run_ids) {
        const auto fence = lost.NextFence(run_id);
        const auto is_wanted = [&](const NaiveLosses::Loss& loss) {
          return naive.CanBeShut(loss, run_id);
        };
        ASSERT_EQ(fence.has_value(),
                  std::any_of(naive.losses.begin(), naive.losses.end(), is_wanted))
            << "step " << step;
        ASSERT_TRUE(!fence || std::any_of(naive.losses.begin(), naive.losses.end(),
                                          [&](const NaiveLosses::Loss& loss) {
                                            return is_wanted(loss) &&
                                                   loss.number == fence->number &&
                                                   loss.client_id == fence->client_id;
                                          }))
            << "step " << step;
      }
    }
    // Each server that is known is found once more, in a new process. What was lost to a server
    // that did not say who it is stays.
    for (const std::string& node_id : node_ids) {
      for (const Endpoint& where : {kHere, kThere}) {
        const ServerIdentity server = {.node_id = node_id,
                                       .run_id = "new",
                                       .endpoint = where,
                                       .cluster = cluster,
                                       .latest_start = 10};
        lost.OnServer(server);
        for (NaiveLosses::Loss& loss : naive.losses) {
          if (NaiveLosses::HasEnded(loss, server)) loss.over = true;
        }
      }
    }
    for (CommandKey key = 1; key <= kKeys; ++key) {
      EXPECT_EQ(lost.IsSettled(key), naive.IsSettled(key)) << key;
    }
  }
}

}  // namespace
}  // namespace ffgrant::valkey::internal
