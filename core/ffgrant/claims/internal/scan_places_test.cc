// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/claims/internal/scan_places.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "ffgrant/routing.h"

namespace ffgrant::internal {
namespace {

using Scan = ScanPlaces::Scan;

std::uint64_t Of(const std::string& instance) { return Fnv1a64(instance); }

TEST(ScanPlaces, WindowsFollowOneAnother) {
  ScanPlaces places;
  const std::uint32_t start = ScanStart({"w"}, 10);
  for (std::uint32_t i = 0; i < 8; ++i) {
    Scan scan(places, Of("w"), 1, 10, 3);
    EXPECT_EQ(scan.window().first, (start + 3 * i) % 10);
    EXPECT_EQ(scan.window().size, 3u);
    EXPECT_EQ(scan.window().count, 10u);
    EXPECT_EQ(scan.window().At(9), (start + 3 * i + 9) % 10);
    scan.End(3);
  }
}

TEST(ScanPlaces, ACallThatStopsEarlyLeavesTheRestToTheNext) {
  ScanPlaces places;
  const std::uint32_t start = ScanStart({"w"}, 10);
  std::uint32_t behind = 0;
  for (const std::uint32_t looked_at : {1u, 4u, 0u, 2u}) {
    Scan scan(places, Of("w"), 1, 10, 5);
    EXPECT_EQ(scan.window().first, (start + behind) % 10);
    scan.End(looked_at);
    behind += looked_at;
  }
}

TEST(ScanPlaces, CallsThatOverlapGetWindowsBehindOneAnother) {
  ScanPlaces places;
  Scan first(places, Of("w"), 1, 10, 3);
  Scan second(places, Of("w"), 1, 10, 3);
  EXPECT_EQ(second.window().first, (first.window().first + 3) % 10);
  // The first call stops early while the second call is under way. So the partitions that the first
  // call has not looked at are not given back.
  first.End(1);
  Scan third(places, Of("w"), 1, 10, 3);
  EXPECT_EQ(third.window().first, (first.window().first + 6) % 10);
}

TEST(ScanPlaces, SizesAreCutToWhatThereIs) {
  const std::vector<std::uint16_t> counts = {1, 2, 65535};
  const std::vector<std::uint16_t> sizes = {0, 1, 2, 65535};
  for (const std::uint16_t count : counts) {
    ScanPlaces places;
    for (const std::uint16_t most : sizes) {
      Scan scan(places, Of("w"), 1, count, most);
      EXPECT_LT(scan.window().first, count);
      EXPECT_EQ(scan.window().size, most == 0 || most > count ? count : most);
      scan.End(scan.window().size);
    }
  }
}

TEST(ScanPlaces, ScannersAreWorkersOnLanes) {
  ScanPlaces places;
  for (int i = 0; i < 5; ++i) {
    for (const std::uint64_t lane : {1, 2}) {
      for (const std::string instance : {"a", "b"}) {
        Scan scan(places, Of(instance), lane, 256, 32);
        EXPECT_EQ(scan.window().first, (ScanStart({instance}, 256) + 32u * i) % 256) << instance;
        scan.End(32);
      }
    }
  }
}

// There are many more scanners than places. The scanners call in turn, so that they take each
// other's place all the time. A scanner without a place must not look at the same window for ever.
TEST(ScanPlaces, WhoHasNoPlaceComesRoundAsWell) {
  constexpr std::size_t kScanners = 4 * ScanPlaces::kPlaces;
  ScanPlaces places;
  std::vector<std::set<std::uint32_t>> seen(kScanners);
  for (int call = 0; call < 200; ++call) {
    for (std::size_t i = 0; i < kScanners; ++i) {
      Scan scan(places, Of("worker-" + std::to_string(i)), 7, 8, 1);
      seen[i].insert(scan.window().first);
      scan.End(1);
    }
  }
  for (std::size_t i = 0; i < kScanners; ++i) EXPECT_EQ(seen[i].size(), 8u) << i;
}

TEST(ScanPlaces, ThreadsOfOneScannerShareItsRound) {
  constexpr int kThreads = 4;
  constexpr int kCalls = 1000;
  ScanPlaces places;
  std::vector<std::vector<std::uint32_t>> windows(kThreads);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&places, &mine = windows[t]] {
      for (int i = 0; i < kCalls; ++i) {
        Scan scan(places, Of("w"), 1, 16, 1);
        mine.push_back(scan.window().first);
        scan.End(1);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  // Every partition was in a window equally often.
  std::vector<int> times(16);
  for (const auto& mine : windows) {
    for (const std::uint32_t partition : mine) ++times[partition];
  }
  for (const int n : times) EXPECT_EQ(n, kThreads * kCalls / 16);
}

}  // namespace
}  // namespace ffgrant::internal
