// SPDX-License-Identifier: Apache-2.0

#include "harness/cutting.h"

#include <bit>
#include <cstring>

namespace ffgrant::fuzz {

std::size_t CutToFit(Random& random, std::uint8_t* data, std::size_t size, std::size_t max_size,
                     std::size_t unit) {
  // `least` and `most` are numbers of units. An incomplete last unit can be moved, but it is never
  // cut out.
  const std::size_t least = (size - max_size + unit - 1) / unit;
  const std::size_t most = (size - 1) / unit;
  if (max_size == 0 || least > most) return max_size;
  const std::size_t more = most - least;
  const std::size_t halvings = random.Below(static_cast<std::size_t>(std::bit_width(more)) + 1);
  const std::size_t count = least + random.Below((more >> halvings) + 1);
  const std::size_t at = unit * random.Below(size / unit - count + 1);
  const std::size_t behind = at + unit * count;
  std::memmove(data + at, data + behind, size - behind);
  return size - unit * count;
}

}  // namespace ffgrant::fuzz
