// SPDX-License-Identifier: Apache-2.0
//
// run_vectors FILE.jsonl...: runs conformance vectors through ffgrant::core. Every line that is not
// blank must pass. A file that can't be read, or that has no vector, is a failure too.

#include <simdjson.h>

#include <cstddef>
#include <cstdio>
#include <fstream>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "testing/vectors/vector_case.h"
#include "testing/vectors/vector_kinds.h"

namespace ffgrant::conformance {
namespace {

constexpr std::size_t kShownFailures = 10;  // for each kind
constexpr std::size_t kShownBytes = 400;    // for each text

// Returns the text in printable form on one line, cut if it is long.
std::string Shown(std::string_view text) {
  std::string shown;
  for (const char c : text.substr(0, kShownBytes)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte >= 0x7F || c == '\\') {
      char escaped[5];
      std::snprintf(escaped, sizeof escaped, "\\x%02x", static_cast<unsigned>(byte));
      shown += escaped;
    } else {
      shown += c;
    }
  }
  if (text.size() > kShownBytes) {
    shown += "... (" + std::to_string(text.size()) + " bytes)";
  }
  return shown;
}

struct Tally {
  std::size_t passed = 0;
  std::size_t failed = 0;
  std::string failures;
};

class Runner {
 public:
  void RunFile(const std::string& path);
  // Prints failures, the table and the total. Returns true if a vector passed and nothing failed.
  bool Report() const;

 private:
  void Count(std::string_view kind, const std::string& place, std::string_view input,
             const Case& result);
  void Unreadable(const std::string& path, std::string_view expected, std::string_view got);

  simdjson::dom::parser parser_;
  std::map<std::string, Tally, std::less<>> tallies_;
};

void Runner::RunFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    Unreadable(path, "a readable file", "none");
    return;
  }
  std::string line;
  std::size_t number = 0;
  std::size_t vectors = 0;
  while (std::getline(file, line)) {
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    ++vectors;
    const Outcome outcome = CheckVector(line, parser_);
    Count(outcome.kind, path + ":" + std::to_string(number), line, outcome.result);
  }
  if (file.bad() || vectors == 0) {
    Unreadable(path, "a file of vectors", file.bad() ? "a read error" : "no vector");
  }
}

void Runner::Count(std::string_view kind, const std::string& place, std::string_view input,
                   const Case& result) {
  Tally& tally = tallies_[std::string(kind)];
  if (result.passed()) {
    ++tally.passed;
    return;
  }
  if (tally.failed++ >= kShownFailures) return;
  tally.failures += place + ": " + std::string(kind) + "\n  vector:   " + Shown(input) + "\n";
  for (const Difference& difference : result.differences()) {
    tally.failures += "  " + Shown(difference.what) +
                      "\n    expected: " + Shown(difference.expected) +
                      "\n    got:      " + Shown(difference.got) + "\n";
  }
}

void Runner::Unreadable(const std::string& path, std::string_view expected, std::string_view got) {
  Case result;
  result.Fail("file", expected, got);
  Count(kNoKind, path, "", result);
}

bool Runner::Report() const {
  std::size_t passed = 0;
  std::size_t failed = 0;
  for (const auto& [kind, tally] : tallies_) {
    std::fputs(tally.failures.c_str(), stdout);
    if (tally.failed > kShownFailures) {
      std::printf("... and %zu more failures of %s\n", tally.failed - kShownFailures, kind.c_str());
    }
    passed += tally.passed;
    failed += tally.failed;
  }
  std::printf("%-18s %9s %9s\n", "kind", "passed", "failed");
  for (const auto& [kind, tally] : tallies_) {
    std::printf("%-18s %9zu %9zu\n", kind.c_str(), tally.passed, tally.failed);
  }
  std::printf("%zu passed, %zu failed\n", passed, failed);
  return passed != 0 && failed == 0;
}

}  // namespace
}  // namespace ffgrant::conformance

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: %s FILE.jsonl...\n", argv[0]);
    return 2;
  }
  ffgrant::conformance::Runner runner;
  for (int i = 1; i < argc; ++i) {
    runner.RunFile(argv[i]);
  }
  return runner.Report() ? 0 : 1;
}
