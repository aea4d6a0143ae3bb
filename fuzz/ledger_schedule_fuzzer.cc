// SPDX-License-Identifier: Apache-2.0
//
// Runs up to three threads on a small embedded ledger, interleaved as the input says. The answers
// that the threads get must be linearizable, the invariants of contract 7.7 must hold, and some
// order of the calls must explain the state at the end (ledger_race.h). The threads are fibers. One
// fiber can switch to another where locks are taken and released, where the clock is read, and
// where the threads use other things that they share.
//
//   header   the states of the executions at the start, the ledger's room, and the schedule: after
//            how many points it switches, and to which thread
//   record   | thread | call | execution, worker | time, cap | fence, flags |

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <span>
#include <string>
#include <string_view>

#include "harness/engine.h"
#include "harness/failure.h"
#include "harness/observations.h"
#include "harness/random.h"
#include "harness/record_mutation.h"
#include "harness/state_counters.h"
#include "testing/model/ledger_race.h"

namespace ffgrant::fuzz {
namespace {

using testing::Answer;
using testing::CallKind;
using testing::Chooser;
using testing::FenceKind;
using testing::HistoryEntry;
using testing::kExecutions;
using testing::LedgerRace;
using testing::NumberOf;
using testing::PlannedCall;
using testing::Race;
using testing::StartState;

constexpr std::size_t kPopulation = 4;
constexpr std::size_t kSwitches = 10;
constexpr std::size_t kHeader = kPopulation + 2 * kSwitches;
constexpr std::size_t kWidth = 5;
constexpr std::size_t kMaxRecords = Race::kMaxThreads * Race::kMaxCalls;
constexpr int kNeighbours = 8;

constexpr CallKind kKinds[] = {
    CallKind::kIssue,        CallKind::kClaim,   CallKind::kClaimForWorker,
    CallKind::kClaim,        CallKind::kRenew,   CallKind::kComplete,
    CallKind::kIssueReclaim, CallKind::kReclaim, CallKind::kRevoke,
    CallKind::kSuspend,      CallKind::kResume,  CallKind::kClaimResumed,
    CallKind::kAdvance,      CallKind::kAdvance, CallKind::kMarkExpired,
    CallKind::kCreate,       CallKind::kForget,  CallKind::kMaintain,
    CallKind::kInspect,      CallKind::kIssue,   CallKind::kClaimForWorker,
    CallKind::kFail};
constexpr std::int64_t kTimes[] = {3, 1, 4, 0, 100, 2, -1, 5};

// Stays with the same thread for as many points as the schedule says, then switches to another
// thread. After the end of the schedule, it switches only when the thread can't go on.
class Schedule final : public Chooser {
 public:
  // Delays the first switch by `later` points.
  Schedule(std::span<const std::uint8_t> bytes, int later) : left_(bytes) {
    Next();
    points_ += later;
  }

  int Choose(int current, std::uint32_t runnable) override {
    const bool can_stay = current >= 0 && (runnable >> current & 1) != 0;
    if (std::has_single_bit(runnable)) return std::countr_zero(runnable);
    if (can_stay) {
      if (over_ || points_-- > 0) return current;
      runnable &= ~(1u << current);
      const int to = Pick(runnable);
      Next();
      return to;
    }
    return Pick(runnable);
  }

 private:
  void Next() {
    over_ = left_.size() < 2;
    if (over_) return;
    points_ = left_[0] % 32;
    target_ = left_[1];
    left_ = left_.subspan(2);
  }
  int Pick(std::uint32_t runnable) const {
    for (int skip = target_ % std::popcount(runnable); skip > 0; --skip) runnable &= runnable - 1;
    return std::countr_zero(runnable);
  }

  std::span<const std::uint8_t> left_;
  int points_ = 0;
  std::uint8_t target_ = 0;
  bool over_ = false;
};

PlannedCall CallOf(std::span<const std::uint8_t> record) {
  PlannedCall call;
  call.batch = record[0] / Race::kMaxThreads % 4 == 1;
  call.kind = kKinds[record[1] % std::size(kKinds)];
  call.execution = record[2] % (kExecutions + 1);
  // Most calls come from the worker that the grants at the start were issued for.
  const std::uint8_t worker = record[2] / (kExecutions + 1) % 8;
  call.worker = worker < 3 || call.execution == kExecutions ? worker % 3 : call.execution;
  call.ms = kTimes[record[3] % std::size(kTimes)];
  if (call.kind == CallKind::kAdvance) call.ms = std::max<std::int64_t>(call.ms, 1);
  if (const int cap = record[3] / 8 % 8; cap < 3) call.cap = cap;
  if (const int fence = record[4] % 16; fence < testing::kFenceKinds) {
    call.fence = static_cast<FenceKind>(fence);
  }
  call.flag = (record[4] >> 4 & 1) != 0;
  call.own_instance = (record[4] >> 5 & 1) != 0;
  call.with_text = (record[4] >> 6 & 1) != 0;
  call.other_lane = record[4] == 0xFF;
  return call;
}

Race RaceOf(std::span<const std::uint8_t> bytes) {
  Race race;
  for (std::size_t e = 0; e < kExecutions; ++e) {
    race.start[e] = static_cast<StartState>(bytes[e] % testing::kStartStates);
  }
  race.few_names = (bytes[3] & 1) != 0;
  race.last_is_urgent = (bytes[3] & 16) != 0;
  race.max_executions = (bytes[3] >> 1) % 8 == 1 ? 2 : kExecutions;
  for (std::size_t at = kHeader; at + kWidth <= bytes.size(); at += kWidth) {
    const std::span<const std::uint8_t> record = bytes.subspan(at, kWidth);
    auto& calls = race.threads[record[0] % Race::kMaxThreads];
    if (calls.size() == Race::kMaxCalls) continue;
    calls.push_back(CallOf(record));
    // A small pool runs out only if the calls use many names, so with a small pool these two flags
    // are inverted.
    calls.back().own_instance ^= race.few_names;
    calls.back().with_text ^= race.few_names;
  }
  return race;
}

// Returns a number that distinguishes answers with the same error.
std::uint64_t WordOf(const Answer& answer) {
  if (answer.chosen) return NumberOf(answer.chosen->execution_id.view());
  if (answer.created) return static_cast<std::uint64_t>(*answer.created);
  return answer.delayed || answer.retry_at ? 1 : static_cast<std::uint64_t>(answer.already);
}

void Note(const LedgerRace& race) {
  Observe(race.HistoryHash());
  const auto word = [](const HistoryEntry& entry) {
    return static_cast<std::uint64_t>(entry.call.kind()) << 16 |
           static_cast<std::uint64_t>(entry.answer.error) << 8 | WordOf(entry.answer);
  };
  for (const HistoryEntry& a : race.history()) {
    if (a.fiber < 0) continue;
    CountState(word(a));
    for (const HistoryEntry& b : race.history()) {
      // Counts which calls on one execution overlapped in time, and with what outcomes.
      const bool met = a.fiber < b.fiber && a.called_at < b.returned_at &&
                       b.called_at < a.returned_at && a.execution == b.execution;
      if (met) CountState(word(a) << 32 | word(b));
    }
  }
}

void GenerateHeader(Random& random, std::span<std::uint8_t> header) {
  for (std::uint8_t& byte : header) byte = static_cast<std::uint8_t>(random.Next() >> 32);
  if (random.OneIn(2)) header[3] = 0;
  // Half of the headers have few switches, since most faults need few.
  if (random.OneIn(2)) {
    for (std::size_t i = 1 + random.Below(4); i < kSwitches; ++i) header[kPopulation + 2 * i] = 31;
  }
}

void MutateHeader(Random& random, std::span<std::uint8_t> header) {
  const std::size_t i = kPopulation + 2 * random.Below(kSwitches);
  switch (random.Below(8)) {
    case 0:
      header[random.Below(kExecutions)] = static_cast<std::uint8_t>(random.Next());
      break;
    case 1:
      header[3] = static_cast<std::uint8_t>(random.Next());
      break;
    case 2:  // repeats the chosen switch, and drops the last one
      std::copy_backward(header.begin() + static_cast<std::ptrdiff_t>(i), header.end() - 2,
                         header.end());
      break;
    case 3:
      header[i] = static_cast<std::uint8_t>(header[i] + 1);
      break;
    case 4:
      header[i] = static_cast<std::uint8_t>(header[i] - 1);
      break;
    case 5:
      header[i + 1] = static_cast<std::uint8_t>(random.Next());
      break;
    case 6:
      for (std::size_t at = kPopulation; at < kHeader; ++at) {
        header[at] = static_cast<std::uint8_t>(random.Next());
      }
      break;
    default:
      header[i] = static_cast<std::uint8_t>(random.Next());
      break;
  }
}

void GenerateRecord(Random& random, std::span<std::uint8_t> record) {
  for (std::uint8_t& byte : record) byte = static_cast<std::uint8_t>(random.Next() >> 32);
  // Most calls are on one execution, since calls on different executions do not interfere.
  if (!random.OneIn(3)) record[2] = static_cast<std::uint8_t>(record[2] / 4 * 4);
  if (!random.OneIn(8)) record[0] = static_cast<std::uint8_t>(random.Below(Race::kMaxThreads));
}

constexpr RecordFormat kFormat = {kHeader,        kWidth,  kMaxRecords, GenerateHeader,
                                  GenerateRecord, nullptr, MutateHeader};

}  // namespace
}  // namespace ffgrant::fuzz

using namespace ffgrant::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  std::array<std::uint8_t, kHeader + kWidth* kMaxRecords> bytes = {};
  const std::size_t used = std::min(size, bytes.size());
  std::copy_n(data, used, bytes.begin());
  const std::size_t whole = std::max(used, kHeader);

  static LedgerRace& race = *new LedgerRace;  // all inputs use the same stacks
  race.Prepare(RaceOf({bytes.data(), whole}));
  // Runs the input's own schedule and its neighbours, whose first switch comes a few points later.
  // One more run costs less than one more input.
  std::array<std::uint64_t, kNeighbours> judged = {};
  for (int later = 0; later < kNeighbours; ++later) {
    Schedule schedule({bytes.data() + kPopulation, 2 * kSwitches}, later);
    std::string problem = race.Run(schedule);
    if (problem.empty()) {
      race.LookAtTheEnd();
      const std::uint64_t hash = race.HistoryHash();
      if (std::count(judged.begin(), judged.end(), hash) != 0) continue;
      judged[static_cast<std::size_t>(later)] = hash;
      problem = race.Check();
    }
    if (!problem.empty()) Fail(problem, input);
    Note(race);
  }
  return 0;
}

FFGRANT_FUZZ_RECORD_MUTATORS(kFormat)
