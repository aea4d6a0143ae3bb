// SPDX-License-Identifier: Apache-2.0
//
// Holds the list of what is checked and timed. Each peer adds itself. Benchmarks run figure by
// figure and case by case, however the peers were added, so that each peer is timed right beside
// core.

#ifndef FFGRANT_BENCH_PEERS_REGISTRY_H_
#define FFGRANT_BENCH_PEERS_REGISTRY_H_

#include <benchmark/benchmark.h>

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace ffgrant::bench::peers {

class Registry {
 public:
  using Check = std::function<void()>;
  using Run = std::function<void(benchmark::State&)>;

  // `check` ends the process if the peer gives another result than core.
  void AddCheck(Check check) { checks_.push_back(std::move(check)); }
  // Adds the benchmark BM_<op>_<impl>/<case_name>, which has a fixed number of iterations. If
  // Google Benchmark had to find the number itself, it could stop at its first trial run because
  // another process held the core for long.
  void AddTimed(std::string_view op, std::string_view impl, std::string_view case_name, Run run,
                std::size_t iterations);
  // Adds a benchmark with a name of the same form that runs in `threads` threads. `run` measures
  // the time itself.
  void AddThreads(std::string_view op, std::string_view impl, std::string_view case_name, Run run,
                  int threads);
  // These three functions add to the report: AddVersion() names a library and its version,
  // AddBuild() says how a library was compiled, AddLeftOut() names a library that is missing, and
  // the package that would bring it.
  void AddVersion(std::string_view library, std::string_view version);
  void AddBuild(std::string_view library, std::string_view how);
  void AddLeftOut(std::string_view library, std::string_view package);

  void RunChecks() const;
  // Registers with Google Benchmark everything that AddTimed() and AddThreads() have added. If
  // `reversed` is set, the entries of each case run in the reverse of the order in which they were
  // added.
  void RegisterBenchmarks(bool reversed) const;

 private:
  struct Timed {
    std::string op;
    std::string impl;
    std::string case_name;
    Run run;
    std::size_t iterations = 0;
    int threads = 0;
  };

  void Register(const Timed& entry) const;

  std::vector<Check> checks_;
  std::vector<Timed> timed_;
};

// Is called by main(). Runs the checks, then times what the command line asks for. `--reversed`
// reverses the order within each case. `--checked` leaves the checks out: they take seconds, and
// would find the same in each of many processes.
int RunPeers(int argc, char** argv, void (*add_peers)(Registry&));

}  // namespace ffgrant::bench::peers

#endif  // FFGRANT_BENCH_PEERS_REGISTRY_H_
