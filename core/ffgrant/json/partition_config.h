// SPDX-License-Identifier: Apache-2.0
//
// Partition counts (contract 1.4), all three required:
//
//   {"num_flow_partitions":256,"num_budget_partitions":32,
//    "num_quota_partitions":32}

#ifndef FFGRANT_JSON_PARTITION_CONFIG_H_
#define FFGRANT_JSON_PARTITION_CONFIG_H_

#include <span>
#include <string_view>

#include "ffgrant/config.h"
#include "ffgrant/json/json_error.h"
#include "ffgrant/json/json_scratch.h"
#include "ffgrant/partition.h"
#include "ffgrant/write_result.h"

FFGRANT_API_BEGIN
namespace ffgrant {

// Decodes `json`: any bytes. Counts are 0..65535; that none may be 0 is for
// PartitionConfig::IsValid() to say. `out` is untouched on failure.
JsonResult ParsePartitionConfig(std::string_view json, JsonScratch& scratch,
                                PartitionConfig& out) noexcept;

// Writes compact JSON, members in the order above.
WriteResult SerializePartitionConfig(const PartitionConfig& config, std::span<char> out) noexcept;

}  // namespace ffgrant
FFGRANT_API_END

#endif  // FFGRANT_JSON_PARTITION_CONFIG_H_
