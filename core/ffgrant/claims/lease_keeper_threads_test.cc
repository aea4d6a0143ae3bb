// SPDX-License-Identifier: Apache-2.0
//
// Tests the keeper's threads, with a ledger that answers only when the test lets it.

#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <limits>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "ffgrant/claims/lease_keeper.h"
#include "testing/calls/calling_ledger.h"
#include "testing/calls/leases_to_keep.h"
#include "testing/naive/signal_masks.h"

namespace ffgrant::testing {
namespace {

// The first `hangs` renewals wait until Thaw(), as on a server that accepts connections and does
// not answer.
class Frozen final : public CallingLedger {
 public:
  Answer Do(const Call&) override {
    std::unique_lock lock(mutex);
    const bool hangs_here = ++asked <= hangs;
    changed.notify_all();
    changed.wait(lock, [&] { return thawed || !hangs_here; });
    ++answered;
    changed.notify_all();
    Answer answer;
    answer.expires_at = TimestampMs{1};
    return answer;
  }
  void Thaw() {
    const std::lock_guard lock(mutex);
    thawed = true;
    changed.notify_all();
  }

  std::mutex mutex;
  std::condition_variable changed;
  bool thawed = false;
  int hangs = std::numeric_limits<int>::max();
  int asked = 0;
  int answered = 0;
};

constexpr std::chrono::seconds kPatience{30};

// The program's own threads handle signals, as they did before there was a keeper.
TEST(KeeperThreads, LeaveSignalsToTheProgram) {
  Frozen ledger;
  for (const int signal : {SIGTERM, SIGINT, SIGUSR1}) {
    const std::size_t before = ThreadsThatTake(signal);
    const LeaseKeeper keeper(ledger);
    EXPECT_EQ(ThreadsThatTake(signal), before) << signal;
  }
}

TEST(KeeperThreads, AFrozenServerLosesEveryLeaseInTime) {
  Frozen ledger;
  std::atomic<int> told{0};
  LeaseKeeperOptions options;
  options.margin_ms = 50;
  options.renewers = 1;
  options.renew_after = 0.05;  // long before the lease is lost, also on a busy machine
  options.on_lost = [&](const ExecutionIdView&, ClaimError why) {
    EXPECT_EQ(why, ClaimError::kLeaseExpired);
    ++told;
  };
  LeaseKeeper keeper(ledger, options);
  const std::int64_t sent = keeper.NowMs();
  const KeptLease first = keeper.Keep(Id('1'), LeaseOf(), 2000, sent);
  const KeptLease second = keeper.Keep(Id('2'), LeaseOf(), 2000, sent);
  {
    std::unique_lock lock(ledger.mutex);
    ASSERT_TRUE(ledger.changed.wait_for(lock, kPatience, [&] { return ledger.asked == 1; }));
  }
  EXPECT_FALSE(first.lost());
  // The only renewer hangs in the renewal of one lease; both leases are lost nevertheless.
  while (told < 2) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_GE(keeper.NowMs(), sent + 1950);
  EXPECT_TRUE(first.lost() && second.lost());
  ledger.Thaw();
}

TEST(KeeperThreads, OneThatHangsHoldsUpNoOther) {
  Frozen ledger;
  ledger.hangs = 1;
  LeaseKeeperOptions options;
  options.renew_after = 0.05;
  LeaseKeeper keeper(ledger, options);
  const KeptLease one = keeper.Keep(Id('1'), LeaseOf(), 20'000, keeper.NowMs());
  const KeptLease other = keeper.Keep(Id('2'), LeaseOf(), 20'000, keeper.NowMs());
  std::unique_lock lock(ledger.mutex);
  EXPECT_TRUE(ledger.changed.wait_for(lock, kPatience, [&] { return ledger.answered >= 2; }));
  lock.unlock();
  EXPECT_FALSE(one.lost() || other.lost());
  ledger.Thaw();
}

TEST(KeeperThreads, LeasesAreRenewedByThemselves) {
  Frozen ledger;
  ledger.Thaw();
  LeaseKeeperOptions options;
  options.renew_after = 0.05;
  LeaseKeeper keeper(ledger, options);
  std::vector<KeptLease> kept;
  for (int i = 0; i < 8; ++i) {
    kept.push_back(keeper.Keep(Id(), LeaseOf(), 20'000, keeper.NowMs()));
  }
  std::unique_lock lock(ledger.mutex);
  ASSERT_TRUE(ledger.changed.wait_for(lock, kPatience, [&] { return ledger.asked >= 16; }));
  lock.unlock();
  for (const KeptLease& lease : kept) EXPECT_FALSE(lease.lost());
}

// If the keeper ends during a call of on_lost, none of its threads begins to wait. A wait would
// take a second.
TEST(KeeperThreads, AnEndDuringACallOfOnLostIsNotMissed) {
  bool is_quick = false;
  // There are five tries, because the machine may be busy with something else.
  for (int tries = 0; tries < 5 && !is_quick; ++tries) {
    Frozen ledger;
    std::atomic<bool> told{false};
    std::atomic<bool> may_return{false};
    LeaseKeeperOptions options;
    options.margin_ms = 10'000;
    options.on_lost = [&](const ExecutionIdView&, ClaimError) {
      told = true;
      told.notify_all();
      may_return.wait(false);
    };
    std::optional<LeaseKeeper> keeper(std::in_place, ledger, options);
    {
      const KeptLease kept = keeper->Keep(Id(), LeaseOf(), kTtl, keeper->NowMs());
      told.wait(false);
    }
    std::thread ender([&] { keeper.reset(); });
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    const auto begin = std::chrono::steady_clock::now();
    may_return = true;
    may_return.notify_all();
    ender.join();
    is_quick = std::chrono::steady_clock::now() - begin < std::chrono::milliseconds(900);
  }
  EXPECT_TRUE(is_quick);
}

// Two threads release a lease while a third one asks whether it is lost.
TEST(KeeperThreads, ALeaseIsReleasedWhileOthersAskForIt) {
  Frozen ledger;
  ledger.Thaw();
  LeaseKeeper keeper(ledger);
  for (int i = 0; i < 200; ++i) {
    KeptLease kept = keeper.Keep(Id(), LeaseOf(), 20'000, keeper.NowMs());
    std::atomic<bool> is_asking{false};
    std::atomic<bool> ends{false};
    std::thread asker([&] {
      while (!ends) {
        EXPECT_FALSE(kept.lost());
        EXPECT_LE(kept.LeftMs(), 20'000);
        is_asking = true;
        is_asking.notify_all();
      }
      EXPECT_FALSE(kept);
    });
    is_asking.wait(false);
    std::thread other([&] { kept.Release(); });
    kept.Release();
    EXPECT_EQ(keeper.size(), 0u) << "the lease is released, whoever was first";
    other.join();
    kept.Release();
    ends = true;
    asker.join();
  }
}

TEST(KeeperThreads, LeasesComeAndGoFromManyThreads) {
  Frozen ledger;
  ledger.Thaw();
  LeaseKeeperOptions options;
  options.margin_ms = 0;
  LeaseKeeper keeper(ledger, options);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 100; ++i) {
        const KeptLease kept = keeper.Keep(Id(), LeaseOf(), 3 + i % 5, keeper.NowMs());
        while (i % 10 == 0 && !kept.lost() && kept.LeftMs() > 1) std::this_thread::yield();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(keeper.size(), 0u);
}

}  // namespace
}  // namespace ffgrant::testing
