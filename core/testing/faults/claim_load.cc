// SPDX-License-Identifier: Apache-2.0

#include "testing/faults/claim_load.h"

#include <chrono>
#include <thread>

#include "ffgrant/routing.h"
#include "ffgrant/uuid_generator.h"

namespace ffgrant::claims_faults {
namespace {

constexpr std::int64_t kGrantTtlMs = 60'000;
constexpr std::int64_t kLongLeaseMs = 60'000;
constexpr std::int64_t kShortLeaseMs = 4;
constexpr std::int64_t kResolveSeconds = 20;
constexpr LaneIdView kLane = LaneIdView::Unchecked("faults");

void Sleep(std::int64_t ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }

valkey::ValkeyLedgerOptions Options(const LoadOptions& options) {
  valkey::ValkeyLedgerOptions ledger;
  ledger.client.servers = options.servers;
  ledger.client.request_timeout_ms = options.request_timeout_ms;
  ledger.connections = 1;
  return ledger;
}

std::string OutcomeText(const Outcome& outcome) {
  if (outcome) return "ok";
  if (outcome.error == ClaimError::kUnknownOutcome) return "unknown";
  if (outcome.error == ClaimError::kUnavailable) return "unavailable";
  return std::string(ErrorName(outcome.error));
}

}  // namespace

ClaimLoad::ClaimLoad(const LoadOptions& options, LoadState& state, int thread)
    : options_(options),
      state_(state),
      thread_(thread),
      worker_id_("w" + std::to_string(thread) + "-" + std::to_string(options.seed)),
      instance_(worker_id_ + "-i"),
      worker_{{worker_id_}, {instance_}},
      ledger_(Options(options)),
      history_(options.history + "." + std::to_string(thread)),
      confirmation_(options.servers),
      random_(options.seed * 1000 + static_cast<std::uint64_t>(thread)) {}

std::uint64_t ClaimLoad::Choose(std::uint64_t bound) {
  return std::uniform_int_distribution<std::uint64_t>(0, bound - 1)(random_);
}

// ---- what is done ------------------------------------------------------------------

void ClaimLoad::Run() {
  while (!state_.stop.load(std::memory_order_relaxed)) Life();
}

void ClaimLoad::Life() {
  const FlowId flow = {RandomUuid()};
  const auto minted = MintExecutionId(flow, PartitionConfig{});
  const ExecutionIdView id = minted->view();
  if (!Create(id)) {
    Sleep(5);
    return;
  }
  {
    const std::lock_guard lock(state_.mutex);
    state_.lives[static_cast<std::size_t>(thread_)] = std::string(id.text());
  }
  bool leased = false;  // by anybody, as far as is known here
  Held previous;
  for (int i = 0; i < options_.leases_per_execution; ++i) {
    if (state_.stop.load(std::memory_order_relaxed)) return;
    if (OneIn(4)) Intrude();
    Issue(id, leased);
    Held held;
    const bool is_short = OneIn(8);
    leased = Claim(id, leased, is_short ? kShortLeaseMs : kLongLeaseMs, held) || leased;
    // A fence of before must not pass.
    if (previous.any && OneIn(4)) Renew(id, previous);
    if (held.any && OneIn(3)) Renew(id, held);
    if (i + 1 < options_.leases_per_execution) {
      if (is_short && held.any) Sleep(kShortLeaseMs + 1);
      Lose(id, held);
      if (held.any) previous = held;
    } else if (held.any) {
      Complete(id, held);
    }
    leased = true;  // somebody may have been faster
    if (!held.any && OneIn(2)) leased = false;
  }
}

void ClaimLoad::Lose(const ExecutionIdView& id, const Held& held) {
  if (OneIn(3)) Mark(id);
  if (held.any && OneIn(16)) {
    Complete(id, held);  // an early end: all that follows must fail
    return;
  }
  Revoke(id);
}

void ClaimLoad::Intrude() {
  std::string text;
  {
    const std::lock_guard lock(state_.mutex);
    text = state_.lives[Choose(state_.lives.size())];
  }
  if (text.empty()) return;
  const ExecutionIdView id = ParseExecutionId(text, ParseMode::kStrict).id;
  Held held;
  switch (Choose(8)) {
    case 0:
      Issue(id, false);
      break;
    case 1:
      Issue(id, true);
      break;
    case 2:
      Claim(id, false, kLongLeaseMs, held);
      break;
    case 3:
      Claim(id, true, kLongLeaseMs, held);
      break;
    case 4:
      Revoke(id);
      break;
    case 5:
      Mark(id);
      break;
    case 6:
      if (Issue(id, false)) Claim(id, false, kLongLeaseMs, held);
      break;
    default:
      if (Issue(id, true)) Claim(id, true, kLongLeaseMs, held);
      break;
  }
}

// ---- calls -------------------------------------------------------------------------

RecordedCall ClaimLoad::Begin(const char* op, const ExecutionIdView& id) const {
  RecordedCall call;
  call.op = op;
  call.execution = std::string(id.text());
  call.worker = worker_id_;
  call.called = MonotonicNs();
  return call;
}

bool ClaimLoad::End(RecordedCall& call, const Outcome& outcome, bool confirm) {
  if (call.returned == 0) call.returned = MonotonicNs();
  if (call.outcome.empty()) call.outcome = OutcomeText(outcome);
  if (outcome.error == ClaimError::kUnknownOutcome) {
    state_.unknown.fetch_add(1, std::memory_order_relaxed);
  }
  if (outcome && confirm && options_.confirm) {
    call.confirmed = confirmation_.Confirm(call.execution.substr(0, call.execution.find('}') + 1));
  }
  history_.Write(call);
  if (outcome.error == ClaimError::kUnavailable) Sleep(10);
  return static_cast<bool>(outcome);
}

bool ClaimLoad::Create(const ExecutionIdView& id) {
  RecordedCall call = Begin("create", id);
  CreateExecutionArgs args;
  args.execution_id = id;
  args.lane = kLane;
  args.max_reclaim_count = 1'000'000;
  return End(call, ledger_.CreateExecution(args), true);
}

bool ClaimLoad::Issue(const ExecutionIdView& id, bool reclaim) {
  RecordedCall call = Begin(reclaim ? "issue_reclaim" : "issue", id);
  IssueGrantArgs args;
  args.execution_id = id;
  args.worker = worker_;
  args.lane = kLane;
  args.grant_ttl_ms = call.ttl = kGrantTtlMs;
  return End(call, reclaim ? ledger_.IssueReclaimGrant(args) : ledger_.IssueClaimGrant(args));
}

bool ClaimLoad::Claim(const ExecutionIdView& id, bool reclaim, std::int64_t ttl_ms, Held& held) {
  RecordedCall call = Begin(reclaim ? "reclaim" : "claim", id);
  const LeaseId lease_id = {RandomUuid()};
  const AttemptId attempt_id = {RandomUuid()};
  const ClaimOutcome outcome =
      reclaim ? ledger_.Reclaim({id, worker_, kLane, lease_id, ttl_ms, attempt_id, {}})
              : ledger_.Claim({id, worker_, kLane, lease_id, ttl_ms, attempt_id});
  call.lease = lease_id;
  call.ttl = ttl_ms;
  if (outcome) {
    call.epoch = outcome.lease.fence.lease_epoch.value;
    call.index = outcome.lease.attempt_index.value;
    call.expires = outcome.lease.expires_at.value;
    held = {outcome.lease.fence, outcome.lease.attempt_index, true};
    state_.claims.fetch_add(1, std::memory_order_relaxed);
  } else if (outcome.error == ClaimError::kUnknownOutcome) {
    // The call is over now; what follows finds out about it.
    call.returned = MonotonicNs();
    Resolve(call, id);
  }
  return End(call, outcome, true);
}

void ClaimLoad::Resolve(RecordedCall& call, const ExecutionIdView& id) {
  const std::int64_t limit = MonotonicNs() + kResolveSeconds * 1'000'000'000;
  while (MonotonicNs() < limit) {
    const valkey::FoundClaim found = ledger_.FindClaim(id, call.lease);
    if (found && found.fate != valkey::ClaimFate::kNotClaimed) {
      call.resolved = "happened";
      if (found.fate == valkey::ClaimFate::kHeld) {
        call.epoch = found.lease.fence.lease_epoch.value;
        call.index = found.lease.attempt_index.value;
        call.expires = found.lease.expires_at.value;
      }
      return;
    }
    if ((found && found.final) || found.error == ClaimError::kExecutionNotFound) {
      call.resolved = "not_happened";
      return;
    }
    Sleep(20);
  }
}

void ClaimLoad::Renew(const ExecutionIdView& id, const Held& held) {
  RecordedCall call = Begin("renew", id);
  const RenewOutcome outcome = ledger_.Renew({id, held.index, held.fence, kLongLeaseMs});
  call.lease = held.fence.lease_id;
  call.epoch = held.fence.lease_epoch.value;
  call.ttl = kLongLeaseMs;
  call.expires = outcome.expires_at.value;
  End(call, outcome);
}

void ClaimLoad::Revoke(const ExecutionIdView& id) {
  RecordedCall call = Begin("revoke", id);
  const RevokeOutcome outcome = ledger_.Revoke({id, {}});
  if (outcome && outcome.already != AlreadySatisfied::kNo) call.outcome = "already";
  End(call, outcome);
}

void ClaimLoad::Mark(const ExecutionIdView& id) {
  RecordedCall call = Begin("mark", id);
  const MarkExpiredOutcome outcome = ledger_.MarkLeaseExpiredIfDue(id);
  if (outcome && outcome.already != AlreadySatisfied::kNo) call.outcome = "already";
  End(call, outcome);
}

bool ClaimLoad::Complete(const ExecutionIdView& id, const Held& held) {
  RecordedCall call = Begin("complete", id);
  call.lease = held.fence.lease_id;
  call.epoch = held.fence.lease_epoch.value;
  return End(call, ledger_.Complete({id, held.fence, false}), true);
}

}  // namespace ffgrant::claims_faults
