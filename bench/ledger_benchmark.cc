// SPDX-License-Identifier: Apache-2.0
//
// Times the embedded ledger's claim path, in blocks (ledger_blocks.h) and one claim at a time.
//
// The clock is the ledger's default, CounterClock(). Cases with `clock:system` or `clock:coarse`
// use another clock. The baselines use the same clock as the ledger.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "bench/bench_main.h"
#include "bench/grant_baselines.h"
#include "bench/latencies.h"
#include "bench/ledger_blocks.h"
#include "bench/ledger_history_check.h"
#include "bench/map_ledger.h"
#include "bench/simdjson_grant_reader.h"
#include "bench/tick_clock.h"
#include "ffgrant/json/claim_response.h"
#include "ffgrant/json/json_scratch.h"

namespace ffgrant::bench {
namespace {

// ---- what is timed ----------------------------------------------------------

// Issues a grant, writes it as JSON, reads the JSON back, calls partition(), and claims with the
// grant that was read.
struct Cycle {
  std::shared_ptr<JsonScratch> scratch = std::make_shared<JsonScratch>();

  std::size_t operator()(Fixture<CoreLedger>& fixture, std::size_t begin, std::size_t end) const {
    IssueGrantArgs issue = IssueArgs();
    ClaimArgs claim = LeaseArgs();
    std::array<char, 512> json;
    std::size_t failures = 0;
    for (std::size_t i = begin; i < end; ++i) {
      issue.execution_id = fixture.population()[i];
      const IssueOutcome issued = fixture.ledger().IssueClaimGrant(issue);
      const IssuedGrant grant(issue.execution_id, issued.expires_at);
      const WriteResult written = SerializeClaimGrant(grant.view(), json);
      ClaimGrantView read;
      const GrantJsonResult parsed = ParseClaimGrant({json.data(), written.size}, *scratch, read);
      const PartitionKeyResult partition = read.partition();
      SetExecution(read.execution_id, claim);
      const ClaimOutcome claimed = fixture.ledger().Claim(claim);
      failures += !issued || !written || !parsed || !partition || !claimed;
    }
    return failures;
  }
};

// Does what Cycle does, with the plain baselines, but claims with the population's id instead of
// the one that was read.
struct PlainCycle {
  std::shared_ptr<plain::SimdjsonGrantReader> reader =
      std::make_shared<plain::SimdjsonGrantReader>();

  std::size_t operator()(Fixture<MapLedger<StringKey>>& fixture, std::size_t begin,
                         std::size_t end) const {
    IssueGrantArgs issue = IssueArgs();
    ClaimArgs claim = LeaseArgs();
    std::string grant_key;
    std::string json;
    json.reserve(1024);  // leaves room for simdjson's padding
    std::size_t failures = 0;
    for (std::size_t i = begin; i < end; ++i) {
      const ExecutionIdView& id = fixture.population()[i];
      issue.execution_id = id;
      const IssueOutcome issued = fixture.ledger().IssueClaimGrant(issue);
      std::array<char, kMaxPartitionTagSize> tag;
      const std::size_t tag_size = plain::FormatPartitionKeyToChars(id.partition(), tag.data());
      grant_key.clear();
      plain::AppendGrantKey(id.partition(), id.text(), grant_key);
      json.clear();
      plain::AppendGrantJson({id.text(),
                              {tag.data(), tag_size},
                              grant_key,
                              static_cast<std::uint64_t>(issued.expires_at.value)},
                             json);
      plain::TypedGrant read;
      const bool parsed = reader->ReadTyped(json, read);
      SetExecution(id, claim);
      const ClaimOutcome claimed = fixture.ledger().Claim(claim);
      failures += !issued || !parsed || read.execution_id.uuid != id.uuid() || !claimed;
    }
    return failures;
  }
};

// ---- cases with a loop of their own -----------------------------------------

// Times ClaimForWorker(), which chooses an execution, and the claim of this execution. At most half
// of the executions are claimed before they are created again, so that the ledger always has
// executions to choose from.
void RunClaimForWorker(benchmark::State& state, std::size_t live, const Clock& clock,
                       Rendezvous& threads) {
  Fixture<CoreLedger>& fixture = Fixture<CoreLedger>::Of(live, clock);
  MemoryLedger& ledger = fixture.ledger().ledger();
  const std::size_t block = BlockSize(kBlock, state, live / 2);
  // Each thread acts as another worker instance, so each thread begins its rounds of the partitions
  // at another partition.
  const std::string instance = "worker-1-" + std::to_string(state.thread_index());
  ClaimForWorkerArgs choose;
  choose.worker = {kWorker.worker_id, {instance}};
  choose.lane = LaneIdView::Unchecked(kLane);
  choose.grant_ttl_ms = kGrantTtlMs;
  std::vector<MintedExecutionId> taken;
  taken.reserve(block);
  BlockTimer timer(threads);
  while (state.KeepRunningBatch(static_cast<benchmark::IterationCount>(block))) {
    timer.Run(state, [&] {
      ClaimArgs claim = LeaseArgs();
      std::size_t failures = 0;
      for (std::size_t i = 0; i < block; ++i) {
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
    for (const MintedExecutionId& id : taken) fixture.Rearm(id.view());
    taken.clear();
  }
  timer.Report(state);
}

// Times single claims one by one. The grants were issued before, in another order. With a million
// live executions a claim therefore mostly finds its execution outside the caches. The time that is
// reported includes reading the timer.
template <class Ledger>
void RunLatency(benchmark::State& state, std::size_t live, const Clock& clock,
                Rendezvous& threads) {
  Fixture<Ledger>& fixture = Fixture<Ledger>::Of(live, clock);
  const Range range = ThreadRange(state, live);
  const std::size_t block = BlockSize(kLatencySample, state, live);
  const std::size_t blocks = (kLatencySample + block - 1) / block;
  std::vector<std::size_t> order(block);
  for (std::size_t i = 0; i < block; ++i) order[i] = range.begin + i;
  Random random(13);
  Shuffle(order, random);
  std::vector<std::uint32_t> ticks;
  ticks.reserve(8 * blocks * block);
  const double ns_per_tick = NanosecondsPerTick();
  TimerOverheadNs();
  IssueGrantArgs issue = IssueArgs();
  ClaimArgs claim = LeaseArgs();
  bool failed = false;
  while (state.KeepRunningBatch(static_cast<benchmark::IterationCount>(blocks * block))) {
    std::uint64_t total = 0;
    for (std::size_t b = 0; b < blocks; ++b) {
      for (std::size_t i = range.begin; i < range.begin + block; ++i) {
        issue.execution_id = fixture.population()[i];
        failed |= !fixture.ledger().IssueClaimGrant(issue);
      }
      threads.Wait();
      for (const std::size_t i : order) {
        SetExecution(fixture.population()[i], claim);
        const std::uint64_t before = TicksBefore();
        const ClaimOutcome claimed = fixture.ledger().Claim(claim);
        const std::uint64_t elapsed = TicksAfter() - before;
        failed |= !claimed;
        total += elapsed;
        ticks.push_back(ShortTicks(elapsed));
      }
      threads.Wait();
      fixture.Rearm(range.begin, range.begin + block);
    }
    state.SetIterationTime(static_cast<double>(total) * ns_per_tick * 1e-9);
  }
  if (failed) state.SkipWithError("a call failed that must succeed");
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()));
  ReportPercentiles(state, ticks);
}

// Makes the calls that Pairs makes, for a thousand workers in turn.
struct PairsOfManyWorkers {
  static constexpr std::size_t kWorkers = 1000;
  struct Names {
    std::vector<std::string> ids;
    std::vector<std::string> instances;
    Names() {
      for (std::size_t i = 0; i < kWorkers; ++i) {
        ids.push_back("worker-" + std::to_string(i));
        instances.push_back(ids.back() + "-a");
      }
    }
  };
  template <class Ledger>
  std::size_t operator()(Fixture<Ledger>& fixture, std::size_t begin, std::size_t end) const {
    static const Names names;
    IssueGrantArgs issue = IssueArgs();
    ClaimArgs claim = LeaseArgs();
    std::size_t failures = 0;
    for (std::size_t i = begin; i < end; ++i) {
      const std::size_t worker = i * 389 % kWorkers;  // visits all workers, in large steps
      issue.worker = {{names.ids[worker]}, {names.instances[worker]}};
      claim.worker = issue.worker;
      issue.execution_id = fixture.population()[i];
      SetExecution(fixture.population()[i], claim);
      const IssueOutcome issued = fixture.ledger().IssueClaimGrant(issue);
      const ClaimOutcome claimed = fixture.ledger().Claim(claim);
      failures += !issued || !claimed;
    }
    return failures;
  }
};

// ---- registration -----------------------------------------------------------

// Cases of one ledger are registered together, since they share its fixture.
void RegisterLive(std::size_t live, const NamedClock& clock) {
  for (const int threads : {1, 2}) {
    RegisterBlocks<CoreLedger, Pairs>("ClaimPairs_Ledger", live, clock, threads);
    RegisterBlocks<CoreLedger, BatchedPairs>("ClaimPairs_LedgerBatch", live, clock, threads);
    RegisterBlocks<CoreLedger, Cycle>("ClaimCycle_Ledger", live, clock, threads);
    Register("ClaimForWorker_Ledger", live, clock, threads, RunClaimForWorker);
    Register("ClaimLatency_Ledger", live, clock, threads, RunLatency<CoreLedger>);
  }
  const NamedClock many = {"/workers:1000", clock.clock};
  RegisterBlocks<CoreLedger, PairsOfManyWorkers>("ClaimPairs_Ledger", live, many, 1);
  for (const int threads : {1, 2}) {
    RegisterBlocks<MapLedger<UuidKey>, Pairs>("ClaimPairs_AbslMapUuid", live, clock, threads);
  }
  RegisterBlocks<MapLedger<UuidKey>, PairsOfManyWorkers>("ClaimPairs_AbslMapUuid", live, many, 1);
  for (const int threads : {1, 2}) {
    RegisterBlocks<MapLedger<StringKey>, Pairs>("ClaimPairs_AbslMapString", live, clock, threads);
    RegisterBlocks<MapLedger<StringKey>, PlainCycle>("ClaimCycle_Plain", live, clock, threads);
  }
  RegisterBlocks<MapLedger<StringKey>, PairsOfManyWorkers>("ClaimPairs_AbslMapString", live, many,
                                                           1);
  Register("ClaimLatency_AbslMapString", live, clock, 1, RunLatency<MapLedger<StringKey>>);
}

// Registers a few cases, with one thread, that show what the clock costs.
void RegisterOtherClock(std::size_t live, const NamedClock& clock) {
  RegisterBlocks<CoreLedger, Pairs>("ClaimPairs_Ledger", live, clock, 1);
  RegisterBlocks<CoreLedger, BatchedPairs>("ClaimPairs_LedgerBatch", live, clock, 1);
  RegisterBlocks<CoreLedger, Cycle>("ClaimCycle_Ledger", live, clock, 1);
  RegisterBlocks<MapLedger<UuidKey>, Pairs>("ClaimPairs_AbslMapUuid", live, clock, 1);
  RegisterBlocks<MapLedger<StringKey>, Pairs>("ClaimPairs_AbslMapString", live, clock, 1);
}

void RegisterAll() {
  for (const std::size_t live : {std::size_t{1000}, std::size_t{1'000'000}}) {
    RegisterLive(live, {"", &CounterClock()});
    RegisterOtherClock(live, {"/clock:system", &SystemClock()});
    RegisterOtherClock(live, {"/clock:coarse", &CoarseClock()});
  }
  // With 1,000 live executions and two threads, a block has 500 claims and lasts 15 us. In much of
  // this time a thread waits for cache lines that the other thread wrote between the blocks. These
  // cases show how much two threads gain in longer blocks.
  for (const std::size_t live : {std::size_t{4096}, std::size_t{16384}}) {
    for (const int threads : {1, 2}) {
      const NamedClock clock = {"", &CounterClock()};
      RegisterBlocks<CoreLedger, Pairs>("ClaimPairs_Ledger", live, clock, threads);
    }
  }
  // These cases take about 4 GB and half a minute, so they run only if scripts/bench --ten-million
  // asks for them.
  if (std::getenv("FFGRANT_BENCH_TEN_MILLION") != nullptr) {
    constexpr std::size_t kLive = 10'000'000;
    const NamedClock clock = {"", &CounterClock()};
    RegisterBlocks<CoreLedger, Pairs>("ClaimPairs_Ledger", kLive, clock, 1);
    RegisterBlocks<CoreLedger, BatchedPairs>("ClaimPairs_LedgerBatch", kLive, clock, 1);
    RegisterBlocks<MapLedger<UuidKey>, Pairs>("ClaimPairs_AbslMapUuid", kLive, clock, 1);
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
  });
}
