// SPDX-License-Identifier: Apache-2.0
//
// Makes the inputs of the benchmarks: seeded sets of 65,536 inputs in random order, more than a
// branch predictor can learn. The texts of a set lie back to back in memory in the order in which
// they are visited, so that the operation is timed and not the fetching of its input.

#ifndef FFGRANT_BENCH_INPUTS_H_
#define FFGRANT_BENCH_INPUTS_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ffgrant/partition.h"
#include "ffgrant/uuid.h"

namespace ffgrant::bench {

inline constexpr std::size_t kInputCount = 65536;

// Texts that lie back to back, with simdjson's padding after the last one.
class TextSet {
 public:
  static constexpr std::size_t kPadding = 64;

  explicit TextSet(const std::vector<std::string>& texts);
  TextSet(const TextSet&) = delete;
  TextSet& operator=(const TextSet&) = delete;

  std::size_t size() const { return views_.size(); }
  std::string_view operator[](std::size_t i) const { return views_[i]; }
  double average_size() const;

 private:
  std::string bytes_;
  std::vector<std::string_view> views_;
};

// A small deterministic generator (SplitMix64) that gives the same numbers everywhere.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t Next();
  std::uint64_t Below(std::uint64_t bound) { return Next() % bound; }
  Uuid NextUuid();  // version 4

 private:
  std::uint64_t state_;
};

template <class T>
void Shuffle(std::vector<T>& values, Random& random) {
  for (std::size_t i = values.size(); i > 1; --i) {
    std::swap(values[i - 1], values[random.Below(i)]);
  }
}

enum class KeyCase {
  kRandom,       // canonical; each family and each number of digits is equally likely.
                 // There are few short keys, so the short keys occur more than once
  kDistinct,     // canonical; 65,536 different keys of the 196,608 that exist
  kEarlyReject,  // the opening brace is replaced by another byte
  kLateReject,   // the closing brace, or the digit before it, is replaced by another byte
  kSpellings,    // most have a plus sign or leading zeros, which only lenient mode accepts
};
const TextSet& PartitionKeys(KeyCase which);

enum class IdCase {
  kValid,        // canonical; each number of digits is equally likely
  kEarlyReject,  // the opening brace, or the `f`, is replaced by another byte
  kLateReject,   // the last hex digit is replaced by another byte
  kSpellings,    // all four uuid forms, either case, plus signs and zeros
};
const TextSet& ExecutionIds(IdCase which);

enum class GrantCase {
  kCanonical,      // as the reference writes them
  kReordered,      // the members are in any order
  kWhitespace,     // the documents are indented
  kEscaped,        // one or two bytes of each text value are written as \u00xx
  kEarlyReject,    // the first byte cannot begin a document
  kLateReject,     // the last byte is `]`
  kUnknownMember,  // one more member at any place: a text, a number, a list or an object
  kPostgresKey,    // the grant key is pg:{fp:7}:<uuid>:<expiry>:<kid>:<hex>
  kSqliteKey,      // the grant key is a bare UUID
  kTime10Digits,   // the time has 10 digits, as a time in seconds would have
  kTimeAnyDigits,  // the time has 1 to 20 digits, each length equally likely
};
// Claim responses, about 200 bytes each.
const TextSet& GrantDocuments(GrantCase which);

const TextSet& UuidTexts();
const TextSet& Lanes();
const TextSet& GrantKeys();  // ff:exec:{fp:7}:{fp:7}:<uuid>:claim_grant
const std::vector<Uuid>& Uuids();
const std::vector<Partition>& Partitions();  // drawn as the partitions of KeyCase::kRandom are

// Returns what the benchmark names call the case.
std::string_view CaseName(KeyCase which);
std::string_view CaseName(IdCase which);
std::string_view CaseName(GrantCase which);

// Returns the hyphenated lowercase text, written naively.
std::string PlainUuidText(const Uuid& uuid);

}  // namespace ffgrant::bench

#endif  // FFGRANT_BENCH_INPUTS_H_
