// SPDX-License-Identifier: Apache-2.0

#include "bench/perf/slowdown.h"

namespace ffgrant::bench {

int SlowdownPercent(const char*, std::int64_t) { return FFGRANT_SLOWDOWN_PERCENT; }

}  // namespace ffgrant::bench
