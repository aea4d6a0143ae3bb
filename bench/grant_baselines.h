// SPDX-License-Identifier: Apache-2.0
//
// Reads and writes grants as JSON without core: with simdjson's on-demand reader, used as its
// documentation advises, and with std::string.

#ifndef FFGRANT_BENCH_GRANT_BASELINES_H_
#define FFGRANT_BENCH_GRANT_BASELINES_H_

#include <simdjson.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "bench/plain_baselines.h"

namespace ffgrant::bench::plain {

// The four members of a grant. The texts are not parsed.
struct GrantMembers {
  std::string_view execution_id;
  std::string_view partition_key;
  std::string_view grant_key;
  std::uint64_t expires_at_ms = 0;
  friend bool operator==(const GrantMembers&, const GrantMembers&) = default;
};

// The members, with their texts parsed.
struct TypedGrant {
  GrantMembers members;
  PlainExecutionId execution_id;
  Partition partition;
  friend bool operator==(const TypedGrant&, const TypedGrant&) = default;
};

// Parses the texts of `grant.members` as leniently as the reference does: the id with a good UUID
// parser (simd_uuid.h), the key with std::from_chars. Returns false if a text is not valid.
bool UnderstandMembers(TypedGrant& grant);

// Looks the four members up, as simdjson's documentation advises, and leaves the rest unread. For
// all documents of the benchmarks it gives the same values as core, but it does less than contract
// 4 asks for:
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

// Appends the text in quotes and escapes the bytes that JSON requires to be escaped.
void AppendJsonText(std::string_view text, std::string& out);

// Appends the claim response and escapes the bytes that JSON requires to be escaped.
void AppendGrantJson(const GrantMembers& grant, std::string& out);

}  // namespace ffgrant::bench::plain

#endif  // FFGRANT_BENCH_GRANT_BASELINES_H_
