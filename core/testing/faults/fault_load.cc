// SPDX-License-Identifier: Apache-2.0
//
// fault_load --servers ADDRESS --history PATH [...]: makes claims until it gets SIGINT or SIGTERM,
// and records every call. Five times a second and at the end it prints how many claims have
// succeeded and how many calls had an unknown outcome, as "<claims> <unknown>". server_url.h
// describes ADDRESS and where the password comes from.

#include <getopt.h>

#include <chrono>
#include <cinttypes>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#include "ffgrant/valkey/server_url.h"
#include "testing/faults/claim_load.h"

namespace ffgrant::claims_faults {
namespace {

constexpr std::chrono::milliseconds kTick(200);

volatile std::sig_atomic_t told_to_end = 0;
extern "C" void OnSignal(int /*number*/) { told_to_end = 1; }

// Reads --servers, and the password and the TLS files from the environment.
bool ReadServers(const char* text, valkey::ClientOptions& where) {
  std::string problem = valkey::SetServers(text, where);
  if (problem.empty()) problem = valkey::SetPasswordFromEnvironment(where);
  if (problem.empty()) problem = valkey::SetTlsFromEnvironment(where);
  if (!problem.empty()) std::fprintf(stderr, "fault_load: --servers: %s\n", problem.c_str());
  return problem.empty();
}

bool Parse(int argc, char** argv, LoadOptions& options) {
  static const option kOptions[] = {{"servers", required_argument, nullptr, 's'},
                                    {"history", required_argument, nullptr, 'h'},
                                    {"seed", required_argument, nullptr, 'r'},
                                    {"threads", required_argument, nullptr, 't'},
                                    {"leases", required_argument, nullptr, 'l'},
                                    {"confirm", no_argument, nullptr, 'c'},
                                    {nullptr, 0, nullptr, 0}};
  bool has_servers = false;
  opterr = 0;  // getopt's messages repeat the argument, which may hold a password
  for (int found = 0; (found = getopt_long(argc, argv, "", kOptions, nullptr)) != -1;) {
    switch (found) {
      case 's':
        if (!ReadServers(optarg, options.where)) return false;
        has_servers = true;
        break;
      case 'h':
        options.history = optarg;
        break;
      case 'r':
        options.seed = std::strtoull(optarg, nullptr, 10);
        break;
      case 't':
        options.threads = std::atoi(optarg);
        break;
      case 'l':
        options.leases_per_execution = std::atoi(optarg);
        break;
      case 'c':
        options.confirm = true;
        break;
      default:
        return false;
    }
  }
  return optind == argc && has_servers && !options.history.empty() && options.threads > 0 &&
         options.leases_per_execution > 0;
}

void Run(const LoadOptions& options) {
  LoadState state(static_cast<std::size_t>(options.threads));
  std::vector<std::thread> threads;
  for (int i = 0; i < options.threads; ++i) {
    threads.emplace_back([&, i] { ClaimLoad(options, state, i).Run(); });
  }
  const auto report = [&] {
    std::printf("%" PRIu64 " %" PRIu64 "\n", state.claims.load(), state.unknown.load());
    std::fflush(stdout);
  };
  std::signal(SIGINT, OnSignal);
  std::signal(SIGTERM, OnSignal);
  while (told_to_end == 0) {
    std::this_thread::sleep_for(kTick);
    report();
  }
  state.stop = true;
  for (std::thread& thread : threads) thread.join();
  report();
}

}  // namespace
}  // namespace ffgrant::claims_faults

int main(int argc, char** argv) {
  ffgrant::claims_faults::LoadOptions options;
  if (!ffgrant::claims_faults::Parse(argc, argv, options)) {
    std::fputs(
        "usage: fault_load --servers ADDRESS --history PATH [--seed N] [--threads N]\n"
        "                  [--leases N] [--confirm]\n",
        stderr);
    return 2;
  }
  ffgrant::claims_faults::Run(options);
  return 0;
}
