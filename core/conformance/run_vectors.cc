// SPDX-License-Identifier: Apache-2.0
//
// run_vectors FILE.jsonl...: runs conformance vectors through ffgrant::core.
// Every line of every file must pass; what can't be read is a failure too.

#include <simdjson.h>

#include <cstddef>
#include <cstdio>
#include <fstream>
#include <map>
#include <string>
#include <string_view>

#include "conformance/vector_case.h"
#include "conformance/vector_kinds.h"

namespace ffgrant::conformance {
namespace {

constexpr std::size_t kShownFailures = 10;  // a kind
constexpr std::size_t kShownBytes = 400;    // of a text
constexpr std::string_view kNoKind = "(not a vector)";

// Printable on one line, cut where it gets long.
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
  // Prints failures, table and total. True if there were vectors and all
  // passed.
  bool Report() const;

 private:
  void RunLine(const std::string& place, const std::string& line);
  void Count(std::string_view kind, const std::string& place, std::string_view input,
             const Case& result);
  void Broken(const std::string& place, std::string_view input, std::string_view expected,
              std::string_view got);

  simdjson::dom::parser parser_;
  std::map<std::string, Tally, std::less<>> tallies_;
};

void Runner::RunFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    Broken(path, "", "a readable file", "none");
    return;
  }
  std::string line;
  std::size_t number = 0;
  std::size_t vectors = 0;
  while (std::getline(file, line)) {
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    ++vectors;
    RunLine(path + ":" + std::to_string(number), line);
  }
  if (file.bad() || vectors == 0) {
    Broken(path, "", "a file of vectors", file.bad() ? "a read error" : "no vector");
  }
}

void Runner::RunLine(const std::string& place, const std::string& line) {
  simdjson::dom::element document;
  const simdjson::error_code error = parser_.parse(line).get(document);
  std::string_view name;
  if (error != simdjson::SUCCESS) {
    Broken(place, line, "a line of JSON", simdjson::error_message(error));
    return;
  }
  if (document["kind"].get(name) != simdjson::SUCCESS) {
    Broken(place, line, "an object with a member `kind`", "none");
    return;
  }
  const VectorKind* kind = FindVectorKind(name);
  if (kind == nullptr) {
    Broken(place, line, "a known kind", name);
    return;
  }
  Case result;
  {
    Object vector(document, "", result);
    vector.Text("kind");
    kind->check(vector, result);
  }
  Count(kind->name, place, line, result);
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

void Runner::Broken(const std::string& place, std::string_view input, std::string_view expected,
                    std::string_view got) {
  Case result;
  result.Fail("line", expected, got);
  Count(kNoKind, place, input, result);
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
