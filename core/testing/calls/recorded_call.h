// SPDX-License-Identifier: Apache-2.0
//
// Calls of a ledger as values: what was asked and what was answered, so that
// the same call can be made again, on another ledger, in another order.

#ifndef FFGRANT_TESTING_CALLS_RECORDED_CALL_H_
#define FFGRANT_TESTING_CALLS_RECORDED_CALL_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ffgrant/claims/claim_ledger.h"
#include "ffgrant/claims/memory_ledger.h"
#include "testing/model/model_ledger.h"

namespace ffgrant::testing {

// The population: three executions in one lane, the first and the last in one
// partition; the second one needs a capability. And three workers, of which
// the last one has none.
inline constexpr std::uint8_t kExecutions = 3;
inline constexpr std::uint8_t kWorkers = 3;
inline constexpr std::uint16_t kPartitions = 2;
ExecutionIdView ExecutionAt(std::uint8_t number);
// kExecutions if it is none of them.
std::uint8_t NumberOf(const ExecutionIdView& id);

enum class CallKind : std::uint8_t {
  kNone,
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
  kInspect,
  kForget,
  kMaintain,
  kAdvance,       // the clock
  kInspectNames,  // not atomic with anything: at the end only
  kSize,          // likewise
};
inline constexpr std::uint8_t kCallKinds = 20;
const char* CallName(CallKind kind);

struct RecordedCall {
  CallKind kind = CallKind::kNone;
  std::uint8_t execution = 0;
  std::uint8_t worker = 0;
  // Told apart by it: lease id, attempt id, worker instance and opaque text.
  std::uint8_t number = 0;
  bool own_instance = false;  // the worker comes with an instance of its own
  bool with_text = false;     // the grant comes with an opaque text
  bool other_lane = false;
  bool in_batch = false;  // made by IssueClaimGrants() or Claims()
  bool flag = false;      // operator override; expected lease id; a delay at creation
  std::int64_t ms = 0;    // ttl, delay or what the clock advances by
  std::optional<std::uint32_t> cap;
  OptionalFence fence;
  AttemptIndex attempt_index;
};

struct Answer {
  ClaimError error = ClaimError::kNone;
  std::uint8_t word = 0;                // status, already, delayed, or the execution chosen
  std::uint8_t counts[2] = {};          // of maintenance
  std::int64_t number = 0;              // a time, or the size
  std::optional<Lease> lease;           // created
  std::optional<LeaseFence> revoked;    // without attempt
  std::optional<ExecutionState> state;  // inspected
  std::optional<ExecutionNames> names;  // inspected
  std::string details;

  friend bool operator==(const Answer&, const Answer&) = default;
};

// Makes one call, but for kAdvance and kMaintain. ClaimForWorker answers as the
// ledger does; the model's choice is one of several (AllowedChoices).
Answer MakeCall(const RecordedCall& call, MemoryLedger& ledger);
Answer MakeCall(const RecordedCall& call, ModelLedger& ledger);
// A batch: calls of one kind, kIssue or kClaim.
std::vector<Answer> MakeCalls(const std::vector<RecordedCall>& calls, MemoryLedger& ledger);

// What `call`, a ClaimForWorker, asks for, and the call that grants one
// execution as it would.
ClaimForWorkerArgs ScheduleArgs(const RecordedCall& call, std::string& instance);
RecordedCall AsIssue(const RecordedCall& claim_for_worker, std::uint8_t execution);

std::string Describe(const RecordedCall& call);
std::string Describe(const Answer& answer);

}  // namespace ffgrant::testing

#endif  // FFGRANT_TESTING_CALLS_RECORDED_CALL_H_
