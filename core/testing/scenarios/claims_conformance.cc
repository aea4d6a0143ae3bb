// SPDX-License-Identifier: Apache-2.0
//
// claims_conformance --engine memory | --server ADDRESS [...]: runs every scenario that the engine
// can play, then random histories; with --filter only a part of them. The last line is "N passed, N
// failed". server_url.h says how ADDRESS and the password are read.

#include <getopt.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>

#include "ffgrant/valkey/server_url.h"
#include "testing/scenarios/differential.h"
#include "testing/scenarios/memory_engine.h"
#include "testing/scenarios/runner.h"
#include "testing/scenarios/server_engine.h"

namespace ffgrant::claims_conformance {
namespace {

constexpr int kFailed = 1;
constexpr int kWrongUsage = 2;
constexpr int kNoEngine = 3;

struct Options {
  std::string server;  // empty: the embedded ledger
  std::string store;   // where the stored keys are read and written; empty: the server
  bool use_loaded_library = false;
  std::string contract;  // what ff_version may answer; empty: what the client accepts
  // Only scenarios whose full name contains this text run. If the text is neither empty nor
  // "histories", no random histories run.
  std::string filter;
  std::uint64_t seed = 1;
  std::uint64_t histories = 20;
  std::uint64_t calls = 200;  // the calls of each history
  // Whether to print progress also where stdout is no terminal, for a program that runs this one.
  bool progress = false;
};

void Usage(std::FILE* to) {
  std::fputs(
      "usage: claims_conformance --engine memory | --server ADDRESS [--use-loaded-library]\n"
      "                          [--contract VERSION] [--store ADDRESS]\n"
      "                          [--filter TEXT] [--seed N] [--histories N] [--calls N]\n"
      "                          [--progress]\n",
      to);
}

class Program {
 public:
  explicit Program(const Options& options) : options_(options) {
    std::random_device device;
    char prefix[24];
    std::snprintf(prefix, sizeof prefix, "conf-%08x-", static_cast<unsigned>(device()));
    prefix_ = prefix;
  }

  int Go() {
    if (options_.server.empty()) {
      engine_ = std::make_unique<MemoryEngine>();
    } else if (!OpenServer()) {
      return kNoEngine;
    }
    std::printf("%s\n", engine_->description().c_str());
    RunScenarios();
    RunHistories();
    if (isatty(1) != 0) std::printf("\r\033[K");
    if (left_out_ > 0) {
      std::printf("%zu scenarios left out: they need %s\n", left_out_,
                  engine_->has_exact_time() ? "keys" : "a clock that stands still");
    }
    if (differences_ > 0) std::printf("%zu reviewed differences\n", differences_);
    std::printf("%zu passed, %zu failed\n", passed_, failed_);
    return failed_ == 0 && passed_ > 0 ? 0 : kFailed;
  }

 private:
  bool OpenServer() {
    valkey::ClientOptions where;
    std::string problem = valkey::SetServers(options_.server, where);
    if (problem.empty()) problem = valkey::SetPasswordFromEnvironment(where);
    if (problem.empty()) problem = valkey::SetTlsFromEnvironment(where);
    valkey::ClientOptions store = where;
    if (problem.empty() && !options_.store.empty()) {
      store.tls.enabled = false;
      problem = valkey::SetServers(options_.store, store);
    }
    if (problem.empty() && store.tls.enabled) {
      problem = "what is stored is read by a client without TLS: --store has to say where";
    }
    if (!problem.empty()) {
      std::fprintf(stderr, "claims_conformance: --server, --store: %s\n", problem.c_str());
      return false;
    }
    try {
      auto engine = std::make_unique<ServerEngine>(where, store, options_.use_loaded_library,
                                                   options_.contract);
      server_ = engine.get();
      engine_ = std::move(engine);
      return true;
    } catch (const std::runtime_error& error) {
      std::fprintf(stderr, "claims_conformance: %s: %s\n", options_.server.c_str(), error.what());
      return false;
    }
  }

  void RunScenarios() {
    const std::vector<Scenario> scenarios = AllScenarios();
    std::size_t number = 0;
    for (const Scenario& scenario : scenarios) {
      ++number;
      if (scenario.FullName().find(options_.filter) == std::string::npos) continue;
      Progress(number, scenarios.size(), scenario.FullName());
      const ScenarioResult result = RunScenario(*engine_, scenario, prefix_);
      left_out_ += result.left_out ? 1 : 0;
      differences_ += result.differences;
      if (!result.left_out) Count(scenario.FullName(), result.failures);
      CleanUp(result.executions);
    }
  }

  void RunHistories() {
    if (!options_.filter.empty() && options_.filter != "histories") return;
    for (std::uint64_t i = 0; i < options_.histories; ++i) {
      const std::uint64_t seed = options_.seed + i;
      const std::string name = "history of seed " + std::to_string(seed);
      Progress(i + 1, options_.histories, name);
      const DifferentialResult result = RunDifferential(*engine_, prefix_, seed, options_.calls);
      std::vector<std::string> failures;
      if (!result.problem.empty()) failures.push_back(result.problem);
      Count(name, failures);
      CleanUp(result.executions);
    }
  }

  void Count(const std::string& name, const std::vector<std::string>& failures) {
    if (failures.empty()) {
      ++passed_;
      return;
    }
    ++failed_;
    if (isatty(1) != 0) std::printf("\r\033[K");
    std::printf("FAILED %s\n", name.c_str());
    for (const std::string& failure : failures) std::printf("  %s\n", failure.c_str());
    std::fflush(stdout);
  }

  // Shows the progress: on a terminal in one line that is written again and again, elsewhere by
  // "progress 3/160 7.1 name" if progress lines are wanted.
  void Progress(std::size_t number, std::size_t of, const std::string& what) const {
    if (isatty(1) != 0) {
      std::printf("\r%zu/%zu %.60s\033[K", number, of, what.c_str());
    } else if (options_.progress) {
      std::printf("progress %zu/%zu %s\n", number, of, what.c_str());
    }
    std::fflush(stdout);
  }

  void CleanUp(const std::deque<Execution>& executions) {
    if (server_ == nullptr) return;
    try {
      server_->CleanUp(executions, prefix_);
    } catch (const std::runtime_error& error) {
      std::fprintf(stderr, "claims_conformance: cleaning up: %s\n", error.what());
    }
  }

  Options options_;
  std::string prefix_;
  std::unique_ptr<Engine> engine_;
  ServerEngine* server_ = nullptr;  // engine_ if it is a ServerEngine
  std::size_t passed_ = 0;
  std::size_t failed_ = 0;
  std::size_t left_out_ = 0;
  std::size_t differences_ = 0;
};

// Returns false for wrong usage.
bool Parse(int argc, char** argv, Options& options) {
  static const option kOptions[] = {{"engine", required_argument, nullptr, 'e'},
                                    {"server", required_argument, nullptr, 's'},
                                    {"store", required_argument, nullptr, 'k'},
                                    {"use-loaded-library", no_argument, nullptr, 'l'},
                                    {"contract", required_argument, nullptr, 'v'},
                                    {"filter", required_argument, nullptr, 'f'},
                                    {"seed", required_argument, nullptr, 'r'},
                                    {"histories", required_argument, nullptr, 'n'},
                                    {"calls", required_argument, nullptr, 'c'},
                                    {"progress", no_argument, nullptr, 'p'},
                                    {nullptr, 0, nullptr, 0}};
  bool memory = false;
  opterr = 0;  // the messages of getopt repeat the argument, which may hold a password
  for (int found = 0; (found = getopt_long(argc, argv, "", kOptions, nullptr)) != -1;) {
    switch (found) {
      case 'e':
        memory = std::string(optarg) == "memory";
        if (!memory) return false;
        break;
      case 's':
        options.server = optarg;
        break;
      case 'k':
        options.store = optarg;
        break;
      case 'l':
        options.use_loaded_library = true;
        break;
      case 'v':
        options.contract = optarg;
        break;
      case 'f':
        options.filter = optarg;
        break;
      case 'r':
        options.seed = std::strtoull(optarg, nullptr, 10);
        break;
      case 'n':
        options.histories = std::strtoull(optarg, nullptr, 10);
        break;
      case 'c':
        options.calls = std::strtoull(optarg, nullptr, 10);
        break;
      case 'p':
        options.progress = true;
        break;
      default:
        return false;
    }
  }
  return optind == argc && memory == options.server.empty();
}

}  // namespace
}  // namespace ffgrant::claims_conformance

int main(int argc, char** argv) {
  using namespace ffgrant::claims_conformance;
  Options options;
  if (!Parse(argc, argv, options)) {
    Usage(stderr);
    return kWrongUsage;
  }
  return Program(options).Go();
}
