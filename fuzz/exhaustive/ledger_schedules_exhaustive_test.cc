// SPDX-License-Identifier: Apache-2.0
//
// Runs every schedule of 3 workers that make 6 calls, two each, on 3 executions.
//
// At the start one execution is granted, one is leased, and one has a lease that ran out and a
// reclaim grant. Each worker makes one of the pairs of calls below on one of the executions. This
// makes 36^3 races. For each race, all orders of the threads' steps are run; a step is what a
// thread does between two schedule points, such as locks and readings of the clock
// (schedule_point.h). Of orders that differ only in independent steps, just one is run
// (schedule_search.h). Each history must be linearizable (linearizability.h), and an order that
// explains the history must also lead to the state at the end.
//
// By default only some races are run, each in all schedules; in most of them the three workers meet
// on one execution. With --long, all races are run.

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

#include "testing/model/ledger_race.h"
#include "testing/model/schedule_search.h"

namespace ffgrant {
namespace {

using testing::CallKind;
using testing::kExecutions;
using testing::LedgerRace;
using testing::PlannedCall;
using testing::Race;
using testing::ScheduleSearch;
using testing::StartState;

struct Step {
  CallKind kind;
  std::int64_t ms;  // ttl, or how far the clock moves; grants and leases at the start last 3 ms
};
struct Pair {
  Step first;
  Step second;
};

constexpr Pair kPairs[] = {
    {{CallKind::kIssue, 3}, {CallKind::kClaim, 3}},
    {{CallKind::kClaimForWorker, 3}, {CallKind::kClaim, 3}},  // claims what it was given
    {{CallKind::kClaim, 3}, {CallKind::kRenew, 5}},
    {{CallKind::kIssueReclaim, 3}, {CallKind::kReclaim, 3}},
    {{CallKind::kReclaim, 3}, {CallKind::kComplete, 0}},
    {{CallKind::kRenew, 5}, {CallKind::kComplete, 0}},
    {{CallKind::kRevoke, 0}, {CallKind::kIssueReclaim, 3}},
    {{CallKind::kSuspend, 0}, {CallKind::kResume, 0}},
    {{CallKind::kIssue, 3}, {CallKind::kClaimResumed, 3}},
    {{CallKind::kComplete, 0}, {CallKind::kForget, 0}},
    {{CallKind::kAdvance, 3}, {CallKind::kMarkExpired, 0}},
    {{CallKind::kAdvance, 4}, {CallKind::kCreate, 0}},
};
constexpr std::size_t kPairCount = sizeof kPairs / sizeof *kPairs;
constexpr std::size_t kPrograms = kPairCount * kExecutions;
constexpr std::size_t kRaces = kPrograms * kPrograms * kPrograms;

// By default a race on a single execution is run only if its number is a multiple of
// kEveryNthMeeting, and any other race only if its number is a multiple of kEveryNth. Both numbers
// are primes, so the choice does not follow the pattern in which the programs repeat.
constexpr std::size_t kEveryNthMeeting = 101;
constexpr std::size_t kEveryNth = 4999;

std::vector<PlannedCall> Program(std::size_t program, std::uint8_t worker) {
  const Pair& pair = kPairs[program / kExecutions];
  std::vector<PlannedCall> calls(2);
  for (std::size_t i = 0; i < 2; ++i) {
    const Step& step = i == 0 ? pair.first : pair.second;
    calls[i].kind = step.kind;
    calls[i].ms = step.ms;
    calls[i].worker = worker;
    calls[i].execution = static_cast<std::uint8_t>(program % kExecutions);
  }
  if (pair.first.kind == CallKind::kClaimForWorker) calls[1].execution = PlannedCall::kGiven;
  return calls;
}

Race RaceOf(std::size_t number) {
  Race race;
  race.start = {StartState::kGranted, StartState::kLeased, StartState::kExpiredGranted};
  race.points_after_unlock = false;
  for (std::uint8_t worker = 0; worker < Race::kMaxThreads; ++worker) {
    race.threads[worker] = Program(number % kPrograms, worker);
    number /= kPrograms;
  }
  return race;
}

bool IsChosen(std::size_t number) {
  const std::size_t a = number % kPrograms;
  const std::size_t b = number / kPrograms % kPrograms;
  const std::size_t c = number / kPrograms / kPrograms;
  const bool meet = a % kExecutions == b % kExecutions && b % kExecutions == c % kExecutions;
  return number % (meet ? kEveryNthMeeting : kEveryNth) == 0;
}

struct Counts {
  std::uint64_t races = 0;
  std::uint64_t schedules = 0;
  std::uint64_t redundant = 0;
  std::uint64_t histories = 0;  // the number of different histories that were judged
};

// Returns an empty text, or what is wrong.
std::string RunAll(LedgerRace& race, std::size_t number, Counts& counts) {
  race.Prepare(RaceOf(number));
  ScheduleSearch search;
  std::unordered_set<std::uint64_t> judged;
  while (search.NextRun()) {
    std::string problem = race.Run(search);
    if (problem.empty()) {
      if (search.redundant()) {
        ++counts.redundant;
        continue;
      }
      ++counts.schedules;
      race.LookAtTheEnd();
      if (!judged.insert(race.HistoryHash()).second) continue;
      ++counts.histories;
      problem = race.Check();
    }
    if (!problem.empty()) return problem;
  }
  ++counts.races;
  return {};
}

int Main(bool everything) {
  LedgerRace race;
  Counts counts;
  for (std::size_t number = 0; number < kRaces; ++number) {
    if (!everything && !IsChosen(number)) continue;
    const std::string problem = RunAll(race, number, counts);
    if (!problem.empty()) {
      std::fprintf(stderr, "race %zu, schedule %llu: %s\n", number,
                   static_cast<unsigned long long>(counts.schedules), problem.c_str());
      return 1;
    }
  }
  std::printf("%llu races, %llu schedules and %llu cut short, %llu histories: all linearizable\n",
              static_cast<unsigned long long>(counts.races),
              static_cast<unsigned long long>(counts.schedules),
              static_cast<unsigned long long>(counts.redundant),
              static_cast<unsigned long long>(counts.histories));
  return 0;
}

}  // namespace
}  // namespace ffgrant

int main(int argc, char** argv) {
  const bool everything = argc == 2 && std::strcmp(argv[1], "--long") == 0;
  if (argc > 1 && !everything) {
    std::fprintf(stderr, "usage: %s [--long]\n", argv[0]);
    return 2;
  }
  return ffgrant::Main(everything);
}
