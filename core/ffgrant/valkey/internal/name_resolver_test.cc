// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/valkey/internal/name_resolver.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "testing/naive/signal_masks.h"

namespace ffgrant::valkey::internal {
namespace {

using Clock = std::chrono::steady_clock;

std::int64_t MsSince(Clock::time_point begin) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin).count();
}

bool IsNotified(Wakeup& wakeup, int timeout_ms) {
  pollfd polled = {.fd = wakeup.fd(), .events = POLLIN, .revents = 0};
  const bool notified = poll(&polled, 1, timeout_ms) == 1;
  wakeup.Clear();
  return notified;
}

// The look-up of a name that begins with "hangs" does not end before EndLookUps(), which the
// destructor calls at the latest.
class NameResolverTest : public ::testing::Test {
 protected:
  NameResolverTest() : shared_(std::make_shared<Shared>()) {
    resolver = std::make_unique<NameResolver>([shared = shared_](const std::string& name) {
      {
        const std::scoped_lock lock(shared->mutex);
        ++shared->look_ups[name];
      }
      if (name.starts_with("hangs")) shared->end.wait();
      return NameAddresses{{"address of " + name}, ""};
    });
  }
  ~NameResolverTest() override { EndLookUps(); }

  std::optional<NameAddresses> Find(const std::string& name) {
    return resolver->Find(name, wakeup);
  }
  // Waits for the answer, for about 10 s at most. Returns "" if none has come by then.
  std::string Get(const std::string& name) {
    for (int i = 0; i < 100; ++i) {
      if (const auto found = Find(name)) return found->addresses.at(0);
      (void)IsNotified(*wakeup, 100);
    }
    return "";
  }
  int look_ups(const std::string& name) {
    const std::scoped_lock lock(shared_->mutex);
    return shared_->look_ups[name];
  }

  // Ends the look-ups that hang.
  void EndLookUps() {
    if (!std::exchange(ended_, true)) shared_->go_on.set_value();
  }

  std::unique_ptr<NameResolver> resolver;
  const std::shared_ptr<Wakeup> wakeup = std::make_shared<Wakeup>();

 private:
  // The resolver's threads may outlive the test, so they share what the look-ups need.
  struct Shared {
    std::promise<void> go_on;
    std::shared_future<void> end = go_on.get_future().share();
    std::mutex mutex;
    std::map<std::string, int> look_ups;
  };
  const std::shared_ptr<Shared> shared_;
  bool ended_ = false;
};

TEST_F(NameResolverTest, FindsANameAndTellsWhoWaits) {
  ASSERT_TRUE(wakeup->valid());
  EXPECT_FALSE(IsNotified(*wakeup, 0));
  if (!Find("a")) {
    EXPECT_TRUE(IsNotified(*wakeup, 10'000));
  }
  const auto found = Find("a");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->addresses, std::vector<std::string>{"address of a"});
  EXPECT_EQ(look_ups("a"), 1);
}

TEST_F(NameResolverTest, KeepsWhatItFoundForASecondOfUse) {
  ASSERT_EQ(Get("a"), "address of a");
  const Clock::time_point first_used = Clock::now();
  ASSERT_EQ(Get("a"), "address of a");
  if (MsSince(first_used) < 900) {
    EXPECT_EQ(look_ups("a"), 1);
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(NameResolver::kKeepMs + 10));
  ASSERT_EQ(Get("a"), "address of a");
  EXPECT_GE(look_ups("a"), 2);

  // An answer that no caller has got yet is kept longer, because a look-up may take longer than any
  // caller waits.
  EXPECT_FALSE(Find("b"));
  std::this_thread::sleep_for(std::chrono::milliseconds(NameResolver::kKeepMs + 100));
  EXPECT_TRUE(Find("b"));
  EXPECT_EQ(look_ups("b"), 1);
}

// A name's addresses may change while a client keeps using the name.
TEST_F(NameResolverTest, AsksAgainHoweverOftenANameIsUsed) {
  const Clock::time_point begin = Clock::now();
  while (MsSince(begin) < 3 * NameResolver::kKeepMs / 2) {
    ASSERT_EQ(Get("a"), "address of a");
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_GE(look_ups("a"), 2);
}

TEST_F(NameResolverTest, ForgetsWhatIsOfNoUse) {
  ASSERT_EQ(Get("a"), "address of a");
  resolver->Forget("a");
  resolver->Forget("unheard of");
  ASSERT_EQ(Get("a"), "address of a");
  EXPECT_EQ(look_ups("a"), 2);
  EXPECT_FALSE(Find("hangs"));
  resolver->Forget("hangs");
  EXPECT_FALSE(Find("hangs"));
  ASSERT_EQ(Get("b"), "address of b");
  EXPECT_EQ(look_ups("hangs"), 1) << "under way already";
}

// The look-up fails after whoever asked has given up. The next caller is told why the look-up
// failed, although this caller asks more than a second later.
TEST_F(NameResolverTest, AFailureThatNobodyWaitedForIsTold) {
  std::atomic<int> look_ups = 0;
  std::promise<void> go_on;
  NameResolver failing([&look_ups, gone = go_on.get_future().share()](const std::string&) {
    ++look_ups;
    gone.wait();
    return NameAddresses{{}, "no answer"};
  });
  EXPECT_FALSE(failing.Find("db.test", wakeup));
  go_on.set_value();
  ASSERT_TRUE(IsNotified(*wakeup, 10'000));
  std::this_thread::sleep_for(std::chrono::milliseconds(1200));
  const auto found = failing.Find("db.test", wakeup);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->error, "no answer");
  EXPECT_EQ(look_ups, 1);
}

// One client may have found that an earlier answer is of no use while another client waits for the
// next answer.
TEST_F(NameResolverTest, WhoeverWaitsIsToldThoughANameIsForgottenMeanwhile) {
  const auto other = std::make_shared<Wakeup>();
  const auto forgets = [&](const std::string& name) { resolver->Forget(name); };
  const auto asks = [&](const std::string& name) {
    EXPECT_FALSE(resolver->Find(name, other)) << name;
  };
  const std::vector<std::vector<std::function<void(const std::string&)>>> cases = {
      {}, {forgets}, {asks}, {forgets, asks}, {asks, forgets}, {forgets, forgets}};
  std::vector<std::shared_ptr<Wakeup>> waiting;
  for (const auto& meanwhile : cases) {
    const std::string name = "hangs" + std::to_string(waiting.size());
    waiting.push_back(std::make_shared<Wakeup>());
    EXPECT_FALSE(resolver->Find(name, waiting.back()));
    for (const auto& step : meanwhile) step(name);
  }
  EndLookUps();
  for (std::size_t i = 0; i < waiting.size(); ++i) {
    ASSERT_TRUE(IsNotified(*waiting[i], 10'000)) << i;
  }
}

TEST_F(NameResolverTest, EverybodyWhoWaitsForANameIsTold) {
  // There is a name for each order of three callers, who ask for that name twice in this order.
  // Each caller waits for one name alone, so that no other name's answer wakes it.
  std::vector<std::shared_ptr<Wakeup>> waiting;
  std::vector<std::size_t> order = {0, 1, 2};
  do {
    std::string name = "hangs";
    for (const std::size_t i : order) name += std::to_string(i);
    std::vector<std::shared_ptr<Wakeup>> all;
    for (std::size_t i = 0; i < order.size(); ++i) all.push_back(std::make_shared<Wakeup>());
    for (int round = 0; round < 2; ++round) {
      for (const std::size_t i : order) EXPECT_FALSE(resolver->Find(name, all[i]));
    }
    waiting.insert(waiting.end(), all.begin(), all.end());
  } while (std::next_permutation(order.begin(), order.end()));
  for (const auto& each : waiting) EXPECT_FALSE(IsNotified(*each, 0));
  EndLookUps();
  for (const auto& each : waiting) ASSERT_TRUE(IsNotified(*each, 10'000));
}

TEST_F(NameResolverTest, ANameThatHangsHoldsUpNoOther) {
  for (std::size_t i = 0; i + 1 < NameResolver::kMostThreads; ++i) {
    EXPECT_FALSE(Find("hangs" + std::to_string(i)));
  }
  EXPECT_EQ(Get("a"), "address of a");
  EXPECT_EQ(Get("b"), "address of b");
}

// Whoever asks for a name gets an answer in the end: at once if the name is one too many, and else
// when the name has been looked up. A name that was refused is like one that was never asked for.
TEST_F(NameResolverTest, TakesSoManyNamesAndForgetsThoseThatItRefuses) {
  constexpr std::size_t kTaken = NameResolver::kMostThreads + NameResolver::kMostNames;
  const auto name = [](std::size_t number) { return "hangs" + std::to_string(number); };
  for (std::size_t i = 0; i < kTaken; ++i) {
    EXPECT_FALSE(Find(name(i))) << i;
    // The thread that takes this name then looks up no other.
    while (i < NameResolver::kMostThreads && look_ups(name(i)) == 0) std::this_thread::yield();
  }
  for (int times = 0; times < 3; ++times) {
    for (std::size_t i = kTaken; i < kTaken + 3; ++i) {
      const auto refused = Find(name(i));
      ASSERT_TRUE(refused) << i << " waits, " << times << " times refused";
      EXPECT_EQ(refused->error, "too many names are being looked up");
      EXPECT_TRUE(refused->addresses.empty());
    }
  }
  EndLookUps();
  for (std::size_t i = 0; i < kTaken + 3; ++i) {
    ASSERT_EQ(Get(name(i)), "address of " + name(i));
    EXPECT_EQ(look_ups(name(i)), 1) << i;
  }
}

TEST_F(NameResolverTest, NobodyWaitsForOneThatHangs) {
  const Clock::time_point begin = Clock::now();
  EXPECT_FALSE(Find("hangs"));
  resolver.reset();
  EXPECT_LE(MsSince(begin), 5000);
}

// Signals are left to the program's own threads.
TEST_F(NameResolverTest, LooksUpInAThreadThatTakesNoSignal) {
  const std::size_t before = ffgrant::testing::ThreadsThatTake(SIGTERM);
  EXPECT_FALSE(Find("hangs"));
  while (look_ups("hangs") == 0) std::this_thread::yield();
  EXPECT_EQ(ffgrant::testing::ThreadsThatTake(SIGTERM), before);
}

TEST_F(NameResolverTest, ManyThreadsAskForOneName) {
  std::atomic<int> found = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] {
      const auto own = std::make_shared<Wakeup>();
      for (int i = 0; i < 1000; ++i) {
        if (resolver->Find("a", own)) {
          ++found;
          return;
        }
        (void)IsNotified(*own, 1000);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(found, 8);
  EXPECT_EQ(look_ups("a"), 1);
}

TEST(NameResolverOfProcess, StartsAnewInAChild) {
  NameResolver& parents = NameResolver::OfProcess();
  EXPECT_EQ(&parents, &NameResolver::OfProcess());
  const pid_t child = fork();
  if (child == 0) _exit(&NameResolver::OfProcess() == &parents ? 1 : 0);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

// A look-up does not hold up the end of its process.
TEST(NameResolverDeathTest, HoldsUpNoExit) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");  // the process has threads already
  EXPECT_EXIT(
      {
        NameResolver hangs([](const std::string&) {
          std::this_thread::sleep_for(std::chrono::hours(1));
          return NameAddresses{};
        });
        (void)hangs.Find("a", std::make_shared<Wakeup>());
        std::exit(7);
      },
      ::testing::ExitedWithCode(7), "");
}

TEST(LookUpWithSystem, FindsAddressesOrSaysWhyNot) {
  const NameAddresses found = LookUpWithSystem("localhost");
  ASSERT_FALSE(found.addresses.empty()) << found.error;
  for (const std::string& address : found.addresses) {
    EXPECT_TRUE(address == "127.0.0.1" || address == "::1") << address;
  }
  // No name can be that long, so nobody is asked.
  const NameAddresses none = LookUpWithSystem(std::string(300, 'x'));
  EXPECT_TRUE(none.addresses.empty());
  EXPECT_NE(none.error, "");
}

// ThreadSanitizer judges this test, in a process of its own. The flag `made` makes the second
// thread come later, but it orders no other memory. Only the pointer to the resolver orders what
// the first thread has written.
TEST(NameResolverOfProcess, IsWholeInAThreadThatHasNotMadeIt) {
  std::atomic<bool> made = false;
  NameResolver* first_seen = nullptr;
  NameResolver* second_seen = nullptr;
  std::thread first([&] {
    first_seen = &NameResolver::OfProcess();
    made.store(true, std::memory_order_relaxed);
  });
  std::thread second([&] {
    while (!made.load(std::memory_order_relaxed)) std::this_thread::yield();
    second_seen = &NameResolver::OfProcess();
    second_seen->Forget("no name");
  });
  first.join();
  second.join();
  EXPECT_EQ(first_seen, second_seen);
}

}  // namespace
}  // namespace ffgrant::valkey::internal
