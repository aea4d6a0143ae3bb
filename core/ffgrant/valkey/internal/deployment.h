// SPDX-License-Identifier: Apache-2.0
//
// Keeps what the clients of one ledger tell each other about the servers that they use.

#ifndef FFGRANT_VALKEY_INTERNAL_DEPLOYMENT_H_
#define FFGRANT_VALKEY_INTERNAL_DEPLOYMENT_H_

#include <cstdint>
#include <mutex>
#include <vector>

#include "ffgrant/valkey/internal/cluster_table.h"
#include "ffgrant/valkey/internal/lost_connections.h"
#include "ffgrant/valkey/internal/refusals.h"

namespace ffgrant::valkey::internal {

// The members of the newest table that any of the clients has accepted. A client that has no table
// yet, or none of whose members can give a good table, can go on with these members before it asks
// the configured servers. Thread-safe.
class KnownMembers {
 public:
  // Keeps the members of a new table, and returns the table's number. The first table has number 1.
  std::uint64_t Set(const std::vector<Member>& members) {
    const std::scoped_lock lock(mutex_);
    members_ = members;
    return ++number_;
  }
  // Returns false, and does nothing, if the newest table's number is not greater than `number`.
  bool GetNewer(std::uint64_t& number, std::vector<Member>& members) const {
    const std::scoped_lock lock(mutex_);
    if (number_ <= number) return false;
    number = number_;
    members = members_;
    return true;
  }

 private:
  mutable std::mutex mutex_;
  std::uint64_t number_ = 0;
  std::vector<Member> members_;
};

struct Deployment {
  LostConnections lost;
  KnownMembers members;
  Refusals refusals;
};

}  // namespace ffgrant::valkey::internal

#endif  // FFGRANT_VALKEY_INTERNAL_DEPLOYMENT_H_
