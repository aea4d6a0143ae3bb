// SPDX-License-Identifier: Apache-2.0
//
// A few threads, each with a few calls to make on a small embedded ledger, run
// in an order that is chosen step by step, and judged by what they were told.

#ifndef FFGRANT_TESTING_MODEL_LEDGER_RACE_H_
#define FFGRANT_TESTING_MODEL_LEDGER_RACE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ffgrant/claims/clock.h"
#include "ffgrant/claims/memory_ledger.h"
#include "testing/calls/recorded_call.h"
#include "testing/model/linearizability.h"
#include "testing/model/model_ledger.h"
#include "testing/model/scheduler.h"

namespace ffgrant::testing {

// How an execution stands when the threads begin. Its grants and leases are
// those of the worker of its own number.
enum class StartState : std::uint8_t {
  kAbsent,
  kEligible,
  kDelayed,
  kGranted,  // for 3 ms
  kLeased,   // for 3 ms
  kDue,      // its lease is over and not marked
  kExpired,
  kExpiredGranted,
  kRevoked,
  kSuspended,
  kResumed,
  kResumedGranted,
  kCompleted,
};
inline constexpr std::uint8_t kStartStates = 13;

// What a fenced call presents.
enum class FenceKind : std::uint8_t { kLatest, kAbsent, kPartial, kWrongLease, kWrongEpoch };
inline constexpr std::uint8_t kFenceKinds = 5;

// A call before it is known which fence there is.
struct PlannedCall {
  // Stands for the execution that this thread was last given by ClaimForWorker,
  // the first one if by none.
  static constexpr std::uint8_t kGiven = kExecutions;

  CallKind kind = CallKind::kNone;
  std::uint8_t execution = 0;
  std::uint8_t worker = 0;
  bool batch = false;  // kIssue, kClaim: on all executions, from this one on
  bool own_instance = false;
  bool with_text = false;
  bool other_lane = false;
  bool flag = false;
  std::int64_t ms = 3;
  std::optional<std::uint32_t> cap;
  FenceKind fence = FenceKind::kLatest;
};

struct Race {
  static constexpr std::size_t kMaxThreads = 3;
  static constexpr std::size_t kMaxCalls = 4;

  std::array<StartState, kExecutions> start = {};
  std::array<std::vector<PlannedCall>, kMaxThreads> threads;
  std::size_t max_executions = kExecutions;
  bool last_is_urgent = false;  // of a higher priority than the others
  bool few_names = false;       // so that they run out and old ones are thrown away
  bool points_after_unlock = true;
};

class LedgerRace {
 public:
  LedgerRace();

  // A race to run, any number of times.
  void Prepare(const Race& race);
  // Empty, or what went wrong while it ran: a deadlock.
  std::string Run(Chooser& chooser);
  // After a run that is to be judged: records how things stand. Then time
  // passes, all grants run out, and a scheduler must find exactly what is
  // eligible.
  void LookAtTheEnd();
  // Judges the last run: empty, or what is wrong.
  std::string Check();
  // The same for runs that would be judged the same.
  std::uint64_t HistoryHash() const;

  const History& history() const { return history_; }

 private:
  void SetUp();
  void Record(const RecordedCall& call, const Answer& answer, Scheduler::CallEvents events,
              int thread);
  RecordedCall Resolve(const PlannedCall& planned, std::uint8_t given);
  void RunThread(std::size_t thread);
  // One call on the ledger: the clock and maintenance too.
  Answer Make(const RecordedCall& call);
  void Learn(const RecordedCall& call, const Answer& answer);

  Scheduler scheduler_;
  Race race_;
  std::vector<RecordedCall> set_up_;
  std::vector<Answer> set_up_answers_;
  ManualClock model_clock_;
  std::unique_ptr<ModelLedger> model_;  // when the threads begin
  std::unique_ptr<ScheduledClock> clock_;
  std::unique_ptr<MemoryLedger> ledger_;
  std::array<std::optional<Lease>, kExecutions> latest_;
  std::uint8_t next_number_ = 0;
  History before_;   // the set-up
  History history_;  // from then on
};

}  // namespace ffgrant::testing

#endif  // FFGRANT_TESTING_MODEL_LEDGER_RACE_H_
