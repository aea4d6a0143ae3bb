// SPDX-License-Identifier: Apache-2.0
//
// Chooses calls: ids, workers, lanes, times and fences that are mostly right,
// and seldom wrong in each way that matters. What is chosen comes from a stream
// of choices: a random generator's, or a fuzzer's bytes. To be mostly right, it
// remembers what it is told of grants and leases.

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

// In place of a call: eight grants that run out at once, with new texts each
// time, so that a ledger has to throw away old ones while others hold on to
// theirs.
inline constexpr CallKind kChurn = static_cast<CallKind>(kCallKinds);

// What is chosen from. Each entry of a table is as likely as another one.
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
  std::vector<std::string> aliases;  // of the first one: spellings that are not its id
  std::string outside;               // an id that can't be created; empty: nothing such is tried
  std::vector<Worker> workers;
  bool has_nameless_workers = false;  // nothing forbids empty names
  std::vector<std::string> lanes;     // besides an execution's own
  bool claims_in_own_lane = false;
  std::vector<Capabilities> required = {nullptr};
  std::vector<Capabilities> offered = {nullptr};
  std::vector<std::int64_t> priorities = {0};
  std::vector<std::optional<RetryPolicy>> retries = {};  // empty: no execution has a policy
  // An execution may be delayed until so far from now, and up to `spread - 1`
  // longer; 0: none is.
  std::int64_t delay_ms = 0;
  std::uint32_t delay_spread = 1;
  // A ttl is this one, or up to `spread - 1` longer; one in so many is odd.
  std::int64_t ttl_ms = 1;
  std::uint32_t ttl_spread = 8;
  std::uint32_t odd_ttl_one_in = 8;
  std::vector<std::int64_t> odd_ttls;
  std::vector<std::uint16_t> windows = {kAllPartitions};  // of a scheduler's search
  bool has_batches = false;
  bool has_partial_fences = true;
};

class CallGenerator {
 public:
  // Returns a number below `bound`, which is never 0.
  using Choose = std::function<std::uint32_t(std::uint32_t bound)>;
  // The stored state, where the clock is to be moved to the edge of something.
  using Inspect = std::function<std::optional<ExecutionState>(const ExecutionIdView&)>;

  // `clock`, which must outlive it, is the ledger's.
  CallGenerator(Choose choose, Choices choices, const Clock& clock, Inspect inspect = {});

  // The next call. Its answer must be told before the one after it is chosen.
  Call Next();
  void Learn(const Call& call, const Answer& answer);
  // Whether Next() goes on with what it began.
  bool is_churning() const { return churn_ > 0; }
  bool OneIn(std::uint32_t n) { return choose_(n) == 0; }

  // The execution of the last call, chosen also where the call is about none.
  const ExecutionIdView& target() const { return target_; }
  const std::deque<Choices::Execution>& executions() const { return choices_.executions; }
  // The first execution makes room for another one.
  void Replace(Choices::Execution by);
  // The lane of the execution with that id; for an alias the first execution's lane.
  LaneIdView OwnLane(std::string_view id) const;

 private:
  // What became known of one execution.
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
  int churn_ = 0;  // what is left of it: grants, and a step of the clock after each
};

}  // namespace ffgrant::testing

#endif  // FFGRANT_TESTING_CALLS_CALL_GENERATOR_H_
