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
  ledger.client = options.where;
  ledger.client.request_timeout_ms = options.request_timeout_ms;
  ledger.connections = 1;
  return ledger;
}

std::string OutcomeText(const Answer& answer) {
  if (answer.already != AlreadySatisfied::kNo) return "already";
  if (answer.ok()) return "ok";
  if (answer.error == ClaimError::kUnknownOutcome) return "unknown";
  if (answer.error == ClaimError::kUnavailable) return "unavailable";
  return std::string(ErrorName(answer.error));
}

void AddLease(const Lease& lease, HistoryLine& line) {
  line.lease = lease.fence.lease_id;
  line.epoch = lease.fence.lease_epoch.value;
  line.index = lease.attempt_index.value;
  line.expires = lease.expires_at.value;
}

// Adds to `line` the lease, the epoch and the ttl that are arguments of the call.
void AddArguments(const Call& call, HistoryLine& line) {
  const auto of_fence = [&](const OptionalFence& fence) {
    line.lease = *fence.lease_id;
    line.epoch = fence.lease_epoch->value;
  };
  if (const auto* issue = call.As<calls::Issue>()) {
    line.ttl = issue->args.grant_ttl_ms;
  } else if (const auto* issue_reclaim = call.As<calls::IssueReclaim>()) {
    line.ttl = issue_reclaim->args.grant_ttl_ms;
  } else if (const auto* claim = call.As<calls::Claim>()) {
    line.lease = claim->args.lease_id;
    line.ttl = claim->args.lease_ttl_ms;
  } else if (const auto* reclaim = call.As<calls::Reclaim>()) {
    line.lease = reclaim->args.lease_id;
    line.ttl = reclaim->args.lease_ttl_ms;
  } else if (const auto* renew = call.As<calls::Renew>()) {
    of_fence(renew->args.fence);
    line.ttl = renew->args.lease_ttl_ms;
  } else if (const auto* complete = call.As<calls::Complete>()) {
    of_fence(complete->args.fence);
  }
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
      confirmation_(options.where),
      driver_([this](const Call& call) { return Make(call); },
              {[this](const Call& call, const Answer& answer) { return Record(call, answer); }}),
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
  if (!Do(calls::Create{{.execution_id = id, .lane = kLane, .max_reclaim_count = 1'000'000}})) {
    Sleep(5);
    return;
  }
  {
    const std::lock_guard lock(state_.mutex);
    state_.lives[static_cast<std::size_t>(thread_)] = std::string(id.text());
  }
  bool leased = false;  // whether this thread takes the execution to have been leased
  Held previous;
  for (int i = 0; i < options_.leases_per_execution; ++i) {
    if (state_.stop.load(std::memory_order_relaxed)) return;
    if (OneIn(4)) Intrude();
    Issue(id, leased);
    const bool is_short = OneIn(8);
    const Held held = Claim(id, leased, is_short ? kShortLeaseMs : kLongLeaseMs);
    // A fence of an earlier lease must be refused.
    if (previous && OneIn(4)) Renew(id, *previous);
    if (held && OneIn(3)) Renew(id, *held);
    if (i + 1 < options_.leases_per_execution) {
      if (is_short && held) Sleep(kShortLeaseMs + 1);
      Lose(id, held);
      if (held) previous = held;
    } else if (held) {
      Complete(id, *held);
    }
    leased = true;  // also for half of the claims in vain: another thread may have been faster
    if (!held && OneIn(2)) leased = false;
  }
}

void ClaimLoad::Lose(const ExecutionIdView& id, const Held& held) {
  if (OneIn(3)) Mark(id);
  if (held && OneIn(16)) {
    Complete(id, *held);  // the execution ends early: every later grant and claim must fail
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
  switch (Choose(8)) {
    case 0:
      Issue(id, false);
      break;
    case 1:
      Issue(id, true);
      break;
    case 2:
      Claim(id, false, kLongLeaseMs);
      break;
    case 3:
      Claim(id, true, kLongLeaseMs);
      break;
    case 4:
      Revoke(id);
      break;
    case 5:
      Mark(id);
      break;
    case 6:
      if (Issue(id, false)) Claim(id, false, kLongLeaseMs);
      break;
    default:
      if (Issue(id, true)) Claim(id, true, kLongLeaseMs);
      break;
  }
}

// ---- calls -------------------------------------------------------------------------

bool ClaimLoad::Issue(const ExecutionIdView& id, bool reclaim) {
  const IssueGrantArgs args = {
      .execution_id = id, .worker = worker_, .lane = kLane, .grant_ttl_ms = kGrantTtlMs};
  return Do(reclaim ? Call(calls::IssueReclaim{args}) : Call(calls::Issue{args}));
}

ClaimLoad::Held ClaimLoad::Claim(const ExecutionIdView& id, bool reclaim, std::int64_t ttl_ms) {
  const LeaseId lease_id = {RandomUuid()};
  const AttemptId attempt_id = {RandomUuid()};
  return driver_
      .Do(reclaim ? Call(calls::Reclaim{{id, worker_, kLane, lease_id, ttl_ms, attempt_id, {}}})
                  : Call(calls::Claim{{id, worker_, kLane, lease_id, ttl_ms, attempt_id}}))
      .lease;
}

void ClaimLoad::Renew(const ExecutionIdView& id, const Lease& held) {
  Do(calls::Renew{{id, held.attempt_index, held.fence, kLongLeaseMs}});
}

void ClaimLoad::Complete(const ExecutionIdView& id, const Lease& held) {
  Do(calls::Complete{{id, held.fence, false}});
}

Answer ClaimLoad::Make(const Call& call) {
  called_ = MonotonicNs();
  Answer answer = testing::Make(ledger_, call);
  returned_ = MonotonicNs();
  return answer;
}

std::string ClaimLoad::Record(const Call& call, const Answer& answer) {
  const testing::CallKind kind = call.kind();
  const bool claims = kind == testing::CallKind::kClaim || kind == testing::CallKind::kReclaim;
  HistoryLine line;
  line.op = call.name();
  line.execution = std::string(call.execution().text());
  line.worker = worker_id_;
  line.called = called_;
  line.returned = returned_;
  line.outcome = OutcomeText(answer);
  AddArguments(call, line);
  if (answer.lease) AddLease(*answer.lease, line);
  if (answer.lease) state_.claims.fetch_add(1, std::memory_order_relaxed);
  if (kind == testing::CallKind::kRenew && answer.expires_at) {
    line.expires = answer.expires_at->value;
  }
  if (answer.error == ClaimError::kUnknownOutcome) {
    state_.unknown.fetch_add(1, std::memory_order_relaxed);
    if (claims) Resolve(call.execution(), line);
  }
  if (answer.ok() && options_.confirm &&
      (claims || kind == testing::CallKind::kCreate || kind == testing::CallKind::kComplete)) {
    line.confirmed = confirmation_.Confirm(line.execution.substr(0, line.execution.find('}') + 1));
  }
  history_.Write(line);
  if (answer.error == ClaimError::kUnavailable) Sleep(10);
  return {};
}

// Finds out whether a claim with an unknown outcome has happened.
void ClaimLoad::Resolve(const ExecutionIdView& id, HistoryLine& line) {
  const std::int64_t limit = MonotonicNs() + kResolveSeconds * 1'000'000'000;
  while (MonotonicNs() < limit) {
    const valkey::FoundClaim found = ledger_.FindClaim(id, line.lease);
    if (found && found.fate != valkey::ClaimFate::kNotClaimed) {
      line.resolved = "happened";
      if (found.fate == valkey::ClaimFate::kHeld) AddLease(found.lease, line);
      return;
    }
    if ((found && found.final) || found.error == ClaimError::kExecutionNotFound) {
      line.resolved = "not_happened";
      return;
    }
    Sleep(20);
  }
}

}  // namespace ffgrant::claims_faults
