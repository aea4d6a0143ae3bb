// SPDX-License-Identifier: Apache-2.0

#ifndef FFGRANT_VALKEY_SERVER_INFO_H_
#define FFGRANT_VALKEY_SERVER_INFO_H_

#include <string>
#include <vector>

#include "ffgrant/config.h"

FFGRANT_API_BEGIN
namespace ffgrant::valkey {

// A call of ValkeyLedger that the ACL user can't make in full.
struct RefusedCall {
  std::string call;                   // "Claim"
  std::vector<std::string> commands;  // commands that the user may not run: "XADD", "ZREM"
  friend bool operator==(const RefusedCall&, const RefusedCall&) = default;
};

// What the server that was greeted last says of itself. Before the first connection the texts are
// empty.
struct ServerInfo {
  std::string name;     // "valkey" or "redis"; empty if an ACL forbids INFO
  std::string version;  // the server's own, not the Redis version that a Valkey claims to be
  // The contract that the functions in use follow, "34". Empty if there are none.
  std::string contract_version;
  // The version of our function library, if its functions are in use. Empty if FlowFabric's
  // functions are in use, or none.
  std::string library_version;
  // What the names of the functions in use begin with: "ff_" or "ffgrant_"; empty if
  // there are none.
  std::string function_prefix;
  bool cluster = false;

  // Only ValkeyLedger::Connect() sets the next two fields. `rights_known`: the server let the
  // ledger ask for the user's rights (calls of FlowFabric's functions can be checked only with
  // EVAL). `refused_calls`: if the rights are known, the calls that the user can't make in full on
  // at least one primary.
  bool rights_known = false;
  std::vector<RefusedCall> refused_calls;
  friend bool operator==(const ServerInfo&, const ServerInfo&) = default;
};

}  // namespace ffgrant::valkey
FFGRANT_API_END

#endif  // FFGRANT_VALKEY_SERVER_INFO_H_
