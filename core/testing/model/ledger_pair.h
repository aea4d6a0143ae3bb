// SPDX-License-Identifier: Apache-2.0
//
// The embedded ledger and the model, driven side by side through one history:
// after every call the outcomes, the details and the stored state must be the
// same, and the invariants must hold. What is called with what comes from a
// stream of choices: a random generator's, or a fuzzer's bytes. The model has room
// without end; whether the ledger may say that it has none is counted here.

#ifndef FFGRANT_TESTING_MODEL_LEDGER_PAIR_H_
#define FFGRANT_TESTING_MODEL_LEDGER_PAIR_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ffgrant/claims/clock.h"
#include "ffgrant/claims/memory_ledger.h"
#include "testing/model/lease_observer.h"
#include "testing/model/model_ledger.h"

namespace ffgrant::testing {

class LedgerPair {
 public:
  // Returns a number below `bound`, which is never 0.
  using Choose = std::function<std::uint32_t(std::uint32_t bound)>;

  // The ledger's room for names.
  struct Room {
    std::size_t max_names = 20;  // 19 can be in use at once
    std::size_t max_name_bytes = 4096;
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
  const std::string& problem() const { return problem_; }
  // "<state> <operation> <outcome>" of every call so far; states are named
  // after what an execution can be told apart by (StateName).
  const std::set<std::string>& seen() const { return seen_; }

 private:
  struct Execution {
    std::string id;
    std::string lane;
    ExecutionIdView View() const { return ParseExecutionId(id, ParseMode::kLenient).id; }
  };
  struct Target {
    ExecutionIdView id;
    LaneIdView lane;
  };

  // What takes a place in the ledger's memory: a text, or two that go together.
  using Name = std::pair<std::string, std::string>;
  using Names = std::set<Name>;

  Target ChooseTarget();
  WorkerIdentity ChooseWorker(std::string_view id);
  LaneIdView ChooseLane(LaneIdView own);
  std::int64_t ChooseTtl();
  const CapabilitySet* ChooseOffered();
  OptionalFence ChooseFence(std::string_view id);
  Uuid NextUuid();
  bool OneIn(std::uint32_t n) { return choose_(n) == 0; }

  void TakeStep(const Target& target);
  void TakeStepInLittleRoom(const Target& target);
  void MoveClock();
  void Create(const Target& target);
  void Issue(const Target& target, bool reclaim);
  void ClaimForWorker();
  void Schedule(const ClaimForWorkerArgs& args);
  void Claim(const Target& target);
  void ClaimResumed(const Target& target);
  void Renew(const Target& target);
  void MarkExpired(const Target& target);
  void Revoke(const Target& target);
  void Reclaim(const Target& target);
  void Suspend(const Target& target);
  void Resume(const Target& target);
  void Complete(const Target& target);
  void Maintain();
  void Churn(const Target& target);
  void Forget(const Target& target);

  // The names that live grants, leases and requirements refer to.
  Names NamesInUse();
  bool Fits(const Names& names) const;
  bool IsAmple() const { return room_ == Room(); }
  Names NamesOf(const IssueGrantArgs& args, LaneIdView own_lane) const;
  // Those that a claim needs besides the grant's.
  Names NamesOf(const WorkerIdentity& worker, const ExecutionIdView& id, LaneIdView lane,
                LaneIdView own_lane);
  // Whether the ledger says that it is full. It may do so only if names are
  // missing, and only of a call that would succeed: `call` makes it on a model.
  template <class Needed, class Call>
  bool IsFull(std::string_view operation, ClaimError error, Needed needed, Call call);

  void NoteLease(const Target& target, WorkerIdentity worker, std::int64_t ttl_ms,
                 const ClaimOutcome& outcome);
  void See(std::string_view operation, std::string_view outcome);
  template <class T>
  void Same(std::string_view operation, const T& memory, const T& model);
  void CompareState(const ExecutionIdView& id);
  void CompareEverything();
  void Problem(const std::string& text);

  Choose choose_;
  Room room_;
  ManualClock clock_;
  MemoryLedger memory_;
  ModelLedger model_;
  LeaseObserver observer_;
  std::vector<Execution> executions_;
  std::vector<CapabilitySet> offered_;
  std::vector<CapabilitySet> required_;
  ErrorDetails memory_details_;
  ErrorDetails model_details_;
  std::uint64_t next_uuid_ = 0;
  std::uint64_t next_text_ = 0;
  // When the ledger was last full, and whether a call has let go of a name since.
  std::optional<std::int64_t> full_at_;
  bool released_ = true;
  std::string state_before_;
  std::string problem_;
  std::set<std::string> seen_;
};

}  // namespace ffgrant::testing

#endif  // FFGRANT_TESTING_MODEL_LEDGER_PAIR_H_
