// SPDX-License-Identifier: Apache-2.0
//
// ClaimLedger is the claim path (contract 7) as one interface. The state is kept by the embedded
// ledger (memory_ledger.h) or by a Valkey server.
//
//   create --> eligible --issue--> granted --claim--> leased --complete--> end
//               ^    ^                                |  |  |
//               |    |  (resumed: by ClaimResumed)    |  |  `-suspend-> suspended
//               |    `------------ resume ------------+--+------------------'
//               |                                     |  |
//               `- its retry's time has come -- fail -'  `-expired or revoked: issue a
//                  (without a retry: end)                  reclaim grant, and reclaim
//
// A call is atomic: it happens as a whole, at one moment of the store's clock, or it does not
// happen and its error says why. There are exceptions: ClaimForWorker() and the batches say what is
// atomic in them, after kUnknownOutcome the caller does not know whether the call has happened, and
// some errors change the state too (kLeaseExpired marks the lease, kMaxRetriesExhausted ends the
// execution, kCapabilityMismatch sets `last_capability_mismatch_at`). Checks run in the contract's
// order, so the first reason in that order is reported. Calls may come from any number of threads.
// After a call has returned, the ledger no longer refers to the call's arguments, and nothing that
// the call returned points into the ledger.

#ifndef FFGRANT_CLAIMS_CLAIM_LEDGER_H_
#define FFGRANT_CLAIMS_CLAIM_LEDGER_H_

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "ffgrant/claims/capabilities.h"
#include "ffgrant/claims/claim_error.h"
#include "ffgrant/claims/retry_policy.h"
#include "ffgrant/config.h"
#include "ffgrant/execution_id.h"
#include "ffgrant/grant.h"
#include "ffgrant/ids.h"
#include "ffgrant/json/lease_results.h"
#include "ffgrant/key_names.h"
#include "ffgrant/lane_id.h"

FFGRANT_API_BEGIN
namespace ffgrant {

// Priorities outside 0..kMaxPriority are clamped (contract 3).
inline constexpr std::int64_t kMaxPriority = 9000;
// The cap on an execution's reclaims if the execution has no cap, not even kPolicyMaxReclaimCount,
// and the call names none. FlowFabric's typed call sends this cap (contract 7.6). If it sent none,
// FlowFabric's function would take 100.
inline constexpr std::uint32_t kDefaultMaxReclaimCount = 1000;
// The cap on the reclaims of an execution that has requirements or a retry policy, and no cap of
// its own. FlowFabric keeps requirements and retries in a policy, and its policies always have a
// cap, which wins over a call's cap.
inline constexpr std::uint32_t kPolicyMaxReclaimCount = 100;
// A ttl or `delay_ms` outside +-kMaxTtlMs is refused with kInvalidInput before anything is written:
// the sum of the clock's time and such a duration would not be stored exactly (contract 9.5).
// `delay_until` is not added to a time: it may be any time, and is stored as it is.
inline constexpr std::int64_t kMaxTtlMs = 50'000'000'000'000;

struct WorkerIdentity {
  WorkerIdView worker_id;  // a grant is bound to this part only (contract 7.7, 5)
  WorkerInstanceIdView worker_instance_id;
};

// ---- arguments -------------------------------------------------------------

struct CreateExecutionArgs {
  ExecutionIdView execution_id;
  LaneIdView lane;
  std::int64_t priority = 0;                    // higher first, 0..9000
  const CapabilitySet* required = nullptr;      // as AssignRequired() makes it; null: none
  std::optional<TimestampMs> delay_until = {};  // not eligible before this time; may be any time
  // The execution's own cap on reclaims, which wins over a call's cap. Without it, the cap is
  // kPolicyMaxReclaimCount if `required` is not empty or there is a `retry`, else the call's cap.
  std::optional<std::uint32_t> max_reclaim_count = {};
  // The policy says what comes after a Fail(). Without a policy a failure is final.
  std::optional<RetryPolicy> retry = {};
};

struct IssueGrantArgs {
  ExecutionIdView execution_id;
  WorkerIdentity worker;
  LaneIdView lane;
  std::int64_t grant_ttl_ms = 0;  // <= 0: the call succeeds, and no grant remains
  const CapabilitySet* offered = nullptr;
  std::string_view capability_hash = {};      // these three are kept with the
  std::string_view route_snapshot_json = {};  // grant and never looked at
  std::string_view admission_summary = {};
};

// ClaimForWorkerArgs::max_partitions is the largest number of partitions that one call of
// ClaimForWorker() looks at. By default (kAllPartitions) a call looks at as many partitions as it
// needs, up to all. A smaller number does not make the search cheaper. How soon a lone execution is
// found depends on how many partitions are looked at in a second, and 8 calls that look at 32
// partitions each cost more than 1 call that looks at 256. (On one idle Valkey server a call takes
// 0.28 ms for 32 partitions and 1.1 ms for 256.) But a smaller number puts a bound on the cost of
// each call. So a smaller number suits many workers that poll at fixed times: not all partitions
// are searched at each poll, and a lone execution is found a few polls later. FlowFabric looks at
// 32 of its 256 partitions in a call. The embedded ledger knows which partitions are empty without
// looking at them.
inline constexpr std::uint16_t kAllPartitions = 0;

struct ClaimForWorkerArgs {
  WorkerIdentity worker;
  LaneIdView lane;
  std::int64_t grant_ttl_ms = 0;
  const CapabilitySet* offered = nullptr;
  // If there are fewer partitions than this number, a call looks at all of them.
  std::uint16_t max_partitions = kAllPartitions;
};

struct ClaimArgs {
  ExecutionIdView execution_id;
  WorkerIdentity worker;
  LaneIdView lane;  // recorded, not compared
  LeaseId lease_id;
  std::int64_t lease_ttl_ms = 0;
  AttemptId attempt_id;
};

struct ClaimResumedArgs {
  ExecutionIdView execution_id;
  WorkerIdentity worker;
  LaneIdView lane;
  LeaseId lease_id;
  std::int64_t lease_ttl_ms = 0;
};

// A fence whose parts can be absent, as on the wire. If some but not all parts are absent, a call
// is refused with kPartialFenceTriple. If all are absent, it is refused with kFenceRequired, unless
// it is a Complete() or a Fail() whose `operator_override` is true.
struct OptionalFence {
  std::optional<LeaseId> lease_id;
  std::optional<LeaseEpoch> lease_epoch;
  std::optional<AttemptId> attempt_id;

  OptionalFence() = default;
  OptionalFence(const LeaseFence& f)  // NOLINT: a whole fence is an OptionalFence
      : lease_id(f.lease_id), lease_epoch(f.lease_epoch), attempt_id(f.attempt_id) {}
};

struct RenewArgs {
  ExecutionIdView execution_id;
  AttemptIndex attempt_index;
  OptionalFence fence;
  std::int64_t lease_ttl_ms = 0;  // from now, not added to what is left
};

struct RevokeArgs {
  ExecutionIdView execution_id;
  std::optional<LeaseId> expected_lease_id = {};
};

struct ReclaimArgs {
  ExecutionIdView execution_id;
  WorkerIdentity worker;
  LaneIdView lane;
  LeaseId lease_id;
  std::int64_t lease_ttl_ms = 0;
  AttemptId attempt_id;
  std::optional<std::uint32_t> max_reclaim_count = {};  // none: kDefaultMaxReclaimCount
};

struct SuspendArgs {
  ExecutionIdView execution_id;
  OptionalFence fence;
};

struct ResumeArgs {
  ExecutionIdView execution_id;
  std::int64_t delay_ms = 0;  // > 0: eligible only after this time
};

struct CompleteArgs {
  ExecutionIdView execution_id;
  OptionalFence fence;
  bool operator_override = false;  // true: the fence may be absent
};

struct FailArgs {
  ExecutionIdView execution_id;
  OptionalFence fence;
  // Reason and category may be any bytes, of any length. A server keeps both with the attempt; the
  // embedded ledger keeps neither. They decide nothing: only the retry policy says whether a
  // failure is retried.
  std::string_view reason = {};
  std::string_view category = {};
  bool operator_override = false;  // true: the fence may be absent
};

// ---- results ---------------------------------------------------------------

struct [[nodiscard]] Outcome {
  ClaimError error = ClaimError::kNone;
  constexpr explicit operator bool() const noexcept { return error == ClaimError::kNone; }
  friend constexpr bool operator==(const Outcome&, const Outcome&) = default;
};

struct CreateOutcome : Outcome {
  enum class Status : std::uint8_t { kWaiting, kDelayed, kDuplicate };
  Status status = Status::kWaiting;
};

struct IssueOutcome : Outcome {
  TimestampMs expires_at;  // when the grant expires, by the store's clock
};

// A grant with its texts, held by value. A scheduler serializes such a grant.
class IssuedGrant {
 public:
  IssuedGrant() = default;
  // Makes the grant of the execution `id`, which must be canonical. The grant key is the one that a
  // Valkey server uses.
  IssuedGrant(const ExecutionIdView& id, TimestampMs expires_at) noexcept;

  // The view of an IssuedGrant that was made without an execution is empty.
  ClaimGrantView view() const& noexcept;
  ClaimGrantView view() const&& = delete;

 private:
  // The key ff:exec:{fp:7}:{fp:7}:<uuid>:claim_grant contains the tag and the id as well.
  std::array<char, kMaxExecutionKeySize> grant_key_;
  std::uint8_t tag_size_ = 0;  // 0: there is no grant, and the array above is not set
  std::uint16_t index_ = 0;
  Uuid uuid_;
  std::uint64_t expires_at_ms_ = 0;
};

struct ClaimForWorkerOutcome : Outcome {
  IssuedGrant grant;  // empty after an error

  // These numbers say how much the call has seen. They are 0 after kInvalidInput.
  std::uint32_t partitions = 0;  // how many partitions there are
  // The number of partitions in which the call looked and found nothing for this worker. If the
  // call issued a grant, or the embedded ledger had no room for the grant, the grant's partition
  // counts too.
  std::uint32_t partitions_seen = 0;
  // The number of partitions that the call passed over because their server could not be reached.
  std::uint32_t partitions_unreachable = 0;

  bool saw_all() const noexcept { return partitions != 0 && partitions_seen == partitions; }
};

// How a lease came about, in the words of the claim replies.
enum class LeaseKind : std::uint8_t { kInitial, kRetry, kReplay, kResumed, kReclaim };
std::string_view LeaseKindName(LeaseKind kind) noexcept;

struct Lease {
  LeaseFence fence;
  AttemptIndex attempt_index;
  TimestampMs expires_at;
  LeaseKind kind = LeaseKind::kInitial;
  friend constexpr bool operator==(const Lease&, const Lease&) = default;
};

struct ClaimOutcome : Outcome {
  Lease lease;
};

struct RenewOutcome : Outcome {
  TimestampMs expires_at;
};

// Why a call had nothing to do.
enum class AlreadySatisfied : std::uint8_t {
  kNo,
  kExecutionNotFound,
  kNotActive,
  kAlreadyExpired,
  kAlreadyRevoked,
  kUnowned,
  kNotYetExpired,
};
// Returns "execution_not_found", "not_active", "already_expired",
// "already_revoked", "unowned" or "not_yet_expired"; "" for kNo.
std::string_view ReasonWord(AlreadySatisfied reason) noexcept;

struct MarkExpiredOutcome : Outcome {
  AlreadySatisfied already = AlreadySatisfied::kNo;  // kNo: marked now
};

struct RevokeOutcome : Outcome {
  AlreadySatisfied already = AlreadySatisfied::kNo;  // kNo: revoked now
  LeaseId lease_id;
  LeaseEpoch lease_epoch;
};

struct ResumeOutcome : Outcome {
  bool delayed = false;
};

struct FailOutcome : Outcome {
  bool retried = false;  // false: the execution has ended
  // If the execution is retried: the end of the retry's delay, by the store's clock. FailOnce()
  // (ending.h) returns 0 if an earlier call recorded this failure and its answer was lost.
  TimestampMs delay_until;
};

// ---- state -----------------------------------------------------------------

// What is stored of an execution, in the words of contract 7. Every text is a literal, which lives
// as long as the program.
struct ExecutionState {
  std::string_view lifecycle_phase;
  std::string_view ownership_state;
  std::string_view eligibility_state;
  std::string_view blocking_reason;
  std::string_view terminal_outcome;
  std::string_view attempt_state;
  std::string_view public_state;
  std::int64_t priority = 0;
  TimestampMs created_at;
  std::uint32_t total_attempt_count = 0;
  std::uint32_t lease_reclaim_count = 0;
  std::uint32_t retry_count = 0;  // retries that failures have led to
  LeaseEpoch current_lease_epoch;

  // The fields of the last lease; `lease_current` says whether the lease hash exists.
  bool lease_current = false;
  std::optional<LeaseId> current_lease_id;
  std::optional<AttemptId> current_attempt_id;
  AttemptIndex current_attempt_index;
  std::optional<TimestampMs> lease_acquired_at;
  std::optional<TimestampMs> lease_expires_at;
  std::optional<TimestampMs> lease_last_renewed_at;
  std::optional<TimestampMs> lease_renewal_deadline;

  // The grant, if the execution has one.
  bool has_grant = false;
  std::optional<TimestampMs> grant_created_at;
  std::optional<TimestampMs> grant_expires_at;

  std::optional<TimestampMs> delay_until;
  std::optional<TimestampMs> last_capability_mismatch_at;

  // In which sorted sets the execution is.
  bool in_eligible = false;
  bool in_delayed = false;
  bool in_active = false;
  bool in_suspended = false;
  bool in_terminal = false;
  bool in_lease_expiry = false;

  friend bool operator==(const ExecutionState&, const ExecutionState&) = default;
};

// The texts that are stored of an execution. The texts of the grant are empty if there is no live
// grant. The texts of the lease are empty unless the execution is active. The texts of the lease
// outlast the lease's expiry and revocation (as contract 7's fields do), but not a suspension or
// the end of the execution. (When an execution is suspended or ends, the reference blanks the
// worker and keeps the lane of the last lease, which is not shown here.)
struct ExecutionNames {
  std::string required_capabilities;  // comma-joined

  std::string grant_worker_id;
  std::string grant_worker_instance_id;
  std::string grant_lane_id;
  std::string capability_hash;
  std::string route_snapshot_json;
  std::string admission_summary;

  std::string current_worker_id;
  std::string current_worker_instance_id;
  std::string current_lane;

  friend bool operator==(const ExecutionNames&, const ExecutionNames&) = default;
};

// ---- the interface ---------------------------------------------------------

// A call clears `details`, if they are given, and then adds the texts that belong to its error.
//
// The comment of each call below names the errors that the contract has for it. (kLeaseConflict,
// kActiveAttemptExists and kNoActiveLease are left out: they come only from a server, for states
// that no call here leads to.) The embedded ledger can also answer kLedgerFull, and a ledger on a
// server can also answer kUnavailable, kUnknownOutcome and kUnknownCode. memory_ledger.h lists all
// errors of its ledger, and valkey_ledger.h says what a server's other errors mean.
class ClaimLedger {
 public:
  virtual ~ClaimLedger() = default;

  // Creates an execution. Errors: kInvalidInput (a non-canonical id, a partition outside the
  // configured count, a lane that ParseLaneId() refuses, or a retry policy that is not valid; the
  // types of the arguments rule out other causes), kInvalidCapabilities (requirements with tokens
  // that AssignRequired() refuses; the embedded ledger takes them). An id that exists already is no
  // error: the status is kDuplicate, and nothing is changed.
  virtual CreateOutcome CreateExecution(const CreateExecutionArgs& args,
                                        ErrorDetails* details = nullptr) noexcept = 0;

  // Issues a claim grant (contract 7.1). Errors: kInvalidInput (ttl),
  // kExecutionNotFound, kExecutionNotEligible, kGrantAlreadyExists,
  // kExecutionNotInEligibleSet, kInvalidCapabilities, kCapabilityMismatch.
  virtual IssueOutcome IssueClaimGrant(const IssueGrantArgs& args,
                                       ErrorDetails* details = nullptr) noexcept = 0;

  // Chooses an execution for a worker, as a scheduler does, and issues a claim grant for it. In a
  // partition it chooses the first of the lane's eligible executions, in order (contract 3), that
  // holds no live grant and whose requirements `offered` meets. It searches the partitions in a
  // ring and takes the first that has such an execution. A worker instance's first call on a lane
  // begins at ScanStart(); each later call begins after the last partition that the call before it
  // looked at. So a worker's calls get to every partition in turn, however few partitions each call
  // looks at. A partition that always has work starves no other partition, and workers mostly begin
  // at different partitions. (A ledger has 1024 cells to remember this in. A worker whose cell
  // another worker has taken over begins at an arbitrary partition.)
  //
  // Issuing the grant is atomic, the search is not: each partition is looked at at a moment of its
  // own. Each partition that counts as seen, except the partition of the grant, had nothing for
  // this worker at its moment.
  //
  // Errors: kInvalidInput. kNoEligibleExecution if no partition has anything that this worker can
  // take. kNothingInWindow if the partitions that were seen have nothing, but not all partitions
  // were seen: `max_partitions` left some out, a partition could not be reached, or a partition has
  // more executions than the ledger looks at. Over HTTP kNoEligibleExecution and kNothingInWindow
  // are both 204. After either error, call again. kInvalidCapabilities, from a ledger on a server
  // only: the stored requirements of the execution that was chosen are beyond the limits.
  //
  // FlowFabric's scheduler (contract 7.1) differs in two ways. First, it looks only at the head of
  // a partition. So a grant that nobody claims holds up all executions behind it until the grant
  // ends. Here the executions behind the grant are handed out meanwhile, each once. Second, if a
  // worker does not meet an execution's requirements, FlowFabric's scheduler moves the execution
  // out of the eligible set until somebody moves it back. Here the execution stays in the set, and
  // is passed over. The embedded ledger and the ledger on a server each have an option
  // `max_candidates`: the largest number of executions that a call passes over in a partition. The
  // embedded ledger counts only executions with a grant. The ledger on a server also counts
  // executions whose requirements the worker does not meet.
  virtual ClaimForWorkerOutcome ClaimForWorker(const ClaimForWorkerArgs& args) noexcept = 0;

  // Consumes the grant and creates the lease (contract 7.2). Errors:
  // kInvalidInput (ttl), kExecutionNotFound, kExecutionNotLeaseable,
  // kUseClaimResumedExecution, kInvalidClaimGrant, kClaimGrantExpired. A failed
  // claim never consumes a live grant.
  virtual ClaimOutcome Claim(const ClaimArgs& args, ErrorDetails* details = nullptr) noexcept = 0;

  // Claims a resumed execution; the grant is the same as for Claim() (contract
  // 7.3). Errors: kInvalidInput, kExecutionNotFound, kExecutionNotLeaseable,
  // kNotAResumedExecution, kInvalidClaimGrant, kClaimGrantExpired.
  virtual ClaimOutcome ClaimResumed(const ClaimResumedArgs& args,
                                    ErrorDetails* details = nullptr) noexcept = 0;

  // Renews a lease (contract 7.4). Errors: kInvalidInput, kExecutionNotFound,
  // kFenceRequired, kPartialFenceTriple, kExecutionNotActive, kLeaseRevoked,
  // kLeaseExpired (the call marks the lease), kStaleLease.
  virtual RenewOutcome Renew(const RenewArgs& args, ErrorDetails* details = nullptr) noexcept = 0;

  // Marks a lease as expired if its time has passed (contract 7.5). The contract has no error for
  // this call.
  virtual MarkExpiredOutcome MarkLeaseExpiredIfDue(const ExecutionIdView& id) noexcept = 0;

  // Revokes a lease (contract 7.5). Errors: kExecutionNotFound, kExecutionNotActive, kStaleLease.
  virtual RevokeOutcome Revoke(const RevokeArgs& args,
                               ErrorDetails* details = nullptr) noexcept = 0;

  // Issues a reclaim grant (contract 7.6). Errors: kInvalidInput,
  // kExecutionNotFound, kExecutionNotReclaimable, kGrantAlreadyExists,
  // kInvalidCapabilities, kCapabilityMismatch.
  virtual IssueOutcome IssueReclaimGrant(const IssueGrantArgs& args,
                                         ErrorDetails* details = nullptr) noexcept = 0;

  // Consumes a reclaim grant and creates a new lease (contract 7.6). Errors:
  // kInvalidInput, kExecutionNotFound, kExecutionNotReclaimable,
  // kMaxRetriesExhausted (the execution is then terminal), kInvalidClaimGrant.
  virtual ClaimOutcome Reclaim(const ReclaimArgs& args,
                               ErrorDetails* details = nullptr) noexcept = 0;

  // Suspend() and Resume() cover only that part of FlowFabric's suspensions which leads to an
  // execution for ClaimResumed(). Errors of Suspend(): kExecutionNotFound, kPartialFenceTriple,
  // kFenceRequired, kExecutionNotActive, kLeaseRevoked, kLeaseExpired (the call marks the lease),
  // kStaleLease. Errors of Resume(): kExecutionNotFound, kExecutionNotSuspended, kInvalidInput.
  virtual Outcome Suspend(const SuspendArgs& args, ErrorDetails* details = nullptr) noexcept = 0;
  virtual ResumeOutcome Resume(const ResumeArgs& args,
                               ErrorDetails* details = nullptr) noexcept = 0;

  // Completes an execution. Errors: kExecutionNotFound, kPartialFenceTriple,
  // kFenceRequired, kExecutionNotActive, kLeaseRevoked, kLeaseExpired (the call
  // marks the lease), kStaleLease.
  virtual Outcome Complete(const CompleteArgs& args, ErrorDetails* details = nullptr) noexcept = 0;

  // Ends the attempt without a result (core/contract/live-observed.md, 1 and 2). If the execution's
  // retry policy allows one more retry, the execution waits for RetryDelayMs(), without a lease,
  // and is then made eligible like any delayed execution. The next claim is of kind kRetry, with
  // an attempt of its own. If there is no policy or the policy allows no more retries, the
  // execution has ended, with outcome `failed`. Only failures count as retries: an attempt that was
  // reclaimed or suspended costs no retry.
  //
  //   const FailOutcome failed = ledger.Fail(
  //       {.execution_id = id, .fence = lease.fence, .reason = "no disk",
  //        .category = "transient"});
  //
  // Errors, in this order: kExecutionNotFound, kPartialFenceTriple, kFenceRequired,
  // kExecutionNotActive, kLeaseRevoked, kLeaseExpired (the call marks the lease), kStaleLease. A
  // server also answers kInvalidPolicyJson and kInvalidInput, for a stored policy that can't be
  // followed; nothing is changed then. If a call has happened but its answer was lost, and the call
  // is made again, the answer is kExecutionNotActive, unless somebody has claimed the retry since.
  // FailOnce() (ending.h) finds out in this way whether the first call has happened.
  virtual FailOutcome Fail(const FailArgs& args, ErrorDetails* details = nullptr) noexcept = 0;

  // Returns the stored state; empty if there is no such execution, or it could not be read.
  virtual std::optional<ExecutionState> Inspect(const ExecutionIdView& id) noexcept = 0;

  // Returns the stored names; empty where Inspect() returns nothing. Allocates, and so may throw;
  // it is for tests and operators.
  virtual std::optional<ExecutionNames> InspectNames(const ExecutionIdView& id) = 0;

  // IssueClaimGrants() and ClaimBatch() make many calls in one go, in order: outcomes[i] is the
  // outcome of args[i], and each call is atomic by itself. A ledger on a server sends many calls
  // before it waits for an answer, and the embedded ledger overlaps their cache misses. A batch
  // therefore takes a fraction of the time that its calls take one by one. Both spans must have the
  // same size.
  virtual void IssueClaimGrants(std::span<const IssueGrantArgs> args,
                                std::span<IssueOutcome> outcomes) noexcept = 0;
  virtual void ClaimBatch(std::span<const ClaimArgs> args,
                          std::span<ClaimOutcome> outcomes) noexcept = 0;
};

}  // namespace ffgrant
FFGRANT_API_END

#endif  // FFGRANT_CLAIMS_CLAIM_LEDGER_H_
