// SPDX-License-Identifier: Apache-2.0
//
// Checks capability tokens (contract 6, 7.1): makes capability sets from two lists of tokens, those
// that an execution requires and those that a worker offers, and compares the sets with sets of
// strings.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <iterator>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ffgrant/claims/capabilities.h"
#include "harness/allocation_trap.h"
#include "harness/engine.h"
#include "harness/failure.h"
#include "harness/input_copies.h"
#include "harness/observations.h"
#include "harness/text_mutation.h"
#include "testing/naive/guarded_buffer.h"

namespace ffgrant::fuzz {
namespace {

using Tokens = std::vector<std::string_view>;

// Each line of an input is one token; a form feed separates the two lists. A token of three or more
// bytes that begins with `*` stands for 0 to 510 tokens: its next two bytes add up to the number of
// these tokens, and each of the tokens is the rest of the text with a number after it. For example,
// `*`, the bytes 1 and 2, and the rest `x` stand for x0, x1 and x2. In this way a few bytes reach
// the limits.
struct Lists {
  Tokens required;
  Tokens offered;
  std::deque<std::string> made;  // the views point into these texts, which a deque never moves
};

void Expand(std::string_view token, Lists& lists, Tokens& into) {
  std::size_t count = 1;
  std::string_view stem = token;
  if (token.size() > 2 && token[0] == '*') {
    count = static_cast<std::uint8_t>(token[1]) + std::size_t{static_cast<std::uint8_t>(token[2])};
    stem = token.substr(3);
  }
  for (std::size_t i = 0; i < count; ++i) {
    std::string text(stem);
    if (stem.size() != token.size()) text += std::to_string(i);
    into.push_back(lists.made.emplace_back(text));
  }
}

Lists ReadLists(std::string_view input) {
  Lists lists;
  Tokens* into = &lists.required;
  std::string token;
  bool any = false;
  const auto end_token = [&] {
    if (any) Expand(token, lists, *into);
    token.clear();
    any = false;
  };
  for (const char c : input) {
    if (c == '\f') {
      end_token();
      into = &lists.offered;
    } else if (c == '\n') {
      any = true;
      end_token();
    } else {
      any = true;
      token += c;
    }
  }
  end_token();
  return lists;
}

std::string Joined(const Tokens& tokens) {
  std::string csv;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (i > 0) csv += ',';
    csv += tokens[i];
  }
  return csv;
}

// Splits the text and drops empty tokens.
std::vector<std::string> Split(const std::string& csv) {
  std::vector<std::string> tokens;
  std::string token;
  for (const char c : csv + ",") {
    if (c != ',') {
      token += c;
    } else if (!token.empty()) {
      tokens.push_back(token);
      token.clear();
    }
  }
  return tokens;
}

std::string SortedCsv(const std::set<std::string>& tokens) {
  std::string csv;
  for (const std::string& token : tokens) csv += (csv.empty() ? "" : ",") + token;
  return csv;
}

struct NaiveSet {
  CapabilityError error = CapabilityError::kNone;
  std::set<std::string> tokens;
};

NaiveSet NaiveOffered(const Tokens& list) {
  NaiveSet set;
  const std::string csv = Joined(list);
  const std::vector<std::string> tokens = Split(csv);
  if (csv.size() > 4096) {
    set.error = CapabilityError::kTooManyBytes;
  } else if (tokens.size() > 256) {
    set.error = CapabilityError::kTooManyTokens;
  } else {
    set.tokens.insert(tokens.begin(), tokens.end());
  }
  return set;
}

NaiveSet NaiveRequired(const Tokens& list) {
  NaiveSet set;
  for (const std::string_view token : list) {
    bool comma = false;
    bool control = false;
    for (const char c : token) {
      const int byte = static_cast<std::uint8_t>(c);
      comma = comma || byte == ',';
      control = control || byte <= 32 || byte == 127;
    }
    if (token.empty()) set.error = CapabilityError::kEmptyToken;
    if (control) set.error = CapabilityError::kControlOrWhitespace;
    if (comma) set.error = CapabilityError::kCommaInToken;
    if (set.error != CapabilityError::kNone) return set;
  }
  if (list.size() > 256) {
    set.error = CapabilityError::kTooManyTokens;
  } else if (Joined(list).size() > 4096) {
    set.error = CapabilityError::kTooManyBytes;
  } else {
    set.tokens.insert(list.begin(), list.end());
  }
  return set;
}

std::string_view Word(CapabilityError error) {
  constexpr std::string_view kWords[] = {"",
                                         "empty_token",
                                         "comma_in_token",
                                         "control_or_whitespace",
                                         "too_many_tokens",
                                         "too_many_bytes"};
  return kWords[static_cast<std::size_t>(error)];
}

void CheckSet(std::string_view what, std::string_view input, const NaiveSet& expected,
              CapabilityError error, const CapabilitySet& got) {
  const std::string csv = SortedCsv(expected.tokens);
  if (error != expected.error || got.csv() != csv || got.empty() != csv.empty()) {
    Fail(what, input, std::string(Word(expected.error)) + " " + Quoted(csv),
         std::string(Word(error)) + " " + Quoted(got.csv()));
  }
  const std::string word(Word(error));
  if (RequiredDetail(error) != (word.empty() ? "" : "required:" + word) ||
      WorkerDetail(error) != (word.empty() ? "" : "worker:" + word)) {
    Fail("detail", input, word, RequiredDetail(error));
  }
  Observe(got.csv());
  Observe(static_cast<std::uint64_t>(error));
}

void CheckMatch(std::string_view input, const NaiveSet& required, const NaiveSet& offered,
                const CapabilitySet& want, const CapabilitySet& have) {
  std::set<std::string> missing;
  for (const std::string& token : required.tokens) {
    if (offered.tokens.count(token) == 0) missing.insert(token);
  }
  const bool satisfied = WithoutAllocation(
      input, [&]() noexcept { return CapabilitiesSatisfied(want.csv(), have.csv()); });
  if (satisfied != missing.empty()) Fail("satisfied", input, SortedCsv(missing));
  // The buffer has exactly the room that the writer asks for.
  static thread_local testing::GuardedBuffer buffer(kMaxCapabilityCsvSize);
  const std::span<char> out = buffer.LastBytes(want.csv().size());
  const std::size_t size = WithoutAllocation(
      input, [&]() noexcept { return MissingCapabilities(want.csv(), have.csv(), out); });
  const std::string_view got(out.data(), size);
  if (got != SortedCsv(missing)) Fail("missing", input, SortedCsv(missing), got);
  Observe(got);
}

constexpr std::string_view kPieces[] = {
    "\f", "\n",   "gpu",  "cuda", "cuda,gpu",   "gpu\n",      "\n\f",       ",",
    " ",  "\x7F", "\x20", "\x21", "*\x80\x80g", "*\xFF\x02g", "*\x80\x7Fg", "\xC3\xA4"};

void AppendTokens(Random& random, TextBuffer& text) {
  for (std::size_t count = random.Below(5); count > 0; --count) {
    switch (random.Below(12)) {
      case 0: {  // 255 to 257 tokens, or up to 510, which may need more than 4096 bytes
        text.Append('*');
        const std::size_t many = random.OneIn(2) ? 255 + random.Below(3) : random.Below(511);
        text.Append(static_cast<char>(many / 2));
        text.Append(static_cast<char>(many - many / 2));
        for (std::size_t stem = random.Below(16); stem > 0; --stem) text.Append('s');
        break;
      }
      case 1:
        text.Append(kPieces[random.Below(std::size(kPieces))]);
        break;
      default:
        // There are few different tokens, so that the lists share some.
        for (std::size_t size = 1 + random.Below(3); size > 0; --size) {
          text.Append(static_cast<char>('a' + random.Below(3)));
        }
        break;
    }
    text.Append('\n');
  }
}

// Appends tokens whose joined size is exactly `bytes`.
void AppendBytes(Random& random, TextBuffer& text, std::size_t bytes) {
  while (bytes > 0) {
    const std::size_t size = bytes < 90 ? bytes : 40 + random.Below(40);
    for (std::size_t i = 0; i < size; ++i) text.Append(static_cast<char>('a' + random.Below(26)));
    text.Append('\n');
    bytes -= size;
    if (bytes > 0) --bytes;  // this byte is the comma
  }
}

void Generate(Random& random, TextBuffer& text) {
  for (const bool offered : {false, true}) {
    if (offered) text.Append('\f');
    if (random.OneIn(32)) {
      AppendBytes(random, text, 4094 + random.Below(5));
    } else {
      AppendTokens(random, text);
    }
  }
}

constexpr TextGrammar kGrammar = {Generate, kPieces, "abc,\n\f \x1F\x20\x21\x7E\x7F\x80*"};

}  // namespace
}  // namespace ffgrant::fuzz

using namespace ffgrant;
using namespace ffgrant::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const InputCopies copies(data, size);
  const std::string_view input = copies.exact();
  const Lists lists = ReadLists(input);
  const NaiveSet required = NaiveRequired(lists.required);
  const NaiveSet offered = NaiveOffered(lists.offered);
  static thread_local CapabilitySet want;
  static thread_local CapabilitySet have;

  CapabilityError error =
      WithoutAllocation(input, [&]() noexcept { return want.AssignRequired(lists.required); });
  CheckSet("required", input, required, error, want);
  error = WithoutAllocation(input, [&]() noexcept { return have.AssignOffered(lists.offered); });
  CheckSet("offered", input, offered, error, have);
  CheckMatch(input, required, offered, want, have);

  // Passes what the worker offers as one text: first the same tokens, joined, and then the raw
  // input.
  error = have.AssignOfferedCsv(Joined(lists.offered));
  CheckSet("offered as text", input, offered, error, have);
  error = WithoutAllocation(input,
                            [&]() noexcept { return have.AssignOfferedCsv(copies.at_page_end()); });
  CheckSet("any text offered", input, NaiveOffered({input}), error, have);
  return 0;
}

FFGRANT_FUZZ_TEXT_MUTATORS(kGrammar)
