// SPDX-License-Identifier: Apache-2.0
//
// Refuses, before they are sent, arguments that a server would parse wrongly, apply only in part,
// or store inexactly (contract 1.8, 9.5, 9.6). Gives the same answers in the same order as the
// embedded ledger.

#ifndef FFGRANT_VALKEY_INTERNAL_ARGUMENT_CHECKS_H_
#define FFGRANT_VALKEY_INTERNAL_ARGUMENT_CHECKS_H_

#include <cstdint>
#include <string_view>

#include "ffgrant/claims/claim_ledger.h"
#include "ffgrant/partition.h"

namespace ffgrant::valkey::internal {

// kExecutionNotFound: no execution can have this id, because it has another spelling or its
// partition is visited by no scheduler.
ClaimError CheckId(const ExecutionIdView& id, const PartitionConfig& partitions) noexcept;

// kInvalidInput with `detail` if the ttl is beyond kMaxTtlMs either way; then the same as
// CheckId().
ClaimError CheckTtlAndId(std::int64_t ttl_ms, std::string_view detail, const ExecutionIdView& id,
                         const PartitionConfig& partitions, ErrorDetails* details) noexcept;

// kInvalidInput. `delay_until` is not checked: it is a time and no sum, and a server stores it as
// the text that it was given.
ClaimError CheckCreate(const CreateExecutionArgs& args, const PartitionConfig& partitions,
                       ErrorDetails* details) noexcept;

}  // namespace ffgrant::valkey::internal

#endif  // FFGRANT_VALKEY_INTERNAL_ARGUMENT_CHECKS_H_
