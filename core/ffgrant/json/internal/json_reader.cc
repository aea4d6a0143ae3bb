// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/json/internal/json_reader.h"

#include <array>
#include <cmath>
#include <cstring>
#include <limits>

#include "ffgrant/internal/string_scan.h"
#include "ffgrant/internal/utf8.h"

namespace ffgrant::internal {
namespace {

constexpr bool IsDigit(int c) noexcept { return c >= '0' && c <= '9'; }

constexpr int HexValue(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// True if `value * 10 + digit` does not fit.
constexpr bool Overflows(std::uint64_t value, unsigned digit) noexcept {
  constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();
  return value > kMax / 10 || (value == kMax / 10 && digit > kMax % 10);
}

// True if the reference finds significand * 10^exponent too large for a
// double. It multiplies two doubles, so the product is what decides.
bool ExceedsDouble(std::uint64_t significand, std::int64_t exponent) noexcept {
  constexpr std::int64_t kFirst = 289;  // 2^64 * 10^288 is in range
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

// The byte that a one-letter escape stands for; 0 if there is no such escape.
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

}  // namespace

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
  const char* run = ++p_;    // what isn't copied yet
  char* const text = text_;  // where the string goes if it has escapes
  char* to = text;
  bool escaped = false;
  for (;;) {
    p_ = FindSpecial<NonAscii::kSpecial>(p_, end_);
    if (p_ == end_) return Fail(JsonError::kUnexpectedEnd, p_);
    const auto c = static_cast<unsigned char>(*p_);
    if (c >= 0x80) {
      if (!ReadUtf8()) return false;
      continue;
    }
    if (c < 0x20) return Fail(JsonError::kControlCharacter, p_);
    const auto run_size = static_cast<std::size_t>(p_ - run);
    if (c == '"') {
      ++p_;
      if (!escaped) {
        out = {run, run_size};
        return true;
      }
      std::memcpy(to, run, run_size);
      text_ = to + run_size;
      out = {text, static_cast<std::size_t>(text_ - text)};
      return true;
    }
    escaped = true;
    std::memcpy(to, run, run_size);
    to += run_size;
    if (!ReadEscape(to)) return false;
    run = p_;
  }
}

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

// On a byte from 0x80 up: steps over all such bytes.
bool JsonReader::ReadUtf8() noexcept {
  do {
    const std::size_t size = Utf8SequenceSize(p_, end_);
    if (size == 0) return Fail(JsonError::kInvalidUtf8, p_);
    p_ += size;
  } while (p_ != end_ && static_cast<unsigned char>(*p_) >= 0x80);
  return true;
}

// On the `u` of an escape: steps over it and its four digits.
bool JsonReader::ReadHex4(unsigned& unit) noexcept {
  const char* const at = p_ - 1;
  ++p_;
  unit = 0;
  for (int i = 0; i < 4; ++i, ++p_) {
    if (p_ == end_) return Fail(JsonError::kUnexpectedEnd, p_);
    const int digit = HexValue(*p_);
    if (digit < 0) return Fail(JsonError::kInvalidEscape, at);
    unit = unit << 4 | static_cast<unsigned>(digit);
  }
  return true;
}

// On a backslash: steps over the escape (both of them for a surrogate pair)
// and writes at most four bytes, never more than the escape has.
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
    // Its other half may be what the document's end cuts off.
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

// One digit at least.
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

// On the `e`: reads the exponent and adds it. The reference counts in 32 bits
// and calls a larger exponent infinite, or 0 if the number is 0 or the
// exponent negative.
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
  // The first digit that does not fit drops all behind it.
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

// ---- values that nobody wants ----------------------------------------------

void JsonReader::PushBracket(std::size_t depth, bool is_object) noexcept {
  const std::uint64_t bit = std::uint64_t{1} << (depth % 64);
  std::uint64_t& word = nesting_[depth / 64];
  word = is_object ? word | bit : word & ~bit;
}

bool JsonReader::IsObjectAt(std::size_t depth) const noexcept {
  return (nesting_[depth / 64] >> (depth % 64) & 1) != 0;
}

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

template <JsonReader::Check kCheck>
bool JsonReader::SkipName() noexcept {
  if (Peek() != '"') return FailUnexpected();
  return SkipString<kCheck>() && Expect(':');
}

template <JsonReader::Check kCheck>
bool JsonReader::SkipValue(std::size_t max_depth) noexcept {
  std::size_t depth = 0;
  for (;;) {
    // A value is due.
    const int c = Peek();
    if (c == '[' || c == '{') {
      const bool is_object = c == '{';
      if (depth == max_depth) return Fail(JsonError::kTooDeep, p_);
      ++p_;
      if (Peek() != (is_object ? '}' : ']')) {
        PushBracket(depth++, is_object);
        if (is_object && !SkipName<kCheck>()) return false;
        continue;
      }
      ++p_;
    } else if (!SkipScalar<kCheck>(c)) {
      return false;
    }
    // A value has ended, and with it perhaps what it stood in.
    for (;; --depth) {
      if (depth == 0) return true;
      const bool is_object = IsObjectAt(depth - 1);
      const int next = Peek();
      if (next == ',') {
        ++p_;
        if (is_object && !SkipName<kCheck>()) return false;
        break;
      }
      if (next != (is_object ? '}' : ']')) return FailUnexpected();
      ++p_;
    }
  }
}

bool JsonReader::SkimValue() noexcept {
  return SkipValue<Check::kShape>(std::numeric_limits<std::size_t>::max());
}

bool JsonReader::CheckValue(std::size_t max_depth) noexcept {
  return SkipValue<Check::kFull>(max_depth);
}

}  // namespace ffgrant::internal
