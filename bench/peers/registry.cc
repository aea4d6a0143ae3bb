// SPDX-License-Identifier: Apache-2.0

#include "bench/peers/registry.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <utility>

#include "bench/bench_main.h"

namespace ffgrant::bench::peers {
namespace {

// The registry is global, since RunBenchmarks() takes the check as a function pointer, which has no
// state.
Registry& TheRegistry() {
  static Registry registry;
  return registry;
}

bool TakeFlag(int& argc, char** argv, const char* flag) {
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], flag) != 0) continue;
    std::copy(argv + i + 1, argv + argc + 1, argv + i);  // moves the null at the end too
    --argc;
    return true;
  }
  return false;
}

}  // namespace

void Registry::AddTimed(std::string_view op, std::string_view impl, std::string_view case_name,
                        Run run, std::size_t iterations) {
  timed_.push_back(
      {std::string(op), std::string(impl), std::string(case_name), std::move(run), iterations, 0});
}

void Registry::AddThreads(std::string_view op, std::string_view impl, std::string_view case_name,
                          Run run, int threads) {
  timed_.push_back(
      {std::string(op), std::string(impl), std::string(case_name), std::move(run), 0, threads});
}

void Registry::AddVersion(std::string_view library, std::string_view version) {
  benchmark::AddCustomContext("version of " + std::string(library), std::string(version));
}

void Registry::AddBuild(std::string_view library, std::string_view how) {
  benchmark::AddCustomContext("build of " + std::string(library), std::string(how));
}

void Registry::AddLeftOut(std::string_view library, std::string_view package) {
  benchmark::AddCustomContext("left out " + std::string(library), std::string(package));
}

void Registry::RunChecks() const {
  for (const Check& check : checks_) check();
}

void Registry::RegisterBenchmarks(bool reversed) const {
  // Returns the place of the first entry that has the same figure as `entry` and, if `with_case` is
  // set, also the same case and number of threads. Entries are sorted by these places.
  const auto place = [this](const Timed& entry, bool with_case) {
    return std::find_if(timed_.begin(), timed_.end(),
                        [&](const Timed& other) {
                          return other.op == entry.op &&
                                 (!with_case || (other.case_name == entry.case_name &&
                                                 other.threads == entry.threads));
                        }) -
           timed_.begin();
  };
  std::vector<const Timed*> order;
  for (const Timed& entry : timed_) order.push_back(&entry);
  if (reversed) std::reverse(order.begin(), order.end());
  std::stable_sort(order.begin(), order.end(), [&](const Timed* a, const Timed* b) {
    return std::pair(place(*a, false), place(*a, true)) <
           std::pair(place(*b, false), place(*b, true));
  });
  for (const Timed* entry : order) Register(*entry);
}

void Registry::Register(const Timed& entry) const {
  const std::string name = "BM_" + entry.op + "_" + entry.impl + "/" + entry.case_name;
  auto* const added = benchmark::RegisterBenchmark(name.c_str(), entry.run);
  if (entry.threads != 0) {
    added->UseManualTime()->Threads(entry.threads);
  } else {
    added->Iterations(static_cast<benchmark::IterationCount>(entry.iterations));
  }
}

int RunPeers(int argc, char** argv, void (*add_peers)(Registry&)) {
  const bool reversed = TakeFlag(argc, argv, "--reversed");
  const bool checked = TakeFlag(argc, argv, "--checked");
  Registry& registry = TheRegistry();
  add_peers(registry);
  registry.RegisterBenchmarks(reversed);
  if (checked) return RunBenchmarks(argc, argv, [] {});
  return RunBenchmarks(argc, argv, [] { TheRegistry().RunChecks(); });
}

}  // namespace ffgrant::bench::peers
