// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/claims/clock.h"

#include <time.h>

namespace ffgrant {
namespace {

template <clockid_t id>
class PosixClock final : public Clock {
 public:
  TimestampMs Now() const noexcept override {
    timespec now;
    clock_gettime(id, &now);  // can't fail: both clocks exist on every Linux
    return {std::int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000};
  }
};

}  // namespace

const Clock& SystemClock() noexcept {
  static const PosixClock<CLOCK_REALTIME> clock;
  return clock;
}

const Clock& CoarseClock() noexcept {
  static const PosixClock<CLOCK_REALTIME_COARSE> clock;
  return clock;
}

}  // namespace ffgrant
