// SPDX-License-Identifier: Apache-2.0
//
// Tests a Worker whose few permits many threads share.

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <latch>
#include <thread>
#include <vector>

#include "ffgrant/claims/worker.h"
#include "testing/model/scripted_ledger.h"

namespace ffgrant {
namespace {

TEST(WorkerThreadsTest, NeverMorePermitsThanThereAre) {
  constexpr std::uint32_t kPermits = 2;
  constexpr int kRounds = 300'000;
  ManualClock clock(TimestampMs{1000});
  testing::ScriptedLedger ledger;
  Worker worker(ledger, clock, {"w1", "w1-i1", kPermits, 12345});
  // A claim with this grant fails while it holds a permit, before the ledger is asked.
  const ClaimGrantView grant = {
      ParseExecutionId("{fp:7}:11111111-1111-4111-8111-111111111111", ParseMode::kStrict).id,
      "no key", "opaque", 5000};
  const LaneIdView lane = LaneIdView::Unchecked("main");
  std::array<int, 4> wrong{};
  std::latch all_are_there(wrong.size());
  std::vector<std::thread> threads;
  for (int& mine : wrong) {
    threads.emplace_back([&] {
      all_are_there.arrive_and_wait();
      for (int round = 0; round < kRounds; ++round) {
        const WorkerClaim claim = worker.ClaimFromGrant(grant, lane);
        const bool expected = claim.error == ClaimError::kInvalidPartitionKey ||
                              claim.error == ClaimError::kWorkerAtCapacity;
        if (!expected || worker.permits_in_use() > kPermits) ++mine;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, (std::array<int, 4>{}));
  EXPECT_EQ(worker.permits_in_use(), 0u);
  EXPECT_TRUE(ledger.calls.empty());
  EXPECT_EQ(worker.ClaimFromGrant(grant, lane).error, ClaimError::kInvalidPartitionKey);
}

// ThreadSanitizer judges this test. The ledger has no lock of its own. The flag makes the second
// thread come later, but does not order the two threads' accesses to `plain`. Only the permit
// orders these accesses.
TEST(WorkerThreadsTest, APermitPassesOnWhatItsHolderWrote) {
  const ClaimGrantView grant = {
      ParseExecutionId("{fp:7}:11111111-1111-4111-8111-111111111111", ParseMode::kStrict).id,
      "{fp:7}", "opaque", 5000};
  const LaneIdView lane = LaneIdView::Unchecked("main");
  const ManualClock clock{TimestampMs{1000}};
  testing::ScriptedLedger ledger;
  Worker worker(ledger, clock, {"w1", "w1-i1", 1, 12345});
  std::atomic<bool> released = false;
  int plain = 0;
  std::thread first([&] {
    WorkerClaim claim = worker.ClaimFromGrant(grant, lane);
    EXPECT_TRUE(claim);
    plain = 1;
    claim.permit = {};
    released.store(true, std::memory_order_relaxed);
  });
  std::thread second([&] {
    while (!released.load(std::memory_order_relaxed)) std::this_thread::yield();
    EXPECT_TRUE(worker.ClaimFromGrant(grant, lane));
    EXPECT_EQ(plain, 1);
  });
  first.join();
  second.join();
  EXPECT_EQ(ledger.calls.size(), 2u);
}

}  // namespace
}  // namespace ffgrant
