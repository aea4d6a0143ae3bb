// SPDX-License-Identifier: Apache-2.0
//
// Grants from and to JSON without core: simdjson's on-demand reader as its
// documentation advises, and std::string.

#ifndef FFGRANT_BENCH_GRANT_BASELINES_H_
#define FFGRANT_BENCH_GRANT_BASELINES_H_

#include <simdjson.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "bench/plain_baselines.h"

namespace ffgrant::bench::plain {

// The four members as text, from any document with these members.
struct GrantMembers {
  std::string_view execution_id;
  std::string_view partition_key;
  std::string_view grant_key;
  std::uint64_t expires_at_ms = 0;
  friend bool operator==(const GrantMembers&, const GrantMembers&) = default;
};

// The members with the texts understood.
struct TypedGrant {
  GrantMembers members;
  PlainExecutionId execution_id;
  Partition partition;
  friend bool operator==(const TypedGrant&, const TypedGrant&) = default;
};

// Fills in what the texts of `grant.members` say, as leniently as the reference:
// the id by a good UUID parser (simd_uuid.h), the key by std::from_chars. False if
// they say nothing.
bool UnderstandMembers(TypedGrant& grant);

class SimdjsonGrantReader {
 public:
  // `json` must be followed by SIMDJSON_PADDING readable bytes. The result
  // points into `json` or into this reader, until its next use.
  bool ReadMembers(std::string_view json, GrantMembers& out);
  // Members, then UnderstandMembers.
  bool ReadTyped(std::string_view json, TypedGrant& out);

 private:
  simdjson::ondemand::parser parser_;
};

// Appends the text with its quotes, escaping what JSON wants escaped.
void AppendJsonText(std::string_view text, std::string& out);

// Appends the claim response, escaping what JSON wants escaped.
void AppendGrantJson(const GrantMembers& grant, std::string& out);

}  // namespace ffgrant::bench::plain

#endif  // FFGRANT_BENCH_GRANT_BASELINES_H_
