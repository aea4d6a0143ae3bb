// SPDX-License-Identifier: Apache-2.0

#include "testing/calls/call_generator.h"

#include <cstdlib>
#include <utility>

namespace ffgrant::testing {

Choices::Capabilities Choices::Set(std::string_view csv) {
  CapabilitySet set;
  static_cast<void>(set.AssignOfferedCsv(csv));
  return std::make_shared<const CapabilitySet>(set);
}

CallGenerator::CallGenerator(Choose choose, Choices choices, const Clock& clock, Inspect inspect)
    : choose_(std::move(choose)),
      choices_(std::move(choices)),
      clock_(clock),
      inspect_(std::move(inspect)) {}

// ---- what is remembered ------------------------------------------------------

void CallGenerator::Learn(const Call& call, const Answer& answer) {
  if (answer.error == ClaimError::kLedgerFull && churn_ > 0) --churn_;  // skips the clock's step
  const auto granted = [&](std::string_view id, std::int64_t ttl_ms) {
    std::optional<std::string>& to = KnownOf(id).granted_to;
    to.reset();
    if (ttl_ms > 0) to = call.worker().worker_id.text;
  };
  if (answer.ok()) {
    if (const auto* c = call.As<calls::Issue>()) {
      granted(call.execution().text(), c->args.grant_ttl_ms);
    } else if (const auto* r = call.As<calls::IssueReclaim>()) {
      granted(call.execution().text(), r->args.grant_ttl_ms);
    } else if (const auto* w = call.As<calls::ClaimForWorker>()) {
      granted(answer.chosen->execution_id.text(), w->args.grant_ttl_ms);
    } else if (call.kind() == CallKind::kForget) {
      known_.erase(std::string(call.execution().text()));
      return;
    }
  }
  const bool let_go =
      answer.ok() && (call.kind() == CallKind::kSuspend || call.kind() == CallKind::kComplete ||
                      call.kind() == CallKind::kFail);
  if (!answer.lease && !answer.revoked && !let_go &&
      answer.error != ClaimError::kMaxRetriesExhausted) {
    return;
  }
  Known& known = KnownOf(call.execution().text());
  if (known.lease) known.ended.push_back(*known.lease);
  known.lease.reset();
  if (!answer.lease) return;
  known.granted_to.reset();
  known.lease = answer.lease->fence;
  known.attempt_index = answer.lease->attempt_index;
}

void CallGenerator::Replace(Choices::Execution by) {
  known_.erase(choices_.executions.front().id);
  choices_.executions.pop_front();
  choices_.executions.push_back(std::move(by));
}

LaneIdView CallGenerator::OwnLane(std::string_view id) const {
  for (const Choices::Execution& execution : choices_.executions) {
    if (execution.id == id) return LaneIdView::Unchecked(execution.lane);
  }
  return LaneIdView::Unchecked(choices_.executions.front().lane);
}

// ---- arguments ---------------------------------------------------------------

void CallGenerator::ChooseTarget() {
  if (!choices_.aliases.empty() && OneIn(64)) {
    target_ = ParseExecutionId(OneOf(choices_.aliases), ParseMode::kLenient).id;
    lane_ = LaneIdView::Unchecked(choices_.executions.front().lane);
    return;
  }
  const auto count = static_cast<std::uint32_t>(choices_.executions.size());
  const Choices::Execution& execution = choices_.executions[choose_(count)];
  target_ = execution.view();
  lane_ = LaneIdView::Unchecked(execution.lane);
}

WorkerIdentity CallGenerator::ChooseWorker(std::string_view id) {
  if (choices_.has_nameless_workers && OneIn(24)) return {};
  const auto identity = [](const Choices::Worker& worker) {
    return WorkerIdentity{{worker.id}, {worker.instance}};
  };
  // Often chooses the worker that holds the execution's grant, perhaps with another instance.
  const auto known = known_.find(std::string(id));
  if (known != known_.end() && known->second.granted_to && !OneIn(3)) {
    for (auto worker = choices_.workers.rbegin(); worker != choices_.workers.rend(); ++worker) {
      if (worker->id == known->second.granted_to) return identity(*worker);
    }
    return identity(choices_.workers.back());
  }
  return identity(OneOf(choices_.workers));
}

LaneIdView CallGenerator::ChooseLane(LaneIdView own) {
  return OneIn(6) ? LaneIdView::Unchecked(OneOf(choices_.lanes)) : own;
}

LaneIdView CallGenerator::ChooseLaneToClaim() {
  return choices_.claims_in_own_lane ? lane_ : ChooseLane(lane_);
}

std::int64_t CallGenerator::ChooseTtl() {
  if (!choices_.odd_ttls.empty() && OneIn(choices_.odd_ttl_one_in)) {
    return OneOf(choices_.odd_ttls);
  }
  return choices_.ttl_ms + choose_(choices_.ttl_spread);
}

OptionalFence CallGenerator::PartOf(OptionalFence fence) {
  const std::uint32_t part = choose_(5);
  if (part == 0 || part == 3) fence.lease_id.reset();
  if (part == 1 || part == 3 || part == 4) fence.lease_epoch.reset();
  if (part == 2 || part == 4) fence.attempt_id.reset();
  return fence;
}

OptionalFence CallGenerator::ChooseFence() {
  const Known& known = KnownOf(target_.text());
  LeaseFence fence = {{NextUuid()}, {1}, {NextUuid()}};
  if (known.lease) {
    fence = *known.lease;
  } else if (!known.ended.empty()) {
    fence = known.ended.back();
  }
  const std::uint32_t flaw = choose_(12);
  switch (flaw) {
    case 0:
    case 1:
    case 6:
      if (!choices_.has_partial_fences) break;
      return flaw == 0 ? OptionalFence() : PartOf(fence);
    case 2:
      fence.lease_id.uuid = NextUuid();
      break;
    case 3:
      fence.lease_epoch.value += OneIn(2) ? 1 : std::uint64_t{1} << 32;
      break;
    case 4:
      fence.attempt_id.uuid = NextUuid();
      break;
    case 5:
      if (!known.ended.empty()) fence = OneOf(known.ended);
      break;
    default:
      break;
  }
  return fence;
}

Uuid CallGenerator::NextUuid() {
  Uuid uuid;
  std::uint64_t number = ++next_uuid_;
  for (std::size_t i = uuid.bytes.size(); i > 8; --i) {
    uuid.bytes[i - 1] = static_cast<std::uint8_t>(number);
    number >>= 8;
  }
  return uuid;
}

// ---- calls -------------------------------------------------------------------

Call CallGenerator::Next() {
  if (churn_ > 0) {
    --churn_;
    if (churn_ % 2 == 1) return Issue(true);
    return calls::Advance{2};
  }
  ChooseTarget();
  return ChooseCall(OneOf(choices_.kinds));
}

Call CallGenerator::ChooseCall(CallKind kind) {
  if (kind == kChurn) {
    churn_ = 16;
    return Next();
  }
  switch (kind) {
    case CallKind::kCreate:
      return Create();
    case CallKind::kIssue:
      return Issue(false);
    case CallKind::kClaimForWorker:
      return ClaimForWorker();
    case CallKind::kClaim:
      return Claim();
    case CallKind::kClaimResumed:
      return ClaimResumed();
    case CallKind::kRenew:
      return Renew();
    case CallKind::kMarkExpired:
      return calls::MarkExpired{target_};
    case CallKind::kRevoke:
      return Revoke();
    case CallKind::kIssueReclaim:
      return IssueReclaim();
    case CallKind::kReclaim:
      return Reclaim();
    case CallKind::kSuspend:
      return calls::Suspend{{target_, ChooseFence()}};
    case CallKind::kResume:
      return calls::Resume{{target_, OneIn(2) ? ChooseTtl() : 0}};
    case CallKind::kComplete: {
      const OptionalFence fence = ChooseFence();
      return calls::Complete{{target_, fence, choices_.has_partial_fences && OneIn(2)}};
    }
    case CallKind::kFail:
      return Fail();
    case CallKind::kForget:
      return calls::Forget{target_};
    case CallKind::kMaintain:
      return calls::Maintain{};
    case CallKind::kAdvance:
      return MoveClock();
    case CallKind::kInspect:
    case CallKind::kInspectNames:
    case CallKind::kSize:
      break;  // the driver decides when to make these calls
  }
  std::abort();
}

Call CallGenerator::Create() {
  static const std::string kLongLane(65, 'x');
  CreateExecutionArgs args;
  args.execution_id = target_;
  args.lane = lane_;
  if (!choices_.outside.empty() && (!target_.is_canonical() || OneIn(16))) {
    switch (choose_(target_.is_canonical() ? 5 : 1)) {
      case 0:
        args.execution_id =
            ParseExecutionId("{fp:+1}:22222222-2222-4222-8222-222222222222", ParseMode::kLenient)
                .id;
        break;
      case 1:
        args.execution_id = ParseExecutionId(choices_.outside, ParseMode::kStrict).id;
        break;
      case 2:
        args.lane = LaneIdView::Unchecked(OneIn(2) ? std::string_view() : kLongLane);
        break;
      case 3:
        args.lane = LaneIdView::Unchecked("a\x7F");
        break;
      default:
        args.retry = RetryPolicy{.delay_ms = kMaxTtlMs + 1};
        break;
    }
  }
  args.priority = OneOf(choices_.priorities);
  capabilities_ = OneOf(choices_.required);
  args.required = capabilities_.get();
  if (choices_.delay_spread != 0 && OneIn(4)) {
    args.delay_until =
        TimestampMs{clock_.Now().value + choices_.delay_ms + choose_(choices_.delay_spread)};
  }
  if (OneIn(2)) args.max_reclaim_count = choose_(3);
  if (!args.retry && !choices_.retries.empty()) args.retry = OneOf(choices_.retries);
  return {calls::Create{args}, capabilities_};
}

IssueGrantArgs CallGenerator::IssueArgs(bool churned) {
  IssueGrantArgs args;
  args.execution_id = target_;
  args.worker = ChooseWorker(target_.text());
  args.lane = churned ? lane_ : ChooseLane(lane_);
  args.grant_ttl_ms = churned ? 1 : ChooseTtl();
  capabilities_ = churned ? choices_.offered.back() : OneOf(choices_.offered);
  args.offered = capabilities_.get();
  // A hash or route that is not empty is a new text, so that a ledger has to throw away old texts.
  const std::string number = std::to_string(++next_text_);
  const auto text = [&](std::string value) { return !churned && OneIn(2) ? "" : value; };
  texts_[0] = text("hash " + number);
  texts_[1] = text("{\"route\":" + number + "}");
  texts_[2] = text(churned ? "admitted " + number : "admitted");
  args.capability_hash = texts_[0];
  args.route_snapshot_json = texts_[1];
  args.admission_summary = texts_[2];
  return args;
}

Call CallGenerator::Issue(bool churned) {
  const calls::Issue issue = {IssueArgs(churned)};
  Call call(issue, capabilities_);
  call.in_batch = choices_.has_batches && !churned && OneIn(4);
  return call;
}

Call CallGenerator::IssueReclaim() {
  const calls::IssueReclaim issue = {IssueArgs(false)};
  return {issue, capabilities_};
}

Call CallGenerator::ClaimForWorker() {
  ClaimForWorkerArgs args;
  args.worker = ChooseWorker("");
  args.lane = ChooseLane(LaneIdView::Unchecked(choices_.executions.front().lane));
  args.grant_ttl_ms = ChooseTtl();
  capabilities_ = OneOf(choices_.offered);
  args.offered = capabilities_.get();
  args.max_partitions = OneOf(choices_.windows);
  return {calls::ClaimForWorker{args}, capabilities_};
}

Call CallGenerator::Claim() {
  Call call = calls::Claim{{target_,
                            ChooseWorker(target_.text()),
                            ChooseLaneToClaim(),
                            {NextUuid()},
                            ChooseTtl(),
                            {NextUuid()}}};
  call.in_batch = choices_.has_batches && OneIn(4);
  return call;
}

Call CallGenerator::ClaimResumed() {
  return calls::ClaimResumed{
      {target_, ChooseWorker(target_.text()), ChooseLaneToClaim(), {NextUuid()}, ChooseTtl()}};
}

Call CallGenerator::Reclaim() {
  ReclaimArgs args = {target_,
                      ChooseWorker(target_.text()),
                      ChooseLaneToClaim(),
                      {NextUuid()},
                      ChooseTtl(),
                      {NextUuid()},
                      {}};
  if (OneIn(3)) args.max_reclaim_count = choose_(4);
  return calls::Reclaim{args};
}

Call CallGenerator::Renew() {
  RenewArgs args = {target_, {0}, ChooseFence(), ChooseTtl()};
  args.attempt_index = KnownOf(target_.text()).attempt_index.value_or(AttemptIndex{0});
  if (OneIn(8)) args.attempt_index.value += 1;
  return calls::Renew{args};
}

Call CallGenerator::Revoke() {
  RevokeArgs args = {target_, {}};
  if (OneIn(2)) args.expected_lease_id = ChooseFence().lease_id;
  return calls::Revoke{args};
}

Call CallGenerator::Fail() {
  const OptionalFence fence = ChooseFence();
  const bool by_operator = choices_.has_partial_fences && OneIn(2);
  return calls::Fail{{.execution_id = target_,
                      .fence = fence,
                      .reason = OneIn(2) ? "no disk" : "",
                      .category = OneIn(2) ? "permanent" : "",
                      .operator_override = by_operator}};
}

Call CallGenerator::MoveClock() {
  if (OneIn(2)) return calls::Advance{choose_(3)};
  // Moves the clock to the end of a lease, a grant or a delay, or to 1 ms before or after this end.
  // The clock stays where it is if that time is over, or is 100 ms or more ahead.
  const ExecutionIdView target = target_;
  ChooseTarget();
  const std::optional<ExecutionState> state = inspect_(std::exchange(target_, target));
  if (!state) return calls::Advance{0};
  std::optional<TimestampMs> edge = state->lease_expires_at;
  if (state->has_grant) {
    edge = state->grant_expires_at;
  } else if (state->in_delayed) {
    edge = state->delay_until;
  }
  const std::int64_t now = clock_.Now().value;
  const std::int64_t by = edge.value_or(TimestampMs{now}).value - 1 + choose_(3) - now;
  return calls::Advance{by >= 0 && by < 100 ? by : 0};
}

}  // namespace ffgrant::testing
