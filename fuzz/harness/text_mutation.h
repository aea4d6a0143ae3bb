// SPDX-License-Identifier: Apache-2.0
//
// Mutates texts with a little knowledge of their grammar. Numbers are moved to their limits, words
// of the language are put in, parts are swapped and repeated. Now and then a well-formed text is
// written from nothing, so an empty corpus is no handicap.

#ifndef FFGRANT_FUZZ_HARNESS_TEXT_MUTATION_H_
#define FFGRANT_FUZZ_HARNESS_TEXT_MUTATION_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "harness/engine.h"
#include "harness/random.h"

namespace ffgrant::fuzz {

// A text in a buffer of fixed size. The buffer is never smaller than the text: whatever would not
// fit is left out.
class TextBuffer {
 public:
  TextBuffer(std::uint8_t* data, std::size_t size, std::size_t max_size)
      : data_(reinterpret_cast<char*>(data)), size_(size), max_size_(max_size) {}

  std::string_view view() const { return {data_, size_}; }
  std::size_t size() const { return size_; }
  // Does nothing if there is no byte at `at`, for example because the byte did not fit.
  void Set(std::size_t at, char c) {
    if (at < size_) data_[at] = c;
  }

  void Clear() { size_ = 0; }
  void Append(std::string_view text) { Insert(size_, text); }
  void Append(char c) { Append(std::string_view(&c, 1)); }
  void AppendNumber(std::uint64_t number);
  // `text` may lie in this buffer. `at` must be <= size().
  void Insert(std::size_t at, std::string_view text);
  void Erase(std::size_t at, std::size_t count);
  void Replace(std::size_t at, std::size_t count, std::string_view text) {
    Erase(at, count);
    Insert(at, text);
  }
  // Lets the engine mutate the text from `at` on.
  void MutateByEngine(std::size_t at);

 private:
  char* data_;
  std::size_t size_;
  std::size_t max_size_;
};

struct TextGrammar {
  // Appends a well-formed text, or one that is nearly so.
  void (*generate)(Random& random, TextBuffer& text);
  // Words of the language, and words that are easily confused with them.
  std::span<const std::string_view> pieces;
  // Bytes that have a meaning in the language.
  std::string_view alphabet;
};

// These two functions implement LLVMFuzzerCustomMutator and LLVMFuzzerCustomCrossOver, whose
// contract is in engine.h.
std::size_t MutateText(const TextGrammar& grammar, std::uint8_t* data, std::size_t size,
                       std::size_t max_size, unsigned int seed);
std::size_t CrossOverText(std::string_view a, std::string_view b, std::uint8_t* out,
                          std::size_t max_out_size, unsigned int seed);

// Defines both callbacks for a target whose input is a text of this grammar.
#define FFGRANT_FUZZ_TEXT_MUTATORS(grammar)                                                       \
  extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,            \
                                                 std::size_t max_size, unsigned int seed) {       \
    return ::ffgrant::fuzz::MutateText(grammar, data, size, max_size, seed);                      \
  }                                                                                               \
  extern "C" std::size_t LLVMFuzzerCustomCrossOver(                                               \
      const std::uint8_t* data1, std::size_t size1, const std::uint8_t* data2, std::size_t size2, \
      std::uint8_t* out, std::size_t max_out_size, unsigned int seed) {                           \
    return ::ffgrant::fuzz::CrossOverText({reinterpret_cast<const char*>(data1), size1},          \
                                          {reinterpret_cast<const char*>(data2), size2}, out,     \
                                          max_out_size, seed);                                    \
  }

// The parts below are shared by several grammars.
// Appends an index: mostly the digits of a number below 65536, sometimes with a plus sign or zeros
// before them, sometimes a number at a limit or beyond it.
void AppendIndex(Random& random, TextBuffer& text);
// Appends a uuid in one of the four forms, mostly the canonical one.
void AppendUuid(Random& random, TextBuffer& text);

}  // namespace ffgrant::fuzz

#endif  // FFGRANT_FUZZ_HARNESS_TEXT_MUTATION_H_
