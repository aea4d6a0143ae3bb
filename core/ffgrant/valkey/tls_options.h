// SPDX-License-Identifier: Apache-2.0

#ifndef FFGRANT_VALKEY_TLS_OPTIONS_H_
#define FFGRANT_VALKEY_TLS_OPTIONS_H_

#include <memory>
#include <string>

#include "ffgrant/config.h"
#include "ffgrant/valkey/network.h"

FFGRANT_API_BEGIN
namespace ffgrant::valkey {

// TLS 1.2 or 1.3 by OpenSSL, for all servers of a client. Needs a library that was built
// with it (CMake option FFGRANT_TLS): HasTls(). Whoever asks for TLS without it is refused,
// never served in the clear.
//
// The server's certificate is checked unless `verify` is false: its dates, its chain up to
// an authority of `ca_file`, and its name. A server that fails the check ends the calls
// that want it at once, with the reason, as one that refuses a password does
// (ClientOptions::refusal_pause_ms).
struct TlsOptions {
  bool enabled = false;  // SetServers() sets it for valkeys://
  // Certificates of the authorities to believe, PEM. Empty: those that OpenSSL believes
  // on this machine.
  std::string ca_file = {};
  // The name that the certificate of every server must have, which is also sent (SNI).
  // Empty: the host or address that was connected to. A unix socket has no name: it
  // needs one here.
  std::string server_name = {};
  // Our certificate with its chain, and its key without a passphrase, both PEM, for
  // servers that ask for them. Both or neither.
  std::string certificate_file = {};
  std::string key_file = {};
  // False: anybody is believed to be the server, and told the password. For tests.
  bool verify = true;
};

// Whether the library was built with TLS.
bool HasTls() noexcept;

// TLS over the streams of `inner`. Reads the files at once, and never again: a new
// certificate needs a new client. Throws std::invalid_argument with the reason if the
// library has no TLS, or a file can't be read or used.
std::unique_ptr<Network> MakeTlsNetwork(std::unique_ptr<Network> inner, const TlsOptions& options);

}  // namespace ffgrant::valkey
FFGRANT_API_END

#endif  // FFGRANT_VALKEY_TLS_OPTIONS_H_
