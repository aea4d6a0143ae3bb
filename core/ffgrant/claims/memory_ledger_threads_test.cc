// SPDX-License-Identifier: Apache-2.0
//
// Several threads make calls on one embedded ledger. In most tests every thread records the answers
// that it got, and the records are checked together when all threads are done.

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <barrier>
#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "ffgrant/claims/clock.h"
#include "ffgrant/claims/memory_ledger.h"
#include "testing/naive/sanitized.h"

namespace ffgrant {
namespace {

constexpr int kThreads = 4;
const LaneIdView kLane = LaneIdView::Unchecked("main");

Uuid UuidOf(std::uint32_t kind, std::uint32_t number) {
  Uuid uuid;
  for (int i = 0; i < 4; ++i) {
    uuid.bytes[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(kind >> (8 * i));
    uuid.bytes[static_cast<std::size_t>(15 - i)] = static_cast<std::uint8_t>(number >> (8 * i));
  }
  return uuid;
}

std::vector<MintedExecutionId> MakeIds(std::uint32_t count, std::uint16_t partitions) {
  std::vector<MintedExecutionId> ids;
  for (std::uint32_t i = 0; i < count; ++i) {
    ids.emplace_back(static_cast<std::uint16_t>(i % partitions), UuidOf(1, i));
  }
  return ids;
}

template <class Body>
void OnThreads(Body body) {
  std::barrier start(kThreads);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&start, &body, t] {
      start.arrive_and_wait();
      body(t);
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
}

// Tells the other threads that a thread has ended. A thread ends when it is done, or by a failed
// assertion, which ends a function.
class Leaving {
 public:
  explicit Leaving(std::atomic<bool>& flag) : flag_(flag) {}
  Leaving(const Leaving&) = delete;
  Leaving& operator=(const Leaving&) = delete;
  ~Leaving() { flag_.store(true); }

 private:
  std::atomic<bool>& flag_;
};

class MemoryLedgerThreadsTest : public ::testing::Test {
 protected:
  static constexpr std::uint16_t kPartitions = 8;

  MemoryLedgerThreadsTest() : ledger_(Options()) {}

  MemoryLedgerOptions Options() {
    MemoryLedgerOptions options;
    options.max_executions = 4096;
    options.max_lanes = 4;
    options.max_names = 256;
    options.max_name_bytes = 16384;
    options.partitions.num_flow_partitions = kPartitions;
    options.clock = &clock_;
    return options;
  }

  void CreateAll(const std::vector<MintedExecutionId>& ids) {
    for (const MintedExecutionId& id : ids) {
      CreateExecutionArgs args;
      args.execution_id = id.view();
      args.lane = kLane;
      ASSERT_TRUE(ledger_.CreateExecution(args));
    }
  }

  static IssueGrantArgs Issue(const MintedExecutionId& id, std::string_view worker,
                              std::int64_t ttl_ms = 1000) {
    IssueGrantArgs args;
    args.execution_id = id.view();
    args.worker = {{worker}, {worker}};
    args.lane = kLane;
    args.grant_ttl_ms = ttl_ms;
    return args;
  }

  static ClaimForWorkerArgs Schedule(std::string_view worker) {
    ClaimForWorkerArgs args;
    args.worker = {{worker}, {worker}};
    args.lane = kLane;
    args.grant_ttl_ms = 1'000'000;
    return args;
  }

  static ClaimArgs Claim(const MintedExecutionId& id, std::string_view worker, std::uint32_t thread,
                         std::uint32_t number, std::int64_t ttl_ms = 1000) {
    return {id.view(), {{worker}, {worker}},          kLane, {UuidOf(100 + thread, number)},
            ttl_ms,    {UuidOf(200 + thread, number)}};
  }

  ManualClock clock_{TimestampMs{1'700'000'000'000}};
  MemoryLedger ledger_;
};

TEST_F(MemoryLedgerThreadsTest, OneCreatorWins) {
  const auto ids = MakeIds(500, kPartitions);
  std::vector<std::vector<std::uint32_t>> created(kThreads);
  OnThreads([&](int t) {
    for (std::uint32_t i = 0; i < ids.size(); ++i) {
      CreateExecutionArgs args;
      args.execution_id = ids[i].view();
      args.lane = kLane;
      const CreateOutcome outcome = ledger_.CreateExecution(args);
      ASSERT_TRUE(outcome);
      if (outcome.status == CreateOutcome::Status::kWaiting) {
        created[static_cast<std::size_t>(t)].push_back(i);
      }
    }
  });
  std::vector<int> winners(ids.size());
  for (const auto& mine : created) {
    for (const std::uint32_t i : mine) {
      ++winners[i];
    }
  }
  EXPECT_EQ(winners, std::vector<int>(ids.size(), 1));
  EXPECT_EQ(ledger_.size(), ids.size());
}

// All threads work under one worker id, so that any of them may consume any
// grant: for each execution one issuer and one claimant win.
TEST_F(MemoryLedgerThreadsTest, OneIssuerAndOneClaimantWin) {
  const auto ids = MakeIds(1000, kPartitions);
  CreateAll(ids);
  struct Wins {
    std::vector<std::uint32_t> issued;
    std::vector<std::uint32_t> claimed;
  };
  std::vector<Wins> wins(kThreads);
  OnThreads([&](int t) {
    Wins& mine = wins[static_cast<std::size_t>(t)];
    for (std::uint32_t i = 0; i < ids.size(); ++i) {
      const IssueOutcome issued = ledger_.IssueClaimGrant(Issue(ids[i], "w"));
      if (issued) {
        mine.issued.push_back(i);
      } else {
        ASSERT_TRUE(issued.error == ClaimError::kGrantAlreadyExists ||
                    issued.error == ClaimError::kExecutionNotEligible);
      }
      const ClaimOutcome claimed =
          ledger_.Claim(Claim(ids[i], "w", static_cast<std::uint32_t>(t), i));
      if (claimed) {
        mine.claimed.push_back(i);
        ASSERT_EQ(claimed.lease.fence.lease_epoch.value, 1u);
        ASSERT_EQ(claimed.lease.attempt_index.value, 0u);
      } else {
        ASSERT_EQ(claimed.error, ClaimError::kExecutionNotLeaseable);
      }
    }
  });
  std::vector<int> issuers(ids.size());
  std::vector<int> claimants(ids.size());
  for (const Wins& mine : wins) {
    for (const std::uint32_t i : mine.issued) {
      ++issuers[i];
    }
    for (const std::uint32_t i : mine.claimed) {
      ++claimants[i];
    }
  }
  EXPECT_EQ(issuers, std::vector<int>(ids.size(), 1));
  EXPECT_EQ(claimants, std::vector<int>(ids.size(), 1));
}

TEST_F(MemoryLedgerThreadsTest, BatchesHaveOneWinnerEach) {
  const auto ids = MakeIds(1024, kPartitions);
  CreateAll(ids);
  std::vector<std::vector<int>> claimed(kThreads, std::vector<int>(ids.size()));
  OnThreads([&](int t) {
    std::vector<IssueGrantArgs> issues;
    std::vector<ClaimArgs> claims;
    for (std::uint32_t i = 0; i < ids.size(); ++i) {
      issues.push_back(Issue(ids[i], "w"));
      claims.push_back(Claim(ids[i], "w", static_cast<std::uint32_t>(t), i));
    }
    std::vector<IssueOutcome> issued(ids.size());
    std::vector<ClaimOutcome> outcomes(ids.size());
    ledger_.IssueClaimGrants(issues, issued);
    ledger_.ClaimBatch(claims, outcomes);
    for (std::size_t i = 0; i < ids.size(); ++i) {
      claimed[static_cast<std::size_t>(t)][i] = outcomes[i] ? 1 : 0;
    }
  });
  for (std::size_t i = 0; i < ids.size(); ++i) {
    int winners = 0;
    for (const auto& mine : claimed) {
      winners += mine[i];
    }
    ASSERT_EQ(winners, 1) << i;
  }
}

// The threads claim until nothing is left: every execution is leased once.
TEST_F(MemoryLedgerThreadsTest, ClaimForWorkerDrains) {
  const auto ids = MakeIds(1000, kPartitions);
  CreateAll(ids);
  std::vector<std::vector<std::string>> leased(kThreads);
  std::atomic<std::size_t> total{0};
  std::atomic<bool> over{false};
  OnThreads([&](int t) {
    const std::string worker = "w" + std::to_string(t);
    const Leaving leaving(over);
    std::uint32_t number = 0;
    while (total.load() < ids.size() && !over.load()) {
      const ClaimForWorkerArgs args = Schedule(worker);
      const ClaimForWorkerOutcome outcome = ledger_.ClaimForWorker(args);
      if (!outcome) {
        // Other threads hold the grants of the executions that are left.
        ASSERT_EQ(outcome.error, ClaimError::kNoEligibleExecution);
        std::this_thread::yield();
        continue;
      }
      const ClaimGrantView grant = outcome.grant.view();
      const ClaimOutcome claimed =
          ledger_.Claim({grant.execution_id,
                         args.worker,
                         kLane,
                         {UuidOf(100 + static_cast<std::uint32_t>(t), number)},
                         1000,
                         {UuidOf(200 + static_cast<std::uint32_t>(t), number)}});
      ++number;
      ASSERT_TRUE(claimed) << ErrorName(claimed.error);
      leased[static_cast<std::size_t>(t)].emplace_back(grant.execution_id.text());
      total.fetch_add(1);
    }
  });
  std::set<std::string> all;
  for (const auto& mine : leased) {
    for (const std::string& id : mine) {
      EXPECT_TRUE(all.insert(id).second) << id;
    }
  }
  EXPECT_EQ(all.size(), ids.size());
  EXPECT_EQ(ledger_.ClaimForWorker(Schedule("w")).error, ClaimError::kNoEligibleExecution);
}

// Two threads take what the scheduler gives them. The first lease of an
// execution is suspended, and the execution comes back at once or after a
// delay. The resumed lease ends the execution, which is then forgotten and
// created again, for its next life. The other two threads run maintenance. Each
// execution has two leases in each of its lives, and no others.
TEST_F(MemoryLedgerThreadsTest, SchedulingWhileExecutionsComeBack) {
  constexpr int kLives = 10;
  const auto ids = MakeIds(200, kPartitions);
  CreateAll(ids);
  std::map<std::string, std::size_t> number_of;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    number_of[std::string(ids[i].text())] = i;
  }
  // `holders` and `lives` have one entry for each execution. Only the thread to which the execution
  // was granted touches its entry.
  std::vector<std::atomic<int>> holders(ids.size());
  std::vector<std::atomic<int>> lives(ids.size());
  std::atomic<std::size_t> ended{0};
  std::atomic<bool> over{false};
  const auto serve = [&](const ExecutionIdView& id, const WorkerIdentity& worker,
                         std::uint32_t thread, std::uint32_t n, bool& served) {
    const std::size_t e = number_of.at(std::string(id.text()));
    ASSERT_EQ(holders[e].fetch_add(1), 0) << "leased to two";
    constexpr std::int64_t kTtl = 1'000'000;
    const LeaseId lease_id = {UuidOf(100 + thread, n)};
    ClaimOutcome claimed =
        ledger_.Claim({id, worker, kLane, lease_id, kTtl, {UuidOf(200 + thread, n)}});
    const bool resumed = claimed.error == ClaimError::kUseClaimResumedExecution;
    if (resumed) claimed = ledger_.ClaimResumed({id, worker, kLane, lease_id, kTtl});
    ASSERT_TRUE(claimed) << ErrorName(claimed.error);
    ASSERT_EQ(claimed.lease.fence.lease_epoch.value, resumed ? 2u : 1u);
    ASSERT_EQ(claimed.lease.attempt_index.value, 0u);
    if (!resumed) {
      ASSERT_TRUE(ledger_.Suspend({id, claimed.lease.fence}));
      holders[e].fetch_sub(1);
      ASSERT_TRUE(ledger_.Resume({id, n % 2 == 0 ? 0 : 1}));
      served = true;
      return;
    }
    ASSERT_TRUE(ledger_.Complete({id, claimed.lease.fence}));
    ASSERT_TRUE(ledger_.Forget(id));
    holders[e].fetch_sub(1);
    if (lives[e].fetch_add(1) + 1 == kLives) {
      ended.fetch_add(1);
      served = true;
      return;
    }
    CreateExecutionArgs create;
    create.execution_id = id;
    create.lane = kLane;
    const CreateOutcome created = ledger_.CreateExecution(create);
    ASSERT_TRUE(created);
    ASSERT_EQ(created.status, CreateOutcome::Status::kWaiting);
    served = true;
  };
  OnThreads([&](int t) {
    const auto thread = static_cast<std::uint32_t>(t);
    const std::string worker = "w" + std::to_string(t);
    const Leaving leaving(over);
    for (std::uint32_t n = 0; ended.load() < ids.size() && !over.load(); ++n) {
      if (t < 2) {
        const ClaimForWorkerArgs args = Schedule(worker);
        const ClaimForWorkerOutcome outcome = ledger_.ClaimForWorker(args);
        if (outcome) {
          bool served = false;
          serve(outcome.grant.view().execution_id, args.worker, thread, n, served);
          if (!served) return;
        } else {
          ASSERT_EQ(outcome.error, ClaimError::kNoEligibleExecution);
          std::this_thread::yield();
        }
      } else {
        if (t == 2) clock_.Advance(1);
        ASSERT_EQ(ledger_.RunMaintenance(1024).leases_expired, 0u);
        std::this_thread::yield();
      }
    }
  });
  for (std::size_t e = 0; e < ids.size(); ++e) {
    EXPECT_EQ(lives[e].load(), kLives) << ids[e].text();
    EXPECT_FALSE(ledger_.Inspect(ids[e].view()).has_value());
  }
  EXPECT_EQ(ledger_.size(), 0u);
  EXPECT_EQ(ledger_.ClaimForWorker(Schedule("w")).error, ClaimError::kNoEligibleExecution);
}

// All threads make calls of ten kinds on a few executions while the clock moves. Each lease that
// was created is recorded with its execution. Afterwards the epochs of each execution must be 1..n,
// each once and without a gap. The attempts must have no gap either, and only a resumed lease has
// the attempt of the lease before it.
TEST_F(MemoryLedgerThreadsTest, HistoriesKeepTheInvariants) {
  const auto ids = MakeIds(6, kPartitions);
  CreateAll(ids);
  struct Created {
    std::size_t execution;
    Lease lease;
  };
  struct History {
    std::vector<Created> leases;
    std::vector<std::pair<std::size_t, LeaseFence>> suspended;
    std::vector<std::pair<std::size_t, LeaseFence>> renewed;
  };
  std::vector<History> histories(kThreads);
  OnThreads([&](int t) {
    History& mine = histories[static_cast<std::size_t>(t)];
    const auto thread = static_cast<std::uint32_t>(t);
    const std::string worker = t % 2 == 0 ? "even" : "odd";
    const WorkerIdentity identity = {{worker}, {worker}};
    std::mt19937 random(thread);
    for (std::uint32_t n = 0; n < 8000; ++n) {
      const std::size_t e = random() % ids.size();
      const ExecutionIdView id = ids[e].view();
      const LeaseId lease_id = {UuidOf(100 + thread, n)};
      const AttemptId attempt_id = {UuidOf(200 + thread, n)};
      const auto ttl = static_cast<std::int64_t>(random() % 4);
      ClaimOutcome outcome;
      outcome.error = ClaimError::kUnavailable;
      switch (random() % 10) {
        case 0:
          static_cast<void>(ledger_.IssueClaimGrant(Issue(ids[e], worker, 3)));
          break;
        case 1:
          outcome = ledger_.Claim({id, identity, kLane, lease_id, ttl, attempt_id});
          break;
        case 2:
          outcome = ledger_.ClaimResumed({id, identity, kLane, lease_id, ttl});
          break;
        case 3:
          static_cast<void>(ledger_.IssueReclaimGrant(Issue(ids[e], worker, 3)));
          break;
        case 4:
          outcome = ledger_.Reclaim({id, identity, kLane, lease_id, ttl, attempt_id, 1'000'000});
          break;
        case 5:
          static_cast<void>(ledger_.Revoke({id, {}}));
          break;
        case 6:
          clock_.Advance(static_cast<std::int64_t>(random() % 2));
          ledger_.RunMaintenance(64);
          break;
        case 7:
          static_cast<void>(ledger_.Resume({id, random() % 2 == 0 ? 0 : 1}));
          break;
        default: {
          if (mine.leases.empty()) {
            break;
          }
          const Created& last = mine.leases.back();
          const ExecutionIdView last_id = ids[last.execution].view();
          if (random() % 2 == 0) {
            if (ledger_.Suspend({last_id, last.lease.fence})) {
              mine.suspended.emplace_back(last.execution, last.lease.fence);
            }
          } else if (ledger_.Renew({last_id, last.lease.attempt_index, last.lease.fence, 2})) {
            mine.renewed.emplace_back(last.execution, last.lease.fence);
          }
          break;
        }
      }
      if (outcome) {
        mine.leases.push_back({e, outcome.lease});
      }
    }
  });

  std::vector<std::vector<Lease>> leases(ids.size());
  std::map<std::pair<std::size_t, std::uint64_t>, int> suspensions;
  std::size_t renewals = 0;
  for (const History& history : histories) {
    for (const Created& created : history.leases) {
      leases[created.execution].push_back(created.lease);
    }
    for (const auto& [e, fence] : history.suspended) {
      ++suspensions[{e, fence.lease_epoch.value}];
    }
    renewals += history.renewed.size();
  }
  EXPECT_GT(renewals, 0u);
  for (std::size_t e = 0; e < ids.size(); ++e) {
    auto& created = leases[e];
    std::sort(created.begin(), created.end(), [](const Lease& a, const Lease& b) {
      return a.fence.lease_epoch < b.fence.lease_epoch;
    });
    ASSERT_GT(created.size(), 10u);
    std::uint32_t attempts = 0;
    for (std::size_t i = 0; i < created.size(); ++i) {
      ASSERT_EQ(created[i].fence.lease_epoch.value, i + 1);
      const bool suspended = suspensions[{e, i}] == 1;
      if (created[i].kind == LeaseKind::kResumed) {
        ASSERT_TRUE(suspended) << "resumed what nobody suspended";
        ASSERT_EQ(created[i].attempt_index, created[i - 1].attempt_index);
        ASSERT_EQ(created[i].fence.attempt_id, created[i - 1].fence.attempt_id);
      } else {
        ASSERT_FALSE(suspended) << "a suspended attempt was replaced";
        ASSERT_EQ(created[i].attempt_index.value, attempts);
        ASSERT_EQ(created[i].kind, i == 0 ? LeaseKind::kInitial : LeaseKind::kReclaim);
        ++attempts;
      }
    }
    for (const auto& [key, count] : suspensions) {
      ASSERT_LE(count, 1) << "one lease suspended twice";
    }
    const auto state = ledger_.Inspect(ids[e].view());
    ASSERT_TRUE(state.has_value());
    EXPECT_EQ(state->current_lease_epoch.value, created.size());
    EXPECT_EQ(state->total_attempt_count, attempts);
  }
}

// Several threads create and forget executions at the same time. Names run out and are freed.
TEST_F(MemoryLedgerThreadsTest, ChurnWithFewNames) {
  MemoryLedgerOptions options = Options();
  options.max_executions = 64;
  options.max_names = 24;
  options.max_name_bytes = 1024;
  MemoryLedger ledger(options);
  const auto ids = MakeIds(64, kPartitions);
  std::vector<std::uint32_t> completed(kThreads);
  OnThreads([&](int t) {
    const auto thread = static_cast<std::uint32_t>(t);
    for (std::uint32_t n = 0; n < 3000; ++n) {
      // Each thread has executions of its own, and new names all the time.
      const MintedExecutionId& id = ids[thread * 16 + n % 16];
      const std::string worker = "worker-" + std::to_string(t) + "-" + std::to_string(n);
      CreateExecutionArgs create;
      create.execution_id = id.view();
      create.lane = kLane;
      ASSERT_TRUE(ledger.CreateExecution(create));
      const IssueOutcome issued = ledger.IssueClaimGrant(Issue(id, worker));
      ASSERT_TRUE(issued) << ErrorName(issued.error);
      const ClaimOutcome claimed = ledger.Claim(Claim(id, worker, thread, n));
      ASSERT_TRUE(claimed) << ErrorName(claimed.error);
      ASSERT_EQ(claimed.lease.fence.lease_epoch.value, 1u);
      ASSERT_TRUE(ledger.Complete({id.view(), claimed.lease.fence}));
      ASSERT_TRUE(ledger.Forget(id.view()));
      ++completed[thread];
    }
  });
  EXPECT_EQ(completed, std::vector<std::uint32_t>(kThreads, 3000));
  EXPECT_EQ(ledger.size(), 0u);
}

// One execution is granted to many workers in turn. Each call of InspectNames() sees the names of
// one grant, although names and texts that are no longer held soon belong to another grant.
TEST(MemoryLedgerNamesTest, AreThoseOfOneGrant) {
  ManualClock clock{TimestampMs{1'700'000'000'000}};
  MemoryLedgerOptions options;
  options.max_executions = 4;
  options.max_lanes = 1;
  options.max_names = 2;
  options.max_text_bytes = 600;
  options.clock = &clock;
  MemoryLedger ledger(options);
  const MintedExecutionId id(1, UuidOf(1, 1));
  ASSERT_TRUE(ledger.CreateExecution({.execution_id = id.view(), .lane = kLane}));
  std::atomic<bool> has_ended{false};
  const std::jthread other([&] {
    for (int i = 0; !has_ended.load(); ++i) {
      clock.Advance(2);  // the grant before is over
      // Names of more than 48 bytes lie in pieces, as the other texts do.
      const std::string name = std::to_string(i) + std::string(i % 2 == 0 ? 5 : 60, '.');
      IssueGrantArgs args = {
          .execution_id = id.view(), .worker = {{name}, {name}}, .lane = kLane, .grant_ttl_ms = 1};
      args.capability_hash = name;
      args.admission_summary = name;
      ASSERT_TRUE(ledger.IssueClaimGrant(args)) << i;
      if (i % 8 == 0) std::this_thread::yield();  // InspectNames() may be waiting for the lock
    }
  });
  const Leaving leaving(has_ended);
  constexpr int kLooks = testing::kIsSanitized ? 2000 : 20'000;
  for (int seen = 0; seen < kLooks;) {
    const std::optional<ExecutionNames> names = ledger.InspectNames(id.view());
    ASSERT_TRUE(names);
    if (names->grant_worker_id.empty()) continue;
    ++seen;
    ASSERT_EQ(names->grant_worker_instance_id, names->grant_worker_id);
    ASSERT_EQ(names->capability_hash, names->grant_worker_id);
    ASSERT_EQ(names->admission_summary, names->grant_worker_id);
  }
}

}  // namespace
}  // namespace ffgrant
