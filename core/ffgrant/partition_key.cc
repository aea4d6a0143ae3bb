// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/partition_key.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "ffgrant/internal/canonical_partition_key.h"
#include "ffgrant/internal/concat.h"
#include "ffgrant/internal/decimal_digits.h"
#include "ffgrant/internal/index_text.h"
#include "ffgrant/internal/load.h"
#include "ffgrant/internal/paths.h"

namespace ffgrant {
namespace {

using internal::IndexSpelling;

PartitionKeyResult Fail(PartitionKeyError error, std::size_t offset,
                        std::string_view payload = {}) noexcept {
  return {.partition = {}, .error = error, .offset = offset, .payload = payload};
}

// Returns the offset at which the index begins if the family is known, else 0.
std::size_t IndexBegin(std::string_view text, PartitionFamily& family) noexcept {
  const char* const p = text.data();
  if (text.size() > 4 && internal::Load32(p) == internal::Word32('{', 'f', 'p', ':')) {
    family = PartitionFamily::kFlow;
    return 4;
  }
  if (text.size() > 3 && p[2] == ':' && (p[1] == 'b' || p[1] == 'q')) {
    family = p[1] == 'b' ? PartitionFamily::kBudget : PartitionFamily::kQuota;
    return 3;
  }
  return 0;
}

// Returns the text between the family's colon and the brace.
std::string_view IndexTextOf(std::string_view text, std::size_t begin) noexcept {
  return {text.data() + begin, text.size() - 1 - begin};
}

// Returns the error of strict mode for a sign or for leading zeros.
PartitionKeyError SpellingError(IndexSpelling spelling) noexcept {
  static_assert(static_cast<int>(PartitionKeyError::kLeadingZero) ==
                static_cast<int>(PartitionKeyError::kPlusSign) + 1);
  return static_cast<PartitionKeyError>(static_cast<int>(PartitionKeyError::kPlusSign) - 1 +
                                        static_cast<int>(spelling));
}

// What ReadSpelledKey() finds in a key with a known family and an index of 1 to 12 bytes, not
// counting a sign.
struct SpelledKey {
  enum class Kind : std::uint8_t { kValid, kWrongDigit, kOther };
  Kind kind = Kind::kOther;
  IndexSpelling spelling = IndexSpelling::kCanonical;
  Partition partition;
  std::size_t index_begin = 0;
  std::size_t wrong = 0;  // for kWrongDigit the offset of the first byte that is no digit
};

// Reads keys in nearly all spellings that other programs may use. If an index has up to eight
// bytes, not counting a sign, the function also finds the first byte that is no digit, provided
// that at most four digits come before that byte. `kind` is kOther for all other texts. Nothing
// predicts the family, the sign or the number of zeros, so there is no branch on them. `text` must
// be in braces.
inline SpelledKey ReadSpelledKey(std::string_view text) noexcept {
  SpelledKey key;
  const std::size_t size = text.size();
  if (size < 5) return key;
  const char* const p = text.data();
  const std::uint32_t head_text = internal::Load32(p);
  const internal::PartitionKeyHead& head = internal::kPartitionKeyHeads[head_text >> 9 & 3];
  key.index_begin = head.size;
  const auto plus = static_cast<unsigned>(p[head.size] == '+');
  const char* const digits = p + head.size + plus;
  const char* const end = p + size - 1;
  const auto count = static_cast<std::size_t>(end - digits);
  if (count - 1 >= 12 || ((head_text & head.mask) ^ head.text) != 0) return key;
  internal::TakePath(internal::Path::kKeyDigits, count);
  // The last eight bytes before the brace. A key of fewer than nine bytes has at most four digits;
  // the lower half of the word then holds other bytes, which do not count.
  const std::uint64_t last =
      std::uint64_t{internal::Load32(end - 4)} << 32 | internal::Load32(end - (size < 9 ? 4 : 8));
  const std::size_t last_count = count < 8 ? count : 8;
  bool ok = true;
  const std::uint64_t value =
      internal::ParseUpTo8Digits(last, static_cast<unsigned>(last_count), ok);
  // All digits before the last eight must be zeros. If there are no such digits, no byte of `first`
  // counts.
  const std::uint64_t first = internal::Load32(count < 8 ? p : digits) ^ std::uint64_t{0x30303030};
  const std::uint64_t other = first & ((std::uint64_t{1} << 8 * (count - last_count)) - 1);
  key.partition = {head.family, static_cast<std::uint16_t>(value)};
  static_assert(static_cast<int>(IndexSpelling::kPlusSign) == 1);
  static_assert(static_cast<int>(IndexSpelling::kLeadingZero) == 2);
  const unsigned zero = static_cast<unsigned>(*digits == '0') & static_cast<unsigned>(count > 1);
  key.spelling = static_cast<IndexSpelling>(plus | (zero & ~plus) << 1);
  if ((static_cast<unsigned>(ok) & static_cast<unsigned>(other == 0) &
       static_cast<unsigned>(value <= 65535)) != 0) [[likely]] {
    key.kind = SpelledKey::Kind::kValid;
  } else if (!ok && count <= 8) {
    const std::uint64_t index = last >> (64 - 8 * count);
    const std::uint64_t bytes = index ^ 0x3030303030303030u;
    const std::uint64_t others = ((bytes + 0x7676767676767676u) | bytes) & 0x8080808080808080u;
    const auto before = static_cast<std::size_t>(std::countr_zero(others)) / 8;
    // Up to four digits before the wrong byte make no number that is too large.
    if (before <= 4) {
      key.kind = SpelledKey::Kind::kWrongDigit;
      key.wrong = head.size + plus + before;
    }
  }
  return key;
}

}  // namespace

// Checks the rules one by one, in the order of PartitionKeyError.
PartitionKeyResult internal::ParseAnyPartitionKey(std::string_view text, ParseMode mode) noexcept {
  TakePath(Path::kAnyKey, text.size());
  if (text.empty() || text.front() != '{') return Fail(PartitionKeyError::kMissingBraces, 0);
  // The closing brace must come after the opening one: "{" has no closing brace.
  if (text.size() < 2 || text.back() != '}') {
    return Fail(PartitionKeyError::kMissingBraces, text.size());
  }
  const SpelledKey key = ReadSpelledKey(text);
  if (key.kind == SpelledKey::Kind::kValid) [[likely]] {
    if (mode == ParseMode::kLenient || key.spelling == IndexSpelling::kCanonical) {
      return {.partition = key.partition,
              .error = PartitionKeyError::kNone,
              .offset = 0,
              .payload = {}};
    }
    return Fail(SpellingError(key.spelling), key.index_begin, IndexTextOf(text, key.index_begin));
  }
  if (key.kind == SpelledKey::Kind::kWrongDigit) {
    return Fail(PartitionKeyError::kInvalidIndex, key.wrong, IndexTextOf(text, key.index_begin));
  }
  Partition partition;
  const std::size_t index_begin = IndexBegin(text, partition.family);
  if (index_begin == 0) {
    const std::size_t colon = text.find(':');
    if (colon == std::string_view::npos) {
      return Fail(PartitionKeyError::kMalformedBody, text.size() - 1);
    }
    return Fail(PartitionKeyError::kUnknownFamilyPrefix, 1, text.substr(1, colon - 1));
  }
  const std::string_view index_text = IndexTextOf(text, index_begin);
  const internal::IndexText index = internal::ParseIndexText(index_text);
  if (index.spelling == IndexSpelling::kInvalid) {
    return Fail(PartitionKeyError::kInvalidIndex, index_begin + index.offset, index_text);
  }
  // A valid index that was not read above has more than 12 digits, and so it has leading zeros.
  if (mode == ParseMode::kStrict) {
    return Fail(SpellingError(index.spelling), index_begin, index_text);
  }
  partition.index = index.value;
  return {.partition = partition, .error = PartitionKeyError::kNone, .offset = 0, .payload = {}};
}

PartitionKeysResult ParsePartitionKeys(std::span<const std::string_view> texts, ParseMode mode,
                                       std::span<Partition> out) noexcept {
  const std::size_t count = std::min(texts.size(), out.size());
  for (std::size_t i = 0; i < count; ++i) {
    Partition partition;
    if (!internal::ParseCanonicalPartitionKey(texts[i], partition)) [[unlikely]] {
      const PartitionKeyResult result = internal::ParseAnyPartitionKey(texts[i], mode);
      if (!result) return {i, result};
      partition = result.partition;
    }
    out[i] = partition;
  }
  return {count, {}};
}

std::string_view ErrorName(PartitionKeyError error) noexcept {
  switch (error) {
    case PartitionKeyError::kNone:
      return "none";
    case PartitionKeyError::kMissingBraces:
      return "missing_braces";
    case PartitionKeyError::kMalformedBody:
      return "malformed_body";
    case PartitionKeyError::kUnknownFamilyPrefix:
      return "unknown_family_prefix";
    case PartitionKeyError::kInvalidIndex:
      return "invalid_index";
    case PartitionKeyError::kPlusSign:
      return "plus_sign";
    case PartitionKeyError::kLeadingZero:
      return "leading_zero";
  }
  // Any number may be cast to an enumeration.
  return "unknown";
}

WriteResult FormatPartitionKeyError(const PartitionKeyResult& result,
                                    std::span<char> out) noexcept {
  switch (result.error) {
    case PartitionKeyError::kNone:
      return {};
    case PartitionKeyError::kMissingBraces:
      return internal::Concat(out, {"partition key must be wrapped in '{...}'"});
    case PartitionKeyError::kMalformedBody:
      return internal::Concat(out, {"partition key body must be '<prefix>:<index>'"});
    case PartitionKeyError::kUnknownFamilyPrefix:
      return internal::Concat(out, {"unknown partition family prefix '", result.payload,
                                    "' (expected 'fp', 'b', 'q')"});
    case PartitionKeyError::kInvalidIndex:
      return internal::Concat(out, {"partition index '", result.payload, "' is not a valid u16"});
    case PartitionKeyError::kPlusSign:
      return internal::Concat(out,
                              {"partition index '", result.payload, "' begins with a plus sign"});
    case PartitionKeyError::kLeadingZero:
      return internal::Concat(out, {"partition index '", result.payload, "' has leading zeros"});
  }
  // Any number may be cast to an enumeration.
  return {};
}

}  // namespace ffgrant
