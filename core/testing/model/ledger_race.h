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
#include "testing/calls/driver.h"
#include "testing/model/linearizability.h"
#include "testing/model/model_ledger.h"
#include "testing/model/race_calls.h"
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
  kFailed,  // of the last execution: waits for its retry
};
inline constexpr std::uint8_t kStartStates = 14;

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
  void Record(const Call& call, Answer answer, Scheduler::CallEvents events, int thread,
              std::uint8_t number);
  Call Resolve(PlannedCall planned, std::uint8_t number, std::uint8_t given);
  void RunThread(std::size_t thread);
  // One call on the ledger: the clock too.
  Answer MakeHere(const Call& call);
  void Learn(std::uint8_t execution, const Answer& answer);

  Scheduler scheduler_;
  Race race_;
  ManualClock model_clock_;
  std::unique_ptr<ModelLedger> model_;  // when the threads begin
  std::unique_ptr<ScheduledClock> clock_;
  std::unique_ptr<MemoryLedger> ledger_;
  std::array<std::optional<Lease>, kExecutions> latest_;
  std::vector<std::optional<Call>> fixed_;  // by number: calls that no run changes
  History before_;                          // the set-up, on the model
  History history_;                         // from then on
};

}  // namespace ffgrant::testing

#endif  // FFGRANT_TESTING_MODEL_LEDGER_RACE_H_
