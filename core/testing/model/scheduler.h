// SPDX-License-Identifier: Apache-2.0
//
// Runs a few "threads" on one, in an order that the caller decides: a fiber
// goes on until it comes to a point where threads meet
// (internal/schedule_point.h), and there the caller says who is next. So a
// schedule is a list of choices and can be repeated, searched and shrunk.

#ifndef FFGRANT_TESTING_MODEL_SCHEDULER_H_
#define FFGRANT_TESTING_MODEL_SCHEDULER_H_

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "ffgrant/claims/clock.h"
#include "ffgrant/claims/internal/schedule_point.h"

namespace ffgrant::testing {

// What one step of a fiber touched of what is shared: all that is guarded by a
// lock counts as that lock.
class Footprint {
 public:
  static constexpr std::size_t kThings = 64;  // a scheduled ledger has few locks
  void Reads(std::uint32_t thing) { reads_.set(thing % kThings); }
  void Writes(std::uint32_t thing) { writes_.set(thing % kThings); }
  void BeginsCall() { begins_call_ = true; }
  void EndsCall() { ends_call_ = true; }
  void Clear() { *this = {}; }

  // Whether it makes no difference which of the two steps comes first. That a
  // call ended before another began is a difference: it is one to a history.
  bool IndependentOf(const Footprint& other) const {
    return (writes_ & (other.reads_ | other.writes_)).none() && (reads_ & other.writes_).none() &&
           !(ends_call_ && other.begins_call_) && !(begins_call_ && other.ends_call_);
  }

 private:
  std::bitset<kThings> reads_;
  std::bitset<kThings> writes_;
  bool begins_call_ = false;
  bool ends_call_ = false;
};

// Decides who goes on.
class Chooser {
 public:
  virtual ~Chooser() = default;
  // One of the bits of `runnable`. `current` has just run; it may be among them.
  // -1 at the start.
  virtual int Choose(int current, std::uint32_t runnable) = 0;
  // The step of the last one chosen is over.
  virtual void Stepped(const Footprint& footprint) { static_cast<void>(footprint); }
};

class Scheduler {
 public:
  static constexpr std::size_t kMaxFibers = 4;
  static constexpr std::size_t kMaxSteps = 20'000;

  Scheduler();
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  // Points after unlocking, too, which show what is touched without the lock.
  // Where every access is guarded, choices before locking and before shared
  // reads are enough.
  void SetPointsAfterUnlock(bool on) { points_after_unlock_ = on; }

  enum class Result { kDone, kDeadlock, kTooManySteps };
  // Runs each of `bodies` to its end. After anything but kDone the fibers are
  // left where they stood.
  Result Run(std::span<const std::function<void()>> bodies, Chooser& chooser);

  // Before a ledger is made, so that its locks have the same numbers each time.
  static void ResetLockNumbers();
  static std::uint32_t TakeLockNumber();

  // From within a fiber: around each call that a history records. Events are
  // counted, so that a later one has a greater number; a call begins when it
  // goes on from its first point.
  struct CallEvents {
    std::uint32_t called_at = 0;
    std::uint32_t returned_at = 0;
    std::uint32_t acted_at = 0;  // when it last took a lock or read what is shared
  };
  void CallBegins();
  CallEvents CallEnds();
  // Outside of fibers.
  std::uint32_t NextEvent() { return ++events_; }

  // For internal/schedule_point.h. Without a running fiber they do nothing.
  static Scheduler* running();
  void Lock(std::uint32_t lock);
  void Unlock(std::uint32_t lock);
  bool Holds(std::uint32_t lock) const;
  void Point(std::uint32_t what);
  Footprint& footprint() { return footprint_; }

 private:
  struct Fiber;
  static void Main(unsigned int high, unsigned int low);
  void Make(Fiber& fiber);
  void Reset(std::span<const std::function<void()>> bodies);
  void Yield();
  int Next();
  void SwitchTo(int to);
  bool CanRun(const Fiber& fiber) const;

  std::array<std::unique_ptr<Fiber>, kMaxFibers + 1> fibers_;  // the last is the caller
  std::size_t count_ = 0;
  int current_ = -1;
  Chooser* chooser_ = nullptr;
  Footprint footprint_;
  std::bitset<Footprint::kThings> locked_;
  std::array<std::bitset<Footprint::kThings>, kMaxFibers> held_;
  std::size_t steps_ = 0;
  std::uint32_t events_ = 0;
  Result result_ = Result::kDone;
  bool points_after_unlock_ = true;
};

// A manual clock, reading which is a point.
class ScheduledClock final : public Clock {
 public:
  explicit ScheduledClock(TimestampMs now) noexcept : now_(now) {}
  TimestampMs Now() const noexcept override {
    internal::SchedulePoint(internal::Shared::kClock);
    return now_;
  }
  TimestampMs Peek() const noexcept { return now_; }
  void Advance(std::int64_t ms) noexcept {
    internal::ScheduleWrite(internal::Shared::kClock);
    now_.value += ms;
  }

 private:
  TimestampMs now_;
};

}  // namespace ffgrant::testing

#endif  // FFGRANT_TESTING_MODEL_SCHEDULER_H_
