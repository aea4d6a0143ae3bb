// SPDX-License-Identifier: Apache-2.0
//
// Reads and writes lease results, which are externally tagged (contract 5.7), and the fence (1.7):
//
//   {"Revoked":{"lease_id":"...","lease_epoch":"2"}}      the epoch is a text
//   {"AlreadySatisfied":{"reason":"already_revoked"}}
//   {"Renewed":{"expires_at":1700000000000}}
//   {"Claimed":{"execution_id":...,"lease_id":...,"lease_epoch":1,
//               "attempt_index":0,"attempt_id":...,"attempt_type":"initial",
//               "lease_expires_at":...,"handle":{...}}}
//   {"lease_id":...,"lease_epoch":1,"attempt_id":...}     LeaseFence

#ifndef FFGRANT_JSON_LEASE_RESULTS_H_
#define FFGRANT_JSON_LEASE_RESULTS_H_

#include <cstdint>
#include <span>
#include <string_view>
#include <variant>

#include "ffgrant/config.h"
#include "ffgrant/execution_id.h"
#include "ffgrant/ids.h"
#include "ffgrant/json/json_error.h"
#include "ffgrant/json/json_scratch.h"
#include "ffgrant/write_result.h"

FFGRANT_API_BEGIN
namespace ffgrant {

// The two answers to a revocation. The texts of RevokedView are opaque.
struct RevokedView {
  std::string_view lease_id;
  std::string_view lease_epoch;
  friend constexpr bool operator==(const RevokedView&, const RevokedView&) = default;
};
struct AlreadySatisfiedView {
  std::string_view reason;
  friend constexpr bool operator==(const AlreadySatisfiedView&,
                                   const AlreadySatisfiedView&) = default;
};
using RevokeLeaseResultView = std::variant<RevokedView, AlreadySatisfiedView>;

struct RenewLeaseResult {
  TimestampMs expires_at;
  friend constexpr bool operator==(const RenewLeaseResult&, const RenewLeaseResult&) = default;
};

// The reason why an attempt was created. On the wire it is "initial", "retry", "reclaim", "replay"
// or "fallback".
enum class AttemptType : std::uint8_t { kInitial, kRetry, kReclaim, kReplay, kFallback };
std::string_view AttemptTypeName(AttemptType type) noexcept;

// {"backend":"Valkey","kind":"Fresh","opaque":[2,1,1,...]}
enum class HandleBackend : std::uint8_t { kValkey, kPostgres, kSqlite };
enum class HandleKind : std::uint8_t { kFresh, kResumed, kSuspended, kReclaimed };
struct HandleView {
  HandleBackend backend = HandleBackend::kValkey;
  HandleKind kind = HandleKind::kFresh;
  std::string_view opaque;  // any bytes; lease_handle.h knows what they mean
  friend constexpr bool operator==(const HandleView&, const HandleView&) = default;
};

struct ClaimedView {
  ExecutionIdView execution_id;
  LeaseId lease_id;
  LeaseEpoch lease_epoch;
  AttemptIndex attempt_index;
  AttemptId attempt_id;
  AttemptType attempt_type = AttemptType::kInitial;
  TimestampMs lease_expires_at;
  HandleView handle;  // an absent handle becomes Valkey, Fresh, no bytes
  friend constexpr bool operator==(const ClaimedView&, const ClaimedView&) = default;
};

// For these functions `json` may be any bytes. `out` is untouched on failure.
JsonResult ParseRevokeLeaseResult(std::string_view json, JsonScratch& scratch,
                                  RevokeLeaseResultView& out) noexcept;
JsonResult ParseRenewLeaseResult(std::string_view json, JsonScratch& scratch,
                                 RenewLeaseResult& out) noexcept;
JsonResult ParseClaimedResult(std::string_view json, JsonScratch& scratch,
                              ClaimedView& out) noexcept;
JsonResult ParseLeaseFence(std::string_view json, JsonScratch& scratch, LeaseFence& out) noexcept;

// These functions write compact JSON. They fail with kInvalidUtf8 if a text isn't UTF-8.
WriteResult SerializeRevokeLeaseResult(const RevokeLeaseResultView& result,
                                       std::span<char> out) noexcept;
WriteResult SerializeRenewLeaseResult(const RenewLeaseResult& result, std::span<char> out) noexcept;
WriteResult SerializeClaimedResult(const ClaimedView& result, std::span<char> out) noexcept;
WriteResult SerializeLeaseFence(const LeaseFence& fence, std::span<char> out) noexcept;

}  // namespace ffgrant
FFGRANT_API_END

#endif  // FFGRANT_JSON_LEASE_RESULTS_H_
