// SPDX-License-Identifier: Apache-2.0
//
// The embedded ledger and the model, driven side by side through one history:
// after every call the answers and the stored state must be the same, and the
// invariants must hold. What is called with what comes from a stream of choices
// (call_generator.h): a random generator's, or a fuzzer's bytes. The model has
// room without end; whether the ledger may say that it has none is counted here.

#ifndef FFGRANT_TESTING_MODEL_LEDGER_PAIR_H_
#define FFGRANT_TESTING_MODEL_LEDGER_PAIR_H_

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "ffgrant/claims/clock.h"
#include "ffgrant/claims/memory_ledger.h"
#include "testing/calls/call_generator.h"
#include "testing/calls/driver.h"
#include "testing/model/lease_observer.h"
#include "testing/model/model_ledger.h"

namespace ffgrant::testing {

class LedgerPair {
 public:
  using Choose = CallGenerator::Choose;

  // The ledger's room for names.
  struct Room {
    std::size_t max_names = 20;
    friend bool operator==(const Room&, const Room&) = default;
  };

  explicit LedgerPair(Choose choose) : LedgerPair(std::move(choose), Room()) {}
  LedgerPair(Choose choose, Room room);

  // One call, chosen, on both. False if they differ or an invariant broke.
  bool Step();
  // For the end of a history, without choices: compares everything, lets all
  // that has a time run out, and has a scheduler find exactly what is eligible.
  // What is wrong with the ledger's memory of things shows here.
  bool Settle();
  const std::string& problem() const { return driver_.problem(); }
  // "<state> <operation> <outcome>" of every call so far; states are named
  // after what an execution can be told apart by (StateName).
  const std::set<std::string>& seen() const { return seen_; }

 private:
  // What takes a place in the ledger's memory: a worker's id and its instance's.
  using Name = std::pair<std::string, std::string>;
  using Names = std::set<Name>;

  void Do(const Call& call);
  Answer Make(const Call& call);
  // The judges.
  std::string Beside(const Call& call, const Answer& answer);
  std::string BesideChoice(const ClaimForWorkerArgs& args, const Answer& answer);

  // The names that live grants and leases refer to.
  Names NamesInUse();
  bool Fits(const Names& names) const;
  bool IsAmple() const { return room_ == Room(); }
  // Those that a call needs besides the names in use.
  Names NamesFor(const Call& call);
  // What is wrong with the ledger's saying that it is full. It may say so only
  // if names are missing, and only of a call that would succeed.
  std::string WhyNotFull(const Call& call, const Answer& answer);
  void StepAtEase();
  void StepInLittleRoom();

  void See(const Call& call, const Answer& answer);
  void CompareState(const ExecutionIdView& id);
  void CompareEverything();

  Room room_;
  ManualClock clock_;
  MemoryLedger memory_;
  ModelLedger model_;
  LeaseObserver observer_;
  CallGenerator generator_;
  Driver driver_;
  // When the ledger was last full, and whether a call has let go of a name since.
  std::optional<std::int64_t> full_at_;
  bool released_ = true;
  Names names_in_use_;  // after the last step, where room is little
  std::string state_before_;
  std::set<std::string> seen_;
};

}  // namespace ffgrant::testing

#endif  // FFGRANT_TESTING_MODEL_LEDGER_PAIR_H_
