// SPDX-License-Identifier: Apache-2.0
//
// Reads the addresses of servers as people write them, and the password and the names of
// certificate files as people keep them. The library's users and this project's own tools all use
// these functions:
//
//   ClientOptions options;
//   std::string problem = SetServers("valkey://worker@db.example:6379/0", options);
//   if (problem.empty()) problem = SetPasswordFromEnvironment(options);
//   if (problem.empty()) problem = SetTlsFromEnvironment(options);
//   if (!problem.empty()) std::fprintf(stderr, "%s\n", problem.c_str());

#ifndef FFGRANT_VALKEY_SERVER_URL_H_
#define FFGRANT_VALKEY_SERVER_URL_H_

#include <string>
#include <string_view>

#include "ffgrant/config.h"
#include "ffgrant/valkey/client_options.h"

FFGRANT_API_BEGIN
namespace ffgrant::valkey {

// Sets options.servers. Also sets options.tls.enabled if `text` says valkeys://, and
// options.username if `text` names a user. `text` is one server, or several with commas between
// them, each in one of these forms:
//
//   HOST:PORT                                 an IPv6 address stands in brackets
//   valkey://[USER@]HOST[:PORT][/0][?db=0]    redis:// is the same; port 6379 if none is given
//   valkeys://[USER@]HOST[:PORT][/0][?db=0]   the same by TLS; rediss:// is the same
//   unix://[USER@]/PATH[?db=0]                a unix socket, by its absolute path
//
// USER and PATH may hold bytes as %XX. All servers of one client have the same user, and all speak
// TLS, or none does.
//
// Returns "" if all is well. If not, returns a sentence that says what is wrong, and leaves
// `options` untouched. The sentence never repeats `text`, which may hold a password by mistake.
// Each of these is refused with a sentence of its own: a password in the URL (others would see it
// in lists of processes, shells' histories and logs), a database other than 0 (a cluster has no
// other, and FlowFabric uses no other), Sentinel, parameters other than db=0, an IPv6 address
// without brackets (its last group can't be told from a port), and TLS where the library was built
// without it.
std::string SetServers(std::string_view text, ClientOptions& options);

// Sets options.password to the text of the file, without the end of its line. Returns "", or the
// reason if this fails; the reason never contains text of the file. A file is refused if its line
// is empty or has more than 4096 bytes, or if the file has several lines.
std::string SetPasswordFromFile(const std::string& path, ClientOptions& options);

// Sets options.password from the environment variable FFGRANT_PASSWORD, or from the file that
// FFGRANT_PASSWORD_FILE names. Leaves the password as it is if each of the two is unset or empty.
// Returns "", or the reason if this fails: both have a text, or the file can't be used. The
// function reads the environment: do not call it while another thread may call setenv().
std::string SetPasswordFromEnvironment(ClientOptions& options);

// Sets the texts in options.tls from the environment variables FFGRANT_TLS_CA_FILE,
// FFGRANT_TLS_SERVER_NAME, FFGRANT_TLS_CERTIFICATE_FILE and FFGRANT_TLS_KEY_FILE. Leaves a field as
// it is if its variable is not set or is empty. Opens no file. Returns "", or the reason if this
// fails: the variables name a certificate without a key, or a key without a certificate.
std::string SetTlsFromEnvironment(ClientOptions& options);

}  // namespace ffgrant::valkey
FFGRANT_API_END

#endif  // FFGRANT_VALKEY_SERVER_URL_H_
