// SPDX-License-Identifier: Apache-2.0
//
// A sequential reader of JSON that reports what is wrong at the first
// offending position and with the class that the reference reports there
// (contract 4). It knows JSON, not DTOs; json_struct.h does those.

#ifndef FFGRANT_JSON_INTERNAL_JSON_READER_H_
#define FFGRANT_JSON_INTERNAL_JSON_READER_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "ffgrant/internal/string_scan.h"
#include "ffgrant/json/internal/json_memory.h"
#include "ffgrant/json/json_error.h"

namespace ffgrant::internal {

struct JsonNumber {
  enum class Kind : std::uint8_t {
    kUnsigned,
    kNegative,    // down to -2^63; `bits` in two's complement
    kOutOfRange,  // an integer that is neither
    kFraction,    // with a fraction or an exponent, or -0
  };
  Kind kind = Kind::kUnsigned;
  std::uint64_t bits = 0;
};

// Reading functions return false after a failure; result() then says which,
// and nothing may be read any more. Text and document stay where they are, so
// what ReadString returned remains valid.
class JsonReader {
 public:
  // `document` is not larger than the scratch behind `memory` was made for.
  JsonReader(std::string_view document, const JsonMemory& memory) noexcept
      : begin_(document.data()),
        end_(document.data() + document.size()),
        p_(document.data()),
        text_(memory.text),
        nesting_(memory.nesting) {}

  static constexpr int kEnd = -1;

  // The next byte that isn't white space, or kEnd. The reader then stands on it.
  int Peek() noexcept {
    if (p_ != end_ && static_cast<unsigned char>(*p_) > ' ') {
      return static_cast<unsigned char>(*p_);
    }
    return PeekBehindBlanks();
  }

  // Steps over the byte that Peek() returned.
  void Advance() noexcept { ++p_; }
  const char* position() const noexcept { return p_; }
  const char* begin() const noexcept { return begin_; }
  const char* end() const noexcept { return end_; }
  // Moves to `p`; the caller has looked at everything before it.
  void set_position(const char* p) noexcept { p_ = p; }
  void Rewind() noexcept { p_ = begin_; }

  // Steps over `c`, or fails.
  bool Expect(char c) noexcept;
  // Fails unless only white space is left.
  bool ReadEnd() noexcept;

  // Reads what follows in an object or array after its bracket (`first`) or after an
  // item. kItem: the reader stands on the name's quote, or on the element.
  // kEnd: it stands on the closing bracket.
  enum class Next : std::uint8_t { kItem, kEnd, kError };
  Next NextMember(bool first) noexcept;
  Next NextElement(bool first) noexcept;

  // The next three: Peek() returned the value's first byte.
  bool ReadString(std::string_view& out) noexcept;
  // A string that begins at `begin`, behind its quote, and was looked at up to the
  // reader's position, which is its first escape.
  bool ReadEscapedString(const char* begin, std::string_view& out) noexcept;
#ifdef FFGRANT_HAS_AVX2_PATHS
  FFGRANT_AVX2 bool ReadEscapedStringAvx2(const char* begin, std::string_view& out) noexcept;
#endif
  bool ReadNumber(JsonNumber& out) noexcept;
  bool ReadLiteral(std::string_view literal) noexcept;

  // Steps over an unwanted value of any depth; checks its shape alone.
  bool SkimValue() noexcept;
  // Checks a value in full; at most `max_depth` brackets may be open in it.
  bool CheckValue(std::size_t max_depth) noexcept;

  // Memory for text: a string that had escapes is put at the top. Both ends of
  // it can be moved by a caller that knows what is there.
  char* text_top() const noexcept { return text_; }
  void set_text_top(char* top) noexcept { text_ = top; }

  // Fails because the next value has the wrong type. A scalar is read all the
  // same, because a fault in it comes first. Always false.
  bool FailWrongType() noexcept;
  // Fails because the byte that Peek() returned must not stand there. Always false.
  bool FailUnexpected() noexcept;
  bool Fail(JsonError error, const char* at, std::string_view member = {}) noexcept;
  // Names the member concerned, unless a member within it was named. Always false.
  bool FailedIn(std::string_view member) noexcept;

  const JsonResult& result() const noexcept { return result_; }

 private:
  enum class Check : bool { kShape, kFull };

  int PeekBehindBlanks() noexcept;
  template <Check kCheck>
  bool SkipValue(std::size_t max_depth) noexcept;
  template <Check kCheck>
  bool SkipScalar(int c) noexcept;
  template <Check kCheck>
  bool SkipString() noexcept;
  template <Check kCheck>
  bool SkipName(const char*& p) noexcept;
  bool SkimNumber() noexcept;
  bool SkipDigits() noexcept;
  template <class Copy>
  bool ReadEscapedStringBy(const char* begin, std::string_view& out) noexcept;
  bool ReadEscape(char*& to) noexcept;
  bool ReadHex4(unsigned& unit) noexcept;
  bool ReadUtf8() noexcept;
  bool ReadExponent(std::uint64_t significand, std::int64_t& exponent) noexcept;

  const char* begin_;
  const char* end_;
  const char* p_;
  char* text_;
  std::uint64_t* nesting_;
  JsonResult result_;
};

}  // namespace ffgrant::internal

#endif  // FFGRANT_JSON_INTERNAL_JSON_READER_H_
