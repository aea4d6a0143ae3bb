// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/execution_id.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "ffgrant/internal/any_case_uuid_avx2.h"
#include "ffgrant/internal/any_uuid.h"
#include "ffgrant/internal/canonical_execution_id.h"
#include "ffgrant/internal/canonical_execution_id_avx2.h"
#include "ffgrant/internal/concat.h"
#include "ffgrant/internal/decimal_digits.h"
#include "ffgrant/internal/execution_id_access.h"
#include "ffgrant/internal/index_text.h"
#include "ffgrant/internal/load.h"
#include "ffgrant/internal/paths.h"
#include "ffgrant/internal/uuid_hex.h"

namespace ffgrant {
namespace {

using internal::IndexSpelling;

constexpr std::string_view kTagBegin = "{fp:";
constexpr std::string_view kTagEnd = "}:";

// Stores a failure in `result`, which must not hold an id yet.
void Fail(ExecutionIdResult& result, ExecutionIdError error, std::size_t offset,
          std::string_view payload) noexcept {
  result.error = error;
  result.offset = offset;
  result.payload = payload;
}

// Returns the offset of the first byte that differs from `{fp:`, or the size of a text that is only
// the beginning of `{fp:`.
std::size_t FirstDifference(std::string_view text) noexcept {
  if (text.size() >= kTagBegin.size()) {
    const std::uint32_t difference =
        internal::Load32(text.data()) ^ internal::Word32('{', 'f', 'p', ':');
    return static_cast<std::size_t>(std::countr_zero(difference)) / 8;
  }
  std::size_t i = 0;
  while (i < text.size() && text[i] == kTagBegin[i]) ++i;
  return i;
}

// Nothing predicts the spelling, so there is no branch on it. `plus` must be 0 or 1.
inline IndexSpelling SpellingOf(unsigned plus, char first, std::size_t digits) noexcept {
  static_assert(static_cast<int>(IndexSpelling::kPlusSign) == 1);
  static_assert(static_cast<int>(IndexSpelling::kLeadingZero) == 2);
  const unsigned zero = static_cast<unsigned>(first == '0') & static_cast<unsigned>(digits > 1);
  return static_cast<IndexSpelling>(plus | (zero & ~plus) << 1);
}

// Reads an index of 1 to 8 digits, perhaps after a `+`, with `}:` right after it; nearly all texts
// have such an index. `end` becomes the offset of the `}:`. Returns false for any other text, for a
// text of fewer than 15 bytes and for numbers above 65535. `text` must begin with `{fp:`.
inline bool ReadShortIndex(std::string_view text, internal::IndexText& index,
                           std::size_t& end) noexcept {
  const std::size_t begin = kTagBegin.size();
  if (text.size() < begin + 11) return false;
  internal::TakePath(internal::Path::kShortIndex, text.size());
  const bool plus = text[begin] == '+';
  const char* const p = text.data() + begin + (plus ? 1 : 0);
  const std::uint64_t word = internal::Load64(p);
  const std::uint64_t digits = word ^ 0x3030303030303030u;
  const std::uint64_t others = ((digits + 0x7676767676767676u) | digits) & 0x8080808080808080u;
  const auto count = static_cast<unsigned>(std::countr_zero(others)) / 8;
  if (count == 0 || internal::Load16(p + count) != (':' << 8 | '}')) return false;
  bool ok = true;
  const std::uint64_t value = internal::ParseUpTo8Digits(word << (64 - 8 * count), count, ok);
  if (value > 65535) return false;
  index.value = static_cast<std::uint16_t>(value);
  index.spelling = SpellingOf(plus ? 1 : 0, *p, count);
  end = static_cast<std::size_t>(p - text.data()) + count;
  return true;
}

// Recognises most texts that are no ids. The check is inlined, so that such texts cost no call.
inline bool HasOtherBegin(std::string_view text) noexcept {
  return text.size() >= kTagBegin.size() && !internal::HasIdBegin(text.data());
}

// Checks the rules one by one, in the order of ExecutionIdError. The function is not inlined, so
// that the path for canonical ids does not have to save registers for it.
[[gnu::noinline]] void ParseAnySpelling(ExecutionIdResult& result, std::string_view text,
                                        ParseMode mode) noexcept {
  internal::TakePath(internal::Path::kAnyId, text.size());
  if (!text.starts_with(kTagBegin)) {
    return Fail(result, ExecutionIdError::kMissingTag, FirstDifference(text), text);
  }
  const std::size_t index_begin = kTagBegin.size();
  internal::IndexText index;
  std::size_t index_end;
  if (!ReadShortIndex(text, index, index_end)) {
    index_end = text.find(kTagEnd, index_begin);
    if (index_end == std::string_view::npos) {
      return Fail(result, ExecutionIdError::kMissingTag, text.size(), text);
    }
    index = internal::ParseIndexText(text.substr(index_begin, index_end - index_begin));
  }
  const std::string_view index_text = text.substr(index_begin, index_end - index_begin);
  if (index.spelling == IndexSpelling::kInvalid) {
    return Fail(result, ExecutionIdError::kInvalidPartitionIndex, index_begin + index.offset,
                index_text);
  }
  const std::size_t uuid_begin = index_end + kTagEnd.size();
  const std::string_view uuid_text = text.substr(uuid_begin);
  std::size_t uppercase;
  const UuidResult uuid = internal::ParseAnyUuid(uuid_text, uppercase);
  if (!uuid) {
    return Fail(result, ExecutionIdError::kInvalidUuid, uuid_begin + uuid.offset, uuid_text);
  }
  if (mode == ParseMode::kLenient) {
    ExecutionIdAccess::Fill(result.id, text, index.value, uuid.uuid, false);
    return;
  }
  if (index.spelling == IndexSpelling::kPlusSign) {
    return Fail(result, ExecutionIdError::kPlusSign, index_begin, index_text);
  }
  if (index.spelling == IndexSpelling::kLeadingZero) {
    return Fail(result, ExecutionIdError::kLeadingZero, index_begin, index_text);
  }
  // Lenient mode would accept the text, and the tag is canonical, so only the uuid can be
  // non-canonical.
  if (uuid_text.size() != kUuidTextSize) {
    return Fail(result, ExecutionIdError::kNonCanonicalUuidForm, uuid_begin, uuid_text);
  }
  Fail(result, ExecutionIdError::kUppercaseUuid, uuid_begin + uppercase, uuid_text);
}

#ifdef FFGRANT_HAS_AVX2_PATHS
// As a shuffle mask, the 8 bytes from index n on move the first n of 8 digits to the end and put
// zeros before them.
constexpr std::array<std::uint8_t, 16> kToTheEnd = {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80,
                                                    0,    1,    2,    3,    4,    5,    6,    7};

// Does what ReadShortIndex does, but returns false for every text of fewer than 21 bytes.
FFGRANT_AVX2 inline bool ReadShortIndexAvx2(std::string_view text, internal::IndexText& index,
                                            std::size_t& end) noexcept {
  const std::size_t begin = kTagBegin.size();
  if (text.size() < begin + 17) return false;
  internal::TakePath(internal::Path::kShortIndexAvx2, text.size());
  const auto plus = static_cast<unsigned>(text[begin] == '+');
  const char* const p = text.data() + begin + plus;
  const internal::HexConstants& constants = internal::kHexConstants;
  const __m128i digits =
      _mm_sub_epi8(internal::Load128(p), internal::Load128(&constants.first_decimal));
  const __m128i is_digit =
      _mm_cmpeq_epi8(_mm_min_epu8(digits, internal::Load128(&constants.letter_offset)), digits);
  const unsigned others = ~static_cast<unsigned>(_mm_movemask_epi8(is_digit));
  const auto count = static_cast<std::size_t>(std::countr_zero(others));
  if (count - 1 >= 8 || internal::Load16(p + count) != (':' << 8 | '}')) return false;
  const __m128i places =
      _mm_loadl_epi64(reinterpret_cast<const __m128i*>(kToTheEnd.data() + count));
  const __m128i pairs = _mm_maddubs_epi16(_mm_shuffle_epi8(digits, places), _mm_set1_epi16(0x010A));
  const auto fours = static_cast<std::uint64_t>(
      _mm_cvtsi128_si64(_mm_madd_epi16(pairs, _mm_set1_epi32(0x00010064))));
  const auto value =
      static_cast<std::uint32_t>(fours) * 10000 + static_cast<std::uint32_t>(fours >> 32);
  if (value > 65535) return false;
  index.value = static_cast<std::uint16_t>(value);
  index.spelling = SpellingOf(plus, *p, count);
  end = static_cast<std::size_t>(p - text.data()) + count;
  return true;
}

// The errors of strict mode for texts that lenient mode accepts, two for each spelling of the
// index: the second of the two is for a hyphenated uuid.
constexpr std::array<ExecutionIdError, 6> kSpellingErrors = {
    ExecutionIdError::kNonCanonicalUuidForm,
    ExecutionIdError::kUppercaseUuid,
    ExecutionIdError::kPlusSign,
    ExecutionIdError::kPlusSign,
    ExecutionIdError::kLeadingZero,
    ExecutionIdError::kLeadingZero};

// Returns `a` if `first` is true, else `b`, without a branch. Compilers often turn a conditional
// expression into a branch.
inline std::size_t Select(bool first, std::size_t a, std::size_t b) noexcept {
  return b ^ ((a ^ b) & (0 - std::size_t{first}));
}
static_assert(static_cast<int>(IndexSpelling::kCanonical) == 0);

// Does what ParseAnySpelling does, for a text that begins with `{fp:` or is shorter than `{fp:`.
// Nothing predicts the index's spelling, the uuid's form or the case of its digits, so there is no
// branch on them.
FFGRANT_AVX2 [[gnu::noinline]] void ParseAnySpellingAvx2(ExecutionIdResult& result,
                                                         std::string_view text,
                                                         ParseMode mode) noexcept {
  constexpr std::size_t kIndexBegin = kTagBegin.size();
  internal::IndexText index;
  std::size_t index_end;
  if (!ReadShortIndexAvx2(text, index, index_end)) return ParseAnySpelling(result, text, mode);
  const std::size_t uuid_begin = index_end + kTagEnd.size();
  const std::string_view uuid_text = text.substr(uuid_begin);
  const std::uint8_t form = internal::UuidFormOfSize(uuid_text.size());
  if (form == internal::kNoUuidForm) {
    return Fail(result, ExecutionIdError::kInvalidUuid, text.size(), uuid_text);
  }
  internal::TakePath(internal::Path::kAnyIdAvx2, text.size());
  Uuid uuid;
  std::size_t uppercase;
  const std::size_t valid =
      internal::DecodeUuidForm(uuid_text, internal::kUuidForms[form], uuid, uppercase);
  if (valid != uuid_text.size()) {
    return Fail(result, ExecutionIdError::kInvalidUuid, uuid_begin + valid, uuid_text);
  }
  if (mode == ParseMode::kLenient) {
    ExecutionIdAccess::Fill(result.id, text, index.value, uuid, false);
    return;
  }
  const bool hyphenated = uuid_text.size() == kUuidTextSize;
  const bool in_index = index.spelling != IndexSpelling::kCanonical;
  result.error =
      kSpellingErrors[static_cast<std::size_t>(index.spelling) * 2 + (hyphenated ? 1 : 0)];
  const std::size_t uuid_offset = uuid_begin + Select(hyphenated, uppercase, 0);
  result.offset = Select(in_index, kIndexBegin, uuid_offset);
  const std::size_t payload_begin = Select(in_index, kIndexBegin, uuid_begin);
  const std::size_t payload_end = Select(in_index, index_end, text.size());
  result.payload = {text.data() + payload_begin, payload_end - payload_begin};
}
#endif

}  // namespace

// Both outcomes are written to one object, which is the caller's own and so is not copied.
[[gnu::noinline]] ExecutionIdResult internal::ParseExecutionIdWithoutAvx2(std::string_view text,
                                                                          ParseMode mode) noexcept {
  ExecutionIdResult result;
  std::uint16_t index;
  Uuid uuid;
  if (internal::ParseCanonicalExecutionId(text, index, uuid)) [[likely]] {
    ExecutionIdAccess::Fill(result.id, text, index, uuid);
  } else {
    ParseAnySpelling(result, text, mode);
  }
  return result;
}

#ifdef FFGRANT_HAS_AVX2_PATHS
namespace {

// `text` must either be shorter than `{fp:` or begin with `{fp:`.
FFGRANT_AVX2 ExecutionIdResult ParseWithAvx2(std::string_view text, ParseMode mode) noexcept {
  ExecutionIdResult result;
  std::uint16_t index;
  Uuid uuid;
  if (internal::ParseCanonicalAfterBeginAvx2(text, index, uuid)) [[likely]] {
    ExecutionIdAccess::Fill(result.id, text, index, uuid);
  } else {
    ParseAnySpellingAvx2(result, text, mode);
  }
  return result;
}

}  // namespace
#endif

ExecutionIdResult ParseExecutionId(std::string_view text, ParseMode mode) noexcept {
  // Each outcome is made in the caller's object and so is not copied.
  if (HasOtherBegin(text)) [[unlikely]] {
    return {.id = {},
            .error = ExecutionIdError::kMissingTag,
            .offset = FirstDifference(text),
            .payload = text};
  }
#ifdef FFGRANT_HAS_AVX2_PATHS
  if (internal::HasAvx2()) [[likely]]
    return ParseWithAvx2(text, mode);
  return internal::ParseExecutionIdWithoutAvx2(text, mode);
#else
  return internal::ParseExecutionIdWithoutAvx2(text, mode);
#endif
}

namespace {

#ifdef FFGRANT_HAS_AVX2_PATHS
FFGRANT_AVX2 ExecutionIdsResult ParseEachAvx2(std::span<const std::string_view> texts,
                                              ParseMode mode,
                                              std::span<ExecutionIdView> out) noexcept {
  const std::size_t count = std::min(texts.size(), out.size());
  for (std::size_t i = 0; i < count; ++i) {
    std::uint16_t index;
    Uuid uuid;
    if (internal::ParseCanonicalExecutionIdAvx2(texts[i], index, uuid)) [[likely]] {
      ExecutionIdAccess::Fill(out[i], texts[i], index, uuid);
      continue;
    }
    const ExecutionIdResult result = ParseExecutionId(texts[i], mode);
    if (!result) return {i, result};
    out[i] = result.id;
  }
  return {count, {}};
}
#endif

}  // namespace

ExecutionIdsResult ParseExecutionIds(std::span<const std::string_view> texts, ParseMode mode,
                                     std::span<ExecutionIdView> out) noexcept {
#ifdef FFGRANT_HAS_AVX2_PATHS
  if (internal::HasAvx2()) [[likely]]
    return ParseEachAvx2(texts, mode, out);
#endif
  const std::size_t count = std::min(texts.size(), out.size());
  for (std::size_t i = 0; i < count; ++i) {
    const ExecutionIdResult result = internal::ParseExecutionIdWithoutAvx2(texts[i], mode);
    if (!result) return {i, result};
    out[i] = result.id;
  }
  return {count, {}};
}

std::string_view ErrorName(ExecutionIdError error) noexcept {
  switch (error) {
    case ExecutionIdError::kNone:
      return "none";
    case ExecutionIdError::kMissingTag:
      return "missing_tag";
    case ExecutionIdError::kInvalidPartitionIndex:
      return "invalid_partition_index";
    case ExecutionIdError::kInvalidUuid:
      return "invalid_uuid";
    case ExecutionIdError::kPlusSign:
      return "plus_sign";
    case ExecutionIdError::kLeadingZero:
      return "leading_zero";
    case ExecutionIdError::kNonCanonicalUuidForm:
      return "non_canonical_uuid_form";
    case ExecutionIdError::kUppercaseUuid:
      return "uppercase_uuid";
  }
  // Any number may be cast to an enumeration.
  return "unknown";
}

WriteResult FormatExecutionIdError(const ExecutionIdResult& result, std::span<char> out) noexcept {
  using internal::Concat;
  switch (result.error) {
    case ExecutionIdError::kNone:
      return {};
    case ExecutionIdError::kMissingTag:
      return Concat(out,
                    {"execution_id is missing the `{fp:N}:` hash-tag prefix: ", result.payload});
    case ExecutionIdError::kInvalidPartitionIndex:
      return Concat(out, {"execution_id partition index is not a valid u16: ", result.payload});
    case ExecutionIdError::kInvalidUuid:
      return Concat(out, {"execution_id UUID suffix is not a valid UUID: ", result.payload});
    case ExecutionIdError::kPlusSign:
      return Concat(out,
                    {"execution_id partition index begins with a plus sign: ", result.payload});
    case ExecutionIdError::kLeadingZero:
      return Concat(out, {"execution_id partition index has leading zeros: ", result.payload});
    case ExecutionIdError::kNonCanonicalUuidForm:
      return Concat(out,
                    {"execution_id UUID suffix is not in the hyphenated form: ", result.payload});
    case ExecutionIdError::kUppercaseUuid:
      return Concat(out, {"execution_id UUID suffix has uppercase digits: ", result.payload});
  }
  // Any number may be cast to an enumeration.
  return {};
}

MintedExecutionId::MintedExecutionId(std::uint16_t partition_index, const Uuid& uuid) noexcept
    : uuid_(uuid) {
  unsigned digits;
  const std::uint64_t index_text = internal::DigitsOfIndex(partition_index, digits);
  // Always copies eight bytes, whatever the number of digits; the uuid then overwrites the surplus.
  const std::uint64_t tag_end = index_text | std::uint64_t{internal::Word32('}', ':', '\0', '\0')}
                                                 << (8 * digits);
  std::memcpy(bytes_, kTagBegin.data(), kTagBegin.size());
  std::memcpy(bytes_ + kTagBegin.size(), &tag_end, sizeof tag_end);
  const std::size_t uuid_begin = kTagBegin.size() + digits + kTagEnd.size();
  internal::WriteCanonicalUuid(uuid, bytes_ + uuid_begin);
  size_ = static_cast<std::uint8_t>(uuid_begin + kUuidTextSize);
  index_ = partition_index;
}

ExecutionIdView MintedExecutionId::view() const& noexcept {
  return ExecutionIdAccess::Make(text(), uuid_, index_, true);
}

void ExecutionId::assign(const ExecutionIdView& view) {
  text_.assign(view.text());
  uuid_ = view.uuid();
  index_ = view.partition().index;
  canonical_ = view.is_canonical();
}

ExecutionIdView ExecutionId::view() const& noexcept {
  // A moved-from id has no text.
  if (text_.empty()) return {};
  return ExecutionIdAccess::Make(text_, uuid_, index_, canonical_);
}

}  // namespace ffgrant
