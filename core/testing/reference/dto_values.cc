// SPDX-License-Identifier: Apache-2.0

#include "testing/reference/dto_values.h"

#include <optional>
#include <variant>

#include "ffgrant/json/string_list.h"

namespace ffgrant::reference {
namespace {

// Adds values one by one.
class Filler {
 public:
  Filler(ffref_dto dto, std::uint32_t variant, DtoValues& out) : out_(out) {
    out.dto = dto;
    out.variant = variant;
    out.size = 0;
  }

  Filler& Text(std::string_view text) { return Add(TextValue(text)); }
  Filler& Optional(const std::optional<std::string_view>& text) {
    return Add(text ? TextValue(*text) : AbsentValue());
  }
  Filler& Number(std::uint64_t number) { return Add(NumberValue(number)); }
  Filler& Id(const Uuid& uuid) { return Add(UuidValue(uuid)); }
  Filler& List(const StringList& texts) {
    out_.list.clear();
    for (const std::string_view text : texts) out_.list.push_back(ToView(text));
    return Add({1, 0, {}, out_.list.data(), out_.list.size()});
  }
  Filler& Add(const ffref_value& value) {
    out_.values[out_.size++] = value;
    return *this;
  }

 private:
  DtoValues& out_;
};

// The names of the members of one variant of a body, in order.
struct Members {
  ffref_dto dto;
  std::uint32_t variant;
  std::array<std::string_view, FFREF_MAX_VALUES + 1> names;
  std::size_t size;
};

constexpr Members kMembers[] = {
    {FFREF_CLAIM_REQUEST, 0, {"lane_id", "worker_instance_id", "capabilities", "grant_ttl_ms"}, 4},
    {FFREF_CLAIM_RESPONSE, 0, {"execution_id", "partition_key", "grant_key", "expires_at_ms"}, 4},
    {FFREF_RECLAIM_REQUEST,
     0,
     {"worker_id", "worker_instance_id", "lane_id", "capability_hash", "grant_ttl_ms",
      "route_snapshot_json", "admission_summary", "worker_capabilities"},
     8},
    {FFREF_RECLAIM_RESPONSE,
     0,
     {"execution_id", "partition_key", "grant_key", "expires_at_ms", "lane_id"},
     5},
    {FFREF_RECLAIM_RESPONSE, 1, {"execution_id", "detail"}, 2},
    {FFREF_RECLAIM_RESPONSE, 2, {"execution_id", "reclaim_count"}, 2},
    {FFREF_ERROR_BODY, 0, {"error", "kind", "retryable"}, 3},
    {FFREF_REVOKE_LEASE_RESULT, 0, {"lease_id", "lease_epoch"}, 2},
    {FFREF_REVOKE_LEASE_RESULT, 1, {"reason"}, 1},
    {FFREF_RENEW_LEASE_RESULT, 0, {"expires_at"}, 1},
    {FFREF_CLAIMED_RESULT,
     0,
     {"execution_id", "lease_id", "lease_epoch", "attempt_index", "attempt_id", "attempt_type",
      "lease_expires_at", "handle", "backend", "kind", "opaque"},
     11},
    {FFREF_LEASE_FENCE, 0, {"lease_id", "lease_epoch", "attempt_id"}, 3},
    {FFREF_PARTITION_CONFIG,
     0,
     {"num_flow_partitions", "num_budget_partitions", "num_quota_partitions"},
     3},
};

}  // namespace

void Fill(const ClaimRequestView& view, DtoValues& out) {
  Filler(FFREF_CLAIM_REQUEST, 0, out)
      .Text(view.lane_id)
      .Text(view.worker_instance_id)
      .List(view.capabilities)
      .Number(view.grant_ttl_ms);
}

void Fill(const ClaimResponseView& view, DtoValues& out) {
  Filler(FFREF_CLAIM_RESPONSE, 0, out)
      .Text(view.execution_id)
      .Text(view.partition_key)
      .Text(view.grant_key)
      .Number(view.expires_at_ms);
}

void Fill(const ReclaimRequestView& view, DtoValues& out) {
  Filler(FFREF_RECLAIM_REQUEST, 0, out)
      .Text(view.worker_id)
      .Text(view.worker_instance_id)
      .Text(view.lane_id)
      .Optional(view.capability_hash)
      .Number(view.grant_ttl_ms)
      .Optional(view.route_snapshot_json)
      .Optional(view.admission_summary)
      .List(view.worker_capabilities);
}

void Fill(const ReclaimResponseView& view, DtoValues& out) {
  const auto variant = static_cast<std::uint32_t>(view.index());
  Filler filler(FFREF_RECLAIM_RESPONSE, variant, out);
  if (const auto* granted = std::get_if<ReclaimGrantedView>(&view)) {
    filler.Text(granted->grant.execution_id)
        .Text(granted->grant.partition_key)
        .Text(granted->grant.grant_key)
        .Number(granted->grant.expires_at_ms)
        .Text(granted->lane_id);
  } else if (const auto* refused = std::get_if<NotReclaimableView>(&view)) {
    filler.Text(refused->execution_id).Text(refused->detail);
  } else if (const auto* exceeded = std::get_if<ReclaimCapExceededView>(&view)) {
    filler.Text(exceeded->execution_id).Number(exceeded->reclaim_count);
  }
}

void Fill(const ErrorBodyView& view, DtoValues& out) {
  Filler(FFREF_ERROR_BODY, 0, out)
      .Text(view.error)
      .Optional(view.kind)
      .Add(view.retryable ? NumberValue(*view.retryable) : AbsentValue());
}

void Fill(const RevokeLeaseResultView& view, DtoValues& out) {
  const auto variant = static_cast<std::uint32_t>(view.index());
  Filler filler(FFREF_REVOKE_LEASE_RESULT, variant, out);
  if (const auto* revoked = std::get_if<RevokedView>(&view)) {
    filler.Text(revoked->lease_id).Text(revoked->lease_epoch);
  } else if (const auto* satisfied = std::get_if<AlreadySatisfiedView>(&view)) {
    filler.Text(satisfied->reason);
  }
}

void Fill(const RenewLeaseResult& view, DtoValues& out) {
  Filler(FFREF_RENEW_LEASE_RESULT, 0, out)
      .Number(static_cast<std::uint64_t>(view.expires_at.value));
}

// The enumerators are in the same order as the reference's.
void Fill(const ClaimedView& view, DtoValues& out) {
  Filler(FFREF_CLAIMED_RESULT, 0, out)
      .Text(view.execution_id.text())
      .Id(view.lease_id.uuid)
      .Number(view.lease_epoch.value)
      .Number(view.attempt_index.value)
      .Id(view.attempt_id.uuid)
      .Number(static_cast<std::uint64_t>(view.attempt_type))
      .Number(static_cast<std::uint64_t>(view.lease_expires_at.value))
      .Number(static_cast<std::uint64_t>(view.handle.backend))
      .Number(static_cast<std::uint64_t>(view.handle.kind))
      .Text(view.handle.opaque);
}

void Fill(const LeaseFence& view, DtoValues& out) {
  Filler(FFREF_LEASE_FENCE, 0, out)
      .Id(view.lease_id.uuid)
      .Number(view.lease_epoch.value)
      .Id(view.attempt_id.uuid);
}

void Fill(const PartitionConfig& view, DtoValues& out) {
  Filler(FFREF_PARTITION_CONFIG, 0, out)
      .Number(view.num_flow_partitions)
      .Number(view.num_budget_partitions)
      .Number(view.num_quota_partitions);
}

std::span<const std::string_view> MembersOf(ffref_dto dto, std::uint32_t variant) {
  for (const Members& members : kMembers) {
    if (members.dto == dto && members.variant == variant) {
      return {members.names.data(), members.size};
    }
  }
  return {};
}

bool SameValues(std::span<const ffref_value> a, std::span<const ffref_value> b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i].present != b[i].present || a[i].number != b[i].number ||
        ToText(a[i].text) != ToText(b[i].text) || a[i].list_size != b[i].list_size) {
      return false;
    }
    for (std::size_t j = 0; j < a[i].list_size; ++j) {
      if (ToText(a[i].list[j]) != ToText(b[i].list[j])) return false;
    }
  }
  return true;
}

std::string Shown(std::uint32_t variant, std::span<const ffref_value> values) {
  std::string shown = "variant " + std::to_string(variant) + ":";
  for (const ffref_value& value : values) {
    if (value.present == 0) {
      shown += " absent";
      continue;
    }
    shown += " " + std::to_string(value.number) + "/'" + std::string(ToText(value.text)) + "'/[";
    for (std::size_t i = 0; i < value.list_size; ++i) {
      shown += "'" + std::string(ToText(value.list[i])) + "'";
    }
    shown += "]";
  }
  return shown;
}

}  // namespace ffgrant::reference
