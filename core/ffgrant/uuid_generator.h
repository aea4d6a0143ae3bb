// SPDX-License-Identifier: Apache-2.0
//
// Makes random (version 4) UUIDs (contract 1.5).

#ifndef FFGRANT_UUID_GENERATOR_H_
#define FFGRANT_UUID_GENERATOR_H_

#include <array>
#include <cstdint>

#include "ffgrant/config.h"
#include "ffgrant/uuid.h"

FFGRANT_API_BEGIN
namespace ffgrant {

// A stream of version 4 UUIDs from xoshiro256++. The UUIDs are unique but not secret: an id names a
// record, and the ids of a lease and its attempt are part of the fence, but no id authenticates
// anybody. A generator allocates nothing. One object serves one thread at a time; a copy produces
// the same ids as its original.
class UuidGenerator {
 public:
  // The seed alone determines the stream, for tests and repeatable benchmarks.
  explicit UuidGenerator(std::uint64_t seed) noexcept;

  // Seeds the stream with 256 bits from the operating system; aborts if the system gives none.
  static UuidGenerator FromEntropy() noexcept;

  Uuid Next() noexcept;

 private:
  explicit UuidGenerator(const std::array<std::uint64_t, 4>& state) noexcept : state_(state) {}

  std::array<std::uint64_t, 4> state_;
};

// Returns the next UUID of the calling thread's own stream. The stream is seeded from entropy at
// its first use, with a system call, and seeded again in the child after a fork(). Any thread may
// call the function.
Uuid RandomUuid() noexcept;

}  // namespace ffgrant
FFGRANT_API_END

#endif  // FFGRANT_UUID_GENERATOR_H_
