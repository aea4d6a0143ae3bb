// SPDX-License-Identifier: Apache-2.0
//
// A registration tells FlowFabric that a worker is there, and what the worker can do. If no worker
// met the requirements of an execution, FlowFabric's scanner makes the execution eligible again
// once the registered workers together meet these requirements. A fleet that does not register
// starves such executions (core/contract/live-observed.md, 5).

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
  // How long the registration lives without being refreshed; refresh it after a third of this time.
  // 1000..kMaxTtlMs.
  std::int64_t ttl_ms = 60'000;
  // Distinguishes this process's registration from that of another process with the same instance
  // id. Keep the token for refreshing and unregistering.
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
