// SPDX-License-Identifier: Apache-2.0
//
// Where threads meet. With FFGRANT_SCHEDULE_POINTS, which a test library is
// compiled with, a deterministic scheduler decides here which thread goes on
// (testing/scheduler.h); without it, all of this is nothing.

#ifndef FFGRANT_CLAIMS_INTERNAL_SCHEDULE_POINT_H_
#define FFGRANT_CLAIMS_INTERNAL_SCHEDULE_POINT_H_

#include <cstdint>

namespace ffgrant::internal {

// What threads share besides what a lock guards. Locks are numbered behind.
enum class Shared : std::uint32_t {
  kClock,
  kNames,     // found without the pool's lock
  kLanes,     // likewise
  kNonEmpty,  // hints of the queues
  kTexts,
  kCursor,  // of maintenance, and of the search for names
  kScans,   // where workers' rounds begin
  kSize,
  kFirstLock = 16,
};

#ifdef FFGRANT_SCHEDULE_POINTS

inline constexpr bool kScheduled = true;

// Before a lock is taken; returns when it is free.
void ScheduleLock(std::uint32_t lock) noexcept;
// After it was released.
void ScheduleUnlock(std::uint32_t lock) noexcept;
// Whether the thread that runs has taken it.
bool ScheduleHolds(std::uint32_t lock) noexcept;
// Another thread may come in here.
void SchedulePoint(Shared what) noexcept;
// What is touched until the next point; no other thread comes in.
void ScheduleRead(Shared what) noexcept;
void ScheduleWrite(Shared what) noexcept;

// Locks are told apart by the order in which they were made, which is the same
// in every run.
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
