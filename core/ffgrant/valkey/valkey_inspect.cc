// SPDX-License-Identifier: Apache-2.0
//
// Implements Inspect() and InspectNames(), which read back what is stored, for tests and operators.

#include <array>

#include "ffgrant/valkey/internal/stored_execution.h"
#include "ffgrant/valkey/internal/valkey_ledger_impl.h"

namespace ffgrant::valkey {

using namespace internal;  // NOLINT: the whole file uses the stored fields

namespace {

// Reads which sorted sets the execution is in. Returns false if a set can't be read.
bool ReadSets(Session& session, const ExecutionIdView& id, ExecutionState& state) noexcept {
  const std::uint16_t slot = HashSlot(id.partition());
  const LaneIdView own = LaneIdView::Unchecked(session.hints.lane);
  const LaneIdView current = LaneIdView::Unchecked(session.hints.current_lane);
  bool failed = false;
  struct Member {
    bool* is_member;
    bool* failed;
    bool operator()(const Reply& reply) const noexcept {
      const bool is_error = reply.is(Reply::Type::kError);
      const bool is_score = reply.is(Reply::Type::kString);
      *failed |= is_error;
      *is_member |= is_score;
      return is_score || is_error || reply.is(Reply::Type::kNil);
    }
  };
  struct Set {
    LaneKey role;
    LaneIdView lane;
    bool* is_member;
  };
  // If the last lease has another lane than the execution's own, the execution is in the active or
  // suspended set of the lease's lane. A terminal execution may be in the terminal set of either
  // lane.
  const std::array<Set, 6> sets = {{{LaneKey::kEligible, own, &state.in_eligible},
                                    {LaneKey::kDelayed, own, &state.in_delayed},
                                    {LaneKey::kActive, current, &state.in_active},
                                    {LaneKey::kSuspended, current, &state.in_suspended},
                                    {LaneKey::kTerminal, own, &state.in_terminal},
                                    {LaneKey::kTerminal, current, &state.in_terminal}}};
  std::array<Member, sets.size() + 1> members;
  Group group(session, nullptr);
  for (std::size_t i = 0; i < sets.size(); ++i) {
    members[i] = {sets[i].is_member, &failed};
    group.Add(
        slot, true,
        [&](RespCommand& command) {
          ClaimKeys keys(command, id, sets[i].lane);
          command.Begin(3);
          command.Arg("ZSCORE");
          keys.Lane(sets[i].role);
          command.Arg(id.text());
        },
        members[i]);
  }
  members.back() = {&state.in_lease_expiry, &failed};
  group.Add(
      slot, true,
      [&](RespCommand& command) {
        ClaimKeys keys(command, id);
        command.Begin(3);
        command.Arg("ZSCORE");
        keys.Index(PartitionIndexKey::kLeaseExpiry);
        command.Arg(id.text());
      },
      members.back());
  return group.Wait() == ClaimError::kNone && !failed;
}

}  // namespace

std::optional<ExecutionState> ValkeyLedger::Inspect(const ExecutionIdView& id) noexcept {
  if (CheckId(id, impl_->partitions()) != ClaimError::kNone) return std::nullopt;
  SessionPool::Lease lease = impl_->sessions.Take();
  Session& session = lease.session;
  const std::uint16_t slot = HashSlot(id.partition());
  ExecutionState state;
  HashAnswer core = HashAnswer::kNone;
  HashAnswer grant = HashAnswer::kNone;
  bool failed = false;
  auto read_core = [&](const Reply& reply) {
    core = HashAnswerOf(reply, kCoreFieldCount);
    if (core != HashAnswer::kThere) return core != HashAnswer::kNone;
    FillCore(reply, state);
    session.hints.lane.assign(reply.elements()[kLane].text);
    session.hints.current_lane.assign(reply.elements()[kCurrentLane].text);
    return true;
  };
  auto read_grant = [&](const Reply& reply) {
    grant = HashAnswerOf(reply, kGrantFieldCount);
    if (grant == HashAnswer::kThere) FillGrant(reply, state);
    return grant != HashAnswer::kNone;
  };
  auto read_lease = [&](const Reply& reply) {
    failed = reply.is(Reply::Type::kError);
    state.lease_current = reply.integer == 1;
    return failed || reply.is(Reply::Type::kInteger);
  };
  Group group(session, nullptr);
  group.Add(
      slot, true,
      [&](RespCommand& command) { WriteFields(command, id, ExecutionKey::kCore, kCoreFields); },
      read_core);
  group.Add(
      slot, true,
      [&](RespCommand& command) {
        WriteFields(command, id, ExecutionKey::kClaimGrant, kGrantFields);
      },
      read_grant);
  group.Add(
      slot, true,
      [&](RespCommand& command) {
        ClaimKeys keys(command, id);
        command.Begin(2);
        command.Arg("EXISTS");
        keys.Execution(ExecutionKey::kLeaseCurrent);
      },
      read_lease);
  if (group.Wait() != ClaimError::kNone || core != HashAnswer::kThere ||
      grant == HashAnswer::kError || failed || !ReadSets(session, id, state)) {
    return std::nullopt;
  }
  return state;
}

std::optional<ExecutionNames> ValkeyLedger::InspectNames(const ExecutionIdView& id) {
  if (CheckId(id, impl_->partitions()) != ClaimError::kNone) return std::nullopt;
  SessionPool::Lease lease = impl_->sessions.Take();
  const std::uint16_t slot = HashSlot(id.partition());
  ExecutionNames names;
  HashAnswer core = HashAnswer::kNone;
  HashAnswer grant = HashAnswer::kNone;
  auto read_core = [&](const Reply& reply) {
    core = HashAnswerOf(reply, kCoreFieldCount);
    if (core != HashAnswer::kThere) return core != HashAnswer::kNone;
    const auto text = [&](CoreField field) { return reply.elements()[field].text; };
    names.required_capabilities = text(kRequired);
    if (text(kPhase) == "active") {
      names.current_worker_id = text(kWorkerId);
      names.current_worker_instance_id = text(kInstanceId);
      names.current_lane = text(kCurrentLane);
    }
    return true;
  };
  auto read_grant = [&](const Reply& reply) {
    grant = HashAnswerOf(reply, kGrantFieldCount);
    if (grant != HashAnswer::kThere) return grant != HashAnswer::kNone;
    const auto text = [&](GrantField field) { return reply.elements()[field].text; };
    names.grant_worker_id = text(kGrantWorker);
    names.grant_worker_instance_id = text(kGrantInstance);
    names.grant_lane_id = text(kGrantLane);
    names.capability_hash = text(kCapabilityHash);
    names.route_snapshot_json = text(kRoute);
    names.admission_summary = text(kAdmission);
    return true;
  };
  Group group(lease.session, nullptr);
  group.Add(
      slot, true,
      [&](RespCommand& command) { WriteFields(command, id, ExecutionKey::kCore, kCoreFields); },
      read_core);
  group.Add(
      slot, true,
      [&](RespCommand& command) {
        WriteFields(command, id, ExecutionKey::kClaimGrant, kGrantFields);
      },
      read_grant);
  if (group.Wait() != ClaimError::kNone || core != HashAnswer::kThere ||
      grant == HashAnswer::kError) {
    return std::nullopt;
  }
  return names;
}

}  // namespace ffgrant::valkey
