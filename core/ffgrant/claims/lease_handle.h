// SPDX-License-Identifier: Apache-2.0
//
// A claim's handle consists of these opaque bytes (contract 9.1):
//
//   0x02 | 0x01 | backend | fields        backend: 1 Valkey, 2 PostgreSQL,
//                                                  3 SQLite
//   0x01 | fields                         older; Valkey is implied
//
//   fields, little-endian: u32 length + execution id | u32 attempt index |
//   u32 length + attempt id | u32 length + lease id | u64 epoch |
//   u64 lease ttl ms | u32 length + lane | u32 length + instance id | end

#ifndef FFGRANT_CLAIMS_LEASE_HANDLE_H_
#define FFGRANT_CLAIMS_LEASE_HANDLE_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "ffgrant/config.h"
#include "ffgrant/execution_id.h"
#include "ffgrant/ids.h"
#include "ffgrant/json/lease_results.h"
#include "ffgrant/lane_id.h"
#include "ffgrant/write_result.h"

FFGRANT_API_BEGIN
namespace ffgrant {

struct LeaseHandleView {
  HandleBackend backend = HandleBackend::kValkey;
  ExecutionIdView execution_id;
  AttemptIndex attempt_index;
  AttemptId attempt_id;
  LeaseId lease_id;
  LeaseEpoch lease_epoch;
  std::uint64_t lease_ttl_ms = 0;
  LaneIdView lane_id;
  WorkerInstanceIdView worker_instance_id;
  friend constexpr bool operator==(const LeaseHandleView&, const LeaseHandleView&) = default;
};

enum class LeaseHandleError : std::uint8_t {
  kNone,
  kEmpty,
  kUnknownVersion,
  kUnknownBackend,
  kTruncated,
  kTrailingBytes,
  kInvalidUtf8,
  kInvalidExecutionId,
  kInvalidUuid,
};
std::string_view ErrorName(LeaseHandleError error) noexcept;

struct [[nodiscard]] LeaseHandleResult {
  LeaseHandleView handle;  // points into the input
  LeaseHandleError error = LeaseHandleError::kNone;
  std::size_t offset = 0;  // of the bad field in the input, or of the first surplus byte; else 0
  constexpr explicit operator bool() const noexcept { return error == LeaseHandleError::kNone; }
};

// Decodes either form. The input may be any bytes. Does not allocate.
LeaseHandleResult DecodeLeaseHandle(std::string_view bytes) noexcept;

// Writes the newer form. Its size is 3 + 40 bytes and the sizes of its five texts, of which attempt
// id and lease id have 36 bytes each. The error is kInvalidUtf8 if lane or instance id is not
// UTF-8, because no decoder would accept such bytes; otherwise kBufferTooSmall if `out` is too
// small. The handle must hold an execution id, and each of its texts must have less than 4 GiB.
WriteResult EncodeLeaseHandle(const LeaseHandleView& handle, std::span<char> out) noexcept;

}  // namespace ffgrant
FFGRANT_API_END

#endif  // FFGRANT_CLAIMS_LEASE_HANDLE_H_
