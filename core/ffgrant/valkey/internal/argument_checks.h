// SPDX-License-Identifier: Apache-2.0
//
// What is refused before it is sent: what a server would take apart wrongly,
// apply by half, or store inexactly (contract 1.8, 9.5, 9.6). The same answers,
// in the same order, as the embedded ledger's.

#ifndef FFGRANT_VALKEY_INTERNAL_ARGUMENT_CHECKS_H_
#define FFGRANT_VALKEY_INTERNAL_ARGUMENT_CHECKS_H_

#include <cstdint>
#include <string_view>

#include "ffgrant/claims/claim_ledger.h"
#include "ffgrant/partition.h"

namespace ffgrant::valkey::internal {

// kExecutionNotFound: another spelling of an id, or a partition that no
// scheduler visits, can't have been created.
ClaimError CheckId(const ExecutionIdView& id, const PartitionConfig& partitions) noexcept;

// kInvalidInput with `detail` beyond kMaxTtlMs either way; then CheckId().
ClaimError CheckTtlAndId(std::int64_t ttl_ms, std::string_view detail, const ExecutionIdView& id,
                         const PartitionConfig& partitions, ErrorDetails* details) noexcept;

// kInvalidInput. `delay_until` is not looked at: it is a time and no sum, which
// a server stores as the text that it was given.
ClaimError CheckCreate(const CreateExecutionArgs& args, const PartitionConfig& partitions,
                       ErrorDetails* details) noexcept;

}  // namespace ffgrant::valkey::internal

#endif  // FFGRANT_VALKEY_INTERNAL_ARGUMENT_CHECKS_H_
