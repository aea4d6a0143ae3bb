// SPDX-License-Identifier: Apache-2.0
//
// How FlowFabric learns that a worker is there, and what it can do. Its scanner moves an
// execution whose requirements nobody met back among the eligible once the registered workers
// together meet them: a fleet that does not register starves such executions
// (core/contract/live-observed.md, 5).

#ifndef FFGRANT_VALKEY_WORKER_REGISTRATION_H_
#define FFGRANT_VALKEY_WORKER_REGISTRATION_H_

#include <cstdint>
#include <span>

#include "ffgrant/claims/claim_ledger.h"
#include "ffgrant/config.h"
#include "ffgrant/partition.h"
#include "ffgrant/uuid.h"
#include "ffgrant/uuid_generator.h"

FFGRANT_API_BEGIN
namespace ffgrant::valkey {

struct WorkerRegistration {
  WorkerIdentity worker;
  std::span<const LaneIdView> lanes;
  const CapabilitySet* offered = nullptr;
  // How long the registration lives without being refreshed; refresh it after a third of
  // that. 1000..kMaxTtlMs.
  std::int64_t ttl_ms = 60'000;
  // Tells this process's registration from another's of the same instance id. Keep it for
  // refreshing and unregistering.
  Uuid token = RandomUuid();
};

struct StoredPartitions : Outcome {
  // False: the deployment has stored no counts, and `partitions` are FlowFabric's defaults.
  bool stored = false;
  PartitionConfig partitions;
};

}  // namespace ffgrant::valkey
FFGRANT_API_END

#endif  // FFGRANT_VALKEY_WORKER_REGISTRATION_H_
