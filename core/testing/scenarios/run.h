// SPDX-License-Identifier: Apache-2.0
//
// Runs one scenario on one engine, with calls in short form. Every call states the answer that it
// must get. The outcome, the code and the details are checked, and then the whole stored state of
// the execution: the call must have changed it as the contract says, which for most rejections
// means not at all.
//
//   void ClaimByAnotherWorker(Run& run) {
//     Execution& e = run.Create();
//     run.Issue(e, {.worker = kWorker1});
//     run.Claim(e, {.worker = kWorker2}, ClaimError::kInvalidClaimGrant);
//     run.Claim(e, {.worker = kWorker1});
//   }

#ifndef FFGRANT_TESTING_SCENARIOS_RUN_H_
#define FFGRANT_TESTING_SCENARIOS_RUN_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "ffgrant/claims/claim_ledger.h"
#include "testing/calls/driver.h"
#include "testing/scenarios/engine.h"
#include "testing/scenarios/expected.h"

namespace ffgrant::claims_conformance {

// These are times in ms. kLong is long enough never to run out during a scenario on a busy machine.
// kShort is short enough to wait for.
inline constexpr std::int64_t kLong = 600'000;
inline constexpr std::int64_t kShort = 20;

// Run::Named() puts the run's prefix before these names, so that a run leaves other names on a
// shared server alone. A worker's names may be any texts, so these hold bytes that an engine could
// take for something else.
inline const Worker kWorker1 = {"w1 \xC3\xA9", "w1-i1 \xE2\x82\xAC:{x}"};
inline const Worker kWorker1Other = {kWorker1.id, "w1-i2 \xE2\x82\xAC \"%s\"\\"};
inline const Worker kWorker2 = {"w2", "w2-i\xF0\x9F\x98\x80*,noop\t"};

struct Execution {
  explicit Execution(Expected stored) : expected(std::move(stored)) {}
  ExecutionIdView id() const { return ParseExecutionId(expected.id, ParseMode::kLenient).id; }
  std::string_view lane() const { return expected.lane; }

  Expected expected;
  OptionalFence fence;           // of the last lease
  AttemptIndex attempt_index{};  // of the last lease
};

// The answer that a call must get.
struct ExpectedAnswer {
  ExpectedAnswer() = default;
  ExpectedAnswer(ClaimError code, std::vector<std::string> with = {})  // NOLINT: implicit
      : error(code), details(std::move(with)) {}
  ClaimError error = ClaimError::kNone;
  std::vector<std::string> details;
};

struct CreateOptions {
  std::int64_t priority = 0;
  std::optional<std::string> required = {};  // comma-joined, sorted
  std::optional<TimestampMs> delay_until = {};
  std::optional<std::uint32_t> cap = {};
  std::optional<std::string> lane = {};  // no value: a lane of the execution's own
  std::optional<std::string> id = {};    // no value: a new id
  std::optional<RetryPolicy> retry = {};
};
struct IssueOptions {
  Worker worker = kWorker1;
  std::int64_t ttl_ms = kLong;
  std::optional<std::string> offered = {};  // comma-joined
  std::optional<std::string> lane = {};     // no value: the execution's lane
  std::string capability_hash = {};
  std::string route_snapshot_json = {};
  std::string admission_summary = {};
};
struct ClaimOptions {
  Worker worker = kWorker1;
  std::int64_t ttl_ms = kLong;
  std::optional<std::string> lane = {};
  std::optional<std::uint32_t> cap = {};  // for a reclaim
};
struct RenewOptions {
  std::optional<OptionalFence> fence = {};  // no value: the last lease's
  std::optional<AttemptIndex> attempt_index = {};
  std::int64_t ttl_ms = kLong;
};

struct FailOptions {
  std::optional<OptionalFence> fence = {};  // no value: the last lease's
  std::string reason = "no disk";
  std::string category = "transient";
  bool operator_override = false;
  // The delay of the retry, in whole milliseconds. If it is empty, the failure is final.
  std::optional<std::int64_t> retried_after_ms = {};
};

struct Failure {
  std::string place;  // "3 claim: error"
  std::string expected;
  std::string actual;
};

// Says that a call did not get the error, or the success, that it must get. The rest of the
// scenario would then mean nothing. Run's calls throw this after they have noted the failure; the
// runner catches it.
struct WentAstray {};

class Run {
 public:
  // The names of this run's lanes and workers begin with `prefix`, which has at most 24 bytes.
  Run(Engine& engine, std::string prefix, std::size_t argument = 0);

  // Returns an execution with a new id, in a random partition and a lane of its own, or in the
  // partition and lane of `beside`. Nothing is created on the engine.
  Execution& New(const Execution* beside = nullptr);
  Execution& Create(const CreateOptions& options = {}, const Execution* beside = nullptr);
  // Creates an execution, grants it to worker 1 and claims it.
  Execution& Leased(std::int64_t ttl_ms = kLong, std::optional<std::uint32_t> cap = {});
  Execution& Expired();                                          // leased, run out, marked
  Execution& RevokedOne(std::optional<std::uint32_t> cap = {});  // leased, revoked
  Execution& Interrupted();                                      // leased, suspended, resumed

  void CreateAgain(Execution& e, const CreateOptions& options);
  void Issue(Execution& e, const IssueOptions& options = {}, const ExpectedAnswer& answer = {});
  void IssueReclaim(Execution& e, const IssueOptions& options = {.worker = kWorker2},
                    const ExpectedAnswer& answer = {});
  void Claim(Execution& e, const ClaimOptions& options = {}, const ExpectedAnswer& answer = {});
  void ClaimResumed(Execution& e, const ClaimOptions& options = {},
                    const ExpectedAnswer& answer = {});
  void Renew(Execution& e, const RenewOptions& options = {}, const ExpectedAnswer& answer = {});
  void MarkExpired(Execution& e, AlreadySatisfied already = AlreadySatisfied::kNo);
  void Revoke(Execution& e, std::optional<LeaseId> expected_lease = {},
              const ExpectedAnswer& answer = {}, AlreadySatisfied already = AlreadySatisfied::kNo);
  void Reclaim(Execution& e, const ClaimOptions& options = {.worker = kWorker2},
               const ExpectedAnswer& answer = {});
  void Suspend(Execution& e, std::optional<OptionalFence> fence = {},
               const ExpectedAnswer& answer = {});
  void Resume(Execution& e, std::int64_t delay_ms = 0, const ExpectedAnswer& answer = {});
  void Complete(Execution& e, std::optional<OptionalFence> fence = {},
                const ExpectedAnswer& answer = {}, bool operator_override = false);
  void Fail(Execution& e, const FailOptions& options = {}, const ExpectedAnswer& answer = {});
  // Promotes the execution as a scanner does. The scenario fails unless the execution is promoted
  // exactly if `due` is true.
  void Promote(Execution& e, bool due = true);

  // Takes a step of the scenario that may fail: returns false, and notes no failure, if a call of
  // the step does not get the answer that it must get.
  bool Try(const std::function<void()>& step);

  // Lets at least `ms` pass; exactly `ms` on an engine whose time is exact.
  void Pass(std::int64_t ms);
  // Checks that everything that is stored of `e` is as expected.
  void CheckStored(Execution& e);
  // Notes a failure of the scenario if `expected` and `actual` differ. `what` names what is
  // compared.
  void CheckEqual(std::string_view what, const std::string& expected, const std::string& actual);
  void Check(std::string_view what, bool holds) {
    CheckEqual(what, "true", holds ? "true" : "false");
  }

  // Reports a difference: aspect, expected, actual.
  using Report = std::function<void(const std::string&, const std::string&, const std::string&)>;

  Engine& engine() { return engine_; }
  ClaimLedger& ledger() { return engine_.ledger(); }
  RawStore& store() { return *engine_.store(); }  // only if the scenario needs keys
  std::size_t argument() const { return argument_; }
  const std::vector<Failure>& failures() const { return failures_; }
  // Returns all executions that the run has made, for cleaning up.
  const std::deque<Execution>& executions() const { return executions_; }

  std::string Name(std::string_view name) const { return prefix_ + std::string(name); }
  Worker Named(const Worker& worker) const { return {Name(worker.id), Name(worker.instance)}; }
  Uuid NextUuid();

 private:
  // Notes what a call that succeeded has done, at a moment between two readings of the clock.
  using Effect = std::function<void(const Moment&, const testing::Answer&)>;
  // Makes the call, checks the answer and then everything that is stored. `effect` is called if the
  // call succeeds; otherwise NoteRejection() is.
  void Do(Execution& e, const testing::Call& call, const ExpectedAnswer& expected,
          const Effect& effect);
  std::string WithoutPrefix(std::string text) const;
  void Blame(std::string_view aspect, const std::string& expected, const std::string& actual);
  void IssueAny(bool reclaim, Execution& e, const IssueOptions& options,
                const ExpectedAnswer& expected);
  void CheckAnswer(const ExpectedAnswer& expected, const testing::Answer& answer);
  void CheckExpiry(const Moment& at, std::int64_t ttl_ms, const testing::Answer& answer);
  void NoteLease(Execution& e, const testing::Answer& answer, LeaseKind kind);
  void NoteRejection(Execution& e, testing::CallKind kind, ClaimError error, const Moment& at);
  NewLease LeaseOf(const ClaimOptions& options, const Execution& e);

  void CheckState(Execution& e);
  void CheckKeys(Execution& e);
  Wanted WantedOf(const Execution& e) const;
  void CheckGrantKey(Execution& e, const Snapshot& keys, Presence presence, const Report& fail);
  void CheckLeaseKey(Execution& e, const Snapshot& keys, const Report& fail);
  void CheckSets(Execution& e, const Snapshot& keys, const Report& fail);
  void CheckAttempts(Execution& e, const Snapshot& keys, const Report& fail);

  Engine& engine_;
  std::string prefix_;
  std::size_t argument_;
  std::deque<Execution> executions_;
  std::vector<Failure> failures_;
  std::set<std::string> shown_wrongly_;
  Moment moment_;  // the moment of the last call
  testing::Driver driver_;
  int step_ = 0;
  std::string operation_;
};

}  // namespace ffgrant::claims_conformance

#endif  // FFGRANT_TESTING_SCENARIOS_RUN_H_
