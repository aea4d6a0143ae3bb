// SPDX-License-Identifier: Apache-2.0
//
// Measures what the embedded ledger costs with many lanes, with many required capabilities, with
// many different sets of capabilities, with a text in each grant, and with more threads than cores.
// It also measures the memory that an execution takes. ledger_benchmark.cc has one lane and no
// requirements.

#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "bench/bench_main.h"
#include "bench/latencies.h"
#include "bench/ledger_blocks.h"
#include "bench/ledger_history_check.h"
#include "bench/map_ledger.h"

namespace ffgrant::bench {
namespace {

constexpr std::size_t kLive = 65536;

struct Shape {
  std::size_t lanes = 1;
  std::size_t capabilities = 0;  // required by each execution, offered by the worker
  bool has_texts = false;        // each grant has a different opaque text
};

// The texts and the arguments of a shape's calls.
class ShapedCalls {
 public:
  explicit ShapedCalls(const Shape& shape) : shape_(shape) {
    for (std::size_t i = 0; i < shape.lanes; ++i) lanes_.push_back("lane-" + std::to_string(i));
    std::vector<std::string> tokens;
    for (std::size_t i = 0; i < shape.capabilities; ++i) {
      tokens.push_back("capability-" + std::to_string(10 + i));
    }
    const std::vector<std::string_view> views(tokens.begin(), tokens.end());
    SelfCheck(required_.AssignRequired(views) == CapabilityError::kNone &&
                  offered_.AssignOffered(views) == CapabilityError::kNone,
              "capabilities are refused", "");
    if (shape.has_texts) {
      for (std::size_t i = 0; i < kLive; ++i) {
        texts_.push_back("{\"route\":\"route-" + std::to_string(i) + "\"}");
      }
    }
  }

  LaneIdView LaneOf(std::size_t i) const {
    return LaneIdView::Unchecked(lanes_[i % lanes_.size()]);
  }
  CreateExecutionArgs CreateArgs(std::size_t i) const {
    CreateExecutionArgs args;
    args.lane = LaneOf(i);
    if (shape_.capabilities > 0) args.required = &required_;
    return args;
  }
  void SetIssue(std::size_t i, IssueGrantArgs& args) const {
    args.lane = LaneOf(i);
    if (shape_.capabilities > 0) args.offered = &offered_;
    if (shape_.has_texts) args.route_snapshot_json = texts_[i];
  }

  static MemoryLedgerOptions Options(std::size_t live, const Clock& clock) {
    MemoryLedgerOptions options = CoreLedger::Options(live, clock);
    options.max_text_bytes = live * 240;
    return options;
  }

 private:
  Shape shape_;
  std::vector<std::string> lanes_;
  CapabilitySet required_;
  CapabilitySet offered_;
  std::vector<std::string> texts_;
};

// Executions of one shape that wait to be claimed.
template <class Ledger>
class ShapedFixture {
 public:
  ShapedFixture(const Shape& shape, const Population& population, const Clock& clock)
      : calls_(shape), population_(population), ledger_(Make(population.size(), clock)) {
    for (const std::uint32_t i : population.creation_order()) Create(i);
  }

  Ledger& ledger() { return *ledger_; }
  const Population& population() const { return population_; }
  const ShapedCalls& calls() const { return calls_; }

  void Create(std::size_t i) {
    CreateExecutionArgs args = calls_.CreateArgs(i);
    args.execution_id = population_[i];
    SelfCheck(static_cast<bool>(ledger_->CreateExecution(args)), "an execution can't be created",
              population_[i].text());
  }
  void Rearm(std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      const ExecutionIdView& id = population_[i];
      const LeaseFence fence = {LeaseIdOf(id), LeaseEpoch{1}, AttemptIdOf(id)};
      SelfCheck(ledger_->Complete(id, fence) && ledger_->Forget(id),
                "an execution can't be completed and forgotten", id.text());
      Create(i);
    }
  }

 private:
  static std::unique_ptr<Ledger> Make(std::size_t live, const Clock& clock) {
    if constexpr (std::is_same_v<Ledger, CoreLedger>) {
      return std::make_unique<Ledger>(ShapedCalls::Options(live, clock));
    } else {
      return std::make_unique<Ledger>(live, clock);
    }
  }

  const ShapedCalls calls_;
  const Population& population_;
  std::unique_ptr<Ledger> ledger_;
};

// Checks that `Ledger` refuses the calls that it must refuse: a ledger that checked nothing would
// be fast in every shape.
template <class Ledger>
void CheckRefusals(std::string_view name) {
  ManualClock clock(TimestampMs{1'700'000'000'000});
  const Population population(64);
  ShapedFixture<Ledger> fixture({.lanes = 4, .capabilities = 32, .has_texts = true}, population,
                                clock);
  IssueGrantArgs args = IssueArgs();
  for (std::size_t i = 0; i < population.size(); ++i) {
    args.execution_id = population[i];
    fixture.calls().SetIssue(i + 1, args);
    SelfCheck(
        fixture.ledger().IssueClaimGrant(args).error == ClaimError::kExecutionNotInEligibleSet,
        "a grant is issued in another lane", name);
    fixture.calls().SetIssue(i, args);
    CapabilitySet fewer;
    const std::string_view all = args.offered->csv();
    SelfCheck(fewer.AssignOfferedCsv(all.substr(all.find(',') + 1)) == CapabilityError::kNone,
              "capabilities are refused", name);
    args.offered = &fewer;
    SelfCheck(fixture.ledger().IssueClaimGrant(args).error == ClaimError::kCapabilityMismatch,
              "a grant is issued without a capability", name);
    fixture.calls().SetIssue(i, args);
    SelfCheck(static_cast<bool>(fixture.ledger().IssueClaimGrant(args)), "a grant is not issued",
              name);
    SelfCheck(fixture.ledger().IssueClaimGrant(args).error == ClaimError::kGrantAlreadyExists,
              "a grant is issued twice", name);
  }
}

// Times grants, or grants and claims.
template <class Ledger, bool claims>
void RunShape(benchmark::State& state, const Shape& shape) {
  ShapedFixture<Ledger> fixture(shape, Population::Of(kLive), CounterClock());
  Rendezvous alone(1);
  BlockTimer timer(alone);
  constexpr std::size_t kShapeBlock = 16384;
  std::size_t next = 0;
  while (state.KeepRunningBatch(static_cast<benchmark::IterationCount>(kShapeBlock))) {
    const std::size_t end = next + kShapeBlock;
    IssueGrantArgs issue = IssueArgs();
    ClaimArgs claim = LeaseArgs();
    const auto claim_one = [&](std::size_t i) {
      claim.lane = fixture.calls().LaneOf(i);
      SetExecution(fixture.population()[i], claim);
      return static_cast<bool>(fixture.ledger().Claim(claim));
    };
    std::size_t failures = 0;
    timer.Run(state, [&] {
      std::size_t failed = 0;
      for (std::size_t i = next; i < end; ++i) {
        issue.execution_id = fixture.population()[i];
        fixture.calls().SetIssue(i, issue);
        failed += !fixture.ledger().IssueClaimGrant(issue);
        if constexpr (claims) failed += !claim_one(i);
      }
      return failed;
    });
    if constexpr (!claims) {
      for (std::size_t i = next; i < end; ++i) failures += !claim_one(i);
    }
    SelfCheck(failures == 0, "an execution can't be claimed", "");
    fixture.Rearm(next, end);
    next = end % kLive;
  }
  timer.Report(state);
}

// Times ClaimForWorker() and the claim in a single partition, where equally many executions have
// each of `sets` requirements. The worker has up to 32 of the required capabilities.
void RunRequirementSets(benchmark::State& state, std::size_t sets) {
  constexpr std::size_t kHave = 32;
  constexpr std::size_t kExecutions = 16384;
  MemoryLedgerOptions options = CoreLedger::Options(kExecutions, CounterClock());
  options.partitions.num_flow_partitions = 1;
  MemoryLedger ledger(options);
  std::vector<CapabilitySet> required(sets);
  std::vector<std::string> tokens;
  for (std::size_t i = 0; i < sets; ++i) tokens.push_back("capability-" + std::to_string(1000 + i));
  std::string offered_csv;
  for (std::size_t i = 0; i < sets; ++i) {
    const std::array<std::string_view, 1> token = {tokens[i]};
    SelfCheck(required[i].AssignRequired(token) == CapabilityError::kNone,
              "a capability is refused", tokens[i]);
    if (i % std::max<std::size_t>(sets / kHave, 1) == 0) {
      offered_csv += (offered_csv.empty() ? "" : ",") + tokens[i];
    }
  }
  CapabilitySet offered;
  SelfCheck(offered.AssignOfferedCsv(offered_csv) == CapabilityError::kNone,
            "capabilities are refused", offered_csv);
  Random random(17);
  const auto create = [&](const ExecutionIdView& id, std::size_t set) {
    CreateExecutionArgs args;
    args.execution_id = id;
    args.lane = LaneIdView::Unchecked(kLane);
    args.required = &required[set];
    SelfCheck(static_cast<bool>(ledger.CreateExecution(args)), "an execution can't be created",
              id.text());
  };
  std::vector<MintedExecutionId> ids;
  for (std::size_t i = 0; i < kExecutions; ++i) {
    ids.emplace_back(std::uint16_t{0}, random.NextUuid());
    create(ids.back().view(), i % sets);
  }
  const auto set_of = [&](const ExecutionIdView& id) {
    const auto names = ledger.InspectNames(id);
    for (std::size_t i = 0; i < sets; ++i) {
      if (names && names->required_capabilities == tokens[i]) return i;
    }
    SelfCheckFailed("an execution without its requirements", id.text());
  };
  ClaimForWorkerArgs choose;
  choose.worker = kWorker;
  choose.lane = LaneIdView::Unchecked(kLane);
  choose.grant_ttl_ms = kGrantTtlMs;
  choose.offered = &offered;
  constexpr std::size_t kChoices = 512;
  std::vector<MintedExecutionId> taken;
  Rendezvous alone(1);
  BlockTimer timer(alone);
  while (state.KeepRunningBatch(static_cast<benchmark::IterationCount>(kChoices))) {
    taken.reserve(kChoices);
    timer.Run(state, [&] {
      ClaimArgs claim = LeaseArgs();
      std::size_t failures = 0;
      for (std::size_t i = 0; i < kChoices; ++i) {
        const ClaimForWorkerOutcome chosen = ledger.ClaimForWorker(choose);
        if (!chosen) {
          ++failures;
          continue;
        }
        const ExecutionIdView id = chosen.grant.view().execution_id;
        SetExecution(id, claim);
        failures += !ledger.Claim(claim, nullptr);
        taken.emplace_back(id.partition().index, id.uuid());
      }
      return failures;
    });
    for (const MintedExecutionId& minted : taken) {
      const ExecutionIdView id = minted.view();
      const std::size_t set = set_of(id);
      SelfCheck(offered_csv.find(tokens[set]) != std::string::npos,
                "a worker is given what it has no capability for", id.text());
      const LeaseFence fence = {LeaseIdOf(id), LeaseEpoch{1}, AttemptIdOf(id)};
      SelfCheck(ledger.Complete({id, fence}, nullptr) && ledger.Forget(id),
                "an execution can't be completed and forgotten", id.text());
      create(id, set);
    }
    taken.clear();
  }
  timer.Report(state);
}

// All threads of a crowd make this many claims together. The number is the same in each row,
// because the longest of many calls tends to be longer than the longest of few.
constexpr std::size_t kCrowdClaims = 16 * kLive;

// What the threads of RunCrowd() share. RunCrowd() times single claims in threads that may
// outnumber the cores. The calls of all threads form one sample: if a thread loses its core while
// it holds a lock, the calls that wait for this lock show in the last quantile and as the longest
// call.
template <class Ledger>
struct Crowd {
  std::mutex mutex;
  std::optional<Fixture<Ledger>> fixture;
  std::vector<std::uint32_t> ticks;
};

template <class Ledger>
void RunCrowd(benchmark::State& state, Crowd<Ledger>& crowd, Rendezvous& threads) {
  const Population& population = [&]() -> const Population& {
    const std::lock_guard lock(crowd.mutex);
    if (!crowd.fixture) crowd.fixture.emplace(Population::Of(kLive), CounterClock());
    return crowd.fixture->population();
  }();
  Fixture<Ledger>& fixture = *crowd.fixture;
  const Range range = ThreadRange(state, kLive);
  std::vector<std::size_t> order;
  for (std::size_t i = range.begin; i < range.end; ++i) order.push_back(i);
  Random random(static_cast<std::uint64_t>(state.thread_index()) + 1);
  Shuffle(order, random);
  std::vector<std::uint32_t> mine;
  const double ns_per_tick = NanosecondsPerTick();
  IssueGrantArgs issue = IssueArgs();
  ClaimArgs claim = LeaseArgs();
  bool failed = false;
  while (state.KeepRunningBatch(static_cast<benchmark::IterationCount>(2 * order.size()))) {
    std::uint64_t total = 0;
    for (int pass = 0; pass < 2; ++pass) {
      for (const std::size_t i : order) {
        issue.execution_id = population[i];
        failed |= !fixture.ledger().IssueClaimGrant(issue);
      }
      threads.Wait();
      for (const std::size_t i : order) {
        SetExecution(population[i], claim);
        const std::uint64_t before = TicksBefore();
        const ClaimOutcome claimed = fixture.ledger().Claim(claim);
        const std::uint64_t elapsed = TicksAfter() - before;
        failed |= !claimed;
        total += elapsed;
        mine.push_back(ShortTicks(elapsed));
      }
      threads.Wait();
      fixture.Rearm(range.begin, range.end);
    }
    state.SetIterationTime(static_cast<double>(total) * ns_per_tick * 1e-9);
  }
  if (failed) state.SkipWithError("a call failed that must succeed");
  {
    const std::lock_guard lock(crowd.mutex);
    crowd.ticks.insert(crowd.ticks.end(), mine.begin(), mine.end());
  }
  threads.Wait();
  if (state.thread_index() != 0) return;
  std::vector<std::uint32_t>& all = crowd.ticks;
  std::sort(all.begin(), all.end());
  // Google Benchmark adds up the counters of all threads, so only this thread sets any.
  state.counters["p50_ns"] = Percentile(all, 0.50);
  state.counters["p99_ns"] = Percentile(all, 0.99);
  state.counters["p999_ns"] = Percentile(all, 0.999);
  state.counters["p9999_ns"] = Percentile(all, 0.9999);
  state.counters["longest_ns"] = Percentile(all, 1);
  state.counters["samples"] = static_cast<double>(all.size());
  all.clear();
  crowd.fixture.reset();
}

// Returns how many bytes of memory this process has in use, as the system counts them.
std::size_t ResidentBytes() {
  malloc_trim(0);
  std::size_t pages = 0;
  std::FILE* const file = std::fopen("/proc/self/statm", "r");
  const bool was_read = file != nullptr && std::fscanf(file, "%*s %zu", &pages) == 1;
  if (file != nullptr) std::fclose(file);
  SelfCheck(was_read, "the system does not say how much memory is in use", "/proc/self/statm");
  return pages * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

// Measures how much memory each execution of a full ledger takes. The ledger's empty tables are
// included.
template <class Ledger>
void RunMemory(benchmark::State& state, std::size_t live) {
  const Population& population = Population::Of(live);
  for (auto _ : state) {
    const std::size_t before = ResidentBytes();
    const double start = ThreadSeconds();
    const Fixture<Ledger> fixture(population, CounterClock());
    state.SetIterationTime(ThreadSeconds() - start);
    state.counters["bytes_per_execution"] =
        static_cast<double>(ResidentBytes() - before) / static_cast<double>(live);
  }
}

// ---- registration -----------------------------------------------------------

const std::string kLiveCase = "/live:" + std::to_string(kLive);

void Register(const std::string& name, void (*run)(benchmark::State&, const Shape&),
              const Shape& shape) {
  benchmark::RegisterBenchmark(("BM_" + name).c_str(), [=](benchmark::State& state) {
    run(state, shape);
  })->UseManualTime();
}

void RegisterShape(const std::string& op, const std::string& what, const Shape& shape,
                   bool claims) {
  const std::string shape_case = kLiveCase + "/" + what;
  Register(op + "_Ledger" + shape_case,
           claims ? RunShape<CoreLedger, true> : RunShape<CoreLedger, false>, shape);
  // The map's grants have no texts, so a comparison would give the map less work.
  if (shape.has_texts) return;
  Register(op + "_AbslMapUuid" + shape_case,
           claims ? RunShape<MapLedger<UuidKey>, true> : RunShape<MapLedger<UuidKey>, false>,
           shape);
  Register(op + "_AbslMapString" + shape_case,
           claims ? RunShape<MapLedger<StringKey>, true> : RunShape<MapLedger<StringKey>, false>,
           shape);
}

template <class Ledger>
void RegisterCrowd(const std::string& impl, int threads) {
  const auto crowd = std::make_shared<Crowd<Ledger>>();
  const auto together = std::make_shared<Rendezvous>(threads);
  benchmark::RegisterBenchmark(
      ("BM_ClaimLatency_" + impl + kLiveCase).c_str(),
      [=](benchmark::State& state) { RunCrowd<Ledger>(state, *crowd, *together); })
      ->UseManualTime()
      ->Iterations(static_cast<benchmark::IterationCount>(kCrowdClaims) / threads)
      ->Threads(threads);
}

template <class Ledger>
void RegisterMemory(const std::string& impl, std::size_t live) {
  benchmark::RegisterBenchmark(
      ("BM_LedgerMemory_" + impl + "/live:" + std::to_string(live)).c_str(),
      [=](benchmark::State& state) { RunMemory<Ledger>(state, live); })
      ->UseManualTime()
      ->Iterations(1)
      ->Repetitions(1);
}

void RegisterAll() {
  for (const std::size_t lanes : {1, 8, 64}) {
    RegisterShape("ClaimPairs", "lanes:" + std::to_string(lanes), {.lanes = lanes}, true);
  }
  for (const std::size_t capabilities : {0, 8, 32}) {
    RegisterShape("IssueGrant", "capabilities:" + std::to_string(capabilities),
                  {.capabilities = capabilities}, false);
  }
  RegisterShape("IssueGrant", "a_text_in_each", {.has_texts = true}, false);
  for (const std::size_t sets : {1, 32, 512}) {
    benchmark::RegisterBenchmark(
        ("BM_ClaimForWorker_Ledger/live:16384/sets_in_a_partition:" + std::to_string(sets)).c_str(),
        [=](benchmark::State& state) { RunRequirementSets(state, sets); })
        ->UseManualTime();
  }
  for (const int threads : {2, 16, 64}) {
    RegisterCrowd<CoreLedger>("Ledger", threads);
    RegisterCrowd<MapLedger<UuidKey>>("AbslMapUuid", threads);
    RegisterCrowd<MapLedger<StringKey>>("AbslMapString", threads);
  }
  for (const std::size_t live : {std::size_t{1000}, kLive, std::size_t{1'000'000}}) {
    RegisterMemory<CoreLedger>("Ledger", live);
    RegisterMemory<MapLedger<UuidKey>>("AbslMapUuid", live);
    RegisterMemory<MapLedger<StringKey>>("AbslMapString", live);
  }
}

}  // namespace
}  // namespace ffgrant::bench

int main(int argc, char** argv) {
  using namespace ffgrant::bench;
  RegisterAll();
  return RunBenchmarks(argc, argv, [] {
    CheckLedgerAgainstCore<MapLedger<StringKey>>("the map by text");
    CheckLedgerAgainstCore<MapLedger<UuidKey>>("the map by uuid");
    CheckRefusals<CoreLedger>("the ledger");
    CheckRefusals<MapLedger<StringKey>>("the map by text");
    CheckRefusals<MapLedger<UuidKey>>("the map by uuid");
  });
}
