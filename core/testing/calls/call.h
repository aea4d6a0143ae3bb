// SPDX-License-Identifier: Apache-2.0
//
// Holds a call of a ledger as a value: the operation and its arguments, with copies of their texts.
// So a call can be chosen, kept, shown, and made again on any ledger (make.h).
//
//   const Call claim = calls::Claim{{.execution_id = id, .worker = worker, ...}};
//   const Answer answer = Make(ledger, claim);
//   std::puts((Describe(claim) + " -> " + Describe(answer)).c_str());
//
// The section "Adding a call" of CONTRIBUTING.md says what else a new call needs.

#ifndef FFGRANT_TESTING_CALLS_CALL_H_
#define FFGRANT_TESTING_CALLS_CALL_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>

#include "ffgrant/claims/claim_ledger.h"

namespace ffgrant::testing {

namespace calls {

template <std::size_t kSize>
struct Text {
  char bytes[kSize];
  consteval Text(const char (&text)[kSize]) { std::copy_n(text, kSize, bytes); }  // NOLINT
};

// The arguments that a method of the ledger takes, without the details.
template <class Outcome, class Args, class... Details>
Args ArgsOf(Outcome (ClaimLedger::*method)(const Args&, Details...));

// A call: its name, the ledger's method, and the arguments.
template <Text kText, auto kMethodOf>
struct To {
  static constexpr std::string_view kName = kText.bytes;
  static constexpr auto kMethod = kMethodOf;
  decltype(ArgsOf(kMethodOf)) args;
};

using Create = To<"create", &ClaimLedger::CreateExecution>;
using Issue = To<"issue", &ClaimLedger::IssueClaimGrant>;
using ClaimForWorker = To<"claim_for_worker", &ClaimLedger::ClaimForWorker>;
using Claim = To<"claim", &ClaimLedger::Claim>;
using ClaimResumed = To<"claim_resumed", &ClaimLedger::ClaimResumed>;
using Renew = To<"renew", &ClaimLedger::Renew>;
using MarkExpired = To<"mark_expired", &ClaimLedger::MarkLeaseExpiredIfDue>;
using Revoke = To<"revoke", &ClaimLedger::Revoke>;
using IssueReclaim = To<"issue_reclaim", &ClaimLedger::IssueReclaimGrant>;
using Reclaim = To<"reclaim", &ClaimLedger::Reclaim>;
using Suspend = To<"suspend", &ClaimLedger::Suspend>;
using Resume = To<"resume", &ClaimLedger::Resume>;
using Complete = To<"complete", &ClaimLedger::Complete>;
using Fail = To<"fail", &ClaimLedger::Fail>;
using Inspect = To<"inspect", &ClaimLedger::Inspect>;
using InspectNames = To<"inspect_names", &ClaimLedger::InspectNames>;

// These calls exist only in the embedded ledger and its model.
struct Forget {
  static constexpr std::string_view kName = "forget";
  ExecutionIdView args;
};
struct Maintain {  // maintains all executions
  static constexpr std::string_view kName = "maintain";
  std::tuple<> args;
};
struct Size {
  static constexpr std::string_view kName = "size";
  std::tuple<> args;
};

// This is not a call of a ledger: the code that makes the calls moves the clock by `args` ms.
struct Advance {
  static constexpr std::string_view kName = "advance";
  std::int64_t args = 0;
};

using Any = std::variant<Create, Issue, ClaimForWorker, Claim, ClaimResumed, Renew, MarkExpired,
                         Revoke, IssueReclaim, Reclaim, Suspend, Resume, Complete, Fail, Inspect,
                         InspectNames, Forget, Maintain, Size, Advance>;

// Returns references to all arguments in order, for code that copies or shows them.
template <class Args>
auto FieldsOf(Args& a) {
  using T = std::remove_const_t<Args>;
  if constexpr (std::is_same_v<T, CreateExecutionArgs>) {
    return std::tie(a.execution_id, a.lane, a.priority, a.required, a.delay_until,
                    a.max_reclaim_count, a.retry);
  } else if constexpr (std::is_same_v<T, IssueGrantArgs>) {
    return std::tie(a.execution_id, a.worker, a.lane, a.grant_ttl_ms, a.offered, a.capability_hash,
                    a.route_snapshot_json, a.admission_summary);
  } else if constexpr (std::is_same_v<T, ClaimForWorkerArgs>) {
    return std::tie(a.worker, a.lane, a.grant_ttl_ms, a.offered, a.max_partitions);
  } else if constexpr (std::is_same_v<T, ClaimArgs>) {
    return std::tie(a.execution_id, a.worker, a.lane, a.lease_id, a.lease_ttl_ms, a.attempt_id);
  } else if constexpr (std::is_same_v<T, ClaimResumedArgs>) {
    return std::tie(a.execution_id, a.worker, a.lane, a.lease_id, a.lease_ttl_ms);
  } else if constexpr (std::is_same_v<T, RenewArgs>) {
    return std::tie(a.execution_id, a.attempt_index, a.fence, a.lease_ttl_ms);
  } else if constexpr (std::is_same_v<T, RevokeArgs>) {
    return std::tie(a.execution_id, a.expected_lease_id);
  } else if constexpr (std::is_same_v<T, ReclaimArgs>) {
    return std::tie(a.execution_id, a.worker, a.lane, a.lease_id, a.lease_ttl_ms, a.attempt_id,
                    a.max_reclaim_count);
  } else if constexpr (std::is_same_v<T, SuspendArgs>) {
    return std::tie(a.execution_id, a.fence);
  } else if constexpr (std::is_same_v<T, ResumeArgs>) {
    return std::tie(a.execution_id, a.delay_ms);
  } else if constexpr (std::is_same_v<T, CompleteArgs>) {
    return std::tie(a.execution_id, a.fence, a.operator_override);
  } else if constexpr (std::is_same_v<T, FailArgs>) {
    return std::tie(a.execution_id, a.fence, a.reason, a.category, a.operator_override);
  } else if constexpr (std::is_same_v<T, std::tuple<>>) {
    return std::tuple<>();
  } else {
    static_assert(std::is_same_v<T, ExecutionIdView> || std::is_same_v<T, std::int64_t>);
    return std::tie(a);
  }
}

}  // namespace calls

// The kind of a call, without its arguments, for plans and tables. The order is that of calls::Any.
enum class CallKind : std::uint8_t {
  kCreate,
  kIssue,
  kClaimForWorker,
  kClaim,
  kClaimResumed,
  kRenew,
  kMarkExpired,
  kRevoke,
  kIssueReclaim,
  kReclaim,
  kSuspend,
  kResume,
  kComplete,
  kFail,
  kInspect,
  kInspectNames,
  kForget,
  kMaintain,
  kSize,
  kAdvance,
};
inline constexpr std::size_t kCallKinds = std::variant_size_v<calls::Any>;
static_assert(static_cast<std::size_t>(CallKind::kAdvance) + 1 == kCallKinds);

class Call {
 public:
  Call() = default;
  // Copies every text that `call` points to. A set of capabilities takes 4 kB, so the set of `call`
  // is not copied if it is `capabilities`: the new call then shares it.
  template <class T>
  requires std::is_constructible_v<calls::Any, const T&> &&(!std::is_same_v<T, Call>)
      Call(const T& call, std::shared_ptr<const CapabilitySet> capabilities = nullptr)  // NOLINT
      : any_(call), capabilities_(std::move(capabilities)) {
    Own();
  }

  const calls::Any& any() const { return any_; }
  template <class T>
  const T* As() const {
    return std::get_if<T>(&any_);
  }
  CallKind kind() const { return static_cast<CallKind>(any_.index()); }
  std::string_view name() const;
  // Returns the id of the execution that the call is about; empty if the call names none.
  ExecutionIdView execution() const;
  // Returns the worker that the call names; it is empty if the call names none.
  WorkerIdentity worker() const;

  // Whether the call is made by IssueClaimGrants() or ClaimBatch(), which give no details.
  bool in_batch = false;

 private:
  void Own();

  calls::Any any_;
  // The texts and the capabilities are never changed, so that copies of the call can share them.
  std::shared_ptr<const char[]> texts_;
  std::shared_ptr<const CapabilitySet> capabilities_;
};

// Returns the arguments of the grant that a scheduler issues when it chooses `chosen`.
inline IssueGrantArgs GrantFor(const ClaimForWorkerArgs& args, const ExecutionIdView& chosen) {
  return {chosen, args.worker, args.lane, args.grant_ttl_ms, args.offered, {}, {}, {}};
}

// Returns the name and all arguments, for example "resume {fp:1}:... 100".
std::string Describe(const Call& call);

}  // namespace ffgrant::testing

#endif  // FFGRANT_TESTING_CALLS_CALL_H_
