// SPDX-License-Identifier: Apache-2.0
//
// Runs a few "threads" as fibers of one thread, in an order that the caller decides. A fiber runs
// until it comes to a point where threads meet (internal/schedule_point.h), and there the caller
// says which fiber is next. So a schedule is a list of choices, which can be repeated, searched and
// shrunk.

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

// The shared data that one step of a fiber touched. All data that a lock guards count as that lock.
class Footprint {
 public:
  static constexpr std::size_t kThings = 64;  // a scheduled ledger has few locks
  void Reads(std::uint32_t thing) { reads_.set(thing % kThings); }
  void Writes(std::uint32_t thing) { writes_.set(thing % kThings); }
  void BeginsCall() { begins_call_ = true; }
  void EndsCall() { ends_call_ = true; }
  void Clear() { *this = {}; }

  // Returns whether it makes no difference which of the two steps comes first. It does make a
  // difference if a call ended in one step and another call began in the other, since a history
  // records which came first.
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

// Decides which fiber runs next.
class Chooser {
 public:
  virtual ~Chooser() = default;
  // Returns the index of the fiber that runs next, whose bit must be set in `runnable`. `current`
  // is the fiber that has just run, or -1 at the start. The bit of `current` may be set too.
  virtual int Choose(int current, std::uint32_t runnable) = 0;
  // Is called when the step of the fiber that was chosen last has ended.
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

  // Says whether there are points after unlocking too, as there are by default. These points show
  // what is touched without the lock. Where a lock guards every access, choices before locking and
  // before shared reads are enough.
  void SetPointsAfterUnlock(bool on) { points_after_unlock_ = on; }

  enum class Result { kDone, kDeadlock, kTooManySteps };
  // Runs each of `bodies` to its end. If the result is not kDone, the fibers are left where they
  // stopped.
  Result Run(std::span<const std::function<void()>> bodies, Chooser& chooser);

  // Is called before a ledger is made, so that its locks have the same numbers each time.
  static void ResetLockNumbers();
  static std::uint32_t TakeLockNumber();

  // A fiber calls CallBegins() and CallEnds() around each call that it makes on a ledger.
  // Events are numbered, so that a later event has a greater number. A call does not begin with
  // CallBegins(), but when the scheduler resumes the fiber at the call's first point. If the call
  // comes to no point, it begins with CallEnds().
  struct CallEvents {
    std::uint32_t called_at = 0;
    std::uint32_t returned_at = 0;
    // When the call last took a lock or came to a SchedulePoint(); `returned_at` if it did neither.
    std::uint32_t acted_at = 0;
  };
  void CallBegins();
  CallEvents CallEnds();
  // Returns the number of a new event, for callers outside of fibers.
  std::uint32_t NextEvent() { return ++events_; }

  // These serve the functions of internal/schedule_point.h, which do nothing if no fiber is
  // running.
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

  std::array<std::unique_ptr<Fiber>, kMaxFibers + 1> fibers_;  // the last element is the caller
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

// A manual clock. Each Now() is a point, but a Peek() is not.
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
