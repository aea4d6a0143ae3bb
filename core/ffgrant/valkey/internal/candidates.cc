// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/valkey/internal/candidates.h"

#include "ffgrant/claims/capabilities.h"
#include "ffgrant/hash_slot.h"
#include "ffgrant/valkey/internal/claim_keys.h"

namespace ffgrant::valkey::internal {

ClaimError ReadRange(Session& session, Partition partition, LaneIdView lane, std::uint64_t first,
                     std::uint64_t last, std::span<Candidate> candidates, std::size_t& count,
                     bool& fault, ErrorDetails& why) noexcept {
  return CallAndWait(
      session, HashSlot(partition), true, &why,
      [&](RespCommand& command) {
        command.Begin(4);
        command.Arg("ZRANGE");
        command.Key([&](std::span<char> out) {
          return FormatKey(LaneKey::kEligible, partition, lane, out);
        });
        command.Arg(first);
        command.Arg(last);
      },
      [&](const Reply& reply) {
        fault = reply.is(Reply::Type::kError);
        if (fault) return true;
        if (!reply.is(Reply::Type::kArray) || reply.elements().size() > candidates.size()) {
          return false;
        }
        count = 0;
        for (const Reply& element : reply.elements()) {
          if (!element.is(Reply::Type::kString)) return false;
          Candidate& candidate = candidates[count++];
          candidate = Candidate();
          if (!ParseExecutionId(element.text, ParseMode::kStrict)) continue;
          candidate.size = element.text.copy(candidate.text.data(), candidate.text.size());
        }
        return true;
      });
}

ClaimError ReadStates(Session& session, std::span<Candidate> candidates, std::string_view offered,
                      ErrorDetails& why) noexcept {
  struct Grant {
    Candidate* candidate;
    bool operator()(const Reply& reply) const noexcept {
      candidate->fault |= reply.is(Reply::Type::kError);
      if (reply.is(Reply::Type::kError)) return true;
      candidate->granted = reply.integer != 0;
      return reply.is(Reply::Type::kInteger);
    }
  };
  struct Required {
    Candidate* candidate;
    std::string_view offered;
    bool operator()(const Reply& reply) const noexcept {
      candidate->fault |= reply.is(Reply::Type::kError);
      if (reply.is(Reply::Type::kError)) return true;
      candidate->suits = CapabilitiesSatisfied(reply.text, offered);  // nil: none are required
      return reply.is(Reply::Type::kString) || reply.is(Reply::Type::kNil);
    }
  };
  std::array<Grant, kCandidatesAtOnce> grants;
  std::array<Required, kCandidatesAtOnce> required;
  static_assert(2 * kCandidatesAtOnce <= Group::kMaxSize);
  Group group(session, &why);
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    if (candidates[i].size == 0) continue;
    const ExecutionIdView id = candidates[i].id();
    const std::uint16_t slot = HashSlot(id.partition());
    grants[i] = {&candidates[i]};
    required[i] = {&candidates[i], offered};
    group.Add(
        slot, true,
        [&](RespCommand& command) {
          ClaimKeys keys(command, id);
          command.Begin(2);
          command.Arg("EXISTS");
          keys.Execution(ExecutionKey::kClaimGrant);
        },
        grants[i]);
    group.Add(
        slot, true,
        [&](RespCommand& command) {
          ClaimKeys keys(command, id);
          command.Begin(3);
          command.Arg("HGET");
          keys.Execution(ExecutionKey::kCore);
          command.Arg("required_capabilities");
        },
        required[i]);
  }
  return group.Wait();
}

}  // namespace ffgrant::valkey::internal
