// SPDX-License-Identifier: Apache-2.0

#ifndef FFGRANT_VALKEY_CLIENT_OPTIONS_H_
#define FFGRANT_VALKEY_CLIENT_OPTIONS_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "ffgrant/partition.h"
#include "ffgrant/valkey/backoff.h"
#include "ffgrant/valkey/network.h"

namespace ffgrant::valkey {

// How to reach a server or a cluster, and how patiently. What a server is asked
// at first decides which of the two it is.
struct ClientOptions {
  // Tried in turn. Of a cluster any node will do: it names the others.
  std::vector<Endpoint> servers = {Endpoint{}};
  std::string username = {};  // of an ACL user; empty with a password: the default user
  std::string password = {};  // empty: no AUTH

  std::int64_t connect_timeout_ms = 2000;
  // Of one call with all that it does: redirections, new tries, waiting for a
  // connection. Of a batch, too.
  std::int64_t request_timeout_ms = 2000;
  Backoff reconnect = {.first_ms = 5, .longest_ms = 1000};
  // Between tries of a call that a server refused for now: TRYAGAIN, LOADING,
  // CLUSTERDOWN, BUSY.
  Backoff retry = {.first_ms = 2, .longest_ms = 100};
  // Calls of one pipeline that are under way at once, or commands of one ledger's call,
  // 1..65536.
  std::size_t max_in_flight = 256;
  // Of one reply as it is kept; a larger one ends the connection that it comes on.
  std::size_t max_reply_bytes = std::size_t{4} << 20;

  // Whether our function library may be loaded where there is none, and put in
  // the place of an older one of ours. FlowFabric's own, or anybody else's, is
  // used as it is and never replaced.
  bool load_library = true;

  // For tests: the world that the client lives in. Null: MakeSocketNetwork().
  std::function<std::unique_ptr<Network>()> make_network = {};
};

// What the calls carry that their arguments don't say.
struct ClaimDefaults {
  PartitionConfig partitions = {};
  std::string ns = "default";
  std::string execution_kind = "task";
  std::string creator_identity = "ffgrant";
  std::string revoke_reason = "operator";
  // How long a lease hash outlives its lease once it has been renewed.
  std::int64_t lease_history_grace_ms = 5000;
};

}  // namespace ffgrant::valkey

#endif  // FFGRANT_VALKEY_CLIENT_OPTIONS_H_
