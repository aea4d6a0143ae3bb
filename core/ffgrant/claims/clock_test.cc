// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/claims/clock.h"

#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>

namespace ffgrant {
namespace {

std::int64_t UnixMs() {
  using std::chrono::floor;
  using std::chrono::milliseconds;
  return floor<milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

TEST(ClockTest, TheSystemsIsInMillisecondsSince1970) {
  // Somebody may set the time in between, so the bounds need to hold in one of ten tries only.
  bool right = false;
  for (int tries = 0; tries < 10 && !right; ++tries) {
    const std::int64_t before = UnixMs();
    const std::int64_t now = SystemClock().Now().value;
    right = before <= now && now <= UnixMs();
  }
  EXPECT_TRUE(right);
  EXPECT_EQ(&SystemClock(), &SystemClock());
}

TEST(ClockTest, TheCoarseOneIsATickBehindAtMost) {
  bool right = false;
  for (int tries = 0; tries < 10 && !right; ++tries) {
    const std::int64_t before = UnixMs();
    const std::int64_t now = CoarseClock().Now().value;
    right = before - 11 <= now && now <= UnixMs();
  }
  EXPECT_TRUE(right);
  EXPECT_EQ(&CoarseClock(), &CoarseClock());
  EXPECT_NE(&CoarseClock(), &SystemClock());
}

#if defined(__x86_64__)
// A process may be forbidden to read the counter. If this test's child read it, it would be killed.
TEST(ClockTest, WithoutTheCounterTheSystemIsAsked) {
  const pid_t child = fork();
  if (child == 0) {
    // Until the next prctl() the child can't read the system's time either.
    if (prctl(PR_SET_TSC, PR_TSC_SIGSEGV, 0, 0, 0) != 0) std::exit(2);
    const bool asks_the_system = &CounterClock() == &SystemClock();
    (void)prctl(PR_SET_TSC, PR_TSC_ENABLE, 0, 0, 0);
    std::exit(asks_the_system ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status)) << status;
  if (WEXITSTATUS(status) == 2) GTEST_SKIP() << "the system forbids to forbid it";
  EXPECT_EQ(WEXITSTATUS(status), 0);
}
#endif

TEST(ClockTest, TheManualOneGoesWhereItIsTold) {
  ManualClock clock(TimestampMs{5});
  EXPECT_EQ(clock.Now(), TimestampMs{5});
  clock.Advance(7);
  EXPECT_EQ(clock.Now(), TimestampMs{12});
  clock.Advance(-2);
  EXPECT_EQ(clock.Now(), TimestampMs{10});
  clock.Set(TimestampMs{-3});
  EXPECT_EQ(clock.Now(), TimestampMs{-3});
}

}  // namespace
}  // namespace ffgrant
