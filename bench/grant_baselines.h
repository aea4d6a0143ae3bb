// SPDX-License-Identifier: Apache-2.0
//
// Defines baselines, which do not use core, for reading and writing grants as JSON. They are
// structs with a grant's members, a function that parses two of the members, and functions that
// append JSON to a std::string.

#ifndef FFGRANT_BENCH_GRANT_BASELINES_H_
#define FFGRANT_BENCH_GRANT_BASELINES_H_

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

// The members, with the execution id and the partition key parsed.
struct TypedGrant {
  GrantMembers members;
  PlainExecutionId execution_id;
  Partition partition;
  friend bool operator==(const TypedGrant&, const TypedGrant&) = default;
};

// Parses the execution id and the partition key in `grant.members` as leniently as the reference
// does: the id with a good UUID parser (simd_uuid.h), the key with std::from_chars. Returns false
// if one of the two is not valid.
bool UnderstandMembers(TypedGrant& grant);

// Appends the text in quotes and escapes the bytes that JSON requires to be escaped.
void AppendJsonText(std::string_view text, std::string& out);

// Appends the claim response and escapes the bytes that JSON requires to be escaped.
void AppendGrantJson(const GrantMembers& grant, std::string& out);

}  // namespace ffgrant::bench::plain

#endif  // FFGRANT_BENCH_GRANT_BASELINES_H_
