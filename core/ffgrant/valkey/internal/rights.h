// SPDX-License-Identifier: Apache-2.0
//
// What an ACL user must be allowed for each call of the ledger. A function runs its
// commands in its caller's name, so that a user who lacks one of them ends the
// function in the middle: what it had written by then stays.

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

// Commands by name, with a space between two. PUBLISH is not among them: only
// executions of a flow need it (functions/README.md).
struct NeededRights {
  std::string_view call;      // of ValkeyLedger
  std::string_view function;  // FlowFabric's name; empty: the call needs none
  std::string_view itself;    // what the call sends beside the function
  std::string_view ours;      // what our function runs
  std::string_view theirs;    // what FlowFabric's runs
  bool of_execution = true;   // false: the call is about a worker or the deployment
};

// One for each call.
std::span<const NeededRights> AllNeededRights() noexcept;

// All commands of those, each once.
std::vector<std::string_view> AllNeededCommands(bool own_functions);

// Asks which of AllNeededCommands() the user may not run on keys of `partition`:
// by a function of ours where they are used, else by a script.
void WriteAskForRights(RespCommand& command, const Partition& partition, bool own_functions);

// The calls that a user can't make who may not run `refused`.
std::vector<RefusedCall> RefusedCalls(const std::vector<std::string>& refused, bool own_functions);

}  // namespace ffgrant::valkey::internal

#endif  // FFGRANT_VALKEY_INTERNAL_RIGHTS_H_
