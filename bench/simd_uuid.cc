// SPDX-License-Identifier: Apache-2.0

#include "bench/simd_uuid.h"

#include <charconv>
#include <cstdint>
#include <cstring>
#include <system_error>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace ffgrant::bench::plain {
namespace {

enum class Digits : bool { kLowercase, kAnyCase };

bool HasHyphens(const char* text) {
  return text[8] == '-' && text[13] == '-' && text[18] == '-' && text[23] == '-';
}

bool DecodeByLoop(const char* text, bool hyphenated, Digits digits, Uuid& uuid) {
  std::size_t at = 0;
  for (std::size_t i = 0; i < 32; ++i, ++at) {
    if (hyphenated && (at == 8 || at == 13 || at == 18 || at == 23)) ++at;
    const char c = digits == Digits::kAnyCase && text[at] >= 'A' && text[at] <= 'F'
                       ? static_cast<char>(text[at] | 0x20)
                       : text[at];
    int value = -1;
    if (c >= '0' && c <= '9') value = c - '0';
    if (c >= 'a' && c <= 'f') value = c - 'a' + 10;
    if (value < 0) return false;
    uuid.bytes[i / 2] = static_cast<std::uint8_t>(uuid.bytes[i / 2] << 4 | value);
  }
  return true;
}

#if defined(__x86_64__)
[[gnu::target("avx2")]] inline bool DecodeByAvx2(const char* text, bool hyphenated, Digits digits,
                                                 Uuid& uuid) {
  const auto load = [](const char* p) __attribute__((target("avx2"))) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  };
  __m256i x;
  if (hyphenated) {
    const __m128i low = _mm_or_si128(
        _mm_shuffle_epi8(load(text),
                         _mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 14, 15, -1, -1)),
        _mm_shuffle_epi8(load(text + 4), _mm_setr_epi8(-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
                                                       -1, -1, -1, 12, 13)));
    const __m128i high = _mm_or_si128(
        _mm_shuffle_epi8(load(text + 19),
                         _mm_setr_epi8(0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, -1)),
        _mm_shuffle_epi8(load(text + 20), _mm_setr_epi8(-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
                                                        -1, -1, -1, -1, 15)));
    x = _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
  } else {
    x = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(text));
  }
  const __m256i folded =
      digits == Digits::kAnyCase ? _mm256_or_si256(x, _mm256_set1_epi8(0x20)) : x;
  const __m256i is_digit = _mm256_and_si256(_mm256_cmpgt_epi8(x, _mm256_set1_epi8('0' - 1)),
                                            _mm256_cmpgt_epi8(_mm256_set1_epi8('9' + 1), x));
  const __m256i is_letter = _mm256_and_si256(_mm256_cmpgt_epi8(folded, _mm256_set1_epi8('a' - 1)),
                                             _mm256_cmpgt_epi8(_mm256_set1_epi8('f' + 1), folded));
  const __m256i value = _mm256_add_epi8(_mm256_and_si256(x, _mm256_set1_epi8(15)),
                                        _mm256_and_si256(is_letter, _mm256_set1_epi8(9)));
  const __m256i bytes = _mm256_maddubs_epi16(value, _mm256_set1_epi16(0x0110));
  _mm_storeu_si128(
      reinterpret_cast<__m128i*>(uuid.bytes.data()),
      _mm_packus_epi16(_mm256_castsi256_si128(bytes), _mm256_extracti128_si256(bytes, 1)));
  return _mm256_movemask_epi8(_mm256_or_si256(is_digit, is_letter)) == -1;
}
#endif

inline bool Decode(const char* text, bool hyphenated, Digits digits, Uuid& uuid) {
  if (hyphenated && !HasHyphens(text)) return false;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2")) return DecodeByAvx2(text, hyphenated, digits, uuid);
#endif
  return DecodeByLoop(text, hyphenated, digits, uuid);
}

inline bool DecodeAnyForm(std::string_view text, Uuid& uuid) {
  const char* const p = text.data();
  switch (text.size()) {
    case 36:
      return Decode(p, true, Digits::kAnyCase, uuid);
    case 32:
      return Decode(p, false, Digits::kAnyCase, uuid);
    case 38:
      return p[0] == '{' && p[37] == '}' && Decode(p + 1, true, Digits::kAnyCase, uuid);
    case 45:
      return std::memcmp(p, "urn:uuid:", 9) == 0 && Decode(p + 9, true, Digits::kAnyCase, uuid);
    default:
      return false;
  }
}

// Reads the index and finds where the UUID begins.
inline bool ReadTag(std::string_view text, bool strict, std::uint16_t& index, std::size_t& end) {
  if (text.size() < 7 || std::memcmp(text.data(), "{fp:", 4) != 0) return false;
  const char* digits = text.data() + 4;
  const char* const last = text.data() + text.size();
  if (*digits == '+') {
    if (strict) return false;
    ++digits;
  }
  const auto [stop, error] = std::from_chars(digits, last, index);
  if (error != std::errc() || last - stop < 2 || stop[0] != '}' || stop[1] != ':') return false;
  if (strict && *digits == '0' && stop - digits > 1) return false;
  end = static_cast<std::size_t>(stop + 2 - text.data());
  return true;
}

IdOutcome Failure(ExecutionIdError error, std::size_t offset, std::string_view payload) {
  return {std::nullopt, error, offset, payload};
}

bool IsHexDigit(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

// Returns the offset of the first byte that breaks the form of a rejected UUID, or the size of a
// text that has the size of no form.
std::size_t UuidFault(std::string_view text) {
  const std::string_view before = text.size() == 45 ? "urn:uuid:" : text.size() == 38 ? "{" : "";
  if (text.size() != 32 && text.size() != 36 && before.empty()) return text.size();
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (text[i] != before[i]) return i;
  }
  const bool hyphenated = text.size() != 32;
  const std::size_t size = hyphenated ? 36 : 32;
  for (std::size_t i = 0; i < size; ++i) {
    const char c = text[before.size() + i];
    const bool hyphen = hyphenated && (i == 8 || i == 13 || i == 18 || i == 23);
    if (hyphen ? c != '-' : !IsHexDigit(c)) return before.size() + i;
  }
  return text.size() - 1;  // the brace
}

// Returns the error of a text whose tag ReadTag() has rejected.
IdOutcome TagFault(std::string_view text) {
  constexpr std::string_view kBegin = "{fp:";
  std::size_t at = 0;
  while (at < kBegin.size() && at < text.size() && text[at] == kBegin[at]) ++at;
  if (at < kBegin.size()) return Failure(ExecutionIdError::kMissingTag, at, text);
  const std::size_t end = text.find("}:", at);
  if (end == std::string_view::npos) {
    return Failure(ExecutionIdError::kMissingTag, text.size(), text);
  }
  const std::string_view index = text.substr(at, end - at);
  if (text[at] == '+') ++at;
  for (unsigned value = 0; at < end; ++at) {
    if (text[at] < '0' || text[at] > '9') break;
    value = value * 10 + static_cast<unsigned>(text[at] - '0');
    if (value > 65535) break;
  }
  return Failure(ExecutionIdError::kInvalidPartitionIndex, at, index);
}

}  // namespace

IdOutcome ExplainExecutionIdSimd(std::string_view text, ParseMode mode) {
  PlainExecutionId id;
  std::size_t end;
  if (!ReadTag(text, false, id.index, end)) return TagFault(text);
  const std::string_view uuid = text.substr(end);
  const std::string_view index = text.substr(4, end - 6);
  const bool strict = mode == ParseMode::kStrict;
  const bool spelled = index[0] == '+' || (index[0] == '0' && index.size() > 1);
  if (strict && !spelled && uuid.size() == 36 &&
      Decode(uuid.data(), true, Digits::kLowercase, id.uuid)) {
    return {id, ExecutionIdError::kNone, 0, {}};
  }
  if (!DecodeAnyForm(uuid, id.uuid)) {
    return Failure(ExecutionIdError::kInvalidUuid, end + UuidFault(uuid), uuid);
  }
  if (!strict) return {id, ExecutionIdError::kNone, 0, {}};
  if (spelled) {
    return Failure(index[0] == '+' ? ExecutionIdError::kPlusSign : ExecutionIdError::kLeadingZero,
                   4, index);
  }
  if (uuid.size() != 36) return Failure(ExecutionIdError::kNonCanonicalUuidForm, end, uuid);
  std::size_t uppercase = 0;
  while (uuid[uppercase] < 'A' || uuid[uppercase] > 'F') ++uppercase;
  return Failure(ExecutionIdError::kUppercaseUuid, end + uppercase, uuid);
}

std::optional<Uuid> ParseUuidStrictSimd(std::string_view text) {
  Uuid uuid;
  if (text.size() != 36 || !Decode(text.data(), true, Digits::kLowercase, uuid)) {
    return std::nullopt;
  }
  return uuid;
}

std::optional<PlainExecutionId> ParseExecutionIdStrictSimd(std::string_view text) {
  PlainExecutionId id;
  std::size_t end;
  if (!ReadTag(text, true, id.index, end) || text.size() - end != 36 ||
      !Decode(text.data() + end, true, Digits::kLowercase, id.uuid)) {
    return std::nullopt;
  }
  return id;
}

std::optional<PlainExecutionId> ParseExecutionIdLenientSimd(std::string_view text) {
  PlainExecutionId id;
  std::size_t end;
  if (!ReadTag(text, false, id.index, end) || !DecodeAnyForm(text.substr(end), id.uuid)) {
    return std::nullopt;
  }
  return id;
}

}  // namespace ffgrant::bench::plain
