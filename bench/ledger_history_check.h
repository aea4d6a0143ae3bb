// SPDX-License-Identifier: Apache-2.0
//
// One long random history, played against core's ledger and another, outcome
// by outcome.

#ifndef FFGRANT_BENCH_LEDGER_HISTORY_CHECK_H_
#define FFGRANT_BENCH_LEDGER_HISTORY_CHECK_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>

#include "bench/population.h"
#include "ffgrant/claims/claim_ledger.h"
#include "ffgrant/claims/clock.h"

namespace ffgrant::bench {

namespace history {

inline constexpr std::size_t kSteps = 40'000;
// A window of this many executions is in use; it moves on by one every few
// steps, since an execution whose lease ran out can't be completed any more.
inline constexpr std::size_t kWindow = 200;
inline constexpr std::size_t kStepsPerMove = 20;
inline constexpr std::size_t kExecutions = kWindow + kSteps / kStepsPerMove;

struct Answer {
  ClaimError error = ClaimError::kNone;
  CreateOutcome::Status status = CreateOutcome::Status::kWaiting;
  TimestampMs grant_expires_at;
  Lease lease;
  friend bool operator==(const Answer&, const Answer&) = default;
};

// One call, chosen at random, the same for every ledger.
struct Step {
  enum class Kind { kCreate, kIssue, kClaim, kComplete, kForget };
  Kind kind = Kind::kCreate;
  ExecutionIdView id;
  WorkerIdentity worker;
  const CapabilitySet* capabilities = nullptr;
  LaneIdView lane = LaneIdView::Unchecked(kLane);
  std::int64_t ttl_ms = 0;
  LeaseId lease_id;
  LeaseFence fence;
};

template <class Ledger>
Answer Play(Ledger& ledger, const Step& step) {
  Answer answer;
  switch (step.kind) {
    case Step::Kind::kCreate: {
      CreateExecutionArgs args;
      args.execution_id = step.id;
      args.lane = LaneIdView::Unchecked(kLane);
      args.required = step.capabilities;
      const CreateOutcome outcome = ledger.CreateExecution(args);
      answer.error = outcome.error;
      answer.status = outcome.status;
      break;
    }
    case Step::Kind::kIssue: {
      IssueGrantArgs args;
      args.execution_id = step.id;
      args.worker = step.worker;
      args.lane = step.lane;
      args.grant_ttl_ms = step.ttl_ms;
      args.offered = step.capabilities;
      const IssueOutcome outcome = ledger.IssueClaimGrant(args);
      answer.error = outcome.error;
      if (outcome) answer.grant_expires_at = outcome.expires_at;
      break;
    }
    case Step::Kind::kClaim: {
      ClaimArgs args;
      args.execution_id = step.id;
      args.worker = step.worker;
      args.lane = step.lane;
      args.lease_id = step.lease_id;
      args.lease_ttl_ms = step.ttl_ms;
      args.attempt_id = AttemptIdOf(step.id);
      const ClaimOutcome outcome = ledger.Claim(args);
      answer.error = outcome.error;
      if (outcome) answer.lease = outcome.lease;
      break;
    }
    case Step::Kind::kComplete:
      answer.error = ledger.Complete(step.id, step.fence).error;
      break;
    case Step::Kind::kForget:
      answer.error = ledger.Forget(step.id).error;
      break;
  }
  return answer;
}

// Ends the process at the first difference. `other` plays a step by `clock`.
void CheckAgainstCore(std::string_view name, ManualClock& clock,
                      const std::function<Answer(const Step&)>& other);

}  // namespace history

// Anything with the signatures of StoreLedger (map_ledger.h).
template <class Ledger>
void CheckLedgerAgainstCore(std::string_view name) {
  ManualClock clock(TimestampMs{1'700'000'000'000});
  Ledger ledger(history::kExecutions, clock);
  history::CheckAgainstCore(
      name, clock, [&ledger](const history::Step& step) { return history::Play(ledger, step); });
}

}  // namespace ffgrant::bench

#endif  // FFGRANT_BENCH_LEDGER_HISTORY_CHECK_H_
