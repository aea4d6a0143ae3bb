// SPDX-License-Identifier: Apache-2.0

#include "testing/faults/replica_confirmation.h"

#include <stdexcept>

namespace ffgrant::claims_faults {

bool ReplicaConfirmation::Confirm(const std::string& tag) {
  try {
    if (store_ == nullptr) {
      const valkey::Endpoint& server = where_.servers[next_++ % where_.servers.size()];
      store_ = std::make_unique<claims_conformance::HiredisStore>(server.host, server.port,
                                                                  where_.username, where_.password);
    }
    // The key expires by itself.
    const std::string key = "ff:faults:" + tag + ":confirmed";
    const auto written = store_->Command(key, {"SET", key, "1", "PX", "1000"});
    const auto replicas = store_->Command(key, {"WAIT", "1", "1000"});
    return !written.is_error && !replicas.is_error && replicas.text != "0";
  } catch (const std::runtime_error&) {
    store_.reset();  // the node is gone; the next call connects to the next of the servers
    return false;
  }
}

}  // namespace ffgrant::claims_faults
