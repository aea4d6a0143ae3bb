// SPDX-License-Identifier: Apache-2.0
//
// Reads JSON sequentially. The reader reports a fault at the first offending position, with the
// class that the reference reports there (contract 4). The reader knows JSON but no DTOs;
// json_struct.h decodes DTOs with it.

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
    kNegative,    // down to -2^63, with `bits` in two's complement
    kOutOfRange,  // an integer that fits neither kind above
    kFraction,    // a number with a fraction or an exponent, or -0
  };
  Kind kind = Kind::kUnsigned;
  std::uint64_t bits = 0;
};

// Reading functions return false, or Next::kError, after a failure. result() then holds the error,
// and nothing more may be read. The document and the decoded texts are not moved, so texts that
// ReadString returned remain valid unless the caller moves text_top() back.
class JsonReader {
 public:
  // `document` must not be larger than the limit of the scratch that `memory` belongs to.
  JsonReader(std::string_view document, const JsonMemory& memory) noexcept
      : begin_(document.data()),
        end_(document.data() + document.size()),
        p_(document.data()),
        text_(memory.text),
        nesting_(memory.nesting) {}

  static constexpr int kEnd = -1;

  // Returns the next byte that isn't white space, or kEnd. The reader then stands on this byte.
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
  // Moves to `p`. The caller must have checked everything before `p`.
  void set_position(const char* p) noexcept { p_ = p; }
  void Rewind() noexcept { p_ = begin_; }

  // Steps over `c`, or fails.
  bool Expect(char c) noexcept;
  // Fails unless only white space is left.
  bool ReadEnd() noexcept;

  // Moves to the next item of an object or array, after its opening bracket (`first`) or after an
  // item. For kItem the reader stands on the name's quote, or where the element must begin; for
  // kEnd it stands on the closing bracket.
  enum class Next : std::uint8_t { kItem, kEnd, kError };
  Next NextMember(bool first) noexcept;
  Next NextElement(bool first) noexcept;

  // Call ReadString(), ReadNumber() and ReadLiteral() only after Peek() has returned the value's
  // first byte.
  bool ReadString(std::string_view& out) noexcept;
  // Reads a string that begins at `begin`, right after its quote. The caller must have checked the
  // string up to the reader's position, which must be the first escape.
  bool ReadEscapedString(const char* begin, std::string_view& out) noexcept;
#ifdef FFGRANT_HAS_AVX2_PATHS
  FFGRANT_AVX2 bool ReadEscapedStringAvx2(const char* begin, std::string_view& out) noexcept;
#endif
  bool ReadNumber(JsonNumber& out) noexcept;
  bool ReadLiteral(std::string_view literal) noexcept;

  // Steps over an unwanted value of any depth and checks only its shape.
  bool SkimValue() noexcept;
  // Steps over a value and checks it in full. At most `max_depth` brackets may be open in the
  // value.
  bool CheckValue(std::size_t max_depth) noexcept;

  // The top of the memory for text, where strings that had escapes are put. A caller that knows
  // what is stored there can move the top.
  char* text_top() const noexcept { return text_; }
  void set_text_top(char* top) noexcept { text_ = top; }

  // Fails because the next value has the wrong type. A scalar is read to its end first, because a
  // fault in the scalar wins. Always returns false.
  bool FailWrongType() noexcept;
  // Fails because the document ends at the reader's position, or because the byte there must not
  // stand there. Always returns false.
  bool FailUnexpected() noexcept;
  bool Fail(JsonError error, const char* at, std::string_view member = {}) noexcept;
  // Stores the name of the member at fault, unless the name of a member within it is already
  // stored. Always returns false.
  bool FailedIn(std::string_view member) noexcept;

  const JsonResult& result() const noexcept { return result_; }

 private:
  enum class Check : bool { kShape, kFull };

  int PeekBehindBlanks() noexcept;
  // How bytes from 0x80 on count: a check in full stops at them, a check of the shape does not.
  template <Check kCheck>
  static constexpr NonAscii kNonAsciiOf =
      kCheck == Check::kFull ? NonAscii::kSpecial : NonAscii::kPlain;

  template <Check kCheck>
  bool SkipValue(std::size_t max_depth) noexcept;
#ifdef FFGRANT_HAS_AVX2_PATHS
  template <Check kCheck>
  FFGRANT_AVX2 bool SkipValueAvx2(std::size_t max_depth) noexcept;
#endif
  template <Check kCheck, class Blocks>
  bool SkipValueBy(std::size_t max_depth) noexcept;
  template <Check kCheck>
  bool SkipScalar(int c) noexcept;
  template <Check kCheck>
  bool SkipString() noexcept;
  template <Check kCheck, class Blocks>
  bool SkipName(Blocks& blocks, const char*& p) noexcept;
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
