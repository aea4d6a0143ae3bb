// SPDX-License-Identifier: Apache-2.0
//
// Refuses arguments before they are sent, if a server would parse them wrongly, apply them only in
// part, or store them inexactly (contract 1.8, 9.5, 9.6). The errors, and which error wins, are as
// in the embedded ledger.

#ifndef FFGRANT_VALKEY_INTERNAL_ARGUMENT_CHECKS_H_
#define FFGRANT_VALKEY_INTERNAL_ARGUMENT_CHECKS_H_

#include <cstdint>
#include <string_view>

#include "ffgrant/claims/claim_ledger.h"
#include "ffgrant/partition.h"

namespace ffgrant::valkey::internal {

// Returns kExecutionNotFound if no execution can have this id, because the id is not canonical or
// its partition is not one of `partitions`; otherwise kNone.
ClaimError CheckId(const ExecutionIdView& id, const PartitionConfig& partitions) noexcept;

// Returns kInvalidInput with `detail` if the ttl is above kMaxTtlMs or below -kMaxTtlMs; otherwise
// returns what CheckId() returns.
ClaimError CheckTtlAndId(std::int64_t ttl_ms, std::string_view detail, const ExecutionIdView& id,
                         const PartitionConfig& partitions, ErrorDetails* details) noexcept;

// Returns kInvalidInput if the id, the lane or the retry policy is refused. `delay_until` is not
// checked, because nothing is added to this time, and a server stores exactly the text that the
// client sends.
ClaimError CheckCreate(const CreateExecutionArgs& args, const PartitionConfig& partitions,
                       ErrorDetails* details) noexcept;

}  // namespace ffgrant::valkey::internal

#endif  // FFGRANT_VALKEY_INTERNAL_ARGUMENT_CHECKS_H_
