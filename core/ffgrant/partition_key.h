// SPDX-License-Identifier: Apache-2.0
//
// The text of a partition key (contract 1.3, strict mode 1.8).
//
//   key    = "{" family ":" index "}"
//   family = "fp" | "b" | "q"
//   index  = [ "+" ] 1*DIGIT            ; value 0..65535, any number of zeros
//
// On the wire the key is opaque: it is carried, copied and compared without
// being looked at. Only a parse checks it.

#ifndef FFGRANT_PARTITION_KEY_H_
#define FFGRANT_PARTITION_KEY_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "ffgrant/config.h"
#include "ffgrant/internal/canonical_partition_key.h"
#include "ffgrant/parse_mode.h"
#include "ffgrant/partition.h"
#include "ffgrant/write_result.h"

FFGRANT_API_BEGIN
namespace ffgrant {

// If a key breaks several rules, the error that comes first here is reported: braces, colon,
// family, index.
enum class PartitionKeyError : std::uint8_t {
  kNone,
  kMissingBraces,
  kMalformedBody,
  kUnknownFamilyPrefix,
  kInvalidIndex,
  // Only strict mode reports these; lenient mode accepts the same text.
  kPlusSign,
  kLeadingZero,
};

// "missing_braces", "malformed_body", "unknown_family_prefix",
// "invalid_index", "plus_sign", "leading_zero"; "none".
std::string_view ErrorName(PartitionKeyError error) noexcept;

struct [[nodiscard]] PartitionKeyResult {
  // On success; {kFlow, 0} otherwise. `fp` gives kFlow, never kExecution.
  Partition partition;
  PartitionKeyError error = PartitionKeyError::kNone;
  // Byte offset of the failure; 0 on success:
  //   kMissingBraces        0 if `{` is missing, else the input's size
  //   kMalformedBody        of the closing brace, where a `:` was still due
  //   kUnknownFamilyPrefix  1, where the family begins
  //   kInvalidIndex         of the first byte that no index can hold there: a
  //                         byte that is no digit, the digit that exceeds
  //                         65535, or the closing brace if a digit is missing
  //   kPlusSign             of the sign
  //   kLeadingZero          of the first zero
  std::size_t offset = 0;
  // View into the input: the family text for kUnknownFamilyPrefix, the index
  // text for kInvalidIndex, kPlusSign and kLeadingZero; else empty.
  std::string_view payload;

  constexpr explicit operator bool() const noexcept { return error == PartitionKeyError::kNone; }
  friend constexpr bool operator==(const PartitionKeyResult&, const PartitionKeyResult&) = default;
};

namespace internal {
// Checks rule by rule and so takes every spelling.
PartitionKeyResult ParseAnyPartitionKey(std::string_view text, ParseMode mode) noexcept;
}  // namespace internal

// Parses `text`: any bytes, any length. Linear in the input, no allocation,
// canonical keys without a loop. Does not check the index against a
// PartitionConfig (ingress.h does). Safe to call from any thread.
//
//   ParsePartitionKey("{fp:7}", ParseMode::kStrict).partition.index == 7
//   ParsePartitionKey("{fp:+7}", ParseMode::kLenient).partition.index == 7
//   ParsePartitionKey("{fp:+7}", ParseMode::kStrict).error == kPlusSign
inline PartitionKeyResult ParsePartitionKey(std::string_view text, ParseMode mode) noexcept {
  PartitionKeyResult result;
  if (internal::ParseCanonicalPartitionKey(text, result.partition)) [[likely]]
    return result;
  return internal::ParseAnyPartitionKey(text, mode);
}

struct [[nodiscard]] PartitionKeysResult {
  std::size_t count = 0;       // keys that were parsed, from the first text on
  PartitionKeyResult failure;  // of text `count`, if that is what ended the parse

  constexpr explicit operator bool() const noexcept { return static_cast<bool>(failure); }
};

// Parses many texts in one call, for gateways and replays: each as
// ParsePartitionKey does, in order, until one fails or either span ends. Elements of
// `out` from `count` on are untouched. Linear, no allocation. Any thread.
//
//   std::vector<Partition> partitions(texts.size());
//   const auto r = ParsePartitionKeys(texts, ParseMode::kStrict, partitions);
//   if (!r) report(texts[r.count], r.failure.error);
PartitionKeysResult ParsePartitionKeys(std::span<const std::string_view> texts, ParseMode mode,
                                       std::span<Partition> out) noexcept;

// Writes the reference's message for a failed parse, payload unescaped, as
// `partition index 'x' is not a valid u16`. Nothing is written for kNone. The
// strict errors have messages of our own.
WriteResult FormatPartitionKeyError(const PartitionKeyResult& result, std::span<char> out) noexcept;

// An owned key: opaque text. Copy assignment reuses capacity.
class PartitionKey {
 public:
  PartitionKey() = default;
  // Takes any text unchecked, as the wire does.
  explicit PartitionKey(std::string_view text) : text_(text) {}
  // The canonical text. Loses kExecution (see CollapseAlias).
  explicit PartitionKey(Partition partition) : text_(PartitionTag(partition).view()) {}

  std::string_view text() const& noexcept { return text_; }
  std::string_view text() const&& = delete;  // would point into a dead object
  void assign(std::string_view text) { text_.assign(text); }
  PartitionKeyResult Parse(ParseMode mode) const& noexcept {
    return ParsePartitionKey(text_, mode);
  }
  // The result's payload would point into a dead object.
  PartitionKeyResult Parse(ParseMode mode) const&& = delete;

  friend bool operator==(const PartitionKey&, const PartitionKey&) = default;

 private:
  std::string text_;
};

}  // namespace ffgrant
FFGRANT_API_END

template <>
struct std::hash<ffgrant::PartitionKey> {
  std::size_t operator()(const ffgrant::PartitionKey& key) const noexcept {
    return std::hash<std::string_view>()(key.text());
  }
};

#endif  // FFGRANT_PARTITION_KEY_H_
