// SPDX-License-Identifier: Apache-2.0

#include "oracles/naive_json_reader.h"

#include "oracles/naive_json_number.h"

namespace ffgrant::fuzz {
namespace {

// The reader of the tagged response buffers up to 127 nested containers.
constexpr std::size_t kMaxOpen = 127;

bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

char Closing(char open) { return open == '[' ? ']' : '}'; }

// Returns the length of the UTF-8 sequence at `text[at]`; 0 if the sequence is not well-formed.
std::size_t Utf8Length(std::string_view text, std::size_t at) {
  const auto lead = static_cast<unsigned char>(text[at]);
  if (lead < 0x80) return 1;
  std::size_t length = 0;
  std::uint32_t code = 0;
  if (lead >= 0xC0 && lead <= 0xDF) {
    length = 2;
    code = lead & 0x1Fu;
  } else if (lead >= 0xE0 && lead <= 0xEF) {
    length = 3;
    code = lead & 0x0Fu;
  } else if (lead >= 0xF0 && lead <= 0xF7) {
    length = 4;
    code = lead & 0x07u;
  } else {
    return 0;
  }
  for (std::size_t i = 1; i < length; ++i) {
    if (at + i >= text.size()) return 0;
    const auto next = static_cast<unsigned char>(text[at + i]);
    if (next < 0x80 || next > 0xBF) return 0;
    code = code * 64 + (next & 0x3Fu);
  }
  if (length == 2 && code < 0x80) return 0;
  if (length == 3 && (code < 0x800 || (code >= 0xD800 && code <= 0xDFFF))) return 0;
  if (length == 4 && (code < 0x10000 || code > 0x10FFFF)) return 0;
  return length;
}

void AppendUtf8(std::uint32_t code, std::string* text) {
  const auto append = [text](std::uint32_t byte) { *text += static_cast<char>(byte); };
  if (code < 0x80) {
    append(code);
  } else if (code < 0x800) {
    append(0xC0 + code / 64);
    append(0x80 + code % 64);
  } else if (code < 0x10000) {
    append(0xE0 + code / 4096);
    append(0x80 + code / 64 % 64);
    append(0x80 + code % 64);
  } else {
    append(0xF0 + code / 262144);
    append(0x80 + code / 4096 % 64);
    append(0x80 + code / 64 % 64);
    append(0x80 + code % 64);
  }
}

}  // namespace

bool NaiveIsUtf8(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t length = Utf8Length(text, at);
    if (length == 0) return false;
    at += length;
  }
  return true;
}

bool NaiveJsonReader::Fail(JsonError error, std::size_t offset) {
  failure_ = {error, offset, member_};
  return false;
}

bool NaiveJsonReader::Peek(char* byte) {
  while (at_ < json_.size() && IsSpace(json_[at_])) ++at_;
  if (at_ == json_.size()) return FailHere(JsonError::kUnexpectedEnd);
  *byte = json_[at_];
  return true;
}

bool NaiveJsonReader::Expect(char byte) {
  char next;
  if (!Peek(&next)) return false;
  if (next != byte) return FailHere(JsonError::kUnexpectedByte);
  ++at_;
  return true;
}

bool NaiveJsonReader::ReadEnd() {
  while (at_ < json_.size() && IsSpace(json_[at_])) ++at_;
  return at_ == json_.size() || FailHere(JsonError::kTrailingBytes);
}

// --- strings ---

bool NaiveJsonReader::ReadString(std::string* text, Check check) {
  text->clear();
  ++at_;
  for (;;) {
    if (at_ == json_.size()) return FailHere(JsonError::kUnexpectedEnd);
    const char c = json_[at_];
    if (c == '"') {
      ++at_;
      return true;
    }
    if (static_cast<unsigned char>(c) < 0x20) return FailHere(JsonError::kControlCharacter);
    if (c == '\\') {
      if (!ReadEscape(text, check)) return false;
    } else if (check == Check::kAll) {
      if (!ReadUtf8(text)) return false;
    } else {
      ++at_;
    }
  }
}

bool NaiveJsonReader::ReadUtf8(std::string* text) {
  const std::size_t length = Utf8Length(json_, at_);
  if (length == 0) return FailHere(JsonError::kInvalidUtf8);
  text->append(json_, at_, length);
  at_ += length;
  return true;
}

// Reads the four hex digits of the escape that begins at `backslash`.
bool NaiveJsonReader::ReadHex(std::size_t backslash, std::uint32_t* unit) {
  *unit = 0;
  for (int i = 0; i < 4; ++i, ++at_) {
    if (at_ == json_.size()) return FailHere(JsonError::kUnexpectedEnd);
    constexpr std::string_view kDigits = "00112233445566778899aAbBcCdDeEfF";
    const std::size_t digit = kDigits.find(json_[at_]);
    if (digit == std::string_view::npos) return Fail(JsonError::kInvalidEscape, backslash);
    *unit = *unit * 16 + static_cast<std::uint32_t>(digit / 2);
  }
  return true;
}

bool NaiveJsonReader::ReadEscape(std::string* text, Check check) {
  const std::size_t backslash = at_;
  ++at_;
  if (at_ == json_.size()) return FailHere(JsonError::kUnexpectedEnd);
  const char kind = json_[at_];
  ++at_;
  constexpr std::string_view kShort = "\"\\/bfnrt";
  constexpr std::string_view kMeaning = "\"\\/\b\f\n\r\t";
  const std::size_t index = kShort.find(kind);
  if (index != std::string_view::npos) {
    *text += kMeaning[index];
    return true;
  }
  if (kind != 'u') return Fail(JsonError::kInvalidEscape, backslash);
  std::uint32_t unit;
  if (!ReadHex(backslash, &unit)) return false;
  if (check == Check::kForm) return true;
  if (unit >= 0xDC00 && unit <= 0xDFFF) return Fail(JsonError::kLoneSurrogate, backslash);
  if (unit < 0xD800 || unit > 0xDFFF) {
    AppendUtf8(unit, text);
    return true;
  }
  const std::size_t second = at_;
  for (const char expected : {'\\', 'u'}) {
    if (at_ == json_.size()) return FailHere(JsonError::kUnexpectedEnd);
    if (json_[at_] != expected) return Fail(JsonError::kLoneSurrogate, backslash);
    ++at_;
  }
  std::uint32_t low;
  if (!ReadHex(second, &low)) return false;
  if (low < 0xDC00 || low > 0xDFFF) return Fail(JsonError::kLoneSurrogate, backslash);
  AppendUtf8(0x10000 + (unit - 0xD800) * 0x400 + (low - 0xDC00), text);
  return true;
}

// --- numbers and literals ---

// Reads at least one digit.
bool NaiveJsonReader::ReadDigits() {
  if (at_ == json_.size()) return FailHere(JsonError::kUnexpectedEnd);
  if (!IsDigit(json_[at_])) return FailHere(JsonError::kInvalidNumber);
  while (at_ < json_.size() && IsDigit(json_[at_])) ++at_;
  return true;
}

bool NaiveJsonReader::ReadNumber(NaiveNumber* number, Check check) {
  const std::size_t begin = at_;
  const auto next_is = [this](std::string_view bytes) {
    return at_ < json_.size() && bytes.find(json_[at_]) != std::string_view::npos;
  };
  *number = {};
  number->negative = next_is("-");
  if (number->negative) ++at_;
  const std::size_t first_digit = at_;
  if (next_is("0")) {
    ++at_;
    if (next_is("0123456789")) return FailHere(JsonError::kInvalidNumber);
  } else if (!ReadDigits()) {
    return false;
  }
  const std::string_view digits = json_.substr(first_digit, at_ - first_digit);
  number->integer = !next_is(".eE") && !(number->negative && digits == "0");
  if (next_is(".")) {
    ++at_;
    if (!ReadDigits()) return false;
  }
  if (next_is("eE")) {
    ++at_;
    if (next_is("+-")) ++at_;
    if (!ReadDigits()) return false;
  }
  if (check == Check::kAll && NaiveNumberIsOutOfRange(json_.substr(begin, at_ - begin))) {
    return Fail(JsonError::kNumberOutOfRange, begin);
  }
  constexpr std::string_view kMax = "18446744073709551615";
  number->fits = digits.size() < kMax.size() || (digits.size() == kMax.size() && digits <= kMax);
  if (number->fits) {
    for (const char digit : digits) {
      number->magnitude = number->magnitude * 10 + static_cast<std::uint64_t>(digit - '0');
    }
  }
  return true;
}

bool NaiveJsonReader::ReadLiteral(std::string_view literal) {
  for (const char expected : literal) {
    if (at_ == json_.size()) return FailHere(JsonError::kUnexpectedEnd);
    if (json_[at_] != expected) return FailHere(JsonError::kUnexpectedByte);
    ++at_;
  }
  return true;
}

bool NaiveJsonReader::ReadWrongType() {
  char first;
  if (!Peek(&first)) return false;
  const std::size_t begin = at_;
  std::string text;
  NaiveNumber number;
  if (first == 'n') {
    if (!ReadLiteral("null")) return false;
  } else if (first == 't') {
    if (!ReadLiteral("true")) return false;
  } else if (first == 'f') {
    if (!ReadLiteral("false")) return false;
  } else if (first == '-' || IsDigit(first)) {
    if (!ReadNumber(&number)) return false;
  } else if (first == '"') {
    if (!ReadString(&text)) return false;
  } else if (first != '[' && first != '{') {
    return FailHere(JsonError::kUnexpectedByte);
  }
  return Fail(JsonError::kWrongType, begin);
}

// --- ignored values ---

bool NaiveJsonReader::SkimScalar(char first) {
  std::string text;
  NaiveNumber number;
  if (first == '"') return ReadString(&text, Check::kForm);
  if (first == '-' || IsDigit(first)) return ReadNumber(&number, Check::kForm);
  if (first == 'n') return ReadLiteral("null");
  if (first == 't') return ReadLiteral("true");
  if (first == 'f') return ReadLiteral("false");
  return FailHere(JsonError::kUnexpectedByte);
}

bool NaiveJsonReader::SkimName() {
  char next;
  if (!Peek(&next)) return false;
  if (next != '"') return FailHere(JsonError::kUnexpectedByte);
  return SkimScalar(next) && Expect(':');
}

bool NaiveJsonReader::SkimValue() {
  std::string open;  // the brackets that are open around the reader's position
  for (;;) {
    // A value must follow.
    char next;
    if (!Peek(&next)) return false;
    if (next == '[' || next == '{') {
      open += next;
      ++at_;
      if (!Peek(&next)) return false;
      if (next != Closing(open.back())) {
        if (open.back() == '{' && !SkimName()) return false;
        continue;
      }
      ++at_;
      open.pop_back();
    } else if (!SkimScalar(next)) {
      return false;
    }
    // A value has ended here.
    for (;; open.pop_back()) {
      if (open.empty()) return true;
      if (!Peek(&next)) return false;
      ++at_;
      if (next == ',') break;
      if (next != Closing(open.back())) return Fail(JsonError::kUnexpectedByte, at_ - 1);
    }
    if (open.back() == '{' && !SkimName()) return false;
  }
}

// --- buffered values ---

bool NaiveJsonReader::ReadNode(std::size_t open, NaiveNode* node) {
  char first;
  if (!Peek(&first)) return false;
  node->offset = at_;
  if (first == '[' || first == '{') {
    if (open == kMaxOpen) return FailHere(JsonError::kTooDeep);
    return first == '[' ? ReadArray(open + 1, node) : ReadObject(open + 1, node);
  }
  if (first == '"') {
    node->type = NaiveNode::Type::kString;
    return ReadString(&node->text);
  }
  if (first == '-' || IsDigit(first)) {
    node->type = NaiveNode::Type::kNumber;
    return ReadNumber(&node->number);
  }
  node->type = first == 'n' ? NaiveNode::Type::kNull : NaiveNode::Type::kBool;
  return SkimScalar(first);
}

bool NaiveJsonReader::ReadArray(std::size_t open, NaiveNode* node) {
  node->type = NaiveNode::Type::kArray;
  ++at_;
  char next;
  for (;;) {
    if (!Peek(&next)) return false;
    if (next == ']' && node->items.empty()) break;
    node->items.emplace_back();
    if (!ReadNode(open, &node->items.back())) return false;
    if (!Peek(&next)) return false;
    if (next == ']') break;
    if (!Expect(',')) return false;
  }
  node->close = at_;
  ++at_;
  return true;
}

bool NaiveJsonReader::ReadObject(std::size_t open, NaiveNode* node) {
  node->type = NaiveNode::Type::kObject;
  ++at_;
  char next;
  for (;;) {
    if (!Peek(&next)) return false;
    if (next == '}' && node->items.empty()) break;
    if (next != '"') return FailHere(JsonError::kUnexpectedByte);
    node->name_offsets.push_back(at_);
    node->names.emplace_back();
    if (!ReadString(&node->names.back()) || !Expect(':')) return false;
    node->items.emplace_back();
    if (!ReadNode(open, &node->items.back())) return false;
    if (!Peek(&next)) return false;
    if (next == '}') break;
    if (!Expect(',')) return false;
  }
  node->close = at_;
  ++at_;
  return true;
}

}  // namespace ffgrant::fuzz
