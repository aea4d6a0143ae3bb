// SPDX-License-Identifier: Apache-2.0
//
// simulated_claims [--first N] [--worlds N] [--calls N] [--answers]: makes calls in --worlds
// simulated deployments, each with a seed of its own from --first on, and writes one line of JSON
// for each deployment. With --answers it also writes to standard error how often each call had each
// answer. If a rule was broken in any deployment, the exit status is 1, and standard error gets the
// deployment's seed, its last calls and the rule. To run one deployment again: simulated_claims
// --first SEED, with the same --calls.

#include <getopt.h>

#include <cinttypes>
#include <cstdio>
#include <cstdlib>

#include "testing/simulation/deployment_claims.h"

namespace {

using ffgrant::valkey::testing::DeploymentRun;

void Print(std::uint64_t seed, const DeploymentRun& run) {
  std::printf("{\"seed\": %" PRIu64 ", \"calls\": %" PRIu64 ", \"executed\": %" PRIu64
              ", \"claims\": %" PRIu64 ", \"unknown\": %" PRIu64 ", \"unavailable\": %" PRIu64
              ", \"ruled_out\": %" PRIu64 ", \"losses\": %" PRIu64 ", \"longest_ms\": %" PRId64
              ", \"violations\": %d, \"events\": {",
              seed, run.calls, run.executed, run.claims, run.unknown, run.unavailable,
              run.ruled_out, run.losses, run.longest_ms, run.problem.empty() ? 0 : 1);
  const char* comma = "";
  for (const auto& [name, count] : run.happened) {
    std::printf("%s\"%.*s\": %" PRIu64, comma, static_cast<int>(name.size()), name.data(), count);
    comma = ", ";
  }
  std::puts("}}");
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  static const option kOptions[] = {{"first", required_argument, nullptr, 'f'},
                                    {"worlds", required_argument, nullptr, 'w'},
                                    {"calls", required_argument, nullptr, 'c'},
                                    {"answers", no_argument, nullptr, 'a'},
                                    {nullptr, 0, nullptr, 0}};
  std::uint64_t first = 1;
  std::uint64_t worlds = 1;
  std::uint64_t calls = 2000;
  bool answers = false;
  for (int found = 0; (found = getopt_long(argc, argv, "", kOptions, nullptr)) != -1;) {
    switch (found) {
      case 'f':
        first = std::strtoull(optarg, nullptr, 10);
        break;
      case 'w':
        worlds = std::strtoull(optarg, nullptr, 10);
        break;
      case 'c':
        calls = std::strtoull(optarg, nullptr, 10);
        break;
      case 'a':
        answers = true;
        break;
      default:
        std::fputs("usage: simulated_claims [--first N] [--worlds N] [--calls N] [--answers]\n",
                   stderr);
        return 2;
    }
  }
  int status = 0;
  for (std::uint64_t seed = first; seed < first + worlds; ++seed) {
    const DeploymentRun run = ffgrant::valkey::testing::RunDeployment(seed, calls);
    Print(seed, run);
    if (answers) {
      for (const auto& [name, count] : run.answers) {
        std::fprintf(stderr, "%8" PRIu64 " %s\n", count, name.c_str());
      }
    }
    if (run.problem.empty()) continue;
    status = 1;
    std::fprintf(stderr, "seed %" PRIu64 ":\n%s\n", seed, run.problem.c_str());
  }
  return status;
}
