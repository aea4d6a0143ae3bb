// SPDX-License-Identifier: Apache-2.0

#include "testing/scenarios/run.h"

#include <memory>
#include <utility>

#include "ffgrant/uuid_generator.h"

namespace ffgrant::claims_conformance {

namespace calls = testing::calls;
using testing::Answer;
using testing::Call;
using testing::UuidText;

namespace {

std::string Join(const std::vector<std::string>& texts) {
  std::string joined;
  for (const std::string& text : texts) joined += "[" + text + "]";
  return joined;
}

WorkerIdentity IdentityOf(const Worker& worker) { return {{worker.id}, {worker.instance}}; }

// Returns a set, or null without `csv`. The set must live until a Call has been constructed from
// arguments that point to it. The Call copies the set.
std::unique_ptr<CapabilitySet> SetOf(const std::optional<std::string>& csv) {
  if (!csv.has_value()) return nullptr;
  auto set = std::make_unique<CapabilitySet>();
  static_cast<void>(set->AssignOfferedCsv(*csv));
  return set;
}

}  // namespace

Run::Run(Engine& engine, std::string prefix, std::size_t argument)
    : engine_(engine),
      prefix_(std::move(prefix)),
      argument_(argument),
      driver_(
          [this](const Call& call) {
            const std::int64_t before = engine_.Now();
            Answer answer = Make(ledger(), call);
            moment_ = {before, engine_.Now()};
            return answer;
          },
          {}) {}

// A run's names begin with its prefix. The place of a failure shows them without the prefix, so
// that it has the same text in every run.
std::string Run::WithoutPrefix(std::string text) const {
  if (prefix_.empty()) return text;
  for (std::size_t at = text.find(prefix_); at != std::string::npos; at = text.find(prefix_, at)) {
    text.erase(at, prefix_.size());
  }
  return text;
}

// ---- failures --------------------------------------------------------------------

void Run::Blame(std::string_view aspect, const std::string& expected, const std::string& actual) {
  // A wrong value that the ledger shows would be seen after every call, so it is reported only
  // once.
  if (aspect.starts_with("state.") && !shown_wrongly_.emplace(aspect).second) return;
  failures_.push_back(
      {std::to_string(step_) + " " + operation_ + ": " + WithoutPrefix(std::string(aspect)),
       expected, actual});
}

void Run::CheckEqual(std::string_view what, const std::string& expected,
                     const std::string& actual) {
  if (expected != actual) Blame(what, expected, actual);
}

void Run::CheckAnswer(const ExpectedAnswer& expected, const Answer& answer) {
  if (expected.error != answer.error) {
    const bool unheard_of =
        answer.error == ClaimError::kUnknownCode || answer.error == ClaimError::kUnavailable;
    Blame("error", std::string(ErrorName(expected.error)),
          std::string(ErrorName(answer.error)) + (unheard_of ? " " + Join(answer.details) : ""));
    throw WentAstray();
  }
  CheckEqual("details", Join(expected.details), Join(answer.details));
}

void Run::Do(Execution& e, const Call& call, const ExpectedAnswer& expected, const Effect& effect) {
  ++step_;
  operation_ = call.name();
  const Answer answer = driver_.Do(call);
  CheckAnswer(expected, answer);
  if (answer.ok()) {
    effect(moment_, answer);
  } else {
    NoteRejection(e, call.kind(), answer.error, moment_);
  }
  CheckStored(e);
}

// ---- executions --------------------------------------------------------------------

Uuid Run::NextUuid() { return RandomUuid(); }

Execution& Run::New(const Execution* beside) {
  const std::string number = std::to_string(executions_.size() + 1);
  if (beside != nullptr) {
    return executions_.emplace_back(
        Expected(beside->expected.tag() + ":" + UuidText(NextUuid()), beside->expected.lane));
  }
  const Uuid uuid = NextUuid();
  const unsigned partition = (uuid.bytes[0] * 256u + uuid.bytes[1]) % engine_.partition_count();
  return executions_.emplace_back(Expected(
      "{fp:" + std::to_string(partition) + "}:" + UuidText(NextUuid()), Name("lane" + number)));
}

namespace {

Call CreateCall(const Execution& e, const CreateOptions& options) {
  const auto required = SetOf(options.required);
  return calls::Create{{.execution_id = e.id(),
                        .lane = LaneIdView::Unchecked(options.lane ? *options.lane : e.lane()),
                        .priority = options.priority,
                        .required = required.get(),
                        .delay_until = options.delay_until,
                        .max_reclaim_count = options.cap,
                        .retry = options.retry}};
}

}  // namespace

Execution& Run::Create(const CreateOptions& options, const Execution* beside) {
  Execution& e = New(beside);
  if (options.lane || options.id) {
    e.expected =
        Expected(options.id.value_or(e.expected.id), options.lane.value_or(e.expected.lane));
  }
  Do(e, CreateCall(e, options), {}, [&](const Moment& at, const Answer& answer) {
    std::optional<std::int64_t> until;
    if (options.delay_until.has_value() && options.delay_until->value > at.latest()) {
      until = options.delay_until->value;
    }
    Check("status", answer.created == (until ? CreateOutcome::Status::kDelayed
                                             : CreateOutcome::Status::kWaiting));
    e.expected.Created(at, options.priority, options.required.value_or(""), until);
  });
  return e;
}

void Run::CreateAgain(Execution& e, const CreateOptions& options) {
  Do(e, CreateCall(e, options), {}, [&](const Moment&, const Answer& answer) {
    Check("status", answer.created == CreateOutcome::Status::kDuplicate);
  });
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

void Run::IssueAny(bool reclaim, Execution& e, const IssueOptions& options,
                   const ExpectedAnswer& expected) {
  const Worker worker = Named(options.worker);
  const std::string lane = options.lane.value_or(e.expected.lane);
  const auto offered = SetOf(options.offered);
  const IssueGrantArgs args = {.execution_id = e.id(),
                               .worker = IdentityOf(worker),
                               .lane = LaneIdView::Unchecked(lane),
                               .grant_ttl_ms = options.ttl_ms,
                               .offered = offered.get(),
                               .capability_hash = options.capability_hash,
                               .route_snapshot_json = options.route_snapshot_json,
                               .admission_summary = options.admission_summary};
  const Call call = reclaim ? Call(calls::IssueReclaim{args}) : Call(calls::Issue{args});
  Do(e, call, expected, [&](const Moment& at, const Answer& answer) {
    e.expected.Granted(at,
                       {{"capability_hash", options.capability_hash},
                        {"route_snapshot_json", options.route_snapshot_json},
                        {"admission_summary", options.admission_summary}},
                       worker, lane, options.ttl_ms);
    if (reclaim) return CheckExpiry(at, options.ttl_ms, answer);
    // The expiry that the caller of a claim grant gets may come from an earlier reading of the
    // clock than the stored expiry (7.1). The expiry of a reclaim grant is the stored one (7.6).
    const std::int64_t told = answer.expires_at->value - options.ttl_ms;
    if (told < at.earliest() || told > at.latest()) {
      Blame("expires_at", at.Text(options.ttl_ms), std::to_string(answer.expires_at->value));
    }
  });
}

void Run::Issue(Execution& e, const IssueOptions& options, const ExpectedAnswer& answer) {
  IssueAny(false, e, options, answer);
}

void Run::IssueReclaim(Execution& e, const IssueOptions& options, const ExpectedAnswer& answer) {
  IssueAny(true, e, options, answer);
}

void Run::CheckExpiry(const Moment& at, std::int64_t ttl_ms, const Answer& answer) {
  if (at.Is(answer.expires_at->value - ttl_ms)) return;
  Blame("expires_at", at.Text(ttl_ms), std::to_string(answer.expires_at->value));
}

// Notes what a rejection leaves behind.
void Run::NoteRejection(Execution& e, testing::CallKind kind, ClaimError error, const Moment& at) {
  if (error == ClaimError::kCapabilityMismatch) {
    e.expected.CapabilityMismatch(at);
  } else if (error == ClaimError::kLeaseExpired) {
    if (e.expected.Field("ownership_state") == "leased") e.expected.MarkedExpired(at);
  } else if (error == ClaimError::kMaxRetriesExhausted) {
    e.expected.ReclaimedTooOften(at);
  } else if (error == ClaimError::kClaimGrantExpired && kind == testing::CallKind::kClaimResumed) {
    e.expected.GrantGone();
  }
}

// ---- leases ------------------------------------------------------------------------

NewLease Run::LeaseOf(const ClaimOptions& options, const Execution& e) {
  return {Named(options.worker), options.lane.value_or(e.expected.lane), UuidText(NextUuid()),
          UuidText(NextUuid()), options.ttl_ms};
}

// Is called once e.expected has the lease.
void Run::NoteLease(Execution& e, const Answer& answer, LeaseKind kind) {
  const Lease& lease = *answer.lease;
  CheckEqual("lease id", e.expected.Field("current_lease_id"), UuidText(lease.fence.lease_id.uuid));
  CheckEqual("epoch", e.expected.Field("current_lease_epoch"),
             std::to_string(lease.fence.lease_epoch.value));
  CheckEqual("attempt id", e.expected.Field("current_attempt_id"),
             UuidText(lease.fence.attempt_id.uuid));
  CheckEqual("attempt index", e.expected.Field("current_attempt_index"),
             std::to_string(lease.attempt_index.value));
  CheckEqual("kind", std::string(LeaseKindName(kind)), std::string(LeaseKindName(lease.kind)));
  const Value expires = e.expected.Get("lease_expires_at");
  if (!expires.MatchesTime(lease.expires_at.value)) {
    Blame("expires_at", expires.Text(), std::to_string(lease.expires_at.value));
  }
  e.fence = lease.fence;
  e.attempt_index = lease.attempt_index;
}

namespace {
template <class Id>
Id IdOf(const std::string& text) {
  return {ParseUuid(text, ParseMode::kStrict).uuid};
}
}  // namespace

void Run::Claim(Execution& e, const ClaimOptions& options, const ExpectedAnswer& expected) {
  const NewLease lease = LeaseOf(options, e);
  Do(e,
     calls::Claim{{e.id(), IdentityOf(lease.worker), LaneIdView::Unchecked(lease.lane),
                   IdOf<LeaseId>(lease.lease_id), options.ttl_ms,
                   IdOf<AttemptId>(lease.attempt_id)}},
     expected, [&](const Moment& at, const Answer& answer) {
       const bool is_retry = e.expected.Field("attempt_state") == "pending_retry_attempt";
       e.expected.Claimed(at, lease);
       NoteLease(e, answer, is_retry ? LeaseKind::kRetry : LeaseKind::kInitial);
     });
}

void Run::ClaimResumed(Execution& e, const ClaimOptions& options, const ExpectedAnswer& expected) {
  const NewLease lease = LeaseOf(options, e);
  Do(e,
     calls::ClaimResumed{{e.id(), IdentityOf(lease.worker), LaneIdView::Unchecked(lease.lane),
                          IdOf<LeaseId>(lease.lease_id), options.ttl_ms}},
     expected, [&](const Moment& at, const Answer& answer) {
       e.expected.ClaimedResumed(at, lease);
       NoteLease(e, answer, LeaseKind::kResumed);
     });
}

void Run::Reclaim(Execution& e, const ClaimOptions& options, const ExpectedAnswer& expected) {
  const NewLease lease = LeaseOf(options, e);
  Do(e,
     calls::Reclaim{{e.id(), IdentityOf(lease.worker), LaneIdView::Unchecked(lease.lane),
                     IdOf<LeaseId>(lease.lease_id), options.ttl_ms,
                     IdOf<AttemptId>(lease.attempt_id), options.cap}},
     expected, [&](const Moment& at, const Answer& answer) {
       e.expected.Reclaimed(at, lease);
       NoteLease(e, answer, LeaseKind::kReclaim);
     });
}

void Run::Renew(Execution& e, const RenewOptions& options, const ExpectedAnswer& expected) {
  Do(e,
     calls::Renew{{e.id(), options.attempt_index.value_or(e.attempt_index),
                   options.fence.value_or(e.fence), options.ttl_ms}},
     expected, [&](const Moment& at, const Answer& answer) {
       e.expected.Renewed(at, options.ttl_ms);
       CheckExpiry(at, options.ttl_ms, answer);
     });
}

void Run::MarkExpired(Execution& e, AlreadySatisfied already) {
  Do(e, calls::MarkExpired{e.id()}, {}, [&](const Moment& at, const Answer& answer) {
    CheckEqual("already", std::string(ReasonWord(already)),
               std::string(ReasonWord(answer.already)));
    if (already == AlreadySatisfied::kNo) e.expected.MarkedExpired(at);
  });
}

void Run::Revoke(Execution& e, std::optional<LeaseId> expected_lease,
                 const ExpectedAnswer& expected, AlreadySatisfied already) {
  Do(e, calls::Revoke{{e.id(), expected_lease}}, expected,
     [&](const Moment& at, const Answer& answer) {
       CheckEqual("already", std::string(ReasonWord(already)),
                  std::string(ReasonWord(answer.already)));
       if (already != AlreadySatisfied::kNo) return;
       const LeaseFence revoked = answer.revoked.value_or(LeaseFence{});
       CheckEqual("lease id", e.expected.Field("current_lease_id"),
                  UuidText(revoked.lease_id.uuid));
       CheckEqual("epoch", e.expected.Field("current_lease_epoch"),
                  std::to_string(revoked.lease_epoch.value));
       e.expected.Revoked(at);
     });
}

void Run::Suspend(Execution& e, std::optional<OptionalFence> fence,
                  const ExpectedAnswer& expected) {
  Do(e, calls::Suspend{{e.id(), fence.value_or(e.fence)}}, expected,
     [&](const Moment& at, const Answer&) { e.expected.Suspended(at); });
}

void Run::Resume(Execution& e, std::int64_t delay_ms, const ExpectedAnswer& expected) {
  Do(e, calls::Resume{{e.id(), delay_ms}}, expected, [&](const Moment& at, const Answer& answer) {
    Check("delayed", answer.delayed == (delay_ms > 0));
    e.expected.Resumed(at, delay_ms);
  });
}

void Run::Complete(Execution& e, std::optional<OptionalFence> fence, const ExpectedAnswer& expected,
                   bool operator_override) {
  Do(e, calls::Complete{{e.id(), fence.value_or(e.fence), operator_override}}, expected,
     [&](const Moment& at, const Answer&) { e.expected.Completed(at); });
}

void Run::Fail(Execution& e, const FailOptions& options, const ExpectedAnswer& expected) {
  Do(e,
     calls::Fail{{.execution_id = e.id(),
                  .fence = options.fence.value_or(e.fence),
                  .reason = options.reason,
                  .category = options.category,
                  .operator_override = options.operator_override}},
     expected, [&](const Moment& at, const Answer& answer) {
       Check("retried", answer.retry_at.has_value() == options.retried_after_ms.has_value());
       if (!options.retried_after_ms) {
         e.expected.Failed(at, options.reason, options.category);
         return;
       }
       const TimestampMs retry_at = answer.retry_at.value_or(TimestampMs{});
       if (!at.Is(retry_at.value - *options.retried_after_ms)) {
         Blame("retry_at", at.Text(*options.retried_after_ms), std::to_string(retry_at.value));
       }
       e.expected.FailedAndRetried(at, options.reason, options.category, retry_at.value);
     });
}

void Run::Promote(Execution& e, bool due) {
  ++step_;
  operation_ = "promote";
  const std::int64_t before = engine_.Now();
  const bool promoted = engine_.Promote(e.id(), LaneIdView::Unchecked(e.lane()));
  const Moment at{before, engine_.Now()};
  Check("promoted", promoted == due);
  if (promoted) e.expected.Promoted(at);
  CheckStored(e);
}

bool Run::Try(const std::function<void()>& step) {
  const std::size_t before = failures_.size();
  try {
    step();
    return true;
  } catch (const WentAstray&) {
    failures_.resize(before);
    return false;
  }
}

void Run::Pass(std::int64_t ms) { engine_.PassUntil(engine_.Now() + ms); }

}  // namespace ffgrant::claims_conformance
