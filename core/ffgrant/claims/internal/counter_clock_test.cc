// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/claims/internal/counter_clock.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <random>

namespace ffgrant::internal {
namespace {

// A counter and the system's two clocks, which tests move. Each CounterClock has a source of its
// own, so all sources share one World.
struct World {
  double ticks_per_ns = 2.5;
  double ticks = 1e6;
  std::int64_t real_ns = 1'700'000'000'000'000'000;
  std::int64_t steady_ns = 5'000'000'000;
  int readings = 0;           // how often the system's real time was read
  std::int64_t delay_ns = 0;  // from reading the counter to reading the clock

  void Pass(std::int64_t ns) {
    real_ns += ns;
    steady_ns += ns;
    ticks += static_cast<double>(ns) * ticks_per_ns;
  }
};
World world;

struct WorldSource {
  static std::uint64_t Ticks() { return static_cast<std::uint64_t>(world.ticks); }
  static std::int64_t RealNs() {
    ++world.readings;
    if (world.delay_ns != 0) world.Pass(world.delay_ns);
    return world.real_ns;
  }
  static std::int64_t SteadyNs() { return world.steady_ns; }
};

using TestClock = CounterClock<WorldSource>;

class CounterClockTest : public ::testing::Test {
 protected:
  CounterClockTest() { world = World(); }

  static std::int64_t RealMs() {
    const std::int64_t ns = world.real_ns;
    return ns >= 0 ? ns / 1'000'000 : -((-ns + 999'999) / 1'000'000);
  }
  // Reads the clock until it knows the rate.
  void Calibrate() {
    for (int i = 0; i < 50; ++i) {
      ASSERT_EQ(clock_.Now().value, RealMs());
      world.Pass(1'000'000);
    }
  }
  // Returns how often the system's clock is read in one second with a Now() every 10 us.
  int ReadingsInASecond() {
    world.readings = 0;
    for (int i = 0; i < 100'000; ++i) {
      EXPECT_EQ(clock_.Now().value, RealMs());
      world.Pass(10'000);
    }
    return world.readings;
  }

  TestClock clock_;
};

TEST_F(CounterClockTest, SaysWhatTheSystemSaysAndAsksRarely) {
  Calibrate();
  EXPECT_LE(ReadingsInASecond(), 2000);
  EXPECT_FALSE(clock_.given_up());
}

TEST_F(CounterClockTest, AsksEachTimeUntilTheRateIsKnown) {
  for (int i = 0; i < 19; ++i) {
    EXPECT_EQ(clock_.Now().value, RealMs());
    EXPECT_EQ(clock_.Now().value, RealMs());
    EXPECT_EQ(world.readings, 2 * (i + 1));
    world.Pass(1'000'000);
  }
}

// Checks each nanosecond around the end of a millisecond.
TEST_F(CounterClockTest, IsExactAtTheEndsOfAMillisecond) {
  Calibrate();
  world.Pass(1'000'000 - world.real_ns % 1'000'000 - 5'000);
  for (int i = 0; i < 10'000; ++i) {
    ASSERT_EQ(clock_.Now().value, RealMs()) << i;
    world.Pass(1);
  }
}

// In the last two microseconds of a millisecond the clock asks the system. So a
// counter that was read ahead of time, or another processor's counter that lags
// by less than two microseconds, never makes the clock answer with a
// millisecond that has ended.
TEST_F(CounterClockTest, ACounterALittleBehindIsNoMatter) {
  Calibrate();
  std::mt19937_64 random(3);
  for (int i = 0; i < 100'000; ++i) {
    const double behind = static_cast<double>(random() % 1'900) * world.ticks_per_ns;
    world.ticks -= behind;
    ASSERT_EQ(clock_.Now().value, RealMs());
    world.ticks += behind;
    world.Pass(static_cast<std::int64_t>(random() % 5'000));
  }
}

TEST_F(CounterClockTest, FollowsRealTimeThatIsSet) {
  Calibrate();
  for (const std::int64_t step : {std::int64_t{-3'600'000'000'000}, std::int64_t{7'200'000'000'000},
                                  std::int64_t{-1'500'000}, std::int64_t{1'500'000}}) {
    ASSERT_EQ(clock_.Now().value, RealMs());
    world.real_ns += step;
    world.Pass(1'000'000);
    ASSERT_EQ(clock_.Now().value, RealMs());
    EXPECT_LE(ReadingsInASecond(), 2000);
  }
  EXPECT_FALSE(clock_.given_up());
}

TEST_F(CounterClockTest, TimesBefore1970AreRoundedDown) {
  world.real_ns = -5'000'000'000;
  Calibrate();
  EXPECT_LE(ReadingsInASecond(), 2000);
}

// The counter begins again near 0, as after a machine has slept.
TEST_F(CounterClockTest, ACounterThatJumps) {
  Calibrate();
  ASSERT_EQ(clock_.Now().value, RealMs());
  world.ticks = 17;
  ASSERT_EQ(clock_.Now().value, RealMs());
  world.Pass(300'000);
  ASSERT_EQ(clock_.Now().value, RealMs());
  Calibrate();
  EXPECT_LE(ReadingsInASecond(), 2000);
  world.ticks += 1e15;
  ASSERT_EQ(clock_.Now().value, RealMs());
  Calibrate();
  EXPECT_FALSE(clock_.given_up());
}

// A processor slows down, and its counter slows down too. The clock is at most one millisecond late
// until it has found the new rate.
TEST_F(CounterClockTest, ACounterThatSlowsDown) {
  Calibrate();
  ASSERT_EQ(clock_.Now().value, RealMs());
  world.ticks_per_ns /= 2;
  for (int i = 0; i < 300; ++i) {
    const std::int64_t now = clock_.Now().value;
    ASSERT_LE(now, RealMs());
    ASSERT_GE(now, RealMs() - 1);
    world.Pass(10'000);
  }
  Calibrate();
  EXPECT_LE(ReadingsInASecond(), 2000);
  EXPECT_FALSE(clock_.given_up());
}

// A counter whose rate changes all the time is not used any more.
TEST_F(CounterClockTest, ACounterThatIsNotInvariantIsGivenUp) {
  for (int i = 0; i < 2 * TestClock::kMostFaults && !clock_.given_up(); ++i) {
    Calibrate();
    world.ticks_per_ns = i % 2 == 0 ? 1.5 : 2.5;
    for (int k = 0; k < 3; ++k) {
      world.Pass(2'000'000);
      static_cast<void>(clock_.Now());
    }
  }
  EXPECT_TRUE(clock_.given_up());
  world.readings = 0;
  for (int i = 0; i < 1000; ++i) {
    EXPECT_EQ(clock_.Now().value, RealMs());
    world.Pass(1'000);
  }
  EXPECT_EQ(world.readings, 1000);
}

// If a thread is interrupted between reading the counter and asking the system for the time,
// CounterClock keeps the system's answer for a shorter time than usual, never for a longer one.
TEST_F(CounterClockTest, AnInterruptionMakesNothingLate) {
  Calibrate();
  std::mt19937_64 random(4);
  for (int i = 0; i < 20'000; ++i) {
    world.delay_ns = random() % 4 == 0 ? static_cast<std::int64_t>(random() % 3'000'000) : 0;
    const std::int64_t before = RealMs();
    const std::int64_t now = clock_.Now().value;
    ASSERT_LE(before, now);
    ASSERT_LE(now, RealMs());
    world.delay_ns = 0;
    world.Pass(static_cast<std::int64_t>(random() % 400'000));
  }
  EXPECT_FALSE(clock_.given_up());
}

TEST(CounterFactsTest, AllAreNeeded) {
  EXPECT_TRUE(IsSafe({true, true, true}));
  EXPECT_FALSE(IsSafe({false, true, true}));
  EXPECT_FALSE(IsSafe({true, false, true}));
  EXPECT_FALSE(IsSafe({true, true, false}));
  const bool is_used = &ffgrant::CounterClock() != &SystemClock();
  EXPECT_EQ(is_used, IsSafe(AskForCounterFacts()));
  EXPECT_EQ(&ffgrant::CounterClock(), &ffgrant::CounterClock());
}

}  // namespace
}  // namespace ffgrant::internal
