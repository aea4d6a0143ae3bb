// SPDX-License-Identifier: Apache-2.0
//
// The decoder of json_struct.h for objects in their usual form: names spelled
// without escapes, texts of plain bytes, numbers of up to 15 digits. It reads
// those in one function, whatever their order and the white space between them;
// any other member goes to DecodeMemberOf, and what is wrong is reported as
// there. For DTOs that are read often: the code is made for each.

#ifndef FFGRANT_JSON_INTERNAL_JSON_OBJECT_H_
#define FFGRANT_JSON_INTERNAL_JSON_OBJECT_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

#include "ffgrant/internal/load.h"
#include "ffgrant/internal/string_scan.h"
#include "ffgrant/json/internal/json_digits.h"
#include "ffgrant/json/internal/json_reader.h"
#include "ffgrant/json/internal/json_struct.h"

namespace ffgrant::internal {

// The member names of a struct, each with its closing quote, as words to compare with.
template <std::size_t kCount>
struct MemberNames {
  std::array<std::uint64_t, kCount + 1> first{};   // 8 bytes; no two are equal
  std::array<std::uint64_t, kCount + 1> middle{};  // the 8 bytes from kMiddle(size) on
  std::array<std::uint64_t, kCount + 1> last{};    // 8 bytes
  std::array<std::uint8_t, kCount + 1> size{};     // 0 for no member
};

// Names have at most 24 bytes with the quote: three words cover them.
constexpr std::size_t MiddleOf(std::size_t size) noexcept { return size < 16 ? size - 8 : 8; }

// Not constexpr, so that the compiler refuses tables which would call them.
void NameIsNotCoveredByThreeWords();
void TwoNamesBeginAlike();

// Never reached: computed at compile time.
template <std::size_t kCount>
consteval MemberNames<kCount> MakeMemberNames(const std::array<MemberSpec, kCount>& members) {
  MemberNames<kCount> names;
  for (std::size_t i = 0; i < kCount; ++i) {
    const std::string_view name = members[i].name;
    const std::size_t size = name.size() + 1;
    if (size < 8 || size > 24) NameIsNotCoveredByThreeWords();
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
    for (std::size_t k = 0; k < i; ++k) {
      if (names.first[k] == names.first[i]) TwoNamesBeginAlike();
    }
  }
  return names;
}

// Finds the member whose name, with its closing quote, is at `p`; kCount if none is. A
// branch on each name: where members come in their usual order, what follows
// doesn't wait for the comparison.
template <const auto& kNames, std::size_t... kIndex>
inline std::size_t FindMember(const char* p, const char* end,
                              std::index_sequence<kIndex...>) noexcept {
  constexpr std::size_t kCount = sizeof...(kIndex);
  const auto left = static_cast<std::size_t>(end - p);
  if (left < 8) return kCount;
  const std::uint64_t first = Load64(p);
  std::size_t found = kCount;
  ((found = kNames.first[kIndex] == first ? kIndex : found), ...);
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

// Reads the members of an object up to and including its closing bracket. `reader` stands behind
// the opening bracket (`first`) or behind a member.
template <const auto& kMembers, class Scan>
[[gnu::always_inline]] inline bool DecodeMembers(JsonReader& reader, MemberValue* values,
                                                 bool first) noexcept {
  const char* p = reader.position();
  const char* const end = reader.end();
  const auto fail_at = [&reader](const char* at) {
    reader.set_position(at);
    return reader.FailUnexpected();
  };
  for (;; first = false) {
    p = SkipBlanks(p, end);
    if (p == end) return fail_at(p);
    if (*p == '}') break;
    if (!first) {
      if (*p != ',') return fail_at(p);
      p = SkipBlanks(p + 1, end);
      if (p == end) return fail_at(p);
    }
    if (*p != '"') return fail_at(p);
    reader.set_position(p);
    const std::size_t i =
        FindMember<kNames<kMembers>>(p + 1, end, std::make_index_sequence<kMembers.size()>());
    if (i != kMembers.size() && !values[i].seen) [[likely]] {
      MemberValue& value = values[i];
      const char* q = SkipBlanks(p + 1 + kNames<kMembers>.size[i], end);
      if (q != end && *q == ':') [[likely]] {
        q = SkipBlanks(q + 1, end);
        if (q != end && *q == '"' && kMembers[i].kind == MemberKind::kText) {
          const char* const text = q + 1;
          q = Scan::FindSpecial(text, end);
          if (q != end && *q == '"') [[likely]] {
            value.text = {text, static_cast<std::size_t>(q - text)};
            value.seen = value.present = true;
            p = q + 1;
            continue;
          }
          if (q != end && *q == '\\') {
            reader.set_position(q);
            if (!reader.ReadEscapedString(text, value.text)) {
              return reader.FailedIn(kMembers[i].name);
            }
            value.seen = value.present = true;
            p = reader.position();
            continue;
          }
          q = text - 1;
        } else if (q != end && kMembers[i].kind == MemberKind::kUint64) {
          if (const char* const behind = TakeDigits(q, end, value.number); behind != nullptr) {
            value.seen = value.present = true;
            p = behind;
            continue;
          }
        }
        reader.set_position(q);
        if (!DecodeMember(reader, kSpecOf<kMembers>, values, i)) return false;
        p = reader.position();
        continue;
      }
    }
    if (i == kMembers.size()) {
      // A name without escapes that no member has: an unknown member.
      const char* const special = Scan::FindSpecial(p + 1, end);
      if (end - special >= 2 && special[0] == '"' && special[1] == ':') {
        reader.set_position(special + 2);
        if (!reader.SkimValue()) return false;
        p = reader.position();
        continue;
      }
    }
    if (!DecodeNamedMember(reader, kSpecOf<kMembers>, values)) return false;
    p = reader.position();
  }
  reader.set_position(p);
  bool all_seen = true;
  for (std::size_t i = 0; i < kMembers.size(); ++i) all_seen &= values[i].seen;
  if (!all_seen && !CheckRequired(reader, kSpecOf<kMembers>, values, JsonError::kMissingField))
    return false;
  reader.Advance();
  return true;
}

#ifdef FFGRANT_HAS_AVX2_PATHS
template <const auto& kMembers>
FFGRANT_AVX2 [[gnu::noinline]] bool DecodeMembersAvx2(JsonReader& reader, MemberValue* values,
                                                      bool first) noexcept {
  return DecodeMembers<kMembers, Avx2Scan>(reader, values, first);
}
#endif

template <const auto& kMembers>
[[gnu::noinline]] bool DecodeMembersBaseline(JsonReader& reader, MemberValue* values,
                                             bool first) noexcept {
  return DecodeMembers<kMembers, BaselineScan>(reader, values, first);
}

// Does what DecodeStruct does, for these members.
template <const auto& kMembers>
inline bool DecodeStructOf(JsonReader& reader, MemberValue* values) noexcept {
  if (reader.Peek() != '{') [[unlikely]]
    return DecodeStruct(reader, kSpecOf<kMembers>, values);
  reader.Advance();
#ifdef FFGRANT_HAS_AVX2_PATHS
  if (HasAvx2()) [[likely]]
    return DecodeMembersAvx2<kMembers>(reader, values, true);
#endif
  return DecodeMembersBaseline<kMembers>(reader, values, true);
}

}  // namespace ffgrant::internal

#endif  // FFGRANT_JSON_INTERNAL_JSON_OBJECT_H_
