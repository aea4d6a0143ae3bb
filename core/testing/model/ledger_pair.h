// SPDX-License-Identifier: Apache-2.0
//
// Drives the embedded ledger and the model side by side through one history: the answers and the
// stored state must be the same, and the invariants must hold. Choices from a random generator or
// from a fuzzer's bytes decide which calls are made with which arguments (call_generator.h). The
// model has unlimited room; this class counts what is in use, and so knows whether the ledger may
// say that it has no room.

#ifndef FFGRANT_TESTING_MODEL_LEDGER_PAIR_H_
#define FFGRANT_TESTING_MODEL_LEDGER_PAIR_H_

#include <cstddef>
#include <cstdint>
#include <map>
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

  // How much room the ledger has: for workers' names, for the texts that only few grants and leases
  // have (in pieces of 60 bytes), for executions, and for the lanes and capability sets that
  // executions share.
  struct Room {
    std::size_t max_names = 20;
    std::size_t max_text_pieces = 128;
    std::size_t max_executions = 16;
    std::size_t max_lanes = 4;
    std::size_t max_capability_sets = 8;
    friend bool operator==(const Room&, const Room&) = default;
  };

  explicit LedgerPair(Choose choose) : LedgerPair(std::move(choose), Room()) {}
  LedgerPair(Choose choose, Room room);

  // Makes one chosen call, or all calls of a churn, on both ledgers. Returns false once the ledgers
  // have differed or an invariant was broken.
  bool Step();
  // Ends a history, without choices: compares everything, lets all but the longest times run out,
  // and checks that a scheduler finds exactly the executions that are eligible. Errors in how the
  // ledger stores things show here.
  bool Settle();
  const std::string& problem() const { return driver_.problem(); }
  // Returns "<state> <operation> <outcome>" of the calls so far, each text once. The state is what
  // StateName() returned before the call, or "any". Moves of the clock are left out.
  const std::set<std::string>& seen() const { return seen_; }

 private:
  // A worker's id and its instance's id; each pair takes one place in the ledger's memory.
  using Name = std::pair<std::string, std::string>;
  using Names = std::set<Name>;
  // An execution's id, and the name to which it is granted.
  using Grants = std::set<std::pair<std::string, Name>>;
  // A text that an execution keeps: the execution's id, the member, the text.
  using Texts = std::set<std::tuple<std::string, std::string_view, std::string>>;
  // The names and texts that live grants and active executions refer to, and these grants.
  struct Kept {
    Names names;
    Grants grants;
    Texts texts;
  };

  // What an execution got when it was created, and holds until it is forgotten.
  struct Created {
    std::string lane;
    std::string required;  // the capabilities and the retry policy; empty if there is neither
  };

  void Do(const Call& call);
  Answer Make(const Call& call);
  // The judge that asks the model. BesideChoice() is its part for ClaimForWorker.
  std::string Beside(const Call& call, const Answer& answer);
  std::string BesideChoice(const ClaimForWorkerArgs& args, const Answer& answer);

  Kept WhatIsKept();
  bool IsAmple() const { return room_ == Room(); }
  // Returns the name that the call keeps if it succeeds. The set is empty if the call keeps no
  // name, or if the execution's grant holds the name already.
  Names NamesFor(const Call& call);
  std::size_t TextPiecesFor(const Call& call, const Texts& in_use);
  static Created CreatedBy(const Call& call);
  // Returns what the ledger has no room for although a creation needs it, in the ledger's words:
  // "capability sets", "lanes" or "executions". The text is empty if nothing is missing.
  std::string MissingFor(const Call& call) const;
  // Returns what is wrong with the ledger's answer that it is full, or an empty text if nothing is
  // wrong. A creation may get this answer only if MissingFor() names something. Any other call may
  // get it only if there is no room for a name or text that it needs, or if the ledger does not
  // look for room at present. In each case the call must be one that would otherwise succeed.
  std::string WhyNotFull(const Call& call, const Answer& answer);
  // Is run after each call, where room is limited. Notes what the call has released, and what was
  // released because time passed. The ledger notices the latter only when it looks for room.
  // `before` is the time before the call.
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
  // When the ledger last had no room of this kind, and whether a call has released room since then.
  struct Shortage {
    std::optional<std::int64_t> at;
    bool released = true;
  };
  Shortage names_short_;
  Shortage texts_short_;
  // The names of grants that ended by time: the ledger may keep them until it looks at all grants.
  Names lingering_;
  Kept kept_;  // what was kept after the last call; counted only where room is limited
  std::map<std::string, Created> created_;  // by the execution's id
  std::string state_before_;
  std::set<std::string> seen_;
};

}  // namespace ffgrant::testing

#endif  // FFGRANT_TESTING_MODEL_LEDGER_PAIR_H_
