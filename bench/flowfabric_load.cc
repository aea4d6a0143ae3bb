// SPDX-License-Identifier: Apache-2.0
//
// Puts load on a running FlowFabric deployment. Grants come from its server over HTTP; the rest of
// the claim path runs on its Valkey. scripts/jobs/live/load_job.py writes commands line by line to
// the standard input. The lines:
//
//   create COUNT WORKERS            takes the next COUNT ids of --ids and creates them
//   closed WORKERS COUNT STEPS      COUNT of the created executions go through the steps;
//                                   STEPS is grant, pair (grants and claims) or cycle (also
//                                   renews and completes)
//   open WORKERS COUNT RATE STEPS   the same, begun at random moments, RATE a second
//   verify WORKERS                  reads back the results of all completed executions
//   forget                          gives up the executions so far
//
// The answer to each command is one line of JSON. A worker claims only executions that --ids names:
// a grant for any other execution ends the program and later expires. The token comes from
// FF_API_TOKEN or from the file that FF_API_TOKEN_FILE names. server_url.h describes where Valkey's
// password comes from.

#include <sys/prctl.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "ffgrant/claims/clock.h"
#include "ffgrant/claims/ending.h"
#include "ffgrant/claims/worker.h"
#include "ffgrant/http/issuer_client.h"
#include "ffgrant/json/claim_response.h"
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
ABSL_FLAG(std::uint64_t, seed, 1, "of the moments of an open load");

namespace ffgrant::bench {
namespace {

using http::IssuerClient;
using http::IssuerError;
using http::IssuerStatus;
using SteadyClock = std::chrono::steady_clock;

// These times are longer than a load lasts. The caller removes the executions that are left over.
constexpr std::int64_t kGrantTtlMs = 60'000;
constexpr std::int64_t kLeaseTtlMs = 3'600'000;
// The shortest and the longest pause after an answer without a grant. The server looks for work in
// a window of partitions, which moves on every 250 ms.
constexpr std::int64_t kShortestPauseUs = 2'000;
constexpr std::int64_t kLongestPauseUs = 100'000;
// If no worker gets a grant for this long, executions have been lost.
constexpr std::chrono::seconds kPatience{60};

[[noreturn]] void Die(const std::string& why) {
  static std::mutex mutex;  // only one thread prints its reason and ends the process
  const std::lock_guard lock(mutex);
  std::fprintf(stderr, "flowfabric_load: %s\n", why.c_str());
  std::fflush(stderr);
  std::_Exit(1);
}

enum Stage : std::size_t { kGrant, kDecode, kClaim, kRenew, kComplete, kWhole, kStages };
constexpr std::array<std::string_view, kStages> kStageNames = {"grant", "decode",   "claim",
                                                               "renew", "complete", "whole"};
enum class Steps { kGrant, kPair, kCycle };

double Micros(SteadyClock::duration d) {
  return std::chrono::duration<double, std::micro>(d).count();
}

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// The measurements of one worker.
struct Figures {
  std::array<std::vector<float>, kStages> micros;
  std::uint64_t asked = 0;
  std::uint64_t nothing = 0;  // answers with status 204

  void Take(Stage stage, SteadyClock::time_point from, SteadyClock::time_point to) {
    micros[stage].push_back(static_cast<float>(Micros(to - from)));
  }
  void Merge(const Figures& other) {
    for (std::size_t i = 0; i < kStages; ++i) {
      micros[i].insert(micros[i].end(), other.micros[i].begin(), other.micros[i].end());
    }
    asked += other.asked;
    nothing += other.nothing;
  }
};

struct Execution {
  std::string id;
  std::atomic<std::uint32_t> claimed{0};
  std::atomic<std::uint32_t> completed{0};
};

// Returns the result that a worker gives an execution.
std::string ResultOf(std::string_view id) { return absl::StrFormat("{\"done\":\"%s\"}", id); }
std::string PayloadOf(std::string_view id) { return absl::StrFormat("{\"do\":\"%s\"}", id); }

class Load {
 public:
  Load() : lane_(Lane()), issuer_(Issuer()), ledger_(Ledger()) {
    valkey::ServerInfo server;
    ErrorDetails details;
    if (const Outcome o = ledger_.Connect(server, &details); !o) Fail("--valkey", o.error, details);
    std::ifstream file(absl::GetFlag(FLAGS_ids));
    for (std::string id; std::getline(file, id);) {
      executions_.push_back(std::make_unique<Execution>());
      executions_.back()->id = id;
      by_id_.emplace(executions_.back()->id, executions_.back().get());
    }
    if (executions_.empty()) Die("--ids: no ids");
  }

  void Run(const std::string& line) {
    const std::vector<std::string> words = absl::StrSplit(line, ' ', absl::SkipEmpty());
    if (words.empty()) return;
    if (words[0] == "create" && words.size() == 3) {
      Create(Number(words[1]), Number(words[2]));
    } else if (words[0] == "closed" && words.size() == 4) {
      Drive(Number(words[1]), Number(words[2]), 0, StepsOf(words[3]));
    } else if (words[0] == "open" && words.size() == 5) {
      Drive(Number(words[1]), Number(words[2]), static_cast<double>(Number(words[3])),
            StepsOf(words[4]));
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
    options.ca_file = absl::GetFlag(FLAGS_ca_file);
    if (const char* const path = std::getenv("FF_API_TOKEN_FILE"); path != nullptr && *path != 0) {
      options.token_file = path;
    } else if (const char* const token = std::getenv("FF_API_TOKEN");
               token != nullptr && *token != 0) {
      options.token_variable = "FF_API_TOKEN";
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
    options.defaults.partitions.num_flow_partitions =
        static_cast<std::uint16_t>(absl::GetFlag(FLAGS_partitions));
    return options;
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

  [[noreturn]] static void Fail(std::string_view what, ClaimError error,
                                const ErrorDetails& details) {
    Die(absl::StrFormat("%s: %s %s", what, ErrorName(error),
                        details.size() > 0 ? details[0] : std::string_view()));
  }
  [[noreturn]] static void Fail(std::string_view what, const IssuerStatus& status) {
    Die(absl::StrFormat("%s: %s %s", what, http::ErrorName(status.error), status.message));
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
    if (begin + count > executions_.size()) Die("--ids has not that many");
    const std::string ns = absl::GetFlag(FLAGS_lane);
    std::atomic<std::size_t> at{begin};
    const SteadyClock::time_point start = SteadyClock::now();
    InThreads(workers, [&](std::size_t) {
      for (std::size_t i = 0; (i = at.fetch_add(1)) < begin + count;) {
        const std::string payload = PayloadOf(executions_[i]->id);
        bool created = false;
        const IssuerStatus status = issuer_.Create({.execution_id = executions_[i]->id,
                                                    .ns = ns,
                                                    .lane_id = lane_.text(),
                                                    .execution_kind = "bench",
                                                    .payload = payload},
                                                   created);
        if (!status) Fail("create", status);
      }
    });
    next_ = begin + count;
    std::printf("{\"count\": %zu, \"seconds\": %.6f}\n", count,
                Micros(SteadyClock::now() - start) * 1e-6);
  }

  // Hands out the executions that a worker may begin, each with its planned moment.
  struct Plan {
    std::vector<SteadyClock::time_point> moments;  // empty for a closed load
    std::size_t count = 0;
    std::atomic<std::size_t> next{0};
    std::atomic<std::int64_t> last_grant{0};  // when a worker last got a grant; for kPatience
  };

  void Drive(std::size_t workers, std::size_t count, double rate, Steps steps) {
    Plan plan;
    plan.count = count;
    std::vector<Figures> figures(workers);
    const double cpu = CpuSeconds();
    const SteadyClock::time_point start = SteadyClock::now();
    plan.last_grant = start.time_since_epoch().count();
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
    InThreads(workers, [&](std::size_t i) { Work(i, plan, steps, figures[i]); });
    const double seconds = Micros(SteadyClock::now() - start) * 1e-6;
    const double used = CpuSeconds() - cpu;
    Figures all;
    for (const Figures& each : figures) all.Merge(each);
    Report(count, seconds, used, all);
  }

  void Work(std::size_t number, Plan& plan, Steps steps, Figures& figures) {
    const std::string worker_id = absl::GetFlag(FLAGS_worker);
    const std::string instance = absl::StrFormat("%s-%d", worker_id, number);
    Worker worker(ledger_, clock_,
                  {.worker_id = worker_id,
                   .worker_instance_id = instance,
                   .lease_ttl_ms = kLeaseTtlMs,
                   .partitions = PartitionConfig{.num_flow_partitions = static_cast<std::uint16_t>(
                                                     absl::GetFlag(FLAGS_partitions))}});
    JsonScratch scratch;
    ClaimGrant grant;
    std::mt19937_64 random(absl::GetFlag(FLAGS_seed) + number);
    for (std::size_t i = 0; (i = plan.next.fetch_add(1)) < plan.count;) {
      SteadyClock::time_point begin = SteadyClock::now();
      if (!plan.moments.empty()) {
        std::this_thread::sleep_until(plan.moments[i]);
        begin = plan.moments[i];
      }
      AskForGrant(worker_id, instance, plan, grant, random, figures);
      Decode(grant.view(), scratch, figures);
      Execution& execution = Mine(grant.view());
      if (steps != Steps::kGrant) Finish(worker, execution, grant.view(), steps, figures);
      figures.Take(kWhole, begin, SteadyClock::now());
    }
  }

  // Asks until there is a grant. The pause after an empty answer is random, and grows.
  void AskForGrant(const std::string& worker_id, const std::string& instance, Plan& plan,
                   ClaimGrant& grant, std::mt19937_64& random, Figures& figures) {
    for (std::int64_t longest = kShortestPauseUs;;
         longest = std::min(2 * longest, kLongestPauseUs)) {
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
        plan.last_grant = to.time_since_epoch().count();
        return;
      }
      if (status.error != IssuerError::kNothingInWindow) Fail("claim", status);
      ++figures.nothing;
      const SteadyClock::duration quiet =
          to.time_since_epoch() - SteadyClock::duration(plan.last_grant.load());
      if (quiet > kPatience) Die("no grant for a minute, though executions are left");
      std::this_thread::sleep_for(std::chrono::microseconds(
          std::uniform_int_distribution<std::int64_t>(longest / 2, longest)(random)));
    }
  }

  // Decodes the body once more, in the form in which the server sends it, to measure how much of
  // the grant's time the decoding takes.
  static void Decode(const ClaimGrantView& grant, JsonScratch& scratch, Figures& figures) {
    std::array<char, 1024> body{};
    const WriteResult written = SerializeClaimGrant(grant, body);
    if (!written) Die("a grant of more than 1024 bytes");
    ClaimGrantView again;
    const SteadyClock::time_point from = SteadyClock::now();
    const bool good = static_cast<bool>(
        ParseClaimGrant(std::string_view(body.data(), written.size), scratch, again));
    figures.Take(kDecode, from, SteadyClock::now());
    if (!good || !(again == grant)) Die("a grant was not read back");
  }

  Execution& Mine(const ClaimGrantView& grant) {
    const auto found = by_id_.find(grant.execution_id.text());
    if (found == by_id_.end()) {
      Die("the lane is not ours alone: a grant for an execution that was not created here");
    }
    return *found->second;
  }

  void Finish(Worker& worker, Execution& execution, const ClaimGrantView& grant, Steps steps,
              Figures& figures) {
    ErrorDetails details;
    SteadyClock::time_point from = SteadyClock::now();
    WorkerClaim claim = worker.ClaimFromGrant(grant, lane_, &details);
    SteadyClock::time_point to = SteadyClock::now();
    figures.Take(kClaim, from, to);
    if (!claim) Fail("claim", claim.error, details);
    if (execution.claimed.fetch_add(1) != 0) Die("an execution was claimed twice");
    if (steps == Steps::kPair) return;
    from = to;
    const RenewOutcome renewed = ledger_.Renew({.execution_id = grant.execution_id,
                                                .attempt_index = claim.lease.attempt_index,
                                                .fence = claim.lease.fence,
                                                .lease_ttl_ms = kLeaseTtlMs},
                                               &details);
    to = SteadyClock::now();
    figures.Take(kRenew, from, to);
    if (!renewed) Fail("renew", renewed.error, details);
    const std::string result = ResultOf(execution.id);
    from = SteadyClock::now();
    const Outcome completed =
        CompleteOnce(ledger_, {.execution_id = grant.execution_id, .fence = claim.lease.fence},
                     result, &details);
    figures.Take(kComplete, from, SteadyClock::now());
    if (!completed) Fail("complete", completed.error, details);
    execution.completed.fetch_add(1);
  }

  // Reads every execution since the last `forget`, and counts those that were completed once and
  // those that have the right result.
  void Verify(std::size_t workers) {
    std::atomic<std::size_t> at{first_};
    std::atomic<std::size_t> once{0};
    std::atomic<std::size_t> equal{0};
    InThreads(workers, [&](std::size_t) {
      std::string result;
      for (std::size_t i = 0; (i = at.fetch_add(1)) < next_;) {
        const Execution& execution = *executions_[i];
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
  std::vector<std::unique_ptr<Execution>> executions_;
  std::unordered_map<std::string_view, Execution*> by_id_;
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
