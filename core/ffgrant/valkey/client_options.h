// SPDX-License-Identifier: Apache-2.0

#ifndef FFGRANT_VALKEY_CLIENT_OPTIONS_H_
#define FFGRANT_VALKEY_CLIENT_OPTIONS_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ffgrant/config.h"
#include "ffgrant/partition.h"
#include "ffgrant/valkey/backoff.h"
#include "ffgrant/valkey/function_library.h"
#include "ffgrant/valkey/network.h"
#include "ffgrant/valkey/tls_options.h"

FFGRANT_API_BEGIN
namespace ffgrant::valkey {

enum class LogLevel : std::uint8_t {
  kInfo,     // connected, a new table of slots, functions loaded
  kWarning,  // a connection that broke or could not be made, outcomes that are unknown
  kError,    // a server that refuses us for good
};

// Is told what happens to connections, one line of text each, without its end: where, what,
// and the server's words. Never a password, and never an argument of a call. It is called
// by a thread whose call is over, right before that call returns (of a ClaimPipeline: its
// Poll()), under no lock: while it takes its time, other calls go on. Several threads may
// call it at once. Must not throw. May use the ledger, but not a ClaimPipeline that it was
// called by.
using LogHook = std::function<void(LogLevel level, std::string_view text)>;

// How to reach a server or a cluster, and how patiently. What a server is asked
// at first decides which of the two it is.
struct ClientOptions {
  // Tried in turn. Of a cluster any node will do: it names the others.
  std::vector<Endpoint> servers = {Endpoint{}};
  // AUTH username password. An ACL user may have no password, which is then sent
  // empty. Without a username: AUTH password, which is the default user's. Without
  // both: no AUTH.
  std::string username = {};
  std::string password = {};

  // Whether and how to speak TLS; then with every server, those that a cluster names too.
  TlsOptions tls = {};
  // CLIENT SETNAME of each connection, so that an operator finds it in CLIENT LIST; up to
  // 256 characters from '!' to '~'. Empty: none. A server that forbids it is used all
  // the same.
  std::string connection_name = {};

  // How long connecting to one server may take, looking up its name included. While the client
  // tries several servers, each gets no more than its share of request_timeout_ms.
  std::int64_t connect_timeout_ms = 2000;
  // How long one call, or one batch, may take with all that it does: redirections, new tries,
  // waiting for a connection.
  std::int64_t request_timeout_ms = 2000;
  Backoff reconnect = {.first_ms = 5, .longest_ms = 1000};
  // A server that refuses for good (wrong password, no login, protected mode,
  // functions of another contract) ends the calls that want it at once, with its own
  // words, and is not asked again for this long: by no connection of a ledger. 30 s
  // is long enough that a fleet with an old password neither floods the server's ACL
  // log nor is locked out by it, and short enough that a password that was put right
  // is noticed without a restart. At least 1.
  std::int64_t refusal_pause_ms = 30'000;
  // Between tries of a call that a server refused for now: TRYAGAIN, LOADING,
  // CLUSTERDOWN, BUSY.
  Backoff retry = {.first_ms = 2, .longest_ms = 100};
  // Calls of one pipeline that are under way at once, or commands of one ledger's call,
  // 1..65536.
  std::size_t max_in_flight = 256;
  // An idle connection may be dead without either end having been told: a NAT or a proxy
  // forgot it. TCP keepalive asks the other end every so many seconds, which keeps
  // most of them from forgetting; 0: never; 0..32767.
  std::int64_t keepalive_s = 60;
  // And before a command goes out on a connection on which nothing came for
  // `probe_idle_ms`, a PING asks whether it is alive. Without an answer in
  // `probe_limit_ms`, or half of request_timeout_ms if that is less, a new connection is
  // made, and the command goes out there: it was not sent before, so no outcome is
  // unknown. It costs one round trip for each such silence. At least 1 each;
  // INT64_MAX for probe_idle_ms: no probes.
  std::int64_t probe_idle_ms = 10'000;
  std::int64_t probe_limit_ms = 500;
  // The most that one reply may take in memory; a larger one ends the connection that it comes on.
  std::size_t max_reply_bytes = std::size_t{4} << 20;

  // Whether our function library may be loaded where FlowFabric's is not, and put
  // in the place of an older one of ours. FlowFabric's own, or anybody else's, is
  // never replaced, and ours never stands in its way (function_library.h).
  bool load_library = true;
  // What ff_version may answer for FlowFabric's functions to be called. Another
  // version is refused: it may take other KEYS and ARGV. Before you add one here,
  // let `claims-conformance --use-loaded-library --contract V` judge it.
  std::vector<std::string> contract_versions = {std::string(kFunctionContractVersion)};

  // Null: nobody is told anything.
  LogHook log = {};

  // For tests: the world that the client lives in. Null: MakeSocketNetwork(). TLS, where it
  // is enabled, is spoken over its streams.
  std::function<std::unique_ptr<Network>()> make_network = {};
};

// What the calls carry that their arguments don't say. Where FlowFabric has a default, it is
// that one; core/contract/defaults-observed.md has them all, with where each was seen.
struct ClaimDefaults {
  PartitionConfig partitions = {};
  std::string ns = "default";
  std::string execution_kind = "task";
  std::string creator_identity = "ffgrant";
  std::string revoke_reason = "operator_revoke";
  // How long a lease hash outlives its lease once it has been renewed. 0..kMaxTtlMs.
  std::int64_t lease_history_grace_ms = 5000;
};

}  // namespace ffgrant::valkey
FFGRANT_API_END

#endif  // FFGRANT_VALKEY_CLIENT_OPTIONS_H_
