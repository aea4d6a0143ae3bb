// SPDX-License-Identifier: Apache-2.0
//
// Random (version 4) UUIDs (contract 1.5).

#ifndef FFGRANT_UUID_GENERATOR_H_
#define FFGRANT_UUID_GENERATOR_H_

#include <array>
#include <cstdint>

#include "ffgrant/config.h"
#include "ffgrant/uuid.h"

FFGRANT_API_BEGIN
namespace ffgrant {

// A stream of version 4 UUIDs from xoshiro256++. Unique, not secret: ids name
// records and fence leases, they do not authenticate. No allocation. One object
// serves one thread; a copy goes on with the same ids.
class UuidGenerator {
 public:
  // The stream is a function of the seed: for tests and repeatable benchmarks.
  explicit UuidGenerator(std::uint64_t seed) noexcept;

  // Seeded with 256 bits from the operating system; aborts if it gives none.
  static UuidGenerator FromEntropy() noexcept;

  Uuid Next() noexcept;

 private:
  explicit UuidGenerator(const std::array<std::uint64_t, 4>& state) noexcept : state_(state) {}

  std::array<std::uint64_t, 4> state_;
};

// The next UUID of the calling thread's own stream, which is seeded from
// entropy at first use (a system call) and again in the child after a fork().
// Any thread.
Uuid RandomUuid() noexcept;

}  // namespace ffgrant
FFGRANT_API_END

#endif  // FFGRANT_UUID_GENERATOR_H_
