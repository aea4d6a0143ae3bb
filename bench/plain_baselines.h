// SPDX-License-Identifier: Apache-2.0
//
// Defines functions for keys, ids, slots and names, written as a competent developer writes them
// with the standard library. Core is compared with these functions in time and in results. They
// were written from the contract, not from core.

#ifndef FFGRANT_BENCH_PLAIN_BASELINES_H_
#define FFGRANT_BENCH_PLAIN_BASELINES_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "ffgrant/partition.h"
#include "ffgrant/uuid.h"

namespace ffgrant::bench::plain {

// ---- partition keys: std::from_chars, std::to_chars, std::string -----------

std::optional<Partition> ParsePartitionKeyStrict(std::string_view text);
std::optional<Partition> ParsePartitionKeyLenient(std::string_view text);

// Writes at most 10 bytes and returns their number.
std::size_t FormatPartitionKeyToChars(Partition partition, char* out);
std::string FormatPartitionKeyString(Partition partition);

// ---- uuids and execution ids ------------------------------------------------

struct PlainExecutionId {
  std::uint16_t index = 0;
  Uuid uuid;
  friend bool operator==(const PlainExecutionId&, const PlainExecutionId&) = default;
};

// Uses std::from_chars on two hex digits at a time.
std::optional<PlainExecutionId> ParseExecutionIdStrictFromChars(std::string_view text);
// Uses one chain of comparisons for each hex digit.
std::optional<PlainExecutionId> ParseExecutionIdStrictLoop(std::string_view text);
// Accepts all four uuid forms.
std::optional<PlainExecutionId> ParseExecutionIdLenient(std::string_view text);

std::optional<Uuid> ParseUuidStrictFromChars(std::string_view text);
std::optional<Uuid> ParseUuidStrictLoop(std::string_view text);

void FormatUuid(const Uuid& uuid, char* out);  // 36 bytes
std::string ExecutionIdString(std::uint16_t index, const Uuid& uuid);

// ---- hashing and key names --------------------------------------------------

std::uint16_t Crc16Bitwise(std::string_view bytes);
std::uint16_t Crc16Table(std::string_view bytes);  // one byte at a time
std::uint16_t HashSlot(std::string_view key);
std::uint16_t HashSlot(Partition partition);

std::string GrantKeyString(Partition partition, std::string_view execution_id);
// Appends the same key to a string that keeps its capacity.
void AppendGrantKey(Partition partition, std::string_view execution_id, std::string& out);
std::string EligibleKeyString(Partition partition, std::string_view lane);

}  // namespace ffgrant::bench::plain

#endif  // FFGRANT_BENCH_PLAIN_BASELINES_H_
