// SPDX-License-Identifier: Apache-2.0
//
// Chooses calls. Their ids, workers, lanes, times and fences are mostly right; now and then one of
// these is wrong. The choices come from a random generator or from a fuzzer's bytes. To be mostly
// right, the generator remembers the grants and leases that the answers tell of.

#ifndef FFGRANT_TESTING_CALLS_CALL_GENERATOR_H_
#define FFGRANT_TESTING_CALLS_CALL_GENERATOR_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ffgrant/claims/clock.h"
#include "testing/calls/answer.h"
#include "testing/calls/call.h"

namespace ffgrant::testing {

// Stands for eight grants instead of one call. Each of the eight runs out before the next is
// issued. Each has new texts, so that a ledger has to throw away old texts while other grants still
// use theirs.
inline constexpr CallKind kChurn = static_cast<CallKind>(kCallKinds);

// The tables from which the generator chooses. All entries of a table are equally likely, except
// that the worker with an execution's grant is preferred.
struct Choices {
  struct Execution {
    std::string id;
    std::string lane;
    ExecutionIdView view() const { return ParseExecutionId(id, ParseMode::kLenient).id; }
  };
  struct Worker {
    std::string id;
    std::string instance;
  };
  using Capabilities = std::shared_ptr<const CapabilitySet>;
  static Capabilities Set(std::string_view csv);

  std::vector<CallKind> kinds;
  std::deque<Execution> executions;
  std::vector<std::string> aliases;  // other spellings of the first execution's id
  // An id that can't be created. If it is empty, creations get no wrong lanes and retry policies,
  // and no wrong ids but the aliases.
  std::string outside;
  std::vector<Worker> workers;
  bool has_nameless_workers = false;  // whether workers may have empty names
  std::vector<std::string> lanes;     // now and then taken in place of an execution's own lane
  bool claims_in_own_lane = false;
  std::vector<Capabilities> required = {nullptr};
  std::vector<Capabilities> offered = {nullptr};
  std::vector<std::int64_t> priorities = {0};
  std::vector<std::optional<RetryPolicy>> retries = {};  // empty: no execution has a policy
  // An execution may be delayed until `delay_ms` from now, or up to `delay_spread - 1` ms longer.
  // If `delay_spread` is 0, no execution is delayed.
  std::int64_t delay_ms = 0;
  std::uint32_t delay_spread = 1;
  // A ttl is `ttl_ms`, or up to `ttl_spread - 1` ms longer. If `odd_ttls` is not empty, one ttl in
  // `odd_ttl_one_in` comes from there.
  std::int64_t ttl_ms = 1;
  std::uint32_t ttl_spread = 8;
  std::uint32_t odd_ttl_one_in = 8;
  std::vector<std::int64_t> odd_ttls;
  std::vector<std::uint16_t> windows = {kAllPartitions};  // values of max_partitions
  bool has_batches = false;
  bool has_partial_fences = true;
};

class CallGenerator {
 public:
  // Returns a number below `bound`. The generator never asks with a `bound` of 0.
  using Choose = std::function<std::uint32_t(std::uint32_t bound)>;
  // Returns the stored state of an execution. The generator needs this state to move the clock to a
  // stored time, such as an expiry, or 1 ms beside it.
  using Inspect = std::function<std::optional<ExecutionState>(const ExecutionIdView&)>;

  // `clock` is the ledger's clock and must outlive the generator.
  CallGenerator(Choose choose, Choices choices, const Clock& clock, Inspect inspect = {});

  // Chooses the next call. Learn() must be told the answer to this call before another call is
  // chosen.
  Call Next();
  void Learn(const Call& call, const Answer& answer);
  // Whether Next() is in a churn: a run of calls in which grants and steps of the clock take turns.
  bool is_churning() const { return churn_ > 0; }
  bool OneIn(std::uint32_t n) { return choose_(n) == 0; }

  // The execution that was chosen for the last call, even if that call is about no execution.
  const ExecutionIdView& target() const { return target_; }
  const std::deque<Choices::Execution>& executions() const { return choices_.executions; }
  // Removes the first execution and adds `by` as the last.
  void Replace(Choices::Execution by);
  // Returns the lane of the execution with that id; for any other id, such as an alias, the first
  // execution's lane.
  LaneIdView OwnLane(std::string_view id) const;

 private:
  // The facts about one execution that the generator knows.
  struct Known {
    std::optional<std::string> granted_to;
    std::optional<LeaseFence> lease;
    std::optional<AttemptIndex> attempt_index;
    std::vector<LeaseFence> ended;
  };

  template <class T>
  const T& OneOf(const std::vector<T>& table) {
    return table[choose_(static_cast<std::uint32_t>(table.size()))];
  }
  Known& KnownOf(std::string_view id) { return known_[std::string(id)]; }

  void ChooseTarget();
  WorkerIdentity ChooseWorker(std::string_view id);
  LaneIdView ChooseLane(LaneIdView own);
  LaneIdView ChooseLaneToClaim();
  std::int64_t ChooseTtl();
  OptionalFence ChooseFence();
  OptionalFence PartOf(OptionalFence fence);
  Uuid NextUuid();

  Call ChooseCall(CallKind kind);
  Call Create();
  IssueGrantArgs IssueArgs(bool churned);
  Call Issue(bool churned);
  Call IssueReclaim();
  Call ClaimForWorker();
  Call Claim();
  Call ClaimResumed();
  Call Reclaim();
  Call Renew();
  Call Revoke();
  Call Fail();
  Call MoveClock();

  Choose choose_;
  Choices choices_;
  const Clock& clock_;
  Inspect inspect_;
  Choices::Capabilities capabilities_;  // of the call that is being made
  std::map<std::string, Known> known_;
  ExecutionIdView target_;
  LaneIdView lane_;
  std::string texts_[3];
  std::uint64_t next_uuid_ = 0;
  std::uint64_t next_text_ = 0;
  int churn_ = 0;  // calls that are left of the churn; a grant and a step of the clock take turns
};

}  // namespace ffgrant::testing

#endif  // FFGRANT_TESTING_CALLS_CALL_GENERATOR_H_
