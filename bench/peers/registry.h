// SPDX-License-Identifier: Apache-2.0
//
// What is checked and timed. Each peer adds itself; the order in which it is
// run is by figure and case, whoever was added first, so that a peer is timed
// right beside core.

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
  // Registers BM_<op>_<impl>/<case_name>, of so many iterations. To look for a
  // number can end at the first if another process has the core for so long.
  void AddTimed(std::string_view op, std::string_view impl, std::string_view case_name, Run run,
                std::size_t iterations);
  // The same of so many threads, by the time that `run` states itself.
  void AddThreads(std::string_view op, std::string_view impl, std::string_view case_name, Run run,
                  int threads);
  // For the report: a library and its version, or why it isn't there.
  void AddVersion(std::string_view library, std::string_view version);
  void AddLeftOut(std::string_view library, std::string_view why);

  void RunChecks() const;
  // Hands everything timed to Google Benchmark. `reversed`: within a case the
  // last that was added is run first.
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

// A main function's: checks, then times what the command line asks for.
// `--reversed` turns the order within each case round; `--checked` leaves the
// checks out, which take seconds and find the same in each of many processes.
int RunPeers(int argc, char** argv, void (*add_peers)(Registry&));

}  // namespace ffgrant::bench::peers

#endif  // FFGRANT_BENCH_PEERS_REGISTRY_H_
