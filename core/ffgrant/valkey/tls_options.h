// SPDX-License-Identifier: Apache-2.0

#ifndef FFGRANT_VALKEY_TLS_OPTIONS_H_
#define FFGRANT_VALKEY_TLS_OPTIONS_H_

#include <memory>
#include <string>

#include "ffgrant/config.h"
#include "ffgrant/valkey/network.h"

FFGRANT_API_BEGIN
namespace ffgrant::valkey {

// With `enabled`, the client speaks TLS 1.2 or 1.3 with all of its servers, by means of OpenSSL.
// This needs a library that was built with TLS (CMake option FFGRANT_TLS); HasTls() says whether
// the library was. A library without TLS refuses options that ask for TLS, and never speaks in the
// clear instead.
//
// Unless `verify` is false, the client checks the server's certificate: its dates, its purpose, its
// chain up to an authority that is believed (`ca_file`), and its name. If a server fails the check,
// the calls that need this server end at once with the reason, as they do for a server that refuses
// the password (ClientOptions::refusal_pause_ms). So do they if the server refuses the client: it
// wants or does not take a client certificate, denies access, or has no version, cipher or name in
// common with the client. After any other alert the client tries again, as after a connection that
// broke.
struct TlsOptions {
  bool enabled = false;  // SetServers() sets it for valkeys://
  // A PEM file with the certificates of the authorities to believe. Empty: the authorities that
  // OpenSSL believes on this machine.
  std::string ca_file = {};
  // The name that the certificate of every server must have. Unless it is an address, it is also
  // sent to the server (SNI). Empty: the host or address that the client connected to. A unix
  // socket has no name of its own, so for a unix socket this name must be given, unless `verify` is
  // false.
  std::string server_name = {};
  // Our certificate with its chain, and its key without a passphrase, both as PEM, for servers that
  // ask for a certificate. Give both or neither.
  std::string certificate_file = {};
  std::string key_file = {};
  // False: the client takes anybody for the server, and sends the password to anybody. For tests.
  bool verify = true;
};

// Whether the library was built with TLS.
bool HasTls() noexcept;

// Makes a network that speaks TLS over the streams of `inner`. Reads the files once, now: a new
// certificate needs a new client. Throws std::invalid_argument with the reason if the library has
// no TLS, if the options can't be used, or if a file can't be read or used.
std::unique_ptr<Network> MakeTlsNetwork(std::unique_ptr<Network> inner, const TlsOptions& options);

}  // namespace ffgrant::valkey
FFGRANT_API_END

#endif  // FFGRANT_VALKEY_TLS_OPTIONS_H_
