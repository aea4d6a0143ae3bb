// SPDX-License-Identifier: Apache-2.0

#ifndef FFGRANT_VALKEY_INTERNAL_STORED_PARTITIONS_H_
#define FFGRANT_VALKEY_INTERNAL_STORED_PARTITIONS_H_

#include "ffgrant/valkey/internal/session.h"
#include "ffgrant/valkey/worker_registration.h"

namespace ffgrant::valkey::internal {

// Does what ValkeyLedger::ReadPartitions() does, within the time limit of the session's current
// call.
StoredPartitions ReadStoredPartitions(Session& session, ErrorDetails* details) noexcept;

}  // namespace ffgrant::valkey::internal

#endif  // FFGRANT_VALKEY_INTERNAL_STORED_PARTITIONS_H_
