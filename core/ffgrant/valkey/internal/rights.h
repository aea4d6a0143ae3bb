// SPDX-License-Identifier: Apache-2.0
//
// Says which rights an ACL user needs for each call of the ledger. A function runs its commands in
// its caller's name. If the user may not run one of these commands, the function ends in the
// middle, and what it has written by then stays.

#ifndef FFGRANT_VALKEY_INTERNAL_RIGHTS_H_
#define FFGRANT_VALKEY_INTERNAL_RIGHTS_H_

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ffgrant/partition.h"
#include "ffgrant/valkey/internal/resp_command.h"
#include "ffgrant/valkey/server_info.h"

namespace ffgrant::valkey::internal {

// Commands are given by name, with a space between two. Two things are left out
// (functions/README.md): PUBLISH, which only executions of a flow need, and what Suspend() needs to
// install a secret.
struct NeededRights {
  std::string_view call;      // the name of the method of ValkeyLedger
  std::string_view function;  // FlowFabric's name; empty: the call needs no function
  std::string_view itself;    // the commands that the call sends apart from the function
  std::string_view ours;      // the commands that our function runs
  std::string_view theirs;    // the commands that FlowFabric's function runs
  bool of_execution = true;   // false: the call is about a worker or the deployment
};

// The rights of every call. A batch needs those of its calls, and InspectNames() those of
// Inspect().
std::span<const NeededRights> AllNeededRights() noexcept;

// All commands that any call needs, each once and in order: with our functions if `own_functions`
// is set, and else with FlowFabric's.
std::vector<std::string_view> AllNeededCommands(bool own_functions);

// Writes a command that asks which of AllNeededCommands() the user may not run on a key of
// `partition`. The command calls a function of ours if `own_functions` is set, and else runs a
// script.
void WriteAskForRights(RespCommand& command, const Partition& partition, bool own_functions);

// Returns the calls that can't be made in full by a user who may not run the commands `refused`.
std::vector<RefusedCall> RefusedCalls(const std::vector<std::string>& refused, bool own_functions);

}  // namespace ffgrant::valkey::internal

#endif  // FFGRANT_VALKEY_INTERNAL_RIGHTS_H_
