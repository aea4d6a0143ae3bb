// SPDX-License-Identifier: Apache-2.0
//
// Parses and stores the text of a partition key (contract 1.3, strict mode 1.8).
//
//   key    = "{" family ":" index "}"
//   family = "fp" | "b" | "q"
//   index  = [ "+" ] 1*DIGIT            ; value 0..65535, any number of zeros
//
// On the wire the key is opaque: programs carry, copy and compare it without looking inside. Only a
// parse checks the key.

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

// If a key breaks several rules, the error that comes first here is reported: the rules are checked
// in the order braces, colon, family, index.
enum class PartitionKeyError : std::uint8_t {
  kNone,
  kMissingBraces,
  kMalformedBody,
  kUnknownFamilyPrefix,
  kInvalidIndex,
  // Only strict mode reports the errors from here on; lenient mode accepts such texts.
  kPlusSign,
  kLeadingZero,
};

// Returns "missing_braces", "malformed_body", "unknown_family_prefix", "invalid_index", "plus_sign"
// or "leading_zero"; "none" for kNone.
std::string_view ErrorName(PartitionKeyError error) noexcept;

struct [[nodiscard]] PartitionKeyResult {
  // The parsed partition on success, {kFlow, 0} on failure. `fp` gives kFlow, never kExecution.
  Partition partition;
  PartitionKeyError error = PartitionKeyError::kNone;
  // The byte offset of the failure; 0 on success. The offset points at
  //   kMissingBraces        the first byte if `{` is missing, else the end of
  //                         the input
  //   kMalformedBody        the closing brace, where a `:` was still missing
  //   kUnknownFamilyPrefix  the first byte of the family, so it is 1
  //   kInvalidIndex         the first byte that cannot continue an index: a byte
  //                         that is no digit, the digit that exceeds 65535, or
  //                         the closing brace if a digit is missing
  //   kPlusSign             the sign
  //   kLeadingZero          the first zero
  std::size_t offset = 0;
  // A view into the input: the family text for kUnknownFamilyPrefix; the index text for
  // kInvalidIndex, kPlusSign and kLeadingZero; else empty.
  std::string_view payload;

  constexpr explicit operator bool() const noexcept { return error == PartitionKeyError::kNone; }
  friend constexpr bool operator==(const PartitionKeyResult&, const PartitionKeyResult&) = default;
};

namespace internal {
// Checks rule by rule and therefore handles every spelling.
PartitionKeyResult ParseAnyPartitionKey(std::string_view text, ParseMode mode) noexcept;
}  // namespace internal

// Parses `text`, which may be any bytes of any length. Takes time linear in the input and allocates
// nothing; canonical keys are parsed without a loop. Does not check the index against a
// PartitionConfig (CheckIngress() does). Any thread may call the function.
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
  std::size_t count = 0;       // how many texts were parsed before the end or the failure
  PartitionKeyResult failure;  // the result for texts[count], if that text failed

  constexpr explicit operator bool() const noexcept { return static_cast<bool>(failure); }
};

// Parses many texts in one call, for gateways and replays. Each text is parsed as ParsePartitionKey
// parses it, in order, until a text fails or either span ends. Elements of `out` from `count` on
// are untouched. Takes time linear in the input and allocates nothing; any thread may call the
// function.
//
//   std::vector<Partition> partitions(texts.size());
//   const auto r = ParsePartitionKeys(texts, ParseMode::kStrict, partitions);
//   if (!r) report(texts[r.count], r.failure.error);
PartitionKeysResult ParsePartitionKeys(std::span<const std::string_view> texts, ParseMode mode,
                                       std::span<Partition> out) noexcept;

// Writes the reference's message for a failed parse, for example `partition index 'x' is not a
// valid u16`. The payload is not escaped. Nothing is written for kNone. The reference has no strict
// errors, so the messages of strict errors are our own.
WriteResult FormatPartitionKeyError(const PartitionKeyResult& result, std::span<char> out) noexcept;

// An owned key, whose text is opaque. Copy assignment reuses capacity.
class PartitionKey {
 public:
  PartitionKey() = default;
  // Takes any text unchecked, as the wire does.
  explicit PartitionKey(std::string_view text) : text_(text) {}
  // Stores the canonical text, in which kExecution reads as kFlow (see CollapseAlias).
  explicit PartitionKey(Partition partition) : text_(PartitionTag(partition).view()) {}

  std::string_view text() const& noexcept { return text_; }
  std::string_view text() const&& = delete;  // would point into a dead object
  void assign(std::string_view text) { text_.assign(text); }
  PartitionKeyResult Parse(ParseMode mode) const& noexcept {
    return ParsePartitionKey(text_, mode);
  }
  // This overload is deleted, since the result's payload would point into a dead object.
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
