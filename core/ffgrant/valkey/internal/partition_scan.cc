// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/valkey/internal/partition_scan.h"

#include "ffgrant/claims/capabilities.h"
#include "ffgrant/execution_id.h"
#include "ffgrant/hash_slot.h"
#include "ffgrant/valkey/internal/claim_keys.h"

namespace ffgrant::valkey::internal {

void PartitionScan::Begin(std::uint16_t partitions, std::string_view offered) {
  places_.resize(partitions);
  offered_ = offered;
  ++call_;
}

void PartitionScan::MarkLate(std::uint16_t partition) noexcept {
  if (IsLate(partition)) return;
  places_[partition].late_since = epoch_;
  ++late_;
}

void PartitionScan::ForgetLateness() noexcept {
  ++epoch_;
  late_ = 0;
}

template <class Write>
bool PartitionScan::Ask(Client& client, std::uint16_t partition, Question question,
                        const Write& write) {
  const CallTarget target = {
      .self = this,
      .on_reply = &OnReply,
      .on_failure = &OnFailure,
      .tag = std::uint64_t{partition} << 2 | static_cast<std::uint64_t>(question)};
  const Partition where = {PartitionFamily::kExecution, partition};
  if (!client.Submit(HashSlot(where), true, target, write)) return false;
  ++places_[partition].open;
  return true;
}

bool PartitionScan::AskForHead(Client& client, std::uint16_t partition, LaneIdView lane) {
  Place& place = places_[partition];
  place.head = Head();
  place.call = call_;
  place.grant_asked = false;
  const Partition where = {PartitionFamily::kExecution, partition};
  return Ask(client, partition, Question::kHead, [&](RespCommand& command) {
    command.Begin(4);
    command.Arg("ZRANGE");
    command.Key(
        [&](std::span<char> out) { return FormatKey(LaneKey::kEligible, where, lane, out); });
    command.Arg("0");
    command.Arg("0");
  });
}

bool PartitionScan::AskForState(Client& client, std::uint16_t partition) {
  Place& place = places_[partition];
  const MintedExecutionId minted(partition, place.head.uuid);
  const ExecutionIdView id = minted.view();
  place.grant_asked =
      place.grant_asked || Ask(client, partition, Question::kGrant, [&](RespCommand& command) {
        ClaimKeys keys(command, id);
        command.Begin(2);
        command.Arg("EXISTS");
        keys.Execution(ExecutionKey::kClaimGrant);
      });
  return place.grant_asked &&
         Ask(client, partition, Question::kRequirements, [&](RespCommand& command) {
           ClaimKeys keys(command, id);
           command.Begin(3);
           command.Arg("HGET");
           keys.Execution(ExecutionKey::kCore);
           command.Arg("required_capabilities");
         });
}

// False if it can't be the answer.
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
  if (!reply.is(Reply::Type::kArray) || reply.elements.size() > 1) return false;
  if (reply.elements.empty()) return true;
  const Reply& member = reply.elements[0];
  head.there = true;
  const ExecutionIdResult id = ParseExecutionId(member.text, ParseMode::kStrict);
  head.canonical = id && id.id.partition().index == partition;
  if (head.canonical) head.uuid = id.id.uuid();
  return member.is(Reply::Type::kString);
}

bool PartitionScan::OnReply(void* self, std::uint64_t tag, const Reply& reply) noexcept {
  auto& scan = *static_cast<PartitionScan*>(self);
  const auto partition = static_cast<std::uint16_t>(tag >> 2);
  Place& place = scan.places_[partition];
  Head head = place.head;
  if (!scan.Read(partition, static_cast<Question>(tag & 3), reply, head)) return false;
  if (place.call == scan.call_) place.head = head;
  --place.open;
  if (scan.IsLate(partition)) scan.ForgetLateness();
  return true;
}

void PartitionScan::OnFailure(void* self, std::uint64_t tag, CallFailure,
                              std::string_view) noexcept {
  auto& scan = *static_cast<PartitionScan*>(self);
  const auto partition = static_cast<std::uint16_t>(tag >> 2);
  Place& place = scan.places_[partition];
  --place.open;
  place.head.unreachable = true;
  scan.MarkLate(partition);
}

}  // namespace ffgrant::valkey::internal
