// SPDX-License-Identifier: Apache-2.0

#include "oracles/naive_dtos.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string_view>
#include <variant>

#include "testing/naive/naive_execution_id.h"

namespace ffgrant::fuzz {
namespace {

// --- tables: contract 5, in its order ---

constexpr NaiveField Text(std::string_view name) { return {.name = name}; }
constexpr NaiveField OptionalText(std::string_view name) {
  return {.name = name, .kind = NaiveKind::kOptionalText, .has_default = true};
}
constexpr NaiveField Texts(std::string_view name) {
  return {.name = name, .kind = NaiveKind::kTextList, .has_default = true};
}
template <class Integer>
constexpr NaiveField Number(std::string_view name) {
  return {.name = name, .kind = NaiveKind::kUnsigned, .max = std::numeric_limits<Integer>::max()};
}
constexpr NaiveField Signed(std::string_view name) {
  return {.name = name, .kind = NaiveKind::kSigned};
}
constexpr NaiveField UuidText(std::string_view name) {
  return {.name = name, .kind = NaiveKind::kUuid};
}
constexpr NaiveField Enum(std::string_view name, std::span<const std::string_view> names) {
  return {.name = name, .kind = NaiveKind::kUnitEnum, .names = names};
}
constexpr NaiveField Struct(std::string_view name, std::span<const NaiveField> fields) {
  return {.name = name, .kind = NaiveKind::kStruct, .fields = fields};
}

constexpr NaiveField kClaimRequest[] = {Text("lane_id"), Text("worker_instance_id"),
                                        Texts("capabilities"),
                                        Number<std::uint64_t>("grant_ttl_ms")};
constexpr NaiveField kClaimResponse[] = {Text("execution_id"), Text("partition_key"),
                                         Text("grant_key"), Number<std::uint64_t>("expires_at_ms")};
constexpr NaiveField kReclaimRequest[] = {Text("worker_id"),
                                          Text("worker_instance_id"),
                                          Text("lane_id"),
                                          OptionalText("capability_hash"),
                                          Number<std::uint64_t>("grant_ttl_ms"),
                                          OptionalText("route_snapshot_json"),
                                          OptionalText("admission_summary"),
                                          Texts("worker_capabilities")};
constexpr NaiveField kGranted[] = {Text("execution_id"), Text("partition_key"), Text("grant_key"),
                                   Number<std::uint64_t>("expires_at_ms"), Text("lane_id")};
constexpr NaiveField kNotReclaimable[] = {Text("execution_id"), Text("detail")};
constexpr NaiveField kCapExceeded[] = {Text("execution_id"),
                                       Number<std::uint32_t>("reclaim_count")};
constexpr NaiveField kErrorBody[] = {
    Text("error"),
    OptionalText("kind"),
    {.name = "retryable", .kind = NaiveKind::kOptionalBool, .has_default = true}};
constexpr NaiveField kRevoked[] = {Text("lease_id"), Text("lease_epoch")};
constexpr NaiveField kAlreadySatisfied[] = {Text("reason")};
constexpr NaiveField kRenewed[] = {Signed("expires_at")};
constexpr std::string_view kAttemptTypes[] = {"initial", "retry", "reclaim", "replay", "fallback"};
constexpr std::string_view kBackends[] = {"Valkey", "Postgres", "Sqlite"};
constexpr std::string_view kHandleKinds[] = {"Fresh", "Resumed", "Suspended", "Reclaimed"};
constexpr NaiveField kHandle[] = {Enum("backend", kBackends),
                                  Enum("kind", kHandleKinds),
                                  {.name = "opaque", .kind = NaiveKind::kByteList}};
constexpr NaiveField kClaimed[] = {
    {.name = "execution_id", .kind = NaiveKind::kExecutionId},
    UuidText("lease_id"),
    Number<std::uint64_t>("lease_epoch"),
    Number<std::uint32_t>("attempt_index"),
    UuidText("attempt_id"),
    Enum("attempt_type", kAttemptTypes),
    Signed("lease_expires_at"),
    {.name = "handle", .kind = NaiveKind::kStruct, .has_default = true, .fields = kHandle}};
constexpr NaiveField kLeaseFence[] = {UuidText("lease_id"), Number<std::uint64_t>("lease_epoch"),
                                      UuidText("attempt_id")};
constexpr NaiveField kPartitionConfig[] = {Number<std::uint16_t>("num_flow_partitions"),
                                           Number<std::uint16_t>("num_budget_partitions"),
                                           Number<std::uint16_t>("num_quota_partitions")};

constexpr NaiveField kClaimRequests[] = {Struct("", kClaimRequest)};
constexpr NaiveField kClaimResponses[] = {Struct("", kClaimResponse)};
constexpr NaiveField kReclaimRequests[] = {Struct("", kReclaimRequest)};
constexpr NaiveField kReclaimResponses[] = {Struct("granted", kGranted),
                                            Struct("not_reclaimable", kNotReclaimable),
                                            Struct("reclaim_cap_exceeded", kCapExceeded)};
constexpr NaiveField kErrorBodies[] = {Struct("", kErrorBody)};
constexpr NaiveField kRevokeResults[] = {Struct("Revoked", kRevoked),
                                         Struct("AlreadySatisfied", kAlreadySatisfied)};
constexpr NaiveField kRenewResults[] = {Struct("Renewed", kRenewed)};
constexpr NaiveField kClaimedResults[] = {Struct("Claimed", kClaimed)};
constexpr NaiveField kLeaseFences[] = {Struct("", kLeaseFence)};
constexpr NaiveField kPartitionConfigs[] = {Struct("", kPartitionConfig)};

// --- comparing ---

bool Same(const NaiveValue& value, const std::optional<std::string_view>& text) {
  return value.present == text.has_value() && (!text || value.text == *text);
}

bool Same(const NaiveValue& value, const StringList& list) {
  return value.texts.size() == list.size() &&
         std::equal(list.begin(), list.end(), value.texts.begin());
}

bool SameGrant(const std::vector<NaiveValue>& values, const ClaimResponseView& view) {
  return values[0].text == view.execution_id && values[1].text == view.partition_key &&
         values[2].text == view.grant_key && values[3].number == view.expires_at_ms;
}

bool SameHandle(const NaiveValue& handle, const HandleView& view) {
  if (!handle.present) {
    return view.backend == HandleBackend::kValkey && view.kind == HandleKind::kFresh &&
           view.opaque.empty();
  }
  return handle.members[0].name_index == static_cast<std::size_t>(view.backend) &&
         handle.members[1].name_index == static_cast<std::size_t>(view.kind) &&
         handle.members[2].text == view.opaque;
}

}  // namespace

std::span<const NaiveField> NaiveVariants(NaiveDto dto) {
  switch (dto) {
    case NaiveDto::kClaimRequest:
      return kClaimRequests;
    case NaiveDto::kClaimResponse:
      return kClaimResponses;
    case NaiveDto::kReclaimRequest:
      return kReclaimRequests;
    case NaiveDto::kReclaimResponse:
      return kReclaimResponses;
    case NaiveDto::kErrorBody:
      return kErrorBodies;
    case NaiveDto::kRevokeLeaseResult:
      return kRevokeResults;
    case NaiveDto::kRenewLeaseResult:
      return kRenewResults;
    case NaiveDto::kClaimedResult:
      return kClaimedResults;
    case NaiveDto::kLeaseFence:
      return kLeaseFences;
    case NaiveDto::kPartitionConfig:
      return kPartitionConfigs;
  }
  return {};
}

NaiveDocument NaiveDecode(NaiveDto dto, std::string_view json) {
  const std::span<const NaiveField> variants = NaiveVariants(dto);
  NaiveJsonReader reader(json);
  NaiveDocument document;
  bool read = false;
  if (dto == NaiveDto::kReclaimResponse) {
    read = NaiveReadTaggedInside(variants, reader, &document.variant, &document.values);
  } else if (variants[0].name.empty()) {
    read = NaiveReadStruct(variants[0].fields, reader, &document.values);
  } else {
    read = NaiveReadTaggedOutside(variants, reader, &document.variant, &document.values);
  }
  if (!read || !reader.ReadEnd()) document.result = reader.failure();
  return document;
}

bool Holds(const NaiveDocument& document, const ClaimRequestView& view) {
  const auto& values = document.values;
  return values[0].text == view.lane_id && values[1].text == view.worker_instance_id &&
         Same(values[2], view.capabilities) && values[3].number == view.grant_ttl_ms;
}

bool Holds(const NaiveDocument& document, const ClaimResponseView& view) {
  return SameGrant(document.values, view);
}

bool Holds(const NaiveDocument& document, const ReclaimRequestView& view) {
  const auto& values = document.values;
  return values[0].text == view.worker_id && values[1].text == view.worker_instance_id &&
         values[2].text == view.lane_id && Same(values[3], view.capability_hash) &&
         values[4].number == view.grant_ttl_ms && Same(values[5], view.route_snapshot_json) &&
         Same(values[6], view.admission_summary) && Same(values[7], view.worker_capabilities);
}

bool Holds(const NaiveDocument& document, const ReclaimResponseView& view) {
  const auto& values = document.values;
  if (document.variant != view.index()) return false;
  if (const auto* granted = std::get_if<ReclaimGrantedView>(&view)) {
    return SameGrant(values, granted->grant) && values[4].text == granted->lane_id;
  }
  if (const auto* refused = std::get_if<NotReclaimableView>(&view)) {
    return values[0].text == refused->execution_id && values[1].text == refused->detail;
  }
  const auto& exceeded = std::get<ReclaimCapExceededView>(view);
  return values[0].text == exceeded.execution_id && values[1].number == exceeded.reclaim_count;
}

bool Holds(const NaiveDocument& document, const ErrorBodyView& view) {
  const auto& values = document.values;
  return values[0].text == view.error && Same(values[1], view.kind) &&
         values[2].present == view.retryable.has_value() &&
         (!view.retryable || values[2].flag == *view.retryable);
}

bool Holds(const NaiveDocument& document, const RevokeLeaseResultView& view) {
  const auto& values = document.values;
  if (document.variant != view.index()) return false;
  if (const auto* revoked = std::get_if<RevokedView>(&view)) {
    return values[0].text == revoked->lease_id && values[1].text == revoked->lease_epoch;
  }
  return values[0].text == std::get<AlreadySatisfiedView>(view).reason;
}

bool Holds(const NaiveDocument& document, const RenewLeaseResult& view) {
  return document.values[0].signed_number == view.expires_at.value;
}

bool Holds(const NaiveDocument& document, const ClaimedView& view) {
  const auto& values = document.values;
  const auto id = testing::NaiveParseExecutionId(values[0].text, ParseMode::kLenient);
  return values[0].text == view.execution_id.text() && id.uuid == view.execution_id.uuid() &&
         view.execution_id.partition() == Partition{PartitionFamily::kExecution, id.index} &&
         id.canonical == view.execution_id.is_canonical() && values[1].uuid == view.lease_id.uuid &&
         values[2].number == view.lease_epoch.value &&
         values[3].number == view.attempt_index.value && values[4].uuid == view.attempt_id.uuid &&
         values[5].name_index == static_cast<std::size_t>(view.attempt_type) &&
         values[6].signed_number == view.lease_expires_at.value &&
         SameHandle(values[7], view.handle);
}

bool Holds(const NaiveDocument& document, const LeaseFence& view) {
  const auto& values = document.values;
  return values[0].uuid == view.lease_id.uuid && values[1].number == view.lease_epoch.value &&
         values[2].uuid == view.attempt_id.uuid;
}

bool Holds(const NaiveDocument& document, const PartitionConfig& view) {
  const auto& values = document.values;
  return values[0].number == view.num_flow_partitions &&
         values[1].number == view.num_budget_partitions &&
         values[2].number == view.num_quota_partitions;
}

}  // namespace ffgrant::fuzz
