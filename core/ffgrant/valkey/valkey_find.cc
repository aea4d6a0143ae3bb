// SPDX-License-Identifier: Apache-2.0
//
// Implements the calls that read what became of a claim: IssueGrantAndClaim(), whose answer leaves
// out some of the lease, and FindClaim(), for a claim whose answer is lost.

#include <array>
#include <optional>

#include "ffgrant/valkey/internal/stored_execution.h"
#include "ffgrant/valkey/internal/valkey_ledger_impl.h"

namespace ffgrant::valkey {

using namespace internal;  // NOLINT: the whole file uses the stored fields

namespace {

// Reads the kind of the attempt that `lease` belongs to, and sets lease.kind. Leaves `lease` as it
// is if it returns an error.
ClaimError ReadKind(Session& session, const ExecutionIdView& id, ErrorDetails* details,
                    Lease& lease) noexcept {
  ClaimError error = ClaimError::kNone;
  const ClaimError failure = CallAndWait(
      session, HashSlot(id.partition()), true, details,
      [&](RespCommand& command) {
        ClaimKeys keys(command, id);
        command.Begin(3);
        command.Arg("HGET");
        keys.Attempt(AttemptKey::kAttempt, lease.attempt_index.value);
        command.Arg("attempt_type");
      },
      [&](const Reply& reply) {
        if (reply.is(Reply::Type::kString)) {
          for (const LeaseKind kind :
               {LeaseKind::kInitial, LeaseKind::kRetry, LeaseKind::kReplay, LeaseKind::kReclaim}) {
            if (reply.text != LeaseKindName(kind)) continue;
            lease.kind = kind;
            return true;
          }
        }
        error = UnknownText(reply, details);
        return reply.is(Reply::Type::kString) || reply.is(Reply::Type::kNil) ||
               reply.is(Reply::Type::kError);
      });
  return failure != ClaimError::kNone ? failure : error;
}

// Whether the lease history tells that the lease `lease_id` was created: the event "acquired" has
// the id as lease_id, the event "reclaimed" as new_lease_id. The reply is
// [[id, [field, value, ...]], ...]. Returns nothing if `reply` is no history.
std::optional<bool> HistoryHas(const Reply& reply, std::string_view lease_id) noexcept {
  if (!reply.is(Reply::Type::kArray)) return std::nullopt;
  for (const Reply& entry : reply.elements()) {
    if (entry.elements().size() != 2 || !entry.elements()[1].is(Reply::Type::kArray)) {
      return std::nullopt;
    }
    const std::span<const Reply> fields = entry.elements()[1].elements();
    bool acquired = false;
    bool same = false;
    for (std::size_t i = 0; i + 1 < fields.size(); i += 2) {
      const std::string_view name = fields[i].text;
      const std::string_view value = fields[i + 1].text;
      if (name == "event") acquired = value == "acquired" || value == "reclaimed";
      if (name == "lease_id" || name == "new_lease_id") same = value == lease_id;
    }
    if (acquired && same) return true;
  }
  return false;
}

ClaimError ReadHistory(Session& session, const ExecutionIdView& id, const LeaseId& lease_id,
                       ErrorDetails* details, bool& happened) noexcept {
  std::array<char, kUuidTextSize> wanted;
  FormatUuid(lease_id.uuid, wanted);
  ClaimError error = ClaimError::kNone;
  const ClaimError failure = CallAndWait(
      session, HashSlot(id.partition()), true, details,
      [&](RespCommand& command) {
        ClaimKeys keys(command, id);
        command.Begin(6);
        command.Arg("XREVRANGE");
        keys.Execution(ExecutionKey::kLeaseHistory);
        command.Arg("+");
        command.Arg("-");
        command.Arg("COUNT");
        command.Arg("2000");  // the history is kept to about 1000 events
      },
      [&](const Reply& reply) {
        if (reply.is(Reply::Type::kError)) {
          error = UnknownText(reply, details);
          return true;
        }
        const auto has = HistoryHas(reply, {wanted.data(), wanted.size()});
        happened = has.value_or(false);
        return has.has_value();
      });
  return failure != ClaimError::kNone ? failure : error;
}

// Returns the outcome of a claim that happened, but whose lease is not known.
ClaimOutcome WithoutLease(ErrorDetails* details, const ErrorDetails& why) noexcept {
  if (details != nullptr) {
    *details = why;
    if (why.size() == 0) (void)details->Add("the lease is not the one that is stored");
  }
  ClaimOutcome outcome;
  outcome.error = ClaimError::kUnknownOutcome;
  return outcome;
}

}  // namespace

ClaimOutcome ValkeyLedger::IssueGrantAndClaim(const ClaimArgs& args,
                                              ErrorDetails* details) noexcept {
  ClaimOutcome outcome;
  outcome.error = CheckTtlAndId(args.lease_ttl_ms, "lease_ttl_ms is out of range",
                                args.execution_id, impl_->partitions(), details);
  if (!outcome) return outcome;
  SessionPool::Lease lease = impl_->sessions.Take();
  const std::uint16_t slot = HashSlot(args.execution_id.partition());
  bool answered = false;
  auto read_claim = [&](const Reply& reply) {
    return answered = ReadIssueAndClaim(reply, args.lease_id, args.attempt_id, details, outcome);
  };
  // The reply to the claim holds only a part of the lease. The rest is read from the stored
  // execution; if the rest can't be read, `why` gets the reason.
  ErrorDetails why;
  ErrorDetails* const explain = details == nullptr ? nullptr : &why;
  bool early = false;
  std::optional<Lease> stored;
  const auto write_core = [&](RespCommand& command) {
    WriteFields(command, args.execution_id, ExecutionKey::kCore, kCoreFields);
  };
  auto read_core = [&](const Reply& reply) {
    early = !answered;
    const HashAnswer core = HashAnswerOf(reply, kCoreFieldCount);
    if (early) return core != HashAnswer::kNone;
    if (core == HashAnswer::kError) (void)UnknownText(reply, explain);
    if (core == HashAnswer::kThere) stored = LeaseOf(reply);
    return core != HashAnswer::kNone;
  };
  Group group(lease.session, explain);
  group.Add(
      slot, false, [&](RespCommand& command) { WriteIssueAndClaim(command, args); }, read_claim,
      Impl::KeyOf(args.lease_id));
  group.Add(slot, true, write_core, read_core);
  const ClaimError failure = group.Wait();
  if (!answered) {
    outcome.error = failure;
    if (details != nullptr) *details = why;
    return outcome;
  }
  if (!outcome) return outcome;
  // If the claim was refused for now and had to wait, the core was read before the claim was made.
  // So read the core again.
  if (early) (void)CallAndWait(lease.session, slot, true, explain, write_core, read_core);
  if (!stored || stored->fence.lease_id != args.lease_id) return WithoutLease(details, why);
  outcome.lease.fence.attempt_id = stored->fence.attempt_id;
  outcome.lease.expires_at = stored->expires_at;
  if (stored->fence.attempt_id != args.attempt_id) {
    outcome.lease.kind = LeaseKind::kResumed;
  } else if (outcome.lease.attempt_index.value != 0 &&
             ReadKind(lease.session, args.execution_id, explain, outcome.lease) !=
                 ClaimError::kNone) {
    return WithoutLease(details, why);
  }
  return outcome;
}

namespace {

// The call target of a settling. It only notes that the settling has ended, not how.
struct SettlingTarget {
  static bool OnReply(void* self, std::uint64_t, const Reply&) noexcept {
    static_cast<Session*>(self)->Ended();
    return true;
  }
  // Never reached: only the end of the client calls OnFailure(), and no call is under way then.
  static void OnFailure(void* self, std::uint64_t, CallFailure, std::string_view) noexcept {
    static_cast<Session*>(self)->Ended();
  }
};

// How often Settle() gives a turn to the clients at which nobody leads.
constexpr std::int64_t kLookEveryMs = 20;

// Tries to shut the connections that may still carry the claim. Takes no more than half of the time
// that the call has left, so that the other half remains for reading. The claim may have been sent
// by a client that no call uses any more. Such a client learns only in a turn that the claim has
// been answered, or that its connection has to be given up.
void Settle(internal::SessionPool& sessions, Session& session, CommandKey claim) noexcept {
  if (!sessions.lost().IsSettled(claim)) sessions.TurnIdle();
  const std::int64_t now = session.NowMs();
  session.SubmitSettling(claim, now + (session.deadline() - now) / 2,
                         {.self = &session,
                          .on_reply = &SettlingTarget::OnReply,
                          .on_failure = &SettlingTarget::OnFailure});
  while (!session.WaitUntil(session.NowMs() + kLookEveryMs)) sessions.TurnIdle();
}

// Reads what the stored execution says of the claim.
FoundClaim ReadFate(Session& session, const ExecutionIdView& id, const LeaseId& lease_id,
                    ErrorDetails* details) noexcept {
  FoundClaim found;
  const std::uint16_t slot = HashSlot(id.partition());
  HashAnswer core = HashAnswer::kNone;
  ClaimError fault = ClaimError::kNone;
  bool is_current = false;
  bool is_leased = false;
  std::optional<Lease> stored;
  found.error = CallAndWait(
      session, slot, true, details,
      [&](RespCommand& command) { WriteFields(command, id, ExecutionKey::kCore, kCoreFields); },
      [&](const Reply& reply) {
        core = HashAnswerOf(reply, kCoreFieldCount);
        if (core == HashAnswer::kError) fault = UnknownText(reply, details);
        if (core != HashAnswer::kThere) return core != HashAnswer::kNone;
        is_current = IdOf<LeaseId>(reply.elements()[kLeaseId].text) == lease_id;
        is_leased = reply.elements()[kOwnership].text == "leased";
        stored = LeaseOf(reply);
        return !is_current || !is_leased || stored.has_value();
      });
  if (!found) return found;
  if (core == HashAnswer::kError) {
    found.error = fault;
  } else if (core == HashAnswer::kMissing) {
    found.error = ClaimError::kExecutionNotFound;
  } else if (!is_current) {
    bool happened = false;
    found.error = ReadHistory(session, id, lease_id, details, happened);
    if (happened) found.fate = ClaimFate::kEnded;
  } else if (!is_leased) {
    found.fate = ClaimFate::kEnded;
  } else {
    found.error = ReadKind(session, id, details, *stored);
    if (!found) return found;
    found.fate = ClaimFate::kHeld;
    found.lease = *stored;
  }
  return found;
}

}  // namespace

FoundClaim ValkeyLedger::FindClaim(const ExecutionIdView& id, const LeaseId& lease_id,
                                   ErrorDetails* details) noexcept {
  FoundClaim found;
  if (details != nullptr) details->clear();
  found.error = CheckId(id, impl_->partitions());
  if (!found) return found;
  // If the connection on which the claim was sent has been lost, the loss was noted under the
  // claim's key, whichever connection it was.
  const CommandKey claim = Impl::KeyOf(lease_id);
  SessionPool::Lease lease = impl_->sessions.Take();
  Settle(impl_->sessions, lease.session, claim);
  // Whether the claim is settled has to be asked before its fate is read. If this were asked after
  // the read, the claim could be executed after the read, and its connection could be shut before
  // the question.
  const bool settled = impl_->sessions.lost().IsSettled(claim);
  found = ReadFate(lease.session, id, lease_id, details);
  found.final = settled;
  return found;
}

}  // namespace ffgrant::valkey
