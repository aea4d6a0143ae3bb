// SPDX-License-Identifier: Apache-2.0

#include "testing/model/race_calls.h"

#include <array>
#include <cstdlib>
#include <string>
#include <string_view>

#include "testing/calls/call_generator.h"

namespace ffgrant::testing {
namespace {

constexpr std::string_view kIds[kExecutions] = {"{fp:0}:22222222-2222-4222-8222-222222222220",
                                                "{fp:1}:33333333-3333-4333-8333-333333333331",
                                                "{fp:0}:11111111-1111-4111-8111-111111111112"};
constexpr std::string_view kWorkerIds[kWorkers] = {"w0", "w1", "w2"};
constexpr LaneIdView kLane = LaneIdView::Unchecked("main");
constexpr LaneIdView kOtherLane = LaneIdView::Unchecked("side");

const Choices::Capabilities& Gpu() {
  static const Choices::Capabilities gpu = Choices::Set("gpu");
  return gpu;
}

Uuid UuidOf(std::uint8_t kind, std::uint8_t number) {
  Uuid uuid;
  uuid.bytes[0] = kind;
  uuid.bytes[15] = number;
  return uuid;
}

OptionalFence FenceOf(FenceKind kind, const std::optional<Lease>& latest) {
  LeaseFence fence = latest ? latest->fence : LeaseFence{};
  OptionalFence partial = fence;
  switch (kind) {
    case FenceKind::kLatest:
      return fence;
    case FenceKind::kAbsent:
      return {};
    case FenceKind::kPartial:
      partial.attempt_id.reset();
      return partial;
    case FenceKind::kWrongLease:
      fence.lease_id.uuid.bytes[7] = 1;
      return fence;
    case FenceKind::kWrongEpoch:
      fence.lease_epoch.value += 1;
      return fence;
  }
  std::abort();
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
    // The uuids are compared first, because fuzzing engines inspect each comparison of texts.
    if (ExecutionAt(i).uuid() == id.uuid() && kIds[i] == id.text()) return i;
  }
  return kExecutions;
}

Call CallOf(const PlannedCall& p, std::uint8_t number, const std::optional<Lease>& latest) {
  const ExecutionIdView id = ExecutionAt(p.execution);
  const std::string instance = p.own_instance ? "i" + std::to_string(number) : "i";
  const std::string text = p.with_text ? "t" + std::to_string(number) : "";
  const WorkerIdentity worker = {{kWorkerIds[p.worker % kWorkers]}, {instance}};
  const CapabilitySet* const offered = p.worker % kWorkers == kWorkers - 1 ? nullptr : Gpu().get();
  const LaneIdView lane = p.other_lane ? kOtherLane : kLane;
  const LeaseId lease_id = {UuidOf(1, number)};
  const AttemptId attempt_id = {UuidOf(2, number)};
  const OptionalFence fence = FenceOf(p.fence, latest);
  const IssueGrantArgs issue = {id, worker, lane, p.ms, offered, text, {}, {}};
  Call call;
  switch (p.kind) {
    case CallKind::kCreate: {
      CreateExecutionArgs args = {id, kLane, p.worker, p.execution == 1 ? Gpu().get() : nullptr,
                                  {}, p.cap, {}};
      if (p.execution % kExecutions == kExecutions - 1) {
        args.retry =
            RetryPolicy{.max_retries = 1, .backoff = RetryPolicy::Backoff::kFixed, .delay_ms = 2};
      }
      if (p.flag) args.delay_until = TimestampMs{kRaceStart.value + p.ms};
      return {calls::Create{args}, Gpu()};
    }
    case CallKind::kIssue:
      call = {calls::Issue{issue}, Gpu()};
      call.in_batch = p.batch;
      return call;
    case CallKind::kIssueReclaim:
      return {calls::IssueReclaim{issue}, Gpu()};
    case CallKind::kClaimForWorker:
      return {calls::ClaimForWorker{{worker, lane, p.ms, offered}}, Gpu()};
    case CallKind::kClaim:
      call = calls::Claim{{id, worker, lane, lease_id, p.ms, attempt_id}};
      call.in_batch = p.batch;
      return call;
    case CallKind::kClaimResumed:
      return calls::ClaimResumed{{id, worker, lane, lease_id, p.ms}};
    case CallKind::kReclaim:
      return calls::Reclaim{{id, worker, lane, lease_id, p.ms, attempt_id, p.cap}};
    case CallKind::kRenew:
      return calls::Renew{{id, latest ? latest->attempt_index : AttemptIndex{}, fence, p.ms}};
    case CallKind::kMarkExpired:
      return calls::MarkExpired{id};
    case CallKind::kRevoke:
      return calls::Revoke{{id, p.flag ? fence.lease_id : std::nullopt}};
    case CallKind::kSuspend:
      return calls::Suspend{{id, fence}};
    case CallKind::kResume:
      return calls::Resume{{id, p.ms}};
    case CallKind::kComplete:
      return calls::Complete{{id, fence, p.flag}};
    case CallKind::kFail:
      return calls::Fail{{id, fence, text, {}, p.flag}};
    case CallKind::kInspect:
      return calls::Inspect{id};
    case CallKind::kInspectNames:
      return calls::InspectNames{id};
    case CallKind::kForget:
      return calls::Forget{id};
    case CallKind::kMaintain:
      return calls::Maintain{};
    case CallKind::kSize:
      return calls::Size{};
    case CallKind::kAdvance:
      return calls::Advance{p.ms};
  }
  std::abort();
}

}  // namespace ffgrant::testing
