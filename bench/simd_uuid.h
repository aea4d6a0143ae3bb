// SPDX-License-Identifier: Apache-2.0
//
// Reads UUIDs as the fast libraries do (crashoz/uuid_v4 and the like): a shuffle removes the
// hyphens, and one AVX2 vector holds the 32 digits. This code is the rival of core's parser: a user
// of simdjson would combine it with simdjson. On a processor without AVX2 it reads the digits in a
// loop.

#ifndef FFGRANT_BENCH_SIMD_UUID_H_
#define FFGRANT_BENCH_SIMD_UUID_H_

#include <cstddef>
#include <optional>
#include <string_view>

#include "bench/plain_baselines.h"
#include "ffgrant/execution_id.h"
#include "ffgrant/parse_mode.h"
#include "ffgrant/uuid.h"

namespace ffgrant::bench::plain {

// Accepts a hyphenated UUID in lower case.
std::optional<Uuid> ParseUuidStrictSimd(std::string_view text);

// Both read `{fp:`, an index with std::from_chars, `}:`, and a UUID: the strict parser a hyphenated
// one in lower case, the lenient parser one in any of the four forms.
std::optional<PlainExecutionId> ParseExecutionIdStrictSimd(std::string_view text);
std::optional<PlainExecutionId> ParseExecutionIdLenientSimd(std::string_view text);

// What core reports of a text. `id` is set on success, the other members are set on failure.
struct IdOutcome {
  std::optional<PlainExecutionId> id;
  ExecutionIdError error = ExecutionIdError::kNone;
  std::size_t offset = 0;
  std::string_view payload;
  friend bool operator==(const IdOutcome&, const IdOutcome&) = default;
};

// Parses like the two functions above, and reports the rule that is broken, the first byte that
// breaks this rule, and the text at fault. This function shows how fast the peer is if it does as
// much as core. As with core, a text that lenient mode rejects gets the same error in strict mode.
IdOutcome ExplainExecutionIdSimd(std::string_view text, ParseMode mode);

}  // namespace ffgrant::bench::plain

#endif  // FFGRANT_BENCH_SIMD_UUID_H_
