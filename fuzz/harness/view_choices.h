// SPDX-License-Identifier: Apache-2.0
//
// Makes bodies of contract 5. A fuzzer's bytes choose their values.

#ifndef FFGRANT_FUZZ_HARNESS_VIEW_CHOICES_H_
#define FFGRANT_FUZZ_HARNESS_VIEW_CHOICES_H_

#include "ffgrant/ids.h"
#include "ffgrant/json/claim_request.h"
#include "ffgrant/json/claim_response.h"
#include "ffgrant/json/error_body.h"
#include "ffgrant/json/lease_results.h"
#include "ffgrant/json/reclaim_request.h"
#include "ffgrant/json/reclaim_response.h"
#include "ffgrant/partition.h"
#include "harness/value_choices.h"

namespace ffgrant::fuzz {

// The returned texts live as long as `values`.
ClaimResponseView SomeClaimResponse(ValueChoices& values);
ReclaimResponseView SomeReclaimResponse(ValueChoices& values);
RevokeLeaseResultView SomeRevokeResult(ValueChoices& values);
ClaimedView SomeClaimed(ValueChoices& values);
ClaimRequestView SomeClaimRequest(ValueChoices& values);
ReclaimRequestView SomeReclaimRequest(ValueChoices& values);
ErrorBodyView SomeErrorBody(ValueChoices& values);
PartitionConfig SomePartitionConfig(ValueChoices& values);
LeaseFence SomeLeaseFence(ValueChoices& values);

}  // namespace ffgrant::fuzz

#endif  // FFGRANT_FUZZ_HARNESS_VIEW_CHOICES_H_
