// SPDX-License-Identifier: Apache-2.0
//
// Finds out whether a replica has what a primary has acknowledged. WAIT covers only the writes of
// the connection that sends WAIT. But a replica gets all writes in order. So the connection makes a
// write of its own after an acknowledged write, and WAIT for its own write covers the acknowledged
// write too.

#ifndef FFGRANT_TESTING_FAULTS_REPLICA_CONFIRMATION_H_
#define FFGRANT_TESTING_FAULTS_REPLICA_CONFIRMATION_H_

#include <memory>
#include <string>

#include "ffgrant/valkey/client_options.h"
#include "testing/scenarios/hiredis_store.h"

namespace ffgrant::claims_faults {

class ReplicaConfirmation {
 public:
  explicit ReplicaConfirmation(const valkey::ClientOptions& where) : where_(where) {}

  // Returns true once one replica has all that the primary of `tag`, such as "{fp:7}", had
  // acknowledged before this call. Returns false if no replica confirms this within a second, or if
  // the primary cannot be asked.
  bool Confirm(const std::string& tag);

 private:
  const valkey::ClientOptions& where_;
  std::size_t next_ = 0;
  std::unique_ptr<claims_conformance::HiredisStore> store_;
};

}  // namespace ffgrant::claims_faults

#endif  // FFGRANT_TESTING_FAULTS_REPLICA_CONFIRMATION_H_
