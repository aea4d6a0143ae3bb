// SPDX-License-Identifier: Apache-2.0
//
// Runs a target on files, without an engine and with any compiler. Every input runs twice, the
// second time in the opposite order, and both runs must observe the same (observations.h). With
// --explore or --executions, the program also mutates inputs. It is much weaker than an engine at
// this, but works with every compiler.

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "harness/callback_check.h"
#include "harness/engine.h"
#include "harness/finding_file.h"
#include "harness/observations.h"
#include "harness/random.h"

namespace {

namespace fs = std::filesystem;
using Bytes = std::vector<std::uint8_t>;
using ffgrant::fuzz::Random;

constexpr std::size_t kMaxSize = 4096;  // the largest input that --explore makes

const char kUsage[] =
    "usage: %s [--explore SECONDS | --executions N] [--seed N] [--finding FILE] [PATH...]\n"
    "       %s --callbacks\n"
    "\n"
    "Runs the target on each file, and on each file below each folder, twice.\n"
    "  --explore SECONDS  then mutates what it was given for so long\n"
    "  --executions N     or so often: the same inputs for the same seed and files\n"
    "  --seed N           of the mutations (1)\n"
    "  --finding FILE     write the input of a finding there; no file without one\n"
    "  --callbacks        checks the target's mutator and crossover, and runs no input\n"
    "Exit status: 0; 1 the two runs differ, or a folder holds no file; 2 usage.\n"
    "A finding aborts.\n";

struct Input {
  std::string name;
  Bytes bytes;
  std::uint64_t seen = 0;
};

std::uint64_t Run(const std::uint8_t* data, std::size_t size) {
  ffgrant::fuzz::finding_file.Begin(data, size);
  ffgrant::fuzz::StartObserving();
  LLVMFuzzerTestOneInput(data, size);
  ffgrant::fuzz::finding_file.End();
  return ffgrant::fuzz::observations;
}

std::uint64_t Run(const Bytes& bytes) {
  // As with engines, an input of size 0 has a pointer that is not null.
  static const std::uint8_t kNothing = 0;
  return Run(bytes.empty() ? &kNothing : bytes.data(), bytes.size());
}

bool Read(const fs::path& path, std::vector<Input>& inputs) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    std::fprintf(stderr, "%s: can't be read\n", path.c_str());
    return false;
  }
  inputs.push_back({path.string(), Bytes(std::istreambuf_iterator<char>(file), {})});
  return true;
}

// Every folder that the command line names must have an input: a missing corpus must not look like
// a passed test.
bool ReadAll(const fs::path& path, std::vector<Input>& inputs) {
  std::error_code error;
  if (!fs::is_directory(path, error)) return Read(path, inputs);
  std::vector<fs::path> files;
  for (fs::recursive_directory_iterator at(path, error), end; !error && at != end;
       at.increment(error)) {
    if (at->is_regular_file() && at->path().filename().string().front() != '.') {
      files.push_back(at->path());
    }
  }
  if (error || files.empty()) {
    std::fprintf(stderr, "%s: %s\n", path.c_str(), error ? error.message().c_str() : "no inputs");
    return false;
  }
  std::sort(files.begin(), files.end());
  return std::all_of(files.begin(), files.end(),
                     [&](const fs::path& file) { return Read(file, inputs); });
}

bool RunTwice(std::vector<Input>& inputs) {
  for (Input& input : inputs) input.seen = Run(input.bytes);
  int differences = 0;
  for (auto input = inputs.rbegin(); input != inputs.rend(); ++input) {
    if (Run(input->bytes) == input->seen) continue;
    ++differences;
    std::fprintf(stderr, "%s: does not do the same twice\n", input->name.c_str());
  }
  return differences == 0;
}

// The inputs to mutate: the corpus and mutants of mutants. Chance decides which mutants are kept,
// since no coverage says which are worth it.
class Pool {
 public:
  explicit Pool(const std::vector<Input>& inputs) {
    for (const Input& input : inputs) {
      all_.push_back(input.bytes);
      if (all_.back().size() > kMaxSize) all_.back().resize(kMaxSize);
    }
    if (all_.empty()) all_.emplace_back();
    kept_from_ = all_.size();
  }

  const Bytes& Any(Random& random) const { return all_[random.Below(all_.size())]; }
  void Keep(Random& random, const std::uint8_t* data, std::size_t size) {
    if (all_.size() < kept_from_ + kKept) {
      all_.emplace_back(data, data + size);
    } else {
      all_[kept_from_ + random.Below(kKept)].assign(data, data + size);
    }
  }

 private:
  static constexpr std::size_t kKept = 1024;

  std::vector<Bytes> all_;
  std::size_t kept_from_;
};

// Writes into `buffer` an input made from one or two inputs of the pool, and returns its size.
std::size_t Mutate(const Pool& pool, Random& random, Bytes& buffer) {
  const Bytes& parent = pool.Any(random);
  std::size_t size = parent.size();
  if (random.OneIn(8)) {
    const Bytes& other = pool.Any(random);
    size = LLVMFuzzerCustomCrossOver(parent.data(), parent.size(), other.data(), other.size(),
                                     buffer.data(), kMaxSize,
                                     static_cast<unsigned int>(random.Next()));
  } else {
    std::copy(parent.begin(), parent.end(), buffer.begin());
  }
  return LLVMFuzzerCustomMutator(buffer.data(), size, kMaxSize,
                                 static_cast<unsigned int>(random.Next()));
}

// Explores for `seconds` or, if `wanted` is not 0, until that many inputs have been made.
void Explore(const std::vector<Input>& inputs, double seconds, std::uint64_t wanted,
             std::uint64_t seed) {
  using Clock = std::chrono::steady_clock;
  Random random(seed);
  const auto start = Clock::now();
  const std::clock_t own_start = std::clock();
  Pool pool(inputs);
  std::uint64_t executions = 0;
  double passed = 0;
  Bytes buffer(kMaxSize);
  do {
    for (int i = 0; i < 256 && (wanted == 0 || executions < wanted); ++i, ++executions) {
      const std::size_t size = Mutate(pool, random, buffer);
      Run(buffer.data(), size);
      if (random.OneIn(64)) pool.Keep(random, buffer.data(), size);
    }
    passed = std::chrono::duration<double>(Clock::now() - start).count();
  } while (wanted == 0 ? passed < seconds : executions < wanted);
  // If other programs use part of the machine, the process's own CPU time tells more.
  const double own = static_cast<double>(std::clock() - own_start) / CLOCKS_PER_SEC;
  std::printf("explored: %llu executions, %.0f a second, in %.2f s; %.2f s of processor time\n",
              static_cast<unsigned long long>(executions), static_cast<double>(executions) / passed,
              passed, own);
}

}  // namespace

int main(int argc, char** argv) {
  double explore = 0;
  std::uint64_t executions = 0;
  std::uint64_t seed = 1;
  std::vector<Input> inputs;
  if (argc == 2 && std::string_view(argv[1]) == "--callbacks") {
    std::printf("%zu calls of the mutator and the crossover\n", ffgrant::fuzz::CheckCallbacks());
    return 0;
  }
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    const bool has_value = i + 1 < argc;
    if (argument == "--explore" && has_value) {
      explore = std::strtod(argv[++i], nullptr);
    } else if (argument == "--executions" && has_value) {
      executions = std::strtoull(argv[++i], nullptr, 10);
    } else if (argument == "--finding" && has_value) {
      if (!ffgrant::fuzz::finding_file.Open(argv[++i])) return 2;
    } else if (argument == "--seed" && has_value) {
      seed = std::strtoull(argv[++i], nullptr, 10);
    } else if (argument.substr(0, 1) == "-") {
      std::fprintf(stderr, kUsage, argv[0], argv[0]);
      return 2;
    } else if (!ReadAll(argument, inputs)) {
      return 1;
    }
  }
  if (inputs.empty() && explore == 0 && executions == 0) {
    std::fprintf(stderr, kUsage, argv[0], argv[0]);
    return 2;
  }
  if (!RunTwice(inputs)) return 1;
  std::printf("%zu inputs, run twice, the same each time\n", inputs.size());
  if (explore > 0 || executions > 0) Explore(inputs, explore, executions, seed);
  if (FfgrantFuzzReport != nullptr) FfgrantFuzzReport();
  return 0;
}
