// SPDX-License-Identifier: Apache-2.0
//
// Test only: parses the index grammar (contract 1.1) character by character.

#ifndef FFGRANT_TESTING_NAIVE_NAIVE_INDEX_H_
#define FFGRANT_TESTING_NAIVE_NAIVE_INDEX_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ffgrant::testing {

struct NaiveIndex {
  bool valid = false;
  std::uint16_t value = 0;
  // The offset of the first byte that is wrong at its place; the text's size if the text ends too
  // early; 0 if the text is valid.
  std::size_t offset = 0;
  bool plus_sign = false;
  bool leading_zero = false;
};

inline NaiveIndex NaiveParseIndex(std::string_view text) {
  NaiveIndex index;
  std::size_t i = 0;
  if (!text.empty() && text[0] == '+') {
    index.plus_sign = true;
    i = 1;
  }
  const std::size_t first_digit = i;
  std::uint32_t value = 0;
  for (; i < text.size(); ++i) {
    if (text[i] < '0' || text[i] > '9') {
      index.offset = i;
      return index;
    }
    value = value * 10 + static_cast<std::uint32_t>(text[i] - '0');
    if (value > 65535) {
      index.offset = i;
      return index;
    }
  }
  if (i == first_digit) {
    index.offset = text.size();
    return index;
  }
  index.valid = true;
  index.value = static_cast<std::uint16_t>(value);
  index.leading_zero = text.size() - first_digit > 1 && text[first_digit] == '0';
  return index;
}

}  // namespace ffgrant::testing

#endif  // FFGRANT_TESTING_NAIVE_NAIVE_INDEX_H_
