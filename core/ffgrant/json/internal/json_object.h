// SPDX-License-Identifier: Apache-2.0
//
// Decodes DTOs as json_struct.h does, for objects in their usual form: names without escapes, texts
// of plain bytes, numbers of up to 15 digits. One function reads such an object, with members in
// any order and with any white space between them. All else is left to json_struct.h and
// json_reader.h, and faults are reported as json_struct.h reports them. The code is generated for
// each DTO, so it is for DTOs that are read often.

#ifndef FFGRANT_JSON_INTERNAL_JSON_OBJECT_H_
#define FFGRANT_JSON_INTERNAL_JSON_OBJECT_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

#include "ffgrant/internal/load.h"
#include "ffgrant/internal/packed_string.h"
#include "ffgrant/internal/string_scan.h"
#include "ffgrant/json/internal/json_digits.h"
#include "ffgrant/json/internal/json_reader.h"
#include "ffgrant/json/internal/json_struct.h"

namespace ffgrant::internal {

// The member names of a struct, each with its closing quote, as words for comparisons.
template <std::size_t kCount>
struct MemberNames {
  std::array<std::uint64_t, kCount + 1> first{};   // the first 8 bytes; no two are equal
  std::array<std::uint64_t, kCount + 1> middle{};  // the 8 bytes from MiddleOf(size) on
  std::array<std::uint64_t, kCount + 1> last{};    // the last 8 bytes
  std::array<std::uint8_t, kCount + 1> size{};     // 0 where there is no member
  std::array<MemberKind, kCount + 1> kind{};
};

// A name has at most 24 bytes with its quote, so three words cover it.
constexpr std::size_t MiddleOf(std::size_t size) noexcept { return size < 16 ? size - 8 : 8; }

// These functions are not constexpr, so the compiler refuses a table that would call one of them.
void NameIsNotCoveredByThreeWords();
void NameIsTooShortForANumber();
void TwoNamesBeginAlike();

template <std::size_t kCount>
consteval MemberNames<kCount> MakeMemberNames(const std::array<MemberSpec, kCount>& members) {
  MemberNames<kCount> names;
  for (std::size_t i = 0; i < kCount; ++i) {
    const std::string_view name = members[i].name;
    const std::size_t size = name.size() + 1;
    if (size < 8 || size > 24) NameIsNotCoveredByThreeWords();
    if (members[i].kind == MemberKind::kUint64 && size < 13) NameIsTooShortForANumber();
    const auto word = [name](std::size_t begin) {
      std::uint64_t value = 0;
      for (std::size_t k = 0; k < 8; ++k) {
        const char c = begin + k < name.size() ? name[begin + k] : '"';
        value |= std::uint64_t{static_cast<unsigned char>(c)} << (8 * k);
      }
      return value;
    };
    names.first[i] = word(0);
    names.middle[i] = word(MiddleOf(size));
    names.last[i] = word(size - 8);
    names.size[i] = static_cast<std::uint8_t>(size);
    names.kind[i] = members[i].kind;
    for (std::size_t k = 0; k < i; ++k) {
      if (names.first[k] == names.first[i]) TwoNamesBeginAlike();
    }
  }
  return names;
}

// Finds the member whose name, with its closing quote, is at `p`; returns kCount if there is none.
// `expected` is the member to try first: if members come in their usual order, the branch on
// `expected` is predicted and nothing waits for the comparison. The other members are compared
// without a branch, since nothing predicts which of them is at `p`.
template <const auto& kNames, std::size_t... kIndex>
inline std::size_t FindMember(const char* p, const char* end, std::size_t expected,
                              std::index_sequence<kIndex...>) noexcept {
  constexpr std::size_t kCount = sizeof...(kIndex);
  const auto left = static_cast<std::size_t>(end - p);
  if (left < 8) return kCount;
  const std::uint64_t first = Load64(p);
  std::size_t found = expected;
  if (kNames.first[expected] != first) {
    found = kCount;
    ((found = kNames.first[kIndex] == first ? kIndex : found), ...);
  }
  const std::size_t size = kNames.size[found];
  if (size == 0 || left < size) return kCount;
  const std::uint64_t difference = (Load64(p + size - 8) ^ kNames.last[found]) |
                                   (Load64(p + MiddleOf(size)) ^ kNames.middle[found]);
  return difference == 0 ? found : kCount;
}

template <const auto& kMembers>
inline constexpr auto kNames = MakeMemberNames(kMembers);
template <const auto& kMembers>
inline constexpr StructSpec kSpecOf = {kMembers};

// The decoder is compiled once for each way to search texts: without AVX2 and with it.
struct BaselineText : BaselineScan {
  static bool ReadEscapedString(JsonReader& reader, const char* begin,
                                std::string_view& out) noexcept {
    return reader.ReadEscapedString(begin, out);
  }
  static const char* TakeDigits(const char* p, const char* end, std::uint64_t& value) noexcept {
    return internal::TakeDigits(p, end, value);
  }
};
#ifdef FFGRANT_HAS_AVX2_PATHS
struct Avx2Text : Avx2Scan {
  FFGRANT_AVX2 static bool ReadEscapedString(JsonReader& reader, const char* begin,
                                             std::string_view& out) noexcept {
    return reader.ReadEscapedStringAvx2(begin, out);
  }
  // At least 16 bytes come before a number: the bracket, a name of at least 12 bytes and its
  // punctuation.
  FFGRANT_AVX2 static const char* TakeDigits(const char* p, const char* end,
                                             std::uint64_t& value) noexcept {
    return TakeDigitsAvx2(p, end, value);
  }
};
#endif

// Reads a list of texts. The reader must stand on the list's bracket.
template <class Text>
[[gnu::always_inline]] inline bool DecodeTexts(JsonReader& reader, MemberValue& value) noexcept {
  const char* p = reader.position() + 1;
  const char* const end = reader.end();
  char* const first = reader.text_top();
  char* top = first;
  value.present = true;
  for (value.number = 0;; ++value.number) {
    p = SkipBlanks(p, end);
    if (p != end && *p == ']') break;
    if (value.number != 0) {
      const bool comma = p != end && *p == ',';
      if (comma) p = SkipBlanks(p + 1, end);
      if (!comma || (p != end && *p == ']')) {
        reader.set_position(p);
        return reader.FailUnexpected();
      }
    }
    if (p == end || *p != '"') {
      reader.set_position(p);
      return reader.FailWrongType();
    }
    const char* const text = p + 1;
    const char* const special = Text::FindSpecial(text, end);
    const auto size = static_cast<std::size_t>(special - text);
    if (special != end && *special == '"' && size < 128) [[likely]] {
      *top = static_cast<char>(size);
      top = CopyText(top + 1, {text, size});
      p = special + 1;
      continue;
    }
    // A text with escapes is decoded to the place after `top`, which leaves one byte for its
    // length. If the decoded text is short, its length takes one byte, and the text stays where it
    // is.
    std::string_view decoded;
    reader.set_text_top(top + 1);
    if (special != end && *special == '\\') {
      reader.set_position(special);
      if (!Text::ReadEscapedString(reader, text, decoded)) return false;
    } else {
      reader.set_position(p);
      if (!reader.ReadString(decoded)) return false;
    }
    if (decoded.data() == top + 1 && decoded.size() < 128) {
      *top = static_cast<char>(decoded.size());
      top += 1 + decoded.size();
    } else {
      top = PackString(top, decoded);
    }
    p = reader.position();
  }
  value.text = {first, 0};
  reader.set_text_top(top);
  reader.set_position(p + 1);
  return true;
}

// Reads the value of member `i`, which begins at `p`. Returns the place after the value, or null if
// the value is wrong.
template <const auto& kMembers, class Text>
[[gnu::always_inline]] inline const char* DecodeValueOf(JsonReader& reader, MemberValue* values,
                                                        std::size_t i, const char* p) noexcept {
  const char* const end = reader.end();
  const MemberKind kind = kNames<kMembers>.kind[i];
  MemberValue& value = values[i];
  value.seen = value.present = true;
  if (kind == MemberKind::kText && *p == '"') [[likely]] {
    const char* const special = Text::FindSpecial(p + 1, end);
    if (special != end && *special == '"') [[likely]] {
      value.text = {p + 1, static_cast<std::size_t>(special - p - 1)};
      return special + 1;
    }
    if (special != end && *special == '\\') {
      reader.set_position(special);
      if (Text::ReadEscapedString(reader, p + 1, value.text)) return reader.position();
      reader.FailedIn(kMembers[i].name);
      return nullptr;
    }
  } else if (kind == MemberKind::kUint64) {
    const char* const behind = Text::TakeDigits(p, end, value.number);
    if (behind != nullptr) [[likely]]
      return behind;
  } else if (kind == MemberKind::kTextList && *p == '[') {
    reader.set_position(p);
    if (DecodeTexts<Text>(reader, value)) return reader.position();
    reader.FailedIn(kMembers[i].name);
    return nullptr;
  }
  reader.set_position(p);
  return DecodeMember(reader, kSpecOf<kMembers>, values, i) ? reader.position() : nullptr;
}

// Reads the member whose name, with its opening quote, is at `p`, if the usual way does not serve:
// the name is unknown, repeated or escaped, or no colon or too few bytes follow it. Returns the
// place after the member, or null if the member is wrong.
template <const auto& kMembers, class Text>
[[gnu::always_inline]] inline const char* DecodeOtherMember(JsonReader& reader, MemberValue* values,
                                                            bool is_unknown,
                                                            const char* p) noexcept {
  const char* const end = reader.end();
  if (is_unknown) {
    const char* const special = Text::FindSpecial(p + 1, end);
    if (end - special >= 3 && special[0] == '"' && special[1] == ':') [[likely]] {
      const char* const value = special + 2;
      if (*value == '"') {
        const char* const behind = Text::FindSpecial(value + 1, end);
        if (behind != end && *behind == '"') return behind + 1;
      }
      reader.set_position(value);
      return reader.SkimValue() ? reader.position() : nullptr;
    }
  }
  reader.set_position(p);
  return DecodeNamedMember(reader, kSpecOf<kMembers>, values) ? reader.position() : nullptr;
}

// Reads the members of an object up to and including its closing bracket. The reader must stand
// after the opening bracket.
template <const auto& kMembers, class Text>
[[gnu::always_inline]] inline bool DecodeMembers(JsonReader& reader, MemberValue* values) noexcept {
  constexpr std::size_t kCount = kMembers.size();
  const char* p = reader.position();
  const char* const end = reader.end();
  const auto fail_at = [&reader](const char* at) {
    reader.set_position(at);
    return reader.FailUnexpected();
  };
  std::size_t expected = 0;
  std::size_t blanks = 0;  // the number of blanks before the last name that had any
  for (bool first = true;; first = false) {
    if (!first) {
      if (p == end || (*p != ',' && *p != '}')) p = SkipBlanks(p, end);
      if (p == end) return fail_at(p);
      if (*p == '}') break;
      if (*p != ',') return fail_at(p);
      ++p;
    }
    if (p == end || *p != '"') {
      const char* const name = SkipSameBlanks(p, end, blanks);
      blanks = static_cast<std::size_t>(name - p);
      p = name;
      if (p == end) return fail_at(p);
      if (first && *p == '}') break;
      if (*p != '"') return fail_at(p);
    }
    const std::size_t i =
        FindMember<kNames<kMembers>>(p + 1, end, expected, std::make_index_sequence<kCount>());
    const char* behind = p + 1 + kNames<kMembers>.size[i];
    if (i != kCount && !values[i].seen && end - behind > 2) [[likely]] {
      // A colon, perhaps between blanks, and at least one byte of the value must follow.
      const char* value = behind;
      if (*value != ':') value = SkipBlanks(value, end);
      if (value != end && *value == ':') [[likely]] {
        ++value;
        if (value == end || static_cast<unsigned char>(*value) <= ' ')
          value = SkipBlanks(value, end);
        if (value != end) [[likely]] {
          p = DecodeValueOf<kMembers, Text>(reader, values, i, value);
          if (p == nullptr) return false;
          expected = i + 1;
          continue;
        }
      }
    }
    p = DecodeOtherMember<kMembers, Text>(reader, values, i == kCount, p);
    if (p == nullptr) return false;
  }
  reader.set_position(p);
  bool all_seen = true;
  for (std::size_t i = 0; i < kCount; ++i) all_seen &= values[i].seen;
  if (!all_seen && !CheckRequired(reader, kSpecOf<kMembers>, values, JsonError::kMissingField))
    return false;
  reader.Advance();
  return true;
}

#ifdef FFGRANT_HAS_AVX2_PATHS
template <const auto& kMembers>
FFGRANT_AVX2 [[gnu::noinline]] bool DecodeMembersAvx2(JsonReader& reader,
                                                      MemberValue* values) noexcept {
  return DecodeMembers<kMembers, Avx2Text>(reader, values);
}
#endif

template <const auto& kMembers>
[[gnu::noinline]] bool DecodeMembersBaseline(JsonReader& reader, MemberValue* values) noexcept {
  return DecodeMembers<kMembers, BaselineText>(reader, values);
}

// Does what DecodeStruct does, for `kMembers`.
template <const auto& kMembers>
inline bool DecodeStructOf(JsonReader& reader, MemberValue* values) noexcept {
  if (reader.Peek() != '{') [[unlikely]]
    return DecodeStruct(reader, kSpecOf<kMembers>, values);
  reader.Advance();
#ifdef FFGRANT_HAS_AVX2_PATHS
  if (HasAvx2()) [[likely]]
    return DecodeMembersAvx2<kMembers>(reader, values);
#endif
  return DecodeMembersBaseline<kMembers>(reader, values);
}

}  // namespace ffgrant::internal

#endif  // FFGRANT_JSON_INTERNAL_JSON_OBJECT_H_
