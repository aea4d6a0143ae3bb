// SPDX-License-Identifier: Apache-2.0
//
// Inputs made shorter. An engine that minimises asks a mutator for less than the
// input has: to cut off the end alone would keep all that lies before what
// matters.

#ifndef FFGRANT_FUZZ_HARNESS_CUTTING_H_
#define FFGRANT_FUZZ_HARNESS_CUTTING_H_

#include <cstddef>
#include <cstdint>

#include "harness/random.h"

namespace ffgrant::fuzz {

// Takes one run of bytes out of data[0, size), at a random place and of a random
// length, so that at most `max_size` are left, and returns how many. Requires
// size > max_size. Short runs are as frequent as long ones. At least one byte
// is left unless max_size is 0. Where the run begins and how long it is are
// multiples of `unit`; if no such run is enough, which takes max_size < unit, the
// end is cut off. Nothing is written behind data[max_size - 1]. Costs one move.
std::size_t CutToFit(Random& random, std::uint8_t* data, std::size_t size, std::size_t max_size,
                     std::size_t unit = 1);

}  // namespace ffgrant::fuzz

#endif  // FFGRANT_FUZZ_HARNESS_CUTTING_H_
