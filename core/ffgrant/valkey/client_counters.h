// SPDX-License-Identifier: Apache-2.0
//
// These counters say what a ledger or a pipeline has done so far, and only grow.
// ValkeyLedger::counters() and ClaimPipeline::counters() read them at any moment, from any thread,
// and hold up no call:
//
//   const ClientCounters now = ledger.counters();
//   for (const auto& [name, value] : now.All()) Export(name, value);
//
// Names and meanings are stable: a counter may be added, and none is renamed or reused.

#ifndef FFGRANT_VALKEY_CLIENT_COUNTERS_H_
#define FFGRANT_VALKEY_CLIENT_COUNTERS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

#include "ffgrant/config.h"

FFGRANT_API_BEGIN
namespace ffgrant::valkey {

struct ClientCounters {
  std::uint64_t connects = 0;          // connections begun
  std::uint64_t connects_failed = 0;   // connections begun that ended before they were greeted
  std::uint64_t connections_lost = 0;  // connections that had been greeted, and then ended, also
                                       // because a cluster no longer has their node
  std::uint64_t refusals = 0;          // times that a server refused for good, for example
                                       // because of the login or a certificate
  std::uint64_t probes = 0;            // silent connections that got a PING before use
  std::uint64_t probes_failed = 0;     // probes that got no answer in time; their connections
                                       // were given up
  std::uint64_t commands = 0;          // commands handed in by calls, each counted once
  std::uint64_t commands_sent = 0;     // times that a command was put on a connection; may be more
                                       // than once for a command
  std::uint64_t replies = 0;           // answers to commands, without late_replies
  std::uint64_t redirections = 0;      // answers MOVED and ASK that the client followed
  std::uint64_t retries = 0;           // times that a command went back to waiting: the server
                                       // refused it for now, redirected it or lacked its function,
                                       // or its connection broke (if the command writes, before
                                       // all of it was sent)
  std::uint64_t unknown_outcomes = 0;  // commands that write, were sent, and ended without an
                                       // answer that fits
  std::uint64_t unavailable = 0;       // commands that ended without having been executed, and
                                       // commands that only read and ended without an answer that
                                       // fits
  std::uint64_t cancelled = 0;         // cancelled commands; each is also counted in
                                       // unknown_outcomes or in unavailable
  std::uint64_t late_replies = 0;      // answers that came after their command was reported as
                                       // ended
  std::uint64_t fences = 0;            // lost connections that the client then shut on their server
                                       // (CLIENT KILL), or that were gone there already
  std::uint64_t slot_tables = 0;       // tables of a cluster's slots that were accepted
  std::uint64_t libraries_loaded = 0;  // times that FUNCTION LOAD put our library on a server, or
                                       // found that another client had just done so
  std::uint64_t bytes_sent = 0;        // bytes written, counted before TLS encrypts them
  std::uint64_t bytes_received = 0;    // bytes read, counted after TLS has decrypted them
  std::uint64_t unsent_ms = 0;         // how many ms all commands together waited to be sent
  std::uint64_t log_lines_lost = 0;    // lines that the log hook never got, because too many were
                                       // kept for it already

  static constexpr std::size_t kCount = 22;
  using Named = std::pair<std::string_view, std::uint64_t>;
  // Returns all counters, with the names and in the order above.
  std::array<Named, kCount> All() const noexcept {
    return {{{"connects", connects},
             {"connects_failed", connects_failed},
             {"connections_lost", connections_lost},
             {"refusals", refusals},
             {"probes", probes},
             {"probes_failed", probes_failed},
             {"commands", commands},
             {"commands_sent", commands_sent},
             {"replies", replies},
             {"redirections", redirections},
             {"retries", retries},
             {"unknown_outcomes", unknown_outcomes},
             {"unavailable", unavailable},
             {"cancelled", cancelled},
             {"late_replies", late_replies},
             {"fences", fences},
             {"slot_tables", slot_tables},
             {"libraries_loaded", libraries_loaded},
             {"bytes_sent", bytes_sent},
             {"bytes_received", bytes_received},
             {"unsent_ms", unsent_ms},
             {"log_lines_lost", log_lines_lost}}};
  }
};

}  // namespace ffgrant::valkey
FFGRANT_API_END

#endif  // FFGRANT_VALKEY_CLIENT_COUNTERS_H_
