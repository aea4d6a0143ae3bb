// SPDX-License-Identifier: Apache-2.0
//
// The functions here mark the points at which one thread can affect another. In a test library that
// is compiled with FFGRANT_SCHEDULE_POINTS, a deterministic scheduler decides at these points which
// thread goes on (testing/model/scheduler.h). Without this macro, the functions here do nothing.

#ifndef FFGRANT_CLAIMS_INTERNAL_SCHEDULE_POINT_H_
#define FFGRANT_CLAIMS_INTERNAL_SCHEDULE_POINT_H_

#include <cstdint>

namespace ffgrant::internal {

// What threads share without a lock. Locks are numbered from kFirstLock on.
enum class Shared : std::uint32_t {
  kClock,
  kNames,     // found without the pool's lock
  kNonEmpty,  // hints of the queues
  kTexts,
  kCursor,  // of maintenance, and of the search for room
  kScans,   // where workers' rounds begin
  kSize,
  kFirstLock = 16,
};

#ifdef FFGRANT_SCHEDULE_POINTS

inline constexpr bool kScheduled = true;

// Is called before a lock is taken; returns when the lock is free.
void ScheduleLock(std::uint32_t lock) noexcept;
// Is called after a lock was released.
void ScheduleUnlock(std::uint32_t lock) noexcept;
// Whether the running thread holds the lock.
bool ScheduleHolds(std::uint32_t lock) noexcept;
// Lets the scheduler choose which thread goes on.
void SchedulePoint(Shared what) noexcept;
// ScheduleRead() and ScheduleWrite() declare what this thread touches before the next point. They
// let no other thread run.
void ScheduleRead(Shared what) noexcept;
void ScheduleWrite(Shared what) noexcept;

// A lock's number is kFirstLock plus its place in the order in which the locks were made. This
// order is the same in every run.
std::uint32_t NextLockNumber() noexcept;
struct LockNumber {
  std::uint32_t number = NextLockNumber();
};

#else

inline constexpr bool kScheduled = false;

inline void ScheduleLock(std::uint32_t) noexcept {}
inline void ScheduleUnlock(std::uint32_t) noexcept {}
inline bool ScheduleHolds(std::uint32_t) noexcept { return true; }
inline void SchedulePoint(Shared) noexcept {}
inline void ScheduleRead(Shared) noexcept {}
inline void ScheduleWrite(Shared) noexcept {}

struct LockNumber {
  static constexpr std::uint32_t number = 0;
};

#endif

}  // namespace ffgrant::internal

#endif  // FFGRANT_CLAIMS_INTERNAL_SCHEDULE_POINT_H_
