// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/valkey/internal/partition_scan.h"

#include "ffgrant/claims/capabilities.h"
#include "ffgrant/execution_id.h"
#include "ffgrant/hash_slot.h"
#include "ffgrant/valkey/internal/claim_keys.h"
#include "ffgrant/valkey/internal/session.h"

namespace ffgrant::valkey::internal {

void PartitionScan::Begin(std::uint16_t partitions, std::string_view offered) {
  const Lock lock(mutex_);
  places_.resize(partitions);
  offered_ = offered;
  ++call_;
}

void PartitionScan::End() noexcept {
  const Lock lock(mutex_);
  offered_ = {};
  ++call_;
}

void PartitionScan::MarkLateLocked(std::uint16_t partition) noexcept {
  if (IsLateLocked(partition)) return;
  places_[partition].late_since = epoch_;
  ++late_;
}

void PartitionScan::ForgetLatenessLocked() noexcept {
  ++epoch_;
  late_ = 0;
}

template <class Write>
void PartitionScan::Ask(std::uint16_t partition, Question question, const Write& write) {
  const CallTarget target = {
      .self = this,
      .on_reply = &OnReply,
      .on_failure = &OnFailure,
      .tag = std::uint64_t{partition} << 2 | static_cast<std::uint64_t>(question)};
  const Partition where = {PartitionFamily::kExecution, partition};
  session_.SubmitToLeave(HashSlot(where), true, target, write);
}

void PartitionScan::AskForHead(std::uint16_t partition, LaneIdView lane) {
  {
    const Lock lock(mutex_);
    Place& place = places_[partition];
    place.head = Head();
    place.call = call_;
    ++place.open;
  }
  const Partition where = {PartitionFamily::kExecution, partition};
  Ask(partition, Question::kHead, [&](RespCommand& command) {
    command.Begin(4);
    command.Arg("ZRANGE");
    command.Key(
        [&](std::span<char> out) { return FormatKey(LaneKey::kEligible, where, lane, out); });
    command.Arg("0");
    command.Arg("0");
  });
}

void PartitionScan::AskForState(std::uint16_t partition) {
  Uuid uuid;
  {
    const Lock lock(mutex_);
    Place& place = places_[partition];
    uuid = place.head.uuid;
    place.open += 2;
  }
  const MintedExecutionId minted(partition, uuid);
  const ExecutionIdView id = minted.view();
  Ask(partition, Question::kGrant, [&](RespCommand& command) {
    ClaimKeys keys(command, id);
    command.Begin(2);
    command.Arg("EXISTS");
    keys.Execution(ExecutionKey::kClaimGrant);
  });
  Ask(partition, Question::kRequirements, [&](RespCommand& command) {
    ClaimKeys keys(command, id);
    command.Begin(3);
    command.Arg("HGET");
    keys.Execution(ExecutionKey::kCore);
    command.Arg("required_capabilities");
  });
}

// Returns false if `reply` can't be the answer.
bool PartitionScan::Read(std::uint16_t partition, Question question, const Reply& reply,
                         Head& head) const {
  if (reply.is(Reply::Type::kError)) {
    head.fault = true;
    return true;
  }
  if (question == Question::kGrant) {
    head.granted = reply.integer != 0;
    return reply.is(Reply::Type::kInteger);
  }
  if (question == Question::kRequirements) {
    head.suits = CapabilitiesSatisfied(reply.text, offered_);  // nil: none are required
    return reply.is(Reply::Type::kString) || reply.is(Reply::Type::kNil);
  }
  if (!reply.is(Reply::Type::kArray) || reply.elements().size() > 1) return false;
  if (reply.elements().empty()) return true;
  const Reply& member = reply.elements()[0];
  head.there = true;
  const ExecutionIdResult id = ParseExecutionId(member.text, ParseMode::kStrict);
  head.canonical = id && id.id.partition().index == partition;
  if (head.canonical) head.uuid = id.id.uuid();
  return member.is(Reply::Type::kString);
}

bool PartitionScan::Take(std::uint16_t partition, Question question, const Reply& reply) {
  const Lock lock(mutex_);
  Place& place = places_[partition];
  Head head = place.head;
  if (!Read(partition, question, reply, head)) return false;
  if (place.call == call_) place.head = head;
  --place.open;
  if (IsLateLocked(partition)) ForgetLatenessLocked();
  return true;
}

bool PartitionScan::OnReply(void* self, std::uint64_t tag, const Reply& reply) noexcept {
  auto& scan = *static_cast<PartitionScan*>(self);
  const auto partition = static_cast<std::uint16_t>(tag >> 2);
  if (!scan.Take(partition, static_cast<Question>(tag & 3), reply)) return false;
  scan.session_.LeftEnded();
  return true;
}

void PartitionScan::OnFailure(void* self, std::uint64_t tag, CallFailure,
                              std::string_view text) noexcept {
  auto& scan = *static_cast<PartitionScan*>(self);
  const auto partition = static_cast<std::uint16_t>(tag >> 2);
  {
    const Lock lock(scan.mutex_);
    Place& place = scan.places_[partition];
    --place.open;
    // If the user may not ask, the server has answered all the same.
    if (IsForbidden(text)) {
      place.head.fault = true;
    } else {
      place.head.unreachable = true;
      // A question that was cancelled says nothing about the server.
      if (text != kCancelled) scan.MarkLateLocked(partition);
    }
  }
  scan.session_.LeftEnded();
}

}  // namespace ffgrant::valkey::internal
