// SPDX-License-Identifier: Apache-2.0

#ifndef FFGRANT_VALKEY_BACKOFF_H_
#define FFGRANT_VALKEY_BACKOFF_H_

#include <algorithm>
#include <cstdint>

#include "ffgrant/config.h"

FFGRANT_API_BEGIN
namespace ffgrant::valkey {

// How long to wait before the next try. The longest wait that is possible doubles from one try to
// the next until it is longest_ms. The upper half of each wait is random, so that clients that
// failed together do not come back together.
struct Backoff {
  std::int64_t first_ms = 5;      // >= 1
  std::int64_t longest_ms = 500;  // >= first_ms

  // Returns how many ms to wait after `failures` failures in a row (0 counts as 1). The wait is
  // random, from step / 2 to step, and at least 1. Here step is first_ms, doubled `failures` - 1
  // times (32 times at most), but no more than longest_ms.
  //
  //   Backoff{.first_ms = 10, .longest_ms = 100}.DelayMs(3, random)   // 20..40
  constexpr std::int64_t DelayMs(std::uint32_t failures, std::uint64_t random) const noexcept {
    const std::uint32_t doublings = std::min<std::uint32_t>(failures == 0 ? 0 : failures - 1, 32);
    const std::int64_t step =
        first_ms > (longest_ms >> doublings) ? longest_ms : first_ms << doublings;
    const std::int64_t least = step / 2;
    const auto range = static_cast<std::uint64_t>(step - least) + 1;
    return std::max<std::int64_t>(1, least + static_cast<std::int64_t>(random % range));
  }
};

}  // namespace ffgrant::valkey
FFGRANT_API_END

#endif  // FFGRANT_VALKEY_BACKOFF_H_
