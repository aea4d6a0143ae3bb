// SPDX-License-Identifier: Apache-2.0
//
// Names, verdicts about names, and texts of records come and go while several threads use them.
// What a thread reads of a name that it holds is plain data. So a sanitizer notices if a hold on a
// name does not order the accesses.

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "ffgrant/claims/internal/capability_verdicts.h"
#include "ffgrant/claims/internal/name_pool.h"
#include "ffgrant/claims/internal/record_texts.h"

namespace ffgrant::internal {
namespace {

constexpr std::uint32_t kThreads = 4;

template <class Body>
void OnThreads(Body body) {
  std::vector<std::thread> threads;
  for (std::uint32_t t = 0; t < kThreads; ++t) threads.emplace_back([&body, t] { body(t); });
  for (std::thread& thread : threads) thread.join();
}

// The threads use more names than the pool has room for, long ones among them, so that numbers and
// bytes pass to other names all the time. At the end all names are free.
TEST(NamePoolThreadsTest, NamesComeAndGo) {
  TextPool long_texts(6 * TextPool::kPieceBytes);
  NamePool pool(5, 1, long_texts);
  std::atomic<int> held{0};
  OnThreads([&](std::uint32_t t) {
    std::mt19937 random(t);
    for (int i = 0; i < 20'000; ++i) {
      const std::string first = "worker-" + std::to_string(random() % 6);
      const std::string second(random() % 3 * 40, static_cast<char>('a' + random() % 2));
      const NameId id =
          random() % 8 == 0 && second.empty() ? pool.HoldIfThere(first) : pool.Hold(first, second);
      if (id == NamePool::kFull || id == 0) continue;
      held.fetch_add(1, std::memory_order_relaxed);
      ASSERT_TRUE(pool.Is(id, first, second));
      if (random() % 4 == 0) {
        pool.Add(id, 2);
        ASSERT_EQ(pool.Second(id), second);
        pool.Add(id, -2);
      }
      ASSERT_EQ(pool.First(id), first);
      pool.Release(id);
    }
  });
  EXPECT_GT(held.load(), 1000);
  EXPECT_EQ(pool.free_names(), 5u);
  EXPECT_EQ(long_texts.free_pieces(), 6u);
}

// Threads use one number for different sets, one after the other. A verdict about one set is never
// taken for a verdict about another set.
TEST(NamePoolThreadsTest, VerdictsAreOnTheSetThatIsHeld) {
  TextPool long_texts(TextPool::kPieceBytes);
  NamePool sets(3, 1, long_texts);
  CapabilityVerdicts verdicts(sets);
  OnThreads([&](std::uint32_t t) {
    std::mt19937 random(t);
    constexpr std::array<std::string_view, 6> kOffers = {"", "a", "b", "a,b", "a,b,c", "c"};
    for (int i = 0; i < 20'000; ++i) {
      const std::string required(1, static_cast<char>('a' + random() % 4));
      const NameId id = sets.Hold(required);
      if (id == NamePool::kFull) continue;
      const std::string_view offered = kOffers[random() % kOffers.size()];
      {
        CapabilityVerdicts::Offer offer(verdicts, offered);
        ASSERT_EQ(offer.Satisfies(id), offered.find(required) != std::string_view::npos)
            << required << " of " << offered;
      }
      sets.Release(id);
    }
  });
  EXPECT_EQ(sets.free_names(), 3u);
}

TEST(NamePoolThreadsTest, TextsOfRecordsAreTheirOwn) {
  RecordTexts texts(40 * TextPool::kPieceBytes);
  OnThreads([&](std::uint32_t t) {
    std::mt19937 random(t);
    RecordTexts::Id id = 0;
    for (int i = 0; i < 10'000; ++i) {
      const std::string route(random() % 200, static_cast<char>('a' + t));
      const std::string lane = random() % 2 == 0 ? "lane of " + std::to_string(t) : "";
      if (!texts.SetGrant(id, {lane, "", route, ""})) continue;
      ASSERT_EQ(texts.Text(id, RecordText::kRouteSnapshot), route);
      ASSERT_EQ(texts.Text(id, RecordText::kGrantLane), lane);
      if (texts.SetLease(id, lane)) {
        ASSERT_EQ(texts.Text(id, RecordText::kLeaseLane), lane);
        ASSERT_EQ(texts.Text(id, RecordText::kRouteSnapshot), "");
      }
      texts.DropGrant(id);
      texts.DropLease(id);
      ASSERT_EQ(id, 0u);
    }
  });
  // All pieces are free again.
  RecordTexts::Id id = 0;
  EXPECT_TRUE(texts.SetGrant(id, {"", "", std::string(39 * TextPool::kPieceBytes, 'x'), ""}));
}

}  // namespace
}  // namespace ffgrant::internal
