// SPDX-License-Identifier: Apache-2.0
//
// Makes inputs shorter. An engine that minimises asks a mutator for fewer bytes than the input has.
// If the mutator only cut off the end, everything before the part that matters would stay.

#ifndef FFGRANT_FUZZ_HARNESS_CUTTING_H_
#define FFGRANT_FUZZ_HARNESS_CUTTING_H_

#include <cstddef>
#include <cstdint>

#include "harness/random.h"

namespace ffgrant::fuzz {

// Takes one run of bytes, at a random place and of a random length, out of data[0, size), so that
// at most `max_size` bytes are left. Returns how many are left. Requires size > max_size. Short
// runs are as frequent as long ones. At least one byte is left unless max_size is 0. The beginning
// and the length of the run are multiples of `unit`. If no such run is long enough, which happens
// only if max_size < unit, the end is cut off instead. Nothing past data[max_size - 1] is written.
// The cost is that of one move.
std::size_t CutToFit(Random& random, std::uint8_t* data, std::size_t size, std::size_t max_size,
                     std::size_t unit = 1);

}  // namespace ffgrant::fuzz

#endif  // FFGRANT_FUZZ_HARNESS_CUTTING_H_
