// SPDX-License-Identifier: Apache-2.0
//
// Turns ffgrant's views of bodies into lists of values, in the order of ffgrant_reference.h.

#ifndef FFGRANT_TESTING_REFERENCE_DTO_VALUES_H_
#define FFGRANT_TESTING_REFERENCE_DTO_VALUES_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ffgrant/ids.h"
#include "ffgrant/json/claim_request.h"
#include "ffgrant/json/claim_response.h"
#include "ffgrant/json/error_body.h"
#include "ffgrant/json/lease_results.h"
#include "ffgrant/json/reclaim_request.h"
#include "ffgrant/json/reclaim_response.h"
#include "ffgrant/partition.h"
#include "testing/reference/reference.h"

namespace ffgrant::reference {

// The values point into the view that they were made from, which must outlive them. An object that
// is filled again and again keeps its memory.
struct DtoValues {
  ffref_dto dto = FFREF_CLAIM_RESPONSE;
  std::uint32_t variant = 0;
  std::size_t size = 0;
  std::array<ffref_value, FFREF_MAX_VALUES> values = {};
  std::vector<ffref_view> list;

  std::span<const ffref_value> view() const { return {values.data(), size}; }
};

void Fill(const ClaimRequestView& view, DtoValues& out);
void Fill(const ClaimResponseView& view, DtoValues& out);
void Fill(const ReclaimRequestView& view, DtoValues& out);
void Fill(const ReclaimResponseView& view, DtoValues& out);
void Fill(const ErrorBodyView& view, DtoValues& out);
void Fill(const RevokeLeaseResultView& view, DtoValues& out);
void Fill(const RenewLeaseResult& view, DtoValues& out);
void Fill(const ClaimedView& view, DtoValues& out);
void Fill(const LeaseFence& view, DtoValues& out);
void Fill(const PartitionConfig& view, DtoValues& out);

// Returns the names of the body's members in order, with the members of a handle after the handle.
// If there is no such body or variant, the list is empty.
std::span<const std::string_view> MembersOf(ffref_dto dto, std::uint32_t variant);

bool SameValues(std::span<const ffref_value> a, std::span<const ffref_value> b);

// Returns the values in a form for people.
std::string Shown(std::uint32_t variant, std::span<const ffref_value> values);

}  // namespace ffgrant::reference

#endif  // FFGRANT_TESTING_REFERENCE_DTO_VALUES_H_
