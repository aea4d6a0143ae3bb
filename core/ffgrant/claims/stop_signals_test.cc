// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/claims/stop_signals.h"

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <vector>

#include "testing/naive/pipe.h"

// Whether pipe2() fails as if the system had no descriptors for another pipe.
static bool g_has_no_pipe = false;

// This program's pipe2() is called in place of the C library's pipe2().
extern "C" int pipe2(int* ends, int flags) noexcept {
  if (g_has_no_pipe) {
    errno = EMFILE;
    return -1;
  }
  using Pipe = int(int*, int);
  return reinterpret_cast<Pipe*>(dlsym(RTLD_NEXT, "pipe2"))(ends, flags);
}

// While this is true, each write() waits.
static std::atomic<bool> g_holds_writes{false};
static std::atomic<bool> g_is_writing{false};

// This program's write() is called in place of the C library's write(), also by signal handlers.
extern "C" ssize_t write(int descriptor, const void* bytes, std::size_t size) {
  while (g_holds_writes) {
    g_is_writing = true;
    (void)sched_yield();
  }
  return syscall(SYS_write, descriptor, bytes, size);
}

namespace ffgrant {
namespace {

std::int64_t Ms(std::chrono::steady_clock::time_point since) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() -
                                                               since)
      .count();
}

TEST(StopSignals, WaitsAsLongAsNobodyStops) {
  const StopSignals stop;
  EXPECT_FALSE(stop.stopped());
  EXPECT_FALSE(stop.Wait(0));
  EXPECT_FALSE(stop.Wait(-5));
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_FALSE(stop.Wait(30));
  EXPECT_GE(Ms(begin), 30);
}

TEST(StopSignals, ASignalEndsEveryWait) {
  StopSignals stop;
  std::vector<std::thread> waiting;
  for (int i = 0; i < 3; ++i) {
    waiting.emplace_back([&] { EXPECT_TRUE(stop.Wait(std::numeric_limits<std::int64_t>::max())); });
  }
  ASSERT_EQ(raise(SIGTERM), 0);
  for (std::thread& thread : waiting) thread.join();
  EXPECT_TRUE(stop.stopped());
  pollfd one = {stop.descriptor(), POLLIN, 0};
  EXPECT_EQ(poll(&one, 1, 0), 1);
  // A second signal changes nothing.
  ASSERT_EQ(raise(SIGINT), 0);
  EXPECT_TRUE(stop.Wait(1000));
}

// A signal that is no stop request interrupts the thread that waits, which then goes on waiting.
TEST(StopSignals, AnotherSignalEndsNoWait) {
  struct sigaction mine = {};
  static std::atomic<int> handled{0};
  mine.sa_handler = [](int) { ++handled; };
  struct sigaction before = {};
  ASSERT_EQ(sigaction(SIGUSR1, &mine, &before), 0);
  StopSignals stop;
  std::atomic<bool> has_ended{false};
  std::thread waiting([&] {
    EXPECT_TRUE(stop.Wait(60'000));
    has_ended = true;
  });
  // The signals come while the thread waits, except perhaps the first ones.
  for (int i = 1; i <= 20 && !has_ended; ++i) {
    EXPECT_EQ(pthread_kill(waiting.native_handle(), SIGUSR1), 0);
    while (handled < i && !has_ended) std::this_thread::yield();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_FALSE(has_ended);
  stop.Stop();
  waiting.join();
  ASSERT_EQ(sigaction(SIGUSR1, &before, nullptr), 0);
}

TEST(StopSignals, ACallStopsToo) {
  StopSignals stop({});
  std::thread waiting([&] { EXPECT_TRUE(stop.Wait(60'000)); });
  stop.Stop();
  waiting.join();
}

TEST(StopSignals, WhatWasThereBeforeIsThereAfterwards) {
  struct sigaction ignored = {};
  ignored.sa_handler = SIG_IGN;
  struct sigaction before = {};
  ASSERT_EQ(sigaction(SIGUSR1, &ignored, &before), 0);
  {
    const StopSignals stop({SIGUSR1, SIGUSR2, SIGUSR1});
    ASSERT_EQ(raise(SIGUSR1), 0);
    EXPECT_TRUE(stop.stopped());
  }
  struct sigaction after = {};
  ASSERT_EQ(sigaction(SIGUSR1, &before, &after), 0);
  EXPECT_EQ(after.sa_handler, SIG_IGN);
}

TEST(StopSignals, AForkedChildStopsNobody) {
  StopSignals stop;
  const pid_t child = fork();
  if (child == 0) {
    (void)raise(SIGTERM);
    stop.Stop();
    _exit(stop.stopped() ? 1 : 0);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_FALSE(stop.stopped());
  pollfd one = {stop.descriptor(), POLLIN, 0};
  EXPECT_EQ(poll(&one, 1, 0), 0);
}

// A process may have had a StopSignals, and its children have one each.
TEST(StopSignals, AForkedChildMayHaveOneOfItsOwn) {
  { const StopSignals of_parent; }
  for (const bool by_signal : {true, false}) {
    const pid_t child = fork();
    if (child == 0) {
      bool works = true;
      for (int times = 0; times < 2; ++times) {
        StopSignals own;
        works = works && !own.stopped();
        if (by_signal) {
          (void)raise(SIGTERM);
        } else {
          own.Stop();
        }
        pollfd one = {own.descriptor(), POLLIN, 0};
        works = works && own.Wait(0) && poll(&one, 1, 0) == 1;
      }
      _exit(works ? 0 : 1);
    }
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0) << (by_signal ? "a signal" : "a call");
  }
  const StopSignals next;
  EXPECT_FALSE(next.stopped());
  ASSERT_EQ(raise(SIGTERM), 0);
  EXPECT_TRUE(next.stopped());
}

TEST(StopSignals, PutsBackWhoHandledBefore) {
  struct sigaction mine = {};
  mine.sa_handler = SIG_IGN;
  struct sigaction before = {};
  ASSERT_EQ(sigaction(SIGUSR1, &mine, &before), 0);
  {
    const StopSignals stop({SIGUSR1});
    EXPECT_THROW(StopSignals(), std::logic_error);
    ASSERT_EQ(raise(SIGUSR1), 0);
    EXPECT_TRUE(stop.stopped());
  }
  struct sigaction now = {};
  ASSERT_EQ(sigaction(SIGUSR1, &before, &now), 0);
  EXPECT_EQ(now.sa_handler, SIG_IGN);
  // A new StopSignals begins without a stop request.
  const StopSignals next({SIGUSR1});
  EXPECT_FALSE(next.stopped());
}

// Another part of the program may have kept the handler, to call it from a handler of its own.
TEST(StopSignals, AHandlerThatWasKeptDoesNothingAfterwards) {
  struct sigaction kept = {};
  {
    const StopSignals stop({SIGUSR1});
    ASSERT_EQ(sigaction(SIGUSR1, nullptr, &kept), 0);
  }
  const testing::Pipe pipe;  // it may get the numbers of the descriptors that were closed
  kept.sa_handler(SIGUSR1);
  pollfd one = {pipe.descriptor(), POLLIN, 0};
  EXPECT_EQ(poll(&one, 1, 0), 0);
  const StopSignals next({SIGUSR1});
  EXPECT_FALSE(next.stopped());
}

// The handler's thread may be about to write when another thread ends the object.
TEST(StopSignals, ItsEndWaitsForAHandlerThatRuns) {
  std::optional<StopSignals> stop;
  stop.emplace(std::initializer_list<int>{SIGUSR1});
  g_is_writing = false;
  g_holds_writes = true;
  std::thread handling([] { EXPECT_EQ(raise(SIGUSR1), 0); });
  while (!g_is_writing) std::this_thread::yield();
  std::atomic<bool> has_ended{false};
  std::optional<testing::Pipe> pipe;
  std::thread ending([&] {
    stop.reset();
    pipe.emplace();  // it may get the numbers of the descriptors that were closed
    has_ended = true;
  });
  // Without the wait, the end takes much less than this.
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_FALSE(has_ended);
  g_holds_writes = false;
  handling.join();
  ending.join();
  pollfd one = {pipe->descriptor(), POLLIN, 0};
  EXPECT_EQ(poll(&one, 1, 0), 0);
  const StopSignals next({SIGUSR1});
  EXPECT_FALSE(next.stopped());
  EXPECT_FALSE(next.Wait(0));
}

// The child is a copy of a process in which another thread runs a handler; that thread is not in
// the child.
TEST(StopSignals, AForkedChildWaitsForNoHandlerOfItsParent) {
  std::optional<StopSignals> stop;
  stop.emplace(std::initializer_list<int>{SIGUSR1});
  g_is_writing = false;
  g_holds_writes = true;
  std::thread handling([] { EXPECT_EQ(raise(SIGUSR1), 0); });
  while (!g_is_writing) std::this_thread::yield();
  const pid_t child = fork();
  if (child == 0) {
    (void)alarm(30);  // ends a child that waits
    g_holds_writes = false;
    stop.reset();
    stop.emplace(std::initializer_list<int>{SIGUSR1});
    (void)raise(SIGUSR1);
    const bool is_stopped = stop->Wait(0);
    stop.reset();
    _exit(is_stopped ? 0 : 1);
  }
  g_holds_writes = false;
  handling.join();
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST(StopSignals, WhatIsNoSignalIsLeftOut) {
  const StopSignals stop({-1, 0, 10'000, SIGKILL, SIGUSR1});
  EXPECT_FALSE(stop.stopped());
  ASSERT_EQ(raise(SIGUSR1), 0);
  EXPECT_TRUE(stop.stopped());
}

// A constructor that fails leaves nothing behind, so another StopSignals can be made.
TEST(StopSignals, WithoutADescriptorThereIsNone) {
  g_has_no_pipe = true;
  int error = 0;
  try {
    const StopSignals stop;
  } catch (const std::system_error& thrown) {
    error = thrown.code().value();
  }
  g_has_no_pipe = false;
  EXPECT_EQ(error, EMFILE);
  const StopSignals stop;
  EXPECT_FALSE(stop.stopped());
}

}  // namespace
}  // namespace ffgrant
