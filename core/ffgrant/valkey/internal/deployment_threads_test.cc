// SPDX-License-Identifier: Apache-2.0
//
// Tests the objects that the clients of one ledger share: calls every two of an object's functions
// at the same time. ThreadSanitizer then sees plain data that one of the two functions touches
// without the lock.

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <latch>
#include <string>
#include <thread>
#include <vector>

#include "ffgrant/valkey/internal/deployment.h"

namespace ffgrant::valkey::internal {
namespace {

constexpr int kRounds = 100;

using Calls = std::vector<std::function<void(std::uint64_t round)>>;

// Makes every two of the calls, also each call together with itself, from two threads that begin at
// the same time.
void RunEachPair(const Calls& calls) {
  for (std::size_t a = 0; a < calls.size(); ++a) {
    for (std::size_t b = a; b < calls.size(); ++b) {
      std::latch begin(2);
      const auto run = [&](std::size_t call) {
        begin.arrive_and_wait();
        for (std::uint64_t round = 1; round <= kRounds; ++round) calls[call](round);
      };
      std::thread other([&] { run(a); });
      run(b);
      other.join();
    }
  }
}

TEST(DeploymentThreads, LostConnections) {
  LostConnections lost;
  const ServerIdentity server = {.node_id = "node", .run_id = "run", .cluster = true};
  const auto number = [](std::uint64_t round) { return round % 40; };
  RunEachPair({
      [&](std::uint64_t r) {
        (void)lost.Add(server, static_cast<std::int64_t>(r), 5, r, r % 2 == 0);
      },
      [&](std::uint64_t r) { lost.AddKey(number(r), r); },
      [&](std::uint64_t r) { lost.Close(number(r)); },
      [&](std::uint64_t r) { lost.Resolve(number(r)); },
      [&](std::uint64_t r) { lost.SetUnfenceable(number(r)); },
      [&](std::uint64_t) {
        lost.OnServer({.node_id = "node", .run_id = "another", .cluster = true});
      },
      [&](std::uint64_t) { (void)lost.NextFence("run"); },
      [&](std::uint64_t r) {
        std::vector<LostConnections::Target> targets;
        lost.List(r, targets);
      },
      [&](std::uint64_t r) { (void)lost.IsSettled(r); },
      [&](std::uint64_t) { EXPECT_LE(lost.size(), LostConnections::kMaxEntries); },
  });
}

TEST(DeploymentThreads, KnownMembers) {
  KnownMembers known;
  Member member;
  member.id = "an id that is no short text, on the heap";
  const std::vector<Member> members(3, member);
  RunEachPair({
      [&](std::uint64_t) { EXPECT_GT(known.Set(members), 0u); },
      [&](std::uint64_t) {
        std::uint64_t number = 0;
        std::vector<Member> found;
        if (known.GetNewer(number, found)) {
          EXPECT_EQ(found.size(), members.size());
        }
      },
  });
}

TEST(DeploymentThreads, Refusals) {
  Refusals refusals;
  const auto server = [](std::uint64_t round) {
    return Endpoint{.host = "10.0.0." + std::to_string(round % 5), .port = 6379};
  };
  RunEachPair({
      [&](std::uint64_t r) {
        const auto now = static_cast<std::int64_t>(r);
        refusals.Add(server(r), now, now + 3, "WRONGPASS, in a text that is no short one");
      },
      [&](std::uint64_t r) {
        const auto found = refusals.Find(server(r), static_cast<std::int64_t>(r));
        if (found) {
          EXPECT_TRUE(found->text.starts_with("WRONGPASS"));
        }
      },
  });
}

}  // namespace
}  // namespace ffgrant::valkey::internal
