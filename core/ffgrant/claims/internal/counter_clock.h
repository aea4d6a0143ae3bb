// SPDX-License-Identifier: Apache-2.0
//
// The clock that CounterClock() returns is a template over its source, so that tests can choose
// what the counter and the time do.

#ifndef FFGRANT_CLAIMS_INTERNAL_COUNTER_CLOCK_H_
#define FFGRANT_CLAIMS_INTERNAL_COUNTER_CLOCK_H_

#include <atomic>
#include <cstdint>

#include "ffgrant/claims/clock.h"

namespace ffgrant::internal {

// A clock of milliseconds. Once the clock knows the counter's rate, it asks the system at the
// beginning and at the end of each millisecond, and answers from memory in between. An answer of
// the system is good until, by the counter, no more than kMarginNs of the answer's millisecond are
// left.
//
//   real time           |------ ms 41 ------|------ ms 42 ------|
//   asks the system      ^              ^^^^ ^              ^^^^    ^^^^: at each call of Now()
//   answers from memory   ..............      ..............
//
// `Source` has
//   std::uint64_t Ticks() const noexcept;     // the counter
//   std::int64_t RealNs() const noexcept;     // CLOCK_REALTIME
//   std::int64_t SteadyNs() const noexcept;   // CLOCK_MONOTONIC
//
// In the last kMarginNs of a millisecond the system is asked each time. Without this margin a
// thread could still answer with a millisecond when another thread has already seen the next one.
// There are three reasons: the counters of two processors differ, a processor reorders and reads
// its counter ahead of time, and the measured rate has an error.
//
// If real time is set, in either direction, this clock follows within a millisecond, as a server's
// TIME does. A counter that jumps by more than a millisecond is noticed at once, since an answer
// from memory is good for one millisecond only. If the counter has jumped, or its rate has changed
// by more than kMostDrift, the clock measures the rate again. After kMostFaults such faults the
// clock gives the counter up and always asks the system.
template <class Source>
class CounterClock final : public Clock {
 public:
  explicit CounterClock(Source source = {}) noexcept : source_(source) {}

  TimestampMs Now() const noexcept override {
    const std::uint64_t ticks = source_.Ticks();
    // A thread that reads this `until_` also sees the millisecond that was stored before it, or a
    // later one.
    const std::uint64_t left = until_.load(std::memory_order_acquire) - ticks;
    if (left - 1 < span_.load(std::memory_order_relaxed)) [[likely]]
      return {ms_.load(std::memory_order_relaxed)};
    return Ask();
  }

  // Returns whether the clock has given the counter up.
  bool given_up() const noexcept { return faults_.load(std::memory_order_relaxed) >= kMostFaults; }

  static constexpr std::int64_t kMarginNs = 2'000;
  static constexpr std::int64_t kCalibrationNs = 20'000'000;
  // A sample that took longer than this to read is not used for the rate.
  static constexpr std::int64_t kSureNs = 10'000;
  static constexpr double kMostDrift = 0.001;
  static constexpr std::int64_t kMostErrorNs = 50'000;
  static constexpr int kMostFaults = 8;

 private:
  static constexpr std::int64_t kMsNs = 1'000'000;

  // A reading of the counter, with the time of the reading.
  struct Sample {
    std::uint64_t ticks = 0;
    std::int64_t ns = 0;
  };

  [[gnu::noinline]] TimestampMs Ask() const noexcept {
    if (given_up() || asking_.exchange(true, std::memory_order_acquire)) {
      return {MsOf(source_.RealNs())};
    }
    // The counter is read first. When the real time is read, the counter can only be further on. So
    // the answer may cease to be used too early, but never too late.
    const std::int64_t steady = source_.SteadyNs();
    const std::uint64_t ticks = source_.Ticks();
    const std::int64_t real = source_.RealNs();
    if (source_.SteadyNs() - steady <= kSureNs) Calibrate({ticks, steady});
    const std::int64_t ms = MsOf(real);
    const std::int64_t left_ns = (ms + 1) * kMsNs - real - kMarginNs;
    if (rate_ > 0 && left_ns > 0) {
      ms_.store(ms, std::memory_order_relaxed);
      until_.store(ticks + static_cast<std::uint64_t>(static_cast<double>(left_ns) * rate_),
                   std::memory_order_release);
    }
    asking_.store(false, std::memory_order_release);
    return {ms};
  }

  void Calibrate(const Sample& now) const noexcept {
    const double ns = static_cast<double>(now.ns - last_.ns);
    const double ticks = static_cast<double>(now.ticks - last_.ticks);
    if (rate_ > 0) {
      const double error_ns = ticks / rate_ - ns;
      const double most = ns * kMostDrift + static_cast<double>(kMostErrorNs);
      if (error_ns > most || error_ns < -most) {
        faults_.fetch_add(1, std::memory_order_relaxed);
        SetRate(0);
        has_first_ = false;
      }
    }
    last_ = now;
    if (!has_first_) {
      first_ = now;
      has_first_ = true;
    }
    if (now.ns - first_.ns < kCalibrationNs) return;
    SetRate(static_cast<double>(now.ticks - first_.ticks) /
            static_cast<double>(now.ns - first_.ns));
  }

  void SetRate(double rate) const noexcept {
    rate_ = rate;
    span_.store(static_cast<std::uint64_t>(rate * static_cast<double>(kMsNs)),
                std::memory_order_relaxed);
  }

  static constexpr std::int64_t MsOf(std::int64_t ns) noexcept {
    return ns >= 0 ? ns / kMsNs : -((-ns + kMsNs - 1) / kMsNs);
  }

  Source source_;
  // Now() reads these members, and they are written about once in a millisecond.
  alignas(64) mutable std::atomic<std::uint64_t> until_{0};
  mutable std::atomic<std::int64_t> ms_{0};
  mutable std::atomic<std::uint64_t> span_{0};  // ticks in a millisecond; 0: not known
  // `asking_` guards the members from here on, except `faults_`.
  alignas(64) mutable std::atomic<bool> asking_{false};
  mutable std::atomic<int> faults_{0};
  mutable double rate_ = 0;  // ticks in a nanosecond; 0: not known
  mutable bool has_first_ = false;
  mutable Sample first_;  // the rate is measured from here on
  mutable Sample last_;
};

// The facts that CounterClock() asks for before it trusts the counter.
struct CounterFacts {
  bool is_invariant = false;      // the processor says so (CPUID 80000007h, EDX bit 8)
  bool may_be_read = false;       // prctl(PR_SET_TSC) has not forbidden it
  bool is_kernels_clock = false;  // the kernel reads the same counter for its own clock
};
CounterFacts AskForCounterFacts() noexcept;
constexpr bool IsSafe(const CounterFacts& facts) noexcept {
  return facts.is_invariant && facts.may_be_read && facts.is_kernels_clock;
}

}  // namespace ffgrant::internal

#endif  // FFGRANT_CLAIMS_INTERNAL_COUNTER_CLOCK_H_
