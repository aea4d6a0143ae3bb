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
  kWarning,  // a connection that ended or could not be made, an outcome that is unknown, an answer
             // that does not fit its command
  kError,    // a server that refuses us for good
};

// A hook that is told what happens to connections. Each event is one line of text, without a line
// end: what happened, on which server, and why. Some events leave out the server or the reason. The
// text never holds a password or an argument of a call. A thread calls the hook when its own call
// has ended, right before that call returns (for a ClaimPipeline: before Poll() returns). The
// thread holds no lock then, so other calls go on however long the hook takes. Several threads may
// call the hook at once. The hook must not throw. It may use the ledger, but not the ClaimPipeline
// that called it. The ledger does not call the hook from within the calls that the hook itself
// makes: what these calls log is told after the next call that comes from elsewhere.
using LogHook = std::function<void(LogLevel level, std::string_view text)>;

// How to reach a server or a cluster, and how long to wait for it. The client learns from the
// server's first answers which of the two it has reached.
struct ClientOptions {
  // The client tries these in turn. Any node of a cluster will do, because it names the others.
  // If these servers later belong to another cluster, the client goes over to it only after none of
  // the nodes that the client knows could give a good table of slots: at once if the other cluster
  // has one of these nodes besides the server that says so, else after half a minute of use.
  std::vector<Endpoint> servers = {Endpoint{}};
  // With a username the client sends AUTH username password; an ACL user may have no password, and
  // then an empty one is sent. With a password alone it sends AUTH password, which logs in the
  // default user. With neither it sends no AUTH.
  std::string username = {};
  std::string password = {};

  // Whether and how the client speaks TLS. This holds for every server, also for those that a
  // cluster names.
  TlsOptions tls = {};
  // The name that CLIENT SETNAME gives to each connection, so that an operator finds it in CLIENT
  // LIST; up to 256 characters from '!' to '~'. Empty: no name is set. If a server forbids CLIENT
  // SETNAME, the client uses that server without a name.
  std::string connection_name = {};

  // How long connecting to one server may take, including the look-up of its name, and how long
  // each answer to the client's greeting may then take. While the client tries several servers,
  // connecting to one of them and greeting it take no more than that server's share of
  // request_timeout_ms.
  std::int64_t connect_timeout_ms = 2000;
  // How long one call, or one batch, may take with all that it does: redirections, new tries,
  // waiting for a connection.
  std::int64_t request_timeout_ms = 2000;
  Backoff reconnect = {.first_ms = 5, .longest_ms = 1000};
  // Some servers refuse for good: wrong password, no login, bad certificate, protected mode,
  // functions of another contract. A call that needs such a server ends at once and says why, and
  // no connection of the ledger asks the server again for this long. 30 s is long enough that a
  // fleet with an old password neither floods the server's ACL log nor gets itself locked out. 30 s
  // is also short enough that a corrected password is noticed without a restart. At least 1.
  std::int64_t refusal_pause_ms = 30'000;
  // How long to wait between tries of a call that a server refused for now, for example with
  // TRYAGAIN, LOADING, CLUSTERDOWN or BUSY.
  Backoff retry = {.first_ms = 2, .longest_ms = 100};
  // How many calls of one pipeline, or commands of one call of a ledger, may be under way at once,
  // 1..65536. Only ClaimForWorker() may have more under way: up to twice as many, and the questions
  // of earlier calls that no server has answered yet.
  std::size_t max_in_flight = 256;
  // An idle connection may be dead although neither end knows it, because a NAT or a proxy forgot
  // the connection. After `keepalive_s` seconds of silence TCP keepalive sends a probe to the other
  // end. The probe keeps most NATs and proxies from forgetting the connection. 0: never; 0..32767.
  std::int64_t keepalive_s = 60;
  // If nothing came on a connection for `probe_idle_ms`, and no command is under way there, the
  // client sends a PING before the next command, to find out whether the connection is alive.
  // Without an answer within `probe_limit_ms` (or half of request_timeout_ms if that is less) the
  // client makes a new connection and sends the command there. The command was not sent before, so
  // no outcome is unknown. A probe costs one round trip after each such silence. Both times are at
  // least 1. With INT64_MAX for probe_idle_ms there are no probes.
  std::int64_t probe_idle_ms = 10'000;
  std::int64_t probe_limit_ms = 500;
  // The most memory that one reply may take; a larger reply ends the connection that it comes on. A
  // command that only reads is then not sent again.
  std::size_t max_reply_bytes = std::size_t{4} << 20;

  // Whether our function library may be loaded where FlowFabric's is not, and may replace an older
  // version of ours. Our library never replaces FlowFabric's, or anybody else's, and never keeps
  // FlowFabric's from being loaded (function_library.h).
  bool load_library = true;
  // The versions for which FlowFabric's functions are called: ff_version must answer one of them.
  // Any other version is refused, since its functions may take other KEYS and ARGV. Before you add
  // a version here, let `claims-conformance --use-loaded-library --contract V` judge it.
  std::vector<std::string> contract_versions = {std::string(kFunctionContractVersion)};

  // Gets the lines of the log. Null: there is no log.
  LogHook log = {};

  // For tests: makes the network that the client uses. Null: MakeSocketNetwork(). If TLS is
  // enabled, the client speaks it over the streams of this network.
  std::function<std::unique_ptr<Network>()> make_network = {};
};

// What the client needs for calls besides their arguments. Where FlowFabric has a default, ours is
// the same; core/contract/defaults-observed.md lists all defaults, and where each was seen.
struct ClaimDefaults {
  PartitionConfig partitions = {};
  std::string ns = "default";
  std::string execution_kind = "task";
  std::string creator_identity = "ffgrant";
  std::string revoke_reason = "operator_revoke";
  // How long the server keeps the hash of a lease after the lease has run out, if the lease was
  // ever renewed. 0..kMaxTtlMs.
  std::int64_t lease_history_grace_ms = 5000;
};

}  // namespace ffgrant::valkey
FFGRANT_API_END

#endif  // FFGRANT_VALKEY_CLIENT_OPTIONS_H_
