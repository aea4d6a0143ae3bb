// SPDX-License-Identifier: Apache-2.0
//
// The store's clock, by which every decision of the claim path is taken
// (contract 7). It is injected: tests move theirs by hand.

#ifndef FFGRANT_CLAIMS_CLOCK_H_
#define FFGRANT_CLAIMS_CLOCK_H_

#include <atomic>
#include <cstdint>

#include "ffgrant/ids.h"

namespace ffgrant {

// Thread-safe, never blocks. Milliseconds since the Unix epoch, rounded down. A
// ledger takes a reading beyond +-kMaxTtlMs (claim_ledger.h) for that bound: sums of
// a time and a duration then always fit (contract 9.5).
class Clock {
 public:
  virtual ~Clock() = default;
  virtual TimestampMs Now() const noexcept = 0;
};

// CLOCK_REALTIME: exact to the millisecond, about 30 ns a reading.
const Clock& SystemClock() noexcept;

// CLOCK_REALTIME_COARSE: steps of one kernel tick (1 to 10 ms), about 6 ns a
// reading. Leases and grants may live up to one tick longer.
const Clock& CoarseClock() noexcept;

// Stands still until it is told to move.
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

#endif  // FFGRANT_CLAIMS_CLOCK_H_
