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
  std::string call;                   // its name, such as "Claim"
  std::vector<std::string> commands;  // commands that the user may not run, such as "XADD"
  friend bool operator==(const RefusedCall&, const RefusedCall&) = default;
};

// What the server that was greeted last says of itself. Before the first connection the texts are
// empty.
struct ServerInfo {
  std::string name;     // "valkey" or "redis"; empty if an ACL forbids INFO
  std::string version;  // the server's own, not the Redis version that a Valkey reports too
  // The contract that the functions in use follow, such as "34". Empty if no functions are in use.
  std::string contract_version;
  // The version of our function library, if its functions are in use. Empty if FlowFabric's
  // functions are in use, or none.
  std::string library_version;
  // What the names of the functions in use begin with: "ff_" or "ffgrant_". Empty if no functions
  // are in use.
  std::string function_prefix;
  bool cluster = false;

  // Only ValkeyLedger::Connect() sets the next two fields. `rights_known` says whether every
  // primary that has partitions let the ledger ask for the user's rights. (Where FlowFabric's
  // functions are called, the ledger can ask only with EVAL.) `refused_calls` has the calls that
  // the user can't make in full on at least one primary, as far as the rights are known.
  bool rights_known = false;
  std::vector<RefusedCall> refused_calls;
  friend bool operator==(const ServerInfo&, const ServerInfo&) = default;
};

}  // namespace ffgrant::valkey
FFGRANT_API_END

#endif  // FFGRANT_VALKEY_SERVER_INFO_H_
