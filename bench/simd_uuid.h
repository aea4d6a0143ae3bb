// SPDX-License-Identifier: Apache-2.0
//
// Reads UUIDs as the fast libraries do (crashoz/uuid_v4 and the like): a shuffle removes the
// hyphens, and one AVX2 vector holds the 32 digits. This code is the rival of core's parser: a user
// of simdjson would combine it with simdjson. On other processors it falls back to a loop.

#ifndef FFGRANT_BENCH_SIMD_UUID_H_
#define FFGRANT_BENCH_SIMD_UUID_H_

#include <optional>
#include <string_view>

#include "bench/plain_baselines.h"
#include "ffgrant/uuid.h"

namespace ffgrant::bench::plain {

// Accepts 36 bytes in lower case.
std::optional<Uuid> ParseUuidStrictSimd(std::string_view text);

// Reads `{fp:`, an index with std::from_chars, `}:`, and a UUID in one of the four forms.
std::optional<PlainExecutionId> ParseExecutionIdStrictSimd(std::string_view text);
std::optional<PlainExecutionId> ParseExecutionIdLenientSimd(std::string_view text);

}  // namespace ffgrant::bench::plain

#endif  // FFGRANT_BENCH_SIMD_UUID_H_
