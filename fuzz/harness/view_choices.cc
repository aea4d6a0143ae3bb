// SPDX-License-Identifier: Apache-2.0

#include "harness/view_choices.h"

#include <cstdint>
#include <string_view>

namespace ffgrant::fuzz {

ClaimResponseView SomeClaimResponse(ValueChoices& values) {
  ClaimResponseView view;
  view.execution_id = values.Text();
  view.partition_key = values.Text();
  view.grant_key = values.Text();
  view.expires_at_ms = values.U64();
  return view;
}

ReclaimResponseView SomeReclaimResponse(ValueChoices& values) {
  switch (values.choices().Below(3)) {
    case 0: {
      const ClaimResponseView grant = SomeClaimResponse(values);
      return ReclaimGrantedView{grant, values.Text()};
    }
    case 1: {
      const std::string_view id = values.Text();
      return NotReclaimableView{id, values.Text()};
    }
    default: {
      const std::string_view id = values.Text();
      return ReclaimCapExceededView{id, values.U32()};
    }
  }
}

RevokeLeaseResultView SomeRevokeResult(ValueChoices& values) {
  if (values.choices().OneIn(2)) return AlreadySatisfiedView{values.Text()};
  const std::string_view id = values.Text();
  return RevokedView{id, values.Text()};
}

ClaimedView SomeClaimed(ValueChoices& values) {
  ClaimedView view;
  view.execution_id = values.Id();
  view.lease_id.uuid = values.SomeUuid();
  view.lease_epoch.value = values.U64();
  view.attempt_index.value = values.U32();
  view.attempt_id.uuid = values.SomeUuid();
  view.attempt_type = static_cast<AttemptType>(values.choices().Below(5));
  view.lease_expires_at.value = values.I64();
  view.handle.backend = static_cast<HandleBackend>(values.choices().Below(3));
  view.handle.kind = static_cast<HandleKind>(values.choices().Below(4));
  view.handle.opaque = values.Bytes();
  return view;
}

ClaimRequestView SomeClaimRequest(ValueChoices& values) {
  ClaimRequestView view;
  view.lane_id = values.Text();
  view.worker_instance_id = values.Text();
  view.capabilities = values.Texts();
  view.grant_ttl_ms = values.U64();
  return view;
}

ReclaimRequestView SomeReclaimRequest(ValueChoices& values) {
  ReclaimRequestView view;
  view.worker_id = values.Text();
  view.worker_instance_id = values.Text();
  view.lane_id = values.Text();
  view.capability_hash = values.OptionalText();
  view.grant_ttl_ms = values.U64();
  view.route_snapshot_json = values.OptionalText();
  view.admission_summary = values.OptionalText();
  view.worker_capabilities = values.Texts();
  return view;
}

ErrorBodyView SomeErrorBody(ValueChoices& values) {
  ErrorBodyView view;
  view.error = values.Text();
  view.kind = values.OptionalText();
  const std::uint32_t retryable = values.choices().Below(3);
  if (retryable != 0) view.retryable = retryable == 1;
  return view;
}

PartitionConfig SomePartitionConfig(ValueChoices& values) {
  return {values.U16(), values.U16(), values.U16()};
}

LeaseFence SomeLeaseFence(ValueChoices& values) {
  LeaseFence fence;
  fence.lease_id.uuid = values.SomeUuid();
  fence.lease_epoch.value = values.U64();
  fence.attempt_id.uuid = values.SomeUuid();
  return fence;
}

}  // namespace ffgrant::fuzz
