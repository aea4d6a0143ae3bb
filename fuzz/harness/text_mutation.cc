// SPDX-License-Identifier: Apache-2.0

#include "harness/text_mutation.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <string>

#include "harness/cutting.h"
#include "harness/engine.h"

namespace ffgrant::fuzz {
namespace {

constexpr std::string_view kNumbers[] = {"0",
                                         "1",
                                         "7",
                                         "9",
                                         "10",
                                         "99",
                                         "100",
                                         "255",
                                         "256",
                                         "9999",
                                         "10000",
                                         "65534",
                                         "65535",
                                         "65536",
                                         "65537",
                                         "65545",
                                         "66535",
                                         "75535",
                                         "99999",
                                         "100000",
                                         "131071",
                                         "2147483647",
                                         "4294967295",
                                         "4294967296",
                                         "4294967303",
                                         "18446744073709551615",
                                         "18446744073709551616",
                                         "18446744073709551623",
                                         "00",
                                         "007",
                                         "+7",
                                         "-0",
                                         "-1"};

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// Returns a run of digits. The search begins at a random place; the result is empty if the text has
// no digits.
std::string_view SomeNumber(Random& random, std::string_view text) {
  if (text.empty()) return {};
  std::size_t begin = random.Below(text.size());
  while (begin < text.size() && !IsDigit(text[begin])) ++begin;
  if (begin == text.size()) {
    begin = 0;
    while (begin < text.size() && !IsDigit(text[begin])) ++begin;
  }
  while (begin > 0 && IsDigit(text[begin - 1])) --begin;
  std::size_t end = begin;
  while (end < text.size() && IsDigit(text[end])) ++end;
  return text.substr(begin, end - begin);
}

void MutateNumber(Random& random, TextBuffer& text) {
  const std::string_view number = SomeNumber(random, text.view());
  if (number.empty()) return;
  const auto at = static_cast<std::size_t>(number.data() - text.view().data());
  switch (random.Below(6)) {
    case 0:
      text.Insert(at, "0");
      break;
    case 1:
      text.Insert(at, "+");
      break;
    case 2:
    case 3: {  // one more or one less
      std::uint64_t value = 0;
      std::from_chars(number.data(), number.data() + number.size(), value);
      value += random.OneIn(2) ? 1 : ~std::uint64_t{0};
      char digits[20];
      const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
      text.Replace(at, number.size(), {digits, static_cast<std::size_t>(end - digits)});
      break;
    }
    default:
      text.Replace(at, number.size(), kNumbers[random.Below(std::size(kNumbers))]);
      break;
  }
}

void MutateOnce(const TextGrammar& grammar, Random& random, TextBuffer& text) {
  const std::size_t at = random.Below(text.size() + 1);
  const std::size_t left = text.size() - at;
  const std::size_t part = std::min<std::size_t>(left, 1 + random.Below(random.OneIn(4) ? 16 : 4));
  const char symbol = random.OneIn(8) ? static_cast<char>(random.Below(256))
                                      : grammar.alphabet[random.Below(grammar.alphabet.size())];
  switch (random.Below(12)) {
    case 0:
    case 1:
      text.Set(at, symbol);
      break;
    case 2:
      text.Insert(at, {&symbol, 1});
      break;
    case 3:
      text.Erase(at, part);
      break;
    case 4:  // repeats a part at another place
      text.Insert(random.Below(text.size() + 1), text.view().substr(at, part));
      break;
    case 5:  // swaps a byte with one at another place
      if (left > 0) {
        const std::size_t other = random.Below(text.size());
        const char moved = text.view()[other];
        text.Set(other, text.view()[at]);
        text.Set(at, moved);
      }
      break;
    case 6:
      if (!grammar.pieces.empty()) {
        const std::string_view piece = grammar.pieces[random.Below(grammar.pieces.size())];
        text.Replace(at, random.OneIn(2) ? 0 : std::min(left, piece.size()), piece);
      }
      break;
    case 7:
    case 8:
    case 9:
      MutateNumber(random, text);
      break;
    case 10:
      if (left > 0) {
        const int changed = random.OneIn(2) ? 0x20 : 1 << random.Below(8);
        text.Set(at, static_cast<char>(text.view()[at] ^ changed));
      }
      break;
    default:
      text.MutateByEngine(at);
      break;
  }
}

}  // namespace

void TextBuffer::AppendNumber(std::uint64_t number) {
  char digits[20];
  const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
  Append({digits, static_cast<std::size_t>(end - digits)});
}

void TextBuffer::Insert(std::size_t at, std::string_view text) {
  const std::size_t room = max_size_ - size_;
  text = text.substr(0, room);
  if (text.empty()) return;
  // `text` may lie in this buffer and be moved, so it is copied.
  char copy[64];
  std::string long_copy;
  if (text.size() <= sizeof copy) {
    std::memcpy(copy, text.data(), text.size());
    text = {copy, text.size()};
  } else {
    long_copy = text;
    text = long_copy;
  }
  std::memmove(data_ + at + text.size(), data_ + at, size_ - at);
  std::memcpy(data_ + at, text.data(), text.size());
  size_ += text.size();
}

void TextBuffer::Erase(std::size_t at, std::size_t count) {
  count = std::min(count, size_ - at);
  if (count == 0) return;
  std::memmove(data_ + at, data_ + at + count, size_ - at - count);
  size_ -= count;
}

void TextBuffer::MutateByEngine(std::size_t at) {
  if (LLVMFuzzerMutate == nullptr || at == max_size_) return;
  size_ = at +
          LLVMFuzzerMutate(reinterpret_cast<std::uint8_t*>(data_ + at), size_ - at, max_size_ - at);
}

std::size_t MutateText(const TextGrammar& grammar, std::uint8_t* data, std::size_t size,
                       std::size_t max_size, unsigned int seed) {
  Random random(seed);
  const bool minimising = size > max_size;
  if (minimising) {
    size = CutToFit(random, data, size, max_size);
    if (!random.OneIn(4)) return size;
  }
  TextBuffer text(data, size, max_size);
  if (!minimising && (text.size() == 0 || random.OneIn(8))) {
    text.Clear();
    grammar.generate(random, text);
    if (text.size() != 0 && random.OneIn(2)) return text.size();
  }
  for (std::size_t edits = random.OneIn(2) ? 1 : 1 + random.Below(4); edits > 0; --edits) {
    MutateOnce(grammar, random, text);
  }
  if (text.size() == 0) text.Append(grammar.alphabet[random.Below(grammar.alphabet.size())]);
  return text.size();
}

std::size_t CrossOverText(std::string_view a, std::string_view b, std::uint8_t* out,
                          std::size_t max_out_size, unsigned int seed) {
  Random random(seed);
  TextBuffer text(out, 0, max_out_size);
  // The result is the head of one text and the tail of the other, or one text with a part of the
  // other inside.
  const std::size_t cut = random.Below(a.size() + 1);
  const std::size_t from = random.Below(b.size() + 1);
  text.Append(a.substr(0, cut));
  if (random.OneIn(2)) {
    text.Append(b.substr(from));
  } else {
    const std::size_t part = random.Below(b.size() - from + 1);
    text.Append(b.substr(from, part));
    text.Append(a.substr(random.OneIn(2) ? cut : std::min(a.size(), cut + part)));
  }
  if (text.size() == 0) text.Append(a.empty() ? b : a);
  return text.size();
}

void AppendIndex(Random& random, TextBuffer& text) {
  switch (random.Below(8)) {
    case 0:
      text.Append(kNumbers[random.Below(std::size(kNumbers))]);
      break;
    case 1:
      if (random.OneIn(2)) text.Append('+');
      for (std::size_t zeros = random.Below(12); zeros > 0; --zeros) text.Append('0');
      text.AppendNumber(random.Below(65536));
      break;
    case 2:
      text.AppendNumber(random.Below(131072));
      break;
    default:
      // Short numbers are as frequent as long ones.
      text.AppendNumber(random.Below(65536) >> random.Below(17));
      break;
  }
}

void AppendUuid(Random& random, TextBuffer& text) {
  const std::size_t form = random.Below(8);
  const bool upper = random.OneIn(8);
  if (form == 0) text.Append('{');
  if (form == 1) text.Append("urn:uuid:");
  for (int i = 0; i < 32; ++i) {
    if (form != 2 && (i == 8 || i == 12 || i == 16 || i == 20)) text.Append('-');
    text.Append((upper ? "0123456789ABCDEF" : "0123456789abcdef")[random.Below(16)]);
  }
  if (form == 0) text.Append('}');
}

}  // namespace ffgrant::fuzz
