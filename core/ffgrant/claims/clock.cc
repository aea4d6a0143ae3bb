// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/claims/clock.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <string_view>

#include "ffgrant/claims/internal/counter_clock.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <x86intrin.h>
#endif

namespace ffgrant {
namespace {

template <clockid_t id>
std::int64_t ReadNs() noexcept {
  timespec now;
  clock_gettime(id, &now);  // can't fail: these clocks exist on every Linux
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

template <clockid_t id>
class PosixClock final : public Clock {
 public:
  TimestampMs Now() const noexcept override {
    timespec now;
    clock_gettime(id, &now);
    return {std::int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000};
  }
};

#if defined(__x86_64__)
struct TimeStampCounter {
  static std::uint64_t Ticks() noexcept { return __rdtsc(); }
  static std::int64_t RealNs() noexcept { return ReadNs<CLOCK_REALTIME>(); }
  static std::int64_t SteadyNs() noexcept { return ReadNs<CLOCK_MONOTONIC>(); }
};
#endif

}  // namespace

internal::CounterFacts internal::AskForCounterFacts() noexcept {
  CounterFacts facts;
#if defined(__x86_64__)
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  // Never false: `__get_cpuid(0x80000007, &a, &b, &c, &d) != 0`: all such processors answer.
  // Never false: `(d >> 8 & 1) != 0`: coverage is measured on machines with a steady counter.
  facts.is_invariant = __get_cpuid(0x80000007, &a, &b, &c, &d) != 0 && (d >> 8 & 1) != 0;
  int mode = 0;
  // Never false: `prctl(PR_GET_TSC, &mode, 0, 0, 0) == 0`: every Linux on these processors answers.
  facts.may_be_read = prctl(PR_GET_TSC, &mode, 0, 0, 0) == 0 && mode == PR_TSC_ENABLE;
  const int file = open("/sys/devices/system/clocksource/clocksource0/current_clocksource",
                        O_RDONLY | O_CLOEXEC);
  // Never false: coverage is measured on machines whose kernel says which counter it uses.
  if (file >= 0) {
    char name[16];
    const ssize_t size = read(file, name, sizeof name);
    close(file);
    const auto said = static_cast<std::size_t>(std::max<ssize_t>(size, 0));
    facts.is_kernels_clock = std::string_view(name, said) == "tsc\n";
  }
#endif
  return facts;
}

const Clock& SystemClock() noexcept {
  static const PosixClock<CLOCK_REALTIME> clock;
  return clock;
}

const Clock& CounterClock() noexcept {
#if defined(__x86_64__)
  static const internal::CounterClock<TimeStampCounter> clock;
  static const bool is_safe = internal::IsSafe(internal::AskForCounterFacts());
  if (is_safe) return clock;
#endif
  return SystemClock();
}

const Clock& CoarseClock() noexcept {
  static const PosixClock<CLOCK_REALTIME_COARSE> clock;
  return clock;
}

}  // namespace ffgrant
