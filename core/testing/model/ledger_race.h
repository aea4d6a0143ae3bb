// SPDX-License-Identifier: Apache-2.0
//
// Runs a few threads, each of which makes a few calls on a small embedded ledger. The order of the
// threads' steps is chosen step by step. The answers that the threads got say whether the run was
// right.

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
#include "testing/calls/driver.h"
#include "testing/model/linearizability.h"
#include "testing/model/model_ledger.h"
#include "testing/model/race_calls.h"
#include "testing/model/scheduler.h"

namespace ffgrant::testing {

// The state of an execution when the threads begin. Grants and leases of an execution belong to the
// worker with the same number.
enum class StartState : std::uint8_t {
  kAbsent,
  kEligible,
  kDelayed,
  kGranted,  // for 3 ms
  kLeased,   // for 3 ms
  kDue,      // its lease has run out and is not marked as expired
  kExpired,
  kExpiredGranted,
  kRevoked,
  kSuspended,
  kResumed,
  kResumedGranted,
  kCompleted,
  kFailed,  // the last execution has a retry policy, and so waits for its retry
};
inline constexpr std::uint8_t kStartStates = 14;

struct Race {
  static constexpr std::size_t kMaxThreads = 3;
  static constexpr std::size_t kMaxCalls = 4;

  std::array<StartState, kExecutions> start = {};
  std::array<std::vector<PlannedCall>, kMaxThreads> threads;
  std::size_t max_executions = kExecutions;
  bool last_is_urgent = false;  // whether the last execution has a higher priority than the others
  bool few_names = false;       // whether names run out, so that old ones are thrown away
  bool points_after_unlock = true;
};

class LedgerRace {
 public:
  LedgerRace();

  // Sets up a race, which can then be run any number of times.
  void Prepare(const Race& race);
  // Returns an empty text, or what went wrong: the ledger answered a call of the set-up otherwise
  // than the model did, or the run came to a deadlock or to no end.
  std::string Run(Chooser& chooser);
  // Is called after a run that is to be judged. Records the final state. Then lets time pass until
  // all grants have run out, and has a scheduler look for all executions that are eligible.
  void LookAtTheEnd();
  // Judges the last run. Returns an empty text, or what is wrong.
  std::string Check();
  // Returns a hash of the history. Runs with the same hash are judged alike.
  std::uint64_t HistoryHash() const;

  const History& history() const { return history_; }

 private:
  void Record(const Call& call, Answer answer, Scheduler::CallEvents events, int thread,
              std::uint8_t number);
  Call Resolve(PlannedCall planned, std::uint8_t number, std::uint8_t given);
  void RunThread(std::size_t thread);
  // Makes one call on the ledger, or moves the clock if the call is an Advance.
  Answer MakeHere(const Call& call);
  void Learn(std::uint8_t execution, const Answer& answer);

  Scheduler scheduler_;
  Race race_;
  ManualClock model_clock_;
  std::unique_ptr<ModelLedger> model_;  // the model at the moment when the threads begin
  std::unique_ptr<ScheduledClock> clock_;
  std::unique_ptr<MemoryLedger> ledger_;
  std::array<std::optional<Lease>, kExecutions> latest_;
  std::vector<std::optional<Call>> fixed_;  // by number: calls that are the same in every run
  History before_;                          // the calls of the set-up, with the model's answers
  History history_;                         // all calls after the set-up
};

}  // namespace ffgrant::testing

#endif  // FFGRANT_TESTING_MODEL_LEDGER_RACE_H_
