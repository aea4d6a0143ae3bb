// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/valkey/valkey_ledger.h"

#include <algorithm>
#include <optional>
#include <stdexcept>

#include "ffgrant/internal/throw.h"
#include "ffgrant/json/retry_policy.h"
#include "ffgrant/uuid_generator.h"
#include "ffgrant/valkey/internal/stored_execution.h"
#include "ffgrant/valkey/internal/valkey_ledger_impl.h"

namespace ffgrant::valkey {

using internal::CheckCreate;
using internal::CheckId;
using internal::CheckTtlAndId;
using internal::Reply;
using internal::RespCommand;
using internal::Session;

namespace {

constexpr std::string_view kBadLeaseTtl = "lease_ttl_ms is out of range";
constexpr std::string_view kBadGrantTtl = "grant_ttl_ms is out of range";
constexpr std::string_view kHexDigits = "0123456789abcdefABCDEF";

void Clear(ErrorDetails* details) noexcept {
  if (details != nullptr) details->clear();
}

// The latest time, in seconds, that TIME may answer; an answer with a later time does not fit.
constexpr std::int64_t kMaxSeconds = kMaxTtlMs / 1000;
// How much less the score of an eligible execution is for each step of its priority (contract 3).
constexpr std::int64_t kPriorityScore = 1'000'000'000'000;

}  // namespace

ValkeyLedger::Impl::Impl(const ValkeyLedgerOptions& o)
    : options(o), sessions(o.client, o.connections) {
  internal::CheckDefaults(o.defaults);
  if (o.max_candidates == 0) {
    ffgrant::internal::Throw<std::invalid_argument>("ffgrant: max_candidates must not be 0");
  }
  if (const std::string_view secret = o.waitpoint_secret_hex;
      secret.size() % 2 != 0 || secret.find_first_not_of(kHexDigits) != secret.npos) {
    ffgrant::internal::Throw<std::invalid_argument>(
        "ffgrant: waitpoint_secret_hex must be an even number of hex digits");
  }
}

ClaimError ValkeyLedger::Impl::ReadHintsOf(Session& session, const ExecutionIdView& id,
                                           ErrorDetails* details) noexcept {
  ClaimError error = ClaimError::kNone;
  const ClaimError failure = CallAndWait(
      session, HashSlot(id.partition()), true, details,
      [&](RespCommand& command) { WriteReadHints(command, id); },
      [&](const Reply& reply) {
        if (reply.is(Reply::Type::kError)) (void)internal::UnknownText(reply, details);
        return ReadHints(reply, session.hints, error);
      });
  return failure != ClaimError::kNone ? failure : error;
}

ClaimError ValkeyLedger::Impl::ReadTime(Session& session, const ExecutionIdView& id,
                                        ErrorDetails* details, TimestampMs& now) noexcept {
  return CallAndWait(
      session, HashSlot(id.partition()), true, details,
      [](RespCommand& command) {
        command.Begin(1);
        command.Arg("TIME");
      },
      [&](const Reply& reply) {
        const auto seconds = internal::ReadInteger(reply.TextAt(0).value_or(""));
        const auto micros = internal::ReadInteger(reply.TextAt(1).value_or(""));
        if (!seconds || *seconds < 0 || *seconds > kMaxSeconds || !micros || *micros < 0 ||
            *micros > 999'999) {
          return false;
        }
        now = {*seconds * 1000 + *micros / 1000};
        return true;
      });
}

ClaimError ValkeyLedger::Impl::MoveToEligible(Session& session, const ExecutionIdView& id,
                                              LaneIdView lane, ErrorDetails* details) noexcept {
  const std::uint16_t slot = HashSlot(id.partition());
  std::optional<std::int64_t> priority;
  std::optional<std::int64_t> created;
  ErrorDetails why;  // why there is no score
  const auto reader_of = [&why](std::optional<std::int64_t>& value) {
    return [&](const Reply& reply) {
      if (reply.is(Reply::Type::kError)) (void)internal::UnknownText(reply, &why);
      if (reply.is(Reply::Type::kString)) value = internal::ReadInteger(reply.text);
      return reply.is(Reply::Type::kString) || reply.is(Reply::Type::kNil) ||
             reply.is(Reply::Type::kError);
    };
  };
  const auto writer_of = [&id](std::string_view field) {
    return [&id, field](RespCommand& command) {
      internal::ClaimKeys keys(command, id);
      command.Begin(3);
      command.Arg("HGET");
      keys.Execution(ExecutionKey::kCore);
      command.Arg(field);
    };
  };
  auto read_priority = reader_of(priority);
  auto read_created = reader_of(created);
  internal::Group group(session, details);
  group.Add(slot, true, writer_of("priority"), read_priority);
  group.Add(slot, true, writer_of("created_at"), read_created);
  ClaimError failure = group.Wait();
  ClaimError error = ClaimError::kNone;
  std::int64_t score = 0;
  if (priority && *priority >= 0 && *priority <= kMaxPriority && created && *created >= 0 &&
      *created <= kMaxTtlMs) {
    score = *created - *priority * kPriorityScore;
  } else {
    error = ClaimError::kUnknownCode;
    if (why.size() == 0) (void)why.Add("the new execution has no score");
    if (failure == ClaimError::kNone && details != nullptr) *details = why;
  }
  if (failure == ClaimError::kNone && error == ClaimError::kNone) {
    failure = CallAndWait(
        session, slot, false, details,
        [&](RespCommand& command) {
          internal::ClaimKeys keys(command, id, lane);
          command.Begin(4);
          command.Arg("ZADD");
          keys.Lane(LaneKey::kEligible);
          command.Arg(score);
          command.Arg(id.text());
        },
        [&](const Reply& reply) {
          if (reply.is(Reply::Type::kError)) error = internal::UnknownText(reply, details);
          return reply.is(Reply::Type::kInteger) || reply.is(Reply::Type::kError);
        });
  }
  // The execution has been created, so this call has happened even if this step has not.
  if (failure != ClaimError::kNone) return ClaimError::kUnknownOutcome;
  if (error != ClaimError::kNone) return error;
  // Whoever promotes delayed executions removes an id that is not delayed. So if this command
  // fails, nothing is missing.
  (void)CallAndWait(
      session, slot, false, nullptr,
      [&](RespCommand& command) {
        internal::ClaimKeys keys(command, id, lane);
        command.Begin(3);
        command.Arg("ZREM");
        keys.Lane(LaneKey::kDelayed);
        command.Arg(id.text());
      },
      [](const Reply& reply) {
        return reply.is(Reply::Type::kInteger) || reply.is(Reply::Type::kError);
      });
  return ClaimError::kNone;
}

void ValkeyLedger::Impl::Issue(Session& session, const IssueGrantArgs& args, ErrorDetails* details,
                               IssueOutcome& outcome) noexcept {
  const std::uint16_t slot = HashSlot(args.execution_id.partition());
  bool answered = false;
  auto read_issue = [&](const Reply& reply) {
    return answered = ReadIssue(reply, args.execution_id.text(), false, details, outcome);
  };
  // An expiry that is read before the grant is answered belongs to another grant.
  auto read_expiry = [&](const Reply& reply) {
    TimestampMs others;
    return internal::ReadGrantExpiry(reply, answered ? outcome.expires_at : others);
  };
  // This text is kept apart from `details`, because an expiry that can't be read is no failure.
  ErrorDetails why;
  internal::Group group(session, details == nullptr ? nullptr : &why);
  group.Add(
      slot, false, [&](RespCommand& command) { WriteIssue(command, args); }, read_issue);
  group.Add(
      slot, true,
      [&](RespCommand& command) { internal::WriteReadGrantExpiry(command, args.execution_id); },
      read_expiry);
  const ClaimError failure = group.Wait();
  if (!answered) {
    outcome.error = failure;
    if (details != nullptr) *details = why;
    return;
  }
  TimestampMs now;
  if (outcome && outcome.expires_at.value == 0 &&
      ReadTime(session, args.execution_id, nullptr, now) == ClaimError::kNone) {
    outcome.expires_at = {now.value + args.grant_ttl_ms};
  }
  if (!outcome) outcome.expires_at = {};
}

ValkeyLedger::ValkeyLedger(const ValkeyLedgerOptions& options)
    : impl_(std::make_unique<Impl>(options)) {}
ValkeyLedger::~ValkeyLedger() = default;

ClientCounters ValkeyLedger::counters() const noexcept { return impl_->sessions.counters(); }
void ValkeyLedger::CancelCalls() noexcept { impl_->sessions.Cancel(); }

CreateOutcome ValkeyLedger::CreateExecution(const CreateExecutionArgs& args,
                                            ErrorDetails* details) noexcept {
  return CreateExecution(args, ExecutionContent(), details);
}

CreateOutcome ValkeyLedger::CreateExecution(const CreateExecutionArgs& args,
                                            const ExecutionContent& content,
                                            ErrorDetails* details) noexcept {
  Impl& m = *impl_;
  CreateOutcome outcome;
  outcome.error = CheckCreate(args, m.partitions(), details);
  if (!outcome) return outcome;
  internal::SessionPool::Lease lease = m.sessions.Take();
  CreateExecutionArgs sent = args;
  if (sent.delay_until) {
    // The client names the key of the set that the execution goes to, but the server's time decides
    // whether the execution is due. An execution that is due already must not be put into the
    // delayed set.
    TimestampMs now;
    outcome.error = Impl::ReadTime(lease.session, args.execution_id, details, now);
    if (!outcome) return outcome;
    if (sent.delay_until->value <= now.value) sent.delay_until.reset();
  }
  Impl::CallOn(
      lease.session, args.execution_id, details, outcome,
      [&](Session& session, RespCommand& command) {
        WriteCreate(command, sent, content, m.options.defaults, session.scratch);
      },
      [&](const Reply& reply, CreateOutcome& out) {
        return ReadCreate(reply, args.execution_id, details, out);
      });
  // The delay has ended on the way. The function has put the execution into the set that the client
  // named, which is the delayed set, where no scheduler looks.
  if (outcome && sent.delay_until && outcome.status == CreateOutcome::Status::kWaiting) {
    outcome.error = Impl::MoveToEligible(lease.session, args.execution_id, args.lane, details);
  }
  return outcome;
}

IssueOutcome ValkeyLedger::IssueClaimGrant(const IssueGrantArgs& args,
                                           ErrorDetails* details) noexcept {
  IssueOutcome outcome;
  outcome.error = CheckTtlAndId(args.grant_ttl_ms, kBadGrantTtl, args.execution_id,
                                impl_->partitions(), details);
  if (!outcome) return outcome;
  internal::SessionPool::Lease lease = impl_->sessions.Take();
  impl_->Issue(lease.session, args, details, outcome);
  return outcome;
}

ClaimOutcome ValkeyLedger::Claim(const ClaimArgs& args, ErrorDetails* details) noexcept {
  return impl_->Call<ClaimOutcome>(
      args.execution_id,
      CheckTtlAndId(args.lease_ttl_ms, kBadLeaseTtl, args.execution_id, impl_->partitions(),
                    details),
      details, [&](Session&, RespCommand& command) { WriteClaim(command, args); },
      [&](const Reply& reply, ClaimOutcome& out) {
        return ReadClaim(reply, args.lease_id, args.attempt_id, details, out);
      },
      Impl::KeyOf(args.lease_id));
}

ClaimOutcome ValkeyLedger::ClaimResumed(const ClaimResumedArgs& args,
                                        ErrorDetails* details) noexcept {
  return impl_->CallWithHints<ClaimOutcome>(
      args.execution_id,
      CheckTtlAndId(args.lease_ttl_ms, kBadLeaseTtl, args.execution_id, impl_->partitions(),
                    details),
      details,
      [&](Session& session, RespCommand& command) {
        WriteClaimResumed(command, args, session.hints.attempt_index);
      },
      [&](const Reply& reply, ClaimOutcome& out) {
        return ReadClaim(reply, args.lease_id, std::nullopt, details, out);
      },
      Impl::KeyOf(args.lease_id));
}

RenewOutcome ValkeyLedger::Renew(const RenewArgs& args, ErrorDetails* details) noexcept {
  return impl_->Call<RenewOutcome>(
      args.execution_id,
      CheckTtlAndId(args.lease_ttl_ms, kBadLeaseTtl, args.execution_id, impl_->partitions(),
                    details),
      details,
      [&](Session&, RespCommand& command) { WriteRenew(command, args, impl_->options.defaults); },
      [&](const Reply& reply, RenewOutcome& out) { return ReadRenew(reply, details, out); });
}

MarkExpiredOutcome ValkeyLedger::MarkLeaseExpiredIfDue(const ExecutionIdView& id) noexcept {
  MarkExpiredOutcome outcome;
  if (CheckId(id, impl_->partitions()) != ClaimError::kNone) {
    outcome.already = AlreadySatisfied::kExecutionNotFound;
    return outcome;
  }
  return impl_->Call<MarkExpiredOutcome>(
      id, ClaimError::kNone, nullptr,
      [&](Session&, RespCommand& command) { WriteMarkExpired(command, id); },
      [](const Reply& reply, MarkExpiredOutcome& out) { return ReadMarkExpired(reply, out); });
}

RevokeOutcome ValkeyLedger::Revoke(const RevokeArgs& args, ErrorDetails* details) noexcept {
  Clear(details);
  return impl_->CallWithHints<RevokeOutcome>(
      args.execution_id, CheckId(args.execution_id, impl_->partitions()), details,
      [&](Session& session, RespCommand& command) {
        WriteRevoke(command, args, session.hints, impl_->options.defaults);
      },
      [&](const Reply& reply, RevokeOutcome& out) { return ReadRevoke(reply, details, out); });
}

IssueOutcome ValkeyLedger::IssueReclaimGrant(const IssueGrantArgs& args,
                                             ErrorDetails* details) noexcept {
  return impl_->Call<IssueOutcome>(
      args.execution_id,
      CheckTtlAndId(args.grant_ttl_ms, kBadGrantTtl, args.execution_id, impl_->partitions(),
                    details),
      details, [&](Session&, RespCommand& command) { WriteIssueReclaim(command, args); },
      [&](const Reply& reply, IssueOutcome& out) {
        return ReadIssue(reply, args.execution_id.text(), true, details, out);
      });
}

ClaimOutcome ValkeyLedger::Reclaim(const ReclaimArgs& args, ErrorDetails* details) noexcept {
  return impl_->CallWithHints<ClaimOutcome>(
      args.execution_id,
      CheckTtlAndId(args.lease_ttl_ms, kBadLeaseTtl, args.execution_id, impl_->partitions(),
                    details),
      details,
      [&](Session& session, RespCommand& command) {
        WriteReclaim(command, args, session.hints.attempt_index);
      },
      [&](const Reply& reply, ClaimOutcome& out) {
        return ReadClaim(reply, args.lease_id, args.attempt_id, details, out);
      },
      Impl::KeyOf(args.lease_id));
}

Outcome ValkeyLedger::Suspend(const SuspendArgs& args, ErrorDetails* details) noexcept {
  Clear(details);
  Outcome outcome = {CheckId(args.execution_id, impl_->partitions())};
  if (!outcome) return outcome;
  internal::SessionPool::Lease lease = impl_->sessions.Take();
  outcome.error = Impl::ReadHintsOf(lease.session, args.execution_id, details);
  if (!outcome) return outcome;
  const Uuid suspension_id = RandomUuid();
  const Uuid waitpoint_id = RandomUuid();
  bool no_secret = false;
  const auto suspend = [&] {
    Impl::CallOn(
        lease.session, args.execution_id, details, outcome,
        [&](Session& session, RespCommand& command) {
          WriteSuspend(command, args, session.hints, suspension_id, waitpoint_id);
        },
        [&](const Reply& reply, Outcome& out) {
          no_secret = reply.TextAt(1) == "hmac_secret_not_initialized";
          return ReadWord(reply, {}, details, out);
        });
  };
  suspend();
  if (!no_secret || impl_->options.waitpoint_secret_hex.empty()) return outcome;
  Impl::CallOn(
      lease.session, args.execution_id, details, outcome,
      [&](Session&, RespCommand& command) {
        WriteInstallWaitpointSecret(command, args.execution_id,
                                    impl_->options.waitpoint_secret_hex);
      },
      [&](const Reply& reply, Outcome& out) { return ReadWord(reply, {}, details, out); });
  if (outcome) suspend();
  return outcome;
}

ResumeOutcome ValkeyLedger::Resume(const ResumeArgs& args, ErrorDetails* details) noexcept {
  return impl_->CallWithHints<ResumeOutcome>(
      args.execution_id,
      CheckTtlAndId(args.delay_ms, "delay_ms is out of range", args.execution_id,
                    impl_->partitions(), details),
      details,
      [&](Session& session, RespCommand& command) { WriteResume(command, args, session.hints); },
      [&](const Reply& reply, ResumeOutcome& out) { return ReadResume(reply, details, out); });
}

Outcome ValkeyLedger::Complete(const CompleteArgs& args, ErrorDetails* details) noexcept {
  return Complete(args, {}, details);
}

Outcome ValkeyLedger::Complete(const CompleteArgs& args, std::string_view result,
                               ErrorDetails* details) noexcept {
  Clear(details);
  return impl_->CallWithHints<Outcome>(
      args.execution_id, CheckId(args.execution_id, impl_->partitions()), details,
      [&](Session& session, RespCommand& command) {
        WriteComplete(command, args, session.hints, {}, result);
      },
      [&](const Reply& reply, Outcome& out) { return ReadWord(reply, "completed", details, out); });
}

FailOutcome ValkeyLedger::Fail(const FailArgs& args, ErrorDetails* details) noexcept {
  Clear(details);
  FailOutcome outcome;
  outcome.error = CheckId(args.execution_id, impl_->partitions());
  if (!outcome) return outcome;
  internal::SessionPool::Lease lease = impl_->sessions.Take();
  Session& session = lease.session;
  const std::uint16_t slot = HashSlot(args.execution_id.partition());
  ClaimError refusal = ClaimError::kNone;
  ClaimError fault = ClaimError::kNone;
  ErrorDetails why;  // the server's words, if it answers with an error
  auto read_hints = [&](const Reply& reply) {
    if (reply.is(Reply::Type::kError)) (void)internal::UnknownText(reply, &why);
    return internal::ReadHints(reply, session.hints, refusal);
  };
  auto read_policy = [&](const Reply& reply) {
    session.scratch.assign(reply.text);
    if (reply.is(Reply::Type::kError)) fault = internal::UnknownText(reply, &why);
    return reply.is(Reply::Type::kString) || reply.is(Reply::Type::kNil) ||
           reply.is(Reply::Type::kError);
  };
  internal::Group group(session, details);
  group.Add(
      slot, true, [&](RespCommand& command) { WriteReadHints(command, args.execution_id); },
      read_hints);
  group.Add(
      slot, true,
      [&](RespCommand& command) {
        internal::ClaimKeys keys(command, args.execution_id);
        command.Begin(2);
        command.Arg("GET");
        keys.Execution(ExecutionKey::kPolicy);
      },
      read_policy);
  const ClaimError failure = group.Wait();
  outcome.error = failure != ClaimError::kNone   ? failure
                  : refusal != ClaimError::kNone ? refusal
                                                 : fault;
  if (details != nullptr && outcome.error == ClaimError::kUnknownCode) *details = why;
  if (!outcome) return outcome;
  const std::string_view retry_policy = FindRetryPolicy(session.scratch);
  if (const std::string_view wrong = FaultOfRetryPolicy(retry_policy); !wrong.empty()) {
    if (details != nullptr) (void)details->Add(wrong);
    outcome.error = ClaimError::kInvalidPolicyJson;
    return outcome;
  }
  Impl::CallOn(
      session, args.execution_id, details, outcome,
      [&](Session&, RespCommand& command) {
        WriteFail(command, args, session.hints, retry_policy);
      },
      [&](const Reply& reply, FailOutcome& out) {
        return internal::ReadFail(reply, details, out);
      });
  return outcome;
}

Outcome ValkeyLedger::PromoteDelayedIfDue(const ExecutionIdView& id, LaneIdView lane,
                                          bool& promoted, ErrorDetails* details) noexcept {
  Clear(details);
  promoted = false;
  Outcome outcome = {CheckId(id, impl_->partitions())};
  if (!outcome) return outcome;
  internal::SessionPool::Lease lease = impl_->sessions.Take();
  TimestampMs now;
  outcome.error = Impl::ReadTime(lease.session, id, details, now);
  if (!outcome) return outcome;
  Impl::CallOn(
      lease.session, id, details, outcome,
      [&](Session&, RespCommand& command) {
        internal::ClaimKeys keys(command, id, lane);
        command.Begin(8);
        command.Arg("FCALL");
        command.Function("ff_promote_delayed");
        command.Arg("3");
        keys.Execution(ExecutionKey::kCore);
        keys.Lane(LaneKey::kDelayed);
        keys.Lane(LaneKey::kEligible);
        command.Arg(id.text());
        command.Arg(now.value);
      },
      [&](const Reply& reply, Outcome& out) {
        promoted = reply.TextAt(2) == "promoted";
        return ReadWord(reply, {}, details, out);
      });
  return outcome;
}

}  // namespace ffgrant::valkey
