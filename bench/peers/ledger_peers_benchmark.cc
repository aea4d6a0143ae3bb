// SPDX-License-Identifier: Apache-2.0
//
// Times pairs of issuing and claiming a grant: core's ledger beside a database and concurrent maps
// that keep the same rules. First every ledger is compared with core's by one long random history.
//
// The limit beside each case copies into an array with one record for each execution. It copies to
// the records in a random order, as executions are claimed in a random order. For each execution it
// copies as many bytes as core's ledger touches: two cache lines for the grant, and the same two
// for the claim.

#include <absl/base/config.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bench/ledger_blocks.h"
#include "bench/ledger_history_check.h"
#include "bench/map_ledger.h"
#include "bench/peers/registry.h"
#if FFGRANT_HAVE_SQLITE
#include "bench/peers/sqlite_ledger.h"
#endif
#if FFGRANT_HAVE_TBB
#include <tbb/version.h>

#include "bench/peers/tbb_ledger.h"
#endif

namespace ffgrant::bench::peers {
namespace {

constexpr std::array<std::size_t, 2> kLive = {1000, 1'000'000};

struct alignas(64) CopiedRecord {
  char bytes[128] = {};
};

void RunCopies(benchmark::State& state, std::size_t live, Rendezvous& threads) {
  static std::vector<CopiedRecord> records;
  if (state.thread_index() == 0) records.resize(live);
  threads.Wait();
  const std::span<const std::uint32_t> order = Population::Of(live).creation_order();
  const Range range = ThreadRange(state, live);
  const std::size_t block = BlockSize(kBlock, state, live);
  std::size_t next = range.begin;
  CopiedRecord source;
  BlockTimer timer(threads);
  while (state.KeepRunningBatch(static_cast<benchmark::IterationCount>(block))) {
    if (next + block > range.end) next = range.begin;
    timer.Run(state, [&] {
      for (std::size_t i = next; i < next + block; ++i) {
        for (int call = 0; call < 2; ++call) {
          benchmark::DoNotOptimize(source);
          std::memcpy(&records[order[i]], &source, sizeof source);
          benchmark::DoNotOptimize(records[order[i]]);
        }
      }
      return std::size_t{0};
    });
    next += block;
  }
  timer.Report(state);
}

#if FFGRANT_HAVE_SQLITE
// Makes many pairs in one transaction.
struct TransactionPairs {
  static constexpr std::size_t kPairs = 1024;  // README.md also says this

  std::size_t operator()(Fixture<SqliteLedger>& fixture, std::size_t begin, std::size_t end) const {
    std::size_t failures = 0;
    for (std::size_t i = begin; i < end; i += kPairs) {
      fixture.ledger().Begin();
      failures += Pairs()(fixture, i, std::min(i + kPairs, end));
      fixture.ledger().Commit();
    }
    return failures;
  }
};
#endif

void AddCopies(Registry& registry, std::string_view op, std::size_t live, int threads) {
  const auto together = std::make_shared<Rendezvous>(threads);
  registry.AddThreads(
      op, "Memcpy", "live:" + std::to_string(live),
      [=](benchmark::State& state) { RunCopies(state, live, *together); }, threads);
}

template <class Ledger, class Work>
void Add(Registry& registry, std::string_view op, std::string_view impl, std::size_t live,
         int threads) {
  const auto together = std::make_shared<Rendezvous>(threads);
  registry.AddThreads(
      op, impl, "live:" + std::to_string(live),
      [=](benchmark::State& state) {
        RunBlocks<Ledger>(state, live, CounterClock(), *together, Work());
      },
      threads);
}

// Adds the peers that make one call at a time. SQLite's connection serves only one thread.
void AddPairs(Registry& registry, std::size_t live, int threads) {
  constexpr std::string_view kOp = "ClaimPairs";
  Add<CoreLedger, Pairs>(registry, kOp, "Ledger", live, threads);
  AddCopies(registry, kOp, live, threads);
  Add<MapLedger<UuidKey>, Pairs>(registry, kOp, "AbslMapUuid", live, threads);
  Add<MapLedger<StringKey>, Pairs>(registry, kOp, "AbslMapString", live, threads);
#if FFGRANT_HAVE_TBB
  Add<TbbLedger, Pairs>(registry, kOp, "TbbMap", live, threads);
#endif
#if FFGRANT_HAVE_SQLITE
  if (threads == 1) Add<SqliteLedger, Pairs>(registry, kOp, "Sqlite", live, threads);
#endif
}

// Adds the peers that make many calls in one batch or in one transaction.
void AddBatches(Registry& registry, std::size_t live) {
  constexpr std::string_view kOp = "ClaimPairsBatched";
  Add<CoreLedger, BatchedPairs>(registry, kOp, "Ledger", live, 1);
  AddCopies(registry, kOp, live, 1);
#if FFGRANT_HAVE_SQLITE
  Add<SqliteLedger, TransactionPairs>(registry, kOp, "Sqlite", live, 1);
#endif
}

void AddAll(Registry& registry) {
  registry.AddVersion("Abseil", std::to_string(ABSL_LTS_RELEASE_VERSION));
  registry.AddCheck([] { CheckLedgerAgainstCore<MapLedger<StringKey>>("the map by text"); });
  registry.AddCheck([] { CheckLedgerAgainstCore<MapLedger<UuidKey>>("the map by uuid"); });
#if FFGRANT_HAVE_TBB
  registry.AddVersion("oneTBB", TBB_VERSION_STRING);
  registry.AddCheck([] { CheckLedgerAgainstCore<TbbLedger>("oneTBB's map"); });
#else
  registry.AddLeftOut("oneTBB", "libtbb-dev");
#endif
#if FFGRANT_HAVE_SQLITE
  registry.AddVersion("SQLite", sqlite3_libversion());
  registry.AddCheck([] { CheckLedgerAgainstCore<SqliteLedger>("SQLite"); });
#else
  registry.AddLeftOut("SQLite", "libsqlite3-dev");
#endif
  // Two threads run only with the fewest executions, where the threads meet most often.
  AddPairs(registry, kLive.front(), 2);
  for (const std::size_t live : kLive) {
    AddPairs(registry, live, 1);
    AddBatches(registry, live);
  }
}

}  // namespace
}  // namespace ffgrant::bench::peers

int main(int argc, char** argv) {
  using namespace ffgrant::bench::peers;
  return RunPeers(argc, argv, AddAll);
}
