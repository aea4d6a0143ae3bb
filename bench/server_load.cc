// SPDX-License-Identifier: Apache-2.0
//
// Puts load on a running server. The caller writes commands line by line to the program's standard
// input, and so can look at the server between two loads. server_url.h describes --server and where
// the password comes from. The commands are:
//
//   closed DEPTH COUNT STEP...   COUNT executions go through the steps, DEPTH of
//                                them at once
//   open RATE COUNT STEP...      the executions begin at random moments, RATE a
//                                second on average, even if the server can't
//                                keep up, until 4096 are under way
//   repeat DEPTH COUNT STEP      makes the step on the first COUNT executions,
//                                even if they had it before; for functions that
//                                change nothing
//   forget                       begins anew, with other executions
//   ids                          lists the ids of the executions so far, one a line, then "."
//
// STEP is create, issue, claim, fused or complete. Except for create, STEP may also name a server
// function that is called instead of the step's own function: claim:other_function. A load goes on
// with the executions after those that its first step has had, so `closed 64 500 create` comes
// first.
//
// The program answers each load with one line of JSON. The times p50_us to max_us in this line last
// from the moment when an execution was to begin until the answer to its last step. In an open load
// an execution was to begin at its planned moment, however late the call was sent. latest_us says
// how late the latest execution began. If the server answers anything but OK, the program ends with
// status 1.

#include <sys/prctl.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <random>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "ffgrant/lane_id.h"
#include "ffgrant/uuid_generator.h"
#include "ffgrant/valkey/claim_pipeline.h"
#include "ffgrant/valkey/internal/pipeline_functions.h"
#include "ffgrant/valkey/server_url.h"

ABSL_FLAG(std::string, server, "127.0.0.1:6379", "as SetServers() takes it (server_url.h)");
ABSL_FLAG(bool, describe, false, "say what --server means, as JSON, and do nothing else");
ABSL_FLAG(std::string, lane, "bench", "lane of all executions");
ABSL_FLAG(std::uint64_t, seed, 1, "of ids and of the moments of an open load");
ABSL_FLAG(std::uint32_t, partitions, 256, "that the executions are spread over");

namespace ffgrant::bench {
namespace {

using valkey::ClaimPipeline;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kMaxInFlight = 4096;
constexpr std::chrono::microseconds kNap{30};
constexpr std::int64_t kGrantTtlMs = 60'000;
// No run lasts this long, so no lease expires.
constexpr std::int64_t kLeaseTtlMs = 24 * 3'600'000;
constexpr WorkerIdentity kWorker = {{"worker-1"}, {"worker-1-a"}};
constexpr std::string_view kPayload =
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

[[noreturn]] void Die(const std::string& why) {
  std::fprintf(stderr, "server_load: %s\n", why.c_str());
  std::exit(1);
}

// Reads --server, and from the environment the password and the TLS files.
valkey::ClientOptions Where() {
  valkey::ClientOptions options;
  std::string problem = valkey::SetServers(absl::GetFlag(FLAGS_server), options);
  if (problem.empty()) problem = valkey::SetPasswordFromEnvironment(options);
  if (problem.empty()) problem = valkey::SetTlsFromEnvironment(options);
  if (!problem.empty()) Die(problem);
  return options;
}

// Returns the text as a JSON string.
std::string Quoted(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte >= 0x7f || c == '"' || c == '\\') {
      absl::StrAppendFormat(&quoted, "\\u%04x", byte);  // escapes bytes of a path as Latin-1
    } else {
      quoted += c;
    }
  }
  return quoted + "\"";
}

// Tells the caller which servers are used, so that the caller can use them too. The password is
// never printed.
void Describe() {
  const valkey::ClientOptions options = Where();
  std::string servers;
  for (const valkey::Endpoint& endpoint : options.servers) {
    absl::StrAppendFormat(&servers, "%s{\"host\": %s, \"port\": %d}", servers.empty() ? "" : ", ",
                          Quoted(endpoint.host), endpoint.port);
  }
  std::printf("{\"username\": %s, \"tls\": %s, \"servers\": [%s]}\n",
              Quoted(options.username).c_str(), options.tls.enabled ? "true" : "false",
              servers.c_str());
}

double Seconds(Clock::duration duration) { return std::chrono::duration<double>(duration).count(); }

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

enum Kind : std::size_t { kCreate, kIssue, kClaim, kFused, kComplete, kKinds };
constexpr std::array<std::string_view, kKinds> kKindNames = {"create", "issue", "claim", "fused",
                                                             "complete"};

struct Step {
  Kind kind = kCreate;
  std::string function;  // if empty, the step's own function
};

struct Execution {
  MintedExecutionId id;
  LeaseId lease_id;
  AttemptId attempt_id;
};

struct Load {
  std::size_t begin = 0;  // the index of the load's first execution
  std::size_t count = 0;
  std::vector<Step> steps;
};

// The moments at which the executions were to begin.
using Moments = std::vector<Clock::time_point>;

class Driver {
 public:
  Driver() : ids_(absl::GetFlag(FLAGS_seed)), random_(absl::GetFlag(FLAGS_seed)), lane_(Lane()) {
    valkey::ClientOptions options = Where();
    options.max_in_flight = kMaxInFlight;
    // A load waits as long as its server takes, and only a fault in the set-up makes a request take
    // a minute.
    options.request_timeout_ms = 60'000;
    pipeline_ = std::make_unique<ClaimPipeline>(options);
  }

  void Run(const std::string& line) {
    const std::vector<std::string> words = absl::StrSplit(line, ' ', absl::SkipEmpty());
    if (words.empty()) return;
    if (words[0] == "forget") return Forget();
    if (words[0] == "ids") return PrintIds();
    double number = 0;
    std::uint32_t count = 0;
    if (words.size() < 4 || !absl::SimpleAtod(words[1], &number) || !(number >= 1) ||
        !absl::SimpleAtoi(words[2], &count) || count == 0) {
      Die("not understood: " + line);
    }
    Load load;
    load.count = count;
    for (std::size_t i = 3; i < words.size(); ++i) load.steps.push_back(ParseStep(words[i]));
    if (words[0] == "open") {
      Take(load);
      return Open(number, load);
    }
    const auto depth = static_cast<std::size_t>(number);
    if (depth > kMaxInFlight) Die("too deep: " + line);
    if (words[0] == "closed") {
      Take(load);
    } else if (words[0] != "repeat" || count > executions_.size()) {
      Die("not understood: " + line);
    }
    Closed(depth, load);
  }

 private:
  static LaneIdView Lane() {
    static const std::string name = absl::GetFlag(FLAGS_lane);
    const LaneIdResult lane = ParseLaneId(name);
    if (!lane) Die("no lane: " + name);
    return lane.lane;
  }

  static Step ParseStep(const std::string& text) {
    const std::pair<std::string, std::string> parts = absl::StrSplit(text, absl::MaxSplits(':', 1));
    const auto* const found = std::find(kKindNames.begin(), kKindNames.end(), parts.first);
    if (found == kKindNames.end()) Die("no step: " + text);
    if (*found == "create" && !parts.second.empty()) Die("create has no other function: " + text);
    return {static_cast<Kind>(found - kKindNames.begin()), parts.second};
  }

  void Forget() {
    executions_.clear();
    next_ = {};
    std::printf("{}\n");
  }

  void PrintIds() const {
    for (const Execution& execution : executions_) {
      std::printf("%.*s\n", static_cast<int>(execution.id.text().size()),
                  execution.id.text().data());
    }
    std::printf(".\n");
  }

  // Gives the load its executions: new ones if its first step is create, else those that its first
  // step takes next.
  void Take(Load& load) {
    if (load.steps[0].kind == kCreate) {
      load.begin = executions_.size();
      for (std::size_t i = 0; i < load.count; ++i) {
        const auto partition =
            static_cast<std::uint16_t>(random_() % absl::GetFlag(FLAGS_partitions));
        executions_.push_back({{partition, ids_.Next()}, {ids_.Next()}, {ids_.Next()}});
      }
    } else {
      load.begin = next_[load.steps[0].kind];
    }
    if (load.begin + load.count > executions_.size()) Die("not that many were created");
    const std::size_t end = load.begin + load.count;
    for (const Step& step : load.steps) {
      next_[step.kind] = end;
      if (step.kind == kFused) next_[kIssue] = next_[kClaim] = end;
      if (step.kind == kClaim) next_[kFused] = end;
    }
  }

  void UseFunction(ClaimPipeline::Call call, const Step& step) noexcept {
    valkey::internal::PipelineFunctions::Use(*pipeline_, call, step.function);
  }

  void Submit(const Load& load, std::size_t number, std::size_t step_number) {
    const Execution& e = executions_[load.begin + number];
    const Step& step = load.steps[step_number];
    const std::uint64_t tag = number * load.steps.size() + step_number;
    const ClaimArgs claim = {.execution_id = e.id.view(),
                             .worker = kWorker,
                             .lane = lane_,
                             .lease_id = e.lease_id,
                             .lease_ttl_ms = kLeaseTtlMs,
                             .attempt_id = e.attempt_id};
    bool taken = false;
    switch (step.kind) {
      case kCreate:
        taken =
            pipeline_->SubmitCreate({.execution_id = e.id.view(), .lane = lane_}, kPayload, tag);
        break;
      case kIssue:
        UseFunction(ClaimPipeline::Call::kIssue, step);
        taken = pipeline_->SubmitIssue({.execution_id = e.id.view(),
                                        .worker = kWorker,
                                        .lane = lane_,
                                        .grant_ttl_ms = kGrantTtlMs},
                                       tag);
        break;
      case kClaim:
        UseFunction(ClaimPipeline::Call::kClaim, step);
        taken = pipeline_->SubmitClaim(claim, tag);
        break;
      case kFused:
        UseFunction(ClaimPipeline::Call::kIssueAndClaim, step);
        taken = pipeline_->SubmitIssueAndClaim(claim, tag);
        break;
      case kComplete:
      case kKinds:
        UseFunction(ClaimPipeline::Call::kComplete, step);
        taken = pipeline_->SubmitComplete(
            {.execution_id = e.id.view(), .fence = LeaseFence{e.lease_id, {1}, e.attempt_id}},
            {.attempt_index = {0}, .lane = lane_, .worker_instance_id = kWorker.worker_instance_id},
            tag);
        break;
    }
    if (!taken) Die("a call was not taken");
  }

  // Takes the completed calls. Submits the next step of each execution that has steps left, and
  // calls `ended(number)` for each execution that has none.
  template <class Ended>
  void Collect(const Load& load, std::int64_t timeout_ms, const Ended& ended) {
    for (const ClaimPipeline::Completion& done : pipeline_->Poll(timeout_ms)) {
      const std::size_t number = done.tag / load.steps.size();
      const std::size_t step = done.tag % load.steps.size();
      if (!done) {
        Die(absl::StrFormat("%s: %s %s", kKindNames[load.steps[step].kind], ErrorName(done.error),
                            pipeline_->last_error()));
      }
      if (step + 1 < load.steps.size()) {
        Submit(load, number, step + 1);
      } else {
        ended(number);
      }
    }
  }

  void Closed(std::size_t depth, const Load& load) {
    Moments begun(load.count);
    std::vector<Clock::duration> took;
    took.reserve(load.count);
    const double cpu = CpuSeconds();
    const Clock::time_point start = Clock::now();
    std::size_t next = 0;
    const auto begin_next = [&] {
      if (next == load.count) return;
      begun[next] = Clock::now();
      Submit(load, next++, 0);
    };
    for (std::size_t i = 0; i < depth; ++i) begin_next();
    while (took.size() < load.count) {
      Collect(load, 1000, [&](std::size_t number) {
        took.push_back(Clock::now() - begun[number]);
        begin_next();
      });
    }
    Report(start, cpu, took, Clock::duration::zero());
  }

  void Open(double rate, const Load& load) {
    std::exponential_distribution<double> gap(rate);
    Moments planned(load.count);
    std::vector<Clock::duration> took;
    took.reserve(load.count);
    const double cpu = CpuSeconds();
    const Clock::time_point start = Clock::now();
    double at = 0;
    for (Clock::time_point& moment : planned) {
      at += gap(random_);
      moment =
          start + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(at));
    }
    Clock::duration latest = Clock::duration::zero();
    std::size_t next = 0;
    while (took.size() < load.count) {
      Clock::time_point now = Clock::now();
      while (next < load.count && planned[next] <= now && next - took.size() < kMaxInFlight) {
        latest = std::max(latest, now - planned[next]);
        Submit(load, next++, 0);
      }
      // Waits for whole milliseconds while the next call is at least two milliseconds away, and
      // naps when it is nearer. A client that spins would take the server's core on a machine with
      // few cores.
      const auto left = next < load.count
                            ? std::chrono::floor<std::chrono::milliseconds>(planned[next] - now)
                            : std::chrono::milliseconds(1000);
      const std::size_t before = took.size();
      Collect(load, std::max<std::int64_t>(0, left.count() - 1),
              [&](std::size_t number) { took.push_back(Clock::now() - planned[number]); });
      if (took.size() == before && left.count() < 2) std::this_thread::sleep_for(kNap);
    }
    Report(start, cpu, took, latest);
  }

  static void Report(Clock::time_point start, double cpu, std::vector<Clock::duration>& took,
                     Clock::duration latest) {
    const double seconds = Seconds(Clock::now() - start);
    const double used = CpuSeconds() - cpu;
    std::sort(took.begin(), took.end());
    const auto quantile = [&](double q) {
      const auto at = static_cast<std::size_t>(q * static_cast<double>(took.size()));
      return Seconds(took[std::min(at, took.size() - 1)]) * 1e6;
    };
    std::printf(
        "{\"count\": %zu, \"seconds\": %.9f, \"client_cpu\": %.6f, \"p50_us\": %.1f, "
        "\"p99_us\": %.1f, \"p999_us\": %.1f, \"max_us\": %.1f, \"latest_us\": %.1f}\n",
        took.size(), seconds, used, quantile(0.5), quantile(0.99), quantile(0.999),
        Seconds(took.back()) * 1e6, Seconds(latest) * 1e6);
  }

  UuidGenerator ids_;
  std::mt19937_64 random_;
  LaneIdView lane_;
  std::unique_ptr<ClaimPipeline> pipeline_;
  std::vector<Execution> executions_;
  std::array<std::size_t, kKinds> next_{};  // where each step goes on
};

}  // namespace
}  // namespace ffgrant::bench

int main(int argc, char** argv) {
  absl::ParseCommandLine(argc, argv);
  prctl(PR_SET_TIMERSLACK, 1UL);  // naps must end on time
  if (absl::GetFlag(FLAGS_describe)) {
    ffgrant::bench::Describe();
    return 0;
  }
  ffgrant::bench::Driver driver;
  std::string line;
  while (std::getline(std::cin, line)) {
    driver.Run(line);
    std::fflush(stdout);
  }
  return 0;
}
