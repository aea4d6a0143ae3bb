// SPDX-License-Identifier: Apache-2.0
//
// Test only: a ledger for tests of what calls one. It answers from a script.

#ifndef FFGRANT_TESTING_MODEL_SCRIPTED_LEDGER_H_
#define FFGRANT_TESTING_MODEL_SCRIPTED_LEDGER_H_

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ffgrant/claims/claim_ledger.h"
#include "ffgrant/claims/worker.h"

namespace ffgrant::testing {

// Answers from a script, and notes what it was asked.
class ScriptedLedger final : public ClaimLedger {
 public:
  struct Call {
    std::string name;
    std::string id;
    std::string worker_id;
    std::string worker_instance_id;
    std::string lane;
    LeaseId lease_id;
    std::int64_t lease_ttl_ms = 0;
    AttemptId attempt_id;
    std::optional<std::uint32_t> max_reclaim_count;
    std::uint32_t permits_in_use = 0;
  };

  std::deque<ClaimError> answers;
  std::vector<Call> calls;
  const Worker* watched = nullptr;

  ClaimOutcome Claim(const ClaimArgs& a, ErrorDetails* details) noexcept override {
    Note("claim", a);
    calls.back().attempt_id = a.attempt_id;
    return Answer(details, LeaseKind::kInitial);
  }
  ClaimOutcome ClaimResumed(const ClaimResumedArgs& a, ErrorDetails* details) noexcept override {
    Note("claim_resumed", a);
    return Answer(details, LeaseKind::kResumed);
  }
  ClaimOutcome Reclaim(const ReclaimArgs& a, ErrorDetails* details) noexcept override {
    Note("reclaim", a);
    calls.back().attempt_id = a.attempt_id;
    calls.back().max_reclaim_count = a.max_reclaim_count;
    return Answer(details, LeaseKind::kReclaim);
  }

  // A worker that calls any of these is wrong.
  CreateOutcome CreateExecution(const CreateExecutionArgs&, ErrorDetails*) noexcept override {
    return Unexpected<CreateOutcome>();
  }
  IssueOutcome IssueClaimGrant(const IssueGrantArgs&, ErrorDetails*) noexcept override {
    return Unexpected<IssueOutcome>();
  }
  ClaimForWorkerOutcome ClaimForWorker(const ClaimForWorkerArgs&) noexcept override {
    return Unexpected<ClaimForWorkerOutcome>();
  }
  RenewOutcome Renew(const RenewArgs&, ErrorDetails*) noexcept override {
    return Unexpected<RenewOutcome>();
  }
  MarkExpiredOutcome MarkLeaseExpiredIfDue(const ExecutionIdView&) noexcept override {
    return Unexpected<MarkExpiredOutcome>();
  }
  RevokeOutcome Revoke(const RevokeArgs&, ErrorDetails*) noexcept override {
    return Unexpected<RevokeOutcome>();
  }
  IssueOutcome IssueReclaimGrant(const IssueGrantArgs&, ErrorDetails*) noexcept override {
    return Unexpected<IssueOutcome>();
  }
  Outcome Suspend(const SuspendArgs&, ErrorDetails*) noexcept override {
    return Unexpected<Outcome>();
  }
  ResumeOutcome Resume(const ResumeArgs&, ErrorDetails*) noexcept override {
    return Unexpected<ResumeOutcome>();
  }
  Outcome Complete(const CompleteArgs&, ErrorDetails*) noexcept override {
    return Unexpected<Outcome>();
  }
  std::optional<ExecutionState> Inspect(const ExecutionIdView&) noexcept override {
    return std::nullopt;
  }
  std::optional<ExecutionNames> InspectNames(const ExecutionIdView&) override {
    return std::nullopt;
  }
  void IssueClaimGrants(std::span<const IssueGrantArgs>,
                        std::span<IssueOutcome>) noexcept override {}
  void Claims(std::span<const ClaimArgs>, std::span<ClaimOutcome>) noexcept override {}

 private:
  template <class Args>
  void Note(const char* name, const Args& a) {
    calls.push_back({name,
                     std::string(a.execution_id.text()),
                     std::string(a.worker.worker_id.text),
                     std::string(a.worker.worker_instance_id.text),
                     std::string(a.lane.text()),
                     a.lease_id,
                     a.lease_ttl_ms,
                     {},
                     {},
                     watched == nullptr ? 0 : watched->permits_in_use()});
  }
  ClaimOutcome Answer(ErrorDetails* details, LeaseKind kind) {
    if (details != nullptr) {
      details->clear();
    }
    ClaimOutcome outcome;
    if (!answers.empty()) {
      outcome.error = answers.front();
      answers.pop_front();
    }
    if (outcome) {
      outcome.lease.fence.lease_id = calls.back().lease_id;
      outcome.lease.fence.lease_epoch.value = 9;
      outcome.lease.kind = kind;
    } else if (details != nullptr) {
      details->Add("why");
    }
    return outcome;
  }
  template <class T>
  T Unexpected() {
    std::fputs("not a worker's call\n", stderr);
    std::abort();
  }
};

}  // namespace ffgrant::testing

#endif  // FFGRANT_TESTING_MODEL_SCRIPTED_LEDGER_H_
