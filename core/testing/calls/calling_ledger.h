// SPDX-License-Identifier: Apache-2.0
//
// Makes all calls of a ledger arrive as values in one method, Do(). Ledgers that answer from a
// script, and ledgers with a defect, derive from this class.

#ifndef FFGRANT_TESTING_CALLS_CALLING_LEDGER_H_
#define FFGRANT_TESTING_CALLS_CALLING_LEDGER_H_

#include <algorithm>
#include <optional>
#include <span>
#include <utility>

#include "ffgrant/claims/claim_ledger.h"
#include "testing/calls/answer.h"
#include "testing/calls/call.h"

namespace ffgrant::testing {

class CallingLedger : public ClaimLedger {
 public:
  // Answers every call of a ClaimLedger. The calls of a batch come one by one, with Call::in_batch
  // set.
  virtual Answer Do(const Call& call) = 0;

  CreateOutcome CreateExecution(const CreateExecutionArgs& a, ErrorDetails* d) noexcept override {
    return Ask<CreateOutcome>(calls::Create{a}, d);
  }
  IssueOutcome IssueClaimGrant(const IssueGrantArgs& a, ErrorDetails* d) noexcept override {
    return Ask<IssueOutcome>(calls::Issue{a}, d);
  }
  ClaimForWorkerOutcome ClaimForWorker(const ClaimForWorkerArgs& a) noexcept override {
    return Ask<ClaimForWorkerOutcome>(calls::ClaimForWorker{a}, nullptr);
  }
  ClaimOutcome Claim(const ClaimArgs& a, ErrorDetails* d) noexcept override {
    return Ask<ClaimOutcome>(calls::Claim{a}, d);
  }
  ClaimOutcome ClaimResumed(const ClaimResumedArgs& a, ErrorDetails* d) noexcept override {
    return Ask<ClaimOutcome>(calls::ClaimResumed{a}, d);
  }
  RenewOutcome Renew(const RenewArgs& a, ErrorDetails* d) noexcept override {
    return Ask<RenewOutcome>(calls::Renew{a}, d);
  }
  MarkExpiredOutcome MarkLeaseExpiredIfDue(const ExecutionIdView& id) noexcept override {
    return Ask<MarkExpiredOutcome>(calls::MarkExpired{id}, nullptr);
  }
  RevokeOutcome Revoke(const RevokeArgs& a, ErrorDetails* d) noexcept override {
    return Ask<RevokeOutcome>(calls::Revoke{a}, d);
  }
  IssueOutcome IssueReclaimGrant(const IssueGrantArgs& a, ErrorDetails* d) noexcept override {
    return Ask<IssueOutcome>(calls::IssueReclaim{a}, d);
  }
  ClaimOutcome Reclaim(const ReclaimArgs& a, ErrorDetails* d) noexcept override {
    return Ask<ClaimOutcome>(calls::Reclaim{a}, d);
  }
  Outcome Suspend(const SuspendArgs& a, ErrorDetails* d) noexcept override {
    return Ask<Outcome>(calls::Suspend{a}, d);
  }
  ResumeOutcome Resume(const ResumeArgs& a, ErrorDetails* d) noexcept override {
    return Ask<ResumeOutcome>(calls::Resume{a}, d);
  }
  Outcome Complete(const CompleteArgs& a, ErrorDetails* d) noexcept override {
    return Ask<Outcome>(calls::Complete{a}, d);
  }
  FailOutcome Fail(const FailArgs& a, ErrorDetails* d) noexcept override {
    return Ask<FailOutcome>(calls::Fail{a}, d);
  }
  std::optional<ExecutionState> Inspect(const ExecutionIdView& id) noexcept override {
    return Do(calls::Inspect{id}).state;
  }
  std::optional<ExecutionNames> InspectNames(const ExecutionIdView& id) override {
    return Do(calls::InspectNames{id}).names;
  }
  void IssueClaimGrants(std::span<const IssueGrantArgs> args,
                        std::span<IssueOutcome> outcomes) noexcept override {
    AskAll<calls::Issue>(args, outcomes);
  }
  void ClaimBatch(std::span<const ClaimArgs> args,
                  std::span<ClaimOutcome> outcomes) noexcept override {
    AskAll<calls::Claim>(args, outcomes);
  }

 private:
  template <class Outcome>
  Outcome Ask(const Call& call, ErrorDetails* details) {
    const Answer answer = Do(call);
    if (details != nullptr) {
      details->clear();
      for (const std::string& detail : answer.details) details->Add(std::string_view(detail));
    }
    Outcome outcome;
    outcome.error = answer.error;
    if constexpr (requires { outcome.status; })
      outcome.status = answer.created.value_or(outcome.status);
    if constexpr (requires { outcome.expires_at; }) {
      outcome.expires_at = answer.expires_at.value_or(TimestampMs{});
    }
    if constexpr (requires { outcome.grant; }) {
      if (answer.chosen) {
        outcome.grant = IssuedGrant(answer.chosen->execution_id.view(),
                                    {static_cast<std::int64_t>(answer.chosen->expires_at_ms)});
      }
    }
    if constexpr (requires { outcome.partitions_seen; }) {
      const Looked looked = answer.looked.value_or(Looked());
      outcome.partitions = looked.partitions;
      outcome.partitions_seen = looked.seen;
      outcome.partitions_unreachable = looked.unreachable;
    }
    if constexpr (requires { outcome.lease; }) outcome.lease = answer.lease.value_or(Lease());
    if constexpr (requires { outcome.already; }) outcome.already = answer.already;
    if constexpr (requires { outcome.lease_epoch; }) {
      const LeaseFence revoked = answer.revoked.value_or(LeaseFence());
      outcome.lease_id = revoked.lease_id;
      outcome.lease_epoch = revoked.lease_epoch;
    }
    if constexpr (requires { outcome.delayed; }) outcome.delayed = answer.delayed;
    if constexpr (requires { outcome.retried; }) {
      outcome.retried = answer.retry_at.has_value();
      outcome.delay_until = answer.retry_at.value_or(TimestampMs{});
    }
    return outcome;
  }
  template <class Kind, class Args, class Outcome>
  void AskAll(std::span<const Args> args, std::span<Outcome> outcomes) {
    for (std::size_t i = 0; i < args.size(); ++i) {
      Call call = Kind{args[i]};
      call.in_batch = true;
      outcomes[i] = Ask<Outcome>(call, nullptr);
    }
  }
};

}  // namespace ffgrant::testing

#endif  // FFGRANT_TESTING_CALLS_CALLING_LEDGER_H_
