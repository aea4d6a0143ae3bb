// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/json/internal/json_reader.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "ffgrant/internal/load.h"
#include "ffgrant/internal/paths.h"
#include "ffgrant/internal/string_scan.h"
#include "ffgrant/internal/utf8.h"
#include "ffgrant/json/internal/json_digits.h"

#ifdef FFGRANT_HAS_AVX2_PATHS
#include <immintrin.h>
#endif

namespace ffgrant::internal {
namespace {

constexpr bool IsDigit(int c) noexcept { return c >= '0' && c <= '9'; }

// Indexed by the byte: the value of a hex digit, or -1 for other bytes.
constexpr std::array<std::int8_t, 256> kHexValues = [] {
  std::array<std::int8_t, 256> values{};
  for (std::size_t i = 0; i < values.size(); ++i) {
    const int c = static_cast<int>(i);
    const int value = c >= '0' && c <= '9'   ? c - '0'
                      : c >= 'a' && c <= 'f' ? c - 'a' + 10
                      : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                             : -1;
    values[i] = static_cast<std::int8_t>(value);
  }
  return values;
}();

constexpr int HexValue(char c) noexcept { return kHexValues[static_cast<unsigned char>(c)]; }

// Returns the value of the four hex digits at `p`; negative if one of the four bytes is no hex
// digit.
inline int Hex4(const char* p) noexcept {
  const int high = HexValue(p[0]) * 4096 | HexValue(p[1]) * 256;
  return high | HexValue(p[2]) * 16 | HexValue(p[3]);
}

// Returns the byte that the escape \u00XX at `p` stands for; negative if another text is there.
inline int ShortHexEscape(const char* p) noexcept {
  if (Load32(p) != Word32('\\', 'u', '0', '0')) return -1;
  return HexValue(p[4]) * 16 | HexValue(p[5]);
}

// Returns true if `value * 10 + digit` does not fit in 64 bits.
constexpr bool Overflows(std::uint64_t value, unsigned digit) noexcept {
  constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();
  return value > kMax / 10 || (value == kMax / 10 && digit > kMax % 10);
}

// Returns true if the reference finds significand * 10^exponent too large for a double. The
// reference multiplies two doubles, so their product decides.
bool ExceedsDouble(std::uint64_t significand, std::int64_t exponent) noexcept {
  constexpr std::int64_t kFirst = 289;  // 2^64 * 10^288 is still in range
  static constexpr std::array<double, 20> kPowers = {
      1e289, 1e290, 1e291, 1e292, 1e293, 1e294, 1e295, 1e296, 1e297, 1e298,
      1e299, 1e300, 1e301, 1e302, 1e303, 1e304, 1e305, 1e306, 1e307, 1e308};
  if (significand == 0 || exponent < kFirst) return false;
  if (exponent > 308) return true;
  return std::isinf(static_cast<double>(significand) *
                    kPowers[static_cast<std::size_t>(exponent - kFirst)]);
}

char* AppendUtf8(char* to, unsigned code_point) noexcept {
  const auto put = [&to](unsigned byte) { *to++ = static_cast<char>(byte); };
  if (code_point < 0x80) {
    put(code_point);
  } else if (code_point < 0x800) {
    put(0xC0 | code_point >> 6);
    put(0x80 | (code_point & 0x3F));
  } else if (code_point < 0x10000) {
    put(0xE0 | code_point >> 12);
    put(0x80 | (code_point >> 6 & 0x3F));
    put(0x80 | (code_point & 0x3F));
  } else {
    put(0xF0 | code_point >> 18);
    put(0x80 | (code_point >> 12 & 0x3F));
    put(0x80 | (code_point >> 6 & 0x3F));
    put(0x80 | (code_point & 0x3F));
  }
  return to;
}

// Returns the byte that a backslash and `c` stand for; 0 if there is no such escape.
constexpr char SimpleEscape(char c) noexcept {
  switch (c) {
    case '"':
    case '\\':
    case '/':
      return c;
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    default:
      return '\0';
  }
}

// Copies the bytes of [begin, p) where the document's `end` is near. The function is not inlined,
// so that the code for strings far from the end keeps its registers.
[[gnu::noinline]] void CopyNearEnd(char* to, const char* begin, const char* p,
                                   const char* end) noexcept {
  if (end - p < 16) {
    CopyText(to, {begin, static_cast<std::size_t>(p - begin)});
    return;
  }
  std::ptrdiff_t i = 0;
  do {
    std::memcpy(to + i, begin + i, 16);
    i += 16;
  } while (i < p - begin);
}

// Plain() copies plain bytes and moves `p` to the first byte that isn't plain, or to the document's
// end. Plain() writes whole blocks, but never more bytes than are left of the document. If the
// caller then moves `p` itself, Skip() must be told by how many bytes.
struct BaselineCopy {
  static constexpr std::ptrdiff_t kBlock = 16;
  static void CopyBlock(char* to, const char* from) noexcept { std::memcpy(to, from, kBlock); }
  static void Skip(std::ptrdiff_t /*size*/) noexcept {}
  static char* Plain(char* to, const char*& p, const char* end) noexcept {
#ifdef FFGRANT_HAS_SSE2
    while (end - p >= 32) {
      const std::uint32_t mask = SpecialMask32<NonAscii::kSpecial>(p);
      std::memcpy(to, p, 32);
      if (mask != 0) {
        p += std::countr_zero(mask);
        return to + std::countr_zero(mask);
      }
      p += 32;
      to += 32;
    }
    if (end - p >= 16) {
      const unsigned mask = SpecialMask16<NonAscii::kSpecial>(p);
      std::memcpy(to, p, 16);
      if (mask != 0) {
        p += std::countr_zero(mask);
        return to + std::countr_zero(mask);
      }
      p += 16;
      to += 16;
    }
#endif
    const char* const run = p;
    p = FindSpecialPortable<NonAscii::kSpecial>(p, end);
    return CopyText(to, {run, static_cast<std::size_t>(p - run)});
  }
};

#ifdef FFGRANT_HAS_AVX2_PATHS
// Searches 64 bytes and remembers all special bytes among them. The next search then costs nothing:
// in a text with escapes the next special byte is mostly less than 64 bytes away.
class Avx2Copy {
 public:
  static constexpr std::ptrdiff_t kBlock = 64;
  FFGRANT_AVX2 static void CopyBlock(char* to, const char* from) noexcept {
    Copy32(to, from);
    Copy32(to + 32, from + 32);
  }

  FFGRANT_AVX2 char* Plain(char* to, const char*& p, const char* end) noexcept {
    while (end - p >= 32) {
      // If fewer than 64 bytes are left, the second 32 bytes overlap the first.
      const std::ptrdiff_t second = std::min<std::ptrdiff_t>(end - p - 32, 32);
      Copy32(to, p);
      Copy32(to + second, p + second);
      if (specials_ == 0) {
        specials_ = SpecialMask32Avx2(p) | std::uint64_t{SpecialMask32Avx2(p + second)} << second;
      }
      if (specials_ != 0) {
        const int plain = std::countr_zero(specials_);
        Skip(plain);
        p += plain;
        return to + plain;
      }
      to += second + 32;
      p += second + 32;
    }
    // Fewer than 32 bytes are left, now and at all later calls.
    return BaselineCopy::Plain(to, p, end);
  }

  void Skip(std::ptrdiff_t size) noexcept { specials_ = size < 64 ? specials_ >> size : 0; }

 private:
  FFGRANT_AVX2 static void Copy32(char* to, const char* from) noexcept {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to),
                        _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
  }

  // Bit i is set if p[i] is special. The word is 0 if nothing is known of the bytes at p.
  std::uint64_t specials_ = 0;
};
#endif

// Finds special bytes and the ends of numbers for SkipValue().
template <NonAscii kNonAscii>
class BaselineBlocks {
 public:
  BaselineBlocks(const char* begin, const char* /*p*/, const char* end) noexcept
      : begin_(begin), end_(end) {}

  // Returns the first special byte of [p, end), or `end`.
  const char* FindSpecial(const char* p) const noexcept {
    return internal::FindSpecial<kNonAscii>(p, end_);
  }
  // Returns the end of the number at `p`, or null if the number has to be read byte by byte. `p`
  // must point at a digit.
  const char* FindNumberEnd(const char* p) const noexcept {
    std::uint64_t unused;
    return p - begin_ >= 8 ? TakeDigits(p, end_, unused) : nullptr;
  }

 private:
  const char* begin_;
  const char* end_;
};

#ifdef FFGRANT_HAS_AVX2_PATHS
// Searches 64 bytes and remembers which of them are special and which are no digits. A search that
// reads the bytes at `p` has to wait until the search before it has found `p`. A look into what is
// remembered takes a third of the time of a search.
template <NonAscii kNonAscii>
class Avx2Blocks {
 public:
  Avx2Blocks(const char* /*begin*/, const char* p, const char* end) noexcept
      : first_(p), end_(end) {}

  FFGRANT_AVX2 const char* FindSpecial(const char* p) noexcept {
    for (;;) {
      if (!Reach(p)) return internal::FindSpecial<kNonAscii>(p, end_);
      const std::uint64_t left = specials_ >> OffsetOf(p);
      if (left != 0) return p + std::countr_zero(left);
      p = first_ + block_;
    }
  }

  FFGRANT_AVX2 const char* FindNumberEnd(const char* p) noexcept {
    if (!Reach(p)) return nullptr;
    const std::uint64_t left = others_ >> OffsetOf(p);
    if (left == 0) return nullptr;
    const int digits = std::countr_zero(left);
    const char* const behind = p + digits;
    if ((*p == '0' && digits > 1) || *behind == '.' || (*behind | 0x20) == 'e') return nullptr;
    return behind;
  }

 private:
  static constexpr std::size_t kSize = 64;

  std::size_t OffsetOf(const char* p) const noexcept {
    return static_cast<std::size_t>(p - first_) - (block_ - kSize);
  }

  // Remembers the block that contains `p`. Returns false if fewer than 64 bytes are left for it.
  FFGRANT_AVX2 bool Reach(const char* p) noexcept {
    const auto at = static_cast<std::size_t>(p - first_);
    if (at < block_) [[likely]]
      return true;
    // The next block begins where the last one ended, so that it can be read before `p` is known.
    std::size_t begin = block_;
    if (at >= block_ + kSize) begin = at;
    if (static_cast<std::size_t>(end_ - first_) < begin + kSize) return false;
    TakePath(Path::kSkimBlockAvx2, static_cast<std::size_t>(end_ - first_) - begin);
    block_ = begin + kSize;
    Remember(first_ + begin);
    return true;
  }

  FFGRANT_AVX2 void Remember(const char* block) noexcept {
    const __m256i low = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(block));
    const __m256i high = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(block + 32));
    specials_ = Word(SpecialPlaces(low), SpecialPlaces(high));
    others_ = ~Word(DigitPlaces(low), DigitPlaces(high));
  }

  FFGRANT_AVX2 static std::uint64_t Word(__m256i low, __m256i high) noexcept {
    return static_cast<std::uint32_t>(_mm256_movemask_epi8(low)) |
           std::uint64_t{static_cast<std::uint32_t>(_mm256_movemask_epi8(high))} << 32;
  }

  FFGRANT_AVX2 static __m256i SpecialPlaces(__m256i bytes) noexcept {
    const __m256i quote = _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8('"'));
    const __m256i backslash = _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8('\\'));
    const __m256i range =
        kNonAscii == NonAscii::kSpecial
            ? _mm256_cmpgt_epi8(_mm256_set1_epi8(0x20), bytes)
            : _mm256_cmpeq_epi8(_mm256_min_epu8(bytes, _mm256_set1_epi8(0x1F)), bytes);
    return _mm256_or_si256(range, _mm256_or_si256(quote, backslash));
  }

  FFGRANT_AVX2 static __m256i DigitPlaces(__m256i bytes) noexcept {
    const __m256i digits = _mm256_sub_epi8(bytes, _mm256_set1_epi8('0'));
    return _mm256_cmpeq_epi8(_mm256_min_epu8(digits, _mm256_set1_epi8(9)), digits);
  }

  const char* first_;  // where the first block begins
  const char* end_;
  std::size_t block_ = 0;       // where the block that is remembered ends, counted from first_
  std::uint64_t specials_ = 0;  // bit i is set if byte i of the block is special
  std::uint64_t others_ = 0;    // bit i is set if byte i of the block is no digit
};
#endif

}  // namespace

int JsonReader::PeekBehindBlanks() noexcept {
  p_ = SkipBlanks(p_, end_);
  return p_ == end_ ? kEnd : static_cast<unsigned char>(*p_);
}

bool JsonReader::Fail(JsonError error, const char* at, std::string_view member) noexcept {
  result_ = {error, static_cast<std::size_t>(at - begin_), member};
  return false;
}

bool JsonReader::FailedIn(std::string_view member) noexcept {
  if (result_.member.empty()) result_.member = member;
  return false;
}

bool JsonReader::FailUnexpected() noexcept {
  return Fail(p_ == end_ ? JsonError::kUnexpectedEnd : JsonError::kUnexpectedByte, p_);
}

bool JsonReader::FailWrongType() noexcept {
  const int c = Peek();
  const char* const at = p_;
  if (c != '[' && c != '{' && !SkipScalar<Check::kFull>(c)) return false;
  return Fail(JsonError::kWrongType, at);
}

bool JsonReader::Expect(char c) noexcept {
  if (Peek() != static_cast<unsigned char>(c)) return FailUnexpected();
  ++p_;
  return true;
}

bool JsonReader::ReadEnd() noexcept {
  if (Peek() == kEnd) return true;
  return Fail(JsonError::kTrailingBytes, p_);
}

JsonReader::Next JsonReader::NextMember(bool first) noexcept {
  int c = Peek();
  if (c == '}') return Next::kEnd;
  if (!first) {
    if (c != ',') {
      FailUnexpected();
      return Next::kError;
    }
    ++p_;
    c = Peek();
  }
  if (c == '"') return Next::kItem;
  FailUnexpected();
  return Next::kError;
}

JsonReader::Next JsonReader::NextElement(bool first) noexcept {
  int c = Peek();
  if (c == ']') return Next::kEnd;
  if (first) return Next::kItem;
  if (c == ',') {
    ++p_;
    c = Peek();
    if (c != ']') return Next::kItem;
  }
  FailUnexpected();
  return Next::kError;
}

// ---- strings ---------------------------------------------------------------

bool JsonReader::ReadString(std::string_view& out) noexcept {
  const char* const begin = ++p_;
  for (;;) {
    p_ = FindSpecial<NonAscii::kSpecial>(p_, end_);
    if (p_ == end_) return Fail(JsonError::kUnexpectedEnd, p_);
    const auto c = static_cast<unsigned char>(*p_);
    if (c == '"') {
      out = {begin, static_cast<std::size_t>(p_ - begin)};
      ++p_;
      return true;
    }
    if (c == '\\') return ReadEscapedString(begin, out);
    if (c < 0x20) return Fail(JsonError::kControlCharacter, p_);
    if (!ReadUtf8()) return false;
  }
}

// From the first escape on, bytes are copied in blocks while they are checked. The decoded text is
// never longer than the bytes read. So while a whole block of the document is left, the memory has
// room for a whole block, too.
template <class Copy>
[[gnu::always_inline]] inline bool JsonReader::ReadEscapedStringBy(const char* begin,
                                                                   std::string_view& out) noexcept {
  Copy copy;
  const char* const end = end_;
  char* const text = text_;
  const char* p = p_;
  char* to = text + (p - begin);
  if (end - p >= Copy::kBlock) {
    std::ptrdiff_t i = 0;
    do {
      Copy::CopyBlock(text + i, begin + i);
      i += Copy::kBlock;
    } while (i < p - begin);
  } else {
    CopyNearEnd(text, begin, p, end);
  }
  // `p` points at a byte that isn't plain, or at the document's end.
  for (;; to = copy.Plain(to, p, end)) {
    if (end - p >= 6) {
      const int byte = ShortHexEscape(p);
      if (byte >= 0 && byte < 0x80) [[likely]] {
        *to++ = static_cast<char>(byte);
        p += 6;
        copy.Skip(6);
        continue;
      }
    }
    if (p == end) return Fail(JsonError::kUnexpectedEnd, p);
    const auto c = static_cast<unsigned char>(*p);
    if (c == '"') {
      p_ = p + 1;
      text_ = to;
      out = {text, static_cast<std::size_t>(to - text)};
      return true;
    }
    p_ = p;
    if (c == '\\') {
      char* behind = to;  // with this copy, `to` stays in a register
      if (!ReadEscape(behind)) return false;
      to = behind;
    } else if (c < 0x20) {
      return Fail(JsonError::kControlCharacter, p);
    } else {
      if (!ReadUtf8()) return false;
      to = CopyText(to, {p, static_cast<std::size_t>(p_ - p)});
    }
    copy.Skip(p_ - p);
    p = p_;
  }
}

bool JsonReader::ReadEscapedString(const char* begin, std::string_view& out) noexcept {
  return ReadEscapedStringBy<BaselineCopy>(begin, out);
}

#ifdef FFGRANT_HAS_AVX2_PATHS
FFGRANT_AVX2 bool JsonReader::ReadEscapedStringAvx2(const char* begin,
                                                    std::string_view& out) noexcept {
  return ReadEscapedStringBy<Avx2Copy>(begin, out);
}
#endif

template <JsonReader::Check kCheck>
bool JsonReader::SkipString() noexcept {
  constexpr NonAscii kNonAscii = kCheck == Check::kFull ? NonAscii::kSpecial : NonAscii::kPlain;
  ++p_;
  for (;;) {
    p_ = FindSpecial<kNonAscii>(p_, end_);
    if (p_ == end_) return Fail(JsonError::kUnexpectedEnd, p_);
    const auto c = static_cast<unsigned char>(*p_);
    if (c == '"') {
      ++p_;
      return true;
    }
    if (c < 0x20) return Fail(JsonError::kControlCharacter, p_);
    if (c >= 0x80) {
      if (!ReadUtf8()) return false;
    } else if constexpr (kCheck == Check::kFull) {
      std::array<char, 4> unused;
      char* to = unused.data();
      if (!ReadEscape(to)) return false;
    } else {
      const char* const at = p_++;
      if (p_ == end_) return Fail(JsonError::kUnexpectedEnd, p_);
      unsigned unit;
      if (*p_ != 'u') {
        if (SimpleEscape(*p_) == '\0') return Fail(JsonError::kInvalidEscape, at);
        ++p_;
      } else if (!ReadHex4(unit)) {
        return false;
      }
    }
  }
}

// Steps over a run of bytes of 0x80 or more, which must be valid UTF-8. The reader must stand on
// the first of them.
bool JsonReader::ReadUtf8() noexcept {
  do {
    const std::size_t size = Utf8SequenceSize(p_, end_);
    if (size == 0) return Fail(JsonError::kInvalidUtf8, p_);
    p_ += size;
  } while (p_ != end_ && static_cast<unsigned char>(*p_) >= 0x80);
  return true;
}

// Steps over the `u` of an escape, on which the reader stands, and its four digits.
bool JsonReader::ReadHex4(unsigned& unit) noexcept {
  const char* const at = p_ - 1;
  ++p_;
  if (end_ - p_ >= 4) {
    const int value = Hex4(p_);
    if (value >= 0) [[likely]] {
      p_ += 4;
      unit = static_cast<unsigned>(value);
      return true;
    }
  }
  // The document ends before the fourth digit, or one of the four bytes is no hex digit.
  for (;; ++p_) {
    if (p_ == end_) return Fail(JsonError::kUnexpectedEnd, p_);
    if (HexValue(*p_) < 0) return Fail(JsonError::kInvalidEscape, at);
  }
}

// Steps over an escape, or over both escapes of a surrogate pair. The reader must stand on the
// backslash. Writes at most four bytes, and never more bytes than the escape has.
bool JsonReader::ReadEscape(char*& to) noexcept {
  const char* const at = p_++;
  if (p_ == end_) return Fail(JsonError::kUnexpectedEnd, p_);
  if (*p_ != 'u') {
    const char c = SimpleEscape(*p_);
    if (c == '\0') return Fail(JsonError::kInvalidEscape, at);
    *to++ = c;
    ++p_;
    return true;
  }
  unsigned unit;
  if (!ReadHex4(unit)) return false;
  if (unit >= 0xDC00 && unit <= 0xDFFF) return Fail(JsonError::kLoneSurrogate, at);
  if (unit >= 0xD800 && unit <= 0xDBFF) {
    // The document may end before the other half of the pair, or after the half's backslash.
    if (p_ == end_ || (*p_ == '\\' && p_ + 1 == end_)) {
      return Fail(JsonError::kUnexpectedEnd, end_);
    }
    if (p_[0] != '\\' || p_[1] != 'u') return Fail(JsonError::kLoneSurrogate, at);
    ++p_;
    unsigned low;
    if (!ReadHex4(low)) return false;
    if (low < 0xDC00 || low > 0xDFFF) return Fail(JsonError::kLoneSurrogate, at);
    unit = 0x10000 + ((unit - 0xD800) << 10 | (low - 0xDC00));
  }
  to = AppendUtf8(to, unit);
  return true;
}

// ---- numbers and literals --------------------------------------------------

bool JsonReader::ReadLiteral(std::string_view literal) noexcept {
  for (const char c : literal) {
    if (p_ == end_ || *p_ != c) return FailUnexpected();
    ++p_;
  }
  return true;
}

// Reads at least one digit.
bool JsonReader::SkipDigits() noexcept {
  if (p_ == end_) return Fail(JsonError::kUnexpectedEnd, p_);
  if (!IsDigit(*p_)) return Fail(JsonError::kInvalidNumber, p_);
  while (p_ != end_ && IsDigit(*p_)) ++p_;
  return true;
}

bool JsonReader::SkimNumber() noexcept {
  if (*p_ == '-') ++p_;
  const char* const digits = p_;
  if (!SkipDigits()) return false;
  if (*digits == '0' && p_ - digits > 1) return Fail(JsonError::kInvalidNumber, digits + 1);
  if (p_ != end_ && *p_ == '.') {
    ++p_;
    if (!SkipDigits()) return false;
  }
  if (p_ != end_ && (*p_ == 'e' || *p_ == 'E')) {
    ++p_;
    if (p_ != end_ && (*p_ == '+' || *p_ == '-')) ++p_;
    if (!SkipDigits()) return false;
  }
  return true;
}

// Reads an exponent and adds it to `exponent`. The reader must stand on the `e`. The reference
// holds an exponent in 32 bits. If an exponent is larger, the reference treats the number as
// infinite, or as 0 if its significand is 0 or the exponent is negative.
bool JsonReader::ReadExponent(std::uint64_t significand, std::int64_t& exponent) noexcept {
  constexpr std::int64_t kMax = std::numeric_limits<std::int32_t>::max();
  ++p_;
  const bool negative = p_ != end_ && *p_ == '-';
  if (p_ != end_ && (*p_ == '+' || *p_ == '-')) ++p_;
  const char* const digits = p_;
  if (!SkipDigits()) return false;
  std::int64_t value = 0;
  for (const char* p = digits; p != p_ && value <= kMax; ++p) value = value * 10 + (*p - '0');
  if (value > kMax) value = significand == 0 ? 0 : value;
  exponent += negative ? -value : value;
  return true;
}

bool JsonReader::ReadNumber(JsonNumber& out) noexcept {
  const char* const begin = p_;
  const bool negative = *p_ == '-';
  if (negative) ++p_;
  const char* const digits = p_;
  if (!SkipDigits()) return false;
  if (*digits == '0' && p_ - digits > 1) return Fail(JsonError::kInvalidNumber, digits + 1);

  std::uint64_t significand = 0;
  std::int64_t exponent = 0;
  const char* p = digits;
  for (; p != p_; ++p) {
    const auto digit = static_cast<unsigned>(*p - '0');
    if (Overflows(significand, digit)) break;
    significand = significand * 10 + digit;
  }
  // The first digit that does not fit is dropped, and so are all digits after it: they are only
  // counted.
  exponent = p_ - p;
  const bool fits = exponent == 0;

  bool is_integer = true;
  if (p_ != end_ && *p_ == '.') {
    is_integer = false;
    p = ++p_;
    if (!SkipDigits()) return false;
    for (; p != p_; ++p, --exponent) {
      const auto digit = static_cast<unsigned>(*p - '0');
      if (Overflows(significand, digit)) break;
      significand = significand * 10 + digit;
    }
  }
  if (p_ != end_ && (*p_ == 'e' || *p_ == 'E')) {
    is_integer = false;
    if (!ReadExponent(significand, exponent)) return false;
  }
  if (ExceedsDouble(significand, exponent)) return Fail(JsonError::kNumberOutOfRange, begin);

  constexpr std::uint64_t kMinMagnitude = std::uint64_t{1} << 63;
  if (!is_integer || (negative && fits && significand == 0)) {
    out = {JsonNumber::Kind::kFraction, 0};
  } else if (!fits || (negative && significand > kMinMagnitude)) {
    out = {JsonNumber::Kind::kOutOfRange, 0};
  } else if (negative) {
    out = {JsonNumber::Kind::kNegative, 0 - significand};
  } else {
    out = {JsonNumber::Kind::kUnsigned, significand};
  }
  return true;
}

// ---- unwanted values ----------------------------------------------

template <JsonReader::Check kCheck>
bool JsonReader::SkipScalar(int c) noexcept {
  switch (c) {
    case '"':
      return SkipString<kCheck>();
    case 'n':
      return ReadLiteral("null");
    case 't':
      return ReadLiteral("true");
    case 'f':
      return ReadLiteral("false");
    default:
      if (c != '-' && !IsDigit(c)) return FailUnexpected();
      if constexpr (kCheck == Check::kFull) {
        JsonNumber number;
        return ReadNumber(number);
      } else {
        return SkimNumber();
      }
  }
}

// Steps over the name and the colon that must follow at `p`.
template <JsonReader::Check kCheck, class Blocks>
[[gnu::always_inline]] inline bool JsonReader::SkipName(Blocks& blocks, const char*& p) noexcept {
  p = SkipBlanks(p, end_);
  if (p != end_ && *p == '"') {
    const char* const special = blocks.FindSpecial(p + 1);
    if (end_ - special >= 2 && special[0] == '"' && special[1] == ':') [[likely]] {
      p = special + 2;
      return true;
    }
  }
  p_ = p;
  if (Peek() != '"') return FailUnexpected();
  if (!SkipString<kCheck>() || !Expect(':')) return false;
  p = p_;
  return true;
}

// Steps over a value. Remembers which brackets are open: the innermost ones, up to 64, in a word,
// the others in memory.
template <JsonReader::Check kCheck, class Blocks>
[[gnu::always_inline]] inline bool JsonReader::SkipValueBy(std::size_t max_depth) noexcept {
  Blocks blocks(begin_, p_, end_);
  std::size_t depth = 0;
  std::uint64_t innermost = 0;  // one bit for each open bracket, the last one lowest; 1 for `{`
  const char* p = p_;
  for (;;) {
    // A value must follow at `p`.
    p = SkipBlanks(p, end_);
    const int c = p == end_ ? kEnd : static_cast<unsigned char>(*p);
    if (c == '[' || c == '{') {
      const bool is_object = c == '{';
      if (depth == max_depth) return Fail(JsonError::kTooDeep, p);
      p = SkipBlanks(p + 1, end_);
      if (p == end_ || *p != (is_object ? '}' : ']')) {
        if (depth % 64 == 0 && depth != 0) nesting_[depth / 64 - 1] = innermost;
        innermost = innermost << 1 | (is_object ? 1 : 0);
        ++depth;
        if (is_object && !SkipName<kCheck>(blocks, p)) return false;
        continue;
      }
      ++p;
    } else {
      const char* behind = nullptr;
      if (c == '"') {
        const char* const special = blocks.FindSpecial(p + 1);
        if (special != end_ && *special == '"') behind = special + 1;
      } else if (IsDigit(c)) {
        behind = blocks.FindNumberEnd(p);
      }
      if (behind == nullptr) {
        p_ = p;
        if (!SkipScalar<kCheck>(c)) return false;
        behind = p_;
      }
      p = behind;
    }
    // A value has ended here, and perhaps also the values that contain it.
    for (;;) {
      if (depth == 0) {
        p_ = p;
        return true;
      }
      const bool is_object = (innermost & 1) != 0;
      p = SkipBlanks(p, end_);
      if (p != end_ && *p == ',') {
        ++p;
        if (is_object && !SkipName<kCheck>(blocks, p)) return false;
        break;
      }
      if (p == end_ || *p != (is_object ? '}' : ']')) {
        p_ = p;
        return FailUnexpected();
      }
      ++p;
      innermost >>= 1;
      --depth;
      if (depth % 64 == 0 && depth != 0) innermost = nesting_[depth / 64 - 1];
    }
  }
}

#ifdef FFGRANT_HAS_AVX2_PATHS
template <JsonReader::Check kCheck>
FFGRANT_AVX2 bool JsonReader::SkipValueAvx2(std::size_t max_depth) noexcept {
  return SkipValueBy<kCheck, Avx2Blocks<kNonAsciiOf<kCheck>>>(max_depth);
}
#endif

template <JsonReader::Check kCheck>
bool JsonReader::SkipValue(std::size_t max_depth) noexcept {
#ifdef FFGRANT_HAS_AVX2_PATHS
  if (HasAvx2()) [[likely]]
    return SkipValueAvx2<kCheck>(max_depth);
#endif
  return SkipValueBy<kCheck, BaselineBlocks<kNonAsciiOf<kCheck>>>(max_depth);
}

bool JsonReader::SkimValue() noexcept {
  return SkipValue<Check::kShape>(std::numeric_limits<std::size_t>::max());
}

bool JsonReader::CheckValue(std::size_t max_depth) noexcept {
  return SkipValue<Check::kFull>(max_depth);
}

}  // namespace ffgrant::internal
