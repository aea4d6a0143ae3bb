// SPDX-License-Identifier: Apache-2.0
//
// Compares CounterClock() with CLOCK_REALTIME on this machine, for two seconds,
// or with --long for an hour. Each answer must lie between two readings of the
// system's clock, one before and one after it; a pair of readings between which
// somebody set the time does not count. Prints how many readings there were,
// and the largest error.

#include <time.h>

#include <cstdint>
#include <cstdio>
#include <cstring>

#include "ffgrant/claims/clock.h"

namespace ffgrant {
namespace {

std::int64_t ReadNs(clockid_t id) {
  timespec now{};
  clock_gettime(id, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

int Run(std::int64_t seconds) {
  const Clock& clock = CounterClock();
  std::printf("CounterClock() is %s\n",
              &clock == &SystemClock() ? "SystemClock() here" : "the counter's");
  const std::int64_t begin = ReadNs(CLOCK_MONOTONIC);
  std::int64_t next_line = begin;
  std::uint64_t readings = 0;
  std::uint64_t set = 0;
  std::uint64_t wrong = 0;
  std::int64_t worst_ms = 0;
  for (std::int64_t now = begin; now - begin < seconds * 1'000'000'000;
       now = ReadNs(CLOCK_MONOTONIC)) {
    // The clock is read in bursts, with sleeps of different lengths in between.
    for (int i = 0; i < 2000; ++i) {
      const std::int64_t steady = ReadNs(CLOCK_MONOTONIC);
      const std::int64_t before = ReadNs(CLOCK_REALTIME);
      const std::int64_t ms = clock.Now().value;
      const std::int64_t after = ReadNs(CLOCK_REALTIME);
      const std::int64_t passed = ReadNs(CLOCK_MONOTONIC) - steady;
      ++readings;
      if (after < before || after - before > passed) {
        ++set;
        continue;
      }
      const std::int64_t early = before / 1'000'000 - ms;
      const std::int64_t late = ms - after / 1'000'000;
      const std::int64_t error = early > late ? early : late;
      if (error > 0) ++wrong;
      if (error > worst_ms) worst_ms = error;
    }
    if (now >= next_line) {
      std::printf("%6lld s: %llu readings, %llu wrong, worst %lld ms\n",
                  static_cast<long long>((now - begin) / 1'000'000'000),
                  static_cast<unsigned long long>(readings), static_cast<unsigned long long>(wrong),
                  static_cast<long long>(worst_ms));
      std::fflush(stdout);
      next_line += 300'000'000'000;
    }
    const timespec nap = {0, static_cast<long>(readings * 7919 % 20'000'000)};
    nanosleep(&nap, nullptr);
  }
  std::printf("%llu readings in %lld s, %llu while the time was set; %llu wrong, worst %lld ms\n",
              static_cast<unsigned long long>(readings), static_cast<long long>(seconds),
              static_cast<unsigned long long>(set), static_cast<unsigned long long>(wrong),
              static_cast<long long>(worst_ms));
  return wrong == 0 ? 0 : 1;
}

}  // namespace
}  // namespace ffgrant

int main(int argc, char** argv) {
  const bool is_long = argc > 1 && std::strcmp(argv[1], "--long") == 0;
  return ffgrant::Run(is_long ? 3600 : 2);
}
