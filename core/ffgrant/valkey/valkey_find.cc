// SPDX-License-Identifier: Apache-2.0
//
// Calls that read what became of a claim: the fused one, whose answer leaves
// some of it out, and the search for one whose answer is lost.

#include <array>

#include "ffgrant/valkey/internal/stored_execution.h"
#include "ffgrant/valkey/internal/valkey_ledger_impl.h"

namespace ffgrant::valkey {

using namespace internal;  // NOLINT: all of it is about the stored fields

namespace {

Lease LeaseOf(const ExecutionState& state, const LeaseId& lease_id) noexcept {
  return {.fence = {.lease_id = lease_id,
                    .lease_epoch = state.current_lease_epoch,
                    .attempt_id = state.current_attempt_id.value_or(AttemptId{})},
          .attempt_index = state.current_attempt_index,
          .expires_at = state.lease_expires_at.value_or(TimestampMs{}),
          .kind = LeaseKind::kInitial};
}

// The kind of the attempt that `lease` is of.
ClaimError ReadKind(Session& session, const ExecutionIdView& id, ErrorDetails* details,
                    Lease& lease) noexcept {
  return CallAndWait(
      session, HashSlot(id.partition()), true, details,
      [&](RespCommand& command) {
        ClaimKeys keys(command, id);
        command.Begin(3);
        command.Arg("HGET");
        keys.Attempt(AttemptKey::kAttempt, lease.attempt_index.value);
        command.Arg("attempt_type");
      },
      [&](const Reply& reply) {
        for (const LeaseKind kind : {LeaseKind::kRetry, LeaseKind::kReplay, LeaseKind::kReclaim}) {
          if (reply.text == LeaseKindName(kind)) lease.kind = kind;
        }
        return true;
      });
}

// Whether an event of the lease history created `lease_id`: "acquired" names it
// lease_id, "reclaimed" new_lease_id. [[id, [field, value, ...]], ...]
bool HistoryHas(const Reply& reply, std::string_view lease_id) noexcept {
  for (const Reply& entry : reply.elements) {
    if (entry.elements.size() != 2) continue;
    const std::span<const Reply> fields = entry.elements[1].elements;
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
  return CallAndWait(
      session, HashSlot(id.partition()), true, details,
      [&](RespCommand& command) {
        ClaimKeys keys(command, id);
        command.Begin(6);
        command.Arg("XREVRANGE");
        keys.Execution(ExecutionKey::kLeaseHistory);
        command.Arg("+");
        command.Arg("-");
        command.Arg("COUNT");
        command.Arg("2000");  // it is kept to about 1000
      },
      [&](const Reply& reply) {
        happened = HistoryHas(reply, {wanted.data(), wanted.size()});
        return true;
      });
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
  // What the answer doesn't name.
  auto read_core = [&](const Reply& reply) {
    if (!HasFields(reply, kCoreFields) || !outcome ||
        IdOf<LeaseId>(reply.elements[kLeaseId].text) != args.lease_id) {
      return true;
    }
    const auto attempt = IdOf<AttemptId>(reply.elements[kAttemptId].text);
    const auto expires_at = TimeOf(reply.elements[kExpiresAt].text);
    if (attempt) outcome.lease.fence.attempt_id = *attempt;
    if (expires_at) outcome.lease.expires_at = *expires_at;
    if (attempt != args.attempt_id) outcome.lease.kind = LeaseKind::kResumed;
    return true;
  };
  ErrorDetails why;
  Group group(lease.session, details == nullptr ? nullptr : &why);
  group.Add(
      slot, false, [&](RespCommand& command) { WriteIssueAndClaim(command, args); }, read_claim);
  group.Add(
      slot, true,
      [&](RespCommand& command) {
        WriteFields(command, args.execution_id, ExecutionKey::kCore, kCoreFields);
      },
      read_core);
  const ClaimError failure = group.Wait();
  if (answered) return outcome;
  outcome.error = failure;
  if (details != nullptr) *details = why;
  return outcome;
}

FoundClaim ValkeyLedger::FindClaim(const ExecutionIdView& id, const LeaseId& lease_id,
                                   ErrorDetails* details) noexcept {
  FoundClaim found;
  if (details != nullptr) details->clear();
  found.error = CheckId(id, impl_->partitions());
  if (!found) return found;
  // Whichever of the connections it was sent on.
  const std::int64_t patience = impl_->options.client.request_timeout_ms;
  for (std::size_t i = 0; i < impl_->sessions.size(); ++i) {
    const std::scoped_lock lock(impl_->sessions[i].mutex);
    found.final &= impl_->sessions[i].client.Settle(patience);
  }
  SessionPool::Lease lease = impl_->sessions.Take();
  ExecutionState state;
  bool exists = false;
  found.error = CallAndWait(
      lease.session, HashSlot(id.partition()), true, details,
      [&](RespCommand& command) { WriteFields(command, id, ExecutionKey::kCore, kCoreFields); },
      [&](const Reply& reply) {
        exists = HasFields(reply, kCoreFields);
        if (exists) FillCore(reply, state);
        return true;
      });
  if (!found) return found;
  if (!exists) {
    found.error = ClaimError::kExecutionNotFound;
  } else if (state.current_lease_id == lease_id) {
    found.fate = state.ownership_state == "leased" ? ClaimFate::kHeld : ClaimFate::kEnded;
    found.lease = LeaseOf(state, lease_id);
    found.error = ReadKind(lease.session, id, details, found.lease);
  } else {
    bool happened = false;
    found.error = ReadHistory(lease.session, id, lease_id, details, happened);
    if (happened) found.fate = ClaimFate::kEnded;
  }
  return found;
}

}  // namespace ffgrant::valkey
