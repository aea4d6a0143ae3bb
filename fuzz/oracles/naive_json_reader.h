// SPDX-License-Identifier: Apache-2.0
//
// Test only: the tokens of JSON as the reference reads them (contract 4),
// byte by byte, into std::string. It shares nothing with the library's reader.
//
// What an error's offset means, since no other implementation tells:
//   kUnexpectedEnd     the document's size, with whatever token is cut short
//   kUnexpectedByte    of the byte
//   kInvalidNumber     of the first byte that makes it one
//   kNumberOutOfRange  where the number begins
//   kInvalidEscape     of its backslash
//   kLoneSurrogate     of the backslash of the surrogate that is alone
//   kControlCharacter  of the byte
//   kInvalidUtf8       where the sequence begins
//   kTooDeep           of the bracket

#ifndef FFGRANT_FUZZ_ORACLES_NAIVE_JSON_READER_H_
#define FFGRANT_FUZZ_ORACLES_NAIVE_JSON_READER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ffgrant/json/json_error.h"

namespace ffgrant::fuzz {

// True for well-formed UTF-8 (RFC 3629), told by decoding every sequence.
bool NaiveIsUtf8(std::string_view text);

struct NaiveNumber {
  bool negative = false;
  // An integer, except that -0 is none.
  bool integer = false;
  // For an integer: its absolute value, if that fits.
  bool fits = false;
  std::uint64_t magnitude = 0;
};

// Any JSON value, as the tagged response buffers it.
struct NaiveNode {
  enum class Type { kNull, kBool, kNumber, kString, kArray, kObject };

  Type type = Type::kNull;
  std::size_t offset = 0;  // of its first byte
  std::size_t close = 0;   // of the closing bracket
  NaiveNumber number;
  std::string text;
  std::vector<NaiveNode> items;
  std::size_t comma = 0;  // in front of it, if it is an array's element
  // For an object, one for each item.
  std::vector<std::string> names;
  std::vector<std::size_t> name_offsets;
};

// Every Read function stops at the first offence, which it notes in failure(),
// and then returns false.
class NaiveJsonReader {
 public:
  // Whether an ignored value's texts and numbers are judged by their meaning
  // too, or by their form alone.
  enum class Check { kAll, kForm };

  explicit NaiveJsonReader(std::string_view json) : json_(json) {}

  const JsonResult& failure() const { return failure_; }
  std::size_t at() const { return at_; }
  void Advance() { ++at_; }

  // Which member a failure names.
  std::string_view member() const { return member_; }
  void set_member(std::string_view member) { member_ = member; }

  bool Fail(JsonError error, std::size_t offset);
  // Fails where the reader stands.
  bool FailHere(JsonError error) { return Fail(error, at_); }

  // The next byte behind white space, which is not consumed.
  bool Peek(char* byte);
  // The next byte must be `byte`, and is consumed.
  bool Expect(char byte);
  // At a quote.
  bool ReadString(std::string* text, Check check = Check::kAll);
  // At a digit or a minus.
  bool ReadNumber(NaiveNumber* number, Check check = Check::kAll);
  // At its first letter.
  bool ReadLiteral(std::string_view literal);
  // At the first byte of a value that has the wrong type: always fails
  // (observed 0.1).
  bool ReadWrongType();
  bool SkimValue();
  // Any value, checked in full. `open` containers are around it.
  bool ReadNode(std::size_t open, NaiveNode* node);
  // White space up to the end.
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
