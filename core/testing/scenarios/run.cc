// SPDX-License-Identifier: Apache-2.0

#include "testing/scenarios/run.h"

#include <array>
#include <charconv>
#include <memory>
#include <utility>

#include "ffgrant/uuid_generator.h"

namespace ffgrant::claims_conformance {
namespace {

std::string Text(const Uuid& uuid) {
  std::array<char, kUuidTextSize> text;
  FormatUuid(uuid, text);
  return {text.data(), text.size()};
}

std::string Join(const std::vector<std::string>& texts) {
  std::string joined;
  for (const std::string& text : texts) joined += "[" + text + "]";
  return joined;
}

WorkerIdentity IdentityOf(const Worker& worker) { return {{worker.id}, {worker.instance}}; }

// Sets live as long as the call that points to them.
std::unique_ptr<CapabilitySet> SetOf(const std::optional<std::string>& csv) {
  if (!csv.has_value()) return nullptr;
  auto set = std::make_unique<CapabilitySet>();
  static_cast<void>(set->AssignOfferedCsv(*csv));
  return set;
}

}  // namespace

// The readings of the clock around one call.
class CallScope {
 public:
  CallScope(Run& run, const char* operation) : run_(run) {
    ++run_.step_;
    run_.operation_ = operation;
    before_ = run_.engine_.Now();
  }
  Moment End() const { return {before_, run_.engine_.Now()}; }

 private:
  Run& run_;
  std::int64_t before_ = 0;
};

// The names of a run are its own; those of failures are the same in every run.
std::string Run::WithoutPrefix(std::string text) const {
  if (prefix_.empty()) return text;
  for (std::size_t at = text.find(prefix_); at != std::string::npos; at = text.find(prefix_, at)) {
    text.erase(at, prefix_.size());
  }
  return text;
}

// ---- failures --------------------------------------------------------------------

void Run::Fail(std::string_view aspect, const std::string& expected, const std::string& actual) {
  // What the ledger shows wrongly it would show wrongly after every call.
  if (aspect.starts_with("state.") && !shown_wrongly_.emplace(aspect).second) return;
  failures_.push_back(
      {std::to_string(step_) + " " + operation_ + ": " + WithoutPrefix(std::string(aspect)),
       expected, actual});
}

void Run::CheckEqual(std::string_view what, const std::string& expected,
                     const std::string& actual) {
  if (expected != actual) Fail(what, expected, actual);
}

void Run::CheckAnswer(const Answer& answer, ClaimError error, const ErrorDetails& details) {
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < details.size(); ++i) texts.emplace_back(details[i]);
  if (answer.error != error) {
    const bool unheard_of = error == ClaimError::kUnknownCode || error == ClaimError::kUnavailable;
    Fail("error", std::string(ErrorName(answer.error)),
         std::string(ErrorName(error)) + (unheard_of ? " " + Join(texts) : ""));
    throw WentAstray();
  }
  CheckEqual("details", Join(answer.details), Join(texts));
}

// ---- executions --------------------------------------------------------------------

Uuid Run::NextUuid() { return RandomUuid(); }

Execution& Run::New(const Execution* beside) {
  const std::string number = std::to_string(executions_.size() + 1);
  if (beside != nullptr) {
    return executions_.emplace_back(
        Expected(beside->expected.tag() + ":" + Text(NextUuid()), beside->expected.lane));
  }
  const Uuid uuid = NextUuid();
  const unsigned partition = (uuid.bytes[0] * 256u + uuid.bytes[1]) % engine_.partition_count();
  return executions_.emplace_back(Expected(
      "{fp:" + std::to_string(partition) + "}:" + Text(NextUuid()), Name("lane" + number)));
}

Execution& Run::Create(const CreateOptions& options, const Execution* beside) {
  Execution& e = New(beside);
  const CallScope call(*this, "create");
  const auto required = SetOf(options.required);
  CreateExecutionArgs args;
  args.execution_id = e.id();
  args.lane = LaneIdView::Unchecked(e.lane());
  args.priority = options.priority;
  args.required = required.get();
  args.delay_until = options.delay_until;
  args.max_reclaim_count = options.cap;
  ErrorDetails details;
  const CreateOutcome outcome = ledger().CreateExecution(args, &details);
  const Moment at = call.End();
  CheckAnswer({}, outcome.error, details);
  std::optional<std::int64_t> until;
  if (options.delay_until.has_value() && options.delay_until->value > at.latest()) {
    until = options.delay_until->value;
  }
  Check("status", outcome.status ==
                      (until ? CreateOutcome::Status::kDelayed : CreateOutcome::Status::kWaiting));
  e.expected.Created(at, options.priority, options.required.value_or(""), until);
  CheckStored(e);
  return e;
}

void Run::CreateAgain(Execution& e, const CreateOptions& options) {
  const CallScope call(*this, "create");
  const auto required = SetOf(options.required);
  CreateExecutionArgs args;
  args.execution_id = e.id();
  args.lane = LaneIdView::Unchecked(e.lane());
  args.priority = options.priority;
  args.required = required.get();
  args.delay_until = options.delay_until;
  args.max_reclaim_count = options.cap;
  ErrorDetails details;
  const CreateOutcome outcome = ledger().CreateExecution(args, &details);
  CheckAnswer({}, outcome.error, details);
  Check("status", outcome.status == CreateOutcome::Status::kDuplicate);
  CheckStored(e);
}

Execution& Run::Leased(std::int64_t ttl_ms, std::optional<std::uint32_t> cap) {
  Execution& e = Create({.cap = cap});
  Issue(e);
  Claim(e, {.ttl_ms = ttl_ms});
  return e;
}

Execution& Run::Expired() {
  Execution& e = Leased(kShort);
  Pass(kShort + 1);
  MarkExpired(e);
  return e;
}

Execution& Run::RevokedOne(std::optional<std::uint32_t> cap) {
  Execution& e = Leased(kLong, cap);
  Revoke(e);
  return e;
}

Execution& Run::Interrupted() {
  Execution& e = Leased();
  Suspend(e);
  Resume(e);
  return e;
}

// ---- grants ------------------------------------------------------------------------

bool Run::IssueAny(bool reclaim, Execution& e, const IssueOptions& options, const Answer& answer) {
  const CallScope call(*this, reclaim ? "issue_reclaim" : "issue");
  const Worker worker = Named(options.worker);
  const std::string lane = options.lane.value_or(e.expected.lane);
  const auto offered = SetOf(options.offered);
  IssueGrantArgs args;
  args.execution_id = e.id();
  args.worker = IdentityOf(worker);
  args.lane = LaneIdView::Unchecked(lane);
  args.grant_ttl_ms = options.ttl_ms;
  args.offered = offered.get();
  args.capability_hash = options.capability_hash;
  args.route_snapshot_json = options.route_snapshot_json;
  args.admission_summary = options.admission_summary;
  ErrorDetails details;
  const IssueOutcome outcome = reclaim ? ledger().IssueReclaimGrant(args, &details)
                                       : ledger().IssueClaimGrant(args, &details);
  const Moment at = call.End();
  CheckAnswer(answer, outcome.error, details);
  if (answer.error != ClaimError::kNone) {
    NoteRejection(e, answer.error, at);
  } else {
    e.expected.Granted(at,
                       {{"capability_hash", options.capability_hash},
                        {"route_snapshot_json", options.route_snapshot_json},
                        {"admission_summary", options.admission_summary}},
                       worker, lane, options.ttl_ms);
    // What a claim grant's caller is told may be the clock's reading before the
    // call (7.1); a reclaim grant's is the stored one (7.6).
    const std::int64_t told = outcome.expires_at.value - options.ttl_ms;
    const bool right = reclaim ? at.Is(told) : told >= at.earliest() && told <= at.latest();
    if (!right) {
      Fail("expires_at", at.Text(options.ttl_ms), std::to_string(outcome.expires_at.value));
    }
  }
  CheckStored(e);
  return answer.error == ClaimError::kNone;
}

void Run::Issue(Execution& e, const IssueOptions& options, const Answer& answer) {
  IssueAny(false, e, options, answer);
}

void Run::IssueReclaim(Execution& e, const IssueOptions& options, const Answer& answer) {
  IssueAny(true, e, options, answer);
}

// What a rejection leaves behind.
void Run::NoteRejection(Execution& e, ClaimError error, const Moment& at) {
  if (error == ClaimError::kCapabilityMismatch) {
    e.expected.CapabilityMismatch(at);
  } else if (error == ClaimError::kLeaseExpired) {
    if (e.expected.Field("ownership_state") == "leased") e.expected.MarkedExpired(at);
  } else if (error == ClaimError::kMaxRetriesExhausted) {
    e.expected.ReclaimedTooOften(at);
  }
}

// ---- leases ------------------------------------------------------------------------

NewLease Run::LeaseOf(const ClaimOptions& options, const Execution& e) {
  return {Named(options.worker), options.lane.value_or(e.expected.lane), Text(NextUuid()),
          Text(NextUuid()), options.ttl_ms};
}

// After e.expected has been told of the lease.
void Run::NoteLease(Execution& e, const ClaimOutcome& outcome, LeaseKind kind) {
  if (!outcome) return;
  const Lease& lease = outcome.lease;
  CheckEqual("lease id", e.expected.Field("current_lease_id"), Text(lease.fence.lease_id.uuid));
  CheckEqual("epoch", e.expected.Field("current_lease_epoch"),
             std::to_string(lease.fence.lease_epoch.value));
  CheckEqual("attempt id", e.expected.Field("current_attempt_id"),
             Text(lease.fence.attempt_id.uuid));
  CheckEqual("attempt index", e.expected.Field("current_attempt_index"),
             std::to_string(lease.attempt_index.value));
  CheckEqual("kind", std::string(LeaseKindName(kind)), std::string(LeaseKindName(lease.kind)));
  const Value expires = e.expected.Get("lease_expires_at");
  if (!expires.MatchesTime(lease.expires_at.value)) {
    Fail("expires_at", expires.Text(), std::to_string(lease.expires_at.value));
  }
  e.fence = lease.fence;
  e.attempt_index = lease.attempt_index;
}

namespace {
Uuid UuidOf(const std::string& text) { return ParseUuid(text, ParseMode::kStrict).uuid; }
}  // namespace

void Run::Claim(Execution& e, const ClaimOptions& options, const Answer& answer) {
  const NewLease lease = LeaseOf(options, e);
  const CallScope call(*this, "claim");
  ErrorDetails details;
  const ClaimOutcome outcome = ledger().Claim({e.id(),
                                               IdentityOf(lease.worker),
                                               LaneIdView::Unchecked(lease.lane),
                                               {UuidOf(lease.lease_id)},
                                               options.ttl_ms,
                                               {UuidOf(lease.attempt_id)}},
                                              &details);
  const Moment at = call.End();
  CheckAnswer(answer, outcome.error, details);
  if (answer.error == ClaimError::kNone) {
    e.expected.Claimed(at, lease);
    NoteLease(e, outcome, LeaseKind::kInitial);
  } else {
    NoteRejection(e, answer.error, at);
  }
  CheckStored(e);
}

void Run::ClaimResumed(Execution& e, const ClaimOptions& options, const Answer& answer) {
  const NewLease lease = LeaseOf(options, e);
  const CallScope call(*this, "claim_resumed");
  ErrorDetails details;
  const ClaimOutcome outcome = ledger().ClaimResumed({e.id(),
                                                      IdentityOf(lease.worker),
                                                      LaneIdView::Unchecked(lease.lane),
                                                      {UuidOf(lease.lease_id)},
                                                      options.ttl_ms},
                                                     &details);
  const Moment at = call.End();
  CheckAnswer(answer, outcome.error, details);
  if (answer.error == ClaimError::kNone) {
    e.expected.ClaimedResumed(at, lease);
    NoteLease(e, outcome, LeaseKind::kResumed);
  } else {
    NoteRejection(e, answer.error, at);
    if (answer.error == ClaimError::kClaimGrantExpired) e.expected.GrantGone();
  }
  CheckStored(e);
}

void Run::Reclaim(Execution& e, const ClaimOptions& options, const Answer& answer) {
  const NewLease lease = LeaseOf(options, e);
  const CallScope call(*this, "reclaim");
  ErrorDetails details;
  const ClaimOutcome outcome = ledger().Reclaim({e.id(),
                                                 IdentityOf(lease.worker),
                                                 LaneIdView::Unchecked(lease.lane),
                                                 {UuidOf(lease.lease_id)},
                                                 options.ttl_ms,
                                                 {UuidOf(lease.attempt_id)},
                                                 options.cap},
                                                &details);
  const Moment at = call.End();
  CheckAnswer(answer, outcome.error, details);
  if (answer.error == ClaimError::kNone) {
    e.expected.Reclaimed(at, lease);
    NoteLease(e, outcome, LeaseKind::kReclaim);
  } else {
    NoteRejection(e, answer.error, at);
  }
  CheckStored(e);
}

void Run::Renew(Execution& e, const RenewOptions& options, const Answer& answer) {
  const CallScope call(*this, "renew");
  ErrorDetails details;
  const RenewOutcome outcome =
      ledger().Renew({e.id(), options.attempt_index.value_or(e.attempt_index),
                      options.fence.value_or(e.fence), options.ttl_ms},
                     &details);
  const Moment at = call.End();
  CheckAnswer(answer, outcome.error, details);
  if (answer.error == ClaimError::kNone) {
    e.expected.Renewed(at, options.ttl_ms);
    if (outcome && !at.Is(outcome.expires_at.value - options.ttl_ms)) {
      Fail("expires_at", at.Text(options.ttl_ms), std::to_string(outcome.expires_at.value));
    }
  } else {
    NoteRejection(e, answer.error, at);
  }
  CheckStored(e);
}

void Run::MarkExpired(Execution& e, AlreadySatisfied already) {
  const CallScope call(*this, "mark_expired");
  const MarkExpiredOutcome outcome = ledger().MarkLeaseExpiredIfDue(e.id());
  const Moment at = call.End();
  CheckAnswer({}, outcome.error, {});
  CheckEqual("already", std::string(ReasonWord(already)), std::string(ReasonWord(outcome.already)));
  if (already == AlreadySatisfied::kNo) e.expected.MarkedExpired(at);
  CheckStored(e);
}

void Run::Revoke(Execution& e, std::optional<LeaseId> expected_lease, const Answer& answer,
                 AlreadySatisfied already) {
  const CallScope call(*this, "revoke");
  ErrorDetails details;
  const RevokeOutcome outcome = ledger().Revoke({e.id(), expected_lease}, &details);
  const Moment at = call.End();
  CheckAnswer(answer, outcome.error, details);
  if (answer.error == ClaimError::kNone) {
    CheckEqual("already", std::string(ReasonWord(already)),
               std::string(ReasonWord(outcome.already)));
    if (already == AlreadySatisfied::kNo) {
      CheckEqual("lease id", e.expected.Field("current_lease_id"), Text(outcome.lease_id.uuid));
      CheckEqual("epoch", e.expected.Field("current_lease_epoch"),
                 std::to_string(outcome.lease_epoch.value));
      e.expected.Revoked(at);
    }
  }
  CheckStored(e);
}

void Run::Suspend(Execution& e, std::optional<OptionalFence> fence, const Answer& answer) {
  const CallScope call(*this, "suspend");
  ErrorDetails details;
  const Outcome outcome = ledger().Suspend({e.id(), fence.value_or(e.fence)}, &details);
  const Moment at = call.End();
  CheckAnswer(answer, outcome.error, details);
  if (answer.error == ClaimError::kNone) {
    e.expected.Suspended(at);
  } else {
    NoteRejection(e, answer.error, at);
  }
  CheckStored(e);
}

void Run::Resume(Execution& e, std::int64_t delay_ms, const Answer& answer) {
  const CallScope call(*this, "resume");
  ErrorDetails details;
  const ResumeOutcome outcome = ledger().Resume({e.id(), delay_ms}, &details);
  const Moment at = call.End();
  CheckAnswer(answer, outcome.error, details);
  if (answer.error == ClaimError::kNone) {
    Check("delayed", outcome.delayed == (delay_ms > 0));
    e.expected.Resumed(at, delay_ms);
  }
  CheckStored(e);
}

void Run::Complete(Execution& e, std::optional<OptionalFence> fence, const Answer& answer,
                   bool operator_override) {
  const CallScope call(*this, "complete");
  ErrorDetails details;
  const Outcome outcome =
      ledger().Complete({e.id(), fence.value_or(e.fence), operator_override}, &details);
  const Moment at = call.End();
  CheckAnswer(answer, outcome.error, details);
  if (answer.error == ClaimError::kNone) {
    e.expected.Completed(at);
  } else {
    NoteRejection(e, answer.error, at);
  }
  CheckStored(e);
}

void Run::Pass(std::int64_t ms) { engine_.PassUntil(engine_.Now() + ms); }

}  // namespace ffgrant::claims_conformance
