// SPDX-License-Identifier: Apache-2.0
//
// Test only: reads the tokens of JSON as the reference does (contract 4), byte by byte, into
// std::string. It shares no code with the library's reader.
//
// No other implementation reports offsets, so this table defines what an error's offset is:
//   kUnexpectedEnd     the document's size, whichever token is cut short
//   kUnexpectedByte    the byte
//   kInvalidNumber     the first byte that makes the number invalid
//   kNumberOutOfRange  where the number begins
//   kInvalidEscape     the backslash of the escape
//   kLoneSurrogate     the backslash of the lone surrogate
//   kControlCharacter  the byte
//   kInvalidUtf8       where the sequence begins
//   kTooDeep           the bracket
//   kTrailingBytes     the first byte after the document that is not white space

#ifndef FFGRANT_FUZZ_ORACLES_NAIVE_JSON_READER_H_
#define FFGRANT_FUZZ_ORACLES_NAIVE_JSON_READER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ffgrant/json/json_error.h"

namespace ffgrant::fuzz {

// Whether the text is well-formed UTF-8 (RFC 3629). Decodes every sequence to find out.
bool NaiveIsUtf8(std::string_view text);

struct NaiveNumber {
  bool negative = false;
  // True for an integer other than -0.
  bool integer = false;
  // For an integer: true if `magnitude` holds the integer's absolute value.
  bool fits = false;
  std::uint64_t magnitude = 0;
};

// Any JSON value, as the reader of the tagged response buffers it.
struct NaiveNode {
  enum class Type { kNull, kBool, kNumber, kString, kArray, kObject };

  Type type = Type::kNull;
  std::size_t offset = 0;  // the offset of the node's first byte
  std::size_t close = 0;   // the offset of the closing bracket
  NaiveNumber number;
  std::string text;
  std::vector<NaiveNode> items;
  std::size_t comma = 0;  // the offset of the comma before an element of the response's array
  // For an object: the name of each item, and the offset of the name.
  std::vector<std::string> names;
  std::vector<std::size_t> name_offsets;
};

// Every Read function stops at the first fault, stores it for failure() and returns false.
class NaiveJsonReader {
 public:
  // kAll: a text or a number is judged by its form and its meaning. kForm: by its form only, as in
  // ignored values.
  enum class Check { kAll, kForm };

  explicit NaiveJsonReader(std::string_view json) : json_(json) {}

  const JsonResult& failure() const { return failure_; }
  std::size_t at() const { return at_; }
  void Advance() { ++at_; }

  // The member that a failure names.
  std::string_view member() const { return member_; }
  void set_member(std::string_view member) { member_ = member; }

  bool Fail(JsonError error, std::size_t offset);
  // Fails at the reader's position.
  bool FailHere(JsonError error) { return Fail(error, at_); }

  // Skips white space and gives the next byte, but does not consume the byte.
  bool Peek(char* byte);
  // Skips white space and consumes the next byte, which must be `byte`.
  bool Expect(char byte);
  // The reader must stand on the opening quote.
  bool ReadString(std::string* text, Check check = Check::kAll);
  // The reader must stand on a digit or a minus.
  bool ReadNumber(NaiveNumber* number, Check check = Check::kAll);
  // The reader must stand on the literal's first letter.
  bool ReadLiteral(std::string_view literal);
  // The reader must stand on the first byte of a value of the wrong type. Always fails (observed
  // 0.1).
  bool ReadWrongType();
  bool SkimValue();
  // Reads any value and checks it in full. `open` is the number of containers around it.
  bool ReadNode(std::size_t open, NaiveNode* node);
  // Fails unless only white space is left.
  bool ReadEnd();

 private:
  bool ReadEscape(std::string* text, Check check);
  bool ReadHex(std::size_t backslash, std::uint32_t* unit);
  bool ReadUtf8(std::string* text);
  bool ReadDigits();
  bool SkimScalar(char first);
  bool SkimName();
  bool ReadArray(std::size_t open, NaiveNode* node);
  bool ReadObject(std::size_t open, NaiveNode* node);

  std::string_view json_;
  std::size_t at_ = 0;
  std::string_view member_;
  JsonResult failure_;
};

}  // namespace ffgrant::fuzz

#endif  // FFGRANT_FUZZ_ORACLES_NAIVE_JSON_READER_H_
