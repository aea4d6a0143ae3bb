// SPDX-License-Identifier: Apache-2.0

#ifndef FFGRANT_VALKEY_SERVER_INFO_H_
#define FFGRANT_VALKEY_SERVER_INFO_H_

#include <string>
#include <vector>

#include "ffgrant/config.h"

FFGRANT_API_BEGIN
namespace ffgrant::valkey {

// A call of ValkeyLedger that the ACL user can't make whole.
struct RefusedCall {
  std::string call;                   // "Claim"
  std::vector<std::string> commands;  // that the user may not run: "XADD", "ZREM"
  friend bool operator==(const RefusedCall&, const RefusedCall&) = default;
};

// What the server that was greeted last says of itself. Texts are empty before the
// first connection.
struct ServerInfo {
  std::string name;     // "valkey" or "redis"; empty if an ACL forbids INFO
  std::string version;  // its own, not the Redis version that a Valkey claims to be
  // The contract that the functions in use follow, "34". Empty if there are none.
  std::string contract_version;
  // The version of our function library, if its functions are in use; empty if
  // FlowFabric's are, or none.
  std::string library_version;
  // What the names of the functions in use begin with: "ff_" or "ffgrant_"; empty if
  // there are none.
  std::string function_prefix;
  bool cluster = false;

  // From ValkeyLedger::Connect() only. Whether the server let it ask for the user's
  // rights (FlowFabric's functions are asked past them, which needs EVAL), and what
  // is missing then, on any of the primaries.
  bool rights_known = false;
  std::vector<RefusedCall> refused_calls;
  friend bool operator==(const ServerInfo&, const ServerInfo&) = default;
};

}  // namespace ffgrant::valkey
FFGRANT_API_END

#endif  // FFGRANT_VALKEY_SERVER_INFO_H_
