// SPDX-License-Identifier: Apache-2.0
//
// Test only: makes texts that are almost right.

#ifndef FFGRANT_TESTING_NAIVE_MUTATE_H_
#define FFGRANT_TESTING_NAIVE_MUTATE_H_

#include <cstddef>
#include <random>
#include <string>
#include <string_view>

namespace ffgrant::testing {

// Calls `visit` with every text that one edit makes from `text`: deleting a byte, replacing a byte
// by any of the 256 values, or inserting a byte of any value. A byte is also replaced by itself, so
// `text` comes too unless it is empty.
template <class Visit>
void ForEachSingleByteEdit(std::string_view text, Visit visit) {
  for (std::size_t i = 0; i <= text.size(); ++i) {
    std::string edited(text);
    for (int value = 0; value < 256; ++value) {
      if (i < text.size()) {
        edited[i] = static_cast<char>(value);
        visit(edited);
      }
      std::string longer(text);
      longer.insert(i, 1, static_cast<char>(value));
      visit(longer);
    }
    if (i < text.size()) {
      visit(std::string(text).erase(i, 1));
    }
  }
}

// Calls `visit` with every string of up to `max_size` symbols of `alphabet`.
template <class Visit>
void ForEachString(std::string_view alphabet, std::size_t max_size, Visit visit,
                   std::string prefix = {}) {
  visit(prefix);
  if (prefix.size() == max_size) return;
  for (const char symbol : alphabet) {
    ForEachString(alphabet, max_size, visit, prefix + symbol);
  }
}

// Makes up to five edits: a byte is changed or inserted, one or two bytes are deleted, or a piece
// is doubled or cut. Half of the changed and inserted bytes come from `dictionary`.
inline std::string Mutated(std::string text, std::string_view dictionary, std::mt19937_64& random) {
  const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
  for (std::size_t edits = 1 + below(5); edits > 0; --edits) {
    const std::size_t at = below(text.size() + 1);
    const std::size_t piece = below(text.size() - at + 1);
    const char byte =
        below(2) == 0 ? dictionary[below(dictionary.size())] : static_cast<char>(below(256));
    switch (below(5)) {
      case 0:
        if (at < text.size()) text[at] = byte;
        break;
      case 1:
        text.insert(at, 1, byte);
        break;
      case 2:
        text.erase(at, 1 + below(2));
        break;
      case 3:
        text.insert(at, text.substr(at, piece));
        break;
      default:
        text.erase(at, below(piece + 1));
        break;
    }
  }
  return text;
}

}  // namespace ffgrant::testing

#endif  // FFGRANT_TESTING_NAIVE_MUTATE_H_
