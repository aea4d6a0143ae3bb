// SPDX-License-Identifier: Apache-2.0

#include "bench/perf/slowdown.h"

namespace ffgrant::bench {

const int kSlowdownPercent = FFGRANT_SLOWDOWN_PERCENT;

}  // namespace ffgrant::bench
