// SPDX-License-Identifier: Apache-2.0

#ifndef FFGRANT_VALKEY_SERVER_INFO_H_
#define FFGRANT_VALKEY_SERVER_INFO_H_

#include <string>

namespace ffgrant::valkey {

// What a server says of itself. Texts are empty before the first connection.
struct ServerInfo {
  std::string name;     // "valkey" or "redis"
  std::string version;  // its own, not the Redis version that a Valkey claims to be
  // What ff_version answers: the contract that its functions follow, "34". Empty
  // if it has none.
  std::string contract_version;
  std::string library_version;  // of our function library; empty if it has another
  bool cluster = false;
  friend bool operator==(const ServerInfo&, const ServerInfo&) = default;
};

}  // namespace ffgrant::valkey

#endif  // FFGRANT_VALKEY_SERVER_INFO_H_
