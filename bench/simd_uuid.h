// SPDX-License-Identifier: Apache-2.0
//
// UUIDs as the fast libraries read them (crashoz/uuid_v4 and its like): the
// hyphens shuffled away, 32 digits in one AVX2 vector. The rival of core's
// parser, and what a reader of JSON would use beside simdjson. Falls back to a
// loop on other processors.

#ifndef FFGRANT_BENCH_SIMD_UUID_H_
#define FFGRANT_BENCH_SIMD_UUID_H_

#include <optional>
#include <string_view>

#include "bench/plain_baselines.h"
#include "ffgrant/uuid.h"

namespace ffgrant::bench::plain {

// 36 bytes, lowercase.
std::optional<Uuid> ParseUuidStrictSimd(std::string_view text);

// `{fp:`, an index by std::from_chars, `}:`, a UUID in one of the four forms.
std::optional<PlainExecutionId> ParseExecutionIdStrictSimd(std::string_view text);
std::optional<PlainExecutionId> ParseExecutionIdLenientSimd(std::string_view text);

}  // namespace ffgrant::bench::plain

#endif  // FFGRANT_BENCH_SIMD_UUID_H_
