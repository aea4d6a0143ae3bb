// SPDX-License-Identifier: Apache-2.0
//
// Puts load on a running FlowFabric deployment. Grants come from its server over HTTP; the rest of
// the claim path runs on its Valkey. scripts/jobs/live/load_job.py writes commands line by line to
// the standard input. The commands are:
//
//   create COUNT WORKERS            creates executions with the next COUNT ids of --ids, in WORKERS
//                                   threads
//   closed WORKERS COUNT STEPS      COUNT of the created executions go through the steps;
//                                   STEPS is grant, pair (grants and claims) or cycle (also
//                                   renews and completes). All workers are in one loop
//   threads WORKERS COUNT STEPS     the same as closed, with a thread for each worker
//   open WORKERS COUNT RATE STEPS   the same as closed, but the executions begin at random moments,
//                                   RATE a second on average
//   verify WORKERS                  reads back the results of the executions that were created
//                                   since the last forget, in WORKERS threads
//   forget                          leaves the executions so far out of each later verify
//
// The answer to each command is one line of JSON. A worker claims only executions that --ids names:
// a grant for any other execution ends the program, and the grant later expires. The token comes
// from FF_API_TOKEN or from the file that FF_API_TOKEN_FILE names. server_url.h describes where
// Valkey's password comes from.

#include <sys/prctl.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "bench/flowfabric_fleet.h"
#include "bench/flowfabric_work.h"
#include "ffgrant/claims/clock.h"
#include "ffgrant/claims/ending.h"
#include "ffgrant/claims/worker.h"
#include "ffgrant/http/issuer_client.h"
#include "ffgrant/valkey/server_url.h"
#include "ffgrant/valkey/valkey_ledger.h"

ABSL_FLAG(std::string, url, "", "FlowFabric's server");
ABSL_FLAG(std::string, ca_file, "", "certificates to trust in place of the system's");
ABSL_FLAG(std::string, valkey, "127.0.0.1:6379", "as SetServers() takes it (server_url.h)");
ABSL_FLAG(std::string, lane, "", "lane of all executions");
ABSL_FLAG(std::string, worker, "", "what the names of workers begin with");
ABSL_FLAG(std::string, ids, "", "a file with the ids of executions, one a line");
ABSL_FLAG(std::uint32_t, partitions, 256, "of the deployment");
ABSL_FLAG(std::size_t, workers, 64, "at once, at most");
ABSL_FLAG(std::uint64_t, seed, 1,
          "of the moments of an open load, and of the pauses of idle workers");

namespace ffgrant::bench {
namespace {

using http::IssuerClient;
using http::IssuerError;
using http::IssuerStatus;

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

std::string PayloadOf(std::string_view id) { return absl::StrFormat("{\"do\":\"%s\"}", id); }

class Load {
 public:
  Load() : lane_(Lane()), issuer_(Issuer()), ledger_(Ledger()) {
    valkey::ServerInfo server;
    ErrorDetails details;
    const Outcome connected = ledger_.Connect(server, &details);
    if (!connected) FailCall("--valkey", connected.error, details);
    std::ifstream file(absl::GetFlag(FLAGS_ids));
    for (std::string id; std::getline(file, id);) executions_.Add(std::move(id));
    if (executions_.size() == 0) Die("--ids: no ids");
  }

  void Run(const std::string& line) {
    const std::vector<std::string> words = absl::StrSplit(line, ' ', absl::SkipEmpty());
    if (words.empty()) return;
    if (words[0] == "create" && words.size() == 3) {
      Create(Number(words[1]), Number(words[2]));
    } else if (words[0] == "closed" && words.size() == 4) {
      Drive(Number(words[1]), Number(words[2]), 0, StepsOf(words[3]), false);
    } else if (words[0] == "threads" && words.size() == 4) {
      Drive(Number(words[1]), Number(words[2]), 0, StepsOf(words[3]), true);
    } else if (words[0] == "open" && words.size() == 5) {
      Drive(Number(words[1]), Number(words[2]), static_cast<double>(Number(words[3])),
            StepsOf(words[4]), false);
    } else if (words[0] == "verify" && words.size() == 2) {
      Verify(Number(words[1]));
    } else if (words[0] == "forget") {
      first_ = next_;
      std::printf("{}\n");
    } else {
      Die("not understood: " + line);
    }
  }

 private:
  static LaneIdView Lane() {
    static const std::string name = absl::GetFlag(FLAGS_lane);
    const LaneIdResult lane = ParseLaneId(name);
    if (!lane) Die("--lane: no lane");
    return lane.lane;
  }

  static http::IssuerOptions Issuer() {
    http::IssuerOptions options;
    options.url = absl::GetFlag(FLAGS_url);
    http::SetFromEnvironment(options);
    if (const std::string file = absl::GetFlag(FLAGS_ca_file); !file.empty()) {
      options.ca_file = file;
    }
    options.connections = absl::GetFlag(FLAGS_workers);
    options.request_timeout_ms = 60'000;
    return options;
  }

  static valkey::ValkeyLedgerOptions Ledger() {
    valkey::ValkeyLedgerOptions options;
    std::string problem = valkey::SetServers(absl::GetFlag(FLAGS_valkey), options.client);
    if (problem.empty()) problem = valkey::SetPasswordFromEnvironment(options.client);
    if (problem.empty()) problem = valkey::SetTlsFromEnvironment(options.client);
    if (!problem.empty()) Die("--valkey: " + problem);
    options.client.request_timeout_ms = 60'000;
    options.client.load_library = false;  // the server has FlowFabric's own functions
    options.connections = absl::GetFlag(FLAGS_workers);
    options.defaults.partitions = Partitions();
    return options;
  }

  static PartitionConfig Partitions() {
    if (absl::GetFlag(FLAGS_partitions) > 0xFFFF) Die("--partitions: more than 65535");
    return {.num_flow_partitions = static_cast<std::uint16_t>(absl::GetFlag(FLAGS_partitions))};
  }

  static std::size_t Number(const std::string& text) {
    std::uint64_t number = 0;
    if (!absl::SimpleAtoi(text, &number) || number == 0) Die("no number: " + text);
    return number;
  }
  static Steps StepsOf(const std::string& text) {
    if (text == "grant") return Steps::kGrant;
    if (text == "pair") return Steps::kPair;
    if (text == "cycle") return Steps::kCycle;
    Die("no steps: " + text);
  }

  [[noreturn]] static void FailCall(std::string_view what, ClaimError error,
                                    const ErrorDetails& details) {
    Die(absl::StrFormat("%s: %s %s", what, ErrorName(error),
                        details.size() > 0 ? details[0] : std::string_view()));
  }

  template <class Work>
  void InThreads(std::size_t count, const Work& work) {
    if (count > absl::GetFlag(FLAGS_workers)) Die("more workers than --workers");
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < count; ++i) threads.emplace_back([&work, i] { work(i); });
    for (std::thread& thread : threads) thread.join();
  }

  void Create(std::size_t count, std::size_t workers) {
    const std::size_t begin = next_;
    if (count > executions_.size() - begin) Die("--ids has not that many");
    const std::string ns = absl::GetFlag(FLAGS_lane);
    std::atomic<std::size_t> at{begin};
    const SteadyClock::time_point start = SteadyClock::now();
    InThreads(workers, [&](std::size_t) {
      for (std::size_t i = 0; (i = at.fetch_add(1)) < begin + count;) {
        const std::string payload = PayloadOf(executions_[i].id);
        bool created = false;
        const IssuerStatus status = issuer_.Create({.execution_id = executions_[i].id,
                                                    .ns = ns,
                                                    .lane_id = lane_.text(),
                                                    .execution_kind = "bench",
                                                    .payload = payload},
                                                   created);
        if (!status) Fail("create", status);
        if (!created) Die("create: an execution has this id already");
      }
    });
    next_ = begin + count;
    std::printf("{\"count\": %zu, \"seconds\": %.6f}\n", count,
                Micros(SteadyClock::now() - start) * 1e-6);
  }

  void Drive(std::size_t workers, std::size_t count, double rate, Steps steps, bool has_threads) {
    Plan plan;
    plan.count = count;
    Fleet* const fleet = has_threads ? nullptr : &TheFleet();
    const double cpu = CpuSeconds();
    const SteadyClock::time_point start = SteadyClock::now();
    plan.GotGrant(start);
    if (rate > 0) {
      std::mt19937_64 random(absl::GetFlag(FLAGS_seed));
      std::exponential_distribution<double> gap(rate);
      double at = 0;
      for (std::size_t i = 0; i < count; ++i) {
        at += gap(random);
        plan.moments.push_back(start + std::chrono::duration_cast<SteadyClock::duration>(
                                           std::chrono::duration<double>(at)));
      }
    }
    Figures all;
    if (fleet == nullptr) {
      std::vector<Figures> figures(workers);
      InThreads(workers, [&](std::size_t i) { Work(i, plan, steps, figures[i]); });
      for (const Figures& each : figures) all.Merge(each);
    } else {
      all = fleet->Run(workers, plan, steps);
    }
    const double seconds = Micros(SteadyClock::now() - start) * 1e-6;
    Report(count, seconds, CpuSeconds() - cpu, all);
  }

  // Makes the fleet when a load first needs it: a load with a thread for each worker needs none.
  Fleet& TheFleet() {
    if (!fleet_) {
      fleet_ = std::make_unique<Fleet>(FleetOptions{.issuer = Issuer(),
                                                    .valkey = Ledger().client,
                                                    .worker_id = absl::GetFlag(FLAGS_worker),
                                                    .lane = lane_,
                                                    .partitions = Partitions(),
                                                    .seed = absl::GetFlag(FLAGS_seed)},
                                       executions_);
    }
    return *fleet_;
  }

  void Work(std::size_t number, Plan& plan, Steps steps, Figures& figures) {
    const std::string worker_id = absl::GetFlag(FLAGS_worker);
    const std::string instance = absl::StrFormat("%s-%d", worker_id, number);
    Worker worker(ledger_, clock_,
                  {.worker_id = worker_id,
                   .worker_instance_id = instance,
                   .lease_ttl_ms = kLeaseTtlMs,
                   .partitions = Partitions()});
    JsonScratch scratch;
    ClaimGrant grant;
    Pauses pauses(absl::GetFlag(FLAGS_seed) + number);
    for (std::size_t i = 0; (i = plan.next.fetch_add(1)) < plan.count;) {
      SteadyClock::time_point begin = SteadyClock::now();
      if (!plan.moments.empty()) {
        std::this_thread::sleep_until(plan.moments[i]);
        begin = plan.moments[i];
      }
      pauses.Restart();
      AskForGrant(worker_id, instance, plan, grant, pauses, figures);
      Decode(grant.view(), scratch, figures);
      Execution& execution = executions_.Of(grant.view());
      if (steps != Steps::kGrant) Finish(worker, execution, grant.view(), steps, figures);
      figures.Take(kWhole, begin, SteadyClock::now());
    }
  }

  // Asks for a grant until the server gives one.
  void AskForGrant(const std::string& worker_id, const std::string& instance, Plan& plan,
                   ClaimGrant& grant, Pauses& pauses, Figures& figures) {
    for (;;) {
      const SteadyClock::time_point from = SteadyClock::now();
      const IssuerStatus status = issuer_.Claim(worker_id,
                                                {.lane_id = lane_.text(),
                                                 .worker_instance_id = instance,
                                                 .capabilities = {},
                                                 .grant_ttl_ms = kGrantTtlMs},
                                                grant);
      const SteadyClock::time_point to = SteadyClock::now();
      ++figures.asked;
      if (status) {
        figures.Take(kGrant, from, to);
        plan.GotGrant(to);
        return;
      }
      if (status.error != IssuerError::kNothingInWindow) Fail("claim", status);
      ++figures.nothing;
      plan.GotNothing(to);
      std::this_thread::sleep_for(pauses.Next());
    }
  }

  void Finish(Worker& worker, Execution& execution, const ClaimGrantView& grant, Steps steps,
              Figures& figures) {
    ErrorDetails details;
    SteadyClock::time_point from = SteadyClock::now();
    WorkerClaim claim = worker.ClaimFromGrant(grant, lane_, &details);
    SteadyClock::time_point to = SteadyClock::now();
    figures.Take(kClaim, from, to);
    if (!claim) FailCall("claim", claim.error, details);
    execution.Claimed();
    if (steps == Steps::kPair) return;
    from = to;
    const RenewOutcome renewed = ledger_.Renew({.execution_id = grant.execution_id,
                                                .attempt_index = claim.lease.attempt_index,
                                                .fence = claim.lease.fence,
                                                .lease_ttl_ms = kLeaseTtlMs},
                                               &details);
    to = SteadyClock::now();
    figures.Take(kRenew, from, to);
    if (!renewed) FailCall("renew", renewed.error, details);
    const std::string result = ResultOf(execution.id);
    from = SteadyClock::now();
    const Outcome completed =
        CompleteOnce(ledger_, {.execution_id = grant.execution_id, .fence = claim.lease.fence},
                     result, &details);
    figures.Take(kComplete, from, SteadyClock::now());
    if (!completed) FailCall("complete", completed.error, details);
    execution.completed.fetch_add(1);
  }

  // Reads the result of every execution that was created since the last `forget`. Counts the
  // executions that were claimed and completed exactly once, and those that have the right result.
  void Verify(std::size_t workers) {
    std::atomic<std::size_t> at{first_};
    std::atomic<std::size_t> once{0};
    std::atomic<std::size_t> equal{0};
    InThreads(workers, [&](std::size_t) {
      std::string result;
      for (std::size_t i = 0; (i = at.fetch_add(1)) < next_;) {
        const Execution& execution = executions_[i];
        if (execution.completed.load() == 1 && execution.claimed.load() == 1) ++once;
        const IssuerStatus status = issuer_.Result(execution.id, result);
        if (!status && status.error != IssuerError::kNotFound) Fail("result", status);
        if (status && result == ResultOf(execution.id)) ++equal;
      }
    });
    std::printf("{\"executions\": %zu, \"completed_once\": %zu, \"results_equal\": %zu}\n",
                next_ - first_, once.load(), equal.load());
  }

  static void Report(std::size_t count, double seconds, double used, Figures& all) {
    std::printf(
        "{\"count\": %zu, \"seconds\": %.6f, \"client_cpu\": %.6f, \"asked\": %llu, "
        "\"nothing\": %llu, \"stages\": {",
        count, seconds, used, static_cast<unsigned long long>(all.asked),
        static_cast<unsigned long long>(all.nothing));
    const char* between = "";
    for (std::size_t i = 0; i < kStages; ++i) {
      std::vector<float>& micros = all.micros[i];
      if (micros.empty()) continue;
      std::sort(micros.begin(), micros.end());
      const auto quantile = [&](double q) {
        const auto last = static_cast<double>(micros.size() - 1);
        return static_cast<double>(micros[static_cast<std::size_t>(q * last + 0.5)]);
      };
      double sum = 0;
      for (const float each : micros) sum += static_cast<double>(each);
      std::printf(
          "%s\"%.*s\": {\"count\": %zu, \"mean\": %.2f, \"p50\": %.2f, \"p90\": %.2f, "
          "\"p99\": %.2f, \"p999\": %.2f, \"max\": %.2f}",
          between, static_cast<int>(kStageNames[i].size()), kStageNames[i].data(), micros.size(),
          sum / static_cast<double>(micros.size()), quantile(0.5), quantile(0.9), quantile(0.99),
          quantile(0.999), quantile(1));
      between = ", ";
    }
    std::printf("}}\n");
  }

  const LaneIdView lane_;
  const Clock& clock_ = SystemClock();
  IssuerClient issuer_;
  valkey::ValkeyLedger ledger_;
  Executions executions_;
  std::unique_ptr<Fleet> fleet_;
  std::size_t first_ = 0;  // the first execution since the last `forget`
  std::size_t next_ = 0;   // the first execution that is not created yet
};

}  // namespace
}  // namespace ffgrant::bench

int main(int argc, char** argv) {
  absl::ParseCommandLine(argc, argv);
  prctl(PR_SET_TIMERSLACK, 1UL);  // pauses must end on time
  try {
    ffgrant::bench::Load load;
    std::string line;
    while (std::getline(std::cin, line)) {
      load.Run(line);
      std::fflush(stdout);
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "flowfabric_load: %s\n", error.what());
    return 1;
  }
  return 0;
}
