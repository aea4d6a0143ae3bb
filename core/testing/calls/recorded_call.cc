// SPDX-License-Identifier: Apache-2.0

#include "testing/calls/recorded_call.h"

#include <cstdlib>
#include <string_view>

#include "testing/calls/describe.h"

namespace ffgrant::testing {
namespace {

constexpr std::string_view kIds[kExecutions] = {"{fp:0}:22222222-2222-4222-8222-222222222220",
                                                "{fp:1}:33333333-3333-4333-8333-333333333331",
                                                "{fp:0}:11111111-1111-4111-8111-111111111112"};
constexpr std::string_view kWorkerIds[kWorkers] = {"w0", "w1", "w2"};
constexpr LaneIdView kLane = LaneIdView::Unchecked("main");
constexpr LaneIdView kOtherLane = LaneIdView::Unchecked("side");

const CapabilitySet& Gpu() {
  static const CapabilitySet gpu = [] {
    CapabilitySet set;
    static_cast<void>(set.AssignOfferedCsv("gpu"));
    return set;
  }();
  return gpu;
}

Uuid UuidOf(std::uint8_t kind, std::uint8_t number) {
  Uuid uuid;
  uuid.bytes[0] = kind;
  uuid.bytes[15] = number;
  return uuid;
}

// Texts that args point to.
struct Texts {
  explicit Texts(const RecordedCall& call)
      : instance(call.own_instance ? "i" + std::to_string(call.number) : "i"),
        text(call.with_text ? "t" + std::to_string(call.number) : "") {}
  std::string instance;
  std::string text;
};

WorkerIdentity WorkerOf(const RecordedCall& call, const std::string& instance) {
  return {{kWorkerIds[call.worker % kWorkers]}, {instance}};
}
LaneIdView LaneOf(const RecordedCall& call) { return call.other_lane ? kOtherLane : kLane; }
const CapabilitySet* OfferedBy(const RecordedCall& call) {
  return call.worker % kWorkers == kWorkers - 1 ? nullptr : &Gpu();
}

CreateExecutionArgs CreateArgs(const RecordedCall& call) {
  CreateExecutionArgs args;
  args.execution_id = ExecutionAt(call.execution);
  args.lane = kLane;
  args.priority = call.worker;
  args.required = call.execution == 1 ? &Gpu() : nullptr;
  if (call.flag) args.delay_until = TimestampMs{call.ms};
  args.max_reclaim_count = call.cap;
  return args;
}
IssueGrantArgs IssueArgs(const RecordedCall& call, const Texts& texts) {
  IssueGrantArgs args;
  args.execution_id = ExecutionAt(call.execution);
  args.worker = WorkerOf(call, texts.instance);
  args.lane = LaneOf(call);
  args.grant_ttl_ms = call.ms;
  args.offered = OfferedBy(call);
  args.capability_hash = texts.text;
  return args;
}
ClaimArgs ClaimArgsOf(const RecordedCall& call, const Texts& texts) {
  return {ExecutionAt(call.execution),
          WorkerOf(call, texts.instance),
          LaneOf(call),
          {UuidOf(1, call.number)},
          call.ms,
          {UuidOf(2, call.number)}};
}

Answer FromIssue(const IssueOutcome& outcome) {
  Answer answer;
  answer.error = outcome.error;
  if (outcome) answer.number = outcome.expires_at.value;
  return answer;
}
Answer FromClaim(const ClaimOutcome& outcome) {
  Answer answer;
  answer.error = outcome.error;
  if (outcome) answer.lease = outcome.lease;
  return answer;
}
Answer FromRevoke(const RevokeOutcome& outcome) {
  Answer answer;
  answer.error = outcome.error;
  answer.word = static_cast<std::uint8_t>(outcome.already);
  if (outcome && outcome.already == AlreadySatisfied::kNo) {
    answer.revoked = LeaseFence{outcome.lease_id, outcome.lease_epoch, {}};
  }
  return answer;
}

// The calls with a lease of their own.
Answer MakeLeaseCall(const RecordedCall& call, ClaimLedger& ledger, const Texts& texts,
                     ErrorDetails& details) {
  const ExecutionIdView id = ExecutionAt(call.execution);
  switch (call.kind) {
    case CallKind::kClaim:
      return FromClaim(ledger.Claim(ClaimArgsOf(call, texts), &details));
    case CallKind::kClaimResumed:
      return FromClaim(ledger.ClaimResumed(
          {id, WorkerOf(call, texts.instance), LaneOf(call), {UuidOf(1, call.number)}, call.ms},
          &details));
    case CallKind::kReclaim:
      return FromClaim(ledger.Reclaim({id,
                                       WorkerOf(call, texts.instance),
                                       LaneOf(call),
                                       {UuidOf(1, call.number)},
                                       call.ms,
                                       {UuidOf(2, call.number)},
                                       call.cap},
                                      &details));
    default:
      std::abort();
  }
}

Answer MakeFencedCall(const RecordedCall& call, ClaimLedger& ledger, ErrorDetails& details) {
  const ExecutionIdView id = ExecutionAt(call.execution);
  Answer answer;
  switch (call.kind) {
    case CallKind::kRenew: {
      const RenewOutcome outcome =
          ledger.Renew({id, call.attempt_index, call.fence, call.ms}, &details);
      answer.error = outcome.error;
      if (outcome) answer.number = outcome.expires_at.value;
      return answer;
    }
    case CallKind::kRevoke:
      return FromRevoke(ledger.Revoke(
          {id, call.flag ? call.fence.lease_id : std::optional<LeaseId>()}, &details));
    case CallKind::kSuspend:
      answer.error = ledger.Suspend({id, call.fence}, &details).error;
      return answer;
    case CallKind::kComplete:
      answer.error = ledger.Complete({id, call.fence, call.flag}, &details).error;
      return answer;
    default:
      std::abort();
  }
}

Answer MakeOtherCall(const RecordedCall& call, ClaimLedger& ledger, const Texts& texts,
                     ErrorDetails& details) {
  const ExecutionIdView id = ExecutionAt(call.execution);
  Answer answer;
  switch (call.kind) {
    case CallKind::kCreate: {
      const CreateOutcome outcome = ledger.CreateExecution(CreateArgs(call), &details);
      answer.error = outcome.error;
      answer.word = static_cast<std::uint8_t>(outcome.status);
      return answer;
    }
    case CallKind::kIssue:
      return FromIssue(ledger.IssueClaimGrant(IssueArgs(call, texts), &details));
    case CallKind::kIssueReclaim:
      return FromIssue(ledger.IssueReclaimGrant(IssueArgs(call, texts), &details));
    case CallKind::kClaimForWorker: {
      std::string instance;
      const ClaimForWorkerOutcome outcome = ledger.ClaimForWorker(ScheduleArgs(call, instance));
      answer.error = outcome.error;
      if (!outcome) return answer;
      const ClaimGrantView grant = outcome.grant.view();
      answer.word = NumberOf(grant.execution_id);
      answer.number = static_cast<std::int64_t>(grant.expires_at_ms);
      return answer;
    }
    case CallKind::kMarkExpired:
      answer.word = static_cast<std::uint8_t>(ledger.MarkLeaseExpiredIfDue(id).already);
      return answer;
    case CallKind::kResume: {
      const ResumeOutcome outcome = ledger.Resume({id, call.ms}, &details);
      answer.error = outcome.error;
      answer.word = outcome && outcome.delayed;
      return answer;
    }
    case CallKind::kInspect:
      answer.state = ledger.Inspect(id);
      return answer;
    case CallKind::kInspectNames:
      answer.names = ledger.InspectNames(id);
      return answer;
    default:
      std::abort();
  }
}

template <class Ledger>
Answer Make(const RecordedCall& call, Ledger& ledger) {
  const Texts texts(call);
  ErrorDetails details;
  Answer answer;
  switch (call.kind) {
    case CallKind::kClaim:
    case CallKind::kClaimResumed:
    case CallKind::kReclaim:
      answer = MakeLeaseCall(call, ledger, texts, details);
      break;
    case CallKind::kRenew:
    case CallKind::kRevoke:
    case CallKind::kSuspend:
    case CallKind::kComplete:
      answer = MakeFencedCall(call, ledger, details);
      break;
    case CallKind::kForget:
      answer.error = ledger.Forget(ExecutionAt(call.execution)).error;
      break;
    case CallKind::kSize:
      answer.number = static_cast<std::int64_t>(ledger.size());
      break;
    default:
      answer = MakeOtherCall(call, ledger, texts, details);
      break;
  }
  if (call.in_batch) return answer;  // a batch tells no details
  for (std::size_t i = 0; i < details.size(); ++i) {
    answer.details += "[" + std::string(details[i]) + "]";
  }
  return answer;
}

}  // namespace

ExecutionIdView ExecutionAt(std::uint8_t number) {
  static const std::array<ExecutionIdView, kExecutions> ids = {
      ParseExecutionId(kIds[0], ParseMode::kStrict).id,
      ParseExecutionId(kIds[1], ParseMode::kStrict).id,
      ParseExecutionId(kIds[2], ParseMode::kStrict).id};
  return ids[number % kExecutions];
}

std::uint8_t NumberOf(const ExecutionIdView& id) {
  for (std::uint8_t i = 0; i < kExecutions; ++i) {
    if (kIds[i] == id.text()) return i;
  }
  return kExecutions;
}

ClaimForWorkerArgs ScheduleArgs(const RecordedCall& call, std::string& instance) {
  instance = Texts(call).instance;
  ClaimForWorkerArgs args;
  args.worker = WorkerOf(call, instance);
  args.lane = LaneOf(call);
  args.grant_ttl_ms = call.ms;
  args.offered = OfferedBy(call);
  return args;
}

RecordedCall AsIssue(const RecordedCall& claim_for_worker, std::uint8_t execution) {
  RecordedCall issue = claim_for_worker;
  issue.kind = CallKind::kIssue;
  issue.execution = execution;
  issue.with_text = false;
  return issue;
}

Answer MakeCall(const RecordedCall& call, MemoryLedger& ledger) { return Make(call, ledger); }
Answer MakeCall(const RecordedCall& call, ModelLedger& ledger) { return Make(call, ledger); }

std::vector<Answer> MakeCalls(const std::vector<RecordedCall>& calls, MemoryLedger& ledger) {
  std::vector<Texts> texts;
  for (const RecordedCall& call : calls) texts.emplace_back(call);
  std::vector<Answer> answers;
  if (calls.empty()) return answers;
  if (calls.front().kind == CallKind::kIssue) {
    std::vector<IssueGrantArgs> args;
    for (std::size_t i = 0; i < calls.size(); ++i) args.push_back(IssueArgs(calls[i], texts[i]));
    std::vector<IssueOutcome> outcomes(calls.size());
    ledger.IssueClaimGrants(args, outcomes);
    for (const IssueOutcome& outcome : outcomes) answers.push_back(FromIssue(outcome));
  } else {
    std::vector<ClaimArgs> args;
    for (std::size_t i = 0; i < calls.size(); ++i) args.push_back(ClaimArgsOf(calls[i], texts[i]));
    std::vector<ClaimOutcome> outcomes(calls.size());
    ledger.Claims(args, outcomes);
    for (const ClaimOutcome& outcome : outcomes) answers.push_back(FromClaim(outcome));
  }
  return answers;
}

const char* CallName(CallKind kind) {
  static constexpr const char* kNames[kCallKinds] = {
      "none",          "create",   "issue",   "claim_for_worker", "claim",
      "claim_resumed", "renew",    "mark",    "revoke",           "issue_reclaim",
      "reclaim",       "suspend",  "resume",  "complete",         "inspect",
      "forget",        "maintain", "advance", "inspect_names",    "size"};
  return kNames[static_cast<std::size_t>(kind)];
}

std::string Describe(const RecordedCall& call) {
  std::string text = std::string(CallName(call.kind)) + " e" + std::to_string(call.execution) +
                     " w" + std::to_string(call.worker) + " #" + std::to_string(call.number) +
                     " ms " + std::to_string(call.ms);
  if (call.fence.lease_epoch) text += " epoch " + std::to_string(call.fence.lease_epoch->value);
  if (call.in_batch) text += " batch";
  if (call.with_text) text += " text";
  if (call.other_lane) text += " other lane";
  if (call.flag) text += " flag";
  return text;
}

std::string Describe(const Answer& answer) {
  std::string text = std::string(ErrorName(answer.error)) + " " + std::to_string(answer.word);
  if (answer.number != 0) text += " number " + std::to_string(answer.number);
  if (answer.counts[0] + answer.counts[1] != 0) {
    text += " expired " + std::to_string(answer.counts[0]) + " promoted " +
            std::to_string(answer.counts[1]);
  }
  if (answer.lease) {
    text += " epoch " + std::to_string(answer.lease->fence.lease_epoch.value) + " attempt " +
            std::to_string(answer.lease->attempt_index.value) + " until " +
            std::to_string(answer.lease->expires_at.value);
  }
  if (answer.revoked) text += " epoch " + std::to_string(answer.revoked->lease_epoch.value);
  if (answer.state) text += " " + Describe(answer.state);
  if (answer.names) text += " " + Describe(answer.names);
  return text + answer.details;
}

}  // namespace ffgrant::testing
