// SPDX-License-Identifier: Apache-2.0
//
// Takes the place of tls_network.cc where the library is built without OpenSSL.

#include <stdexcept>

#include "ffgrant/internal/throw.h"
#include "ffgrant/valkey/tls_options.h"

namespace ffgrant::valkey {

bool HasTls() noexcept { return false; }

std::unique_ptr<Network> MakeTlsNetwork(std::unique_ptr<Network> /*inner*/,
                                        const TlsOptions& /*options*/) {
  ffgrant::internal::Throw<std::invalid_argument>(
      "ffgrant: TLS is wanted, and this library was built without it (CMake option FFGRANT_TLS, "
      "Debian's libssl-dev)");
}

}  // namespace ffgrant::valkey
