// SPDX-License-Identifier: Apache-2.0
//
// Reads grants with simdjson's on-demand reader, used as simdjson's documentation advises.

#ifndef FFGRANT_BENCH_SIMDJSON_GRANT_READER_H_
#define FFGRANT_BENCH_SIMDJSON_GRANT_READER_H_

#include <simdjson.h>

#include <string_view>

#include "bench/grant_baselines.h"

namespace ffgrant::bench::plain {

// Looks the four members up, as simdjson's documentation advises, and leaves the rest unread. For
// all documents of the benchmarks it gives the same values as core, but it is not what contract 4
// asks for:
//   - It accepts a repeated member, a comma before the closing brace, a second document after the
//     first, and unwanted members whose values are not JSON.
//   - It refuses what the contract allows: names with escapes, the positional form, and unwanted
//     members with bytes that are not UTF-8.
//   - It does not report an error's place, member and class. If the last token is not the
//     closing brace, it refuses the document before it has read a member.
class SimdjsonGrantReader {
 public:
  // `json` must be followed by SIMDJSON_PADDING readable bytes. The result points into `json` or
  // into this reader, and is valid until the reader is used again.
  bool ReadMembers(std::string_view json, GrantMembers& out);
  // Reads the members, then calls UnderstandMembers.
  bool ReadTyped(std::string_view json, TypedGrant& out);

 private:
  simdjson::ondemand::parser parser_;
};

}  // namespace ffgrant::bench::plain

#endif  // FFGRANT_BENCH_SIMDJSON_GRANT_READER_H_
