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
#include <tuple>
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

  // The ledger's room for workers' names, and for the texts that few grants have, in pieces of 60
  // bytes.
  struct Room {
    std::size_t max_names = 20;
    std::size_t max_text_pieces = 128;
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
  // A worker's id and its instance's; each pair takes one place in the ledger's memory.
  using Name = std::pair<std::string, std::string>;
  using Names = std::set<Name>;
  // An execution's id, and whom it is granted to.
  using Grants = std::set<std::pair<std::string, Name>>;
  // A text that an execution keeps: the execution's id, the member, the text.
  using Texts = std::set<std::tuple<std::string, std::string_view, std::string>>;
  // The names and texts that live grants and leases refer to, and these grants.
  struct Kept {
    Names names;
    Grants grants;
    Texts texts;
  };

  void Do(const Call& call);
  Answer Make(const Call& call);
  // The judges.
  std::string Beside(const Call& call, const Answer& answer);
  std::string BesideChoice(const ClaimForWorkerArgs& args, const Answer& answer);

  Kept WhatIsKept();
  bool IsAmple() const { return room_ == Room(); }
  // The names that a call needs besides those in use, and the pieces for its texts.
  Names NamesFor(const Call& call);
  std::size_t TextPiecesFor(const Call& call, const Texts& in_use);
  // What is wrong with the ledger's saying that it is full. It may say so only
  // if names or texts find no room, and only of a call that would succeed.
  std::string WhyNotFull(const Call& call, const Answer& answer);
  // After each call: what it has let go of, and what time has, which the ledger finds out only when
  // it looks for room. `before`: the time before the call.
  void CountWhatIsKept(TimestampMs before);

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
  // When the ledger last missed room of this kind, and whether a call has let go of some since.
  struct Shortage {
    std::optional<std::int64_t> at;
    bool released = true;
  };
  Shortage names_short_;
  Shortage texts_short_;
  // Names of grants that time ended: the ledger may keep them until it looks at all grants.
  Names lingering_;
  Kept kept_;  // after the last call, where room is little
  std::string state_before_;
  std::set<std::string> seen_;
};

}  // namespace ffgrant::testing

#endif  // FFGRANT_TESTING_MODEL_LEDGER_PAIR_H_
