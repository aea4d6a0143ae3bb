// SPDX-License-Identifier: Apache-2.0

#include "bench/peers/core_peer.h"

#include "bench/peers/add_peers.h"

namespace ffgrant::bench::peers {
namespace {

template <class... Figures>
void AddEach(Registry& registry) {
  // Core by itself is checked by every other peer.
  (AddPeer<Figures, CorePeer<Figures>>(registry), ...);
  (AddLimit<Figures>(registry), ...);
}

}  // namespace

void AddCoreAndLimits(Registry& registry) {
  AddEach<ParsePartitionKeyStrict, ParsePartitionKeyLenient, FormatPartitionKey,
          ParseExecutionIdStrict, ParseExecutionIdLenient, ParseUuidStrict, FormatUuidText,
          FormatExecutionId, MintId, MintAndUse, MintRandomId, ParseGrant, ParseGrantMembers,
          SerializeGrant, Crc16, KeySlot, PartitionSlot, FormatGrantKey, FormatEligibleKey>(
      registry);
}

}  // namespace ffgrant::bench::peers
