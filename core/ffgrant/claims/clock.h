// SPDX-License-Identifier: Apache-2.0
//
// Only the store's clock decides what time it is on the claim path (contract 7). A ledger is given
// its clock, so that tests can move the clock by hand.

#ifndef FFGRANT_CLAIMS_CLOCK_H_
#define FFGRANT_CLAIMS_CLOCK_H_

#include <atomic>
#include <cstdint>

#include "ffgrant/config.h"
#include "ffgrant/ids.h"

FFGRANT_API_BEGIN
namespace ffgrant {

// A clock is thread-safe and never blocks. It returns the milliseconds since the Unix epoch,
// rounded down. A ledger treats a reading beyond +-kMaxTtlMs (claim_ledger.h) as the nearer bound,
// so that sums of a time and a duration always fit (contract 9.5).
class Clock {
 public:
  virtual ~Clock() = default;
  virtual TimestampMs Now() const noexcept = 0;
};

// Returns a clock that reads CLOCK_REALTIME. It is exact to the millisecond, and takes about 30 ns
// a reading.
const Clock& SystemClock() noexcept;

// Returns a clock that gives CLOCK_REALTIME by way of the processor's own counter. It is exact to
// the millisecond, except that it takes up to a millisecond to notice that real time was set. Once
// it knows the counter's rate, after about 20 ms of use, it asks the system only for the first
// reading in a millisecond and for readings in the millisecond's last 2 microseconds. Any other
// reading takes a third of the time that a reading of SystemClock() takes, and does not keep the
// processor from executing other instructions meanwhile.
//
// If somebody sets real time back or forward, this clock follows, and a ledger's grants and leases
// live longer or shorter by that step. The same happens on a server, because the server's TIME
// follows too (contract 7).
//
// CounterClock() returns SystemClock() where the counter can't be trusted: where the processor does
// not call it invariant, where the process must not read it (prctl), where Linux keeps its own time
// by another counter or does not say by which (in a file in /sys), and on anything but x86-64. Only
// the first call finds this out. If the counter nevertheless jumps or changes its rate, the clock
// measures the rate again. After several such faults the clock gives the counter up and always
// reads CLOCK_REALTIME.
const Clock& CounterClock() noexcept;

// Returns a clock that reads CLOCK_REALTIME_COARSE. It goes in steps of one kernel tick (1 to 10
// ms), and takes about 6 ns a reading. Leases and grants may live up to one tick longer.
const Clock& CoarseClock() noexcept;

// A clock that stands still until it is told to move.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(TimestampMs now) noexcept : now_(now.value) {}
  TimestampMs Now() const noexcept override { return {now_.load(std::memory_order_relaxed)}; }
  void Set(TimestampMs now) noexcept { now_.store(now.value, std::memory_order_relaxed); }
  void Advance(std::int64_t ms) noexcept { now_.fetch_add(ms, std::memory_order_relaxed); }

 private:
  std::atomic<std::int64_t> now_;
};

}  // namespace ffgrant
FFGRANT_API_END

#endif  // FFGRANT_CLAIMS_CLOCK_H_
