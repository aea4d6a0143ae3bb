// SPDX-License-Identifier: Apache-2.0
//
// Times the claim path in blocks. ledger_benchmark.cc and the ledger's peers share this code.
//
// RunBlocks() claims executions in random order, each execution once in its life. Between the timed
// blocks the claimed executions are completed, forgotten and created again. With several threads,
// each thread has its own part of the executions. Their partitions are random, so that executions
// of different threads share partitions.
//
// The timed blocks of the threads begin together, and no thread goes on before all have ended their
// block. So no block is timed while another thread does untimed work. This needs one core for each
// thread: on a busy machine the blocks may run one after the other.

#ifndef FFGRANT_BENCH_LEDGER_BLOCKS_H_
#define FFGRANT_BENCH_LEDGER_BLOCKS_H_

#include <time.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <barrier>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>

#include "bench/bench_main.h"
#include "bench/population.h"

namespace ffgrant::bench {

inline constexpr std::size_t kBatch = 32;  // scripts/jobs/common/tables.py has this number too
// A block claims at most this many executions. The clock that times the blocks is read only before
// and after a block.
inline constexpr std::size_t kBlock = 32768;

// Lets the threads of a case wait for each other. All of them must call Wait() equally often. The
// threads sleep until the last one has come: a thread that spun would have used up its time slice
// and would lose its core in the timed block. Then the threads spin until all are awake, since
// waking up can take as long as a block of 500 claims.
class Rendezvous {
 public:
  explicit Rendezvous(int threads)
      : threads_(static_cast<std::size_t>(threads)), barrier_(threads) {}

  void Wait() {
    barrier_.arrive_and_wait();
    const std::size_t before = awake_.fetch_add(1, std::memory_order_acq_rel);
    const std::size_t all = (before / threads_ + 1) * threads_;
    for (int spins = 0; awake_.load(std::memory_order_acquire) < all; ++spins) {
      if (spins >= kSpins) std::this_thread::yield();  // the missing thread may get the core
    }
  }

 private:
  static constexpr int kSpins = 2000;

  const std::size_t threads_;
  std::barrier<> barrier_;
  std::atomic<std::size_t> awake_ = 0;
};

struct Range {
  std::size_t begin = 0;
  std::size_t end = 0;
};

inline Range ThreadRange(const benchmark::State& state, std::size_t live) {
  const auto thread = static_cast<std::size_t>(state.thread_index());
  const auto threads = static_cast<std::size_t>(state.threads());
  return {live * thread / threads, live * (thread + 1) / threads};
}

// Returns the same size for each thread, so that all run equally many blocks.
inline std::size_t BlockSize(std::size_t most, const benchmark::State& state, std::size_t live) {
  return std::min(most, live / static_cast<std::size_t>(state.threads()));
}

inline IssueGrantArgs IssueArgs() {
  IssueGrantArgs args;
  args.worker = kWorker;
  args.lane = LaneIdView::Unchecked(kLane);
  args.grant_ttl_ms = kGrantTtlMs;
  return args;
}

inline ClaimArgs LeaseArgs() {
  ClaimArgs args;
  args.worker = kWorker;
  args.lane = LaneIdView::Unchecked(kLane);
  args.lease_ttl_ms = kLeaseTtlMs;
  return args;
}

inline void SetExecution(const ExecutionIdView& id, ClaimArgs& args) {
  args.execution_id = id;
  args.lease_id = LeaseIdOf(id);
  args.attempt_id = AttemptIdOf(id);
}

// Returns the thread's CPU time. In a run with one thread, a busy machine disturbs this time less
// than the wall time.
inline double ThreadSeconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

inline double WallSeconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Times `work`, which all threads do at the same time, and counts its allocations.
class BlockTimer {
 public:
  explicit BlockTimer(Rendezvous& threads) : threads_(threads) {}

  template <class Work>
  void Run(benchmark::State& state, Work work) {
    const auto seconds = state.threads() == 1 ? ThreadSeconds : WallSeconds;
    threads_.Wait();
    const std::size_t before = testing::ThreadAllocations();
    const double start = seconds();
    const std::size_t failures = work();
    const double elapsed = seconds() - start;
    threads_.Wait();
    allocations_ += testing::ThreadAllocations() - before;
    state.SetIterationTime(elapsed);
    failed_ |= failures != 0;
  }
  void Report(benchmark::State& state) const {
    // A failure is reported only at the end: an earlier report would end this thread's loop while
    // the other threads wait for this thread.
    if (failed_) state.SkipWithError("a call failed that must succeed");
    const auto items = static_cast<double>(state.iterations());
    state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()));
    state.counters["allocs_per_op"] = benchmark::Counter(
        items > 0 ? static_cast<double>(allocations_) / items : 0, benchmark::Counter::kAvgThreads);
  }

 private:
  Rendezvous& threads_;
  std::size_t allocations_ = 0;
  bool failed_ = false;
};

// Times `work(fixture, begin, end)`, which claims the executions [begin, end) of the population and
// returns for how many of them a call failed. A run begins with the execution after the last one of
// the run before it, or at the beginning once too few executions are left: if each run began with
// the first executions, these would soon be in the processor's cache, however many other executions
// there are.
template <class Ledger, class Work>
void RunBlocks(benchmark::State& state, std::size_t live, const Clock& clock, Rendezvous& threads,
               Work work) {
  Fixture<Ledger>& fixture = Fixture<Ledger>::Of(live, clock);
  const Range range = ThreadRange(state, live);
  const std::size_t block = BlockSize(kBlock, state, live);
  std::size_t first = std::max(fixture.LastEnd(state.thread_index()), range.begin);
  std::size_t next = first;
  BlockTimer timer(threads);
  while (state.KeepRunningBatch(static_cast<benchmark::IterationCount>(block))) {
    if (next + block > range.end) {
      fixture.Rearm(first, next);
      first = next = range.begin;
    }
    timer.Run(state, [&] { return work(fixture, next, next + block); });
    next += block;
  }
  fixture.Rearm(first, next);
  fixture.SetLastEnd(state.thread_index(), next);
  timer.Report(state);
}

// ---- what is timed ----------------------------------------------------------

struct Pairs {
  template <class Ledger>
  std::size_t operator()(Fixture<Ledger>& fixture, std::size_t begin, std::size_t end) const {
    IssueGrantArgs issue = IssueArgs();
    ClaimArgs claim = LeaseArgs();
    std::size_t failures = 0;
    for (std::size_t i = begin; i < end; ++i) {
      issue.execution_id = fixture.population()[i];
      SetExecution(fixture.population()[i], claim);
      const IssueOutcome issued = fixture.ledger().IssueClaimGrant(issue);
      const ClaimOutcome claimed = fixture.ledger().Claim(claim);
      failures += !issued || !claimed;
    }
    return failures;
  }
};

struct BatchedPairs {
  std::size_t operator()(Fixture<CoreLedger>& fixture, std::size_t begin, std::size_t end) const {
    std::array<IssueGrantArgs, kBatch> issues;
    std::array<ClaimArgs, kBatch> claims;
    std::array<IssueOutcome, kBatch> issued;
    std::array<ClaimOutcome, kBatch> claimed;
    issues.fill(IssueArgs());
    claims.fill(LeaseArgs());
    std::size_t failures = 0;
    for (std::size_t i = begin; i < end; i += kBatch) {
      const std::size_t size = std::min(kBatch, end - i);
      for (std::size_t k = 0; k < size; ++k) {
        issues[k].execution_id = fixture.population()[i + k];
        SetExecution(fixture.population()[i + k], claims[k]);
      }
      MemoryLedger& ledger = fixture.ledger().ledger();
      ledger.IssueClaimGrants({issues.data(), size}, {issued.data(), size});
      ledger.ClaimBatch({claims.data(), size}, {claimed.data(), size});
      for (std::size_t k = 0; k < size; ++k) failures += !issued[k] || !claimed[k];
    }
    return failures;
  }
};

// ---- registration -----------------------------------------------------------

struct NamedClock {
  const char* suffix;  // the end of the case's name, such as /clock:system; may be empty
  const Clock* clock;
};

template <class Run>
void Register(const std::string& name, std::size_t live, const NamedClock& clock, int threads,
              Run run) {
  const std::string full = "BM_" + name + "/live:" + std::to_string(live) + clock.suffix;
  const auto together = std::make_shared<Rendezvous>(threads);
  benchmark::RegisterBenchmark(
      full.c_str(),
      [=, c = clock.clock](benchmark::State& state) { run(state, live, *c, *together); })
      ->UseManualTime()
      ->Threads(threads);
}

template <class Ledger, class Work>
void RegisterBlocks(const std::string& name, std::size_t live, const NamedClock& clock,
                    int threads) {
  Register(name, live, clock, threads,
           [](benchmark::State& state, std::size_t size, const Clock& c, Rendezvous& together) {
             RunBlocks<Ledger>(state, size, c, together, Work());
           });
}

}  // namespace ffgrant::bench

#endif  // FFGRANT_BENCH_LEDGER_BLOCKS_H_
