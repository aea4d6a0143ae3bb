// SPDX-License-Identifier: Apache-2.0
//
// Reads and writes partition counts (contract 1.4). All three members are required:
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

// Decodes `json`, which may be any bytes. A count may be 0..65535; PartitionConfig::IsValid()
// checks that no count is 0. `out` is untouched on failure.
JsonResult ParsePartitionConfig(std::string_view json, JsonScratch& scratch,
                                PartitionConfig& out) noexcept;

// Writes compact JSON with the members in the order above.
WriteResult SerializePartitionConfig(const PartitionConfig& config, std::span<char> out) noexcept;

}  // namespace ffgrant
FFGRANT_API_END

#endif  // FFGRANT_JSON_PARTITION_CONFIG_H_
