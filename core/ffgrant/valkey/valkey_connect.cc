// SPDX-License-Identifier: Apache-2.0
//
// Implements Connect(), which finds out what will work on a server before anything is tried there.

#include <algorithm>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ffgrant/valkey/internal/rights.h"
#include "ffgrant/valkey/internal/stored_partitions.h"
#include "ffgrant/valkey/internal/valkey_ledger_impl.h"

namespace ffgrant::valkey {

using internal::Reply;
using internal::RespCommand;
using internal::Session;

namespace {

// A primary, which is asked by way of `partition`, one of its partitions.
struct Primary {
  explicit Primary(std::uint16_t index) : partition{PartitionFamily::kExecution, index} {}

  Partition partition;
  bool own_functions = false;
  std::string fault;                 // the error that the primary answered with
  bool rights_known = false;         // whether the primary said what the user may not run
  std::vector<std::string> refused;  // commands that the user may not run
};

// Asks all of `primaries`, as many at once as one group holds. If a group fails, asks no further
// ones. `write(primary, command)` writes the question, and `read(primary, reply)` reads the answer.
template <class Write, class Read>
ClaimError AskAll(Session& session, std::span<Primary> primaries, ErrorDetails* details,
                  const Write& write, const Read& read) {
  while (!primaries.empty()) {
    const std::span<Primary> some =
        primaries.subspan(0, std::min(primaries.size(), internal::Group::kMaxSize));
    primaries = primaries.subspan(some.size());
    internal::Group group(session, details);
    const auto reader = [&read](Primary& primary) {
      return [&read, &primary](const Reply& reply) { return read(primary, reply); };
    };
    std::deque<decltype(reader(some[0]))> readers;
    for (Primary& primary : some) {
      readers.push_back(reader(primary));
      group.Add(
          HashSlot(primary.partition), true, [&](RespCommand& command) { write(primary, command); },
          readers.back());
    }
    const ClaimError failure = group.Wait();
    if (failure != ClaimError::kNone) return failure;
  }
  return ClaimError::kNone;
}

// Asks `primaries` for the version of their functions, and calls `on_answer()` at each answer.
template <class OnAnswer>
ClaimError CheckFunctions(Session& session, std::span<Primary> primaries, ErrorDetails* details,
                          const OnAnswer& on_answer) {
  return AskAll(
      session, primaries, details,
      [](const Primary&, RespCommand& command) {
        command.Begin(3);
        command.Arg("FCALL");
        command.Function("ff_version");
        command.Arg("0");
      },
      [&](Primary& primary, const Reply& reply) {
        primary.own_functions = session.client().answering_has_own_functions();
        if (reply.is(Reply::Type::kError)) primary.fault.assign(reply.text);
        on_answer();
        return reply.is(Reply::Type::kError) || reply.is(Reply::Type::kString);
      });
}

// Asks which commands the user may not run. If the user may not ask for this, the rights stay
// unknown, which is no failure.
ClaimError AskForRights(Session& session, std::span<Primary> primaries, ErrorDetails* details) {
  ErrorDetails why;
  const ClaimError failure = AskAll(
      session, primaries, &why,
      [](const Primary& primary, RespCommand& command) {
        WriteAskForRights(command, primary.partition, primary.own_functions);
      },
      [](Primary& primary, const Reply& reply) {
        if (!reply.is(Reply::Type::kArray)) return reply.is(Reply::Type::kError);
        primary.rights_known = true;
        for (const Reply& command : reply.elements()) primary.refused.emplace_back(command.text);
        return true;
      });
  if (failure == ClaimError::kNone) return failure;
  // If the server refuses only the script, calls may work. If it refuses the key, no call about an
  // execution works, because each has such a key.
  // Never true: a group explains each failure.
  const std::string_view text = why.size() == 0 ? std::string_view() : why[0];
  const bool no_script = text.starts_with("NOPERM ") && text.find("'eval'") != text.npos;
  if (no_script || text.starts_with("ERR unknown command")) return ClaimError::kNone;
  if (details != nullptr) *details = why;
  return failure;
}

void AddRefusedCalls(const Primary& primary, std::vector<RefusedCall>& all) {
  for (RefusedCall& refused : internal::RefusedCalls(primary.refused, primary.own_functions)) {
    const auto known = std::find_if(all.begin(), all.end(), [&refused](const RefusedCall& call) {
      return call.call == refused.call;
    });
    if (known == all.end()) {
      all.push_back(std::move(refused));
      continue;
    }
    for (std::string& command : refused.commands) {
      auto& commands = known->commands;
      if (std::find(commands.begin(), commands.end(), command) == commands.end()) {
        commands.push_back(std::move(command));
      }
    }
  }
}

// Returns one primary for each node that has partitions, except for the node of partition 0, which
// has been asked already. The slots without a node count as those of one more node.
std::vector<Primary> OthersOf(const internal::Client& client, std::uint16_t partitions) {
  std::vector<Primary> others;
  std::vector<int> seen = {client.NodeOf(HashSlot({PartitionFamily::kExecution, 0}))};
  for (std::uint16_t i = 1; i < partitions; ++i) {
    const int node = client.NodeOf(HashSlot({PartitionFamily::kExecution, i}));
    if (std::find(seen.begin(), seen.end(), node) != seen.end()) continue;
    seen.push_back(node);
    others.emplace_back(i);
  }
  return others;
}

// Whether every call about an execution is refused. A ledger that can only register workers is of
// no use.
bool IsEveryExecutionRefused(const std::vector<RefusedCall>& refused) {
  const auto all = internal::AllNeededRights();
  return std::all_of(all.begin(), all.end(), [&](const internal::NeededRights& needed) {
    return !needed.of_execution ||
           std::any_of(refused.begin(), refused.end(),
                       [&](const RefusedCall& call) { return call.call == needed.call; });
  });
}

ClaimError Check(Session& session, std::uint16_t partitions, ServerInfo& server,
                 ErrorDetails* details) {
  std::vector<Primary> primaries(1, Primary(0));
  std::vector<Primary> others;
  ClaimError failure = CheckFunctions(session, primaries, details, [&] {
    others = OthersOf(session.client(), partitions);  // now the client knows the other nodes
  });
  if (failure == ClaimError::kNone) {
    failure = CheckFunctions(session, others, details, [] {});
    primaries.insert(primaries.end(), others.begin(), others.end());
  }
  for (const Primary& primary : primaries) {
    if (failure != ClaimError::kNone || primary.fault.empty()) continue;
    failure = ClaimError::kUnavailable;
    if (details != nullptr) (void)details->Add(primary.fault);
  }
  if (failure == ClaimError::kNone) failure = AskForRights(session, primaries, details);
  server = session.server();
  if (failure != ClaimError::kNone) return failure;
  server.rights_known = true;
  for (const Primary& primary : primaries) {
    server.rights_known &= primary.rights_known;
    AddRefusedCalls(primary, server.refused_calls);
  }
  if (!IsEveryExecutionRefused(server.refused_calls)) return ClaimError::kNone;
  if (details != nullptr) {
    std::string text = "the user may not run what every call needs:";
    for (const std::string& command : primaries.front().refused) text.append(" ").append(command);
    (void)details->Add(text);
  }
  return ClaimError::kUnavailable;
}

std::string TextOf(const PartitionConfig& partitions) {
  return std::to_string(partitions.num_flow_partitions) + " flow, " +
         std::to_string(partitions.num_budget_partitions) + " budget and " +
         std::to_string(partitions.num_quota_partitions) + " quota partitions";
}

// Compares our partition counts with the stored ones. If the stored counts can't be read, or none
// are stored, there is nothing to compare with.
ClaimError CheckPartitions(Session& session, const PartitionConfig& ours, ErrorDetails* details) {
  ErrorDetails why;
  const StoredPartitions stored = internal::ReadStoredPartitions(session, &why);
  if (stored.error == ClaimError::kInvalidInput) {
    if (details != nullptr) *details = why;
    return stored.error;
  }
  if (!stored || !stored.stored || stored.partitions == ours) return ClaimError::kNone;
  if (details != nullptr) {
    (void)details->Add("the deployment has " + TextOf(stored.partitions) +
                       ", and this ledger was made for " + TextOf(ours));
  }
  return ClaimError::kInvalidInput;
}

}  // namespace

Outcome ValkeyLedger::Connect(ServerInfo& server, ErrorDetails* details) {
  if (details != nullptr) details->clear();
  internal::SessionPool::Lease lease = impl_->sessions.Take();
  const PartitionConfig& partitions = impl_->partitions();
  const Outcome outcome = {Check(lease.session, partitions.num_flow_partitions, server, details)};
  return outcome ? Outcome{CheckPartitions(lease.session, partitions, details)} : outcome;
}

}  // namespace ffgrant::valkey
