// SPDX-License-Identifier: Apache-2.0
//
// This program plays odd programs for the tests of scripts/perf. ODD says which kind the program
// plays, and ODD_NS how many nanoseconds its benchmarks claim to take. Most times are set by hand,
// so that verdicts do not depend on the machine. The program needs Google Benchmark 1.6 or later.

#include <benchmark/benchmark.h>
#include <signal.h>
#include <sys/personality.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iostream>
#include <limits>
#include <map>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

std::string Setting(const char* name, const char* otherwise = "") {
  const char* text = std::getenv(name);
  return text ? text : otherwise;
}

double Nanoseconds() { return std::atof(Setting("ODD_NS", "10000").c_str()); }

void Claim(benchmark::State& state, double nanoseconds) {
  for (auto _ : state) state.SetIterationTime(nanoseconds * 1e-9);
}

benchmark::internal::Benchmark* Add(const std::string& name, double nanoseconds) {
  return benchmark::RegisterBenchmark(
             name.c_str(), [nanoseconds](benchmark::State& state) { Claim(state, nanoseconds); })
      ->UseManualTime();
}

benchmark::internal::Benchmark* Add(const std::string& name) { return Add(name, Nanoseconds()); }

void AddFunction(const std::string& name, std::function<void(benchmark::State&)> function) {
  benchmark::RegisterBenchmark(name.c_str(), function)->UseManualTime();
}

// Does real work, with instructions in proportion to `portions`, for the benchmarks whose time is
// measured.
void Work(benchmark::State& state, int portions) {
  std::uint32_t hash = 1;
  for (auto _ : state) {
    for (int i = 0; i < portions; ++i) benchmark::DoNotOptimize(hash = (hash ^ 7u) * 0x9E3779B1u);
  }
}

int Portions() { return Setting("ODD_NS").empty() ? 400 : static_cast<int>(Nanoseconds() / 25); }

void Names(const std::vector<std::string>& names) {
  for (const auto& name : names) Add(name);
}

// Returns a time that differs from process to process: 0.6 to 1.4 times the time of ODD_NS.
double Noise() {
  static std::random_device device;
  return Nanoseconds() * (0.6 + 0.8 * (device() % 1000) / 1000.0);
}

void Sleep(double seconds) { std::this_thread::sleep_for(std::chrono::duration<double>(seconds)); }

const std::map<std::string, std::function<void()>>& Kinds() {
  static const std::map<std::string, std::function<void()>> kinds{
      {"plain",
       [] {
         Names({"BM_a", "BM_b/8"});
       }},
      {"none", [] {}},
      {"none but prints", [] { std::puts("nothing to do"); }},
      {"one", [] { Names({"BM_a"}); }},
      {"three",
       [] {
         Names({"BM_a", "BM_b/8", "BM_c"});
       }},
      {"renamed",
       [] {
         Names({"BM_a", "BM_renamed"});
       }},
      {"one slow", [] { Add("BM_a"), Add("BM_b/8", 10000); }},
      {"order",
       [] { Add("BM_little", (Nanoseconds() + 20000) / 3), Add("BM_much", Nanoseconds()); }},
      {"twice", [] { Add("BM_a/8", 5000), Add("BM_a/8"), Add("BM_a/8", 20000); }},
      {"brackets",
       [] {
         Names({"BM_fill<int[16]>", "BM_x{1}", "BM_]", "BM_}", "BM_[a-z]", "BM_a]b}c", "[]"});
       }},
      {"signs",
       [] {
         Names({"BM_\"quoted\"", "BM_'single'", "BM_a,b", "BM_a//b/", "BM_<std::pair<int, int>>",
                "BM_back\\slash", "BM_(a|b)*+?^$.", "BM_a b  c", "BM_#1 @x", "BM_%s%n", "BM_$HOME",
                "BM_`ticks`", "BM_a|b", "BM_<b>&amp;", "BM_a;b&c=d", "BM_~!:"});
       }},
      {"utf8",
       [] {
         Names({"BM_größe", "BM_日本語", "BM_🚀/8"});
       }},
      {"bytes",
       [] {
         Names({"BM_\xff\xfe", "BM_\xc3"});
       }},
      {"control",
       [] {
         Names({"BM_\x01\x1b[31m", "BM_tab\tx"});
       }},
      {"newline",
       [] {
         Names({"BM_one\nBM_two", "BM_a"});
       }},
      {"dash",
       [] {
         Names({"-BM_a", "--benchmark_filter=x", " BM_lead"});
       }},
      {"long",
       [] {
         Names({std::string(9000, 'x'), std::string(9000, 'x') + "y", std::string(70000, 'z')});
       }},
      {"prefixes",
       [] {
         Names({"a", "ab", "abc", "all", "."});
       }},
      {"space",
       [] { benchmark::RegisterBenchmark("BM_space ", [](auto& s) { Work(s, Portions()); }); }},
      {"many",
       [] {
         const int count = std::atoi(Setting("ODD_COUNT", "2500").c_str());
         for (int i = 0; i < count; ++i) {
           Add("BM_SomeReasonablyLongBenchmarkName_ForContainers/size:" + std::to_string(i) +
               "/kind:[" + std::to_string(i % 7) + "]");
         }
       }},
      {"error",
       [] {
         Add("BM_a");
         AddFunction("BM_fails",
                     [](auto& s) { s.SkipWithError("no \"memory\" <today>"), Claim(s, 1); });
       }},
      {"good for error",
       [] {
         Names({"BM_a", "BM_fails"});
       }},
      {"all errors",
       [] { AddFunction("BM_a", [](auto& s) { s.SkipWithError("no"), Claim(s, 1); }); }},
      {"late error",
       [] {
         Add("BM_a");
         AddFunction("BM_fails", [](auto& s) {
           for (auto _ : s) {
             s.SetIterationTime(1e-5);
             s.SkipWithError("in the loop");
             break;
           }
         });
       }},
      {"needs variable",
       [] {
         AddFunction("BM_a", [](auto& s) {
           if (Setting("ODD_DATA").empty()) s.SkipWithError("ODD_DATA is not set");
           Claim(s, Nanoseconds());
         });
       }},
      {"needs folder",
       [] {
         AddFunction("BM_a", [](auto& s) {
           if (!std::ifstream("odd-data")) s.SkipWithError("no file odd-data here");
           Claim(s, Nanoseconds());
         });
       }},
      {"aggregates", [] { Add("BM_a")->Repetitions(5)->ReportAggregatesOnly(true), Add("BM_b"); }},
      {"display aggregates", [] { Add("BM_a")->Repetitions(3)->DisplayAggregatesOnly(true); }},
      {"repetitions", [] { Add("BM_a")->Repetitions(7); }},
      {"complexity",
       [] {
         benchmark::RegisterBenchmark("BM_a",
                                      [](benchmark::State& s) {
                                        Claim(s, Nanoseconds() * static_cast<double>(s.range(0)));
                                        s.SetComplexityN(s.range(0));
                                      })
             ->UseManualTime()
             ->RangeMultiplier(2)
             ->Range(1, 16)
             ->Complexity();
       }},
      {"statistics",
       [] {
         Add("BM_a")->ComputeStatistics("max",
                                        [](const std::vector<double>& v) { return v.back(); });
       }},
      {"zero", [] { Add("BM_a"), Add("BM_zero", 0)->Iterations(10); }},
      {"good for zero", [] { Add("BM_a"), Add("BM_zero")->Iterations(10); }},
      {"nan", [] { Add("BM_a"), Add("BM_nan", std::nan(""))->Iterations(10); }},
      {"infinite",
       [] { Add("BM_a"), Add("BM_inf", std::numeric_limits<double>::infinity())->Iterations(10); }},
      {"negative", [] { Add("BM_a"), Add("BM_negative", -5)->Iterations(10); }},
      {"counters",
       [] {
         AddFunction("BM_a", [](auto& s) {
           Claim(s, Nanoseconds());
           s.counters["nan"] = std::nan("");
           s.counters["real_time"] = 1;
           s.counters["cpu_time"] = 1e9;
           s.counters["error_occurred"] = 1;
           s.counters["run_name"] = 5;
           s.SetLabel("a \"label\"\nof two lines");
         });
       }},
      {"milliseconds", [] { Add("BM_a")->Unit(benchmark::kMillisecond); }},
      {"threads", [] { Add("BM_a")->Threads(2), Add("BM_b"); }},
      {"fixed", [] { Add("BM_a")->Iterations(100); }},
      {"min time", [] { Add("BM_a")->MinTime(0.001); }},
      {"throws",
       [] {
         Add("BM_a");
         AddFunction("BM_throws", [](auto&) { throw std::runtime_error("no fixture today"); });
       }},
      {"good for throws",
       [] {
         Names({"BM_a", "BM_throws"});
       }},
      {"crash",
       [] {
         Add("BM_a");
         AddFunction("BM_bad", [](auto&) { raise(SIGSEGV); });
         Add("BM_z");
       }},
      {"good for bad",
       [] {
         Names({"BM_a", "BM_bad", "BM_z"});
       }},
      {"exits",
       [] {
         Add("BM_a");
         AddFunction("BM_bad", [](auto&) { std::_Exit(0); });
         Add("BM_z");
       }},
      {"hang",
       [] {
         Add("BM_a");
         AddFunction("BM_bad", [](auto&) {
           signal(SIGTERM, SIG_IGN);
           for (;;) Sleep(1);
         });
         Add("BM_z");
       }},
      {"slow",
       [] {
         Add("BM_a");
         AddFunction("BM_bad", [](auto& s) {
           for (auto _ : s) {
             Sleep(1);
             s.SetIterationTime(1);
           }
         });
       }},
      {"flaky",
       [] {
         AddFunction("BM_a", [](auto& s) {
           static std::random_device device;
           static const bool dies = device() % 4 == 0;
           if (dies) std::abort();
           Claim(s, Nanoseconds());
         });
       }},
      {"noisy",
       [] {
         Add("BM_slow");
         Add("BM_same", 10000);
         for (int i = 0; i < 3; ++i) Add("BM_noise/" + std::to_string(i), Noise());
       }},
      {"only noise", [] { Add("BM_a", 10000), Add("BM_noise", Noise()); }},
      {"real",
       [] { benchmark::RegisterBenchmark("BM_work", [](auto& s) { Work(s, Portions()); }); }},
      {"real threads",
       [] {
         benchmark::RegisterBenchmark("BM_work", [](auto& s) { Work(s, Portions()); });
         benchmark::RegisterBenchmark("BM_both", [](auto& s) { Work(s, 10); })->Threads(2);
       }},
      {"empty loop",
       [] {
         benchmark::RegisterBenchmark("BM_work", [](auto& s) {
           for (auto _ : s) {
           }
         });
       }},
  };
  return kinds;
}

// Some kinds do something before main's own work, in the middle of it, or after it.
bool Is(const char* kind) { return Setting("ODD") == kind; }

void Before(int argc, char** argv) {
  if (Is("log")) std::cout << "[info] loading {config}\nBM_not_a_benchmark\n" << std::flush;
  if (Is("log stderr")) std::cerr << "INFO config loaded\n[x] {y}\n";
  if (Is("log json")) std::cout << "{\"name\": \"BM_x\", \"benchmarks\": [1]}\n" << std::flush;
  if (Is("log changes")) {
    std::cout << "started at " << std::chrono::steady_clock::now().time_since_epoch().count()
              << std::endl;
  }
  if (Is("log unfinished")) std::cout << "loading... " << std::flush;
  if (Is("much output")) {
    const std::string line(1000, '.');
    for (int i = 0; i < 30000; ++i) std::cout << line << '\n';
    std::cout << std::flush;
  }
  if (Is("stdin")) std::cin.get();
  if (Is("chdir") && chdir("/") != 0) std::abort();
  if (Is("closed")) {
    close(1);
    close(2);
  }
  if (Is("slow start")) Sleep(0.7);
  if (Is("list hang")) {
    for (;;) Sleep(1);
  }
  if (Is("silent")) std::_Exit(0);
  if (Is("child") && fork() == 0) {  // the child holds the output open
    Sleep(30);
    std::_Exit(0);
  }
  if (Is("daemon") && fork() == 0) {
    setsid();
    close(0), close(1), close(2);
    if (fork() == 0) Sleep(30);
    std::_Exit(0);
  }
  if (Is("beside")) {
    const std::string path = argv[0];
    if (!std::ifstream(path.substr(0, path.rfind('/')) + "/odd-beside")) {
      std::cerr << "odd-beside is not beside me\n";
      std::_Exit(4);
    }
  }
  if (Is("own flag")) {
    bool found = false;
    for (int i = 1; i < argc; ++i) found |= std::string(argv[i]) == "--own=1";
    if (!found) {
      std::cerr << "--own=1 is needed\n";
      std::_Exit(5);
    }
  }
  if (Is("again")) {  // starts itself again, as versions from 1.9.3 on do
    const int was = personality(0xffffffff);
    if (was != -1 && !(was & ADDR_NO_RANDOMIZE) &&
        personality(static_cast<unsigned long>(was) | ADDR_NO_RANDOMIZE) != -1) {
      execv(argv[0], argv);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  Before(argc, argv);
  const auto& kinds = Kinds();
  const auto kind = kinds.find(Setting("ODD", "plain"));
  if (kind != kinds.end()) {
    kind->second();
  } else if (Is("again")) {
    kinds.at("real")();
  } else {
    kinds.at("plain")();
  }
  std::vector<char*> words;
  for (int i = 0; i < argc; ++i) {
    if (!Is("no json") || std::string(argv[i]).rfind("--benchmark_out", 0) != 0) {
      words.push_back(argv[i]);
    }
  }
  int count = static_cast<int>(words.size());
  words.push_back(nullptr);
  benchmark::Initialize(&count, words.data());
  if (Is("ignores filter")) {
    benchmark::RunSpecifiedBenchmarks(nullptr, nullptr, ".");
  } else {
    benchmark::RunSpecifiedBenchmarks();
  }
  if (Is("log after")) std::cout << "goodbye\n" << std::flush;
  if (Is("fails at the end")) return 3;
  return 0;
}
