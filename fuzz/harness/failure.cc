// SPDX-License-Identifier: Apache-2.0

#include "harness/failure.h"

#include <cstddef>
#include <cstdio>
#include <cstdlib>

namespace ffgrant::fuzz {
namespace {

constexpr std::size_t kShown = 400;

void PrintLine(std::string_view label, std::string_view text) {
  std::fprintf(stderr, "%.*s%.*s\n", static_cast<int>(label.size()), label.data(),
               static_cast<int>(text.size()), text.data());
}

}  // namespace

void Fail(std::string_view what, std::string_view input, std::string_view expected,
          std::string_view got) {
  PrintLine("FINDING: ", what);
  PrintLine("  input:    ", Quoted(input));
  if (!expected.empty()) PrintLine("  expected: ", expected);
  if (!got.empty()) PrintLine("  got:      ", got);
  std::abort();
}

std::string Quoted(std::string_view bytes) {
  std::string text = "\"";
  for (const char c : bytes.substr(0, kShown)) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      text += '\\';
      text += c;
    } else if (byte >= 0x20 && byte < 0x7F) {
      text += c;
    } else {
      char escape[8];
      // Three octal digits always end an escape, but \x would include hex digits that follow.
      std::snprintf(escape, sizeof escape, "\\%03o", byte);
      text += escape;
    }
  }
  text += '"';
  if (bytes.size() > kShown) text += "... (" + std::to_string(bytes.size()) + " bytes)";
  return text;
}

}  // namespace ffgrant::fuzz
